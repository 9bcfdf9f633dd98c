"""What stands in the panels of those who act: processes, cgroups, rules; and what came of it, events."""

from memwatchd.config.conditions import format_value
from memwatchd.views.live.clock import time_text
from memwatchd.views.live.frame import Cgroup, Frame, Happening, Process, RuleState, Sort, Watched
from memwatchd.views.live.lines import Style, bar, growth_style, growth_text, share_text, size_text
from memwatchd.views.live.rows import Column, Rows

# From here on the engine calls a rule near, see `memwatchd.rules.program`.
_NEAR = 0.8


# -- processes, cgroups ------------------------------------------------------------------------------------


def processes(frame: Frame) -> Rows[Process]:
    """The process table, the largest first."""
    files = {each.pid: each for each in frame.watched}
    return Rows(
        (
            Column("pid", 7, lambda row: str(row.pid), lambda row: row.pid, descends=False),
            Column("name", 0, lambda row: row.name, lambda row: row.name, descends=False, right=False),
            Column("size", 8, lambda row: size_text(row.size_bytes), lambda row: row.size_bytes),
            Column("swap", 8, lambda row: size_text(row.swap_bytes), lambda row: row.swap_bytes, rank=4),
            Column(
                "growth",
                12,
                lambda row: growth_text(row.growth_bytes_per_s),
                lambda row: row.growth_bytes_per_s,
                style=lambda row: growth_style(row.growth_bytes_per_s, row.size_bytes),
                rank=1,
            ),
            Column("cpu", 5, lambda row: share_text(row.cpu_share), lambda row: row.cpu_share, rank=3),
            Column("adj", 5, _adj, lambda row: row.oom_score_adj, rank=2),
            Column("S", 1, lambda row: row.state or "–", rank=5),
            Column("file", 24, lambda row: _file(files.get(row.pid)), right=False, rank=7),
            Column(
                "cgroup",
                30,
                lambda row: row.cgroup or "–",
                lambda row: row.cgroup,
                right=False,
                rank=6,
                tail=True,
            ),
        ),
        frame.processes,
        lambda row: f"{row.pid} {row.name} {row.cgroup or ''}",
        "size",
    )


def _adj(row: Process) -> str:
    return "–" if row.oom_score_adj is None else str(row.oom_score_adj)


def _file(watched: Watched | None) -> str:
    return "" if watched is None else f"{size_text(watched.position_bytes)} {watched.file.rpartition('/')[2]}"


def cgroups(frame: Frame) -> Rows[Cgroup]:
    """Watched cgroups against their limits, and those the processes are in."""
    return Rows(
        (
            Column("cgroup", 0, _path, lambda row: row.path, descends=False, right=False, tail=True),
            Column("used", 8, lambda row: size_text(row.used_bytes), lambda row: row.used_bytes),
            Column("limit", 8, lambda row: size_text(row.limit_bytes), lambda row: row.limit_bytes, rank=1),
            Column(
                "share", 5, lambda row: share_text(_limit_share(row)), _limit_share, style=_limited, rank=2
            ),
            Column(
                "growth",
                12,
                lambda row: growth_text(row.growth_bytes_per_s),
                lambda row: row.growth_bytes_per_s,
                style=lambda row: growth_style(row.growth_bytes_per_s, row.used_bytes),
                rank=3,
            ),
            Column("swap", 8, lambda row: size_text(row.swap_bytes), lambda row: row.swap_bytes, rank=4),
            Column("procs", 5, lambda row: _count(row.processes), lambda row: row.processes, rank=5),
            Column("kills", 5, lambda row: _count(row.kills), lambda row: row.kills, rank=6),
        ),
        frame.cgroups,
        lambda row: row.path,
        "used",
    )


def _path(row: Cgroup) -> str:
    return f"*{row.path}" if row.is_watched else f" {row.path}"


def _limit_share(row: Cgroup) -> float | None:
    return row.used_bytes / row.limit_bytes if row.used_bytes is not None and row.limit_bytes else None


def _limited(row: Cgroup) -> Style:
    share = _limit_share(row) or 0.0
    return Style.BAD if share >= 0.95 else Style.WARN if share >= 0.8 else Style.PLAIN


def _count(count: float | None) -> str:
    return "–" if count is None else f"{count:,.0f}"


# -- rules, events -----------------------------------------------------------------------------------------


def rules(frame: Frame) -> Rows[RuleState]:
    """Rules, the nearest first."""
    return Rows(
        (
            Column("rule", 20, lambda row: row.name, lambda row: row.name, descends=False, right=False),
            Column("near", 5, lambda row: share_text(row.share), lambda row: row.share, style=_near),
            Column("", 8, lambda row: bar(row.share, 8), right=False, style=_near, rank=2),
            Column("state", 9, _state, lambda row: row.holds_s, right=False, style=_near, rank=1),
            Column("fired", 5, lambda row: _count(row.fired), lambda row: row.fired, rank=4),
            Column("by", 0, _by, right=False, rank=3),
        ),
        frame.rules,
        lambda row: row.name,
        "near",
    )


def _state(row: RuleState) -> str:
    if row.active:
        return "ACTIVE"
    if row.holds_s is not None:
        return f"{row.holds_s:.1f}/{row.for_s:g} s" if row.for_s else "true"
    if row.share is None:
        return "rests"
    return "near" if row.share >= _NEAR else "dry run" if row.dry_run else ""


def _near(row: RuleState) -> Style:
    if row.active or row.holds_s is not None:
        return Style.BAD
    if row.share is None:
        return Style.DIM
    return Style.WARN if row.share >= _NEAR else Style.PLAIN


def _by(row: RuleState) -> str:
    """The comparison that decides, with its figures."""
    present = "not there" if row.present is None else format_value(row.present, row.dimension)
    bound = "?" if row.bound is None else format_value(row.bound, row.dimension)
    return f"{present}, wants {row.comparator} {bound}: {row.what}"


def events(frame: Frame) -> Rows[Happening]:
    """What happened, the newest first."""
    return Rows(
        (
            Column("time", 13, lambda row: time_text(frame, row.at_ns), lambda row: row.at_ns, right=False),
            Column("what", 0, lambda row: row.text, right=False, style=_event),
        ),
        frame.happenings,
        lambda row: row.text,
        "time",
    )


def _event(row: Happening) -> Style:
    if row.sort is Sort.KILL:
        return Style.BAD
    return Style.WARN if row.sort in (Sort.RULE, Sort.ACTION) else Style.PLAIN
