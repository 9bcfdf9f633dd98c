"""All metrics, in one table: the page, its description in docs/metrics.md and the tests are made from it.

Names are in base units, counters end in ``_total`` and are there with 0 from the start. What node_exporter
gives (meminfo, vmstat, pressure) is not given again: here are the extremes between scrapes, which only a
recorder at full rate can know, and how the recorder itself does.
"""

from collections.abc import Iterator

from memwatchd.exporter import readers as read
from memwatchd.exporter.metric import Metric, Type
from memwatchd.ring.board import BoardFigures, Slot

_C, _G, _H = Type.COUNTER, Type.GAUGE, Type.HISTOGRAM
_WINDOW = ("window",)
_WINDOWS = "2 windows"
_ZONES = "zones of the machine, at most 64"
_NS = 1e-9

PRESENCE = (
    Metric("up", _G, "1 while the sampler samples.", read.one(lambda view: float(view.alive))),
    Metric("service_up", _G, "1 while the service renews its state.", read.one(read.service_up)),
    Metric(
        "start_time_seconds",
        _G,
        "When the service was started, in seconds since 1970.",
        read.said("started_realtime_ns", factor=_NS),
    ),
    Metric("build_info", _G, "Constant 1.", read.build, ("version", "python"), "1"),
    Metric("degraded", _G, "How many functions do not work here as they should.", read.one(read.degraded)),
    Metric(
        "degraded_reason",
        _G,
        "1 for each of them, in the words of memwatchd status; figures stand as N.",
        read.reasons,
        ("reason",),
        "at most 20",
    ),
    Metric(
        "config_reloads_total",
        _C,
        "Reloads of the configuration that were taken, or refused.",
        read.said_of_each("config", "reloads"),
        ("outcome",),
        "2",
    ),
    Metric(
        "config_last_reload_successful",
        _G,
        "0 while the last reload was refused: the file is not what runs.",
        read.said("config", "last_successful"),
    ),
    Metric(
        "config_last_reload_success_timestamp_seconds",
        _G,
        "When the configuration that runs was read, in seconds since 1970.",
        read.said("config", "taken_realtime_ns", factor=_NS),
    ),
    Metric(
        "log_lines_dropped_total",
        _C,
        "Log lines thrown away because whoever writes them down was too slow.",
        read.said("log_lines_dropped"),
    ),
)

MEMORY = (
    Metric(
        "available_min_bytes",
        _G,
        "The least MemAvailable there was in any sample of the window.",
        read.lowest("available"),
        _WINDOW,
        _WINDOWS,
    ),
    Metric(
        "zone_headroom_bytes",
        _G,
        "Free pages of a zone above its min watermark; below 0 whoever allocates has to reclaim himself.",
        read.zones_now,
        ("node", "memory_zone"),
        _ZONES,
    ),
    Metric(
        "zone_headroom_min_bytes",
        _G,
        "The least of it in any sample of the window.",
        read.zones_lowest,
        ("node", "memory_zone", "window"),
        f"{_ZONES}, by {_WINDOWS}",
    ),
    Metric(
        "stall_ratio_max",
        _G,
        "The largest share of a second in which some task, or all of them (full), waited for memory.",
        read.stalls,
        ("kind", "window"),
        f"2 kinds, by {_WINDOWS}",
    ),
    Metric(
        "time_to_exhaustion_seconds",
        _G,
        "Time until nothing is available at the trend of ten seconds; +Inf while it does not shrink.",
        read.one(read.time_left),
    ),
    Metric(
        "time_to_exhaustion_min_seconds",
        _G,
        "The least of it at any sample of the window.",
        read.lowest("time_left"),
        _WINDOW,
        _WINDOWS,
    ),
    Metric(
        "unaccounted_bytes",
        _G,
        "Memory in no list and no counter of the kernel: balloons, GPUs, drivers, leaks.",
        read.signal("unaccounted"),
    ),
    Metric(
        "fragmentation_ratio",
        _G,
        "Share of free memory in blocks smaller than 2^order pages: of no use to whoever needs one of these.",
        read.fragmentation,
        ("order",),
        "2 orders",
    ),
    Metric(
        "slab_cache_growth_bytes",
        _G,
        "By how much a cache of the kernel grew in five minutes; the five that grew most, by 1 MiB or more.",
        read.growing(2),
        ("cache",),
        "at most 5 at a time",
    ),
    Metric(
        "slab_cache_bytes",
        _G,
        "What the same caches take.",
        read.growing(1),
        ("cache",),
        "at most 5 at a time",
    ),
)

SAMPLING = (
    Metric("ticks_total", _C, "Ticks in which sources were read.", read.slot(Slot.TICKS)),
    Metric("ticks_missed_total", _C, "Ticks that did not happen.", read.slot(Slot.MISSED)),
    Metric(
        "ticks_armed_total",
        _C,
        "Ticks at full rate, because memory was in danger.",
        read.slot(Slot.ARMED_TICKS),
    ),
    Metric("armed", _G, "1 while memory is in danger.", read.slot(Slot.ARMED)),
    Metric(
        "tick_lag_seconds",
        _H,
        "How far behind its deadline a tick began.",
        read.histogram(lambda board: board.lag),
    ),
    Metric(
        "tick_read_seconds",
        _H,
        "How long reading the sources of a tick took.",
        read.histogram(lambda board: board.read),
    ),
    Metric(
        "tick_lag_max_seconds",
        _G,
        "The longest a tick began behind its deadline within the window.",
        read.highest("lag"),
        _WINDOW,
        _WINDOWS,
    ),
    Metric(
        "source_rate_hertz",
        _G,
        "How often a source is read now; the governor decides.",
        read.of_sources("rate_hz"),
        ("source",),
        "what is sampled and watched, at most 128",
    ),
    Metric(
        "source_reads_total",
        _C,
        "Readings of a source.",
        read.of_sources("reads"),
        ("source",),
        "as above",
    ),
    Metric(
        "source_errors_total",
        _C,
        "Readings of a source that the kernel refused.",
        read.of_sources("errors"),
        ("source",),
        "as above",
    ),
    Metric(
        "source_cost_seconds",
        _G,
        "Mean time of one reading of a source.",
        read.of_sources("cost_us", 1e-6),
        ("source",),
        "as above",
    ),
    Metric(
        "governor_budget_ratio",
        _G,
        "Share of one core the governor keeps sampling to now.",
        read.slot(Slot.BUDGET_PPM, 1e-6),
    ),
    Metric("sampler_cpu_seconds_total", _C, "CPU time of the sampler.", read.slot(Slot.CPU_NS, _NS)),
    Metric("sampler_restarts_total", _C, "Samplers started after the first.", read.slot(Slot.RESTARTS)),
    Metric(
        "sampler_page_faults_total",
        _C,
        "Page faults of the sampler since its warm-up; there should be none.",
        lambda view: _faults(view.board),
        ("kind",),
        "2",
    ),
    Metric(
        "samples_oversize_total",
        _C,
        "Samples whose texts did not fit into a segment of the ring.",
        read.slot(Slot.OVERSIZE),
    ),
)

RULES = (
    Metric(
        "rule_active",
        _G,
        "1 from a rule's firing until it has cleared.",
        read.of_rules("active"),
        ("rule",),
        "rules, at most 256",
    ),
    Metric(
        "rule_dry_run",
        _G,
        "1 for a rule that only says what it would do.",
        read.of_rules("dry_run"),
        ("rule",),
        "as above",
    ),
    Metric(
        "rule_fired_total", _C, "How often a rule has fired.", read.of_rules("fired"), ("rule",), "as above"
    ),
    Metric(
        "rule_held_total",
        _C,
        "How often a rule was held back, by its cooldown or its limit.",
        read.of_rules("held"),
        ("rule",),
        "as above",
    ),
    Metric(
        "actions_total",
        _C,
        "Actions by what came of them.",
        read.actions,
        ("action", "verdict"),
        "actions in use, by 6 verdicts",
    ),
    Metric(
        "action_duration_seconds",
        _H,
        "How long an action took, from the rule's decision to its end or its deadline.",
        read.action_times,
        ("action",),
        "actions in use",
    ),
)

EVENTS = (
    Metric(
        "kills_total",
        _C,
        "Kills the kernel told of, by whose limit it was.",
        read.said_of_each("kills"),
        ("scope",),
        "3",
    ),
    Metric("kills_counted_total", _C, "Rises of the kernel's oom_kill counters.", read.slot(Slot.KILLS_SEEN)),
    Metric(
        "incidents_total",
        _C,
        "Incidents written, by what they are about.",
        read.said_of_each("incidents", "by_kind"),
        ("kind",),
        "5",
    ),
    Metric(
        "kmsg_readable",
        _G,
        "1 while the kernel's messages can be read; without them nobody knows who was killed.",
        read.said("kmsg", "readable"),
    ),
    Metric("kmsg_lost_total", _C, "Kernel messages lost unread.", read.said("kmsg", "lost")),
)

BLACK_BOX = (
    Metric("black_box_ready", _G, "1 while the black box's file is there.", read.said("black_box", "ready")),
    Metric(
        "black_box_streaming",
        _G,
        "1 while samples go to disk, because memory is in danger.",
        read.said("black_box", "streaming"),
    ),
    Metric(
        "black_box_written_bytes_total",
        _C,
        "Written to its file since that was made.",
        read.said("black_box", "written_bytes"),
    ),
    Metric(
        "black_box_longest_write_seconds",
        _G,
        "The longest a write has taken since the file was opened.",
        read.said("black_box", "longest_write_ms", factor=1e-3),
    ),
    Metric("black_box_errors_total", _C, "Writes the disk refused.", read.said("black_box", "errors")),
    Metric(
        "black_box_left_out_segments_total",
        _C,
        "Segments that were overwritten before the disk had taken them.",
        read.said("black_box", "left_out_segments"),
    ),
)

EXPORTER = (
    Metric(
        "exporter_requests_total",
        _C,
        "Requests answered, by the first digit of the status.",
        read.requests,
        ("code",),
        "3",
    ),
    Metric("exporter_clients", _G, "Connections open now.", read.one(lambda view: view.own.clients)),
    Metric(
        "exporter_clients_turned_away_total",
        _C,
        "Connections closed unanswered: too slow, or the oldest of too many.",
        read.one(lambda view: view.own.turned_away),
    ),
    Metric(
        "exporter_segments_missed_total",
        _C,
        "Segments of the ring that were overwritten before they were read; extremes may be missing.",
        read.one(lambda view: view.own.segments_missed),
    ),
    Metric("exporter_cpu_seconds_total", _C, "CPU time of the exporter.", read.one(lambda view: view.cpu_s)),
)

SECTIONS = {
    "Is it there, and well": PRESENCE,
    "Memory, between the scrapes": MEMORY,
    "Sampling": SAMPLING,
    "Rules and actions": RULES,
    "Kills and incidents": EVENTS,
    "The black box": BLACK_BOX,
    "The exporter itself": EXPORTER,
}
METRICS = tuple(metric for section in SECTIONS.values() for metric in section)


def markdown() -> str:
    """The table as it stands in docs/metrics.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for title, metrics in SECTIONS.items():
        yield from ("", f"### {title}", "", "| metric | type | labels | |", "|---|---|---|---|")
        for metric in metrics:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            bound = f" ({metric.bound})" if metric.bound else ""
            yield f"| `{metric.full_name}` | {metric.type} | {labels}{bound} | {metric.help} |"


def _faults(board: BoardFigures | None) -> Iterator[tuple[tuple[str, ...], float]]:
    if board is not None:
        yield ("minor",), float(board[Slot.MINOR_FAULTS])
        yield ("major",), float(board[Slot.MAJOR_FAULTS])
