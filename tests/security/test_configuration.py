"""A configuration that others may change: what is in it would be done as root."""

import os
from pathlib import Path

import pytest

from memwatchd.cli import run
from memwatchd.errors import ConfigError
from memwatchd.kernel.files import foreign

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of the system, with a drop-in."""
    path = tmp_path / "etc/memwatchd.yaml"
    (path.parent / "conf.d").mkdir(parents=True)
    path.write_text("")
    (path.parent / "conf.d/10-mine.yaml").write_text("")
    monkeypatch.setattr(run, "SYSTEM_CONFIG", path)
    return path


def test_root_s_own_is_taken(system: Path) -> None:
    """The daemon would not start on any machine."""
    run._require_own(system)


@pytest.mark.parametrize("what", ["", "conf.d", "conf.d/10-mine.yaml", "memwatchd.yaml"])
@pytest.mark.parametrize("how", ["everybody", "user", "group"])
@needs_root
def test_what_others_may_change_is_refused(system: Path, what: str, how: str) -> None:
    """Any user who may write there could have a program of his run as root, or processes killed."""
    path = system.parent / what
    if how == "everybody":
        path.chmod(path.stat().st_mode | 0o002)
    else:
        path.chmod(path.stat().st_mode | 0o020)
        os.chown(path, 4711 if how == "user" else -1, 4711)
    expected = {"everybody": "written by everybody", "user": "user 4711", "group": "group 4711"}[how]
    with pytest.raises(ConfigError, match=f"{path.name}: .*{expected}: expected root's"):
        run._require_own(system)


@needs_root
def test_a_link_is_judged_by_what_it_leads_to(system: Path, tmp_path: Path) -> None:
    """A link of root's into somebody's home would pass."""
    (tmp_path / "theirs.yaml").write_text("")
    os.chown(tmp_path / "theirs.yaml", 4711, 4711)
    (system.parent / "conf.d/20-link.yaml").symlink_to(tmp_path / "theirs.yaml")
    with pytest.raises(ConfigError, match=r"20-link.yaml: belongs to user 4711"):
        run._require_own(system)


@needs_root
def test_a_file_that_is_named_is_its_caller_s_business(tmp_path: Path) -> None:
    """Nobody could try a configuration of his own with sudo."""
    path = tmp_path / "my.yaml"
    path.write_text("")
    os.chown(path, 4711, 4711)
    run._require_own(path)
    assert foreign(path) == "belongs to user 4711"
