"""The table of metrics: its names, its document, and that nobody else's figures are in it."""

import re
import subprocess
from pathlib import Path

from tests.exporter.test_prometheus_files import NEEDS_PROMTOOL, PROMTOOL

from memwatchd.actions.base import Verdict
from memwatchd.exporter.metric import Type
from memwatchd.exporter.table import METRICS, SECTIONS, markdown
from memwatchd.incidents.recorder import KINDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/metrics.md"
GOLDEN = Path(__file__).resolve().parent / "metrics.txt"


def test_the_document() -> None:
    """It would describe another page. To renew it: memwatchd exporter --markdown."""
    text = DOCUMENT.read_text()
    assert markdown() in text
    tables = re.findall(r"^\| `(memwatchd_\w+)` \|", text, re.MULTILINE)
    assert tables == [metric.full_name for metric in METRICS]


def test_names() -> None:
    """Prometheus' own rules: who knows them finds his way, and promtool complains otherwise."""
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", metric.name), metric.name
        assert (metric.type is Type.COUNTER) == metric.name.endswith("_total"), metric.name
        assert not re.search(r"_(ms|us|ns|kb|kib|mib|pct|percent|hz)(_|$)", metric.name), metric.name
        assert metric.help.endswith("."), metric.name
        assert metric.help[0].isupper() or metric.help[0].isdigit(), metric.name
        assert bool(metric.labels) == bool(metric.bound), metric.name
        # These have a meaning of their own on the other side.
        assert not {"job", "instance", "zone", "le", "type", "env"} & set(metric.labels), metric.name


def test_nothing_of_node_exporter_is_given_again() -> None:
    """Each machine would be stored twice."""
    taken = ("memtotal", "memfree", "swapfree", "oom_kill", "pgscan", "pswp", "pressure")
    assert not [metric.name for metric in METRICS if any(word in metric.name for word in taken)]


def test_sections_are_not_empty() -> None:
    """A title without a table would stand in the document."""
    assert all(SECTIONS.values())


def test_labels_that_the_document_counts() -> None:
    """The number of time series in the document would be wrong."""
    bounds = {metric.name: metric.bound for metric in METRICS}
    assert bounds["incidents_total"] == str(len(KINDS))
    assert bounds["actions_total"] == f"actions in use, by {len(Verdict)} verdicts"


@NEEDS_PROMTOOL
def test_promtool_has_nothing_to_say_of_the_page() -> None:
    """Names that go against the conventions would be stored for years."""
    result = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=GOLDEN.read_bytes(), capture_output=True, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
