"""The helper's own protection from the OOM killer, which programs must not inherit."""

from pathlib import Path

import pytest

from memwatchd.hooks import runner


@pytest.fixture
def adj(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "oom_score_adj"
    monkeypatch.setattr(runner, "_ADJ", file)
    return file


@pytest.mark.parametrize(("own", "meanwhile"), [("-999\n", "0"), ("0\n", "0\n"), ("500\n", "500\n")])
def test_a_program_is_not_protected(
    adj: Path, monkeypatch: pytest.MonkeyPatch, own: str, meanwhile: str
) -> None:
    """A hook that leaks would be the last to be killed; or the helper be unprotected after its first."""
    adj.write_text(own)
    inherited: list[str] = []

    def spawn(*_arguments: object, **_options: object) -> int:
        inherited.append(adj.read_text())
        return 4711

    monkeypatch.setattr("os.posix_spawn", spawn)
    assert runner._spawn("/bin/true", {}) == 4711
    assert (inherited, adj.read_text()) == ([meanwhile], own)


def test_without_proc_programs_run_all_the_same(adj: Path) -> None:
    """A chroot without /proc would have no hooks."""
    assert runner._expose() is None
    runner._protect("-999")
    assert adj.read_text() == "-999"
