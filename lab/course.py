"""The course of one run, seen from the host: boots the guest, does the host's part, brings results home."""

import os
import queue
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import inject
from lab.daemons import Daemon
from lab.errors import LabError
from lab.guest import Guest, Report
from lab.image import Image
from lab.scenario import Moment, Scenario

_BOOT_PATIENCE_S = 600.0  # a starved host takes minutes
_LOGIN_PATIENCE_S = 30.0
_LOGIN_TRIES = 3
_SPARE_S = 420.0  # beside what the scenario takes: preparing, the wait for cron, collecting
_AFTER_DEATH_S = 5.0

Tell = Callable[[str], None]


@dataclass(slots=True)
class Course:
    """What happened, in the host's eyes; times are of the host's monotonic clock.

    Attributes:
        reports: What the conductor said.
        logins: Attempts to log in: phase, when, how long, whether it worked.
        deeds: What was done by the monitor.
        deaths: When the machine was gone before it was done.
        home: Where what came home lies.
        ended: `done`, `died` (and gave nothing), or `late`.
        host: How busy the host was while the harm lasted: processors it gave the guest, and its load.
    """

    home: Path
    reports: list[Report] = field(default_factory=list)
    logins: list[dict[str, Any]] = field(default_factory=list)
    deeds: list[dict[str, Any]] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)
    ended: str = "late"
    host: dict[str, Any] = field(default_factory=dict)

    def heard(self, what: str) -> Report | None:
        """The first report of a name."""
        return next((report for report in self.reports if report.what == what), None)


class Run:
    """Runs one scenario with one daemon.

    Args:
        scenario: What is done.
        daemon: What is there against it.
        image: What boots.
        accelerated: By what.
        directory: For disks and what comes home.
        keep: Leave the guest running.
        tell: For a person who watches.
    """

    def __init__(
        self,
        scenario: Scenario,
        daemon: Daemon,
        image: Image,
        accelerated: str,
        directory: Path,
        *,
        keep: bool,
        tell: Tell,
    ) -> None:
        self._scenario, self._tell = scenario, tell
        self._directory = directory
        inject.write(scenario, daemon, directory / "inject.tar", keep=keep)
        self.guest = Guest(image, scenario.machine, directory, accelerated, keep=keep)
        self.course = Course(home=directory / "home")
        self._threads: list[threading.Thread] = []
        self._quiet = threading.Event()
        self._meter: tuple[float, float | None] = (0.0, None)

    def whole(self) -> Course:
        """From switching on to the end.

        Raises:
            LabError: the guest did not come up, or said nothing any more.
        """
        self.guest.start()
        deadline = time.monotonic() + _BOOT_PATIENCE_S
        boots = 1
        while True:
            report = self._next(deadline)
            if report is not None:
                deadline = self._answer(report, deadline)
                if report.what == "done":
                    self.course.ended = "done"
                    self._unpack()
                    break
            elif not self.guest.running:
                self.course.deaths.append(time.monotonic())
                self._tell("the machine is gone")
                if boots >= self._scenario.machine.boots:
                    self.course.ended = "died"
                    break
                boots += 1
                self.guest.switch_off()
                self.guest.start()
                deadline = time.monotonic() + _BOOT_PATIENCE_S
            elif time.monotonic() > deadline:
                self.course.ended = "late"
                self._tell("no more is heard of the guest; it is given up")
                break
        self._quiet.set()
        for thread in self._threads:
            thread.join(_LOGIN_PATIENCE_S + 5)
        return self.course

    def close(self) -> None:
        """Switch the guest off."""
        self._quiet.set()
        self.guest.close()

    # ---- inner parts

    def _next(self, deadline: float) -> Report | None:
        """The next report; None when the time is over or the machine is gone."""
        while time.monotonic() < deadline:
            try:
                report = self.guest.reports.get(timeout=0.2)
            except queue.Empty:
                if not self.guest.running:
                    return None
                continue
            self.course.reports.append(report)
            return report
        return None

    def _answer(self, report: Report, deadline: float) -> float:
        """Do what a report asks for; returns until when the next one is waited for."""
        self._tell(_sentence(report))
        if report.what == "ready":
            self._login("before", _LOGIN_PATIENCE_S)
            self.guest.say({"go": True})
        elif report.what == "harm":
            self._meter = (time.monotonic(), self.guest.cpu_seconds())
            self._begin_deeds(time.monotonic())
            return time.monotonic() + self._scenario.duration_s + self._scenario.after_s + _SPARE_S
        elif report.what == "over":
            self._quiet.set()
            self._read_meter()
            if any(moment.do == "disk" for moment in self._scenario.monitor):
                self.guest.slow_down(None, None)
            for _ in range(_LOGIN_TRIES):
                if self._login("after", _LOGIN_PATIENCE_S):
                    break
            self.guest.say({"go": True})
        return deadline

    def _read_meter(self) -> None:
        began, busy = self._meter
        now_busy = self.guest.cpu_seconds()
        if busy is not None and now_busy is not None and not self.course.deaths:
            share = (now_busy - busy) / max(time.monotonic() - began, 0.001)
            self.course.host["cpus_used"] = round(share, 2)
        self.course.host |= {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 2)}

    def _begin_deeds(self, began: float) -> None:
        work: list[tuple[float, Callable[[], None]]] = []
        work += [(moment.at_s, self._deed(moment)) for moment in self._scenario.monitor]
        for thread_work in (work, [(at_s, self._glance) for at_s in self._scenario.logins_s]):
            thread = threading.Thread(target=self._at_moments, args=(began, thread_work), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _at_moments(self, began: float, work: list[tuple[float, Callable[[], None]]]) -> None:
        for at_s, action in sorted(work, key=lambda pair: pair[0]):
            if self._quiet.wait(max(0.0, began + at_s - time.monotonic())):
                return
            action()

    def _glance(self) -> None:
        self._login("during", _LOGIN_PATIENCE_S)

    def _deed(self, moment: Moment) -> Callable[[], None]:
        def act() -> None:
            entry: dict[str, Any] = {"do": moment.do, "at": time.monotonic(), "problem": None}
            self.course.deeds.append(entry)
            try:
                self._do(moment)
            except LabError as error:
                entry["problem"] = str(error)
            self._tell(f"monitor: {moment.do}" + (f": {entry['problem']}" if entry["problem"] else ""))

        return act

    def _do(self, moment: Moment) -> None:
        monitor = self.guest.monitor
        if moment.do == "quit":
            # Not the monitor's own quit, which writes out what qemu still has.
            self.guest.switch_off()
        elif monitor is None:
            raise LabError("there is no monitor")
        elif moment.do == "balloon":
            monitor.execute("balloon", {"value": moment.memory_bytes})
        elif moment.do == "disk":
            self.guest.slow_down(moment.iops, moment.bytes_per_s)
        elif moment.do == "nmi":
            monitor.execute("inject-nmi")
        elif moment.do == "command":
            monitor.execute(moment.execute or "", moment.arguments)
        else:
            monitor.execute(moment.do)

    def _login(self, phase: str, timeout_s: float) -> bool:
        at = time.monotonic()
        worked, took, said = self.guest.ssh("true", timeout_s)
        entry = {
            "phase": phase,
            "at": at,
            "took_s": round(took, 3),
            "ok": worked,
            "said": None if worked else said[-200:],
        }
        self.course.logins.append(entry)
        return worked

    def _unpack(self) -> None:
        self.course.home.mkdir(exist_ok=True)
        with tarfile.open(self.guest.results, "r|") as archive:
            archive.extractall(self.course.home, filter="data")


def _sentence(report: Report) -> str:
    facts = {key: value for key, value in report.facts.items() if key not in ("report", "at")}
    details = ", ".join(f"{key} {value}" for key, value in facts.items() if value not in (None, [], False))
    return f"{report.what}{': ' if details else ''}{details}"
