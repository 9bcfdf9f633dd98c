"""vmstat; its names change with every release, its format never has."""

from collections.abc import Callable

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.vmstat import parse_vmstat

KernelText = Callable[[str, str], bytes]


@pytest.mark.parametrize(
    ("machine", "name", "value"),
    [
        ("vanilla-2.6.32", "allocstall", 4411),
        ("vanilla-3.2-i386-pae", "nr_slab_reclaimable", 128312),
        ("vanilla-3.2-i386-pae", "pswpout", 0),
    ],
)
def test_named_counters(kernel_text: KernelText, machine: str, name: str, value: int) -> None:
    """If this fails, a counter is read from another line."""
    assert parse_vmstat(kernel_text(machine, "proc/vmstat"))[name] == value


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        ("vanilla-2.6.32", {"pgsteal_dma32", "pgscan_direct_normal", "kswapd_steal"}),
        ("vanilla-3.2-i386-pae", {"pgscan_kswapd_high", "pgalloc_high"}),
        ("vanilla-4.9", {"allocstall_normal", "pgskip_movable", "pgsteal_kswapd"}),
        ("debian12-6.18", {"oom_kill", "workingset_refault_anon", "nr_free_pages_blocks"}),
    ],
)
def test_names_of_each_era(kernel_text: KernelText, machine: str, names: set[str]) -> None:
    """If this fails, lines of one kernel generation are lost."""
    text = kernel_text(machine, "proc/vmstat")
    values = parse_vmstat(text)
    assert names <= values.keys()
    assert len(values) == text.count(b"\n")


def test_extreme_values() -> None:
    """If this fails, an underflow printed by the kernel, with or without sign, stops the parser."""
    text = b"nr_zone_write_pending 18446744073709551607\nnr_dirty -9\nempty 0"
    assert parse_vmstat(text) == {"nr_zone_write_pending": 2**64 - 9, "nr_dirty": -9, "empty": 0}


def test_broken_counter_is_named() -> None:
    """If this fails, a cut-off file passes for a kernel with fewer counters."""
    with pytest.raises(ParseError) as raised:
        parse_vmstat(b"nr_free_pages 12\nnr_dir")
    assert (raised.value.path, raised.value.item) == ("/proc/vmstat", "nr_dir")
