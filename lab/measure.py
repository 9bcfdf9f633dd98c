"""From what came home to a result: who died, how long the machine stood still, when help came, what is known.

All times of a result are seconds from the beginning of the harm. Definitions:

danger      MemAvailable below 10 % of MemTotal, or a zone below its low watermark for a second, from the
            beginning of that (a machine with a full page cache dips below it as a matter of course)
action      the first deadly or stopping signal that the daemon sends to another process, by the kernel's own
            trace; for memwatchd also what its journal and its incidents say it did
relief      neither danger for a whole second, afterwards
stall       how long one step of the probe took (inside/probe.py), counted from when it was due
lost        a process that was killed, by the kernel or by the daemon, or a service whose main process is gone
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from lab import evidence
from lab.course import Course
from lab.daemons import Daemon
from lab.home import Home
from lab.scenario import Scenario
from memwatchd.oomreport.reader import read_events
from memwatchd.oomreport.report import GLOBAL, OOM_KILL

DANGER_SHARE = 0.10
_LOW_S = 1.0
_RELIEF_S = 1.0
_LONG_S = 1.0
_BY_KERNEL = 128  # si_code of signals that the kernel itself sends
_DEADLY = {6: "ABRT", 9: "KILL", 15: "TERM"}
_SIGNALS = {**_DEADLY, 19: "STOP"}


def measure(scenario: Scenario, daemon: Daemon, course: Course, home: Home) -> dict[str, Any]:
    """Make the result of a run; keys are described in docs/lab.md."""
    zero = home.harm_at
    kills = list(kernel_kills(scenario, daemon, home))
    deeds = list(daemon_signals(scenario, daemon, home))
    losses = lost(scenario, home, kills, deeds)
    danger = dangers(home)
    action = first_action(daemon, home, deeds)
    result: dict[str, Any] = {
        "ended": course.ended,
        "problems": list(home.notes.get("problems", [])),
        "kernel": home.notes.get("kernel"),
        "host": course.host | {"guest_speed_s": _rounded(home.notes.get("speed_s"))},
        "harm_s": _since(home.notes.get("over_at"), zero),
        "harm_survived": home.notes.get("survivors", []),
        "deaths": len(course.deaths),
        "kernel_kills": {"count": len(kills), "counted": _counted(home), "list": kills},
        "daemon_kills": {
            "count": len({each["pid"] for each in deeds if each["signal"] != "STOP"}),
            "list": deeds,
        },
        "innocents_lost": losses["innocent"],
        "critical": {
            "lost": losses["critical"],
            **_logins(course),
            "cron_after": home.notes.get("cron_after"),
        },
        "probe": _probe(scenario, home),
        "danger": danger,
        "action": action | {"after_danger_s": _difference(action["at_s"], danger["at_s"])},
        "actions": all_actions(daemon, home, deeds),
        "evidence": evidence.evidence(scenario, home),
        "service": _service(daemon, home),
        "sampler": _sampler(home),
        "processes": _processes(home),
        "monitor": [_on_guest_clock(deed, course) for deed in course.deeds],
    }
    result["stream"] = stream(course, home, result["evidence"]["list"])
    result["danger"]["relief_after_s"] = _difference(danger["relief_s"], danger["at_s"])
    return result


# ---- who died


def kernel_kills(scenario: Scenario, daemon: Daemon, home: Home) -> Iterator[dict[str, Any]]:
    """Kills by the kernel, as its log has them; with the moment from the trace where there is one."""
    moments = {each["pid"]: each["at"] for each in home.signals if each["event"] == "mark_victim"}
    for event in read_events([home.kernel_log]):
        if event.kind != OOM_KILL:
            continue
        for victim in event.victims:
            unit = _unit_of_cgroup(victim.task_memcg) or home.units.get(victim.pid or -1)
            yield {
                "at_s": _since(moments.get(victim.pid, event.seconds), home.harm_at),
                "pid": victim.pid,
                "comm": victim.comm,
                "unit": unit,
                "role": role_of(unit, scenario, daemon),
                "scope": "global" if event.scope == GLOBAL else event.scope,
                "anon_kib": victim.anon_rss_kb,
            }


def daemon_signals(scenario: Scenario, daemon: Daemon, home: Home) -> Iterator[dict[str, Any]]:
    """Signals that the daemon sent to others while the harm lasted."""
    own = _own_pids(daemon, home)
    end = home.notes.get("ended_at", float("inf"))
    seen = set()
    for each in home.signals:
        if each["event"] != "signal_generate" or each["by_pid"] not in own or each["pid"] in own:
            continue
        key = (each["pid"], each["sig"])
        if (
            each["sig"] not in _SIGNALS
            or each["code"] == _BY_KERNEL
            or key in seen
            or not (home.harm_at or 0.0) <= each["at"] <= end
        ):
            continue
        seen.add(key)
        unit = home.units.get(each["pid"])
        yield {
            "at_s": _since(each["at"], home.harm_at),
            "pid": each["pid"],
            "comm": each["comm"],
            "signal": _SIGNALS[each["sig"]],
            "unit": unit,
            "role": role_of(unit, scenario, daemon),
        }


def lost(
    scenario: Scenario, home: Home, kills: Iterable[Mapping[str, Any]], deeds: Iterable[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """Names of the innocent and critical units of which something was killed or is gone."""
    found: dict[str, set[str]] = {"innocent": set(), "critical": set()}
    for each in (*kills, *deeds):
        if each["role"] in found and each.get("signal") != "STOP":
            found[each["role"]].add(each["unit"] or each["comm"] or str(each["pid"]))
    mains, states = home.notes.get("mains", {}), home.notes.get("states", {})
    gone = set(home.notes.get("lost", {}))
    gone |= {unit for unit, main in mains.items() if unit in states and int(states[unit]["MainPID"]) != main}
    for unit in gone:
        role = role_of(unit, scenario, None)
        if role in found:
            found[role].add(unit)
    return {role: sorted(units) for role, units in found.items()}


def role_of(unit: str | None, scenario: Scenario, daemon: Daemon | None) -> str:
    """What a unit is in a run; whatever nobody declared is innocent."""
    if unit in scenario.critical_units:
        return "critical"
    if unit == "lab.service":
        return "lab"
    if daemon is not None and unit in daemon.units:
        return "daemon"
    return next((process.role for process in scenario.processes if process.unit == unit), "innocent")


# ---- when


def dangers(home: Home) -> dict[str, Any]:
    """When danger began, by what, and when it was over for good; the end of the run is no relief."""
    zero, over = home.harm_at or 0.0, home.notes.get("ended_at", float("inf"))
    began: dict[str, float] = {}
    low_since: float | None = None
    calm_since: float | None = None
    relief: float | None = None
    lowest: float | None = None
    for sample in home.samples:
        if sample["at"] < zero:
            continue
        reasons: dict[str, float] = {}
        share = sample["available_kib"] / sample["total_kib"] if sample["available_kib"] >= 0 else None
        low_since = (low_since or sample["at"]) if 0 <= sample["worst_low"] < 1 else None
        if share is not None and share < DANGER_SHARE:
            reasons["available"] = sample["at"]
        if low_since is not None and sample["at"] - low_since >= _LOW_S:
            reasons["zone"] = low_since
        for reason, since in reasons.items():
            began.setdefault(reason, since)
        if share is not None and sample["at"] <= over:
            lowest = share if lowest is None else min(lowest, share)
        if reasons:
            calm_since = relief = None
        elif began:
            calm_since = calm_since or sample["at"]
            if relief is None and sample["at"] - calm_since >= _RELIEF_S:
                relief = calm_since
    first = min(began.values(), default=None)
    return {
        "at_s": _since(first, zero),
        "available_at_s": _since(began.get("available"), zero),
        "zone_at_s": _since(began.get("zone"), zero),
        "relief_s": _since(relief, zero) if relief is not None and relief <= over else None,
        "lowest_available_share": None if lowest is None else round(lowest, 4),
    }


def first_action(daemon: Daemon, home: Home, deeds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The daemon's first action."""
    found = [(each["at_s"], f"{each['signal']} to {each['comm']}") for each in deeds]
    if daemon.wheel:
        found += [(_since(at, home.harm_at), what) for at, what in evidence.actions(home)]
    end = _since(home.notes.get("ended_at"), home.harm_at)
    timely = [(at, what) for at, what in found if at is not None and at >= 0 and (end is None or at <= end)]
    at, what = min(timely, default=(None, None))
    return {"at_s": at, "what": what}


def all_actions(daemon: Daemon, home: Home, deeds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the daemon did to the machine while the harm lasted: each is a false one where all are innocent.

    memwatchd tells of each action once, of others only the signals are known.
    """
    end = _since(home.notes.get("ended_at"), home.harm_at)
    told = [(_since(at, home.harm_at), what) for at, what in evidence.deeds(home)] if daemon.wheel else []
    found = [(at, what) for at, what in told if at is not None and at >= 0 and (end is None or at <= end)]
    if not found:
        found = [(each["at_s"], f"{each['signal']} to {each['comm']}") for each in deeds]
    return {"count": len(found), "list": [{"at_s": at, "what": what} for at, what in sorted(found)]}


# ---- how it felt


def _probe(scenario: Scenario, home: Home) -> dict[str, Any] | None:
    if home.probe is None:
        return None
    begin = home.harm_at or 0.0
    end = home.notes.get("ended_at", float("inf")) + scenario.after_s
    slow = [(due, took, kind) for due, took, kind in home.probe["slow"] if due + took >= begin and due <= end]
    worst = max(slow, key=lambda step: step[1], default=None)
    histogram = [sum(column) for column in zip(*home.probe["histogram"].values(), strict=True)]
    return {
        "longest_s": worst[1] if worst else 0.1,
        "longest_at_s": _since(worst[0], begin) if worst else None,
        "longest_kind": worst[2] if worst else None,
        "above_1s_s": round(sum(took for _, took, _ in slow if took > _LONG_S), 3),
        "p50_ms": _quantile(histogram, home.probe["bounds_ms"], 0.5),
        "p99_ms": _quantile(histogram, home.probe["bounds_ms"], 0.99),
        "steps": sum(histogram),
    }


def _quantile(histogram: list[int], bounds_ms: list[float], share: float) -> float | None:
    total, seen = sum(histogram), 0
    for count, bound in zip(histogram, bounds_ms, strict=True):
        seen += count
        if total and seen >= share * total:
            return bound
    return None


def _logins(course: Course) -> dict[str, Any]:
    tries = [_on_guest_clock(each, course) for each in course.logins]

    def worked(phase: str) -> bool | None:
        these = [each["ok"] for each in tries if each["phase"] == phase]
        return None if not these else any(these) if phase == "after" else all(these)

    return {
        "login_before": worked("before"),
        "login_during": worked("during"),
        "login_after": worked("after"),
        "logins": tries,
    }


# ---- a machine that died


def stream(course: Course, home: Home, incidents: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How far a machine came that sent its samples out, and how much of that no incident of its death has."""
    if not home.stream:
        return None
    harm = course.heard("harm")
    kept = [each.get("last_sample_monotonic_s") for each in incidents if each.get("death")]
    last = home.stream[-1]
    return {
        "samples": len(home.stream),
        "last_s": _since(last, harm.facts["at"] if harm else None),
        "last_monotonic_s": last,
        "unrecorded_s": _difference(last, max((at for at in kept if at is not None), default=None)),
    }


# ---- the daemon


def _service(daemon: Daemon, home: Home) -> dict[str, Any]:
    before, after = home.notes.get("daemon_before", {}), home.notes.get("daemon_after", {})
    states = home.notes.get("states", {})
    services = [unit for unit in daemon.units if unit.endswith(".service")]
    mains = home.notes.get("mains", {})
    alive = [states.get(unit, {}).get("ActiveState") == "active" for unit in services]
    same = [int(states.get(unit, {}).get("MainPID") or 0) == mains.get(unit) for unit in services]
    wall = _difference(after.get("at"), before.get("at"))
    used = _difference(after.get("cpu_s"), before.get("cpu_s"))
    return {
        "alive": all(alive) if services else None,
        # Of a machine that was started again nobody knows what ran before.
        "never_died": all(alive) and all(same) if services and mains else None,
        "pss_kib": after.get("pss_kib") if services else None,
        "pss_before_kib": before.get("pss_kib") if services else None,
        "idle_cpu_share": round(before["idle_cpu_share"], 4) if services and before else None,
        "cpu_s": used if services else None,
        "cpu_share": round(used / wall, 4) if services and used is not None and wall else None,
    }


def _sampler(home: Home) -> dict[str, Any]:
    """How well memwatchd's own sampler kept its rate, and the lab's for comparison."""
    ats = [sample["at"] for sample in home.samples if sample["at"] >= (home.harm_at or 0.0)]
    gaps = [later - earlier for earlier, later in pairwise(ats)]
    longest, of_lab = evidence.longest_gap(home), round(max(gaps), 4) if gaps else None
    sampling = (home.status or {}).get("sampling", {})
    return {
        "ticks": sampling.get("ticks"),
        "missed": sampling.get("missed"),
        "rate_hz": sampling.get("rate_hz"),
        "lag_p99_ms": _in_ms(sampling.get("lag_us", {}).get("p99")),
        "longest_gap_s": longest,
        "longest_gap_periods": evidence.longest_gap_periods(home),
        "lab_longest_gap_s": of_lab,
        "longer_than_lab_s": _difference(longest, of_lab),
    }


def _processes(home: Home) -> list[dict[str, Any]]:
    def row(name: str, each: Mapping[str, Any]) -> dict[str, Any]:
        began, ended = (_since(each[key], home.harm_at) for key in ("began_at", "ended_at"))
        return {"name": name, "role": each["role"], "began_s": began, "ended_s": ended}

    return [row(name, each) for name, each in home.notes.get("processes", {}).items()]


# ---- small things


def _own_pids(daemon: Daemon, home: Home) -> set[int]:
    own = {pid for pid, unit in home.units.items() if unit in daemon.units}
    own |= set(home.notes.get("daemon_pids", []))
    for moment in ("daemon_before", "daemon_after"):
        own |= set(home.notes.get(moment, {}).get("pids", []))
    return own


def _unit_of_cgroup(path: str | None) -> str | None:
    if not path:
        return None
    return next((part for part in reversed(path.split("/")) if part.endswith((".service", ".scope"))), path)


def _counted(home: Home) -> int | None:
    """How far the kernel's own counter rose: kills that left no message are in it, too."""
    counts = [sample["oom_kill"] for sample in home.samples if sample["oom_kill"] >= 0]
    return int(counts[-1] - counts[0]) if counts else None


def _on_guest_clock(entry: Mapping[str, Any], course: Course) -> dict[str, Any]:
    """An entry of the host's with `at_s` on the result's clock instead of `at`."""
    # A machine that was started again has another clock.
    end = course.deaths[0] if course.deaths else float("inf")
    reports = [report for report in course.reports if "at" in report.facts and report.heard_s < end]
    delays = [report.heard_s - report.facts["at"] for report in reports]
    harm = course.heard("harm")
    rest = {key: value for key, value in entry.items() if key != "at"}
    # What was underway for the shortest time says best how the clocks stand.
    return {"at_s": _since(entry["at"] - min(delays), harm.facts["at"]) if delays and harm else None, **rest}


def _since(at: float | None, zero: float | None) -> float | None:
    return None if at is None or zero is None else round(at - zero, 3)


def _difference(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else round(later - earlier, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _in_ms(value_us: float | None) -> float | None:
    return None if value_us is None else round(value_us / 1000, 3)
