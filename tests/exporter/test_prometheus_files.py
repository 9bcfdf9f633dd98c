"""What comes along for Prometheus and Grafana: every query asks for what the exporter really has."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import find_tool

from memwatchd.config.load import SHIPPED_CONFIG
from memwatchd.exporter.extremes import WINDOWS
from memwatchd.exporter.metric import Metric, Type
from memwatchd.exporter.table import METRICS

FILES = SHIPPED_CONFIG.parent / "prometheus"
PROMTOOL = find_tool("promtool")
NEEDS_PROMTOOL = pytest.mark.skipif(
    PROMTOOL is None,
    reason="needs promtool: scripts/setup dev fetches it through apt-get; or apt-get install prometheus",
)
_SELECTOR = re.compile(r"(?<![\w:])(memwatchd_\w+)\s*(?:\{([^}]*)\})?")
_RECORDED = re.compile(r"\b\w+:memwatchd_\w+:\w+")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_ADDED = {"job", "instance"}


def samples_of(metric: Metric) -> dict[str, set[str]]:
    """Names of its time series and their labels."""
    labels = {*metric.labels, *_ADDED}
    if metric.type is Type.HISTOGRAM:
        name = metric.full_name
        return {f"{name}_bucket": {*labels, "le"}, f"{name}_count": labels, f"{name}_sum": labels}
    return {metric.full_name: labels}


SERIES = {name: labels for metric in METRICS for name, labels in samples_of(metric).items()}


def find(value: Any, key: str) -> Iterator[str]:
    """All texts under this key, at any depth."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key and isinstance(each, str):
                yield each
            yield from find(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from find(each, key)


def rules() -> Any:
    return yaml.safe_load((FILES / "memwatchd.rules.yaml").read_text())


def dashboard() -> Any:
    return json.loads((FILES / "dashboard.json").read_text())


def recorded() -> set[str]:
    return set(find(rules(), "record"))


def expressions() -> list[str]:
    return [*find(rules(), "expr"), *find(dashboard(), "expr")]


@pytest.mark.parametrize("expression", expressions())
def test_a_query_asks_for_what_there_is(expression: str) -> None:
    """A panel would stay empty and an alert silent, for ever, and look as if all were well."""
    asked = _SELECTOR.findall(_RECORDED.sub("", expression))
    assert asked or _RECORDED.search(expression) or "up{" in expression
    for name, matchers in asked:
        assert name in SERIES, name
        for label, _, text in _MATCHER.findall(matchers):
            assert label in SERIES[name], (name, label)
            if label == "window":
                assert text in WINDOWS
        if "window" in SERIES[name]:
            assert "window=" in matchers, f"{name}: both windows would be mixed"
    assert set(_RECORDED.findall(expression)) <= recorded()


def test_labels_of_legends_and_annotations() -> None:
    """A message would lack just the word that matters."""
    known = set().union(*SERIES.values())
    board = dashboard()
    for legend in [*find(board, "legendFormat"), *find(board, "textFormat")]:
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= known, legend
    for text in [*find(rules(), "summary"), *find(rules(), "description")]:
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= known, text


def test_all_variables_of_the_dashboard_are_there() -> None:
    """Every panel would be empty."""
    board = dashboard()
    defined = {each["name"] for each in board["templating"]["list"]} | {"__rate_interval", "__all"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board)))
    assert used <= defined
    for query in find(board["templating"], "definition"):
        assert set(re.findall(r"memwatchd_\w+", query)) <= set(SERIES)


def test_panels_do_not_lie_upon_each_other() -> None:
    """One would hide another."""
    taken: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + column, place["y"] + line)
            for column in range(place["w"])
            for line in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_rule_has_a_test_and_every_alert_its_words() -> None:
    """An alert that never fired would be trusted."""
    tests = yaml.safe_load((FILES / "memwatchd.tests.yaml").read_text())["tests"]
    shown = {
        each["alertname"] for test in tests for each in test["alert_rule_test"] if each.get("exp_alerts")
    }
    asked = {each["expr"] for test in tests for each in test.get("promql_expr_test", ())}
    for group in rules()["groups"]:
        for rule in group["rules"]:
            if "record" in rule:
                assert any(rule["record"] in expression for expression in asked), rule["record"]
            else:
                assert rule["alert"] in shown
                assert rule["labels"]["severity"] in ("info", "warning", "critical")
                assert set(rule["annotations"]) == {"summary", "description"}
                assert "{{ $labels.instance }}" in rule["annotations"]["summary"]


@NEEDS_PROMTOOL
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "scrape.yaml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "memwatchd.rules.yaml"),
        ("test", "rules", "memwatchd.tests.yaml"),
    ],
)
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    """Prometheus would not start with it, or an alert would fire at the wrong time."""
    result = subprocess.run([str(PROMTOOL), *arguments], cwd=FILES, capture_output=True, timeout=100)
    assert result.returncode == 0, (result.stdout + result.stderr).decode()


def test_the_files_belong_to_the_program() -> None:
    """They would be missing in the package."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    assert '"etc/prometheus/*"' in project.read_text()
