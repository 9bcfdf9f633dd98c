"""Incident files made of others: whole, or not there."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from memwatchd.errors import MemwatchdError
from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.rewrite import Contents, write_incident
from memwatchd.kernel.ending import EndedError
from memwatchd.ring.reader import Segment


def _ended_meanwhile() -> Iterator[Segment]:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
    yield from ()


def test_a_signal_leaves_nothing(tmp_path: Path) -> None:
    """A cut, a merge or a scrub that was stopped would leave half an incident, which nobody sees."""
    header = IncidentHeader(bytes(16), bytes(16), 0)
    contents = Contents(header, {}, {BlockType.SAMPLES: _ended_meanwhile()}, {}, complete=True)
    with pytest.raises(EndedError):
        write_incident(tmp_path / "x.mwi", contents)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    """An incident would stand where a pipe, or /dev/null, has been."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    contents = Contents(IncidentHeader(bytes(16), bytes(16), 0), {}, {}, {}, complete=True)
    with pytest.raises(MemwatchdError, match="pipe: expected the name of a file"):
        write_incident(path, contents)
    assert path.is_fifo()
