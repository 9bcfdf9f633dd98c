"""The black box's file on a real file system."""

import errno
import os
from pathlib import Path

import pytest
from tests.descriptors import open_descriptors
from tests.incidents.boxes import status

from memwatchd.incidents.blackbox import BLOCK_BYTES, LOG_OFFSET, BoxState
from memwatchd.incidents.boxreader import read_status
from memwatchd.service.boxfile import WRITE_BYTES, BoxFile

SIZE = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "black-box"


def append(file: BoxFile, data: bytes) -> None:
    file.buffer[: len(data)] = data
    file.append(len(data))


def test_it_takes_its_space_beforehand(path: Path) -> None:
    """A disk that fills up later would end the recording."""
    file = BoxFile(path, SIZE + 77, status(state=BoxState.CALM))
    found = path.stat()
    assert found.st_size == SIZE
    assert found.st_blocks * 512 >= SIZE
    assert found.st_mode & 0o777 & ~0o640 == 0
    assert file.made
    assert read_status(path) == status(state=BoxState.CALM, generation=file.status.generation)
    file.close()


def test_writes_go_one_after_the_other_and_round(path: Path) -> None:
    """The second write would overwrite the first one, or the pages."""
    file = BoxFile(path, LOG_OFFSET + 4 * BLOCK_BYTES, status())
    for letter in (b"a", b"b", b"c"):
        append(file, letter * (BLOCK_BYTES - 96))
    append(file, b"d" * (BLOCK_BYTES + 96))  # two blocks; there is one left
    log = path.read_bytes()[LOG_OFFSET:]
    blocks = [log[at : at + BLOCK_BYTES] for at in range(0, len(log), BLOCK_BYTES)]
    assert [block[:1] for block in blocks] == [b"d", b"d", b"c", b"\0"]
    assert blocks[1] == b"d" * 96 + bytes(BLOCK_BYTES - 96)
    assert read_status(path) is not None
    file.close()


def test_the_next_run_goes_on_where_the_last_one_left_off(path: Path) -> None:
    """One place of the disk would be worn out, and the figures of the day begin anew with each start."""
    file = BoxFile(path, SIZE, status())
    append(file, b"x" * 10)
    file.write_status(file.status)
    before = file.status
    file.close()
    file = BoxFile(path, SIZE, status(run_id=bytes(16)))
    assert not file.made
    assert file.status.run_id == bytes(16)
    assert file.status.at == before.at == LOG_OFFSET + BLOCK_BYTES
    assert file.status.generation > before.generation
    # Each page says what was written before it.
    assert file.status.total_bytes == before.total_bytes
    assert file.day_bytes(file.status.day * 86_400_000_000_000) == before.total_bytes
    assert file.day_bytes(0) == 0
    file.close()


@pytest.mark.parametrize("left", [b"", b"garbage" * 1000, bytes(SIZE), b"\xff" * SIZE])
def test_whatever_was_there_is_made_a_box(path: Path, left: bytes) -> None:
    """A damaged file would be in the way for ever."""
    path.parent.mkdir()
    path.write_bytes(left)
    file = BoxFile(path, SIZE, status(state=BoxState.CALM))
    append(file, b"x")
    found = read_status(path)
    assert found is not None
    assert (found.state, path.stat().st_size) == (BoxState.CALM, SIZE)
    file.close()


def test_another_size_makes_it_anew(path: Path) -> None:
    """The setting would change nothing, or the place of the last write lie beyond the end."""
    file = BoxFile(path, 4 * SIZE, status())
    for _ in range(20):
        append(file, b"x" * WRITE_BYTES)
    file.write_status(file.status)
    assert file.is_as_wanted(4 * SIZE)
    assert not file.is_as_wanted(SIZE)
    file.close()
    file = BoxFile(path, SIZE, status(run_id=bytes(16)))
    assert (file.made, file.status.at, path.stat().st_size) == (True, LOG_OFFSET, SIZE)
    assert file.status.total_bytes > 20 * WRITE_BYTES
    file.close()


def test_a_file_that_is_gone_is_noticed(path: Path) -> None:
    """The last seconds would go into a file that nobody will ever find."""
    file = BoxFile(path, SIZE, status())
    assert file.is_as_wanted(SIZE)
    path.rename(path.with_name("elsewhere"))
    assert not file.is_as_wanted(SIZE)
    path.write_bytes(b"another one")
    assert not file.is_as_wanted(SIZE)
    file.close()


def test_two_daemons_do_not_share_one(path: Path) -> None:
    """Each would overwrite the other's last seconds."""
    file = BoxFile(path, SIZE, status())
    with pytest.raises(OSError, match="another memwatchd has it") as caught:
        BoxFile(path, SIZE, status())
    assert caught.value.errno == errno.EBUSY
    file.close()
    BoxFile(path, SIZE, status()).close()


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_what_is_no_file_is_left_alone(path: Path, kind: str, tmp_path: Path) -> None:
    """Whoever can write to the state directory could have root write anywhere, or wait for ever."""
    path.parent.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    match kind:
        case "link":
            path.symlink_to(victim)
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
    descriptors = open_descriptors()
    with pytest.raises(OSError, match=r"."):
        BoxFile(path, SIZE, status())
    assert victim.read_text() == "precious"
    assert open_descriptors() == descriptors


def test_a_disk_without_room_keeps_nothing_of_it(small_disk: Path) -> None:
    """Half a box would take the last space of a full disk, and be of no use."""
    path = small_disk / "black-box"
    before = os.statvfs(small_disk).f_bfree
    with pytest.raises(OSError, match="No space left"):
        BoxFile(path, 64 << 20, status())
    assert os.statvfs(small_disk).f_bfree >= before - 1


def test_filling_goes_over_the_whole_file(path: Path) -> None:
    """Part of the file would go on costing two writes for each."""
    size = LOG_OFFSET + 3 * WRITE_BYTES + BLOCK_BYTES
    file = BoxFile(path, size, status())
    append(file, b"x" * 100)
    at = LOG_OFFSET
    while at < file.size_bytes:
        at = file.fill(at)
    assert at == size
    assert path.read_bytes()[LOG_OFFSET:] == bytes(size - LOG_OFFSET)
    assert file.status.total_bytes == 2 * BLOCK_BYTES + size - LOG_OFFSET
    file.close()
