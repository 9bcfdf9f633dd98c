"""Writing small files of the kernel, and asking beforehand."""

import os
from pathlib import Path

import pytest

from memwatchd.kernel.files import is_replaceable, refusal, write_value


def test_a_value_is_written_whole(tmp_path: Path) -> None:
    """What stood there before would be left behind a shorter value."""
    file = tmp_path / "swappiness"
    file.write_text("200\n")
    write_value(file, "5")
    assert file.read_text() == "5"


def test_errors_name_the_file(tmp_path: Path) -> None:
    """The journal would say "Invalid argument" and not of what."""
    with pytest.raises(FileNotFoundError, match="no-such"):
        write_value(tmp_path / "no-such", "1")
    assert not (tmp_path / "no-such").exists()
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_value(Path("/dev/full"), "1")


def test_asking_changes_nothing(tmp_path: Path) -> None:
    """Looking whether a setting could be changed would change it."""
    file = tmp_path / "swappiness"
    file.write_text("60\n")
    assert refusal(file, "uid 0") is None
    assert file.read_text() == "60\n"
    gone = tmp_path / "no-such"
    assert refusal(gone, "uid 0") == f"{gone}: No such file or directory (needs uid 0)"
    if os.geteuid() != 0:
        file.chmod(0o400)
        assert refusal(file, "uid 0") == f"{file}: Permission denied (needs uid 0)"


def test_what_may_be_replaced(tmp_path: Path) -> None:
    """`-o /dev/null`, said by root, would leave a plain file where all programs expect the device."""
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.touch()
    link.symlink_to(file)
    os.mkfifo(pipe)
    names = (file, link, pipe, tmp_path / "free", tmp_path / "no" / "where", tmp_path)
    assert [is_replaceable(name) for name in names] == [True, True, False, True, True, True]
    open_ones = ("/dev/null", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", f"/proc/{os.getpid()}/comm")
    assert not any(is_replaceable(Path(name)) for name in open_ones)
