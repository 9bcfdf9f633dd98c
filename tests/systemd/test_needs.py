"""Whether the shipped units let the shipped configurations do what they want, and say so when not."""

import json
from pathlib import Path

import pytest
from tests.cli.test_cli import Cli, cli

from memwatchd.actions.registry import ACTIONS
from memwatchd.config.load import load_config
from memwatchd.config.model import Config
from memwatchd.service.needs import NEEDS, drop_in, refusals
from memwatchd.service.sandbox import Sandbox
from memwatchd.service.unitfile import read_unit

__all__ = ["cli"]

PROJECT = Path(__file__).resolve().parents[2]
UNITS = PROJECT / "systemd"
ETC = PROJECT / "src/memwatchd/etc"
SHIPPED = [ETC / "memwatchd.yaml", *sorted((ETC / "policies").glob("*.yaml"))]

EVERYTHING = """
exporter: {enabled: false}
rules:
  all:
    when: meminfo.MemAvailable < 5% of meminfo.MemTotal
    actions:
      - drop_caches
      - compact
      - sysctl: {setting: vm.swappiness, value: 1}
      - reclaim: {cgroups: [/a], amount: 16MiB}
      - freeze
      - thaw
      - kill: {whole_cgroup: true}
      - signal: {signal: TERM}
      - limit: {cgroup: /a, to: 16MiB}
      - oom_score_adj: {lower_by: 100}
      - evict_files: {paths: [/home/a]}
      - notify: {socket: /run/x.sock}
      - stop_unit: {units: [cron.service]}
      - restart_unit: {units: [cron.service]}
      - hook: {program: /usr/bin/true}
      - log: {message: x}
      - dump
"""
EMERGENCIES = """
exporter: {enabled: false}
rules:
  last:
    when: meminfo.MemAvailable < 1% of meminfo.MemTotal
    actions:
      - swap_on: {path: /var/lib/memwatchd/swap}
      - compact: {node: 0}
      - zfs_arc: {share: 10%}
      - sysrq: {letter: f, i_know: true}
      - panic: {i_know: true}
      - reboot: {how: at_once, i_know: true}
"""


def unit(directory: Path, *drop_ins: str) -> Sandbox:
    """The shipped unit with some of the shipped drop-ins."""
    (directory / "memwatchd.service").write_text((UNITS / "memwatchd.service").read_text())
    (directory / "memwatchd.service.d").mkdir()
    for name in drop_ins:
        text = (UNITS / "drop-ins" / name).read_text()
        (directory / "memwatchd.service.d" / name).write_text(text)
    return Sandbox(read_unit(str(directory / "memwatchd.service")))


def config(directory: Path, text: str) -> Config:
    (directory / "my.yaml").write_text(text)
    return load_config(directory / "my.yaml")


def test_every_action_says_what_it_needs() -> None:
    """A new action would be called possible without having been looked at."""
    assert set(NEEDS) == set(ACTIONS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_unit_lets_what_is_shipped_do_its_work(tmp_path: Path, path: Path) -> None:
    """The package would come with rules that can do nothing."""
    assert [str(each) for each in refusals(load_config(path), unit(tmp_path))] == []


def test_the_unit_lets_most_actions_through(tmp_path: Path) -> None:
    """A change of the unit would take rights away from rules that somebody has."""
    assert [str(each) for each in refusals(config(tmp_path, EVERYTHING), unit(tmp_path))] == []


def test_what_is_dangerous_takes_a_drop_in(tmp_path: Path) -> None:
    """An administrator would be told of a rule that cannot act by the night in which it should."""
    found = refusals(config(tmp_path, EMERGENCIES), unit(tmp_path))
    assert [str(each) for each in found] == [
        "rule last: swap_on: CAP_SYS_ADMIN: CapabilityBoundingSet= lacks it",
        "rule last: swap_on: swapon(2): SystemCallFilter= does not let it through",
        "rule last: swap_on: swapoff(2): SystemCallFilter= does not let it through",
        "rule last: compact: /sys/devices/system/node/node0/compact: "
        "ProtectKernelTunables=yes makes it read-only",
        "rule last: zfs_arc: /sys/module/zfs/parameters/zfs_arc_max: "
        "ProtectKernelTunables=yes makes it read-only",
        "rule last: sysrq: /proc/sysrq-trigger: ProtectKernelTunables=yes makes it read-only",
        "rule last: panic: /proc/sysrq-trigger: ProtectKernelTunables=yes makes it read-only",
        "rule last: reboot: CAP_SYS_BOOT: CapabilityBoundingSet= lacks it",
        "rule last: reboot: reboot(2): SystemCallFilter= does not let it through",
    ]


def test_the_shipped_drop_ins_let_the_rest_through(tmp_path: Path) -> None:
    """A drop-in would be copied, and the action fail all the same."""
    sandbox = unit(tmp_path, "swap.conf", "devices.conf", "emergency.conf", "network.conf", "group.conf")
    for text in (EMERGENCIES, EVERYTHING):
        assert [str(each) for each in refusals(config(tmp_path, text), sandbox)] == []


def test_the_drop_in_that_is_advised_helps(tmp_path: Path) -> None:
    """The advice would be wrong, and whoever follows it none the wiser."""
    wanted, sandbox = config(tmp_path, EMERGENCIES), unit(tmp_path)
    text = drop_in(refusals(wanted, sandbox))
    assert text.splitlines()[:3] == [
        "[Service]",
        "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_BOOT",
        "SystemCallFilter=swapon swapoff reboot",
    ]
    (tmp_path / "memwatchd.service.d/local.conf").write_text(text)
    assert refusals(wanted, Sandbox(read_unit(str(tmp_path / "memwatchd.service")))) == []


def test_observing_needs_no_more_than_it_has(tmp_path: Path) -> None:
    """The unit that changes nothing could not record either."""
    sandbox = unit(tmp_path, "group.conf", "observe.conf")
    policy = load_config(PROJECT / "src/memwatchd/etc/policies/record-only.yaml")
    assert [str(each) for each in refusals(policy, sandbox)] == []
    whos = {each.who for each in refusals(config(tmp_path, EVERYTHING), sandbox)}
    assert {"rule all: kill", "rule all: drop_caches", "rule all: stop_unit", "protect"} <= whos


def test_the_command_names_what_is_in_the_way(cli: Cli, tmp_path: Path) -> None:
    """`memwatchd check --unit` would say nothing that helps, or end with success."""
    unit(tmp_path)
    (tmp_path / "my.yaml").write_text(EMERGENCIES)
    arguments = ("--unit", tmp_path / "memwatchd.service", "--config", tmp_path / "my.yaml")
    result = cli("check", *arguments)
    assert (result.status, result.err) == (4, "")
    assert result.out.startswith(f"read {tmp_path}/memwatchd.service\nread {tmp_path}/my.yaml\n\nrule last: ")
    assert "\n[Service]\nCapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_BOOT\n" in result.out
    (tmp_path / "my.yaml").write_text(EVERYTHING)
    result = cli("check", *arguments)
    assert (result.status, result.out.splitlines()[-1]) == (
        0,
        f"memwatchd.service lets everything through that {tmp_path}/my.yaml wants",
    )


def test_the_configuration_is_the_one_the_unit_names(cli: Cli, tmp_path: Path) -> None:
    """Another configuration would be checked than the one that runs."""
    (tmp_path / "my.yaml").write_text(json.dumps({"protect": {"enabled": True}}))
    (tmp_path / "x.service").write_text(
        f"[Service]\nExecStart=/usr/bin/memwatchd run --config={tmp_path}/my.yaml\nUser=nobody\n"
    )
    result = cli("check", "--unit", tmp_path / "x.service")
    assert result.status == 4
    assert f"read {tmp_path}/my.yaml\n" in result.out
    assert "protect: CAP_SYS_RESOURCE: AmbientCapabilities= lacks it\n" in result.out
