"""The real Prometheus server scrapes the real daemon, and a real kill gets through to the alert."""

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import find_tool
from tests.service.conftest import QUICK, Daemon, MakeEater, StartDaemon, free_port

from memwatchd.config.load import SHIPPED_CONFIG
from memwatchd.exporter.metric import Type
from memwatchd.exporter.table import METRICS

PROMETHEUS = find_tool("prometheus")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        PROMETHEUS is None,
        reason="needs Prometheus: scripts/setup dev fetches it by apt-get; or apt-get install prometheus",
    ),
]

FILES = SHIPPED_CONFIG.parent / "prometheus"
RULES = {
    "too-little": {
        "when": "meminfo.MemAvailable < 1KiB",
        "why": "Never: to be there from the start.",
        "actions": [{"drop_caches": {}}],
    }
}
WAIT_S = 5.0


@dataclass
class Prometheus:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query; empty while the server does not answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
                    return []  # it is still starting
                pytest.fail(f"{expression}: {error.read().decode()}")
        except OSError:
            assert self.process.poll() is None, self.log.read_text()
            return []
        assert found["status"] == "success", found
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    def value(self, expression: str) -> float | None:
        """The one value of a query."""
        values = [float(each["value"][1]) for each in self.query(expression)]
        return values[0] if len(values) == 1 else None


StartPrometheus = Callable[[int], Prometheus]


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[StartPrometheus]:
    """Start a server with the scrape configuration and the rules that come with the program, but faster."""
    started: list[Prometheus] = []

    def start(target_port: int) -> Prometheus:
        config = yaml.safe_load((FILES / "scrape.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(FILES / "memwatchd.rules.yaml")]
        (job,) = config["scrape_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{target_port}"]}]
        path, log = tmp_path / "prometheus.yaml", tmp_path / "prometheus.log"
        path.write_text(yaml.safe_dump(config))
        port = free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    str(PROMETHEUS),
                    f"--config.file={path}",
                    f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ],
                stdout=output,
                stderr=output,
                cwd=tmp_path,
            )
        started.append(Prometheus(port, process, log))
        return started[-1]

    yield start
    for server in started:
        server.process.terminate()
        try:
            server.process.wait(20)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


def port_of(daemon: Daemon) -> int:
    """Where its exporter listens, which is given a view of the state file."""
    config = yaml.safe_load(Path(daemon.arguments[1]).read_text())
    daemon.places.runtime_dir.chmod(0o755)  # the exporter became nobody
    return int(config["exporter"]["listen"].rpartition(":")[2])


def test_a_kill_gets_through_to_the_alert(
    start_daemon: StartDaemon, start_prometheus: StartPrometheus, make_eater: MakeEater
) -> None:
    """Nobody would be told: a name spelled differently, a counter that begins at 1, a page it cannot read."""
    eater = make_eater()
    config = {**QUICK, "rules": RULES, "black_box": {"size": "1MiB"}}
    daemon = start_daemon(config, exporter=True)
    prometheus = start_prometheus(port_of(daemon))
    daemon.wait_for(lambda: prometheus.value("memwatchd_up") == 1, "Prometheus to scrape")
    stored = {each["metric"]["__name__"] for each in prometheus.query('{job="memwatchd"}')}
    counters = {metric.full_name for metric in METRICS if metric.type is Type.COUNTER}
    assert counters - stored == set()
    killed = 'memwatchd_kills_total{scope="cgroup"}'
    daemon.wait_for(lambda: prometheus.value(f"count_over_time({killed}[1m]) >= 2"), "two scrapes")
    alert = 'ALERTS{alertname="KernelKilledForMemory",scope="cgroup"}'
    assert prometheus.query(alert) == []

    eater.eat()

    daemon.wait_for(lambda: prometheus.value(f"increase({killed}[5m]) > 0"), "the query to show the kill")
    firing = daemon.wait_for(lambda: prometheus.query(alert), "the alert")
    assert [each["metric"]["alertstate"] for each in firing] == ["firing"]
    assert firing[0]["metric"]["severity"] == "critical"
    daemon.wait_for(
        lambda: prometheus.value('memwatchd_incidents_total{kind="kernel_kill"} > 0'), "the incident's count"
    )
    daemon.wait_for(
        lambda: prometheus.value('min_over_time(memwatchd_available_min_bytes{window="1m"}[1m])'), "extremes"
    )
    assert prometheus.value('min_over_time(up{job="memwatchd"}[1m]) == 0') is None
    # What a host costs; the default rules and more zones add some dozens.
    assert (prometheus.value('scrape_samples_scraped{job="memwatchd"}') or 1e9) < 400


def test_all_queries_of_the_dashboard(start_daemon: StartDaemon, start_prometheus: StartPrometheus) -> None:
    """A panel would be red instead of empty; the server itself has to understand each."""
    daemon = start_daemon(QUICK, exporter=True)
    prometheus = start_prometheus(port_of(daemon))
    text = (FILES / "dashboard.json").read_text()
    replaced = text.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$job", ".*")
    expressions = set(_expressions(json.loads(replaced)))
    assert len(expressions) > 20
    daemon_is_seen = 'memwatchd_up{job="memwatchd"} == 1'
    daemon.wait_for(lambda: prometheus.query(daemon_is_seen), "Prometheus to scrape")
    for expression in expressions:
        prometheus.query(expression)
    assert prometheus.query(daemon_is_seen)


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str):
            yield value["expr"]
        for each in value.values():
            yield from _expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from _expressions(each)


def test_the_scrape_configuration_names_the_default_port() -> None:
    """A first try would find nothing."""
    text = (FILES / "scrape.yaml").read_text()
    assert re.findall(r"127\.0\.0\.1:\d+", text) == ["127.0.0.1:10973"]
