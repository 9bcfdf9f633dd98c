"""The model to YAML and to plain values."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from memwatchd.config import nodes
from memwatchd.config.dump import to_plain, to_yaml
from memwatchd.config.load import parse_config
from memwatchd.config.model import (
    MIN_SEGMENTS,
    Config,
    Exporter,
    Listen,
    Sampling,
    SourceRate,
    Sources,
    Watch,
)
from memwatchd.config.scalars import expectation, read_scalar, write_scalar
from memwatchd.keys import Key, Kind, keys_of, walk_keys

SHOWABLE = st.characters(exclude_categories=["Cc", "Cs"])


def _numbers(key: Key) -> st.SearchStrategy[int]:
    assert key.minimum is not None
    assert key.maximum is not None
    low, high = int(key.minimum), int(key.maximum)
    if key.power_of_two:
        return st.integers(low.bit_length() - 1, high.bit_length() - 1).map(lambda exponent: 1 << exponent)
    return st.integers(low, high)


NAMES = st.text(SHOWABLE, min_size=1, max_size=30).filter(
    lambda text: "/" not in text and text not in (".", "..")
)

# By kind, any value that the table allows. Sources stay below the lowest sampling rate.
VALUES: dict[Kind, Callable[[Key], st.SearchStrategy[Any]]] = {
    Kind.SECTION: lambda key: _sections(key.of),
    Kind.LIST: lambda key: st.lists(_watches(), max_size=4).map(tuple),
    Kind.SIZE: _numbers,
    Kind.DURATION: _numbers,
    Kind.INTEGER: _numbers,
    Kind.RATE: lambda key: st.floats(key.minimum, key.maximum),
    Kind.PERCENTAGE: lambda key: st.floats(1e-6, key.maximum),
    Kind.SOURCE: lambda key: (
        st.sampled_from([SourceRate("auto"), SourceRate("off")])
        | st.floats(key.minimum, 1).map(lambda rate_hz: SourceRate("fixed", rate_hz))
    ),
    Kind.BOOLEAN: lambda key: st.booleans(),
    Kind.CHOICE: lambda key: st.sampled_from(key.choices),
    Kind.TEXT: lambda key: st.text(SHOWABLE, min_size=1, max_size=3),
    Kind.PATH: lambda key: st.text(SHOWABLE, max_size=100).map(lambda text: Path("/" + text)),
    Kind.CGROUP: lambda key: st.lists(NAMES, max_size=5).map(lambda names: "/" + "/".join(names)),
    Kind.LISTEN: lambda key: st.builds(
        Listen,
        st.sampled_from(["localhost", "a.example"]) | st.ip_addresses().map(str),
        st.integers(1, 65535),
    ),
}


def _values(key: Key) -> st.SearchStrategy[Any]:
    return VALUES[key.kind](key)


def _sections(section: Any) -> st.SearchStrategy[Any]:
    return st.builds(section, **{field: _values(key) for field, key in keys_of(section).items()})


def _watches() -> st.SearchStrategy[Watch]:
    keys = keys_of(Watch)
    targets = [field for field, key in keys.items() if key.one_of]
    return st.sampled_from(targets).flatmap(
        lambda target: st.builds(Watch, **{target: _values(keys[target]), "fds": st.booleans()})
    )


def _agreeing(config: Config) -> Config:
    """Lift what the drawn values leave in contradiction."""
    ring, incidents = config.ring, config.incidents
    return replace(
        config,
        ring=replace(ring, size_bytes=max(ring.size_bytes, MIN_SEGMENTS * ring.segment_bytes)),
        incidents=replace(incidents, merge_limit_ns=max(incidents.merge_limit_ns, incidents.after_ns)),
    )


CONFIGS = _sections(Config).map(_agreeing)


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@settings(deadline=None)
@given(config=CONFIGS)
def test_every_configuration_comes_back(loader: str, config: Config) -> None:
    """The configuration stored with an incident would not be the one that ran."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "_LOADER", getattr(yaml, loader, yaml.SafeLoader))
        assert parse_config(to_yaml(config), "stored") == config


@settings(deadline=None)
@given(config=CONFIGS)
def test_every_configuration_is_json(config: Config) -> None:
    """A status page or an incident could not hold the configuration."""
    plain = to_plain(config)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_yaml_reads_like_the_default_file() -> None:
    """The stored configuration would use other keys or units than the file people know."""
    config = Config(
        sampling=Sampling(rate_hz=50, sources=Sources(slabinfo=SourceRate("fixed", 0.5))),
        watch=(Watch(comm='a"b', fds=True), Watch(cgroup="/x")),
        exporter=Exporter(listen=Listen("::1", 80)),
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
        "  realtime_priority: 10\n"
        "  lock_memory: true\n"
        "  oom_score_adj: -999\n"
        "watch:\n"
        '  - comm: "a\\U00000022b"\n'
        "    fds: true\n"
        '  - cgroup: "/x"\n'
        "    fds: false\n"
        "ring:\n"
        "  size: 16MiB\n"
        "  segment: 128KiB\n"
        "incidents:\n"
        "  before: 30s\n"
        "  after: 5s\n"
        "  merge_limit: 2min\n"
        "  keep:\n"
        "    count: 50\n"
        "    size: 1GiB\n"
        "    age: 90d\n"
        "census:\n"
        "  period: 1s\n"
        "  budget: 2%\n"
        "exporter:\n"
        "  enabled: true\n"
        '  listen: "[::1]:80"\n'
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
    assert plain["exporter"] == {"enabled": True, "listen": "127.0.0.1:10973"}


def _of_kind(key: Key, number: float) -> Any:
    if key.kind is Kind.SOURCE:
        return SourceRate("fixed", number)
    return float(number) if key.kind in (Kind.RATE, Kind.PERCENTAGE) else int(number)


@pytest.mark.parametrize(
    ("path", "key"),
    [(path, key) for path, key in walk_keys(Config) if key.maximum is not None and key.kind is not Kind.LIST],
)
def test_bounds_are_where_the_message_says(path: str, key: Key) -> None:
    """A bound would be refused although the message names it, or let the next value through."""
    assert key.maximum is not None
    for bound in [key.maximum] if key.minimum is None else [key.minimum, key.maximum]:
        text = write_scalar(key, _of_kind(key, bound))
        assert text in expectation(key)
        assert read_scalar(key, text) == _of_kind(key, bound)
    with pytest.raises(ValueError, match="expected "):
        read_scalar(key, write_scalar(key, _of_kind(key, key.maximum * 2)))
