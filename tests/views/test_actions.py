"""What `memwatchd actions` says, of every action there is."""

import inspect
from pathlib import Path

import pytest

from memwatchd.actions.base import Action
from memwatchd.actions.registry import ACTIONS
from memwatchd.actions.swap_on import SwapOn
from memwatchd.actions.zfs_arc import ZfsArc
from memwatchd.config.load import parse_config
from memwatchd.views.actions import Description, Parameter, describe, markdown, render, render_list

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/actions.md"
ALL = [ACTIONS[name] for name in sorted(ACTIONS)]


def test_all_that_is_to_be_said_of_an_action() -> None:
    """Somebody would have to read the source."""
    described = describe(ZfsArc)
    assert described == Description(
        "zfs_arc",
        "Lower the limit of ZFS's own cache, and put it back when the rule clears.",
        inspect.cleandoc(ZfsArc.__doc__ or ""),
        ("ZFS", "uid 0 and a writable /sys (not ProtectKernelTunables=yes)"),
        (
            Parameter(
                "to", "a size from 64MiB to 1024TiB, for example 2GiB", None, False, "How large it may be."
            ),
            Parameter(
                "share",
                "a percentage above 0% and up to 100%, for example 50%",
                None,
                False,
                "How large it may be, as a share of its present size.",
            ),
            Parameter(
                "deadline",
                "a duration from 10ms to 10min, for example 5s",
                "5s",
                False,
                "How long it may take before it counts as failed.",
            ),
        ),
        "- zfs_arc:\n    to: 2GiB",
    )


def test_one_for_a_terminal() -> None:
    """A parameter would be missing from the only place where one looks in the night."""
    lines = render(describe(SwapOn)).splitlines()
    assert lines[0] == "swap_on: Turn a prepared swap file on, and off again when the rule clears."
    assert lines[lines.index("Parameters") + 1] == (
        "  path: an absolute path, at most 4095 bytes, for example /var/lib/memwatchd/reserve.swap; required"
    )
    assert lines[lines.index("Example") + 1 :] == [
        "  - swap_on:",
        "      path: /var/lib/memwatchd/reserve.swap",
        "      priority: 10",
    ]


def test_the_list_has_one_line_for_each() -> None:
    """An action would exist that nobody finds."""
    lines = render_list(ALL).splitlines()
    assert [line.split()[0] for line in lines] == sorted(ACTIONS)


@pytest.mark.parametrize("action", ALL, ids=sorted(ACTIONS))
def test_every_example_is_a_configuration_that_starts(action: type[Action]) -> None:
    """Whoever copies the example would get an error."""
    example = "\n".join(f"      {line}" for line in describe(action).example.splitlines())
    # One of the examples names a rule, which has to be there.
    text = f"rules:\n  thrashing:\n    when: meminfo.MemFree < 1GiB\n    actions:\n{example}\n"
    (rule,) = parse_config(text, "example").rules
    assert [type(step.action) for step in rule.actions] == [action]


@pytest.mark.parametrize("action", ALL, ids=sorted(ACTIONS))
def test_every_action_says_what_it_is(action: type[Action]) -> None:
    """A table would have holes."""
    described = describe(action)
    assert described.summary.endswith(".")
    assert described.text
    assert not described.text.startswith(f"{action.__name__}(")
    assert all(each.doc.endswith(".") for each in described.parameters)
    assert described.parameters[-1].key == "deadline"
    assert action.__module__ == f"memwatchd.actions.{action.name}"


def test_the_document_is_current() -> None:
    """Documentation would tell of parameters that are no more."""
    assert DOCUMENT.read_text() == markdown(ALL), "memwatchd actions --markdown > docs/actions.md"
