"""An exporter's source that is fed by hand."""

import os
from pathlib import Path

import pytest
from tests.conftest import Tape

from memwatchd.exporter.collector import Source
from memwatchd.places import Places


@pytest.fixture
def places(tmp_path: Path, tape: Tape) -> Places:
    """The directories of a daemon whose ring is the tape's."""
    found = Places(tmp_path, tmp_path)
    os.link(tape.samples.name, found.ring)
    return found


@pytest.fixture
def source(places: Places, tape: Tape) -> Source:
    """A source whose clock is the tape's; it has not looked yet."""
    return Source(places, lambda: tape.now_ns)


def take_all(source: Source) -> Source:
    """Read everything there is."""
    source.look()
    while source.advance():
        pass
    return source
