"""Rules over the past, from the command line."""

import json
from pathlib import Path

import pytest
from tests.cli.test_cli import Cli, cli, documented
from tests.conftest import ZERO_NS, Tape, WriteIncident, meminfo

__all__ = ["cli"]

KILL = {"monotonic_ns": ZERO_NS, "pid": 4711, "comm": "eater", "scope": "global"}


@pytest.fixture
def configure(tmp_path: Path) -> "Configure":
    """Write a configuration."""
    return Configure(tmp_path)


class Configure:
    """Writes configurations."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


@pytest.fixture
def fall(tape: Tape, write_incident: WriteIncident, tmp_path: Path) -> Path:
    """MemAvailable falls by a tenth a second, from ten seconds before a kill until nothing is left."""
    for step in range(-100, 11):
        left = max(0, -step) * 10_000
        tape.sample(step / 10, {"meminfo": meminfo(MemAvailable=left)})
    return write_incident({"kills": [KILL]}, directory=tmp_path / "state/incidents")


SOON = """
rules:
  low:
    when: meminfo.MemAvailable < 30% of meminfo.MemTotal
    for: 500ms
    actions: [drop_caches, {after: 1s, kill: {}}]
  never:
    when: meminfo.MemAvailable < 0
  elsewhere:
    when: zone.HighMem.free < 1MiB
    optional: true
"""
LATE = SOON.replace("30%", "0%")


@pytest.mark.usefixtures("fall")
def test_when_each_rule_would_have_fired(cli: Cli, configure: Configure) -> None:
    """Nobody could try a rule without waiting for the next death."""
    result = cli("backtest", "--config", configure("a.yaml", SOON), "last")
    assert result.status == 0, result.err
    first, header, *rows = result.out.splitlines()
    assert first.endswith("11.0 s recorded   kernel kills: +0.000 s")
    assert " ".join(header.split()) == "rule first before the kill fired flaps would have done"
    # 30 % at -2.9 s, half a second later; the kill when it still holds a second after that.
    assert " ".join(rows[0].split()) == "low -2.400 s 2.400 s 1 0 1 × drop_caches, 1 × kill"
    assert " ".join(rows[1].split()) == "never 0"
    assert " ".join(rows[2].split()) == "elsewhere rests: zone.HighMem.free not in this recording"


@pytest.mark.usefixtures("fall")
def test_the_status_tells_a_pipeline(cli: Cli, configure: Configure) -> None:
    """A change of rules that misses a death would be merged."""
    soon, late = configure("a.yaml", SOON), configure("b.yaml", LATE)
    assert cli("backtest", "--config", late, "last").status == 8
    assert cli("backtest", "--config", soon, "--against", late, "last").status == 0
    assert cli("backtest", "--config", late, "--against", late, "last").status == 0
    worse = cli("backtest", "--config", late, "--against", soon, "last")
    assert worse.status == 8
    assert worse.out.splitlines()[-1].endswith("lead over the kernel's kill 2.400 s, now nothing")


@pytest.mark.usefixtures("fall")
def test_json(cli: Cli, configure: Configure) -> None:
    """A script would read sentences."""
    soon, late = configure("a.yaml", SOON), configure("b.yaml", LATE)
    (trial,) = json.loads(cli("backtest", "--json", "--config", soon, "--against", late, "last").out)
    assert set(trial) == documented("backtest")
    assert (trial["lead_s"], trial["missed"], trial["kills_at_s"]) == (2.4, False, [0.0])
    assert (trial["against"]["lead_s"], trial["against"]["missed"]) == (None, True)
    assert trial["rules"][0] == {
        "name": "low",
        "severity": "act",
        "fired_at_s": [-2.4],
        "lead_s": 2.4,
        "flaps": 0,
        "cleared": 0,
        "held": {},
        "actions": {"drop_caches": 1, "kill": 1},
        "absent": [],
    }
    assert trial["rules"][2]["absent"] == ["zone.HighMem.free"]


def test_flapping_is_counted(
    cli: Cli, configure: Configure, tape: Tape, write_incident: WriteIncident, tmp_path: Path
) -> None:
    """A rule that goes on and off would look as good as one that fires once."""
    for step in range(-100, 1):
        tape.sample(step / 10, {"meminfo": meminfo(MemAvailable=100_000 if step % 20 < 10 else 900_000)})
    write_incident(directory=tmp_path / "state/incidents")
    low = "{when: meminfo.MemAvailable < 20% of meminfo.MemTotal, cooldown: 1s, actions: [dump]}"
    rules = f"rules: {{low: {low}}}"
    (trial,) = json.loads(cli("backtest", "--json", "--config", configure("a.yaml", rules), "last").out)
    (rule,) = trial["rules"]
    assert (len(rule["fired_at_s"]), rule["flaps"], rule["cleared"]) == (6, 5, 5)


def test_a_bad_configuration_is_refused_first(cli: Cli, configure: Configure, fall: Path) -> None:
    """Minutes of reading incidents would end in a typing error."""
    path = configure("a.yaml", "rules: {x: {when: memifno.MemFree < 1}}")
    result = cli("backtest", "--config", path, fall)
    assert result.status == 4
    assert "memifno.MemFree" in result.line
