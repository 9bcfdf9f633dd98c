"""Any bytes are a configuration, or an error with positions."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.config.configurations import CONDITIONS, Maker

from memwatchd.actions.registry import ACTIONS
from memwatchd.config import nodes
from memwatchd.config.dump import to_yaml
from memwatchd.config.load import SHIPPED_CONFIG, InvalidConfigError, load_config, parse_config
from memwatchd.config.model import Config
from memwatchd.expression.parse import FUNCTIONS
from memwatchd.keys import walk_keys

SHIPPED = [path.read_bytes() for path in sorted(SHIPPED_CONFIG.parent.rglob("*.yaml"))]
SEEDS = st.integers(0, 1 << 32)


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], scope="module")
def loader(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Both parsers: the C one is missing from some builds of PyYAML."""
    loader = getattr(yaml, request.param, None)
    if loader is None:
        pytest.skip("this PyYAML was built without libyaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "_LOADER", loader)
        yield loader


def _read_or_refuse(text: str | bytes) -> None:
    try:
        config = parse_config(text, "f")
    except InvalidConfigError as error:
        _check_problems(error, text)
    else:
        assert isinstance(config, Config)
        assert parse_config(to_yaml(config), "again") == config


def _check_problems(error: InvalidConfigError, text: str | bytes) -> None:
    """Every problem is one line, and stands within the file."""
    decoded = text if isinstance(text, str) else text.decode(errors="replace")
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", decoded)
    assert error.problems
    for problem in error.problems:
        assert str(problem).isprintable()
        assert problem.line is not None
        assert problem.column is not None
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 2


SECTIONS: tuple[type[Any], ...] = (Config, *ACTIONS.values())
WORDS = sorted(
    {
        *"{}[]:,-?!&*#|>'\"%@` \n\t\\()<",
        *("\n  ", "\n    - ", "---", "...", "<<", ": ", "- ", "!!", "&a ", "*a ", "\\U0011", "''", ">-\n"),
        *("\ufeff", "\x85", "\u2028", "\r", "é", "\U0010ffff"),
        *CONDITIONS,
        *(" and ", " or ", "not ", " of ", "9" * 400, "1e400", *FUNCTIONS),
        *ACTIONS,
        *(key.name for section in SECTIONS for _, key in walk_keys(section)),
        *(key.example for section in SECTIONS for _, key in walk_keys(section)),
    }
)
PIECES = st.lists(st.sampled_from(WORDS)).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=st.text() | st.binary() | PIECES)
@example(text="=")
@example(text="{=: 1}")
@example(text="<<: *a")
@example(text="? ")
def test_any_text_is_read_or_refused(loader: object, text: str | bytes) -> None:
    """Some file would end the start with another exception, or without a position."""
    _read_or_refuse(text)


@settings(max_examples=400, deadline=None)
@given(condition=PIECES | st.text(max_size=50), style=st.sampled_from([None, "'", '"', ">", "|"]))
def test_any_condition_is_read_or_refused(loader: object, condition: str, style: str | None) -> None:
    """Some condition would end the start with another exception, or its error stand outside of it."""
    _read_or_refuse(yaml.dump({"rules": {"a": {"when": condition}}}, default_style=style, allow_unicode=True))


def _mutated(data: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    mutant = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(mutant) + 1)
        length = chance.randint(0, 12)
        insert = chance.choice(
            [
                b"",
                bytes([chance.randrange(256)]),
                chance.choice(WORDS).encode(),
                b"\n" + b" " * chance.randrange(9),
            ]
        )
        if chance.random() < 0.3:  # move a piece of the file
            start = chance.randrange(len(mutant) + 1)
            insert = bytes(mutant[start : start + chance.randint(1, 200)])
        mutant[at : at + length] = insert
    return bytes(mutant)


def _text_without_comments(text: bytes) -> bytes:
    return re.sub(rb"(?m)^ *#.*\n|^\n", b"", text)


MUTABLE = [*SHIPPED, *map(_text_without_comments, SHIPPED)]


@settings(max_examples=600, deadline=None)
@given(seed=SEEDS, place=st.integers(0, len(MUTABLE) - 1))
def test_any_mutation_of_a_shipped_file_is_read_or_refused(loader: object, seed: int, place: int) -> None:
    """A slip of the pen somewhere in a file would end the start with another exception."""
    _read_or_refuse(_mutated(MUTABLE[place], seed))


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS)
def test_any_mutation_of_a_whole_configuration_is_read_or_refused(loader: object, seed: int) -> None:
    """A slip of the pen in a key that the shipped files do not have would end the start otherwise."""
    _read_or_refuse(_mutated(to_yaml(Maker(seed).config()).encode(), seed))


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("etc")
    (directory / "conf.d").mkdir()
    return directory / "memwatchd.yaml"


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS, places=st.lists(st.integers(0, len(MUTABLE) - 1), min_size=2, max_size=4))
def test_any_drop_ins_are_read_or_refused(main: Path, seed: int, places: list[int]) -> None:
    """Two files that are no mappings, or not in the same places, would end the start otherwise."""
    files = [main, *(main.parent / "conf.d" / f"{number}.yaml" for number in range(3))]
    for number, (path, place) in enumerate(zip(files, places, strict=False)):
        path.write_bytes(_mutated(MUTABLE[place], seed + number))
    for path in files[len(places) :]:
        path.unlink(missing_ok=True)
    try:
        assert isinstance(load_config(main), Config)
    except InvalidConfigError as error:
        named = {Path(problem.file) for problem in error.problems}
        assert named <= set(files)
