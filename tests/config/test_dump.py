"""The model to YAML and to plain values."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.config.configurations import Maker

from memwatchd.actions.base import Action
from memwatchd.actions.dump import Dump
from memwatchd.actions.log import Log
from memwatchd.actions.protect import Protect
from memwatchd.actions.registry import ACTIONS
from memwatchd.actions.thaw import Thaw
from memwatchd.actions.zfs_arc import ZfsArc
from memwatchd.config import nodes
from memwatchd.config.conditions import read_condition
from memwatchd.config.dump import to_plain, to_yaml
from memwatchd.config.load import parse_config
from memwatchd.config.model import Config, Sampling, SourceRate, Sources, Watch
from memwatchd.config.rules import Rule, Step
from memwatchd.config.scalars import expectation, read_scalar, write_scalar
from memwatchd.config.serving import Exporter, Listen
from memwatchd.keys import SINGLE, Key, Kind, walk_keys

SEEDS = st.integers(0, 1 << 32)
COUNTED = (Kind.LIST, Kind.TABLE, Kind.STEPS, *SINGLE)


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@settings(deadline=None)
@given(seed=SEEDS)
def test_every_configuration_comes_back(loader: str, seed: int) -> None:
    """The configuration stored with an incident would not be the one that ran."""
    config = Maker(seed).config()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "_LOADER", getattr(yaml, loader, yaml.SafeLoader))
        assert parse_config(to_yaml(config), "stored") == config


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_every_action_comes_back(action: type[Action], seed: int) -> None:
    """An action would be done again, from the stored configuration, with other parameters."""
    chosen = Maker(seed).action(action)
    if isinstance(chosen, Thaw):
        chosen = replace(chosen, rule="a")
    rule = Rule(name="a", when=read_condition("meminfo.MemFree < 5MiB"), actions=(Step(chosen),))
    assert parse_config(to_yaml(Config(rules=(rule,))), "stored") == Config(rules=(rule,))


@settings(deadline=None)
@given(seed=SEEDS)
def test_every_configuration_is_json(seed: int) -> None:
    """A status page or an incident could not hold the configuration."""
    plain = to_plain(Maker(seed).config())
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_yaml_reads_like_the_default_file() -> None:
    """The stored configuration would use other keys or units than the file people know."""
    rule = Rule(
        name="low",
        why='a "reason"',
        when=read_condition("meminfo.MemFree < 5MiB"),
        for_ns=1_500_000_000,
        actions=(Step(Dump()), Step(ZfsArc(share_pct=50), after_ns=2_000_000_000)),
    )
    config = Config(
        sampling=Sampling(rate_hz=50, sources=Sources(slabinfo=SourceRate("fixed", 0.5))),
        watch=(Watch(comm='a"b', fds=True), Watch(cgroup="/x")),
        exporter=Exporter(listen=(Listen("::1", 80), Listen("/run/x", 0))),
        protect=Protect(names=(), also=("sshd", "a b")),
        rules=(rule,),
    )
    assert to_yaml(config) == (
        "sampling:\n"
        "  rate: 50Hz\n"
        "  budget:\n"
        "    calm: 5%\n"
        "    armed: 35%\n"
        "  sources:\n"
        "    meminfo: auto\n"
        "    vmstat: auto\n"
        "    buddyinfo: auto\n"
        "    pressure: auto\n"
        "    zoneinfo: auto\n"
        "    slabinfo: 0.5Hz\n"
        "    zram: auto\n"
        "    arcstats: auto\n"
        "  realtime_priority: 10\n"
        "  lock_memory: true\n"
        "  oom_score_adj: -999\n"
        "watch:\n"
        '  - comm: "a\\"b"\n'
        "    fds: true\n"
        '  - cgroup: "/x"\n'
        "    fds: false\n"
        "ring:\n"
        "  size: 16MiB\n"
        "  share: 2%\n"
        "  segment: 128KiB\n"
        "incidents:\n"
        "  before: 30s\n"
        "  after: 5s\n"
        "  merge_limit: 2min\n"
        "  keep:\n"
        "    count: 50\n"
        "    size: 1GiB\n"
        "    age: 90d\n"
        "black_box:\n"
        "  enabled: true\n"
        "  size: 64MiB\n"
        "  every: 250ms\n"
        "  rate: 2MiB\n"
        "  per_day: 16GiB\n"
        "  after: 10s\n"
        "census:\n"
        "  period: 1s\n"
        "  budget: 2%\n"
        "exporter:\n"
        "  enabled: true\n"
        '  listen: ["[::1]:80", "/run/x"]\n'
        "protect:\n"
        "  enabled: true\n"
        "  oom_score_adj: -900\n"
        "  list: []\n"
        '  also: ["sshd", "a b"]\n'
        "acting:\n"
        "  dry_run: false\n"
        "  hold_after_kill: 1s\n"
        "  settle: 200ms\n"
        "  back_off: 1min\n"
        "rules:\n"
        '  "low":\n'
        '    why: "a \\"reason\\""\n'
        '    when: "meminfo.MemFree < 5MiB"\n'
        "    for: 1s500ms\n"
        "    cooldown: 10s\n"
        "    max_per_hour: 60\n"
        "    severity: act\n"
        "    actions:\n"
        "      - dump:\n"
        "          deadline: 5s\n"
        "      - after: 2s\n"
        "        zfs_arc:\n"
        "          deadline: 5s\n"
        "          share: 50%\n"
        "    on_failure: next\n"
        "    dry_run: false\n"
        "    optional: false\n"
        "    enabled: true\n"
        "log:\n"
        "  level: info\n"
    )


def test_plain_values_carry_units_in_their_names() -> None:
    """A reader of the JSON would have to parse ``30s`` or guess a unit."""
    sources = Sources(meminfo=SourceRate("off"), slabinfo=SourceRate("fixed", 2.0))
    plain = to_plain(Config(sampling=Sampling(sources=sources), watch=(Watch(pid_file=Path("/run/a")),)))
    assert plain["sampling"]["rate_hz"] == 200.0
    assert plain["sampling"]["sources"]["meminfo"] == "off"
    assert plain["sampling"]["sources"]["slabinfo"] == 2.0
    assert plain["watch"] == [{"pid_file": "/run/a", "fds": False}]
    assert plain["incidents"]["before_ns"] == 30_000_000_000
    assert plain["exporter"] == {"enabled": True, "listen": ["127.0.0.1:10973"]}


def test_plain_rules() -> None:
    """A reader of the JSON could not tell which action does what, or when."""
    rule = Rule(
        name="low",
        when=read_condition("meminfo.MemFree < 5MiB"),
        actions=(Step(Dump()), Step(Log(message="x"), after_ns=5)),
    )
    plain = to_plain(Config(rules=(rule,)))["rules"]["low"]
    assert plain["when"] == "meminfo.MemFree < 5MiB"
    assert not {"why", "clear", "name"} & set(plain)
    assert plain["actions"] == [
        {"dump": {"deadline_ns": 5_000_000_000}},
        {"after_ns": 5, "log": {"deadline_ns": 5_000_000_000, "level": "warning", "message": "x"}},
    ]


def _of_kind(key: Key, number: float) -> Any:
    if key.kind is Kind.SOURCE:
        return SourceRate("fixed", number)
    return float(number) if key.kind in (Kind.RATE, Kind.PERCENTAGE) else int(number)


SECTIONS: dict[str, type[Any]] = {"": Config, **{f"{name}.": each for name, each in ACTIONS.items()}}
BOUNDED = [
    (path, key)
    for name, section in SECTIONS.items()
    for path, key in walk_keys(section, name)
    if key.maximum is not None and key.kind not in COUNTED
]


@pytest.mark.parametrize(("path", "key"), BOUNDED, ids=[path for path, _ in BOUNDED])
def test_bounds_are_where_the_message_says(path: str, key: Key) -> None:
    """A bound would be refused although the message names it, or let the next value through."""
    assert key.maximum is not None
    for bound in [key.maximum] if key.minimum is None else [key.minimum, key.maximum]:
        text = write_scalar(key, _of_kind(key, bound))
        assert text in expectation(key)
        assert read_scalar(key, text) == _of_kind(key, bound)
    with pytest.raises(ValueError, match="expected "):
        read_scalar(key, write_scalar(key, _of_kind(key, key.maximum * 2)))
