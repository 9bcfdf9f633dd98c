"""The helper that runs hooks, alive: programs that end, hang, fork, do not exist; a helper that is killed."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.conftest import Notes, S

from memwatchd.service.hooks import HookProcess

LONG_NS = 60 * S
SHORT_NS = S // 5


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def helper(notes: Notes) -> Iterator[HookProcess]:
    """A running helper."""
    process = HookProcess(notes)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """Write a program for the shell."""

    def write(text: str, name: str = "hook", mode: int = 0o755) -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\ncd {tmp_path}\n{text}\n")
        path.chmod(mode)
        return str(path)

    return write


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(24) as executor:
        yield executor


def wait_until(true: Callable[[], object], what: str) -> None:
    """Wait for something another process does."""
    until_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until_s, f"waited for a minute: {what}"
        time.sleep(0.005)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def numbers(path: Path, count: int) -> list[int]:
    """Wait for a file with so many numbers, and read them."""
    wait_until(lambda: path.exists() and len(path.read_text().split()) == count, f"{path} is written")
    return [int(word) for word in path.read_text().split()]


def test_a_program_runs_in_a_clean_house(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook would inherit secrets, descriptors, a blocked signal or the daemon's terminal."""
    monkeypatch.setenv("SECRET", "1")
    program = script(
        "env | sort > env; ls /proc/self/fd > fds; readlink /proc/self/fd/0 > stdin; echo $# > arguments\n"
        "cut -d' ' -f5,6 /proc/self/stat > ids; echo $$ >> ids; grep Sig /proc/self/status > signals"
    )
    assert helper.run(program, {"MEMWATCHD_RULE": "slab"}, LONG_NS) == 0
    env = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert {name for name in env if name not in ("PWD", "OLDPWD", "_", "SHLVL")} == {
        "PATH",
        "LANG",
        "MEMWATCHD_RULE",
    }
    assert (tmp_path / "stdin").read_text() == "/dev/null\n"
    assert (tmp_path / "arguments").read_text() == "0\n"
    assert (tmp_path / "fds").read_text().split() == ["0", "1", "2", "3"]  # 3 is what lists them
    group, session, shell = (tmp_path / "ids").read_text().split()
    assert group == session == shell
    masks = dict(line.split(":\t") for line in (tmp_path / "signals").read_text().splitlines())
    # The C library keeps 32 and 33 to itself and has them ignored in what it spawns.
    assert (int(masks["SigBlk"], 16), int(masks["SigIgn"], 16) & ~(3 << 31)) == (0, 0)


@pytest.mark.parametrize(("text", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -SEGV $$", -11)])
def test_how_it_ended_is_told(
    helper: HookProcess, script: Callable[..., str], text: str, status: int
) -> None:
    """A hook that fails would look like one that helps."""
    assert helper.run(script(text), {}, LONG_NS) == status


def test_a_program_that_hangs_is_ended(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path
) -> None:
    """The chain's next step would never come, and hooks pile up."""
    assert helper.run(script("echo $$ > pid; sleep 1000"), {}, S) is None
    assert is_gone(*numbers(tmp_path / "pid", 1))


def test_a_program_that_will_not_end_is_killed_with_all_it_has_forked(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path
) -> None:
    """Grandchildren would go on taking memory."""
    program = script(
        'trap "" TERM; (trap "" TERM; sleep 1000) & echo $$ $! > pids; while :; do sleep 1; done'
    )
    assert helper.run(program, {}, S) is None
    for pid in numbers(tmp_path / "pids", 2):
        wait_until(lambda pid=pid: is_gone(pid), "the process group is gone")  # type: ignore[misc]


def test_what_a_program_leaves_behind_is_killed(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path
) -> None:
    """Every firing of the rule would leave a process."""
    assert helper.run(script("sleep 1000 & echo $! > pid"), {}, LONG_NS) == 0
    (pid,) = numbers(tmp_path / "pid", 1)
    wait_until(lambda: is_gone(pid), "the process group is gone")


def test_a_program_that_cannot_be_run_is_an_error(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path
) -> None:
    """It would look like a program that failed, or end the helper."""
    with pytest.raises(FileNotFoundError, match="no-such"):
        helper.run(str(tmp_path / "no-such"), {}, LONG_NS)
    with pytest.raises(PermissionError, match="locked"):
        helper.run(script("exit 0", "locked", 0o644), {}, LONG_NS)
    (tmp_path / "garbage").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "garbage").chmod(0o755)
    with pytest.raises(OSError, match="garbage"):
        helper.run(str(tmp_path / "garbage"), {}, LONG_NS)
    with pytest.raises(OSError, match="Invalid argument"):
        helper.run(script("exit 0"), {"A=B": "1"}, LONG_NS)
    with pytest.raises(OSError, match="Message too long"):
        helper.run(script("exit 0"), {"A": "x" * (4 << 20)}, LONG_NS)
    assert helper.run(script("exit 0"), {}, LONG_NS) == 0


def test_one_at_a_time_of_a_program_and_others_beside_it(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """Two runs of a hook would write the same file; or one slow hook hold up all others."""
    slow = script(
        "mkdir inside || exit 9; echo >> begun; while [ ! -e go ]; do sleep 0.01; done; rmdir inside"
    )
    runs = [pool.submit(helper.run, slow, {}, LONG_NS) for _ in range(3)]
    wait_until((tmp_path / "begun").exists, "the first has begun")
    assert helper.run(script("exit 0", "other"), {}, LONG_NS) == 0
    (tmp_path / "go").touch()
    assert [run.result(60) for run in runs] == [0, 0, 0]
    assert (tmp_path / "begun").read_text() == "\n" * 3


def test_waiting_counts(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """A hook would begin long after its rule has given it up."""
    slow = script("echo >> begun; while [ ! -e go ]; do sleep 0.01; done")
    first = pool.submit(helper.run, slow, {}, LONG_NS)
    wait_until((tmp_path / "begun").exists, "the first has begun")
    assert helper.run(slow, {}, SHORT_NS) is None
    (tmp_path / "go").touch()
    assert first.result(60) == 0
    assert (tmp_path / "begun").read_text() == "\n"


def test_too_many_are_refused(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """A rule that fires all the time would have the helper grow without end."""
    slow = script("while [ ! -e go ]; do sleep 0.01; done")
    runs = [pool.submit(helper.run, slow, {}, LONG_NS) for _ in range(20)]
    wait_until(lambda: sum(run.done() for run in runs) == 3, "one runs, sixteen wait, three are refused")
    (tmp_path / "go").touch()
    ends = [_end(run) for run in runs]
    assert (ends.count(0), ends.count(errno.EBUSY)) == (17, 3)


def _end(run: Future[int | None]) -> int | None:
    try:
        return run.result(60)
    except OSError as error:
        return error.errno


def test_a_helper_that_is_killed_is_started_again(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path, notes: Notes, pool: ThreadPoolExecutor
) -> None:
    """Whoever waits would wait for ever, and no hook ever run again."""
    slow = script("echo $$ > pid; sleep 1000")
    run = pool.submit(helper.run, slow, {}, LONG_NS)
    (pid,) = numbers(tmp_path / "pid", 1)
    assert helper.process is not None
    helper.process.kill()
    with pytest.raises(BrokenPipeError, match="the helper for hooks is gone"):
        run.result(60)
    os.killpg(pid, signal.SIGKILL)  # nobody bounds it any more
    with pytest.raises(BrokenPipeError):
        helper.run(slow, {}, LONG_NS)
    helper.process.wait()
    helper.poll(time.monotonic_ns())
    assert notes.lines == [("warning", "the helper for hooks ended with status -9")]
    assert helper.run(script("exit 5"), {}, LONG_NS) == 5


def test_a_helper_that_cannot_be_started_is_told(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service would not start for want of its helper."""
    monkeypatch.setattr("sys.executable", "/no/such/python")
    process = HookProcess(notes)
    process.start()
    assert notes.lines == [("error", "the helper for hooks cannot be started: No such file or directory")]
    assert process.pid is None
    with pytest.raises(BrokenPipeError):
        process.run("/bin/true", {}, LONG_NS)
    process.stop()


def test_stopping_ends_what_runs(
    notes: Notes, script: Callable[..., str], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """A hook would outlive the daemon, or the daemon wait for it."""
    process = HookProcess(notes)
    process.start()
    run = pool.submit(process.run, script("echo $$ > pid; sleep 1000"), {}, LONG_NS)
    (pid,) = numbers(tmp_path / "pid", 1)
    process.stop()
    with pytest.raises(BrokenPipeError):
        run.result(60)
    wait_until(lambda: is_gone(pid), "the hook is gone")
    assert (process.pid, notes.lines) == (None, [])


def test_a_service_that_is_killed_takes_its_helper_along(
    helper: HookProcess, script: Callable[..., str], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """Every crash would leave a helper."""
    run = pool.submit(helper.run, script("echo $$ > pid; sleep 1000"), {}, LONG_NS)
    numbers(tmp_path / "pid", 1)
    assert helper.process is not None
    assert helper._control is not None
    helper._control.shutdown(2)  # as the kernel does for a process that is gone
    assert helper.process.wait(60) == 0
    with pytest.raises(BrokenPipeError):
        run.result(60)


def test_hooks_are_no_dearer_than_others(notes: Notes, script: Callable[..., str], tmp_path: Path) -> None:
    """A hook that leaks would be the last to be killed, and run before everybody else."""
    process = HookProcess(notes)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -5)
    except PermissionError:
        pytest.skip("a lower nice value needs CAP_SYS_NICE")
    try:
        process.start()
        assert process.run(script("cut -d' ' -f19 /proc/self/stat > nice"), {}, LONG_NS) == 0
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
        process.stop()
    assert (tmp_path / "nice").read_text() == "0\n"
