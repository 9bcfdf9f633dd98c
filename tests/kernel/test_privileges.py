"""Asking the kernel for privileges: a refusal is one sentence and never an exception."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from memwatchd.kernel import libc, privileges

EPERM = PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture
def calls() -> list[tuple[object, ...]]:
    return []


@pytest.fixture
def fake(calls: list[tuple[object, ...]]) -> Callable[..., Callable[..., None]]:
    """A call into the kernel that is remembered, and refused where the test says so."""

    def make(error: OSError | None = None) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            calls.append(arguments)
            if error is not None:
                raise error

        return call

    return make


Fake = Callable[..., Callable[..., None]]
Calls = list[tuple[object, ...]]


@pytest.mark.parametrize(
    ("module", "name", "ask", "sentence"),
    [
        (
            os,
            "sched_setscheduler",
            lambda: privileges.become_realtime(10),
            "SCHED_FIFO: Operation not permitted (CAP_SYS_NICE): samples may come late "
            "when the CPUs are busy",
        ),
        (
            os,
            "setpriority",
            lambda: privileges.become_nice(-10),
            "nice -10: Operation not permitted (CAP_SYS_NICE): incidents may be written late",
        ),
        (
            libc,
            "mlockall",
            privileges.lock_memory,
            "mlockall: Operation not permitted (CAP_IPC_LOCK or RLIMIT_MEMLOCK): may be swapped out",
        ),
    ],
    ids=["become_realtime", "become_nice", "lock_memory"],
)
def test_a_refusal_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    fake: Fake,
    module: object,
    name: str,
    ask: Callable[[], str | None],
    sentence: str,
) -> None:
    """A container without rights would keep the daemon from starting, or the lack go unsaid."""
    monkeypatch.setattr(module, name, fake(EPERM))
    assert ask() == sentence
    monkeypatch.setattr(module, name, fake())
    assert ask() is None


def test_children_do_not_inherit_the_priority(
    monkeypatch: pytest.MonkeyPatch, fake: Fake, calls: Calls
) -> None:
    """A child started by mistake would run before everything else on the machine."""
    monkeypatch.setattr(os, "sched_setscheduler", fake())
    privileges.become_realtime(10)
    ((pid, policy, parameters),) = calls
    assert (pid, policy) == (0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK)
    assert isinstance(parameters, os.sched_param)
    assert parameters.sched_priority == 10


def test_the_oom_score_is_set_or_it_is_said() -> None:
    """The recorder would be the OOM killer's first victim, and nobody would know."""
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        present = int(file.read())
    assert privileges.set_oom_score_adj(present) is None
    assert privileges.set_oom_score_adj(5000) == (
        "oom_score_adj 5000: Invalid argument (CAP_SYS_RESOURCE): the OOM killer may take it"
    )


def test_all_program_text_is_locked_with_its_constants_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, fake: Fake, calls: Calls
) -> None:
    """Code, or a table of its, would be read from a disk that waits for memory; or data be locked in vain."""
    monkeypatch.setattr(libc, "mlock_range", fake(EPERM))  # refusals are mlockall's to tell
    privileges.lock_code()
    with open("/proc/self/maps", encoding="utf-8") as file:
        maps = [line.split() for line in file]
    code = {
        tuple(int(end, 16) for end in fields[0].split("-"))
        for fields in maps
        if fields[4] != "0" and (fields[1] == "r-xp" or (fields[1] == "r--p" and int(fields[2], 16) > 0))
    }
    locked = {(start, start + length) for start, length in calls}  # type: ignore[operator]
    assert locked
    assert locked <= code


def test_errors_of_the_c_library_have_a_number_and_a_text() -> None:
    """A refusal would be told as success, because ctypes does not raise."""
    with pytest.raises(OSError, match=r"Cannot allocate memory|Invalid argument") as raised:
        libc.mlock_range(4096, 1 << 40)
    assert raised.value.errno in (errno.ENOMEM, errno.EINVAL, errno.EPERM, errno.EAGAIN)
    with pytest.raises(OSError, match="Invalid argument"):
        libc.die_with_parent(100_000)


_THREADS = """
import os, threading
from memwatchd.kernel import privileges

def policy():
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority

seen = []
problem = privileges.become_realtime(5, with_threads=True)
if problem:
    raise SystemExit(problem)
thread = threading.Thread(target=lambda: seen.append(policy()))
thread.start(); thread.join()
with privileges.as_ordinary(True):
    seen.append(policy())
seen.append(policy())
with privileges.as_ordinary(False):
    seen.append(policy())
privileges.become_ordinary()
seen.append(policy())
print(seen)
"""


def test_threads_share_the_priority_and_heavy_work_goes_without() -> None:
    """An action would begin late on a busy machine, or keep everybody else from running."""
    result = subprocess.run([sys.executable, "-c", _THREADS], capture_output=True, text=True, check=False)
    if "SCHED_FIFO" in result.stderr:
        pytest.skip(result.stderr.strip())
    fifo, other = (os.SCHED_FIFO, 5), (os.SCHED_OTHER, 0)
    assert result.stdout.strip() == str([fifo, other, fifo, fifo, other]), result.stderr
