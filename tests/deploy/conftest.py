"""What the tests of deploy/ share: a pod on this machine, and tools that are no part of the project's own."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.deploy.pod import PROJECT, Pod, missing

# Fixtures: kills to be recorded, and turns with other tests that provoke some.
from tests.service.conftest import _alone as _alone
from tests.service.conftest import make_eater as make_eater

FindTool = Callable[[str], str]


@pytest.fixture
def pod() -> Iterator[Pod]:
    """A pod that has no containers yet."""
    if reason := missing():
        pytest.skip(reason)
    directory = Path(tempfile.mkdtemp(prefix="memwatchd-test-pod-"))
    made = Pod(directory)
    yield made
    made.end()
    shutil.rmtree(directory)


@pytest.fixture
def tool() -> FindTool:
    """Find a program of deploy/setup, or skip."""

    def find(name: str) -> str:
        directory = Path(os.environ.get("MEMWATCHD_DEPLOY_TOOLS", PROJECT / "deploy/.tools")) / "bin"
        found = shutil.which(name, path=f"{directory}:{os.environ['PATH']}")
        if found is None:
            pytest.skip(f"there is no {name} here; deploy/setup gets it (200 MB)")
        return found

    return find
