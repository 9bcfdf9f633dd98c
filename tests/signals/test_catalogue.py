"""All signals of all fixture machines, against what the parsers find."""

from math import isclose, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.signals.conftest import (
    ARCSTATS,
    MACHINES,
    ZRAM,
    Desk,
    Texts,
    expected_values,
    machine_texts,
    make_desk,
    parses,
)

from memwatchd.errors import UnknownSignalError
from memwatchd.sampling.plan import SOURCE_PATHS
from memwatchd.signals.catalogue import FAMILIES, MAIN_SIGNALS, find_signal, list_signals
from memwatchd.signals.names import join_name, split_name

EXTRA: Texts = {
    "zram/zram0": ZRAM,
    "zram/zram1": b"       0        0        0     4096        0        0        0\n",
    "arcstats": ARCSTATS,
}
# Those that no single parser gives.
OTHERS = ("unaccounted", "unaccounted_share", "zram.used")


def canonical(values: dict[str, float]) -> dict[str, float]:
    """The same with names as the catalogue writes them."""
    return {join_name(split_name(name)): value for name, value in values.items()}


def listed(desk: Desk) -> dict[str, float]:
    """Every signal that is listed, read anew."""
    values = {signal.name: signal.bind(desk.recording)() for signal in list_signals(desk.recording)}
    return {name: value for name, value in values.items() if name not in OTHERS}


def assert_same(got: dict[str, float], expected: dict[str, float]) -> None:
    assert got.keys() == expected.keys()
    wrong = {
        name: (got[name], value)
        for name, value in expected.items()
        if not isclose(got[name], value, rel_tol=1e-12)
    }
    assert wrong == {}


@pytest.mark.parametrize("page_size", [4096, 65536])
@pytest.mark.parametrize("machine", MACHINES)
def test_every_signal_is_what_the_parsers_find(machine: str, page_size: int) -> None:
    """A rule would watch another number than the kernel's, or one that is not there would be 0."""
    texts = {**machine_texts(machine), **EXTRA}
    desk = make_desk(texts, page_size=page_size)
    assert_same(listed(desk), canonical(expected_values(texts, page_size)))


@pytest.mark.parametrize("first", MACHINES)
@pytest.mark.parametrize("second", ["debian12-6.18", "vanilla-5.14-numa-1536gib", "vanilla-3.2-i386-pae"])
def test_one_reader_goes_through_different_texts(first: str, second: str) -> None:
    """A reader would go on reading where its number used to be, after a zone or a line came or went."""
    if first == second:
        pytest.skip("two different machines are wanted")
    both = [machine_texts(first), machine_texts(second)]
    names = {name: b"" for texts in both for name in texts}
    desk = make_desk(names)
    expected = [canonical(expected_values(texts)) for texts in both]
    readers = {name: find_signal(name).bind(desk.recording) for values in expected for name in values}
    for turn in (0, 1, 0, 0, 1, 1):
        desk.show(both[turn])
        got = {name: value for name, read in readers.items() if not isnan(value := read())}
        assert_same(got, expected[turn])


@pytest.mark.parametrize("machine", MACHINES)
def test_readers_follow_figures_that_change_their_width(machine: str) -> None:
    """From 95 GiB on, or from one to two zones, a figure moves all that comes after it."""
    texts = machine_texts(machine)
    desk = make_desk(texts)
    readers = {name: find_signal(name).bind(desk.recording) for name in canonical(expected_values(texts))}
    for old, new in (
        (b" 1", b" 10"),
        (b"0\n", b"1234567\n"),
        (b" 2", b" "),
        (b"5 ", b"12345678 "),
        (b"x", b"x"),
    ):
        changed = {name: text.replace(old, new) for name, text in texts.items()}
        if not parses(changed):
            continue
        expected = canonical(expected_values(changed))
        # Zones get pages by this that stand before their node's counters, as no kernel prints them.
        expected = {name: value for name, value in expected.items() if "slab_reclaimable" not in name}
        desk.show(changed)
        wrong = {
            name: (read(), expected[name])
            for name, read in readers.items()
            if name in expected and not isclose(read(), expected[name], rel_tol=1e-12)
        }
        assert wrong == {}


def test_what_is_not_there_is_not_a_number() -> None:
    """A limit or a free amount of 0 would look like the end."""
    desk = make_desk(machine_texts("debian12-6.18"))
    names = list(listed(desk))
    desk.show({})
    assert {
        name: value for name in names if not isnan(value := desk.read(name)) and "recorder" not in name
    } == {}
    nothing = make_desk({})
    assert [signal.name for signal in list_signals(nothing.recording)] == []
    old = make_desk(machine_texts("vanilla-2.6.32"))
    for name in (
        "meminfo.MemAvailable",
        "vmstat.oom_kill",
        "pressure.some",
        "node.nr_active_anon",
        "node.0.nr_active_anon",
        "zone.Normal.boost",
        "zone.HighMem.free",
        "zone.3.Normal.free",
        "buddy.Normal.order11",
        "buddy.HighMem.order0",
        "slab.nosuch.bytes",
        "arc.size",
        "zram.used",
    ):
        assert isnan(old.read(name)), name


def test_the_main_signals_are_there_on_a_present_kernel() -> None:
    """A signal whose name was misspelled would be absent everywhere, and nobody would notice."""
    desk = make_desk(machine_texts("debian12-6.18"))
    assert [signal.name for signal in MAIN_SIGNALS if isnan(signal.bind(desk.recording)())] == []
    assert len({signal.name for signal in MAIN_SIGNALS}) == len(MAIN_SIGNALS)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_signal_says_what_it_is(machine: str) -> None:
    """The list would show a name nobody understands, or that cannot be asked for."""
    desk = make_desk({**machine_texts(machine), **EXTRA})
    for signal in list_signals(desk.recording):
        again = find_signal(signal.name)
        assert (again.name, again.unit, again.counter) == (signal.name, signal.unit, signal.counter)
        assert signal.meaning
        assert not signal.meaning.endswith(".")
        assert signal.source
        for source in signal.sources:
            assert source.partition("/")[0] in (*SOURCE_PATHS, "zram", "arcstats"), signal.name


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("memifno.MemFree", "did you mean meminfo?"),
        ("zone.Normal.fre", "did you mean zone.Normal.free?"),
        ("zone.0.Normal.mragin", "did you mean zone.0.Normal.margin"),
        ("slab.dentry.byte", "did you mean slab.dentry.bytes?"),
        ('cgroup."/a b".usag', 'did you mean cgroup."/a b".usage'),
        ("pressure.som", "did you mean pressure.some?"),
        ("swap.usedd", "did you mean swap.used?"),
        ("buddy.Normal.ordr3", "did you mean buddy.Normal.order3 or"),
        ("recorder.lags", "did you mean recorder.lag?"),
        ("x", "expected one of meminfo, unaccounted,"),
        ("meminfo", "expected meminfo.FIELD"),
        ("meminfo.MemFree.x", "expected meminfo.FIELD"),
        ('meminfo."Mem Free"', "did you mean meminfo.MemFree?"),
        ('vmstat."a b"', "expected vmstat.FIELD"),
        ("zone.worst", "expected zone.ZONE.FIELD"),
        ("zone.0.free", "expected zone.ZONE.FIELD"),
        ("zone.0.worst.free", "expected zone.ZONE.FIELD"),
        ("zone.99999999999999999999.Normal.free", "expected zone.ZONE.FIELD"),
        ("node.x.nr_dirty", "expected node.FIELD"),
        ("buddy.0.any.order1", "expected buddy.ZONE.orderN"),
        ("zram.x.used", "expected zram.used"),
        ("process.rsync", "expected process.COMM.FIELD"),
        ('process.rsync."/f".rss', "expected process.COMM.FIELD"),
        ("cgroup", 'expected cgroup."PATH".FIELD'),
        ("cgroup.a.stat", 'expected cgroup."PATH".FIELD'),
        ("unaccounted.x", "expected unaccounted"),
        ("slab.top.objects", "expected slab.CACHE.bytes"),
        ("arc", "expected arc.FIELD"),
    ],
)
def test_a_name_that_is_none_is_refused_with_a_hint(name: str, suggestion: str) -> None:
    """A misspelled rule would never fire, and nobody would know why."""
    with pytest.raises(UnknownSignalError) as raised:
        find_signal(name)
    assert suggestion in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused_in_one_line(name: str) -> None:
    """A forged or mistyped configuration would end in a traceback, or break a log line."""
    for each in (
        name,
        *(f'{family}."{name}".free' for family in FAMILIES),
        *(f"{family}.{name}" for family in FAMILIES),
    ):
        try:
            signal = find_signal(each)
        except UnknownSignalError as error:
            assert "\n" not in str(error)
        else:
            assert split_name(signal.name) == split_name(each)


NASTY = [
    b"",
    b"\n",
    b"\nMemFree: kB\n",
    b"\nMemFree: " + b"9" * 5000 + b" kB\n",
    b"\npswpout " + b"9" * 400 + b"\n",
    b"some avg10=" + b"9" * 400 + b" total=" + b"9" * 400 + b"\nfull avg10=x total=y\n",
    b"some total=\nfull avg10=. avg60=1.2.3 avg300=-1 total=-\n",
    b"Node 0, zone   Normal\n  pages free x\n        min y\n        high z\n        present w\n",
    b"Node 0, zone   Normal\n  pages free " + b"9" * 5000 + b"\n        high 1\n        present 1\n",
    b"Node 0, zone   Normal\n  pages free 1\n        high 1\n        present 1",
    b"Node 0, zone   Normal\n  pages free 1\n        high 0\n        present 1\n  protection: (\n",
    b"Node 0, zone   Normal\n  per-node stats\n      nr_dirty 1",
    b"Node 0, zone   Normal      1      x      3\nNode 0, zone   Normal ",
    b"slabinfo\ndentry 1 2 3 4 5 : tunables 1 : slabdata 1 2 3\ndentry : tunables : slabdata\n",
    b"slabinfo\ndentry 1 2 3 4 " + b"9" * 5000 + b" : tunables 1 : slabdata 1 " + b"9" * 5000 + b" 3\n",
    b"1 2 3",
    b"x " * 20,
    b"name type data\nx\nsize 4\nsize 4 x\nc_min 9 5\n",
]
SOME = (
    *(
        "meminfo.MemFree",
        "swap.used_share",
        "unaccounted",
        "vmstat.pswpout",
        "pressure.some",
        "pressure.full.avg10",
    ),
    *("zone.worst.ratio", "zone.Normal.margin", "zone.0.Normal.nr_dirty", "node.nr_dirty", "node.0.nr_dirty"),
    *("buddy.any.unusable_order3", "buddy.0.Normal.order1", "slab.dentry.bytes", "slab.top.bytes"),
    *("zram.0.limit", "zram.used", "arc.size", "arc.shrinkable", "process.1.rss", "process.1.position"),
    *("cgroup.a.usage_share", "cgroup.a.stat.anon", "cgroup.a.oom_kill", "cgroup.a.swap"),
)
SOURCES = (
    *(*SOURCE_PATHS, "zram/zram0", "arcstats", "process/1/statm", "process/1/fdinfo/3"),
    *("cgroup/a/memory.current", "cgroup/a/memory.max", "cgroup/a/memory.stat", "cgroup/a/memory.events"),
)
ENTRIES = {name: {"name": name, "pid": 1} for name in SOURCES if name.startswith("process")}


def read_all(texts: list[bytes]) -> None:
    desk = make_desk(dict.fromkeys(SOURCES, b""), entries=ENTRIES)
    readers = [find_signal(name).bind(desk.recording) for name in SOME]
    for text in texts:
        desk.show(dict.fromkeys(SOURCES, text))
        assert all(isinstance(read(), float) for read in readers)
    list(list_signals(desk.recording))


def test_nasty_texts_never_raise() -> None:
    """A damaged or forged incident would end `show` with a traceback, an odd line the sampler."""
    read_all([*NASTY, *reversed(NASTY)])


@given(st.lists(st.binary(max_size=200) | st.sampled_from(NASTY), max_size=4))
def test_any_bytes_can_be_offered_as_a_text(texts: list[bytes]) -> None:
    """A damaged or forged incident would end `show` with a traceback, an odd line the sampler."""
    read_all(texts)


@pytest.mark.parametrize("machine", ["debian12-6.18", "vanilla-3.2-i386-pae"])
def test_texts_that_are_cut_off_never_raise(machine: str) -> None:
    """A text that was cut off would end the sampler."""
    texts = machine_texts(machine)
    desk = make_desk(texts)
    readers = [find_signal(name).bind(desk.recording) for name in SOME]
    for end in range(0, 6000, 37):
        desk.show({name: text[:end] for name, text in texts.items()})
        assert all(isinstance(read(), float) for read in readers)
