"""Which parts of a log are read."""

import pytest

from memwatchd.oomreport.gate import LINES_BEFORE, Gate, Part, is_hot

COLD = b"".join(
    b"Apr 22 14:31:%02d www sshd[1]: a room with a view, bloom\n" % (index % 60) for index in range(500)
)


@pytest.mark.parametrize(
    "line",
    [
        b"java invoked oom-killer: gfp_mask=0xcc0",
        b"Out of Memory: Killed process 4846 (sa-learn).",
        b"Killed process 2726 (y)",
        b"swapper/0: page allocation failure: order:6",
        b"SysRq : Show Memory\nMem-info:",
        b"memory: usage 1kB\nMemory cgroup stats for /a:",
        b"oom_reaper: reaped process 1 (a)",
        b"systemd-oomd[812]: Killed /user.slice due to memory pressure",
        b"earlyoom[1]: sending SIGTERM to process 1",
        b"OOM killer disabled.",
        b"SLUB: Unable to allocate memory on node -1",
        b"vmalloc: allocation failure: 4096 bytes",
        b"lowmemorykiller: Killing 'a' (1)",
        b"kubelet[1]: eviction manager: must evict pod(s) to reclaim",
        b"nohang: Sending SIGTERM",
    ],
)
def test_hot_lines(line: bytes) -> None:
    """An event in a large log would not be seen."""
    assert is_hot(COLD + line + b"\n" + COLD)


def test_cold_lines() -> None:
    """A large log would be read line by line for nothing."""
    assert not is_hot(COLD)


def passed(chunks: list[bytes]) -> list[Part]:
    gate = Gate()
    return [*(part for chunk in chunks for part in gate.pass_through(chunk)), *gate.close()]


def test_first_chunk_is_read() -> None:
    """A short paste whose telling words are all broken would be passed over."""
    assert passed([COLD]) == [Part(COLD, cold=False)]


def test_lines_before_a_hot_chunk_are_read() -> None:
    """What the balloon driver said just before the report would be missing."""
    hot = b"x invoked oom-killer: order=0\n"
    parts = passed([COLD, COLD, COLD, COLD, hot])
    assert b"".join(part.chunk for part in parts) == COLD * 4 + hot
    before = parts[-2]
    assert not before.cold
    assert before.chunk.count(b"\n") == LINES_BEFORE
    assert parts[-1] == Part(hot, cold=False)
    assert any(part.cold for part in parts)


def test_everything_is_read_while_an_event_is_open() -> None:
    """The task table of a machine with thousands of processes would end in the middle."""
    gate = Gate()
    assert [part.cold for part in gate.pass_through(COLD)] == [False]
    gate.open_event = True
    assert list(gate.pass_through(COLD)) == [Part(COLD, cold=False)]
    gate.open_event = False
    parts = [*gate.pass_through(COLD), *gate.pass_through(COLD), *gate.close()]
    assert [part.cold for part in parts] == [False, True, True]
    assert b"".join(part.chunk for part in parts) == COLD * 2
