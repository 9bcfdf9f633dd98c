"""docs/fleet.md: what it would have a Prometheus drop, keep and ask for agrees with the metrics there are."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from tests.deploy.pod import PROJECT

from memwatchd.exporter.table import METRICS

TEXT = (PROJECT / "docs/fleet.md").read_text()
RULES = PROJECT / "src/memwatchd/etc/prometheus/memwatchd.rules.yaml"
_NAME = re.compile(r"memwatchd_[a-z0-9_]+")


def blocks(language: str) -> list[str]:
    """The page's blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def relabelings() -> list[list[dict[str, Any]]]:
    """What the page would do to scraped series: a little less, and much less."""
    found = [yaml.safe_load(block) for block in blocks("yaml")]
    return [each["metric_relabel_configs"] for each in found if "metric_relabel_configs" in each]


def stays(series: dict[str, str], rules: list[dict[str, Any]]) -> bool:
    """Whether a series is left: expressions match whole values, joined by semicolons, as in Prometheus."""
    for rule in rules:
        value = ";".join(series.get(label, "") for label in rule["source_labels"])
        if (re.fullmatch(rule["regex"], value) is not None) == (rule["action"] == "drop"):
            return False
    return True


def asked_for(*, alerts_only: bool) -> set[tuple[str, str]]:
    """Names and windows of the series that rules ask for, with or without those that only record."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
    expressions = [rule["expr"] for rule in rules if "alert" in rule or not alerts_only]
    expressions += [expr for name, expr in recorded.items() if any(name in each for each in expressions)]
    plain = [re.sub(r"[a-z]+:[\w:]+", "", each) for each in expressions]
    found = re.findall(r'(memwatchd_[a-z0-9_]+)(?:\{[^}]*window="(\w+)"[^}]*\})?', "\n".join(plain))
    assert found
    return set(found)


def test_what_is_dropped_is_missed_by_no_rule() -> None:
    """An alert would never fire again, and nobody would know."""
    less, _ = relabelings()
    wanted = asked_for(alerts_only=False)
    assert [each for each in wanted if not stays({"__name__": each[0], "window": each[1]}, less)] == []


def test_what_is_kept_is_enough_for_all_alerts() -> None:
    """As above, where only a quarter is kept."""
    _, least = relabelings()
    wanted = asked_for(alerts_only=True)
    assert [each for each in wanted if not stays({"__name__": each[0], "window": each[1]}, least)] == []


def test_what_should_go_goes() -> None:
    """The series counts of the page would be wrong."""
    less, least = relabelings()
    histogram = {"__name__": "memwatchd_action_duration_seconds_bucket"}
    wide = {"__name__": "memwatchd_available_min_bytes", "window": "5m"}
    for rules in (less, least):
        assert [stays(each, rules) for each in (histogram, wide)] == [False, False]
    lag = {"__name__": "memwatchd_tick_lag_seconds_bucket"}
    assert [stays(lag, less), stays(lag, least)] == [True, False]


def test_queries_and_names_are_those_that_there_are() -> None:
    """Whoever copies one would look at nothing."""
    names = {metric.full_name for metric in METRICS}
    used = {name for block in blocks("promql") for name in _NAME.findall(block)}
    used |= set(re.findall(r"`(memwatchd_[a-z_]+(?:_total|_ratio|_bytes|_reason|_run))`", TEXT))
    assert used
    assert used - names == set()


def test_the_example_of_a_collector_is_a_program(tmp_path: Path) -> None:
    """It would fail on each machine, once an hour."""
    (script,) = blocks("sh")
    path = tmp_path / "collect"
    path.write_text(script)
    result = subprocess.run(["sh", "-n", path], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
