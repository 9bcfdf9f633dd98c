"""From bytes to events: through every transport, cut anywhere, damaged in every way."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import FIXTURES
from tests.oomreport import written
from tests.oomreport.transports import LOSSY, TRANSPORTS

from memwatchd.diagnosis.verdict import diagnose
from memwatchd.oomreport.reader import EventReader, read_events
from memwatchd.oomreport.report import Event, Memcg, Totals

TASKS = (
    written.Task(pid=77, comm="hog", rss_mib=500, swap_mib=3),
    written.Task(pid=78, comm="(sd-pam)", rss_mib=2, oom_score_adj=100),
    written.Task(pid=1079, comm="runc:[2:INIT]", rss_mib=1),
)
REPORTS = {
    "3.2": written.report(era="3.2", arch="i386", ram_mib=3000, swap_total_mib=100, tasks=TASKS),
    "4.4": written.report(era="4.4", swap_total_mib=100, tasks=TASKS),
    "5.4 memcg": written.report(
        era="5.4", kind="memcg2", memcg=written.Memcg(path="/docker/0123abcd", limit_mib=64), tasks=TASKS
    ),
    "6.8": written.report(era="6.8", swap_total_mib=100, tasks=TASKS, reaped=True),
    "5.15 failure": written.report(era="5.15", kind="alloc_failure", trigger=written.Trigger(order=3)),
}


def without_places(event: Event) -> Event:
    """The event without lines, times and hosts, which differ by transport."""
    return replace(
        event,
        first_line=0,
        last_line=0,
        host=None,
        seconds=None,
        time=None,
        texts={},
        remarks=(),
        trigger=replace(event.trigger, line=None),
        memcg=event.memcg and replace(event.memcg, lines={}),
        victims=tuple(replace(victim, line=None) for victim in event.victims),
        zones=tuple(replace(zone, line=None, blocks_line=None, reserve_line=None) for zone in event.zones),
        nodes=tuple(replace(node, line=None) for node in event.nodes),
        totals=replace(event.totals, lines={}),
        hugepages=tuple(replace(pool, line=0) for pool in event.hugepages),
        tasks=tuple(replace(task, line=None) for task in event.tasks),
    )


def facts(text: bytes) -> list[Event]:
    return [without_places(event) for event in read_events([text])]


@pytest.mark.parametrize("kind", sorted(set(TRANSPORTS) - set(LOSSY)))
@pytest.mark.parametrize("name", REPORTS)
def test_every_transport_gives_the_same_event(name: str, kind: str) -> None:
    """The same death would have two causes, by how its report was copied."""
    lines = REPORTS[name]
    plain = facts(written.transport(lines, "dmesg"))
    assert len(plain) == 1
    assert facts(written.transport(lines, kind)) == plain


@pytest.mark.parametrize("kind", sorted(LOSSY))
@pytest.mark.parametrize("name", REPORTS)
def test_lossy_transports_still_give_an_event(name: str, kind: str) -> None:
    """What loses lines or columns loses facts, but not the event, nor who was killed."""
    (plain,) = facts(written.transport(REPORTS[name], "dmesg"))
    events = facts(written.transport(REPORTS[name], kind))
    assert [event.kind for event in events] == [plain.kind]
    assert [victim.pid for victim in events[0].victims] == [victim.pid for victim in plain.victims]


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 4000), min_size=1, max_size=30), name=st.sampled_from(sorted(REPORTS)))
def test_where_blocks_are_cut_does_not_matter(cuts: list[int], name: str) -> None:
    """A report would be read otherwise from a pipe than from a file."""
    text = written.transport(REPORTS[name], "syslog")
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(text[start : start + cut])
        start += cut
    assert [without_places(event) for event in read_events([*pieces, text[start:]])] == facts(text)


def test_many_reports_with_a_log_around_them() -> None:
    """Line numbers are those of an editor, also after megabytes that were passed over."""
    report = written.transport(REPORTS["4.4"], "syslog")
    other = (
        b"Mar  7 02:43:11 www7 kernel: [12345.678901] usb 1-1: new high-speed USB device number 7\n" * 20_000
    )
    reader = EventReader()
    text = (other + report) * 3
    events = [
        event for start in range(0, len(text), 65_536) for event in reader.feed(text[start : start + 65_536])
    ]
    events += list(reader.close())
    assert [event.first_line for event in events] == [
        20_001 + number * (20_000 + report.count(b"\n")) for number in range(3)
    ]
    assert reader.lines == text.count(b"\n")
    assert [without_places(event) for event in events] == facts(report) * 3


# ---- damage

Mutation = Callable[[list[bytes], st.DataObject], list[bytes]]


def dropped(lines: list[bytes], data: st.DataObject) -> list[bytes]:
    gone = data.draw(st.sets(st.integers(0, max(0, len(lines) - 1)), max_size=60))
    return [line for index, line in enumerate(lines) if index not in gone]


def doubled(lines: list[bytes], data: st.DataObject) -> list[bytes]:
    twice = data.draw(st.sets(st.integers(0, max(0, len(lines) - 1)), max_size=60))
    return [line for index, line in enumerate(lines) for _ in range(1 + (index in twice))]


def cut(lines: list[bytes], data: st.DataObject) -> list[bytes]:
    width = data.draw(st.integers(0, 200))
    return [line[:width] for line in lines]


def moved(lines: list[bytes], data: st.DataObject) -> list[bytes]:
    start, length = data.draw(st.integers(0, 150)), data.draw(st.integers(0, 80))
    return lines[start:] + lines[length:start]


def interleaved(lines: list[bytes], data: st.DataObject) -> list[bytes]:
    every = data.draw(st.integers(1, 9))
    other = data.draw(st.binary(max_size=60)).replace(b"\n", b"")
    return [
        each for index, line in enumerate(lines) for each in ([line, other] if index % every == 0 else [line])
    ]


def prefixed(lines: list[bytes], data: st.DataObject) -> list[bytes]:
    prefix = data.draw(st.binary(max_size=30)).replace(b"\n", b"")
    return [prefix + line for line in lines]


def garbled(lines: list[bytes], data: st.DataObject) -> list[bytes]:
    text = bytearray(b"\n".join(lines))
    for place in data.draw(st.lists(st.integers(0, max(0, len(text) - 1)), max_size=40)):
        if place < len(text):
            text[place] = data.draw(st.integers(0, 255))
    return bytes(text).split(b"\n")


MUTATIONS: tuple[Mutation, ...] = (dropped, doubled, cut, moved, interleaved, prefixed, garbled)
POSTED = sorted(path.stem for path in (FIXTURES / "oom").glob("*.txt"))


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
)
@given(data=st.data(), name=st.sampled_from(POSTED))
def test_no_damage_raises(data: st.DataObject, name: str) -> None:
    """A log from a dying machine is damaged; whoever reads it must not die, too."""
    lines = (FIXTURES / "oom" / f"{name}.txt").read_bytes().split(b"\n")
    for mutate in data.draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3)):
        lines = mutate(lines, data)
    for event in read_events([b"\n".join(lines)]):
        assert event.first_line <= event.last_line
        diagnosis = diagnose(event)
        assert diagnosis.findings
        assert all(0 <= finding.confidence <= 1 for finding in diagnosis.findings)
        assert all(0 <= finding.weight <= 1 for finding in diagnosis.findings)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n" * 100_000,
        b"x" * 3_000_000,
        b"[" * 200_000,
        b"active_anon:" + b"9" * 500_000,
        b"Node 0 Normal free:" + b"1kB min:" * 100_000,
        b"Out of memory: Killed process 1 (" + b"(" * 300_000,
        b"oom-kill:constraint=" + b",pid=" * 100_000,
        b"x invoked oom-killer: gfp_mask=0x" + b"f" * 100_000 + b"(" * 1000,
        bytes(range(256)) * 2000,
        b"{" * 100_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_hostile_input_ends(text: bytes) -> None:
    """A line made to keep the reader busy must not do so, and a number of any length must not fill memory."""
    for event in read_events([text]):
        assert diagnose(event).findings


def test_the_model_is_fully_compared() -> None:
    """A field added to the model must be looked at by `without_places`, or transports could differ unseen."""
    assert {field for field in Totals.__dataclass_fields__ if "line" in field} == {"lines"}
    assert {field for field in Memcg.__dataclass_fields__ if "line" in field} == {"lines"}


def test_a_name_with_a_line_end_in_it() -> None:
    """A process may call itself anything; its kill must not vanish because of that."""
    lines = [
        "x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,"
        "task=(a\\x0ab),pid=77,uid=0",
        "Out of memory: Killed process 77 ((a\\x0ab)) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
    ]
    text = "".join(f"4,{number},{number}000,-;{line}\n" for number, line in enumerate(lines)).encode()
    (event,) = read_events([text])
    (victim,) = event.victims
    assert (victim.pid, victim.comm, victim.total_vm_kb) == (77, "(a\nb)", 8)


@pytest.mark.parametrize("marks", ["```", "~~~", "{noformat}", "{code}", "</pre>"])
def test_the_marks_around_a_quotation(marks: str) -> None:
    """They would be taken for the rest of the last line, and the kill be lost with it."""
    lines = [
        marks,
        "[  395.252655] oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=test,mems_allowed=0",
        "[  395.264068] Out of memory: Killed process 2614 (hog)",
        marks,
        "",
        "Signed-off-by: somebody",
    ]
    (event,) = read_events(["\n".join(lines).encode()])
    assert [(victim.pid, victim.comm) for victim in event.victims] == [(2614, "hog")]


def test_syslog_without_a_program() -> None:
    """The first word of the kernel's message would be taken for who says it."""
    lines = [
        "Nov 17 06:19:30 sleepy oom-killer: gfp_mask=0x1d2",
        "Nov 17 06:19:30 sleepy Active:6386 inactive:6367 dirty:0 free:59 slab:1280 mapped:962 pagetables:96",
        "Nov 17 06:19:30 sleepy Out of Memory: Killed process 7123 (sshd).",
    ]
    (event,) = read_events(["\n".join(lines).encode()])
    assert (event.trigger.gfp_mask, event.totals.pages["active"]) == (0x1D2, 6386)
    assert [victim.pid for victim in event.victims] == [7123]
