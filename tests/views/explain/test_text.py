"""An explained event on a terminal."""

from dataclasses import replace

import pytest
from tests.views.explain.events import HOSTILE, limit_met, unaccounted

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import MEMCG, Event, Quote, Victim
from memwatchd.views.explain import words
from memwatchd.views.explain.text import Screen, render, table_head, table_row

UNACCOUNTED = """\
961 MiB of 992 MiB (97 %) are in no counter: neither processes nor page cache
nor slab have them.
unaccounted, 90 % sure

  killed    java (pid 3841), 2 MiB anonymous
  why       the machine was out of memory
  asked     java (pid 3841) for 4 KiB (order 0) with GFP_HIGHUSER_MOVABLE
  memory    992 MiB: 7.71 MiB free, 962 MiB in no counter, 21.4 MiB slab
  swap      3.18 GiB, of which 2.97 GiB are free
  when      Jan  5 15:19:27, on db1, kernel 4.4.0-generic, lines 12 to 96

Why not something else
  Swap was not full: 2.97 GiB of 3.18 GiB were free.
  Slab had only 21.4 MiB.

The lines that say so
  41  Node 0 DMA32 free:3948kB min:3956kB low:4944kB high:5932kB active_anon:60…
  52  Free swap  = 3118172kB

Besides
  Swap was hardly used. (swap_untouched)

What to do now
  Have the host give memory back:
      virsh setmem VM 2G
  Look at /proc/vmallocinfo.

So that it does not come back
  Give the machine more with virsh setmaxmem VM 4G --config and reboot it.
      virsh setmaxmem VM 4G --config

How to see that it worked
  MemAvailable stays above a tenth of MemTotal.

What could not be read
  Missing: the lines at the end: swap, and how much RAM there is.
  1 line could not be read.
  The verdict, 90 % sure, allows for that.
  77  something \\x1b[31mred
"""

LIMIT_MET = """\
eater filled its cgroup.
memcg_limit, 95 % sure

  killed    eater (pid 4711), 60 MiB anonymous, uid 1000, oom_score_adj 500, memory taken back
  why       cgroup /docker/34 was at its limit
  cgroup    memory 64 MiB of 64 MiB, 1,234 times at it
  victim in /docker/34/a
  asked     eater (pid 4711) for 16 KiB (order 2) with gfp_mask 0xcc0
  when      12.500 s after start, lines 1 to 30
"""


def text(diagnosis: Diagnosis, screen: Screen | None = None) -> str:
    return "".join(f"{line}\n" for line in render(diagnosis, screen or Screen(80)))


def test_the_whole_screen() -> None:
    """Who opens the log in the morning would not find the cause, its proof, or what to do."""
    assert text(unaccounted()) == UNACCOUNTED


def test_a_cgroup_s_limit() -> None:
    """A container's limit would be taken for the machine's, and empty sections would fill the screen."""
    assert text(limit_met(), Screen(200)) == LIMIT_MET


def test_only_a_terminal_gets_colour() -> None:
    """A file or a ticket would be full of escape sequences."""
    assert "\x1b" not in text(unaccounted())
    first, second, third, *_ = text(unaccounted(), Screen(80, colour=True)).splitlines()
    assert first.startswith("\x1b[1m961 MiB")
    assert second == "\x1b[1mnor slab have them.\x1b[0m"
    assert third == "\x1b[2munaccounted, 90 % sure\x1b[0m"


def test_names_cannot_write_to_the_terminal() -> None:
    """A process could clear the screen of whoever looks who killed it, or begin a line of its own."""
    diagnosis = limit_met(HOSTILE)
    shown = text(diagnosis)
    assert "a`*<b>@x#1|\\x1b[2J\\x0a\\xff (pid 4711)" in shown
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert table_row(words.row(1, diagnosis), Screen(200)).isprintable()


@pytest.mark.parametrize("width", [1, 20, 40, 79, 500])
def test_it_fits(width: int) -> None:
    """A narrow terminal would wrap every line in the middle of a word, or the program would end."""
    for line in render(unaccounted(), Screen(width)):
        is_command = line.startswith("      virsh")
        assert is_command or len(line) <= max(40, min(width, 108)) or not line.startswith(" ")


def test_lines_stay_whole_in_a_file() -> None:
    """The half of the evidence that matters would be missing in what was saved."""
    assert "inactive_anon:72kB" in text(unaccounted(), Screen(60, cut=False))


def test_of_much_there_is_a_part() -> None:
    """The verdict would scroll away."""
    verdict, *_ = unaccounted().findings
    quotes = tuple(Quote(line, f"line {line}") for line in range(1, 31))
    many = replace(verdict, evidence=quotes, advice=Advice(now=tuple(f"Do {n}." for n in range(9))))
    diagnosis = replace(unaccounted(), findings=(many,))
    shown = text(diagnosis)
    assert "  12  line 12\n  … and 18 more (--json has them all)\n" in shown
    assert "  Do 4.\n  … and 4 more (--json has them all)\n" in shown


def test_many_victims_are_counted() -> None:
    """A cgroup that is killed as a whole would fill the screen."""
    victims = tuple(Victim(pid, "worker") for pid in range(1, 8))
    diagnosis = Diagnosis(Case(Event("oom_kill", MEMCG, victims=victims)), limit_met().findings, ())
    lines = text(diagnosis).splitlines()
    assert [line for line in lines if line.startswith("  killed")] == [
        *(f"  killed    worker (pid {pid})" for pid in range(1, 5)),
        "  killed    … and 3 more",
    ]
    assert "1 worker +6" in table_row(words.row(1, diagnosis), Screen(80))


@pytest.mark.parametrize(
    ("width", "table"),
    [
        (
            100,
            [
                "      time                      kind                 cause                killed",
                "   9  Jan  5 15:19:27           OOM kill             unaccounted          3841 java",
                "  10  2026-11-21T03:12:07       OOM kill, memcg      memcg_limit          4711 eater",
            ],
        ),
        (
            80,
            [
                "      time                 kind              cause                killed",
                "   9  Jan  5 15:19:27      OOM kill          unaccounted          3841 java",
                "  10  2026-11-21T03:12:07  OOM kill, memcg   memcg_limit          4711 eater",
            ],
        ),
    ],
)
def test_a_table_of_events(width: int, table: list[str]) -> None:
    """Of a night with twenty kills one would see the last only, and not the causes on a usual terminal."""
    screen, event = Screen(width), limit_met().case.event
    later = replace(limit_met(), case=Case(replace(event, time="2026-11-21T03:12:07.918273+00:00")))
    assert [
        table_head(screen),
        table_row(words.row(9, unaccounted()), screen),
        table_row(words.row(10, later), screen),
    ] == table


def test_a_first_sentence_stands_out() -> None:
    """A verdict of several lines would shout."""
    verdict = replace(limit_met().findings[0], summary="It was the limit. It is 3.5 MiB. Who knows.")
    shown = text(replace(limit_met(), findings=(verdict,)), Screen(80, colour=True))
    assert shown.startswith("\x1b[1mIt was the limit.\x1b[0m\nIt is 3.5 MiB. Who knows.\n")
