"""The live page: whole, safe, and telling."""

import json
from html.parser import HTMLParser
from math import nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import MS, Tape, meminfo, slabinfo, zoneinfo
from tests.exporter.conftest import take_all

from memwatchd.exporter import page
from memwatchd.exporter.collector import Source
from memwatchd.exporter.metric import OwnFigures, View
from memwatchd.exporter.watch import Watch
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.state import write_state

HOSTILE = "</style><script>alert(1)</script><img src=x onerror='a()'>\"\x1b[31m\u202e\x00&amp;"
KNOWN_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span", "table", "tr", "td", "th"),
    *("div", "figure", "figcaption", "svg", "path", "code", "a"),
}


class Reader(HTMLParser):
    """Checks that a page is made of what it should be made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN_TAGS
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "style")]
        assert all(value == "/metrics" for name, value in attrs if name == "href")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("meta", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "path"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def view_of(state: dict[str, Any] | None, watch: Watch | None = None, *, alive: bool = True) -> View:
    return View(None, state, alive, watch or Watch(4096), OwnFigures(), 0.0, 10**12)


@pytest.fixture
def full(tape: Tape, places: Places, source: Source, daemon_state: dict[str, Any]) -> View:
    """A machine with something to tell."""
    for number in range(600):
        kib = 500_000 - 800 * number
        texts = {"meminfo": meminfo(MemAvailable=kib, MemFree=kib, SwapTotal=102_400, SwapFree=51_200)}
        if number % 100 == 0:
            texts["zoneinfo"] = zoneinfo(100 - number // 10, 50)
        if number in (0, 599):
            texts["slabinfo"] = slabinfo(dentry=1000, nfs_inode_cache=1000 + 100 * number)
        tape.sample(number / 10, texts)
    tape.samples.board[Slot.HEARTBEAT_NS] = tape.now_ns
    write_state(places.state, daemon_state)
    return take_all(source).view()


def test_at_a_glance(full: View) -> None:
    """One would not see what one opened the page for."""
    found = Reader(page.render(full).decode())
    rows = [" | ".join(row) for row in found.rows]
    assert rows == [
        "available | 20.3 MiB of 977 MiB",
        "free | 20.3 MiB of 977 MiB",
        "swap free | 50 MiB of 100 MiB",
        "in no list of the kernel | –",
        "time left at this trend | 3 s",
        "killed since the start | 1 global, 2 cgroup, 0 unknown",
        "nfs_inode_cache | 238 MiB | +234 MiB",
        "rule | state | fired | done",
        "zone-slab | active | 4 × | drop_caches helped 3 ×, drop_caches no effect 1 ×",
        "stall-breaker | at rest | 0 × | ",
        "2026-11-21 09:23:59 UTC | rule fired | 20261121T092359.123Z-rule_fired.mwi",
        "2026-11-21 08:23:59 UTC | kernel kill | 20261121T082359.123Z-kernel_kill.mwi",
    ]
    assert page.render(full).count(b"<svg") >= 5


def test_strangers_words_cannot_do_anything(full: View) -> None:
    """A rule, a cgroup or a file with the right name would run a script in the administrator's browser."""
    state = json.loads(json.dumps(full.state).replace("zone-slab", "X"))
    state["rules"][0]["name"] = state["rules"][0]["outcomes"][0]["action"] = HOSTILE
    state["rules"][0]["outcomes"][0]["verdict"] = HOSTILE
    state["degraded"] = [HOSTILE]
    state["incidents"]["recent"] = [f"20261121T082359.123Z-{HOSTILE}.mwi", HOSTILE]
    state["program"]["version"] = HOSTILE
    state["kills"] = {HOSTILE: 1}
    found = Reader(page.render(View(None, state, True, full.watch, full.own, 0.0, full.now_ns)).decode())
    text = "".join(found.texts)
    assert "<script>alert(1)</script>" in text
    assert not {"\x1b", "\u202e", "\x00"} & set(text)


def test_a_kernel_module_with_a_name(tape: Tape, source: Source) -> None:
    """A slab cache is named by whoever loads a module; a zone by the kernel."""
    name = "<b onmouseover=a()>"
    tape.sample(0, {"slabinfo": slabinfo(**{name: 10})})
    tape.sample(60, {"slabinfo": slabinfo(**{name: 9000})})
    tape.samples.board[Slot.HEARTBEAT_NS] = tape.now_ns
    found = Reader(page.render(take_all(source).view()).decode())
    assert [row[0] for row in found.rows if "9" in row[-1] or "35" in row[-1]] == [name]


@pytest.mark.parametrize("alive", [False, True])
def test_with_nothing_to_show(alive: bool) -> None:
    """The page would fail just when the recorder is dead."""
    found = Reader(page.render(view_of(None, alive=alive)).decode())
    assert any("does not sample" in text for text in found.texts) is not alive


def test_without_a_ring(tmp_path: Path) -> None:
    """Before the first start of the daemon, too."""
    source = Source(Places(tmp_path, tmp_path))
    source.look()
    assert b"does not sample" in page.render(source.view())


@given(st.text())
def test_safe_text(text: str) -> None:
    """One character would be enough to get out."""
    found = page.safe(text)
    assert not set("<>\"'") & set(found)
    assert found.isprintable()


@pytest.mark.parametrize("value", [nan, 0.0, -1.0, 1e30])
def test_odd_values_are_drawn(value: float) -> None:
    """A figure without meaning would cost the whole page."""
    watch = Watch(4096)
    watch.tracks["available"].add(10**12 - 5 * MS, value)
    Reader(page.render(view_of({}, watch)).decode())
