"""The kernel's messages of an incident."""

from tests.conftest import Tape, WriteIncident

from memwatchd.incidents.kernel_log import BACKLOG, kernel_log
from memwatchd.incidents.reader import open_incident

INVOKED = b"4,100,59990000,-,caller=T1;eater invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0\n"
KILLED = b"3,101,60000000,-;Out of memory: Killed process 4711 (eater)\n SUBSYSTEM=memory\n DEVICE=+m:0\n"


def test_messages_are_one_log(tape: Tape, write_incident: WriteIncident) -> None:
    """What explains a kill would not see what the kernel said of it."""
    tape.message(-0.01, INVOKED)
    tape.new_segment()
    tape.message(0, KILLED)
    assert kernel_log(open_incident(write_incident())) == INVOKED + KILLED


def test_messages_come_in_the_kernel_s_order_and_once(tape: Tape, write_incident: WriteIncident) -> None:
    """A restarted service reads messages again: a report would have two heads, or half of one."""
    tape.message(-0.01, KILLED)
    tape.message(0, INVOKED)
    tape.message(0, KILLED)
    assert kernel_log(open_incident(write_incident())) == INVOKED + KILLED


def test_the_backlog_belongs_to_it(tape: Tape, write_incident: WriteIncident) -> None:
    """A kill that took the recorder with it stands nowhere else."""
    tape.message(-0.01, INVOKED)
    incident = open_incident(write_incident(texts={BACKLOG: INVOKED + KILLED}))
    assert kernel_log(incident) == INVOKED + KILLED


def test_what_programs_wrote_is_left_out(tape: Tape, write_incident: WriteIncident) -> None:
    """Anybody who may write to /dev/kmsg could have the wrong process accused."""
    tape.message(-0.01, b"12,99,59980000,-;Out of memory: Killed process 1 (init)\n")
    tape.message(-0.01, b"rubbish\n")
    tape.message(0, KILLED)
    assert kernel_log(open_incident(write_incident())) == KILLED


def test_an_incident_without_messages_has_an_empty_log(tape: Tape, write_incident: WriteIncident) -> None:
    """Where the kernel's log may not be read there is nothing to explain, and no error."""
    tape.sample(0, {"meminfo": b""})
    assert kernel_log(open_incident(write_incident())) == b""
