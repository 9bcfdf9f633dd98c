"""The table of keys."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest

from memwatchd.config.checks import conflicts
from memwatchd.config.model import Config, Incidents, Ring, SourceRate
from memwatchd.config.scalars import expectation, read_scalar, write_scalar
from memwatchd.keys import Key, Kind, keys_of, walk_keys

SCALAR_KEYS = [(path, key) for path, key in walk_keys(Config) if key.kind not in (Kind.SECTION, Kind.LIST)]


def _default(path: str) -> Any:
    value: Any = Config()
    for name in path.split("."):
        by_name = {key.name: field for field, key in keys_of(type(value)).items()}
        value = getattr(value, by_name[name])
    return value


@pytest.mark.parametrize(("path", "key"), SCALAR_KEYS, ids=[path for path, _ in SCALAR_KEYS])
def test_examples_are_examples(path: str, key: Key) -> None:
    """An error message would advise a value that is refused in its turn."""
    assert key.doc.endswith(".")
    if not key.choices:
        read_scalar(key, key.example)
    assert expectation(key)


@pytest.mark.parametrize(
    ("path", "key"), [(path, key) for path, key in SCALAR_KEYS if not path.startswith("watch")]
)
def test_defaults_pass_their_own_bounds(path: str, key: Key) -> None:
    """The built-in configuration could not be written to a file and read again."""
    assert read_scalar(key, write_scalar(key, _default(path))) == _default(path)


def test_defaults_do_not_contradict_each_other() -> None:
    """The built-in configuration would be refused when it stands in a file."""
    assert list(conflicts(Config())) == []


@pytest.mark.parametrize("section", [Config, *(key.of for _, key in walk_keys(Config) if key.of)])
def test_names_carry_units(section: type[Any]) -> None:
    """A reader of the code would have to guess whether a duration is in seconds."""
    suffixes = {Kind.SIZE: "_bytes", Kind.DURATION: "_ns", Kind.RATE: "_hz", Kind.PERCENTAGE: "_pct"}
    for field, key in keys_of(section).items():
        assert field == key.name + suffixes.get(key.kind, "")


def test_every_field_is_in_the_table() -> None:
    """A field could not be set from the file."""
    for _, key in [("", Key(name="", kind=Kind.SECTION, doc="", of=Config)), *walk_keys(Config)]:
        if key.of is not None:
            assert len(keys_of(key.of)) == len(fields(key.of))


def test_the_model_is_frozen() -> None:
    """A part of the daemon could change the configuration under another."""
    with pytest.raises(FrozenInstanceError):
        Config().ring.size_bytes = 1  # type: ignore[misc] # that is the point
    assert hash(Config()) == hash(Config())


def test_sources_by_name() -> None:
    """A source's setting would be looked up under another name than the source's."""
    by_name = Config().sampling.sources.by_name()
    assert list(by_name) == ["meminfo", "vmstat", "buddyinfo", "pressure", "zoneinfo", "slabinfo"]
    assert set(by_name.values()) == {SourceRate("auto")}


def test_conflicts_are_found_without_a_file() -> None:
    """A configuration put together in code would not be checked."""
    ring = Ring(size_bytes=1 << 20, segment_bytes=1 << 20)
    incidents = Incidents(after_ns=2, merge_limit_ns=1)
    found = conflicts(replace(Config(), ring=ring, incidents=incidents))
    assert [each.key for each in found] == ["ring.size", "incidents.merge_limit"]


def test_the_model_is_small() -> None:
    """A process that has to stay small would carry a YAML parser."""
    code = "import sys, memwatchd.config.model\nprint(*{'yaml', '_yaml', 'decimal'} & set(sys.modules))"
    source = Path(__file__).parents[2] / "src"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == []
