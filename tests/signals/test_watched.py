"""The main signal of each watched source."""

from math import isnan
from typing import Any

import pytest
from tests.signals.conftest import make_desk

from memwatchd.signals.watched import watched_signal

PROCESS = {"pid": 4711, "comm": "rsync"}
STATM = {"name": "process/4711/statm", **PROCESS}
FDINFO = {"name": "process/4711/fdinfo/3", "target": "/srv/backup.img", **PROCESS}
USAGE = {"name": "cgroup/system.slice/app.service/memory.current", "cgroup": "/system.slice/app.service"}
USAGE_V1 = {"name": "cgroup/app/memory.usage_in_bytes", "cgroup": "/app"}


@pytest.mark.parametrize(
    ("entry", "name", "text", "value"),
    [
        (STATM, "rsync 4711 rss", b"5100 2500 900 1 0 700 0\n", 2500 * 4096),
        (STATM, "rsync 4711 rss", b"0 0 0 0 0 0 0\n", 0),
        (STATM, "rsync 4711 rss", b"", None),
        (STATM, "rsync 4711 rss", b"5100\n", None),
        (STATM, "rsync 4711 rss", b"5100 x 1\n", None),
        (FDINFO, "rsync 4711 /srv/backup.img", b"pos:\t31457280000\nflags:\t0100000\n", 31_457_280_000),
        (FDINFO, "rsync 4711 /srv/backup.img", b"", None),
        (USAGE, "cgroup /system.slice/app.service", b"2342912\n", 2_342_912),
        (USAGE, "cgroup /system.slice/app.service", b"", None),
        (USAGE_V1, "cgroup /app", b"4096\n", 4096),
    ],
)
def test_the_main_figure_of_what_is_watched(
    entry: dict[str, Any], name: str, text: bytes, value: float | None
) -> None:
    """The position in the file that rsync was copying would not stand beside the zone that ran out."""
    signal = watched_signal(entry)
    assert signal is not None
    assert (signal.name, signal.unit, signal.sources, signal.counter) == (
        name,
        "bytes",
        (entry["name"],),
        False,
    )
    read = signal.bind(make_desk({entry["name"]: text}, entries={entry["name"]: entry}).recording)()
    assert read == value or (value is None and isnan(read))


@pytest.mark.parametrize(
    "name",
    [
        "meminfo",
        "process/4711/status",
        "cgroup/app/memory.stat",
        "cgroup/app/memory.max",
        "process",
        "",
        "x/y/statm",
    ],
)
def test_other_sources_have_none(name: str) -> None:
    """A limit would be drawn as a usage."""
    assert watched_signal({"name": name}) is None
