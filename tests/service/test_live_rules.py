"""Rules on the real machine: a leak ended before its limit, reloads, and put-backs after deaths."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.service.conftest import QUICK, Daemon, MakeEater, StartDaemon, wait_for

from memwatchd.incidents.format import BlockType
from memwatchd.ring.file import open_ring
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import events

pytestmark = pytest.mark.live

_LIMIT_BYTES = 400 << 20
_PRESSURE = Path("/proc/sys/vm/vfs_cache_pressure")


def leak_rule(cgroup: str, **more: Any) -> dict[str, Any]:
    """End the leak two seconds before it meets the limit."""
    usage, limit = f'cgroup."{cgroup}".usage', f'cgroup."{cgroup}".limit'
    return {
        "when": f"time_to({usage}, {limit}, 500ms) < 2s and {usage} > 32MiB",
        "actions": [
            {"kill": {"select": {"cgroup": cgroup}, "signal": "KILL"}},
            "dump",
        ],
        **more,
    }


def recorded(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    """Events of this name in the service's ring."""
    segments = read_segments(open_ring(daemon.places.events))
    return [event for event in events(segments) if event["event"] == name]


def rewrite(daemon: Daemon, config: dict[str, Any]) -> None:
    """Give the daemon another configuration, which it has not read yet."""
    path = Path(daemon.arguments[daemon.arguments.index("--config") + 1])
    path.write_text(yaml.safe_dump({"protect": {"enabled": False}, **config}))


def test_a_leak_is_ended_before_its_limit(start_daemon: StartDaemon, make_eater: MakeEater) -> None:
    """What the rules are for: the kernel's killer would come first, and take whom it likes."""
    eater = make_eater(b"leak) of (memory", limit_bytes=_LIMIT_BYTES)
    rules = {"leak": leak_rule(eater.cgroup_name)}
    daemon = start_daemon({**QUICK, "watch": [{"cgroup": eater.cgroup_name}], "rules": rules})
    daemon.wait_for(lambda: f"{eater.cgroup_name}" in _sources(daemon), "the cgroup to be sampled")
    eater.begin(mib_per_s=100)
    assert eater.process.wait(45) == -signal.SIGKILL
    daemon.wait_for(lambda: recorded(daemon, "action"), "the outcome")
    (event,) = [event for event in recorded(daemon, "action") if event["action"] == "kill"]
    assert (event["rule"], event["verdict"]) == ("leak", "helped")
    assert str(eater.pid) in event["detail"]
    assert event["figures"]["pid"] == eater.pid
    incident = daemon.wait_for_incident("rule_fired")
    daemon.wait_for(lambda: daemon.incidents("rule_fired")[0].complete, "its aftermath")
    incident = daemon.incidents("rule_fired")[0]
    assert incident.meta["kills"] == []  # by the kernel
    fired = [event for event in events(incident.segments(BlockType.SAMPLES)) if event["event"] == "rule_fire"]
    assert fired[0]["rule"] == "leak"
    assert fired[0]["figures"][f'cgroup."{eater.cgroup_name}".usage'] < _LIMIT_BYTES
    (state,) = daemon.state()["rules"]
    assert {"action": "kill", "verdict": "helped", "count": 1} in state["outcomes"]

    # The same rule over what was recorded comes to the same.
    trial = json.loads(daemon.cli("backtest", *daemon.arguments[:2], "--json", incident.path).stdout)
    (rule,) = trial[0]["rules"]
    assert rule["actions"]["kill"] == 1
    assert abs(rule["fired_at_s"][0] - (fired[0]["monotonic_ns"] - incident.trigger_ns) / 1e9) < 0.05


def _sources(daemon: Daemon) -> str:
    moment = daemon.last_moment()
    return "" if moment is None else " ".join(str(entry["name"]) for entry in moment.sources.values())


@pytest.fixture
def pressure_rule() -> dict[str, Any]:
    """A rule that holds on every machine, and changes a setting of this one for as long."""
    if os.geteuid() != 0 or not os.access(_PRESSURE, os.W_OK):
        pytest.skip("changing vm.vfs_cache_pressure needs root and a writable /proc/sys")
    value = int(_PRESSURE.read_text()) + 50
    action = {"sysctl": {"setting": "vm.vfs_cache_pressure", "value": value}}
    return {"when": "meminfo.MemTotal > 1MiB", "actions": [action]}


def test_a_change_is_put_back_at_the_end(start_daemon: StartDaemon, pressure_rule: dict[str, Any]) -> None:
    """A stopped daemon would leave the machine as it was in the emergency."""
    before = _PRESSURE.read_text()
    daemon = start_daemon({**QUICK, "rules": {"press": pressure_rule}})
    daemon.wait_for(lambda: _PRESSURE.read_text() != before, "the setting to be changed")
    assert daemon.stop() == 0
    assert _PRESSURE.read_text() == before


def test_a_change_is_put_back_after_a_crash(start_daemon: StartDaemon, pressure_rule: dict[str, Any]) -> None:
    """A daemon that was killed would leave the machine as it was in the emergency, for ever."""
    before = _PRESSURE.read_text()
    daemon = start_daemon({**QUICK, "rules": {"press": pressure_rule}})
    daemon.wait_for(lambda: _PRESSURE.read_text() != before, "the setting to be changed")
    children = [pid for pid in daemon.survivors() if pid != daemon.pid]
    daemon.kill()
    daemon.wait_until_dead(children)
    assert _PRESSURE.read_text() != before
    rewrite(daemon, QUICK)
    daemon.start().wait_until_sampling()
    daemon.wait_for(lambda: _PRESSURE.read_text() == before, "the setting to be put back")


def test_rules_outlive_their_sampler(start_daemon: StartDaemon, pressure_rule: dict[str, Any]) -> None:
    """After the death of the sampler a change would stay for good: nobody would know that it is to clear."""
    before = _PRESSURE.read_text()
    daemon = start_daemon({**QUICK, "rules": {"press": pressure_rule}})
    daemon.wait_for(lambda: _PRESSURE.read_text() != before, "the setting to be changed")
    changed = _PRESSURE.read_text()
    os.kill(daemon.state()["sampler_pid"], signal.SIGKILL)

    def fired_again() -> bool:
        (rule,) = daemon.state()["rules"]
        return bool(rule["fired"] == 2 and rule["active"])

    daemon.wait_for(fired_again, "the rule to fire in the next sampler")
    assert _PRESSURE.read_text() == changed
    assert daemon.stop() == 0
    assert _PRESSURE.read_text() == before


def test_what_a_rule_lacks_is_forgotten_with_it(start_daemon: StartDaemon) -> None:
    """After a reload ``status`` would go on complaining about a rule that is gone."""
    lacking = {"when": "zone.Elsewhere.free < 1MiB"}
    daemon = start_daemon({**QUICK, "rules": {"far": lacking}})
    sentence = "rule far cannot fire here: zone.Elsewhere.free not on this machine"
    assert sentence in daemon.state()["degraded"]
    rewrite(daemon, QUICK)
    assert daemon.cli("reload").returncode == 0
    daemon.wait_for(lambda: sentence not in daemon.state()["degraded"], "the status to be right")


def test_a_reload_swaps_everything_or_nothing(
    start_daemon: StartDaemon, pressure_rule: dict[str, Any]
) -> None:
    """A typing error would leave a machine with half a configuration, or with none."""
    before = _PRESSURE.read_text()
    daemon = start_daemon({**QUICK, "rules": {"press": pressure_rule}})
    daemon.wait_for(lambda: _PRESSURE.read_text() != before, "the setting to be changed")
    sampler = daemon.state()["sampler_pid"]

    rewrite(daemon, {**QUICK, "sampling": {"rate": "5 apples"}})
    refused = daemon.cli("reload")
    assert refused.returncode == 4
    assert "sampling.rate: expected a rate" in refused.stderr.decode()
    assert daemon.state()["sampler_pid"] == sampler
    rewrite(daemon, {**QUICK, "ring": {"size": "2MiB"}})
    assert "takes a restart" in daemon.cli("reload").stderr.decode()

    rewrite(
        daemon, {**QUICK, "sampling": {"rate": "100Hz"}, "rules": {"other": {"when": "meminfo.MemFree < 0"}}}
    )
    ticks = daemon.ticks()
    done = daemon.cli("reload")
    assert (done.returncode, done.stderr) == (0, b"")
    daemon.wait_for(lambda: _PRESSURE.read_text() == before, "what the old rule did to be put back")
    daemon.wait_for(lambda: [each["name"] for each in daemon.state()["rules"]] == ["other"], "the new rules")
    daemon.wait_for(lambda: daemon.state()["sampling"]["rate_hz"] == 100.0, "the new rate")
    assert daemon.ticks() > ticks
    assert daemon.state()["sampler_pid"] != sampler
    gaps = [event["lag_ns"] for event in _sampled(daemon, "missed")]
    assert all(gap < 1_000_000_000 for gap in gaps)


def _sampled(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    return [event for event in events(read_segments(daemon.ring())) if event["event"] == name]


def test_sighup_reloads(start_daemon: StartDaemon) -> None:
    """``systemctl reload`` would do nothing."""
    daemon = start_daemon(QUICK)
    rewrite(daemon, {**QUICK, "rules": {"new": {"when": "meminfo.MemFree < 0"}}})
    os.kill(daemon.pid, signal.SIGHUP)
    daemon.wait_for(lambda: [each["name"] for each in daemon.state()["rules"]] == ["new"], "the new rule")


def test_a_stopped_process_goes_on_after_the_daemons_death(
    start_daemon: StartDaemon, make_eater: MakeEater
) -> None:
    """A machine would be left with processes that stand still for ever, and nobody who knows why."""
    eater = make_eater(limit_bytes=_LIMIT_BYTES)
    rule = {
        "when": "meminfo.MemTotal > 1MiB",
        "actions": [{"freeze": {"select": {"cgroup": eater.cgroup_name}, "how": "process", "hold": True}}],
    }
    daemon = start_daemon({**QUICK, "rules": {"still": rule}})
    daemon.wait_for(lambda: _state(eater.pid) == "T", "the process to stand still")
    children = [pid for pid in daemon.survivors() if pid != daemon.pid]
    daemon.kill()
    daemon.wait_until_dead(children)
    assert _state(eater.pid) == "T"
    rewrite(daemon, QUICK)
    daemon.start().wait_until_sampling()
    wait_for(lambda: _state(eater.pid) == "S", "it to go on", daemon.log)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_hooks_run_in_the_helper(start_daemon: StartDaemon, tmp_path: Path) -> None:
    """A site's own program would never hear of anything, or the service would have to fork."""
    said = tmp_path / "said"
    program = tmp_path / "hook"
    program.write_text(f'#!/bin/sh\necho "$MEMWATCHD_RULE" > {said}.new; mv {said}.new {said}\n')
    program.chmod(0o755)
    rule = {"when": "meminfo.MemTotal > 1MiB", "actions": [{"hook": {"program": str(program)}}]}
    daemon = start_daemon({**QUICK, "rules": {"call": rule}})
    daemon.wait_for(said.exists, "the program to run")
    assert said.read_text() == "call\n"
    assert daemon.stop() == 0
