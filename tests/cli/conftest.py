"""What the tests of several commands share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from memwatchd.cli import main

Command = Callable[..., tuple[int, str, str]]
"""Runs a command; gives status, standard output and standard error."""


@pytest.fixture
def in_empty_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in an empty directory."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(*words: object) -> tuple[int, str, str]:
        where = ["--runtime-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
        status = main([*map(str, words), *where])
        return status, *capfd.readouterr()

    return run
