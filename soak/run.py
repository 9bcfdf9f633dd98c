"""One run from beginning to end: everything is started, watched, judged every minute, and cleaned up."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import machine_facts
from bench.processes import MEMORY, directory

from memwatchd.places import Places
from memwatchd.service.start import SLOW_PROCESSOR
from soak import children, daemon, report
from soak.activity import Activity, Trouble
from soak.config import RATE_HZ, Names, write_config
from soak.daemon import Site
from soak.figures import SLEEPER_BOARD, Reading, read_all
from soak.incidents import IncidentWatch
from soak.judge import Check, judge, none
from soak.log import LogWatch
from soak.players import Players

_PRIORITY = 10
_MINUTE_S = 60.0
# Nothing is said of memory and the like before the daemon has come to rest.
_REST_S = 2.0
_JOIN_S = 130.0
_SETTLE_S = 40.0


@dataclass(frozen=True, slots=True)
class Length:
    """How long a run is, in seconds."""

    whole_s: float

    @property
    def warm_up_s(self) -> float:
        """Until rings, retention and heaps have their size: a third, at least a minute, at most fifteen."""
        return min(900.0, max(60.0, self.whole_s / 3))

    @property
    def step_s(self) -> float:
        """Between two readings: some two hundred a run, at least one each half minute."""
        return min(30.0, max(2.0, self.whole_s / 200))


@dataclass(slots=True)
class Stage:
    """What is there during a run.

    Attributes:
        degraded: What the daemon lacked on this machine from the start.
    """

    site: Site
    sleeper: Path
    players: Players
    incidents: IncidentWatch
    log: LogWatch
    activities: list[Activity]
    degraded: list[str]

    def begin(self) -> None:
        """Have everybody do what they do."""
        for activity in self.activities:
            activity.start(self.players.stopping)

    def end(self) -> None:
        """Have everybody end, once."""
        if self.players.stopping.is_set():
            return
        self.players.stopping.set()
        for activity in self.activities:
            if not activity.join(_JOIN_S):
                activity.trouble("it hangs")


@dataclass(slots=True)
class Soak:
    """A run.

    Attributes:
        json_path: Where the figures go, too; renewed every minute.
    """

    length: Length
    json_path: Path | None
    readings: list[Reading] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def run(self) -> bool:
        """Go through with it; whether all has passed.

        Raises:
            BenchError: The daemon did not start.
            OSError: Something else that is needed could not be had.
        """
        with ExitStack() as closing:
            stage = _set_up(closing)
            closing.callback(stage.end)
            stage.begin()
            self._watch(stage)
            stage.end()
            self._settle(stage)
            self._end(stage)
        print("\n" + "\n".join(report.activity_table(stage.activities)), end="\n\n")
        print("\n".join(report.verdict_table(self.checks)))
        return all(check.passed for check in self.checks)

    # ---- while it goes on

    def _watch(self, stage: Stage) -> None:
        began_s, minute_s = time.monotonic(), _MINUTE_S
        print(report.headings(), flush=True)
        while (at_s := time.monotonic() - began_s) < self.length.whole_s and not stage.site.daemon.dead():
            reading = read_all(stage.site.daemon, stage.sleeper, began_s)
            if reading is not None:
                self.readings.append(reading)
            if at_s >= minute_s and self.readings:
                minute_s += _MINUTE_S
                self._show_minute(stage)
            time.sleep(self.length.step_s)

    def _show_minute(self, stage: Stage) -> None:
        stage.log.read()
        self.checks = self._judge(stage)
        failing = [check.name for check in self.checks if check.passed is False]
        diary, incidents = stage.players.diary, sum(stage.incidents.kinds.values())
        kills = len(diary.kernel_killed) + diary.rule_killed
        print(report.row(self.readings[-1], incidents, kills, failing), flush=True)
        self._write_json(stage)

    def _judge(self, stage: Stage) -> list[Check]:
        warm = [each for each in self.readings if each.at_s >= self.length.warm_up_s]
        ended = stage.players.stopping.is_set()
        untold = stage.players.untold(0.0) if ended else stage.players.untold()
        state, log = stage.site.daemon.state(), stage.log
        usual = {*stage.degraded, SLOW_PROCESSOR}  # on a busy host, a tick is dear
        new = [sentence for sentence in state.get("degraded", []) if sentence not in usual]
        failed = {each.name: each.failed for each in stage.activities if each.failed}
        return [
            *judge(warm, stage.incidents.longest_gap_ns),
            none("kernel kills that no incident tells of", len(untold), str(untold)),
            none("things that went wrong", sum(failed.values()), ", ".join(failed)),
            none("unexpected lines in the log", len(log.unexpected), _last(log.unexpected)),
            none("actions that failed or were late", len(log.failures), _last(log.failures)),
            none("new sentences of what is degraded", len(new), "; ".join(new)),
            none("kernel messages lost", state.get("kmsg", {}).get("lost", 0)),
            none("lines of the log dropped", state.get("log_lines_dropped", 0)),
            none("deaths of the daemon", int(stage.site.daemon.dead())),
        ]

    # ---- the end

    def _settle(self, stage: Stage) -> None:
        """Look at the incidents that are still coming in."""
        watch = next(each for each in stage.activities if each.act == stage.incidents.look)
        try:
            stage.incidents.settle(_SETTLE_S)
        except Trouble as trouble:
            watch.trouble(str(trouble))
        stage.log.read()
        self.checks = self._judge(stage)

    def _end(self, stage: Stage) -> None:
        """End the daemon, and see that nothing of it is left."""
        before = len(stage.log.unexpected)
        status = daemon.stop(stage.site.daemon)
        stage.log.read()
        left, alive = _left(stage.site), daemon.survivors(stage.site.places)
        wrong = stage.log.unexpected[before:]
        self.checks += [
            none("exit status", status),
            none("unexpected lines at the end", len(wrong), _last(wrong)),
            none("processes left behind", len(alive), str(alive)),
            none("files left behind", len(left), ", ".join(sorted(left))),
        ]
        self._write_json(stage)

    def _write_json(self, stage: Stage) -> None:
        if self.json_path is None:
            return
        diary = stage.players.diary
        facts = {
            "seconds": self.length.whole_s,
            "warm_up_s": self.length.warm_up_s,
            "incidents": stage.incidents.kinds,
            "longest_gap_ns": stage.incidents.longest_gap_ns,
            "most_incidents": stage.incidents.most,
            "largest_bytes": stage.incidents.largest_bytes,
            "kernel_kills": len(diary.kernel_killed),
            "rule_kills": diary.rule_killed,
            "reloads": diary.reloads,
            "degraded": stage.degraded,
            "unexpected_lines": stage.log.unexpected,
            "failed_actions": stage.log.failures,
        }
        report.write_json(
            self.json_path, machine_facts(), self.readings, self.checks, stage.activities, facts
        )


# ---- the beginning


def _set_up(closing: ExitStack) -> Stage:
    """Start everything; `closing` ends and removes it."""
    memory = closing.enter_context(directory(MEMORY))
    memory.chmod(0o755)  # the exporter becomes nobody
    disk = closing.enter_context(directory(None))
    names = _names(memory)
    if children.is_root():
        closing.callback(children.sweep, names.prefix)
        closing.enter_context(children.cgroup(names.leak))
    port = daemon.free_port()
    config, places = write_config(memory, names, port), Places(memory / "run", disk)
    sleeper = closing.enter_context(_sleeper(memory / "sleeper"))
    site = closing.enter_context(daemon.running(config, places, memory / "log"))
    incidents, log = IncidentWatch(places), LogWatch(site.log)
    time.sleep(_REST_S)
    log.read(starting=True)
    players = Players(site, names, port, incidents, memory)
    degraded = site.daemon.state()["degraded"]
    return Stage(site, sleeper, players, incidents, log, players.activities(), degraded)


def _names(directory: Path) -> Names:
    prefix = f"/memwatchd-soak-{os.getpid()}"
    hook = directory / "hook"
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    return Names(prefix, directory / "pid", hook)


@contextmanager
def _sleeper(board: Path) -> Iterator[Path]:
    """Run the plain sleeper beside the daemon."""
    board.write_bytes(bytes(SLEEPER_BOARD.size))
    program = Path(__file__).with_name("sleeper.py")
    priority = _PRIORITY if children.is_root() else 0
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(program), str(board), str(RATE_HZ), str(priority)],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield board
    finally:
        process.kill()
        process.wait()


def _left(site: Site) -> set[str]:
    """Files in the runtime directory that should not be there after the end."""
    left = {path.name for path in site.places.runtime_dir.iterdir()} - {"ring", "events", "lock"}
    changes = site.places.changes
    # A list of changes of which all have been put back.
    return left - ({changes.name} if changes.exists() and json.loads(changes.read_bytes()) == [] else set())


def _last(lines: list[str]) -> str:
    return lines[-1] if lines else ""
