"""Lines that may be in the log, and lines that may not."""

from pathlib import Path

import pytest
from soak.log import LogWatch

EXPECTED = """\
memwatchd: INFO: sampling vmstat, meminfo, pressure, buddyinfo, zoneinfo, slabinfo, zram/zram0
memwatchd: INFO: the configuration has been read anew
memwatchd: WARNING: incident: soak asks: /tmp/x/incidents/20261121T171552.380Z-requested.mwi
memwatchd: WARNING: rule soak-kill: cgroup."/x".usage (33 MiB) is above 32MiB
memwatchd: INFO: rule soak-kill: kill: helped: soak-leak (pid 341) is dead by SIGKILL after 14.9 ms
memwatchd: WARNING: rule little-time-left: time_to(meminfo.MemAvailable, 0) (8 s) is below 10s
"""


@pytest.fixture
def watch(tmp_path: Path) -> LogWatch:
    path = tmp_path / "log"
    path.write_text("memwatchd: WARNING: degraded: oom_score_adj -999: Permission denied\n")
    watch = LogWatch(path)
    watch.read(starting=True)
    return watch


def append(watch: LogWatch, text: str) -> None:
    with watch.path.open("a") as file:
        file.write(text)
    watch.read()


def test_what_the_run_gives_cause_for_is_expected(watch: LogWatch) -> None:
    """Every run would fail for its own doing."""
    append(watch, EXPECTED)
    append(watch, "memwatchd: WARNING: degraded: oom_score_adj -999: Permission denied\n")
    assert (watch.unexpected, watch.failures, watch.lines) == ([], [], 8)


@pytest.mark.parametrize(
    "line",
    [
        "memwatchd: ERROR: the sampler died with status -9; the ring is kept and another one is started",
        "memwatchd: WARNING: degraded: mlockall: Cannot allocate memory",
        "Traceback (most recent call last):",
        "memwatchd: WARNING: the exporter ended with status 1",
    ],
)
def test_anything_else_is_not(watch: LogWatch, line: str) -> None:
    """A death in the middle of the night would be overlooked among thousands of lines."""
    append(watch, EXPECTED + line + "\n" + EXPECTED)
    assert watch.unexpected == [line]


def test_actions_that_fail_are_told_apart(watch: LogWatch) -> None:
    """A kill that comes too late would pass as one more line of a rule."""
    line = "memwatchd: WARNING: rule soak-kill: kill: timed out: it was not done by its deadline"
    append(watch, line + "\n")
    assert (watch.unexpected, watch.failures) == ([], [line])


def test_half_a_line_is_waited_for(watch: LogWatch) -> None:
    """What is being written at that moment would be taken for something unexpected."""
    append(watch, "memwatchd: INFO: the configuration has ")
    append(watch, "been read anew\n")
    assert watch.unexpected == []
