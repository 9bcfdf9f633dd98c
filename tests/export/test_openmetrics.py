"""OpenMetrics: read back by the library, and taken in by the real promtool."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tests.conftest import Tape, WriteIncident, meminfo
from tests.export.conftest import HOSTILE

from memwatchd.errors import NotFoundError
from memwatchd.export.as_openmetrics import metric_name, write
from memwatchd.export.options import Options
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.recorded import Recorded, from_incident
from memwatchd.signals.catalogue import MAIN_SIGNALS, find_signal

ZERO_S = 1_700_000_000.123
PROMTOOL = shutil.which("promtool")


def exported(recorded: Recorded, *patterns: str, every_ns: int | None = 0) -> str:
    out = io.BytesIO()
    write(recorded, out, Options(patterns, every_ns))
    return out.getvalue().decode()


def parsed(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # it has no types


def test_names_labels_and_times(recorded: Recorded) -> None:
    """A chart of the past would have no name in common with one of the present."""
    text = exported(recorded, "slab.dentry.bytes", "vmstat.oom_kill", "zone.0.Normal.free", "meminfo.MemFree")
    common = {"instance": "db1", "job": "memwatchd"}
    found = {
        metric.name: (metric.type, [(each.name, each.labels, each.value) for each in metric.samples][-1])
        for metric in parsed(text)
    }
    signal = "memwatchd_signal_"
    assert found == {
        f"{signal}meminfo_memfree_bytes": ("gauge", (f"{signal}meminfo_memfree_bytes", common, 102400)),
        f"{signal}vmstat_oom_kill_count": ("counter", (f"{signal}vmstat_oom_kill_count_total", common, 1)),
        f"{signal}slab_bytes": ("gauge", (f"{signal}slab_bytes", {"cache": "dentry", **common}, 122880)),
        f"{signal}zone_free_bytes": (
            "gauge",
            (f"{signal}zone_free_bytes", {"node": "0", "zone": "Normal", **common}, 30 * 4096),
        ),
    }
    times = [
        float(str(each.timestamp))
        for metric in parsed(text)
        if metric.name.endswith("slab_bytes")
        for each in metric.samples
    ]
    assert times == pytest.approx([ZERO_S - 1, ZERO_S - 0.5, ZERO_S, ZERO_S + 0.5])


def test_by_itself_once_a_second(recorded: Recorded) -> None:
    """Prometheus would get two hundred samples a second of everything."""
    text = exported(recorded, "meminfo.MemFree", every_ns=None)
    assert text.count("\nmemwatchd_signal_meminfo_memfree_bytes{") == 2


def test_the_names_are_none_of_the_exporter_s() -> None:
    """What was recorded would be added to what was scraped."""
    metrics = (Path(__file__).parents[1] / "exporter" / "metrics.txt").read_text()
    scraped = set(re.findall(r"^# TYPE (memwatchd_\w+?)(?:_total)? ", metrics, re.MULTILINE))
    assert scraped
    assert not scraped & {metric_name(signal).metric for signal in MAIN_SIGNALS}


@pytest.mark.parametrize(
    ("signal", "metric", "labels"),
    [
        ("zone.worst.ratio", "zone_worst_ratio", {}),
        ("zone.Normal.free", "zone_free_bytes", {"zone": "Normal"}),
        ("slab.top.bytes", "slab_top_bytes", {}),
        ("meminfo.Active(anon)", "meminfo_active_anon_bytes", {}),
        ("buddy.any.order3", "buddy_any_order3_count", {}),
        ("node.0.nr_active_anon", "node_nr_active_anon_pages", {"node": "0"}),
        ("node.nr_active_anon", "node_nr_active_anon_pages", {}),
        ('cgroup."/a".stat.anon', "cgroup_stat_anon_bytes", {"cgroup": "/a"}),
        ('cgroup."/a".pressure.some.avg10', "cgroup_pressure_some_avg10_ratio", {"cgroup": "/a"}),
        ('process.x."/f".position', "process_position_bytes", {"process": "x", "target": "/f"}),
        ("unaccounted", "unaccounted_bytes", {}),
    ],
)
def test_what_a_signal_is_of_becomes_labels(signal: str, metric: str, labels: dict[str, str]) -> None:
    """Each of two hundred caches would be a metric of its own, and no query could find the largest."""
    found = metric_name(find_signal(signal))
    assert (found.metric, dict(found.labels)) == (f"memwatchd_signal_{metric}", labels)


def test_without_the_time_of_day(tape: Tape, write_incident: WriteIncident) -> None:
    """A forged incident would go into Prometheus as of 1970."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    incident = open_incident(write_incident())
    incident.facts["trigger"]["realtime_ns"] = None
    with pytest.raises(NotFoundError, match="nothing says at what time of day"):
        exported(from_incident(incident))


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool here (Debian's package prometheus)")
def test_prometheus_takes_it(recorded: Recorded, tmp_path: Path) -> None:
    """What this library reads back, Prometheus might not: it has a parser of its own."""
    assert PROMTOOL is not None
    source, blocks = tmp_path / "x.openmetrics", tmp_path / "blocks"
    source.write_text(exported(recorded, "*"))
    subprocess.run([PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", source, blocks], check=True)
    (blocks / "wal").mkdir()  # a Prometheus has one, and dump asks for it
    dump = subprocess.run(
        [PROMTOOL, "tsdb", "dump", blocks], check=True, capture_output=True, text=True
    ).stdout
    series = [line for line in dump.splitlines() if "signal_slab_bytes" in line]
    assert [line.split()[-2:] for line in series] == [
        ["40960", str(round((ZERO_S - 1) * 1000))],
        ["40960", str(round((ZERO_S - 0.5) * 1000))],
        ["122880", str(round(ZERO_S * 1000))],
        ["122880", str(round((ZERO_S + 0.5) * 1000))],
    ]
    assert HOSTILE.replace('"', '\\"').replace("\n", "\\n") not in dump  # its files were not sampled


def test_a_name_with_what_looks_like_the_end_of_a_line(tape: Tape, write_incident: WriteIncident) -> None:
    """One odd name would tear its series apart, and the file would be refused."""
    name = "a\u2028b\x0bc\x85d"
    source = f"cgroup/{name}/memory.current"
    tape.watch(source, cgroup=f"/{name}")
    for at_s, size in ((-1, 4096), (0, 4096), (1, 8192)):
        tape.sample(at_s, {source: b"%d\n" % size})
    text = exported(from_incident(open_incident(write_incident())), "cgroup.*.usage")
    (metric,) = parsed(text)
    assert [(each.labels["cgroup"], each.value) for each in metric.samples] == [
        (f"/{name}", 4096.0),
        (f"/{name}", 4096.0),
        (f"/{name}", 8192.0),
    ]
