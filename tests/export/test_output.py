"""Files that are there as a whole, or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memwatchd.errors import MemwatchdError
from memwatchd.export.output import new_file


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """Whoever watches the directory would read half a file."""
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with new_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemwatchdError])
def test_whatever_goes_wrong_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """Ctrl-C would leave half a file, and the next export trip over it."""
    with pytest.raises(error), new_file(tmp_path / "out") as file:
        file.write(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A person would get a traceback instead of the path."""
    with (
        pytest.raises(MemwatchdError, match="nowhere/out: No such file or directory"),
        new_file(tmp_path / "nowhere" / "out"),
    ):
        pass


_WRITER = """
import signal, sys, time
from pathlib import Path
from memwatchd.cli import main
from memwatchd.cli import export
from memwatchd.export.output import new_file

def write(_arguments):
    with new_file(Path(sys.argv[1])) as file:
        file.write(b"half")
        print("begun", flush=True)
        time.sleep(60)

# Ignored where the tests run in the background of a shell.
signal.signal(signal.SIGINT, signal.default_int_handler)
export.run = write
sys.exit(main(["export", "x"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Whatever stops a long export, a time limit or a closed session, would leave hidden files behind."""
    path = tmp_path / "out"
    command = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said == ("" if number == signal.SIGINT else f"memwatchd: ended by {number.name}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    """`-o >(gzip)` would write a file beside the pipe, and whoever reads there would wait for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with new_file(path) as file:
        file.write(b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert path.is_fifo()
