"""Taking hold of processes, on this kernel and with our own children."""

import errno
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.actions.scene import LEADERLESS, Child, S, Scene, children
from tests.descriptors import open_descriptors

from memwatchd.kernel.processes import (
    CAP_SYS_RESOURCE,
    Handle,
    Identity,
    has_capability,
    open_process,
    wait_for_ends,
)
from memwatchd.roots import Roots

Start = Callable[..., Child]


@pytest.fixture
def start() -> Iterator[Start]:
    with children() as begin:
        yield begin


def soon() -> int:
    return time.monotonic_ns() + 20 * S


def test_a_pid_that_is_anothers_by_now_is_refused(start: Start) -> None:
    """The next process of a victim's number would be killed in its place."""
    child = start()
    other = Identity(child.pid, child.identity.starttime_ticks - 1)
    for take in (Handle.open, open_process):
        with pytest.raises(ProcessLookupError):
            take(Roots(), other)
    child.process.kill()
    child.process.wait()
    with pytest.raises(ProcessLookupError):
        Handle.open(Roots(), other)


def test_what_is_held_is_never_anybody_else(start: Start) -> None:
    """A signal after a wait would go to whoever has the number then."""
    child = start()
    with Handle.open(Roots(), child.identity) as handle:
        assert handle.alive
        assert handle.state() != "X"
        handle.send(signal.SIGKILL)
        assert handle.wait(soon())
        child.process.wait()
        assert (handle.alive, handle.state()) == (False, "X")
        with pytest.raises(ProcessLookupError):
            handle.send(signal.SIGKILL)
        with pytest.raises(ProcessLookupError):
            handle.limit(resource.RLIMIT_AS, 1 << 30)


def test_descriptors_are_given_back(start: Start) -> None:
    """A daemon that chooses for weeks would run out of them."""
    child = start()
    before = open_descriptors()
    with Handle.open(Roots(), child.identity):
        pass
    with pytest.raises(ProcessLookupError):
        Handle.open(Roots(), Identity(child.pid, 1))
    assert open_descriptors() == before


def test_a_proc_of_other_numbers_is_refused(tmp_path: Path, start: Start) -> None:
    """With a host's /proc in a container, the container's process of the same number would be killed."""
    scene = Scene(tmp_path)
    child = start()
    scene.process(child.pid, start_ticks=child.identity.starttime_ticks)
    (scene.proc / "self").unlink()
    (scene.proc / "self").symlink_to("77")
    with pytest.raises(OSError, match="another pid namespace") as raised:
        Handle.open(scene.world.roots, child.identity)
    assert raised.value.errno == errno.EXDEV


def test_waiting_for_several_ends(start: Start) -> None:
    """A victim that lives on would pass for dead, or hold up the news of the others."""
    dies, lives = start(), start()
    with Handle.open(Roots(), dies.identity) as first, Handle.open(Roots(), lives.identity) as second:
        assert wait_for_ends([first, second], time.monotonic_ns()) == [first, second]
        first.send(signal.SIGKILL)
        assert first.wait(soon())
        assert wait_for_ends([first, second], time.monotonic_ns()) == [second]


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="the script knows two machines")
def test_a_leader_that_is_a_zombie_is_alive_as_long_as_a_thread_is(start: Start) -> None:
    """A process that looks dead would be taken for one that gave its memory back."""
    child = start(LEADERLESS)
    with Handle.open(Roots(), child.identity) as handle:
        while handle.state() != "Z":
            time.sleep(0.005)
        assert handle.alive
        handle.send(signal.SIGKILL)
        assert handle.wait(soon())


def test_reaping_says_why_it_does_nothing(start: Start) -> None:
    """EINVAL after SIGTERM would look like a fault of ours."""
    child = start()
    with Handle.open(Roots(), child.identity) as handle:
        assert handle.release_memory() in ("it is not dying yet", "not in this kernel, since Linux 5.15")
        handle.send(signal.SIGKILL)
        assert handle.wait(soon())
        child.process.wait()
        assert handle.release_memory() in (
            "its memory was gone already",
            "not in this kernel, since Linux 5.15",
        )


def test_a_soft_limit_is_set_and_the_hard_one_left_alone(start: Start) -> None:
    """Without CAP_SYS_RESOURCE a hard limit could never be put back."""
    child = start()
    before = resource.prlimit(child.pid, resource.RLIMIT_AS)
    with Handle.open(Roots(), child.identity) as handle:
        assert handle.limit(resource.RLIMIT_AS, 1 << 36) == before
    assert resource.prlimit(child.pid, resource.RLIMIT_AS) == (1 << 36, before[1])


def test_a_soft_limit_above_the_hard_one_is_refused_like_anything_else(start: Start) -> None:
    """Python says ValueError to that, which nobody expects of the kernel: the thread would end."""
    child = start()
    resource.prlimit(child.pid, resource.RLIMIT_AS, (1 << 36, 1 << 36))
    with Handle.open(Roots(), child.identity) as handle, pytest.raises(OSError, match="exceeds maximum"):
        handle.limit(resource.RLIMIT_AS, 1 << 37)


def test_capabilities_are_those_of_this_process() -> None:
    """What is missing would be told wrongly."""
    text = Path("/proc/self/status").read_text()
    effective = int(text.partition("CapEff:")[2].split()[0], 16)
    assert has_capability(CAP_SYS_RESOURCE) == bool(effective & 1 << 24)
