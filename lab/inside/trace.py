"""The kernel's own record of who was sent a deadly signal by whom, and when: the same for every daemon.

Lines of the trace look like

    nohang-312  (    310) [001] d..1. 84.113220: signal_generate: sig=15 code=0 comm=eat pid=417 grp=1
    eat-417     (    417) [000] ..... 90.002113: mark_victim: pid=417

with thread, process and processor of who did it, and the monotonic clock in seconds. Where the kernel has no
tracing, or not these events, there is no trace, and all rests on the kernel's messages and the journal.
"""

import re
from contextlib import suppress
from pathlib import Path

_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_BUFFER_KIB = 256
_EVENTS = {
    # TERM, KILL, STOP, ABRT, CONT; not what a kernel thread or the tty does to nobody's harm.
    "signal/signal_generate": "sig == 15 || sig == 9 || sig == 19 || sig == 6 || sig == 18",
    "oom/mark_victim": None,
}
_LINE = re.compile(
    r"^\s*(?P<comm>.*)-(?P<pid>\d+)\s+(?:\(\s*(?P<process>[\d-]+)\)\s+)?\[\d+\]\s+\S+\s+"
    r"(?P<at>\d+\.\d+): (?P<event>\w+): (?P<facts>.*)$"
)
_FACT = re.compile(r"(\w+)=(.*?)(?= \w+=|$)")


def begin() -> bool:
    """Switch tracing on; false where it cannot be."""
    place = _place()
    if place is None:
        return False
    with suppress(OSError):
        (place / "trace_clock").write_text("mono")
        with suppress(OSError):  # else a thread stands for its process
            (place / "options/record-tgid").write_text("1")
        (place / "buffer_size_kb").write_text(str(_BUFFER_KIB))
        for event, condition in _EVENTS.items():
            directory = place / "events" / event
            if condition:
                (directory / "filter").write_text(condition)
            (directory / "enable").write_text("1")
        (place / "tracing_on").write_text("1")
        return True
    return False


def text() -> str:
    """What has been recorded."""
    place = _place()
    if place is None:
        return ""
    with suppress(OSError):
        return (place / "trace").read_text(errors="replace")
    return ""


def parse(content: str) -> list[dict[str, object]]:
    """Trace lines: `at` (seconds), `event`, `by`, `by_pid` (who), `comm`, `pid` (to whom), `sig`, `code`."""
    found: list[dict[str, object]] = []
    for line in content.splitlines():
        match = _LINE.match(line)
        if match is None or line.startswith("#"):
            continue
        facts = dict(_FACT.findall(match["facts"]))
        if not facts.get("pid", "").isdigit():
            continue
        entry: dict[str, object] = {
            "at": float(match["at"]),
            "event": match["event"],
            "pid": int(facts["pid"]),
        }
        process = match["process"] or ""
        by_pid = int(process if process.isdigit() else match["pid"])
        entry |= {"by": match["comm"].strip(), "by_pid": by_pid, "comm": facts.get("comm")}
        entry |= {
            name: int(facts[name]) if facts.get(name, "").isdigit() else None for name in ("sig", "code")
        }
        found.append(entry)
    return found


def _place() -> Path | None:
    return next((place for place in _PLACES if (place / "trace_clock").exists()), None)
