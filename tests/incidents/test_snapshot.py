"""From an incident without a report of the kernel to why memory was short."""

from typing import Any

import pytest
from tests.conftest import ZERO_NS, S, Tape, WriteIncident

from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.recorder import MACHINE_DIED, REQUESTED, RULE_FIRED
from memwatchd.incidents.snapshot import diagnose_recording, read_snapshot

HOST = {"host": {"page_size": 4096, "clock_ticks_per_s": 100, "kernel": "6.1.0", "hostname": "lab"}}
RAM_KB = 400_000


def texts(available_kb: int, anon_kb: int, slab_kb: int = 8000) -> dict[str, bytes]:
    """What the kernel says of a machine of one zone, whose page cache has what is left."""
    free_kb = min(available_kb, 6000)
    file_kb = RAM_KB - free_kb - anon_kb - slab_kb
    lines = {
        "MemTotal": RAM_KB,
        "MemFree": free_kb,
        "MemAvailable": available_kb,
        "Cached": file_kb,
        "Active(anon)": 0,
        "Inactive(anon)": anon_kb,
        "Active(file)": file_kb,
        "Inactive(file)": 0,
        "AnonPages": anon_kb,
        "Shmem": 0,
        "SReclaimable": slab_kb,
        "SUnreclaim": 0,
        "SwapTotal": 0,
        "SwapFree": 0,
    }
    meminfo = "".join(f"{name}: {kb} kB\n" for name, kb in lines.items())
    zoneinfo = (
        f"Node 0, zone   Normal\n  pages free     {free_kb // 4}\n        min      1000\n"
        f"        low      1250\n"
        f"        high     1500\n        spanned  {RAM_KB // 4}\n        present  {RAM_KB // 4}\n"
        f"        managed  {RAM_KB // 4}\n"
    )
    return {"meminfo": meminfo.encode(), "zoneinfo": zoneinfo.encode()}


def grow(tape: Tape, until_s: float = 0.0) -> None:
    """Let a process eat all there is, in the last ten seconds."""
    for tick in range(11):
        at_s, anon_kb = until_s - 10 + tick, 40_000 + 34_000 * tick
        tape.sample(at_s, texts(max(8000, RAM_KB - anon_kb - 8000), anon_kb))
        if tick < 10:
            row = {
                "pid": 17,
                "comm": "eater",
                "rss_kib": 34_000 * (tick + 1),
                "swap_kib": 0,
                "start_ticks": 9,
            }
            tape.processes(at_s + 0.1, row | {"read_ns": ZERO_NS + round((at_s + 0.1) * S)})


def diagnosed(write_incident: WriteIncident, **facts: Any) -> Diagnosis:
    diagnosis = diagnose_recording(open_incident(write_incident(HOST, **facts)))
    assert diagnosis is not None
    return diagnosis


def test_a_machine_that_died(tape: Tape, write_incident: WriteIncident) -> None:
    """Nobody would learn who had filled the machine before it went down."""
    grow(tape)
    verdict = diagnosed(write_incident, kind=MACHINE_DIED, detail="the machine went down").verdict
    assert (verdict.tag, verdict.confidence) == ("anon_exhaustion", 0.95)
    assert verdict.summary == (
        "Memory was short when the recording ends, before the machine went down: 11.7"
        " MiB of 391 MiB (3 %) were"
        " available, 5.86 MiB of it free. Processes' own memory filled it: 371 MiB of"
        " 391 MiB of RAM (95 %), and"
        " there is no swap; eater: 332 MiB. eater (pid 17) grew from 33.2 MiB to 332 MiB all the time."
    )
    assert [quote.text for quote in verdict.evidence][1:4] == [
        "/proc/meminfo: Inactive(anon): 380000 kB",
        "/proc/zoneinfo: Node 0, zone Normal: pages free 1500 min 1000 low 1250 high 1500 present 100000 "
        "managed 100000",
        "/proc/meminfo: SwapFree: 0 kB",
    ]


def test_a_machine_that_died_of_something_else(tape: Tape, write_incident: WriteIncident) -> None:
    """A power cut would be put down to whoever had the most memory."""
    tape.sample(-1, texts(300_000, 40_000))
    verdict = diagnosed(write_incident, kind=MACHINE_DIED, detail="the machine went down").verdict
    assert (verdict.tag, verdict.summary) == (
        "unknown",
        "Memory was not short when the recording ends, before the machine went down: 293"
        " MiB of 391 MiB (75 %)"
        " were available, 5.86 MiB of it free. The machine went down for another reason,"
        " such as power, a reset"
        " or a fault of the kernel, or memory ran out after the last sample that was written.",
    )


def test_a_machine_whose_memory_was_running_out(tape: Tape, write_incident: WriteIncident) -> None:
    """The last sample before a hang is from before memory was used up: nobody would be to blame."""
    for tick in range(5):
        tape.sample(tick / 2 - 2.1, texts(200_000 - 40_000 * tick, 150_000 + 40_000 * tick))
    verdict = diagnosed(write_incident, kind=MACHINE_DIED).verdict
    assert verdict.tag == "anon_exhaustion"
    assert verdict.summary.startswith(
        "Memory was running out when the recording ends, before the machine went down:"
        " 39.1 MiB of 391 MiB (10 %)"
        " were available, 5.86 MiB of it free, 78.1 MiB less every second, which lasts for 0.5 s. Processes'"
    )


def test_what_a_rule_did_about_it(tape: Tape, write_incident: WriteIncident) -> None:
    """The moment of the dump would be told, when it was all over, and not what had been done."""
    grow(tape, until_s=-1.0)
    tape.noticed(-1, "rule_fire", rule="hog", step=0, figures={})
    tape.noticed(-0.3, "rule_fire", rule="hog", step=1, figures={})
    told = {"rule": "hog", "step": 0, "action": "kill", "began_ns": ZERO_NS - S // 2}
    tape.happened(-0.4, "action", **told, verdict="helped", detail="eater (pid 17) was killed")
    tape.sample(-0.2, texts(300_000, 40_000))
    diagnosis = diagnosed(write_incident, kind=RULE_FIRED, detail="rule hog: MemAvailable 8 MB")
    assert diagnosis.case.event.seconds == ZERO_NS / S - 1
    assert diagnosis.verdict.tag == "anon_exhaustion"
    assert diagnosis.verdict.summary.startswith(
        "Memory was short when rule hog fired: 11.7 MiB of 391 MiB (3 %) were available, 5.86 MiB of it free."
        " memwatchd's answer was kill (helped: eater (pid 17) was killed). Processes' own memory filled it: "
    )
    own = next(each for each in diagnosis.findings if each.tag == "own_actions")
    assert own.summary == (
        "Rules of memwatchd asked for one action around it: kill of rule hog 0.5 s after (helped)."
    )


def test_slab_that_is_held_is_not_available(tape: Tape, write_incident: WriteIncident) -> None:
    """MemAvailable counts it as good as free: a leak of it would pass for a healthy machine."""
    for at_s, scanned in ((-2, 0), (-1, 500)):
        tape.sample(
            at_s,
            texts(150_000, 150_000, 230_000)
            | {"vmstat": f"pgscan_direct {scanned}\npgsteal_direct 1\n".encode()},
        )
    assert diagnosed(write_incident, kind=REQUESTED).verdict.tag == "slab_leak"


def test_page_cache_is_available(tape: Tape, write_incident: WriteIncident) -> None:
    """A file server, which has no more free than its watermarks ask for, would be called short of memory."""
    for at_s, scanned in ((-2, 0), (-1, 500)):
        tape.sample(
            at_s,
            texts(200_000, 190_000) | {"vmstat": f"pgscan_direct {scanned}\npgsteal_direct 1\n".encode()},
        )
    diagnosis = diagnosed(write_incident, kind=REQUESTED)
    assert diagnosis.verdict.summary == (
        "Memory was not short when this was recorded: 195 MiB of 391 MiB (50 %) were"
        " available, 5.86 MiB of it"
        " free. There is no cause to be named."
    )


def test_without_samples_there_is_nothing_to_tell(tape: Tape, write_incident: WriteIncident) -> None:
    """`explain` would end in an error of its own."""
    tape.message(0, b"6,1,60000000,-;eth0: link is up\n")
    assert read_snapshot(open_incident(write_incident(HOST, kind=MACHINE_DIED))) is None


def test_processes_that_had_ended_are_not_in_the_table(tape: Tape, write_incident: WriteIncident) -> None:
    """Memory would be put down to a process that had given it back."""
    for at_s in (-4, -3, -2, -1):
        for pid, comm in ((1, "init"), (2, "gone")):
            if comm == "init" or at_s < -3:
                row = {"pid": pid, "comm": comm, "rss_kib": 4000, "start_ticks": pid}
                tape.processes(at_s, row | {"read_ns": ZERO_NS + at_s * S})
    tape.sample(-0.5, texts(300_000, 40_000))
    snapshot = read_snapshot(open_incident(write_incident(HOST, kind=MACHINE_DIED)))
    assert snapshot is not None
    assert [(task.pid, task.comm) for task in snapshot.event.tasks] == [(1, "init")]


@pytest.mark.parametrize("realtime_ns", [None, 2**62])
def test_forged_times(tape: Tape, write_incident: WriteIncident, realtime_ns: int | None) -> None:
    """A damaged meta block would be a traceback."""
    tape.sample(-1, texts(300_000, 40_000))
    incident = open_incident(write_incident(HOST, kind=MACHINE_DIED))
    incident.facts["trigger"]["realtime_ns"] = realtime_ns
    assert read_snapshot(incident) is not None


def test_an_incident_that_is_still_being_written(tape: Tape, write_incident: WriteIncident) -> None:
    """In the storm, when somebody looks, there is nothing but the first version."""
    grow(tape)
    path = write_incident(HOST, kind=RULE_FIRED, detail="rule hog: MemAvailable 8 MB")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)  # the end
    incident = open_incident(path)
    diagnosis = diagnose_recording(incident)
    assert diagnosis is not None
    assert (incident.complete, diagnosis.verdict.tag) == (False, "anon_exhaustion")
    assert "memwatchd did nothing but tell" in diagnosis.verdict.summary


def test_a_kill_of_which_nobody_has_a_report(tape: Tape, write_incident: WriteIncident) -> None:
    """A counter that rose would be put on the machine's memory, of which there was enough."""
    tape.sample(-1, texts(300_000, 40_000))
    assert diagnosed(write_incident).verdict.summary.endswith(
        "What the kernel killed for is not in its log: it was the limit of a cgroup, or memory was free again"
        " by then."
    )


def test_a_recording_that_lost_its_end(tape: Tape, write_incident: WriteIncident) -> None:
    """Samples from long before a death would be taken for the last ones, and be as sure."""
    tape.sample(-5, texts(300_000, 40_000))
    diagnosis = diagnosed(write_incident, kind=MACHINE_DIED)
    event = diagnosis.case.event
    assert (event.seconds, event.complete, event.missing) == (ZERO_NS / S - 5, False, ("samples",))
    assert diagnosis.verdict.confidence == 0.63
