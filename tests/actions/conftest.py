"""What the tests of actions on processes share: a made-up machine, and children on the real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.actions.scene import Scene, Start, children, real_world

from memwatchd.actions.base import World


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A machine of files."""
    return Scene(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The real machine, with a file of changes of its own."""
    return real_world(tmp_path)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start children, which are gone at the end."""
    with children() as begin:
        yield begin
