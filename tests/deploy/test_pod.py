"""The DaemonSet's containers on this machine, with its very arguments, mounts, users and capabilities."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.deploy.pod import Pod
from tests.service.conftest import MakeEater, free_port, wait_for

from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.store import all_paths

pytestmark = pytest.mark.live

_ALWAYS = ["vmstat", "meminfo", "buddyinfo", "zoneinfo", "slabinfo"]


def state(pod: Pod) -> dict[str, Any]:
    """What the recorder says of itself; empty as long as it says nothing."""
    assert pod.processes[0].poll() is None, pod.log
    try:
        found: dict[str, Any] = json.loads(pod.seen("/run/memwatchd/state.json").read_bytes())
    except OSError:
        return {}
    return found


def started(pod: Pod) -> dict[str, Any]:
    """Start the recorder; returns its state once it samples."""
    pod.start_recorder()

    def sampling() -> dict[str, Any]:
        said = state(pod)
        return said if said and said["sampling"]["ticks"] >= 20 else {}

    found: dict[str, Any] = wait_for(sampling, "the recorder to sample", lambda: pod.log)
    return found


def incident_of(pod: Pod, pid: int) -> Incident | None:
    """The incident that tells of the kill of this process, once it is complete."""
    for path in all_paths([pod.state / "incidents"]):
        incident = open_incident(path)
        if incident.complete and pid in [kill["pid"] for kill in incident.meta["kills"]]:
            return incident
    return None


def may_lower_oom_score_adj() -> bool:
    """Whether root is as free here as a kubelet; in some containers it is not."""
    command = ["sh", "-c", "echo -997 > /proc/self/oom_score_adj"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_it_reads_the_host_s_files_where_they_are_mounted(pod: Pod) -> None:
    """A part that goes by /proc or /sys would show the container, or nothing."""
    said = started(pod)
    kernels = [name for name in _ALWAYS if Path(f"/proc/{name}").exists()]
    assert set(kernels) <= set(said["sampling"]["sources"])
    assert said["sampling"]["source_errors"] == 0
    masked = pod.seen("/proc/meminfo").read_bytes()
    assert masked == b""


def test_its_capabilities_are_enough(pod: Pod) -> None:
    """It would be swapped out, late or deaf, on every node."""
    degraded = started(pod)["degraded"]
    refused_here = [] if may_lower_oom_score_adj() else ["oom_score_adj"]
    if not Path("/dev/kmsg").exists():
        refused_here.append("/dev/kmsg")
    assert [each for each in degraded if not any(word in each for word in refused_here)] == []


def test_a_kill_on_the_node_becomes_an_incident_in_its_directory(pod: Pod, make_eater: MakeEater) -> None:
    """What it is there for would not happen in a container."""
    started(pod)
    eater = make_eater(b"eater-in-pod")
    eater.eat()
    incident = wait_for(lambda: incident_of(pod, eater.pid), "the incident", lambda: pod.log)
    (kill,) = [each for each in incident.meta["kills"] if each["pid"] == eater.pid]
    assert (kill["comm"], Path(kill["task_cgroup"]).name) == ("eater-in-pod", eater.cgroup.name)
    assert incident.path.is_relative_to(pod.state)
    result = pod.run("check", "--config=/config/memwatchd.yaml", "--path.procfs=/host/proc")
    assert result.returncode == 0, result.stderr.decode()


def test_the_exporter_serves_the_recorder_s_ring_as_nobody(pod: Pod) -> None:
    """A pod would have no metrics, or give a listening process more than the ring."""
    started(pod)
    port = free_port()
    exporter = pod.start_exporter(listen=f"127.0.0.1:{port}")

    def page() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                text: str = answer.read().decode()
        except OSError:
            assert exporter.poll() is None, pod.log
            return ""
        return text if "\nmemwatchd_up 1.0\n" in text else ""

    text = wait_for(page, "metrics of a recorder that samples", lambda: pod.log)
    assert "\nmemwatchd_source_reads_total{source=" in text
    process = psutil.Process(exporter.pid)
    assert (process.uids().real, process.gids().real) == (10973, 10973)
    status = Path(f"/proc/{exporter.pid}/status").read_text()
    assert "CapPrm:\t0000000000000000\n" in status
    events = pod.seen("/run/memwatchd/events").stat()
    assert events.st_mode & 0o077 == 0
