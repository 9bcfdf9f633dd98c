"""The main figures, on the kernels of the fixtures."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import FIXTURES, zoneinfo

from memwatchd.procfs.meminfo import parse_meminfo
from memwatchd.procfs.pressure import parse_pressure
from memwatchd.procfs.vmstat import parse_vmstat
from memwatchd.sampling.plan import SOURCE_PATHS
from memwatchd.signals.catalogue import MAIN_SIGNALS, Signal, worst_zone_ratio

KernelText = Callable[[str, str], bytes]
MACHINES = sorted(path.parent.name for path in FIXTURES.glob("*/proc"))
BY_NAME = {signal.name: signal for signal in MAIN_SIGNALS}


def expected(signal: Signal, text: bytes) -> float | None:
    """What the parsers find for a signal."""
    field = signal.name.partition(".")[2]
    if signal.source == "meminfo":
        return parse_meminfo(text).bytes_by_name.get(field)
    if signal.source == "vmstat":
        return parse_vmstat(text).get(field)
    if signal.source == "pressure":
        some = parse_pressure(text).some
        return None if some is None else some.total_usec * 1e-6
    return worst_zone_ratio(text)


@pytest.mark.parametrize(
    ("signal", "path"),
    [
        pytest.param(signal, path, id=f"{signal.name} of {machine}")
        for signal in MAIN_SIGNALS
        for machine in MACHINES
        if (path := FIXTURES / machine / "proc" / SOURCE_PATHS[signal.source]).exists()
    ],
)
def test_every_signal_is_what_the_parser_finds(signal: Signal, path: Path) -> None:
    """A figure of a report would not be the kernel's, or an absent one would be 0."""
    text = path.read_bytes()
    assert signal.make_reader()(text) == expected(signal, text)


def test_every_signal_is_there_on_a_present_kernel() -> None:
    """A signal whose name was misspelled would be absent everywhere, and nobody would notice."""
    directory = FIXTURES / "debian12-6.18/proc"
    for signal in MAIN_SIGNALS:
        value = signal.make_reader()((directory / SOURCE_PATHS[signal.source]).read_bytes())
        assert value is not None, signal.name


def test_what_old_kernels_do_not_have_is_absent(kernel_text: KernelText) -> None:
    """MemAvailable of 0 would look like the end."""
    assert (
        BY_NAME["meminfo.MemAvailable"].make_reader()(kernel_text("vanilla-2.6.32", "proc/meminfo")) is None
    )
    vmstat = kernel_text("vanilla-2.6.32", "proc/vmstat")
    assert BY_NAME["vmstat.workingset_refault_file"].make_reader()(vmstat) is None


def test_names_are_different_and_units_known() -> None:
    """Two columns of a report would bear the same name, or one a unit nobody can format."""
    assert len(BY_NAME) == len(MAIN_SIGNALS)
    assert {signal.unit for signal in MAIN_SIGNALS} <= {"bytes", "pages", "seconds", "events", "ratio"}
    assert {signal.source for signal in MAIN_SIGNALS} <= set(SOURCE_PATHS)


def test_the_worst_zone_is_the_one_nearest_to_its_watermark() -> None:
    """The 32-bit server would look fine, because HighMem has 560 MB."""
    assert worst_zone_ratio(zoneinfo(50, 100) + zoneinfo(140_000, 128)) == 0.5
    assert worst_zone_ratio(zoneinfo(50, 0)) is None
    assert worst_zone_ratio(b"") is None


NASTY = [
    b"",
    b"\nMemFree: kB\n",
    b"\nMemFree: " + b"9" * 400 + b" kB\n",
    b"\nMemFree: " + b"9" * 5000 + b" kB\n",
    b"\npswpout " + b"9" * 400 + b"\n",
    b"total=" + b"9" * 400 + b"\n",
    b"total=\n",
    b"pages free x\n high y\n present z\n",
    b"pages free 1\n high 0\n present 1\n",
    b"pages free " + b"9" * 5000 + b"\n high 1\n present 1\n",
    b"pages free 1\n high -5\n present 1",
]


@pytest.mark.parametrize("signal", MAIN_SIGNALS, ids=lambda signal: signal.name)
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nasty_texts_never_raise(signal: Signal, text: bytes) -> None:
    """A damaged or forged incident would end `show` with a traceback."""
    value = signal.make_reader()(text)
    assert value is None or not math.isnan(value)


@given(text=st.binary(max_size=200))
def test_any_bytes_can_be_offered_as_a_text(text: bytes) -> None:
    """A damaged or forged incident would end `show` with a traceback."""
    for signal in MAIN_SIGNALS:
        signal.make_reader()(text)
