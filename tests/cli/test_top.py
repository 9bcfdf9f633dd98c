"""``memwatchd top`` on a real pseudo-terminal, beside rings that a test writes."""

from pathlib import Path

import pytest
from tests.live_rings import LiveRings
from tests.terminals import on_terminal

from memwatchd.cli import main
from memwatchd.places import Places

CONFIG = "rules:\n  little-left: {when: meminfo.MemAvailable < 400MiB, actions: [{log: {}}]}\n"


@pytest.fixture
def rings(tmp_path: Path) -> LiveRings:
    rings = LiveRings(Places(tmp_path / "run", tmp_path / "state"))
    rings.say(rules=[{"name": "little-left", "active": False, "fired": 0}])
    rings.sample(900)
    return rings


@pytest.fixture
def arguments(rings: LiveRings, tmp_path: Path) -> list[str]:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    return ["top", "--rate", "20Hz", "--config", str(config), "--runtime-dir", str(rings.places.runtime_dir)]


def test_it_shows_the_machine_as_it_is_now(rings: LiveRings, arguments: list[str]) -> None:
    """The picture would be that of the beginning."""
    with on_terminal(*arguments, size=(120, 40), meanwhile=rings.beat) as terminal:
        terminal.wait("LIVE", "available 900 MiB", "little-left 44%")
        rings.sample(500, dentry=500)
        terminal.wait("available 500 MiB", "little-left 80%", "near")
        rings.say(rules=[{"name": "little-left", "active": True, "fired": 1}])
        rings.sample(300)
        terminal.wait("available 300 MiB", "ACTIVE")
        rings.tape.noticed(rings.now_s(), "missed", ticks=3)
        rings.sample(300)
        terminal.wait("missed: ticks 3")
        terminal.press("q")
        assert terminal.end() == 0


def test_it_freezes_steps_back_and_goes_on(rings: LiveRings, arguments: list[str]) -> None:
    """What has just been seen could not be looked at again."""
    rings.sample(800)
    with on_terminal(*arguments, meanwhile=rings.beat) as terminal:
        terminal.wait("LIVE", "available 800 MiB")
        terminal.press("left")
        terminal.wait("freeze first")
        terminal.press("space")
        terminal.wait("FROZEN", "+0.000 s")
        rings.sample(100)
        terminal.press("left")
        terminal.wait("available 900 MiB")
        terminal.press("space")
        terminal.wait("LIVE", "available 100 MiB")


def test_a_daemon_that_goes_and_comes_back(rings: LiveRings, arguments: list[str]) -> None:
    """One would look at figures of a daemon that is dead, or have to start anew after an update."""
    beats = [True]
    with on_terminal(
        *arguments, meanwhile=lambda: rings.beat() if beats[0] else rings.stop_beating()
    ) as terminal:
        terminal.wait("available 900 MiB")
        beats[0] = False
        terminal.wait("memwatchd has been silent for")
        rings.restart()
        beats[0] = True
        rings.sample(200)
        terminal.wait("available 200 MiB", without=["silent"])


def test_without_a_daemon_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts could not tell that nothing runs."""
    assert main(["top", "--runtime-dir", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert said.startswith("memwatchd: memwatchd is not running")
    assert said.count("\n") == 1


def test_a_bad_configuration_is_named(
    rings: LiveRings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules would be missing without a word."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rules: 7\n")
    where = ["--runtime-dir", str(rings.places.runtime_dir)]
    assert main(["top", "--config", str(wrong), *where]) == 4
    assert "wrong.yaml:1:8" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["0.05Hz", "21Hz", "often"])
def test_a_rate_that_is_none_is_refused(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip would make it take a whole core."""
    with pytest.raises(SystemExit) as ended:
        main(["top", "--rate", rate])
    assert ended.value.code == 2
    assert "expected a rate" in capsys.readouterr().err
