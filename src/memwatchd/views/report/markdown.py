"""A story as Markdown for a ticket: the verdict and findings as ``explain`` has them, and a small table."""

from collections.abc import Iterator

from memwatchd.views.explain.markdown import escaped, render
from memwatchd.views.explain.words import headline
from memwatchd.views.report.curves import Panel, extremes, first_value, value_at
from memwatchd.views.report.markers import Sort
from memwatchd.views.report.story import Story
from memwatchd.views.text import format_bytes, format_value

_EVENTS = 20
_PROCESSES = 10
# Panels by the beginnings of their keys, and how many of each; the page has all of them.
_PANELS = {"memory": 1, "zone-": 1, "stall": 1, "reclaim": 1, "swap": 1, "cgroup-": 2, "process-": 2}


def render_markdown(story: Story) -> str:
    """Write the report as GitHub-flavoured Markdown, newline at the end."""
    return "\n".join(_lines(story)) + "\n"


def _lines(story: Story) -> Iterator[str]:
    summary = story.summary
    host = summary["host"]
    if story.diagnosis is None:
        yield f"## {escaped(story.headline)}"
    else:
        if story.headline != story.diagnosis.verdict.summary:
            # It is about more than the kill, which is explained below.
            yield f"# {escaped(headline(story.headline)[0])}"
            yield ""
        yield from render(story.diagnosis)
        if story.is_of_a_kill:
            yield ""
            yield "### Was the right one killed?"
            yield ""
            yield escaped(story.victim[1])
    yield ""
    when = summary["trigger"]["time"] or "at an unknown time"
    words = (story.name, str(host.get("hostname", "?")), when, f"kernel {host.get('kernel', '?')}")
    yield ", ".join(map(escaped, words))
    yield from _figures(story)
    yield from _happened(story)
    yield from _processes(story)
    yield from (f"\n{escaped(sentence)}" for sentence in summary["degraded"])


def _figures(story: Story) -> Iterator[str]:
    course = story.course
    if course is None:
        return
    yield ""
    yield "### What was recorded"
    yield ""
    yield (
        f"{course.samples:,} samples from {course.from_s:+.1f} s to {course.to_s:+.1f} s, "
        f"{story.summary['samples']['missed']:,} missed."
    )
    yield ""
    yield "| | first | lowest | at | highest | at | at zero | last |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for start, most in _PANELS.items():
        for panel in [each for each in course.panels if each.key.startswith(start)][:most]:
            yield from _panel(panel)


def _panel(panel: Panel) -> Iterator[str]:
    rows = []
    for curve in panel.curves:
        found = extremes(panel, curve)
        # What never moved from zero says nothing.
        if found is None or (found[0][1] == 0 and found[1][1] == 0):
            continue
        (low_s, low), (high_s, high) = found
        ends = (first_value(curve), value_at(panel, curve, 0.0), value_at(panel, curve, panel.times_s[-1]))
        first, zero, last = (format_value(each, curve.unit) for each in ends)
        cells = (
            *(first, format_value(low, curve.unit), f"{low_s:+.2f} s"),
            *(format_value(high, curve.unit), f"{high_s:+.2f} s", zero, last),
        )
        rows.append(f"| {escaped(curve.name)} | {' | '.join(cells)} |")
    if rows:
        yield f"| **{escaped(panel.title)}** | | | | | | | |"
        yield from rows


def _happened(story: Story) -> Iterator[str]:
    told = [marker for marker in story.markers if marker.sort is not Sort.GAP]
    if not told:
        return
    yield ""
    yield "### What happened when"
    yield ""
    for marker in told[-_EVENTS:]:
        yield f"- {marker.at_s:+.3f} s, {marker.sort}: {escaped(marker.text)}"
    if len(told) > _EVENTS:
        yield f"- … and {len(told) - _EVENTS} before"


def _processes(story: Story) -> Iterator[str]:
    rows = story.processes.rows[:_PROCESSES]
    if not rows:
        return
    yield ""
    yield f"### The largest of {story.processes.count} processes"
    yield ""
    yield "| pid | name | resident | in swap | oom_score_adj | cgroup | |"
    yield "|--:|---|--:|--:|--:|---|---|"
    for row in rows:
        sizes = (
            "–" if kib is None else format_bytes(kib * 1024) for kib in (row.resident_kib, row.swapped_kib)
        )
        adj = "–" if row.oom_score_adj is None else str(row.oom_score_adj)
        cells = (
            *(str(row.pid), escaped(row.name), *sizes, adj, escaped(row.cgroup or "–")),
            "killed" if row.is_victim else "",
        )
        yield f"| {' | '.join(cells)} |"
