"""The JSON Schema: current, in agreement with the loader, and of use."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.config.configurations import Maker

from memwatchd.actions.registry import ACTIONS
from memwatchd.config.dump import to_yaml
from memwatchd.config.load import SHIPPED_CONFIG, InvalidConfigError, parse_config
from memwatchd.config.nodes import Mapping, Node, Scalar, Sequence, read_tree
from memwatchd.config.schema import json_schema, schema_text

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
SHIPPED_FILES = sorted(
    each for each in SHIPPED_CONFIG.parent.rglob("*.yaml") if "prometheus" not in each.parts
)

# YAML 1.2, core schema, section 10.3.2: what an editor takes a plain scalar for.
_NULL = re.compile(r"|~|null|Null|NULL")
_TRUTH = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _typed(node: Node | None) -> Any:
    match node:
        case Mapping():
            return {_text(key): _typed(value) for key, value in node.pairs}
        case Sequence():
            return [_typed(item) for item in node.items]
        case Scalar(plain=True):
            return _typed_scalar(node.text)
        case Scalar():
            return node.text
    return None


def _text(key: Node) -> str:
    assert isinstance(key, Scalar)
    return key.text


def _typed_scalar(text: str) -> Any:
    if _NULL.fullmatch(text):
        return None
    if _TRUTH.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    return float(text) if _FLOAT.fullmatch(text) else text


def _wrong(text: str) -> list[str]:
    """What an editor would underline: dotted paths."""
    errors = VALIDATOR.iter_errors(_typed(read_tree(text).root))
    return sorted({".".join(map(str, error.absolute_path)) for error in errors})


def test_it_is_a_schema() -> None:
    """An editor would refuse it as a whole."""
    Draft202012Validator.check_schema(SCHEMA)


def test_the_shipped_one_is_current() -> None:
    """Editors would not know a new key. To renew it: memwatchd check --schema > etc/memwatchd.schema.json."""
    assert (SHIPPED_CONFIG.parent / "memwatchd.schema.json").read_text() == schema_text()


@pytest.mark.parametrize("path", SHIPPED_FILES, ids=lambda path: path.stem)
def test_shipped_files_are_valid(path: Path) -> None:
    """An editor would underline what comes with the program."""
    assert _wrong(path.read_text()) == []


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 1 << 32))
def test_what_the_daemon_writes_is_valid(seed: int) -> None:
    """An editor would underline what the loader takes."""
    assert _wrong(to_yaml(Maker(seed).config())) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sampling:\nwatch:\nrules:\n",
        "sampling: {rate: 100, sources: {meminfo: off, slabinfo: 0.5, vmstat: auto}}",
        "incidents: {before: 30, after: 0.25, merge_limit: 1h30m, keep: {size: 1073741824}}",
        "ring: {size: 16777216, segment: 128 KiB}",
        "watch: [{comm: 42}, {comm: true}, {comm: 7z}, {comm: 1.5}, {pid: 1}, {cgroup: /}]",
        "protect: {list: sshd, also: [42, on]}",
        "rules: {a: {when: x < 1, why: 42, for: 1, actions: [dump, log: {}, kill: ~, {after: 2, dump: {}}]}}",
        "rules: {a: {when: x < 1, actions: [zfs_arc: {share: 5%}, sysrq: {letter: m}]}}",
        "rules: {a: {when: x < 1, actions: [stop_unit: {units: a.service}]}}",
    ],
)
def test_what_is_right(text: str) -> None:
    """An editor would underline what the loader takes."""
    assert _wrong(text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[]", ""),
        ("sampling: {rat: 100}", "sampling"),
        ("sampling: {rate: fast}", "sampling.rate"),
        ("sampling: {rate: 0.5}", "sampling.rate"),
        ("sampling: {rate: 2000}", "sampling.rate"),
        ("sampling: {rate: [1]}", "sampling.rate"),
        ("sampling: {rate: true}", "sampling.rate"),
        ("sampling: {rate: }", "sampling.rate"),
        ("sampling: {sources: {slabinfo: on}}", "sampling.sources.slabinfo"),
        ("sampling: {budget: {calm: 5}}", "sampling.budget.calm"),
        ("sampling: {oom_score_adj: -1000}", "sampling.oom_score_adj"),
        ("sampling: {lock_memory: yes}", "sampling.lock_memory"),
        ("incidents: {before: 5:30}", "incidents.before"),
        ("incidents: {before: 601}", "incidents.before"),
        ("ring: {size: 1 apple}", "ring.size"),
        ("watch: [{fds: true}]", "watch.0"),
        ("watch: [{comm: a, pid: 1}]", "watch.0"),
        ("watch: [~]", "watch.0"),
        ("watch: {comm: a}", "watch"),
        ("watch: [{comm: postgres-checkpointer}]", "watch.0.comm"),
        ("watch: [{cgroup: /a/../b}]", "watch.0.cgroup"),
        ("watch: [{cgroup: /a/}]", "watch.0.cgroup"),
        ("watch: [{pid_file: run/a}]", "watch.0.pid_file"),
        ("exporter: {listen: localhost}", "exporter.listen"),
        ("log: {level: loud}", "log.level"),
        ("rules: [a]", "rules"),
        ("rules: {a b: {when: x < 1}}", "rules"),
        ("rules: {a: {why: x}}", "rules.a"),
        ("rules: {a: }", "rules.a"),
        ("rules: {a: {when: 5}}", "rules.a.when"),
        ("rules: {a: {when: x, actions: dump}}", "rules.a.actions"),
        ("rules: {a: {when: x, actions: [dmp]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [panic]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [sysctl]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [{}]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [{after: 1s}]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [{dump: {}, log: {}}]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [dump: {colour: red}]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [zfs_arc: {}]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [hook: ~]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [kill: {signal: STOP}]}}", "rules.a.actions.0"),
        ("rules: {a: {when: x, actions: [kill: {select: {comm: [[a]]}}]}}", "rules.a.actions.0"),
    ],
)
def test_what_is_wrong(text: str, path: str) -> None:
    """An editor would show nothing, and the daemon not start."""
    assert _wrong(text) == [path]
    with pytest.raises(InvalidConfigError):
        parse_config(text, "f")


def test_steps_know_every_action() -> None:
    """A new action would be underlined, or its parameters not be completed."""
    short, long = SCHEMA["$defs"]["step"]["anyOf"]
    assert set(long["properties"]) == {"after", *ACTIONS}
    assert {"dump", "log", "kill"} <= set(short["enum"])
    assert not {"panic", "reboot", "sysctl", "hook", "limit"} & set(short["enum"])


def test_what_an_editor_shows() -> None:
    """Bounds of texts with units, which a schema cannot check, would be nowhere to be seen."""
    assert SCHEMA["$defs"]["Ring"]["properties"]["segment"] == {
        "description": "Piece of the ring that is overwritten at once and can be read on its own. "
        "A size from 32KiB to 16MiB that is a power of two, for example 128KiB.",
        "type": ["string", "number"],
        "pattern": r"^(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)? ?(?:[KkMGT](?:i?B)?|B)?)$",
        "minimum": 32768,
        "maximum": 16777216,
        "default": "128KiB",
    }
