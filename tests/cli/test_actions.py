"""``memwatchd actions``."""

import json

import pytest

from memwatchd.actions.registry import ACTIONS
from memwatchd.cli import main
from memwatchd.views.actions import describe, markdown, render, render_list

Capture = pytest.CaptureFixture[str]


def test_list_one_and_document(capsys: Capture) -> None:
    """Nobody could look up how an action is written."""
    all_of_them = [ACTIONS[name] for name in sorted(ACTIONS)]
    for words, text in (
        (["actions"], render_list(all_of_them)),
        (["actions", "swap_on"], render(describe(ACTIONS["swap_on"]))),
        (["actions", "--markdown"], markdown(all_of_them)),
    ):
        assert main(words) == 0
        assert capsys.readouterr().out == text


def test_json(capsys: Capture) -> None:
    """A program that helps to write rules would have to read prose."""
    assert main(["actions", "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == sorted(ACTIONS)
    assert main(["actions", "dump", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["name"], said["needs"], [each["key"] for each in said["parameters"]]) == (
        "dump",
        [],
        ["deadline"],
    )


def test_an_unknown_action_is_named_with_the_known_ones(capsys: Capture) -> None:
    """A spelling mistake would end in a traceback."""
    assert main(["actions", "drop_cache"]) == 6
    error = capsys.readouterr().err
    assert error.startswith("memwatchd: drop_cache: no such action; there are compact, drop_caches, dump, ")
    assert error.count("\n") == 1
