"""An incident's summary as text for a terminal of 80 columns and more."""

from collections.abc import Iterator
from typing import Any

from memwatchd.views.events import event_line
from memwatchd.views.text import columns, format_bytes, format_value, printable, sparkline

_EVENTS_SHOWN = 12
_GAPS_SHOWN = 3


def render(summary: dict[str, Any]) -> str:
    """Write a summary (see `summary.summarise`) as text, newline at the end."""
    # Much of it is strangers' words; a forged incident may hold them anywhere.
    return "\n".join(map(printable, _lines(summary))) + "\n"


def _lines(summary: dict[str, Any]) -> Iterator[str]:
    trigger, host = summary["trigger"], summary["host"]
    yield f"{summary['name']}{'' if summary['complete'] else '   (aftermath not in yet)'}"
    detail = printable(trigger["detail"] or "for an unknown reason")
    yield f"{trigger['time'] or 'at an unknown time'}   {detail}"
    yield printable(
        f"{host.get('hostname', '?')}, {host.get('os') or 'Linux'}, kernel {host.get('kernel', '?')}"
    )
    if summary["verdict"] is not None:
        yield f"Why: {summary['verdict']['summary']}  (memwatchd explain {summary['name']})"
    for problem in summary["problems"]:
        yield f"damaged: {problem}"
    yield ""
    yield from _death(summary["death"])
    yield from _kills(summary)
    yield from _samples(summary["samples"])
    yield ""
    yield from _figures(summary)
    yield from _slabs(summary["slab_growth"])
    yield from _processes(summary["process_growth"])
    yield from _events(summary["events"])
    for sentence in summary["degraded"]:
        yield f"degraded: {printable(sentence)}"


def _death(death: dict[str, Any] | None) -> Iterator[str]:
    """How much of the end is not there."""
    if death is None:
        return
    gap_s = death["unrecorded_s_at_most"]
    if gap_s is None:
        yield f"Next start at {death['next_start'] or 'an unknown time'}: the clock was set meanwhile"
    else:
        yield f"Next start {gap_s:.1f} s after the last sample, by the clock: no more than that is missing"
    if death["every_ms"] is not None:
        longest_ms = death["longest_write_ms"]
        took = "" if longest_ms is None else f", the longest write took {longest_ms:g} ms"
        yield f"  written every {death['every_ms']:g} ms{took}: as long as the daemon ran, no more is missing"
    if death["missing_extents"] or death["damaged_extents"]:
        missing, damaged = death["missing_extents"] or 0, death["damaged_extents"] or 0
        yield f"  of {(death['extents'] or 0) + missing} pieces {missing} are missing, {damaged} were damaged"
    if death["wrapped"]:
        yield "  the black box had come round: what was in it first is overwritten"
    if death["spent"]:
        yield "  it had written all it may write in a day before the end"
    yield ""


def _kills(summary: dict[str, Any]) -> Iterator[str]:
    if summary["kills"]:
        yield "Killed by the kernel"
        rows = [
            [
                f"  {kill['at_s']:+.3f} s",
                str(kill["pid"]),
                printable(kill["comm"]),
                _victim_memory(kill["amounts_kib"]),
                printable(kill["limit_cgroup"] or _scope(kill["scope"])),
            ]
            for kill in summary["kills"]
        ]
        yield from columns(rows, right=frozenset({0, 1}))
    for source, rise in summary["counters"].items():
        yield f"  {source}: oom_kill rose by {rise}"
    for sentence in summary["disagreements"]:
        yield f"  they disagree: {printable(sentence)}"
    if summary["kills"] or summary["counters"]:
        yield ""


def _scope(scope: str | None) -> str:
    return {"global": "the machine", "cgroup": "its cgroup"}.get(scope or "", "not said")


def _victim_memory(amounts_kib: dict[str, int]) -> str:
    anon = amounts_kib.get("anon-rss")
    return f"{format_bytes(anon * 1024)} anonymous" if anon is not None else "–"


def _samples(samples: dict[str, Any]) -> Iterator[str]:
    if not samples["count"]:
        yield "No samples"
        return
    yield (
        f"{samples['count']} samples from {samples['from_s']:+.1f} s to {samples['to_s']:+.1f} s, "
        f"{samples['missed']} missed, longest gap {samples['longest_gap_s'] * 1000:.0f} ms"
    )
    longest = sorted(samples["gaps"], key=lambda gap: -float(gap["length_s"]))[:_GAPS_SHOWN]
    for gap in sorted(longest, key=lambda gap: float(gap["at_s"])):
        yield f"  gap of {gap['length_s'] * 1000:.0f} ms at {gap['at_s']:+.3f} s, {gap['missed']} missed"


def _figures(summary: dict[str, Any]) -> Iterator[str]:
    rows = [["", "", "first", "at zero", "last"]]
    rows += [
        [
            printable(figure["name"]),
            sparkline(figure["run"]),
            *(format_value(figure[when], figure["unit"]) for when in ("first", "at_trigger", "last")),
        ]
        for figure in summary["figures"]
        if figure["min"] != 0 or figure["max"] != 0
    ]
    if len(rows) == 1:
        return
    samples = summary["samples"]
    width = len(summary["figures"][0]["run"])
    span = samples["to_s"] - samples["from_s"]
    zero = round(-samples["from_s"] / span * width) if span > 0 else width
    rows[0][1] = ("─" * min(max(zero, 0), width - 1) + "┼").ljust(width, "─")
    yield from columns(rows, right=frozenset({2, 3, 4}))


def _slabs(caches: list[dict[str, Any]]) -> Iterator[str]:
    rows = [
        [
            f"  {printable(cache['cache'])}",
            format_bytes(cache["from_bytes"]),
            "→",
            format_bytes(cache["to_bytes"]),
        ]
        for cache in caches
        if "cache" in cache
    ]
    if rows:
        yield ""
        yield "Slab caches that grew"
        yield from columns(rows, right=frozenset({1, 3}))


def _processes(processes: list[dict[str, Any]]) -> Iterator[str]:
    rows = [
        [
            f"  {process['pid']}",
            printable(process["comm"] or "?"),
            format_bytes(process["from_bytes"]),
            "→",
            format_bytes(process["to_bytes"]),
            printable(process["cgroup"] or ""),
        ]
        for process in processes
    ]
    if rows:
        yield ""
        yield "Processes that grew"
        yield from columns(rows, right=frozenset({2, 4}))


def _events(events: list[dict[str, Any]]) -> Iterator[str]:
    if not events:
        return
    yield ""
    yield "What the recorder noticed"
    lines = [(event["at_s"], event_line(event)) for event in events]
    lines = [(at_s, line) for at_s, line in lines if line]
    for at_s, line in lines[:_EVENTS_SHOWN]:
        yield printable(f"  {at_s:+.3f} s  {line}")
    if len(lines) > _EVENTS_SHOWN:
        yield f"  … and {len(lines) - _EVENTS_SHOWN} more (show --json has them all)"
