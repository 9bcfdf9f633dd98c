"""The table."""

import json
from pathlib import Path

from lab.daemons import DAEMONS

from lab import table


def result(daemon: str, **facts: object) -> dict[str, object]:
    return {
        "scenario": "hog",
        "daemon": daemon,
        "accelerator": "tcg",
        "ended": "done",
        "expectations": [],
        **facts,
    }


def test_a_row_says_who_died_and_what_failed() -> None:
    """The table would look well whatever happened."""
    row = result(
        "earlyoom",
        kernel_kills={"counted": 2, "list": [{"role": "critical"}]},
        daemon_kills={
            "list": [
                {"role": "harm", "pid": 7, "signal": "TERM"},
                {"role": "harm", "pid": 7, "signal": "KILL"},
            ]
        },
        critical={"lost": ["ssh.service"], "login_after": False, "cron_after": None},
        expectations=[{"text": "critical.lost == []", "ok": False}],
    )
    line = table.render([row]).splitlines()[-1]
    for text in ("1 critical (counted 2)", "1 harm", "ssh.service", "**no** / –", "**critical.lost == []**"):
        assert text in line


def test_a_result_without_figures_has_a_row() -> None:
    """A run that failed would be missing from the table, or break it."""
    line = table.render([result("none", probe=None)]).splitlines()[-1]
    assert line.count("|") == len(table.COLUMNS) + 1


def test_accelerators_are_kept_apart() -> None:
    """Seconds of an emulated processor would be compared with those of a real one."""
    rows = [result("none"), result("none") | {"accelerator": "kvm"}]
    assert table.render(rows).count("accelerator:") == 2


def test_daemons_come_in_the_same_order_everywhere(tmp_path: Path) -> None:
    """Rows of one scenario would stand in another order than those of the next."""
    for name in ("memwatchd", "none", "earlyoom"):
        (tmp_path / f"hog--{name}.json").write_text(json.dumps(result(name)))
    (tmp_path / "broken.json").write_text("{")
    assert [each["daemon"] for each in table.load(tmp_path)] == [
        name for name in DAEMONS if name in ("none", "earlyoom", "memwatchd")
    ]
