"""The table of keys."""

import subprocess
import sys
from dataclasses import MISSING, FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest

from memwatchd.actions.freeze import Freeze
from memwatchd.actions.registry import ACTIONS
from memwatchd.config.checks import conflicts
from memwatchd.config.conditions import read_condition
from memwatchd.config.model import Config, Incidents, Ring, SourceRate
from memwatchd.config.scalars import expectation, read_scalar, single_key, write_scalar
from memwatchd.keys import SINGLE, Key, Kind, keys_of, walk_keys

HOLDERS = (Kind.SECTION, Kind.LIST, Kind.TABLE, Kind.STEPS)
SECTIONS: dict[str, type[Any]] = {"": Config, **{f"{name}.": action for name, action in ACTIONS.items()}}
VALUE_KEYS = {
    path: key
    for name, section in SECTIONS.items()
    for path, key in walk_keys(section, name)
    if key.kind not in HOLDERS
}
# Classes of which the table has a part, with their parts' classes.
CLASSES = [*SECTIONS.values()]
CLASSES += [key.of for section in SECTIONS.values() for _, key in walk_keys(section) if key.of]


@pytest.mark.parametrize("key", VALUE_KEYS.values(), ids=VALUE_KEYS)
def test_examples_are_examples(key: Key) -> None:
    """An error message would advise a value that is refused in its turn."""
    assert key.doc.endswith(".")
    assert expectation(key)
    if key.kind is Kind.EXPRESSION:
        read_condition(key.example)
    elif not key.choices:
        read_scalar(single_key(key) if key.kind in SINGLE else key, key.example)


@pytest.mark.parametrize("section", CLASSES)
def test_defaults_pass_their_own_bounds(section: type[Any]) -> None:
    """The built-in configuration could not be written to a file and read again."""
    defaults = {each.name: each.default for each in fields(section)}
    for field, key in keys_of(section).items():
        default = defaults[field]
        if key.kind not in (*HOLDERS, *SINGLE) and default not in (None, "", MISSING):
            assert read_scalar(key, write_scalar(key, default)) == default


@pytest.mark.parametrize("section", CLASSES)
def test_what_is_required_has_no_default(section: type[Any]) -> None:
    """A key that has to be given would be taken from somewhere else, or one could be missing at the end."""
    for each in fields(section):
        if "key" in each.metadata:
            has_default = each.default is not MISSING or each.default_factory is not MISSING
            assert has_default is not each.metadata["key"].required


def test_defaults_do_not_contradict_each_other() -> None:
    """The built-in configuration would be refused when it stands in a file."""
    assert list(conflicts(Config())) == []


@pytest.mark.parametrize("section", CLASSES)
def test_names_carry_units(section: type[Any]) -> None:
    """A reader of the code would have to guess whether a duration is in seconds."""
    suffixes = {Kind.SIZE: "_bytes", Kind.DURATION: "_ns", Kind.RATE: "_hz", Kind.PERCENTAGE: "_pct"}
    # Words of the file that are none of the code: keywords, builtins, half a sentence.
    renamed = {"list": "names", "of_usage": "usage"}
    for field, key in keys_of(section).items():
        name = "duration" if key.name == "for" and section is Freeze else renamed.get(key.name, key.name)
        assert field == name + suffixes.get(key.kind, "")


@pytest.mark.parametrize("section", CLASSES)
def test_every_field_is_in_the_table(section: type[Any]) -> None:
    """A field could not be set from the file."""
    assert set(keys_of(section)) | {"name"} == {each.name for each in fields(section)} | {"name"}


def test_the_model_is_frozen() -> None:
    """A part of the daemon could change the configuration under another."""
    with pytest.raises(FrozenInstanceError):
        Config().ring.size_bytes = 1  # type: ignore[misc] # that is the point
    assert hash(Config()) == hash(Config())


def test_sources_by_name() -> None:
    """A source's setting would be looked up under another name than the source's."""
    by_name = Config().sampling.sources.by_name()
    assert list(by_name) == [
        *("meminfo", "vmstat", "buddyinfo", "pressure", "zoneinfo", "slabinfo", "zram", "arcstats"),
    ]
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
