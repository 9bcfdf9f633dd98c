"""Conducts a run from within: prepares, waits for the host, lets harm begin, watches it, ends it.

Started by systemd after everything else, not to be killed, locked in memory. Its plan is /opt/lab/plan.json;
it speaks with the host over the port `lab.report`:

    hello     it runs; the machine has booted
    ready     all is prepared and quiet; the host may look, and then says {"go": true}
    harm      the harm begins now
    ended     a process of the run has ended, or came to be (`name`, `role`)
    over      the harm is over, or was ended; the host looks again and says {"go": true}
    done      everything collected is on the drive

A machine that died in between and was started again only tells what it finds: `hello` with `again`, then
`over` and `done`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.inside import body, collect, trace, units
from lab.inside.port import Port

_PLAN = Path("/opt/lab/plan.json")
_STAGE = Path("/var/lib/lab/stage")
_OUT = Path("/var/lib/lab/out")
_RUN = Path("/run/lab")
_CRON_MARK = Path("/run/lab-cron")
_CRON_PATIENCE_S = 75.0
_HOST_PATIENCE_S = 120.0
_DAEMON_PATIENCE_S = 90.0
_STEP_S = 0.2
_CENSUS_S = 0.5
_PROBE_FILE_MIB = 8


class Conductor:
    """One run.

    Args:
        plan: What the host wants.
        port: The way to the host.
    """

    def __init__(self, plan: dict[str, Any], port: Port) -> None:
        self._plan = plan
        self._port = port
        self._processes: list[dict[str, Any]] = plan["processes"]
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._mains: dict[str, int] = {}
        self._census: dict[int, str] = {}
        self.notes: dict[str, Any] = {
            "kernel": os.uname().release,
            "processes": {},
            "lost": {},
            "problems": [],
        }

    def whole(self) -> None:
        """From a fresh boot to the end."""
        self._prepare()
        self._port.say("ready", problems=self.notes["problems"])
        self._wait_for_host()
        self._harm()
        self._after()

    def again(self) -> None:
        """After the machine had died and was started again."""
        self._wait_for_daemon()
        time.sleep(self._plan["after_s"])
        self.notes["again"] = True
        self._port.say("over", again=True)
        self._wait_for_host()
        self._finish()

    # ---- before

    def _prepare(self) -> None:
        for line in self._plan["setup"]:
            self._command(["sh", "-c", line])
        self._make_swap()
        _RUN.mkdir(exist_ok=True)
        _OUT.mkdir(parents=True, exist_ok=True)
        file = _STAGE.with_name("probe.bin")
        if not file.exists():
            file.write_bytes(os.urandom(_PROBE_FILE_MIB << 20))
        for process in self._processes:
            if process["at_s"] is None:
                self._command(["systemctl", "start", process["unit"]])
        self.notes["trace"] = trace.begin()
        self._start_helpers(file)
        self._wait_for_daemon()
        self._note_mains()
        self.notes["speed_s"] = _time_of_fixed_work()
        own = self._daemon_pids()
        began, busy = time.monotonic(), units.cpu_seconds(own)
        time.sleep(self._plan["settle_s"])
        idle_share = (units.cpu_seconds(own) - busy) / max(time.monotonic() - began, 0.001)
        self.notes["daemon_before"] = {"idle_cpu_share": idle_share, **self._daemon_figures()}

    def _make_swap(self) -> None:
        swap = self._plan["swap"]
        if swap["kind"] == "disk":
            self._command(["sh", "-c", "mkswap /dev/vdd && swapon /dev/vdd"])
        elif swap["kind"] == "zram":
            size = swap["size_bytes"]
            self._command(["sh", "-c", f"modprobe zram && echo {size} > /sys/block/zram0/disksize"])
            self._command(["sh", "-c", "mkswap /dev/zram0 && swapon -p 100 /dev/zram0"])

    def _start_helpers(self, file: Path) -> None:
        python, seconds = sys.executable, str(self._plan["duration_s"] + self._plan["after_s"] + 300)
        stream = ["--stream", "lab.stream"] if self._plan["stream"] else []
        sampler = ["lab.inside.sampler", str(_RUN / "samples.jsonl"), "--seconds", seconds, *stream]
        probe = ["lab.inside.probe", str(_RUN / "probe.json"), str(file)]
        for name, words in (("sampler", sampler), ("probe", probe)):
            self._helpers.append(subprocess.Popen([python, "-m", *words], stdin=subprocess.DEVNULL))
            if not _wait_for((_RUN / f"{name}.ready").exists, 60):
                self.notes["problems"].append(f"the {name} did not start")

    def _wait_for_daemon(self) -> None:
        for unit in self._plan["daemon"]["units"]:
            if not _wait_for(
                lambda unit=unit: self._state(unit)["ActiveState"] == "active", _DAEMON_PATIENCE_S
            ):
                self.notes["problems"].append(f"{unit} is not active: {self._state(unit)}")

    def _note_mains(self) -> None:
        for unit in self._watched():
            main = self._state(unit)["MainPID"]
            if main != "0":
                self._mains[unit] = int(main)
        self.notes["mains"] = dict(self._mains)

    def _watched(self) -> list[str]:
        early = [
            process["unit"]
            for process in self._processes
            if process["role"] != "harm" and process["at_s"] is None
        ]
        return [*self._plan["critical_units"], *early, *self._plan["daemon"]["units"]]

    # ---- while it happens

    def _harm(self) -> None:
        if self._plan["boots"] > 1:
            _write_for_good(_STAGE, "harm")
        began = time.monotonic()
        self.notes["harm_at"] = began
        self._clocks()
        self._port.say("harm")
        waiting = sorted((p for p in self._processes if p["at_s"] is not None), key=lambda p: p["at_s"])
        started: dict[str, dict[str, Any]] = {p["unit"]: p for p in self._processes if p["at_s"] is None}
        harm_ended_at: float | None = None
        census_due = began
        while (now := time.monotonic()) < began + self._plan["duration_s"]:
            while waiting and now >= began + waiting[0]["at_s"]:
                process = waiting.pop(0)
                started[process["unit"]] = process
                self._helpers.append(subprocess.Popen(["systemctl", "start", "--no-block", process["unit"]]))
            if now >= census_due:
                self._census.update(units.everybody())
                census_due = now + _CENSUS_S
            self._look(started)
            if self._plan["end_with_harm"] and not waiting and self._harm_is_gone(started):
                harm_ended_at = harm_ended_at or now
                if now > harm_ended_at + self._plan["after_s"]:
                    break
            time.sleep(_STEP_S)
        self.notes["over_at"] = time.monotonic()

    def _look(self, started: dict[str, dict[str, Any]]) -> None:
        now = time.monotonic()
        noted = self.notes["processes"]
        for unit, process in started.items():
            name, there = process["name"], bool(units.alive(unit))
            entry = noted.setdefault(
                name, {"role": process["role"], "unit": unit, "began_at": None, "ended_at": None}
            )
            if there and entry["began_at"] is None:
                entry["began_at"] = now
                self._port.say("began", name=name, role=process["role"])
            if not there and entry["began_at"] is not None and entry["ended_at"] is None:
                entry["ended_at"] = now
                self._port.say("ended", name=name, role=process["role"])
            if there:
                entry["ended_at"] = None
        for unit, main in self._mains.items():
            if unit not in self.notes["lost"] and not Path(f"/proc/{main}").exists():
                self.notes["lost"][unit] = now

    def _harm_is_gone(self, started: dict[str, dict[str, Any]]) -> bool:
        harm = [self.notes["processes"][p["name"]] for p in started.values() if p["role"] == "harm"]
        return bool(harm) and all(entry["ended_at"] is not None for entry in harm)

    # ---- afterwards

    def _after(self) -> None:
        daemon_after = self._daemon_figures()
        survivors = [p["name"] for p in self._processes if p["role"] == "harm" and units.alive(p["unit"])]
        for process in self._processes:
            if process["role"] == "harm":
                units.end(process["unit"])
        self.notes |= {"survivors": survivors, "daemon_after": daemon_after, "ended_at": time.monotonic()}
        self._port.say("over", survivors=survivors)
        ended = time.time()
        time.sleep(self._plan["after_s"])
        self._look({p["unit"]: p for p in self._processes if p["role"] != "harm" and p["at_s"] is None})
        self._end_helpers()
        self._wait_for_host()
        if self._plan["cron"]:
            self.notes["cron_after"] = _wait_for(lambda: _newer(_CRON_MARK, ended), _CRON_PATIENCE_S)
        self._finish()

    def _end_helpers(self) -> None:
        for helper in self._helpers:
            helper.terminate()
        for helper in self._helpers:
            with suppress(subprocess.TimeoutExpired):
                helper.wait(30)
        for name in ("samples.jsonl", "probe.json"):
            with suppress(OSError):
                (_OUT / name).write_bytes((_RUN / name).read_bytes())

    def _finish(self) -> None:
        self.notes["census"] = self._census
        self.notes["states"] = {unit: self._state(unit) for unit in self._watched()}
        self.notes["daemon_pids"] = self._daemon_pids()
        self._clocks()
        _OUT.mkdir(parents=True, exist_ok=True)
        # All is measured: nothing need be emulated any further while the rest is brought home.
        self._hold(process["unit"] for process in self._processes)
        collect.ask(_OUT, self._plan)
        self._hold(self._plan["daemon"]["units"])
        collect.gather(_OUT, self._plan, self.notes)
        problem = collect.send(_OUT, self._plan)
        self._port.say("done", problem=problem)

    # ---- small things

    def _hold(self, names: Iterable[str]) -> None:
        if not self._plan["keep"]:
            for unit in names:
                units.hold(unit)

    def _clocks(self) -> None:
        pair = {
            "monotonic": time.monotonic(),
            "realtime": time.time(),
            "boottime": time.clock_gettime(time.CLOCK_BOOTTIME),
        }
        self.notes.setdefault("clocks", []).append(pair)

    def _daemon_pids(self) -> list[int]:
        return [pid for unit in self._plan["daemon"]["units"] for pid in units.alive(unit)]

    def _daemon_figures(self) -> dict[str, Any]:
        own = self._daemon_pids()
        return {"at": time.monotonic(), "pids": own, "cpu_s": units.cpu_seconds(own), **units.memory_kib(own)}

    def _state(self, unit: str) -> dict[str, str]:
        wanted = "ActiveState,SubState,MainPID,NRestarts,Result"
        done = subprocess.run(
            ["systemctl", "show", "-p", wanted, unit],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        found = dict.fromkeys(wanted.split(","), "") | {"MainPID": "0"}
        return found | dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    def _command(self, words: list[str]) -> None:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-300:]
            self.notes["problems"].append(f"{words[-1]}: status {done.returncode}: {said}")

    def _wait_for_host(self) -> None:
        if self._port.hear(_HOST_PATIENCE_S) is None:
            self.notes["problems"].append("the host did not answer")


def _wait_for(condition: Any, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP_S)
    return True


def _time_of_fixed_work() -> float:
    """How long a fixed piece of work takes here and now, in seconds: how fast, how quiet the host is."""
    began = time.monotonic()
    sum(number * number for number in range(300_000))
    return time.monotonic() - began


def _newer(path: Path, than: float) -> bool:
    try:
        return path.stat().st_mtime > than
    except OSError:
        return False


def _write_for_good(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def main() -> int:
    """Conduct the run."""
    plan = json.loads(_PLAN.read_text())
    port = Port("lab.report")
    again = body.read_text(_STAGE) == "harm"
    boot_id = (body.read_text("/proc/sys/kernel/random/boot_id") or "").strip()
    port.say("hello", boot_id=boot_id, kernel=os.uname().release, again=again)
    body.lock_memory()
    conductor = Conductor(plan, port)
    if again:
        conductor.again()
    else:
        conductor.whole()
    while not plan["keep"]:
        time.sleep(10)  # the host switches off
    return 0


if __name__ == "__main__":
    sys.exit(main())
