"""An incident without the names in it: nothing of them is left, and everything that reads it still does."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import BOOT_ID, ZERO_NS, S, Tape, WriteIncident, meminfo, slabinfo, vmstat

from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.scrub import scrub_incident
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.ring.stream import events, messages, process_rows, stored_files
from memwatchd.scrub.names import Names
from memwatchd.views.incident import render
from memwatchd.views.summary import summarise

# One for each place where a stranger's name can be; all of them are looked for afterwards.
CANARIES = tuple(
    f"canary{what}"
    for what in (
        *("host", "comm", "unit", "pod", "user", "exe", "target", "swap", "cache", "rule", "hook", "root"),
        *("boot", "word", "text", "key"),
    )
)
CGROUP = "/system.slice/canaryunit.service"
POD = "/kubepods/besteffort/pod0e5cf1a2-8a2b-4c3d-9e4f-001122334455/canarypod"
STATUS = (
    b"Name:\tcanarycomm\nUmask:\t0022\nUid:\t4242\t4242\t4242\t4242\n"
    b"Gid:\t4243\t4243\t4243\t4243\nVmSwap:\t 7 kB\n"
)
CONSTRAINT = (
    f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=canaryunit.service,mems_allowed=0,oom_memcg={CGROUP},"
    f"task_memcg={CGROUP}/canarypod,task=canarycomm,pid=4711,uid=4242"
)
KILLED = (
    "Memory cgroup out of memory: Killed process 4711 (canarycomm) total-vm:20kB, anon-rss:9kB, "
    "file-rss:0kB, shmem-rss:0kB, UID:4242 pgtables:8kB oom_score_adj:0"
)
META = {
    "host": {
        "hostname": "canaryhost.example.org",
        "kernel": "5.10.0-13-canaryword",
        "kernel_version": "#1 SMP Debian 5.10.106-1 canaryword (2022-03-17)",
        "machine": "x86_64",
        "os": "canaryword Linux 12",
        "cpus": 4,
        "page_size": 4096,
        "kernel_command_line": "BOOT_IMAGE=/canaryboot root=UUID=canaryroot ro hugepages=12 "
        "canarykey=canaryword quiet",
    },
    "kills": [
        {
            "monotonic_ns": ZERO_NS,
            "pid": 4711,
            "comm": "canarycomm",
            "scope": "cgroup",
            "limit_cgroup": CGROUP,
            "task_cgroup": f"{CGROUP}/canarypod",
            "amounts_kib": {"anon-rss": 9},
            "sequence": 12,
            "timestamp_usec": 60_000_000,
        }
    ],
    "counters": {"vmstat": 1, f"cgroup{CGROUP}/memory.events": 1},
    "disagreements": [f"cgroup{CGROUP}/memory.events counts 3 kills, vmstat 1 and the kernel's messages 1"],
    "death": {"last_realtime_ns": 5, "wrapped": False, "host": "acme"},
    "degraded": [
        "/srv/canarytext/ring: not locked",
        "/dev/kmsg: Permission denied (CAP_SYSLOG): victims remain unnamed",
    ],
    "sampling": {
        "rate_hz": 10.0,
        "lag_us": {"p50": 1.0},
        "sources": {"meminfo": {"rate_hz": 10.0, "reads": 3}},
    },
    "window": {"from_ns": ZERO_NS - 3 * S, "to_ns": ZERO_NS + S},
    "program": {"name": "memwatchd", "version": "0.1.0", "python": "3.11.2"},
    "kmsg": {"readable": True, "lost": 0},
    "canarykey": {"canaryword": "canarytext"},
}


def row(pid: int, comm: str, cgroup: str, rss_kib: int) -> dict[str, Any]:
    return {
        "pid": pid,
        "ppid": 1,
        "uid": 4242,
        "comm": comm,
        "state": "S",
        "rss_kib": rss_kib,
        "cgroup": cgroup,
        "start_ticks": 5,
    }


def sample(tape: Tape, at_s: float, free_kib: int) -> None:
    texts = {
        "meminfo": meminfo(MemFree=free_kib, MemAvailable=free_kib),
        "vmstat": vmstat(oom_kill=0),
        "slabinfo": slabinfo(**{"dentry": 4, "dentry(123:canarycache.service)": 7 + free_kib}),
        "process/4711/status": STATUS,
        "process/4711/fdinfo/3": b"pos:\t%d\nflags:\t0100000\nmnt_id:\t29\n" % (5 + free_kib),
        f"cgroup{CGROUP}/memory.current": b"%d\n" % (4096 * free_kib),
        f"cgroup{CGROUP}/memory.stat": b"anon 4096\nworkingset_future_key 7\n",
        "canarykey/canarytext": b"canarytext\n",
    }
    tape.sample(at_s, texts)


@pytest.fixture
def written(tape: Tape, write_incident: WriteIncident) -> Path:
    """An incident with a canary wherever there can be one."""
    facts = {"pid": 4711, "comm": "canarycomm", "start_ticks": 5}
    tape.watch("process/4711/status", path="/canaryroot/4711/status", **facts)
    tape.watch("process/4711/fdinfo/3", **facts, target="/srv/canarytarget/dump.img")
    for file in ("memory.current", "memory.stat"):
        tape.watch(
            f"cgroup{CGROUP}/{file}", path=f"/sys/fs/cgroup{CGROUP}/{file}", cgroup=CGROUP, rate_hz=10.0
        )
    sample(tape, -2, 30)
    tape.processes(-1.5, row(4711, "canarycomm", CGROUP, 100), row(4712, "Canary Content", POD, 50))
    tape.processes(-0.5, row(4711, "canarycomm", CGROUP, 900), row(4712, "Canary Content", POD, 50))
    tape.noticed(
        -1,
        "rule_fire",
        rule="canaryrule",
        step=0,
        figures={f'cgroup."{CGROUP}".usage': 5.0, "process.canarycomm.rss": 7.0},
    )
    tape.noticed(-1, "source_error", source=f"cgroup{CGROUP}/memory.stat", error="No such device")
    sample(tape, -1, 20)
    tape.new_segment()
    sample(tape, -0.5, 20)
    sample(tape, -0.4, 10)
    tape.file(
        -0.9,
        "swaps",
        b"Filename\t\t\tType\t\tSize\tUsed\tPriority\n/srv/canaryswap\\040file   file\t\t1048572\t2048\t-2\n",
    )
    tape.file(-0.9, "canarykey", b"canarytext")
    tape.happened(
        -0.3,
        "action",
        rule="canaryrule",
        step=0,
        action="hook",
        verdict="failed",
        detail="/usr/local/canaryhook ended with status 3 on canaryhost for canarycomm (4711), "
        "Canary Content",
        figures={"status": 3, "signal": "SIGTERM", "heirs": [1, 2]},
        before={"MemFree_bytes": 1},
        after={},
    )
    tape.message(
        -0.2,
        b"4,1,59700000,-;canarycomm invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, "
        b"oom_score_adj=0\n SUBSYSTEM=canarykey\n",
    )
    tape.message(-0.2, b"30,2,59750000,-;canaryexe[12]: opened /home/canaryuser/x from 192.0.2.17\n")
    tape.message(-0.1, b"6,3,59760000,-;usb 1-1: Product: canaryword\n")
    tape.message(0, f"6,4,60000000,-;{CONSTRAINT}\n".encode())
    tape.message(0, f"3,5,60000000,-;{KILLED}\n".encode())
    return write_incident(
        META,
        detail=f"canarycomm (pid 4711) was killed by the limit of cgroup {CGROUP}",
        texts={
            "config.yaml": b"watch: [{comm: canarycomm}]\n",
            "kmsg-backlog": f"6,4,60000000,-;{CONSTRAINT}\n SUBSYSTEM=canarykey\n".encode(),
            "canarykey": b"canarytext",
        },
    )


@pytest.fixture
def scrub(tmp_path: Path) -> Callable[..., Incident]:
    def scrub(path: Path, name: str = "out.mwi", **options: Any) -> Incident:
        scrub_incident(open_incident(path), tmp_path / name, Names(**options))
        return open_incident(tmp_path / name)

    return scrub


def everything(incident: Incident) -> Iterator[bytes]:
    """The file as it is, and whatever is compressed in it."""
    yield incident.path.read_bytes()
    yield json.dumps(incident.meta).encode()
    for kind in (BlockType.SAMPLES, BlockType.EVENTS):
        for segment in incident.segments(kind):
            yield from (bytes(record.payload) for record in segment.records())
    for moment in incident.moments():
        yield from moment.sample.texts.values()
        yield json.dumps(moment.sources).encode()
    for part in process_rows(incident.segments(BlockType.EVENTS)):
        yield json.dumps(part.rows).encode()
    yield from incident.texts().values()


def test_nothing_of_the_names_is_left_anywhere(written: Path, scrub: Callable[..., Incident]) -> None:
    """Somebody would share what they meant to keep."""
    before = b"\0".join(everything(open_incident(written))).lower()
    after = b"\0".join(everything(scrub(written))).lower()
    unused = [canary for canary in CANARIES if canary.encode() not in before]
    assert (unused, b"canary" in after) == ([], False)
    for stray in (BOOT_ID, BOOT_ID.hex().encode(), b"192.0.2.17", b"4242", b"0e5cf1a2", b"example"):
        assert stray in before
        assert stray not in after


def test_the_same_names_are_the_same_stand_ins_everywhere(
    written: Path, scrub: Callable[..., Incident]
) -> None:
    """Nobody could follow a process from the table to the kernel's messages."""
    incident = scrub(written)
    unit = "/system.slice/unit-1.service"
    kill = incident.facts["kills"][0]
    assert (kill["comm"], kill["limit_cgroup"], kill["task_cgroup"]) == ("proc-1", unit, f"{unit}/cgroup-1")
    assert (
        incident.facts["trigger"]["detail"] == f"proc-1 (pid 4711) was killed by the limit of cgroup {unit}"
    )
    assert incident.facts["counters"] == {"vmstat": 1, f"cgroup{unit}/memory.events": 1}
    table = {
        entry["pid"]: entry
        for part in process_rows(incident.segments(BlockType.EVENTS))
        for entry in part.rows
    }
    assert (table[4711]["comm"], table[4711]["cgroup"], table[4711]["uid"]) == ("proc-1", unit, 1001)
    assert table[4712]["cgroup"] == "/kubepods/besteffort/podid-1/cgroup-1"
    said = [message.raw.decode() for message in messages(incident.segments(BlockType.EVENTS))]
    assert (
        said[0]
        == "4,1,59700000,-;proc-1 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    )
    assert f"oom_memcg={unit},task_memcg={unit}/cgroup-1,task=proc-1,pid=4711,uid=1001" in said[3]
    assert said[4].startswith(
        "3,5,60000000,-;Memory cgroup out of memory: Killed process 4711 (proc-1) total-vm:20kB"
    )


def test_the_figures_stay_as_they_were(written: Path, scrub: Callable[..., Incident]) -> None:
    """There would be nothing left to find the cause by."""
    before, after = open_incident(written), scrub(written)
    assert (after.complete, after.problems, after.trigger_ns) == (True, [], ZERO_NS)
    old, new = list(before.moments()), list(after.moments())
    assert [_pulse(each.sample) for each in old] == [_pulse(each.sample) for each in new]
    for name in ("meminfo", "vmstat", "process/4711/fdinfo/3"):
        assert [each.text(name) for each in old] == [each.text(name) for each in new]
    names = (
        "cgroup/system.slice/canaryunit.service/memory.stat",
        "cgroup/system.slice/unit-1.service/memory.stat",
    )
    assert [each.text(names[0]) for each in old] == [each.text(names[1]) for each in new]
    assert [_sizes(each.text("slabinfo")) for each in old] == [_sizes(each.text("slabinfo")) for each in new]
    assert new[-1].text("process/4711/status") == (
        b"Name:\tproc-1\nUmask:\t0022\nUid:\t1001\t1001\t1001\t1001\n"
        b"Gid:\t1002\t1002\t1002\t1002\nVmSwap:\t 7 kB\n"
    )
    swaps = next(stored_files(after.segments(BlockType.EVENTS)))
    assert swaps.text.splitlines()[1].split() == [b"/path-2", b"file", b"1048572", b"2048", b"-2"]


def _pulse(sample: Any) -> tuple[int, ...]:
    return sample.tick, sample.monotonic_ns, sample.lag_ns, sample.read_ns, sample.missed


def _sizes(text: bytes | None) -> list[int]:
    return [cache.size_bytes(4096) for cache in parse_slabinfo(text or b"").caches]


def test_events_keep_their_figures_and_their_sentences(written: Path, scrub: Callable[..., Incident]) -> None:
    """What the recorder did could not be told from what it was told."""
    incident = scrub(written)
    noticed = list(events(incident.segments(BlockType.SAMPLES)))
    assert noticed[0]["rule"] == "rule-1"
    assert noticed[0]["figures"] == {
        'cgroup."/system.slice/unit-1.service".usage': 5.0,
        "process.proc-1.rss": 7.0,
    }
    assert noticed[1] == {
        "event": "source_error",
        "monotonic_ns": ZERO_NS - S,
        "source": "cgroup/system.slice/unit-1.service/memory.stat",
        "error": "No such device",
    }
    action = next(events(incident.segments(BlockType.EVENTS)))
    assert action["detail"] == "/path-3 ended with status 3 on host-1 for proc-1 (4711), proc-2"
    assert action["figures"] == {"status": 3, "signal": "SIGTERM", "heirs": [1, 2]}


def test_rules_that_come_with_the_program_keep_their_names(
    written: Path, scrub: Callable[..., Incident]
) -> None:
    """A reader would not recognise the very rules everybody has."""
    incident = scrub(written, kept_rules=["canaryrule"])
    assert next(events(incident.segments(BlockType.SAMPLES)))["rule"] == "canaryrule"


def test_show_reads_it_and_says_that_it_was_scrubbed(written: Path, scrub: Callable[..., Incident]) -> None:
    """The receiver would not know that the names are none, and look for a configuration that is not there."""
    text = render(summarise(scrub(written)))
    assert "host-1, vendor-1 Linux 12, kernel 5.10.0-13-vendor-1" in text
    assert (
        "degraded: scrubbed: names are stand-ins, and the configuration and unknown texts were left out"
        in text
    )
    assert "rule rule-1: hook: failed" in text


def test_the_kernel_command_line_keeps_what_is_about_memory(
    written: Path, scrub: Callable[..., Incident]
) -> None:
    """Half the diagnoses begin with hugepages= or cgroup_disable=memory; the rest is the site's own."""
    line = scrub(written).facts["host"]["kernel_command_line"]
    assert line == "BOOT_IMAGE=(left-out) root=(left-out) ro hugepages=12 parameter-1=(left-out) quiet"


def test_scrubbing_again_gives_the_same_bytes(written: Path, scrub: Callable[..., Incident]) -> None:
    """Two people could not tell that they speak of the same file."""
    assert scrub(written, "one.mwi").path.read_bytes() == scrub(written, "two.mwi").path.read_bytes()


def test_a_segment_is_written_anew_however_damaged_it_was(
    written: Path, tmp_path: Path, scrub: Callable[..., Incident]
) -> None:
    """Bytes behind a damaged record are in no reader's view, and would be shared all the same."""
    data = bytearray(written.read_bytes())
    at = data.find(b"canaryhook")
    data[at] ^= 0xFF
    damaged = tmp_path / "damaged.mwi"
    damaged.write_bytes(data)
    after = scrub(damaged)
    assert b"canary" not in b"\0".join(everything(after)).lower()
    assert len(list(after.moments())) == 4


def test_an_incident_without_its_aftermath_stays_one(
    written: Path, tmp_path: Path, scrub: Callable[..., Incident]
) -> None:
    """A first version would pass for the whole story."""
    cut = tmp_path / "cut.mwi"
    cut.write_bytes(written.read_bytes()[:-40])
    assert (open_incident(cut).complete, scrub(cut).complete) == (False, False)


def test_nothing_is_left_beside_it_when_the_disk_fails(written: Path, tmp_path: Path) -> None:
    """Half a file would pass for a scrubbed one."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "out.mwi").mkdir()
    with pytest.raises(OSError):
        scrub_incident(open_incident(written), place / "out.mwi", Names())
    assert [path.name for path in place.iterdir()] == ["out.mwi"]


def test_commands_can_be_kept(written: Path, scrub: Callable[..., Incident]) -> None:
    """Among colleagues a report without the names of programs says little."""
    incident = scrub(written, keep_commands=True)
    assert incident.facts["kills"][0]["comm"] == "canarycomm"
    assert b"canaryhost" not in b"\0".join(everything(incident))
