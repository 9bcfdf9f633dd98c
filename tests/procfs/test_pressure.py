"""Pressure: cpu without "full" (vanilla-5.4), with it (vanilla-5.15), irq without "some" (vanilla-6.1)."""

from collections.abc import Callable

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.pressure import Pressure, Stall, parse_pressure

KernelText = Callable[[str, str], bytes]


def test_thrashing_machine(kernel_text: KernelText) -> None:
    """If this fails, figures or lines of the most important stall signal are mixed up."""
    assert parse_pressure(kernel_text("vanilla-5.4", "proc/pressure/memory")) == Pressure(
        some=Stall(87.45, 61.02, 20.11, 91203341), full=Stall(79.90, 55.17, 18.40, 82201119)
    )


@pytest.mark.parametrize(
    ("machine", "name", "some", "full"),
    [
        ("vanilla-5.4", "proc/pressure/cpu", True, False),
        ("vanilla-5.15", "proc/pressure/cpu", True, True),
        ("vanilla-6.1", "proc/pressure/irq", False, True),
        ("vanilla-5.4", "sys/fs/cgroup/user.slice/memory.pressure", True, True),
        ("debian12-6.18", "proc/pressure/memory", True, True),
    ],
)
def test_absent_lines_are_none(
    kernel_text: KernelText, machine: str, name: str, some: bool, full: bool
) -> None:
    """If this fails, a kernel that does not measure something seems not to stall."""
    pressure = parse_pressure(kernel_text(machine, name))
    assert (pressure.some is not None, pressure.full is not None) == (some, full)


def test_order_and_additions_do_not_matter() -> None:
    """If this fails, a further average in a future kernel, or another order, is misread."""
    text = b"heading\nsome total=7 avg300=3 avg10=1.5 avg60=2.25 avg900=9.00 new\nall avg10=x\n"
    assert parse_pressure(text) == Pressure(Stall(1.5, 2.25, 3.0, 7), None)
    assert parse_pressure(b"") == Pressure(None, None)


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("some avg10=0.00 avg60=0.00 avg300=0.00", "total"),
        ("full avg10=0.00 avg60=0.00 avg300=0.00 total=-1", "total"),
        ("some avg10=nan avg60=0.00 avg300=0.00 total=0", "avg10"),
        ("some avg10=1e9 avg60=0.00 avg300=0.00 total=0", "avg10"),
        ("some avg10=0.00 avg60=. avg300=0.00 total=0", "avg60"),
        ("some avg10=0.00 avg60=0.0.0 avg300=0.00 total=0", "avg60"),
        ("some", "avg10"),
    ],
)
def test_broken_figures_are_named(line: str, item: str) -> None:
    """If this fails, a damaged figure becomes a stall of nothing or of infinity."""
    with pytest.raises(ParseError) as raised:
        parse_pressure(line.encode())
    assert (raised.value.line, raised.value.item) == (line, item)
