"""``memwatchd replay`` on a real pseudo-terminal."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Tape, WriteIncident, meminfo, slabinfo, vmstat, zoneinfo
from tests.live_rings import BUDDYINFO
from tests.terminals import on_terminal

from memwatchd.cli import main

CONFIG = b"rules:\n  little-left: {when: meminfo.MemAvailable < 400MiB, actions: [{log: {}}]}\n"
READ = "little-left"  # rules are known when all has been read
MIB_KIB = 1024


def kill(at_s: float) -> dict[str, Any]:
    return {
        "monotonic_ns": 60_000_000_000 + round(at_s * 1e9),
        "pid": 4711,
        "comm": "eater",
        "scope": "global",
        "limit_cgroup": None,
        "task_cgroup": None,
        "amounts_kib": {},
        "sequence": 17,
        "timestamp_usec": 60_000_000,
    }


@pytest.fixture
def incident(tape: Tape, write_incident: WriteIncident) -> Path:
    """Four seconds at 10 Hz: MemAvailable goes from 900 to 600 MiB in the three before the kill."""
    for step in range(-30, 11):
        if step == -10:
            tape.new_segment()
        tape.sample(
            step / 10,
            {
                "meminfo": meminfo(MemAvailable=(600 - 10 * min(step, 0)) * MIB_KIB, MemFree=MIB_KIB),
                "vmstat": vmstat(pswpout=step + 30),
                "zoneinfo": zoneinfo(100, 50),
                "buddyinfo": BUDDYINFO,
                "slabinfo": slabinfo(dentry=step + 40, inode=5),
            },
        )
    row = {
        "pid": 4711,
        "comm": "ea\x1b[31mter",
        "rss_kib": 5 * MIB_KIB,
        "swap_kib": 0,
        "read_ns": 59_000_000_000,
    }
    tape.processes(-1.0, row)
    tape.noticed(-2.0, "missed", ticks=1)
    return write_incident({"kills": [kill(0.05)]}, texts={"config.yaml": CONFIG})


def test_keys_in_and_screen_out(incident: Path) -> None:
    """Nobody could go to and fro in an incident."""
    with on_terminal("replay", incident) as terminal:
        terminal.wait("REPLAY", "+0.000 s", "available 600 MiB", READ)
        terminal.press("left")
        terminal.wait("-0.100 s", "available 610 MiB")
        terminal.press("shift-left")
        terminal.wait("-1.100 s", "available 710 MiB")
        terminal.press("home")
        terminal.wait("-3.000 s", "available 900 MiB")
        terminal.press("n")
        terminal.wait("-2.000 s", "missed: ticks 1")
        terminal.press("k")
        terminal.wait("+0.050 s", "the kernel killed eater")
        terminal.press("t", "-1.5", "enter")
        terminal.wait("-1.500 s", "available 750 MiB")
        terminal.press("t", "soon", "enter")
        terminal.wait("expected seconds such as -0.5s")
        terminal.press("q")
        assert terminal.end() == 0


def test_it_plays_to_the_end_and_back(incident: Path) -> None:
    """A recording could only be stepped through."""
    with on_terminal("replay", incident, "--at", "-3s") as terminal:
        terminal.wait("-3.000 s", READ)
        terminal.press(*["+"] * 4, "space")
        terminal.wait("+1.000 s", "this is the end of the recording")
        terminal.press("r")
        terminal.wait("PLAYING ◀ ×20")
        terminal.wait("-3.000 s", "this is the end of the recording")
        terminal.press("q")
        assert terminal.end() == 0


def test_panels_are_chosen_sorted_and_filtered(incident: Path) -> None:
    """A table could be looked at in one way only."""
    with on_terminal("replay", incident) as terminal:
        terminal.wait("3 Slab movers", READ)
        terminal.press("3", "enter")
        terminal.wait("3 Slab movers", "dentry", "inode", without=["1 Memory"])
        terminal.press("/", "ino")
        terminal.wait("only slab with: ino", without=["dentry"])
        terminal.press("enter")
        terminal.wait("3 Slab movers /ino", "? help")
        terminal.press("/", "esc")
        terminal.wait("dentry")
        terminal.press("s")
        terminal.wait("sorted by cache")
        terminal.press("esc")
        terminal.wait("1 Memory")
        terminal.press("?")
        terminal.wait("Keys", "play backwards, forwards", without=["1 Memory"])
        terminal.press("x")
        terminal.wait("1 Memory")


@pytest.mark.parametrize("size", [(30, 6), (80, 24), (300, 80), (10, 2)])
def test_it_can_be_resized(incident: Path, size: tuple[int, int]) -> None:
    """The picture would fall to pieces, or the program end."""
    with on_terminal("replay", incident, size=(100, 30)) as terminal:
        terminal.wait("REPLAY", READ)
        terminal.resize(*size)
        terminal.wait("memwatchd REPLAY" if size[0] >= 20 else "too small")
        assert len(terminal.screen.display) == size[1]
        terminal.resize(90, 25)
        terminal.wait("1 Memory", "9 Events", "available 600 MiB")
        terminal.press("q")
        assert terminal.end() == 0


def restores(raw: bytes) -> bool:
    """Whether the terminal was given back: the other screen is left, and the cursor is shown."""
    return raw.rindex(b"\x1b[?1049l") > raw.rindex(b"\x1b[?1049h") and raw.rindex(b"\x1b[?25h") > raw.rindex(
        b"\x1b[?25l"
    )


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_leaves_the_terminal_in_order(incident: Path, number: int, status: int) -> None:
    """Whoever ends it from outside would be left with a terminal that does not echo."""
    with on_terminal("replay", incident) as terminal:
        terminal.wait("REPLAY", READ)
        terminal.child.kill(number)
        assert terminal.end() == status
        assert restores(bytes(terminal.raw))


def test_quitting_and_ctrl_c_leave_the_terminal_in_order(incident: Path) -> None:
    """Every look at an incident would cost a `reset`."""
    for key, status in (("q", 0), ("ctrl-c", 130)):
        with on_terminal("replay", incident) as terminal:
            terminal.wait("REPLAY", READ)
            terminal.press(key)
            assert terminal.end() == status
            assert restores(bytes(terminal.raw))


def test_an_incident_that_vanishes_ends_it_with_one_line(tape: Tape, write_incident: WriteIncident) -> None:
    """The retention of incidents would leave a traceback on a terminal in disorder."""
    for step in range(-1200, 1):
        tape.sample(step / 100, {"meminfo": meminfo(MemAvailable=MIB_KIB, MemFree=MIB_KIB)})
        if step % 300 == 0:
            tape.new_segment()
    incident = write_incident()
    with on_terminal("replay", incident) as terminal:
        terminal.wait("REPLAY", "-12.0 s", without=["reading"])
        incident.unlink()
        terminal.press("home")
        assert terminal.end() == 6
        raw = bytes(terminal.raw)
        assert restores(raw)
        assert b"Traceback" not in raw
        assert b"memwatchd: " in raw[raw.rindex(b"\x1b[?1049l") :]


def test_no_colour_if_nobody_wants_any(incident: Path) -> None:
    """NO_COLOR would be ignored; or there would be no colours at all."""
    painted = {}
    for no_color in ("", "1"):
        with on_terminal("replay", incident, NO_COLOR=no_color) as terminal:
            terminal.wait("REPLAY", READ)
            cells = terminal.screen.buffer.values()
            painted[no_color] = {cell.fg for row in cells for cell in row.values()} - {"default"}
    assert painted[""] != set()
    assert painted["1"] == set()


@pytest.mark.parametrize("name", ["vt100", "linux", "screen", "xterm"])
def test_other_terminals_do(incident: Path, name: str) -> None:
    """On the console of a machine that dies it could not be used."""
    with on_terminal("replay", incident, TERM=name) as terminal:
        terminal.wait("REPLAY", "available 600 MiB", READ)
        terminal.press("q")
        assert terminal.end() == 0


def test_a_terminal_with_letters_only_gets_letters(incident: Path) -> None:
    """Bars and frames would be garbage."""
    # The emulator does not know how an xterm repeats a character.
    with on_terminal(
        "replay", incident, TERM="screen", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    ) as terminal:
        terminal.wait("REPLAY", "1 Memory ---", READ)
        assert terminal.text().isascii()


def test_hostile_names_do_not_reach_the_terminal(incident: Path) -> None:
    """A process could name itself so that root's terminal obeys it."""
    with on_terminal("replay", incident, size=(120, 30)) as terminal:
        terminal.wait("ea\\x1b[31mter", READ)
        assert b"ea\x1b[31m" not in terminal.raw


def test_without_a_terminal_it_says_so(incident: Path) -> None:
    """In a pipe it would hang, or write what nobody can read."""
    ended = subprocess.run(
        [sys.executable, "-m", "memwatchd", "replay", str(incident)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "expected a terminal" in ended.stderr


@pytest.mark.parametrize("name", ["no-such-terminal", "dumb"])
def test_a_terminal_nobody_knows_is_refused(incident: Path, name: str) -> None:
    """Curses would end the program by itself, or with a traceback."""
    with on_terminal("replay", incident, TERM=name) as terminal:
        assert terminal.end() == 1
        said = bytes(terminal.raw).decode()
        assert f"TERM={name}" in said
        assert "Traceback" not in said


def test_what_is_no_incident_has_a_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts could not tell a missing incident from a damaged one."""
    damaged = tmp_path / "x.mwi"
    damaged.write_bytes(b"MWINC" + bytes(4096))
    assert main(["replay", str(damaged)]) == 5
    assert main(["replay", str(tmp_path / "none.mwi")]) == 6
    assert capsys.readouterr().err.count("\n") == 2


def test_a_damaged_incident_is_shown_as_far_as_it_goes(incident: Path) -> None:
    """What is left of a damaged recording would be lost."""
    content = incident.read_bytes()
    incident.write_bytes(content[: len(content) - 300])
    with on_terminal("replay", incident) as terminal:
        terminal.wait(
            "REPLAY", "incomplete: the recording was cut short; damaged: ", "-1.100 s", "available 710 MiB"
        )
        terminal.press("q")
        assert terminal.end() == 0
