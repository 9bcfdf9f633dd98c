"""Reading the kernel's log from a socket that hands out one record per read, as the kernel does."""

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.descriptors import open_descriptors

from memwatchd.kernel import kmsg
from memwatchd.kernel.kmsg import KmsgReader


@dataclass
class Log:
    """A pretended kernel log and a reader of it."""

    kernel: socket.socket
    reader: KmsgReader

    def says(self, *sequences: int) -> None:
        for sequence in sequences:
            self.kernel.send(b"4,%d,99,-;line %d\n" % (sequence, sequence))

    def texts(self, at_most: int = 1000) -> list[bytes]:
        return [record.text if record else b"?" for _, record in self.reader.read(at_most)]


def answer_reads(monkeypatch: pytest.MonkeyPatch, *answers: bytes | OSError) -> None:
    """Have the kernel answer with these, one after the other."""
    left = list(answers)

    def read(_descriptor: int, _size: int) -> bytes:
        answer = left.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(os, "read", read)


@pytest.fixture
def log() -> Iterator[Log]:
    kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with kernel, ours:
        yield Log(kernel, KmsgReader(ours.fileno()))


def test_what_is_there_is_read_and_no_more_is_waited_for(log: Log) -> None:
    """The service's loop would stand still until the kernel prints something."""
    assert log.texts() == []
    log.says(7, 8)
    assert log.texts() == [b"line 7", b"line 8"]
    assert log.texts() == []
    log.says(9)
    assert log.texts() == [b"line 9"]
    assert (log.reader.lost, log.reader.malformed) == (0, 0)


def test_records_come_verbatim(log: Log) -> None:
    """What an incident keeps would not be what the kernel printed."""
    raw = b"4,1203,94012345,-,caller=T1;sda: \\x0a\n SUBSYSTEM=scsi\n"
    log.kernel.send(raw)
    ((found, record),) = log.reader.read()
    assert found == raw
    assert record is not None
    assert (record.sequence, record.text) == (1203, b"sda: \\x0a")


def test_a_gap_in_the_numbers_is_a_loss(log: Log) -> None:
    """A missing kill line would not be told from a kill without a line."""
    log.says(100, 101)
    log.texts()
    log.says(105, 106, 110)
    assert log.texts() == [b"line 105", b"line 106", b"line 110"]
    assert log.reader.lost == 3 + 3


def test_where_reading_begins_nothing_is_lost(log: Log) -> None:
    """Every start would report a loss of all records since start-up."""
    log.says(100_000)
    log.texts()
    assert log.reader.lost == 0


def test_numbers_that_go_back_are_no_loss(log: Log) -> None:
    """A machine that was resumed from disk would count a negative loss."""
    log.says(100, 7, 8)
    assert log.texts() == [b"line 100", b"line 7", b"line 8"]
    assert log.reader.lost == 0


def test_a_record_nobody_understands_is_handed_on(log: Log) -> None:
    """A later kernel's format would end the service, or the messages be lost."""
    log.says(1)
    log.kernel.send(b"what is this")
    log.says(2)
    assert log.texts() == [b"line 1", b"?", b"line 2"]
    assert (log.reader.malformed, log.reader.lost) == (1, 0)


def test_a_flood_is_read_in_portions(log: Log) -> None:
    """A driver that prints without end would keep the service from everything else."""
    log.says(*range(20))
    assert len(log.texts(at_most=5)) == 5
    assert log.texts()[0] == b"line 5"


def test_records_overwritten_before_they_were_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """EPIPE, which the kernel gives after an overrun, would end the service."""
    answer_reads(
        monkeypatch,
        b"4,1,9,-;one\n",
        OSError(errno.EPIPE, "Broken pipe"),
        b"4,9,9,-;nine\n",
        BlockingIOError(errno.EAGAIN, "again"),
    )
    assert log.texts() == [b"one", b"nine"]
    assert log.reader.lost == 7


def test_other_errors_are_not_hidden(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that cannot be read any more would look like a quiet kernel."""

    def refuse(_descriptor: int, _size: int) -> bytes:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "read", refuse)
    with pytest.raises(PermissionError):
        log.texts()


def test_an_overrun_before_the_first_record_is_a_loss(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood right after the start would look as if nothing had been lost."""
    answer_reads(
        monkeypatch,
        OSError(errno.EPIPE, "Broken pipe"),
        b"4,900,9,-;first\n",
        b"4,901,9,-;second\n",
        BlockingIOError(errno.EAGAIN, "again"),
    )
    assert log.texts() == [b"first", b"second"]
    assert log.reader.lost == 1


@pytest.mark.parametrize(("backlog", "found"), [(True, [b"old"]), (False, [])])
def test_it_begins_at_the_end_or_at_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backlog: bool, found: list[bytes]
) -> None:
    """Every start would tell of the kills of last week, or none of those nobody was there to hear of."""
    monkeypatch.setattr(kmsg, "_refuse_other_files", lambda _descriptor, backlog: None)
    path = tmp_path / "kmsg"
    path.write_bytes(b"4,1,9,-;old\n")
    reader = KmsgReader.open(path, backlog=backlog)
    assert [record.text for _, record in reader.read() if record] == found
    reader.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(reader.descriptor)


@pytest.mark.parametrize(
    ("path", "backlog"), [("/dev/null", False), ("/dev/null", True), ("/dev/zero", True), ("file", False)]
)
def test_what_is_no_log_is_refused(tmp_path: Path, path: str, backlog: bool) -> None:
    """With something else in the log's place the daemon would not start, or read without end."""
    (tmp_path / "file").write_bytes(b"")
    before = open_descriptors()
    with pytest.raises(OSError, match="not the kernel's log"):
        KmsgReader.open(tmp_path / path, backlog=backlog)
    assert open_descriptors() == before


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """Without rights a descriptor would be lost with every try."""
    with pytest.raises(FileNotFoundError):
        KmsgReader.open(tmp_path / "kmsg", backlog=False)
    os.mkfifo(tmp_path / "fifo")
    before = open_descriptors()
    with pytest.raises(OSError, match="Illegal seek"):
        KmsgReader.open(tmp_path / "fifo", backlog=False)
    assert open_descriptors() == before
