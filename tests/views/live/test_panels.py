"""Panels: from a frame to lines, without a terminal."""

from dataclasses import replace

import pytest

from memwatchd.views.live.frame import Frame
from memwatchd.views.live.lines import Style, cells, plain
from memwatchd.views.live.panels import BY_KEY, PANELS, Panel
from memwatchd.views.live.rows import View


def drawn(frame: Frame, key: str, width: int = 76, height: int = 8, view: View | None = None) -> list[str]:
    lines = BY_KEY[key].draw(frame, view or View(), width, height)
    return [plain(line).rstrip() for line in lines if plain(line).strip()][1:]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel.key))
@pytest.mark.parametrize("width", [1, 20, 39, 80, 300])
@pytest.mark.parametrize("height", [1, 3, 12])
def test_a_panel_keeps_to_its_size(frame: Frame, panel: Panel, width: int, height: int) -> None:
    """One panel would push another off the screen."""
    for each in (frame, Frame("", "", 0, None, None, 0, 0, 1.0, 0.0, 0)):
        lines = panel.draw(each, View(), width, height)
        assert [cells(plain(line)) for line in lines] == [width] * height


def test_memory_adds_up_and_says_what_is_left(frame: Frame) -> None:
    """Nobody could see where memory went."""
    assert drawn(frame, "memory") == [
        "available 100 MiB of 0.977 GiB, no swap",
        "part                                      size share                  growth",
        "anonymous                              700 MiB   70% ███████        +5 MiB/s",
        "free                                   200 MiB   20% ██                    –",
        "page cache                             100 MiB   10% █              -3 MiB/s",
    ]


def test_the_tightest_zone_comes_first(frame: Frame) -> None:
    """The zone that dies would hide below others."""
    lines = BY_KEY["zones"].draw(frame, View(), 76, 4)
    assert [plain(line).split()[0] for line in lines[2:]] == ["Normal", "DMA"]
    assert lines[2][1] == ("   9 MiB ", Style.BAD)
    assert lines[3][1] == ("  15 MiB ", Style.GOOD)


def test_the_fastest_cache_comes_first(frame: Frame) -> None:
    """A leak would hide below large caches that do not move."""
    assert [line.split()[0] for line in drawn(frame, "slab")[1:]] == ["inode_cache", "dentry", "kmalloc-64"]
    assert [line.split()[0] for line in drawn(frame, "slab", view=View(sort=1))[1:]] == [
        *("dentry", "inode_cache", "kmalloc-64"),
    ]


def test_free_blocks_stand_by_order(frame: Frame) -> None:
    """Nobody could see that no large block is left."""
    assert [line.split() for line in drawn(frame, "buddy")] == [
        ["zone", "0", "1", "2", "3"],
        ["DMA", "0", "1", "2", "3"],
        ["Normal", "12k", "0", "0", "1"],
    ]


def test_stalls_are_shares_and_reclaim_is_counted(frame: Frame) -> None:
    """A machine that does nothing but wait would look idle."""
    assert [line.split()[-2:] for line in drawn(frame, "stall")[1:]] == [["25%", "5.0%"], ["1,234/s", "–"]]


def test_the_largest_process_comes_first(frame: Frame) -> None:
    """The hog would be looked for among a thousand others."""
    found = drawn(frame, "processes", width=150)
    assert [line.split()[1] for line in found[1:]] == ["eater", "rsync", "init"]
    assert found[1].split()[2:6] == ["640", "MiB", "40", "MiB"]
    assert "5 MiB backup.img" in found[2]


def test_processes_are_found_by_their_cgroup(frame: Frame) -> None:
    """Of a container with strange names none could be found."""
    assert [line.split()[1] for line in drawn(frame, "processes", view=View(wanted="init.scope"))[1:]] == [
        "init"
    ]


def test_watched_cgroups_stand_against_their_limits(frame: Frame) -> None:
    """Nobody would see that a container is at its limit."""
    watched, other = drawn(frame, "cgroups", width=120)[1:]
    assert watched.split() == [
        *("*/user.slice", "640", "MiB", "650", "MiB", "98%", "+5", "MiB/s", "40", "MiB", "1", "2"),
    ]
    assert other.split() == ["/init.scope", "8", "MiB", "–", "–", "0", "0", "B", "1", "–"]


def test_the_nearest_rule_comes_first_and_says_why(frame: Frame) -> None:
    """Nobody would know which rule is about to act, and what it waits for."""
    active, far, rests = drawn(frame, "rules", width=140)[1:]
    assert active.split() == [
        *("little-left", "100%", "████████", "ACTIVE", "3"),
        *("100", "MiB,", "wants", "<", "150", "MiB:", "meminfo.MemAvailable"),
    ]
    assert far.split()[:3] == ["cache", "40%", "███▎"]
    assert rests.split()[:3] == ["zfs", "–", "rests"]


def test_why_there_are_no_rules_is_said(frame: Frame) -> None:
    """An unreadable configuration would look like one without rules."""
    none = replace(frame, rules=(), rules_note="cannot be read", absent={"rules": "cannot be read"})
    assert drawn(none, "rules") == [" cannot be read"]


def test_the_newest_event_comes_first(frame: Frame) -> None:
    """What has just happened would be below the screen."""
    assert drawn(frame, "events")[1:] == [
        "-1.000 s      rule little-left fired: meminfo.MemAvailable 100 MiB",
        "-2.000 s      missed: ticks 1",
    ]


def test_a_missing_source_is_named(frame: Frame) -> None:
    """A panel without figures would look like a machine without memory."""
    without = replace(frame, caches=(), absent={"slab": "slabinfo is not sampled, or may not be read"})
    assert drawn(without, "slab") == [" slabinfo is not sampled, or may not be read"]


class _Asked:
    """A frame that notes what it is asked for."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> object:
        self.names.add(name)
        return getattr(self._frame, name)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel.key))
@pytest.mark.parametrize("zero_ns", [None, 7])
def test_a_panel_names_all_it_shows(frame: Frame, panel: Panel, zero_ns: int | None) -> None:
    """A figure would stand still though it moves: a panel is drawn anew when what it names is another."""
    asked = _Asked(replace(frame, zero_ns=zero_ns))
    panel.draw(asked, View(), 300, 12)  # type: ignore[arg-type]  # it answers like a frame
    assert asked.names - {"absent"} <= set(panel.reads)
