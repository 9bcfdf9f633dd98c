"""Whatever the bytes, a parser returns a value or raises ParseError."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memwatchd.errors import ParseError
from memwatchd.procfs.buddyinfo import parse_buddyinfo
from memwatchd.procfs.cgroup import parse_cgroup_memberships, parse_flat_keyed, parse_value
from memwatchd.procfs.kmsg import parse_kmsg, unescape
from memwatchd.procfs.meminfo import parse_meminfo
from memwatchd.procfs.pressure import parse_pressure
from memwatchd.procfs.process import parse_fdinfo, parse_stat, parse_statm, parse_status
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.procfs.vmstat import parse_vmstat
from memwatchd.procfs.zoneinfo import parse_zoneinfo

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
Parser = Callable[[bytes], object]

PARSERS: dict[str, Parser] = {
    "meminfo": parse_meminfo,
    "zoneinfo": parse_zoneinfo,
    "buddyinfo": parse_buddyinfo,
    "slabinfo": parse_slabinfo,
    "vmstat": parse_vmstat,
    "pressure": parse_pressure,
    "stat": parse_stat,
    "status": parse_status,
    "statm": parse_statm,
    "fdinfo": parse_fdinfo,
    "cgroup": parse_cgroup_memberships,
    "memory.stat": parse_flat_keyed,
    "memory.events": parse_flat_keyed,
    "memory.oom_control": parse_flat_keyed,
    "memory.pressure": parse_pressure,
    "memory.max": parse_value,
    "memory.high": parse_value,
    "memory.current": parse_value,
    "memory.limit_in_bytes": parse_value,
    "memory.usage_in_bytes": parse_value,
}
KMSG = b"6,339,5140900,-,caller=T1;usb 1-1: new \\x41 device\n SUBSYSTEM=usb\n"
TEXTS = sorted(path for tree in ("proc", "sys") for path in FIXTURES.glob(f"*/{tree}/**/*") if path.is_file())
# What breaks parsers: separators, signs, digits of other scripts, white space that only Python knows.
SPITE = st.sampled_from(
    [
        *(
            b"\n",
            b" ",
            b":",
            b",",
            b"(",
            b")",
            b"-",
            b"_",
            b"0",
            b"=",
            b";",
            b"\0",
            b"\xff",
            b"\x1c",
            b"\r",
            b"kB",
        ),
        *(b"9" * 21, b"9" * 4400, b"\xc2\xa0", "٣".encode(), "²".encode()),
        *(b"\nNode ", b"\n  pagesets", b" : tunables ", b" : slabdata "),
    ]
)


def parser_of(path: Path) -> Parser:
    """Find a fixture's parser by its name, or that of its directory (pressure/memory, fdinfo/4)."""
    return PARSERS.get(path.name) or PARSERS[path.parent.name]


def tolerates(parser: Parser, text: bytes) -> None:
    """Let only ParseError through unseen."""
    try:
        parser(text)
    except ParseError as error:
        assert str(error)  # the message must be printable, however odd the line


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(FIXTURES)))
def test_every_fixture_is_understood(path: Path) -> None:
    """If this fails, the text of some kernel is refused."""
    assert parser_of(path)(path.read_bytes()) is not None or path.read_bytes() in (
        b"max\n",
        b"9223372036854771712\n",
    )


@pytest.mark.parametrize(
    "machine", sorted(path for path in FIXTURES.iterdir() if (path / "proc").is_dir()), ids=str
)
def test_every_machine_says_where_it_comes_from(machine: Path) -> None:
    """If this fails, nobody can tell captured text from written text."""
    first = (machine / "NOTE").read_text().splitlines()[0]
    assert first.startswith(("Captured by ", "Written from the kernel's format strings, not captured"))


@pytest.mark.parametrize("name", [*PARSERS, "kmsg"])
@given(text=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_random_bytes(name: str, text: bytes) -> None:
    """If this fails, noise in a file stops the daemon instead of being reported."""
    tolerates(PARSERS.get(name, parse_kmsg), text)
    unescape(text)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(FIXTURES)))
@given(data=st.data())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_mutated_fixtures(path: Path, data: st.DataObject) -> None:
    """If this fails, a file damaged in a few places raises something else than ParseError."""
    tolerates(parser_of(path), mutate(path.read_bytes(), data))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_mutated_kmsg(data: st.DataObject) -> None:
    """If this fails, a log record damaged in a few places raises something else than ParseError."""
    tolerates(parse_kmsg, mutate(KMSG, data))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(FIXTURES)))
def test_cut_off_fixtures(path: Path) -> None:
    """If this fails, a file that was read into too small a buffer raises something else than ParseError."""
    text = path.read_bytes()
    for end in range(0, len(text), 1 + len(text) // 60):
        tolerates(parser_of(path), text[:end])


def mutate(text: bytes, data: st.DataObject) -> bytes:
    """Replace, insert or delete in one to four places."""
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.one_of(SPITE, st.binary(max_size=4))) + text[end:]
    return text
