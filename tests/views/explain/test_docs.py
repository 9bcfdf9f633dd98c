"""docs/explain.md against the program."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memwatchd import diagnosis
from memwatchd.diagnosis.catalogue import EXAMINATIONS
from memwatchd.views.explain.schema import json_schema

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs/explain.md").read_text()


def section(heading: str) -> str:
    return DOCUMENT.split(f"\n## {heading}\n")[1].partition("\n## ")[0]


def tags() -> set[str]:
    """The names of all modules that can find something."""
    names = {module.name for module in pkgutil.iter_modules(diagnosis.__path__)}
    return {
        name for name in names if hasattr(importlib.import_module(f"{diagnosis.__name__}.{name}"), "examine")
    }


def keys(schema: Any) -> Iterator[str]:
    """Every key that the schema names."""
    if isinstance(schema, list):
        for each in schema:
            yield from keys(each)
    elif isinstance(schema, dict):
        yield from schema.get("properties", {})
        for each in schema.values():
            yield from keys(each)


def test_every_tag_is_explained() -> None:
    """A person would look for a tag in vain, or for a cause that is never found."""
    documented = re.findall(r"^\| `(\w+)`(?: ○)? \|", section("What it may be"), re.MULTILINE)
    assert sorted(documented) == sorted(tags())
    assert len(set(documented)) == len(documented)


def test_every_examination_has_its_tag() -> None:
    """A finding would have the name of no module, so that nobody finds where it comes from."""
    assert {examine.__module__.rpartition(".")[2] for examine in EXAMINATIONS} <= tags()


def test_every_key_is_explained() -> None:
    """Whoever writes a script would have to guess what a key means."""
    documented = set(re.findall(r"`(\w+)(?:\[\])?`", section("JSON"))) | {"schema", "events"}
    assert set(keys(json_schema())) - documented == set()
