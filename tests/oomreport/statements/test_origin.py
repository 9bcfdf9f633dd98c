"""Process, kernel and call trace."""

import pytest

from memwatchd.oomreport.statements.origin import Process, parse_frame, parse_hardware, parse_process

PROCESSES = {
    "Pid: 21832, comm: clamd Tainted: G         C   3.2.59 #21": Process(21832, "clamd", "3.2.59", "G C"),
    "Pid: 3852, comm: apache2 Tainted: G        W  2.6.32-45-generic-pae #102-Ubuntu": Process(
        3852, "apache2", "2.6.32-45-generic-pae", "G W"
    ),
    "CPU: 0 PID: 3841 Comm: memcheck-amd64- Not tainted 4.4.0-x86_64-linode63 #2": Process(
        3841, "memcheck-amd64-", "4.4.0-x86_64-linode63", ""
    ),
    "CPU: 0 PID: 1 Comm: systemd Tainted: G      D W         5.4.0-next-20191204+ #75": Process(
        1, "systemd", "5.4.0-next-20191204+", "G D W"
    ),
    "CPU: 0 PID: 1874 Comm: nfsd Kdump: loaded Tainted: G  E  6.1.119-1.el9.elrepo.x86_64 #1": Process(
        1874, "nfsd", "6.1.119-1.el9.elrepo.x86_64", "G E"
    ),
    "CPU: 8 PID: 8291 Comm: runc:[2:INIT] Tainted: G        W I E     5.8.2-0.g71b519a-default #1 openSUSE "
    "Tumbleweed (unreleased)": Process(8291, "runc:[2:INIT]", "5.8.2-0.g71b519a-default", "G W I E"),
    "CPU: 5 UID: 0 PID: 1122 Comm: stress Not tainted 6.18.0+ #26 PREEMPT(voluntary)": Process(
        1122, "stress", "6.18.0+", ""
    ),
    "CPU: 1 PID: 9122 Comm: python2.7 Tainted: xxxxxxxxxxxx": Process(
        9122, "python2.7", None, "xxxxxxxxxxxx"
    ),
    "CPU: 2 PID: 7 Comm: Not tainted 4.4 Not tainted 4.19.0-5-amd64 #1": Process(
        7, "Not tainted 4.4", "4.19.0-5-amd64", ""
    ),
}


@pytest.mark.parametrize("line", PROCESSES)
def test_process_lines(line: str) -> None:
    """The version on this line decides how a bare mask of flags is read."""
    assert parse_process(line) == PROCESSES[line]


FRAMES = {
    "[<ffffffff811c6a55>] ? dump_header+0x59/0x1dd": (),
    "[<c01d74a4>] oom_kill_process+0xa4/0x2b0": ("oom_kill_process",),
    "out_of_memory.part.0+0x1df/0x3d0": ("out_of_memory.part.0",),
    "ext4_filemap_fault+0x2c/0x40 [ext4]": ("ext4_filemap_fault",),
    "[<c0032244>] (dump_backtrace+0x0/0x10c) from [<c0433bac>] (dump_stack+0x18/0x1c)": ("dump_backtrace",),
    "nfs_swap_rw from swap_write_unplug+0x54/0x94": ("nfs_swap_rw",),
    "show_stack+0x24/0x50 (C)": ("show_stack",),
    "something else": None,
}


@pytest.mark.parametrize("line", FRAMES)
def test_frames(line: str) -> None:
    """The trace names who asked: vmalloc, a file system, a driver."""
    assert parse_frame(line) == FRAMES[line]


def test_hardware() -> None:
    """Hypervisors are recognised by it."""
    assert parse_hardware("Hardware name: Microsoft Corporation Virtual Machine, BIOS 4.0") == (
        "Microsoft Corporation Virtual Machine, BIOS 4.0"
    )
    assert parse_hardware("no hardware") is None
