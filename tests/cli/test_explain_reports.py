"""``memwatchd explain`` over real reports, the whole way from bytes to text."""

import json
from pathlib import Path

import pytest
from tests.cli.test_cli import Cli, cli
from tests.conftest import FIXTURES, ZERO_NS, S, Tape, WriteIncident
from tests.views.explain.test_document import CLOSED

from memwatchd.incidents.recorder import MACHINE_DIED, RULE_FIRED

__all__ = ["cli"]

REPORTS = sorted((FIXTURES / "oom").glob("*.txt"))


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.stem[:30])
def test_a_report_as_json(cli: Cli, report: Path) -> None:
    """Scripts would break on some kernels' reports, or find a key that is promised nowhere."""
    result = cli("explain", "--json", report)
    assert (result.status, result.err) == (0, "")
    found = json.loads(result.out)
    CLOSED.validate(found)
    texts = dict(enumerate(report.read_bytes().decode("utf-8", "surrogateescape").split("\n"), 1))
    for event in found["events"]:
        assert event["lines"][0] <= event["lines"][1] <= len(texts)
        assert event["findings"][0]["primary"]


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.stem[:30])
@pytest.mark.parametrize("option", ["--all", "--markdown"])
def test_a_report_as_text(cli: Cli, report: Path, option: str) -> None:
    """A report with something strange in it would end the program, or write to the terminal what it likes."""
    result = cli("explain", option, report)
    assert (result.status, result.err) == (0, "")
    assert result.out.count("\n") > 10
    assert [char for char in result.out if not char.isprintable() and char not in "\n\u200b"] == []


def test_a_kill_in_an_incident(cli: Cli, tape: Tape, write_incident: WriteIncident) -> None:
    """What the recorder kept of the kernel's words could not be explained."""
    limit = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,"
        "task_memcg=/a/b,task=eater,pid=4711,uid=0"
    )
    killed = (
        "Memory cgroup out of memory: Killed process 4711 (eater) total-vm:9000kB, anon-rss:4096kB, "
        "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0"
    )
    for number, text in enumerate((limit, killed)):
        tape.message(0, f"3,{100 + number},{60_000_000 + number},-;{text}\n".encode())
    (event,) = json.loads(cli("explain", "--json", write_incident({})).out)["events"]
    assert event["kind"] == "oom_kill"
    assert [(kill["pid"], kill["anon_rss_kb"]) for kill in event["kills"]] == [(4711, 4096)]
    assert event["memcg"]["limit_of"] == "/a"
    assert event["findings"][0]["tag"] == "memcg_limit"


def test_a_log_of_something_else(cli: Cli, tmp_path: Path) -> None:
    """Every log would be said to hold a kill."""
    path = tmp_path / "access.log"
    path.write_text("10.0.0.1 GET /killed-process?order=0 200\n" * 1000)
    result = cli("explain", path)
    assert (result.status, "1,000 lines read" in result.line) == (6, True)


@pytest.mark.parametrize("kind", [MACHINE_DIED, RULE_FIRED])
def test_an_incident_without_a_report(cli: Cli, tape: Tape, write_incident: WriteIncident, kind: str) -> None:
    """Of a machine that died nothing could be explained, though all of it was recorded."""
    killed = "Out of memory: Killed process 7 (old) total-vm:9000kB, anon-rss:4096kB, file-rss:0kB"
    tape.message(-50, f"3,1,10000000,-;{killed}\n".encode())
    proc = FIXTURES / "debian12-6.18/proc"
    tape.sample(-1, {name: (proc / name).read_bytes() for name in ("meminfo", "vmstat", "zoneinfo")})
    path = write_incident({"window": {"from_ns": ZERO_NS - 30 * S, "to_ns": ZERO_NS}}, kind=kind)
    result = cli("explain", "--json", path)
    assert (result.status, result.err) == (0, "")
    found = json.loads(result.out)
    CLOSED.validate(found)
    assert [(event["kind"], event["manner"]) for event in found["events"]] == [
        ("oom_kill", None),
        ("recorded", kind),
    ]
    assert found["events"][1]["findings"][0]["summary"].startswith("Memory was not short when")
    for option in ("--all", "--markdown"):
        assert "Memory was not short when" in " ".join(cli("explain", option, path).out.split())
