"""How the daemon is doing, as a plain value and as text."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psutil

from memwatchd.errors import MemwatchdError, NotRunningError
from memwatchd.places import Places
from memwatchd.ring.file import open_ring
from memwatchd.ring.reader import segment_headers
from memwatchd.state import read_state
from memwatchd.views.text import columns, format_bytes, printable

_STALE_S = 10.0


def read_status(places: Places) -> dict[str, Any]:
    """Gather what `status --json` prints.

    Raises:
        NotRunningError: The daemon is not there, or has stopped renewing its state.
        FormatError: Its state file is damaged.
    """
    state = read_state(places.state)
    age_s = (time.monotonic_ns() - state["renewed_monotonic_ns"]) / 1e9
    if not psutil.pid_exists(state["pid"]):
        raise NotRunningError(f"memwatchd is not running: pid {state['pid']} of {places.state} is gone")
    processes = [
        {"role": role, **_process(state[key])}
        for role, key in (("service", "pid"), ("sampler", "sampler_pid"), ("exporter", "exporter_pid"))
        if state[key] is not None
    ]
    return {
        "program": state["program"],
        "started": datetime.fromtimestamp(state["started_realtime_ns"] / 1e9, UTC).isoformat(
            timespec="seconds"
        ),
        "responding": -_STALE_S < age_s < _STALE_S,
        "processes": processes,
        "sampling": state["sampling"],
        "ring": _ring(places),
        "kills": state["kills"],
        "kmsg": state["kmsg"],
        "incidents": state["incidents"],
        "black_box": state["black_box"],
        "rules": state["rules"],
        "log_lines_dropped": state["log_lines_dropped"],
        "log_lines_repeated": state["log_lines_repeated"],
        "degraded": state["degraded"],
    }


def _process(pid: int) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "pid": pid,
        "uptime_s": None,
        "cpu_share": None,
        "locked_bytes": None,
        "pss_bytes": None,
    }
    try:
        process = psutil.Process(pid)
        uptime_s = max(0.01, time.time() - process.create_time())
        times = process.cpu_times()
        facts["uptime_s"] = round(uptime_s, 1)
        facts["cpu_share"] = round((times.user + times.system) / uptime_s, 4)
        facts["locked_bytes"] = _locked_bytes(pid)
        facts["pss_bytes"] = process.memory_full_info().pss
    except psutil.Error:
        return facts  # another user's, or just ended: what is known by then is all there is
    return facts


def _locked_bytes(pid: int) -> int | None:
    """VmLck, which psutil does not know.

    Source: /proc/PID/status.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as lines:
            found = next((line.split()[1] for line in lines if line.startswith("VmLck:")), None)
    except OSError:
        return None
    return int(found) * 1024 if found else None


def _ring(places: Places) -> dict[str, Any]:
    facts: dict[str, Any] = {"path": str(places.ring), "size_bytes": None, "reach_s": None, "segments": None}
    try:
        ring = open_ring(places.ring)
    except MemwatchdError as error:
        return {**facts, "problem": str(error)}
    headers = segment_headers(ring)
    if headers:
        facts["reach_s"] = round((time.monotonic_ns() - headers[0].monotonic_ns) / 1e9, 1)
    return {**facts, "size_bytes": ring.header.file_bytes, "segments": len(headers)}


def render(status: dict[str, Any]) -> str:
    """Write the status as text, newline at the end."""
    return "\n".join(_lines(status)) + "\n"


def _lines(status: dict[str, Any]) -> Iterator[str]:
    program, sampling, ring = status["program"], status["sampling"], status["ring"]
    answering = "" if status["responding"] else ", but it has not renewed its state for a while"
    yield f"memwatchd {program['version']} runs since {status['started']}{answering}"
    yield ""
    yield from _processes(status["processes"])
    yield ""
    mood = f"{'armed' if sampling['armed'] else 'calm'}, budget {sampling['budget_pct']:g} % of a core"
    rate_hz, present_hz = sampling["rate_hz"] or 0, sampling["present_rate_hz"] or 0
    slower = f" (now {present_hz:g} Hz: more would take too much of this processor)" * (present_hz < rate_hz)
    ticks = f"{sampling['ticks']} ticks at {rate_hz:g} Hz{slower}"
    yield f"sampling  {ticks}, {sampling['missed']} missed, {mood}"
    for name in ("lag", "read"):
        figures = sampling[f"{name}_us"]
        if figures:
            yield f"  {name:6}  " + ", ".join(f"{which} {value:g} µs" for which, value in figures.items())
    rates = ", ".join(f"{name} {source['rate_hz']:g}" for name, source in sampling["sources"].items())
    yield f"  rates   {rates} Hz"
    if ring["reach_s"] is None:
        yield f"ring      {ring.get('problem', 'empty')}"
    else:
        yield f"ring      reaches back {ring['reach_s']:.0f} s in {format_bytes(ring['size_bytes'])}"
    kills, incidents = status["kills"], status["incidents"]
    yield (
        f"kills     {kills['global']} global, {kills['cgroup']} by cgroup limits, "
        f"{sampling['kills_counted']} counted, {status['kmsg']['lost']} kernel messages lost"
    )
    last = f", last {incidents['last']}" if incidents["last"] else ""
    yield f"incidents {incidents['written']} written{last}, in {incidents['directory']}"
    yield _black_box(status["black_box"])
    yield from _rules(status["rules"])
    for sentence in status["degraded"] or ["nothing"]:
        yield f"degraded  {printable(sentence)}"


def _black_box(box: dict[str, Any]) -> str:
    if not box["enabled"]:
        return "black box off"
    mood = "streaming" if box["streaming"] else "at rest" if box["ready"] else "not there"
    if not box["ready"]:
        return f"black box {mood}, {box['path']}"
    today, per_day = format_bytes(box["today_bytes"]), format_bytes(box["per_day_bytes"])
    return (
        f"black box {mood}, {today} of {per_day} written today, longest write {box['longest_write_ms']:g} ms"
        f", {box['left_out_segments']} segments left out, {box['path']}"
    )


def _rules(rules: list[dict[str, Any]]) -> Iterator[str]:
    """One line for each rule that has anything to tell."""
    yield f"rules     {len(rules)}, of which {sum(rule['active'] for rule in rules)} active"
    for rule in rules:
        if rule["fired"] or rule["held"]:
            done = (f"{each['action']} {each['verdict']} {each['count']} ×" for each in rule["outcomes"])
            counts = [f"fired {rule['fired']} ×", f"held back {rule['held']} ×", *done]
            yield f"  {rule['name']}{' (active)' if rule['active'] else ''}: {', '.join(counts)}"


def _processes(processes: list[dict[str, Any]]) -> list[str]:
    rows = [["", "pid", "up", "cpu", "locked", "pss"], *map(_process_row, processes)]
    return columns(rows, right=frozenset({1, 2, 3, 4, 5}))


def _process_row(process: dict[str, Any]) -> list[str]:
    uptime_s, cpu_share = process["uptime_s"], process["cpu_share"]
    return [
        process["role"],
        str(process["pid"]),
        "–" if uptime_s is None else f"{uptime_s:.0f} s",
        "–" if cpu_share is None else f"{cpu_share:.1%}",
        *(
            "–" if process[name] is None else format_bytes(process[name])
            for name in ("locked_bytes", "pss_bytes")
        ),
    ]
