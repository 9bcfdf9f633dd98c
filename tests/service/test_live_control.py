"""Talking to the daemon: commands, signals, its status, its end."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import (
    DEADLINE_S,
    PROGRAM,
    Daemon,
    StartDaemon,
    run_cli,
    said_in_one_line,
    wait_for,
)

from memwatchd.ring.file import open_ring
from memwatchd.ring.format import State

pytestmark = pytest.mark.live


def test_a_dump_is_written_at_once(start_daemon: StartDaemon) -> None:
    """An administrator who sees trouble could not keep what led to it."""
    daemon = start_daemon()
    daemon.wait_for_ticks(200)
    result = daemon.cli("dump", "--reason", "it \x1b[31mfeels slow")
    assert (result.returncode, result.stderr) == (0, b"")
    path = Path(result.stdout.decode().strip())
    assert path.parent == daemon.places.incidents
    (incident,) = daemon.incidents("requested")
    assert (incident.path, incident.complete, incident.problems) == (path, True, [])
    assert incident.meta["trigger"]["kind"] == "requested"
    assert incident.meta["trigger"]["detail"] == "it \x1b[31mfeels slow"
    assert incident.meta["disagreements"] == []
    assert len(list(incident.moments())) >= 190
    assert "\x1b" not in daemon.cli("show", "last").stdout.decode()
    assert "\x1b" not in daemon.log()
    assert path.stat().st_mode & 0o777 == 0o640
    assert daemon.places.incidents.stat().st_mode & 0o777 == 0o750


def test_a_signal_dumps_too(start_daemon: StartDaemon) -> None:
    """Where the socket cannot be reached, there would be no way to ask."""
    daemon = start_daemon()
    os.kill(daemon.pid, signal.SIGUSR1)
    incident = daemon.wait_for_incident("requested")
    assert "SIGUSR1" in incident.meta["trigger"]["detail"]


def test_ten_dumps_at_once(start_daemon: StartDaemon) -> None:
    """Two incidents would get the same name, and one of them be lost."""
    daemon = start_daemon()
    command = [*PROGRAM, "dump", *daemon.where]
    asked = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(10)]
    paths = {asker.communicate(timeout=DEADLINE_S)[0] for asker in asked}
    assert [asker.returncode for asker in asked] == [0] * 10
    written = daemon.incidents("requested")
    assert len(paths) == len(written) == 10
    assert all(incident.complete and incident.problems == [] for incident in written)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_good_order(start_daemon: StartDaemon, number: signal.Signals) -> None:
    """A stop would look like a crash at the next start, or leave processes and sockets behind."""
    daemon = start_daemon(exporter=True)
    daemon.wait_for_ticks(50)
    state = daemon.state()
    os.kill(daemon.pid, number)
    assert daemon.process is not None
    assert daemon.process.wait(20) == 0
    assert daemon.survivors() == []
    assert {path.name for path in daemon.places.runtime_dir.iterdir()} == {"ring", "events", "lock"}
    assert open_ring(daemon.places.ring).state == State.CLOSED
    assert open_ring(daemon.places.events).state == State.CLOSED
    assert {state["pid"], state["sampler_pid"], state["exporter_pid"]}.isdisjoint(daemon.survivors())
    assert "Traceback" not in daemon.log()
    daemon.start().wait_until_sampling()
    daemon.wait_for_ticks(100)
    assert daemon.incidents("recorder_died") == []


def test_it_can_be_stopped_while_it_starts(make_daemon: StartDaemon) -> None:
    """A stop at the wrong moment would hang, or be taken for a crash."""
    daemon: Daemon = make_daemon()
    for wait_for_file in ("lock", "ring", "control.sock", "state.json"):
        daemon.start()
        path = daemon.places.runtime_dir / wait_for_file
        daemon.wait_for(path.exists, wait_for_file)
        assert daemon.stop() in (0, -signal.SIGTERM)
        assert daemon.survivors() == []
        for left in daemon.places.runtime_dir.iterdir():
            left.unlink()
    daemon.start().wait_until_sampling()
    assert daemon.incidents("recorder_died") == []


def test_other_signals_do_no_harm(start_daemon: StartDaemon) -> None:
    """A signal sent by mistake, or twice, would end the daemon."""
    daemon = start_daemon()
    for _ in range(5):
        os.kill(daemon.pid, signal.SIGHUP)
        os.kill(daemon.pid, signal.SIGWINCH)
    daemon.wait_for(lambda: "the configuration has been read anew" in daemon.log(), "a word about SIGHUP")
    daemon.wait_for_ticks(50)


def test_reloads_are_counted(start_daemon: StartDaemon) -> None:
    """An alert on a configuration that was refused would never fire, and a restart would fail one night."""
    daemon = start_daemon()
    before = daemon.state()["config"]
    assert before == {
        "reloads": {"taken": 0, "refused": 0},
        "last_successful": True,
        "taken_realtime_ns": daemon.state()["started_realtime_ns"],
    }
    config = Path(daemon.arguments[1])
    good = config.read_text()
    config.write_text("nonsense: 1\n")
    assert daemon.cli("reload").returncode != 0
    refused = daemon.wait_for(
        lambda: _reloads(daemon) != before and _reloads(daemon), "the refusal to be counted"
    )
    assert refused == {**before, "reloads": {"taken": 0, "refused": 1}, "last_successful": False}
    config.write_text(good)
    assert daemon.cli("reload").returncode == 0
    taken = daemon.wait_for(
        lambda: _reloads(daemon) != refused and _reloads(daemon), "the reload to be counted"
    )
    assert (taken["reloads"], taken["last_successful"]) == ({"taken": 1, "refused": 1}, True)
    assert taken["taken_realtime_ns"] > before["taken_realtime_ns"]


def _reloads(daemon: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = daemon.state()["config"]
    return found


def test_a_second_daemon_is_refused(start_daemon: StartDaemon) -> None:
    """Two daemons would overwrite each other's ring."""
    daemon = start_daemon()
    result = run_cli("run", "--no-exporter", *daemon.where)
    assert "another memwatchd is running here" in said_in_one_line(result, 7)
    daemon.wait_for_ticks(50)
    assert daemon.cli("dump").returncode == 0


def test_status_says_how_it_is_doing(start_daemon: StartDaemon) -> None:
    """The administrator could not see whether it works."""
    daemon = start_daemon(exporter=True)
    status = daemon.status()
    assert [process["role"] for process in status["processes"]] == ["service", "sampler", "exporter"]
    assert (status["responding"], status["sampling"]["rate_hz"]) == (True, 200)
    text = daemon.cli("status")
    assert (text.returncode, text.stderr) == (0, b"")
    assert "200 Hz" in text.stdout.decode()


def test_status_and_dump_without_a_daemon(make_daemon: StartDaemon) -> None:
    """A script could not tell that nobody is watching."""
    daemon: Daemon = make_daemon()
    assert "not running" in said_in_one_line(daemon.cli("status"), 3)
    assert "not running" in said_in_one_line(daemon.cli("dump"), 3)


def test_status_after_a_crash(start_daemon: StartDaemon) -> None:
    """What the dead daemon last said would be taken for the present."""
    daemon = start_daemon()
    daemon.kill()
    assert "not running" in said_in_one_line(daemon.cli("status"), 3)
    assert "not running" in said_in_one_line(daemon.cli("dump"), 3)


def test_metrics_are_served(start_daemon: StartDaemon) -> None:
    """Prometheus would find nothing."""
    daemon = start_daemon(exporter=True)
    config = Path(daemon.arguments[1]).read_text()
    (port,) = [line.rpartition(":")[2] for line in config.splitlines() if "listen" in line]

    def page() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
        except OSError:
            return ""
        return text

    assert "memwatchd_ticks_total" in daemon.wait_for(page, "the exporter to answer")


NONSENSE = [
    b"rubbish\n",
    b"\n",
    b"[]\n",
    b"\xff\xfe\n",
    b"1" * 3000 + b"\n",
    b"-" + b"9" * 4000 + b"\n",
    b"[" * 4000 + b"\n",
    b'{"command": ["dump"]}\n',
    b'{"command": "dump", "detail": {"a": [1]}}\n',
    b'{"command": "dump", "detail": "\\ud800 \\u0000"}\n',
    b'{"command": "dump"}\n{"command": "dump"}\n',
    b"x" * 100_000,
    b"",
]


def test_nonsense_on_the_socket(start_daemon: StartDaemon) -> None:
    """A confused client would take the daemon down."""
    daemon = start_daemon()
    for request in NONSENSE * 2:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.places.control))
            client.settimeout(DEADLINE_S)
            try:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(65536)
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
            assert answer == b"" or isinstance(json.loads(answer), dict), request[:40]
    result = daemon.cli("dump")
    assert result.returncode == 0, daemon.log()
    assert daemon.cli("show", "last").returncode == 0
    assert daemon.cli("incidents").returncode == 0
    assert "Traceback" not in daemon.log()


def test_clients_that_go_away_or_say_nothing(start_daemon: StartDaemon) -> None:
    """A few forgotten connections would keep the administrator out, or take the daemon down."""
    daemon = start_daemon()
    clients = []
    for number in range(60):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(daemon.places.control))
        if number % 3 == 1:
            client.sendall(b'{"command": "du')
        if number % 3 == 2:
            client.sendall(b'{"command": "dump"}\n')
            client.close()
        clients.append(client)
    assert daemon.cli("dump").returncode == 0
    for client in clients:
        client.close()
    assert daemon.cli("dump").returncode == 0
    daemon.wait_for_ticks(50)
    assert "Traceback" not in daemon.log()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["show", "nonexistent"], 6),
        (["show", "x" * 5000], 6),
        (["show", "last"], 6),
        (["show", "/etc/passwd"], 5),
        (["show", "/dev/null"], 6),
        (["show", "/"], 6),
        (["show", "--json", "/etc/passwd"], 5),
        (["raw", "last", "--source", "meminfo"], 6),
        (["raw", "/etc/passwd", "--source", "meminfo"], 5),
        (["procfs", "/etc/passwd", "/nonexistent/x"], 5),
        (["run", "--config", "/nonexistent"], 4),
        (["run", "--config", "/etc/passwd"], 4),
        (["run", "--config", "/dev/null/x"], 4),
        (["run", "--config", "/etc"], 4),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else str(value),
)
def test_bad_input_on_the_command_line(make_daemon: StartDaemon, arguments: list[str], status: int) -> None:
    """A typing error would be answered by a traceback."""
    daemon: Daemon = make_daemon()
    said_in_one_line(daemon.cli(*arguments), status)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("sampling: {rate: 200 parsecs}\n", ":1:"),
        ("a:\n  - b\n c: d\n", ":"),
        ("sampling:\n  rate: fast\n", ":2:"),
        ("\0", ":"),
        ("ring: {size: 1KiB}\n", ":1:"),
        ("&a [*a]\n", ":"),
        ("[" * 5000, ":"),
        ("{? [a] : b}", ":"),
        ("- " * 3000 + "a\n", ":"),
        ("log: {level: loud}\nlog: {level: info}\n", ":"),
    ],
)
def test_a_broken_configuration(make_daemon: StartDaemon, tmp_path: Path, text: str, place: str) -> None:
    """A typing error in the configuration would start half a daemon, or be answered by a traceback."""
    daemon: Daemon = make_daemon()
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    result = daemon.cli("run", "--no-exporter", "--config", path)
    said = result.stderr.decode().removeprefix("memwatchd: ").splitlines()
    assert (result.returncode, result.stdout) == (4, b"")
    assert said[0].startswith(f"{path}{place}")
    # There is one line to each thing that is wrong, and nothing else.
    assert all(line.startswith(f"{path}:") for line in said)
    assert not daemon.places.ring.exists()


def test_bad_moments_and_sources(start_daemon: StartDaemon, tmp_path: Path) -> None:
    """A wrong --at or --source would print a moment nobody asked for, or a traceback."""
    daemon = start_daemon()
    daemon.dump()
    assert "meminfo" in said_in_one_line(daemon.cli("raw", "last", "--source", "nope"), 6)
    for at in ("rubbish", "", "1e9", "9" * 400, "2026-13-01", "0001-01-01", "9999-12-31T23:59:59", "1 year"):
        result = daemon.cli("raw", "last", "--source", "meminfo", f"--at={at}")
        assert b"Traceback" not in result.stderr, at
        assert (result.returncode, result.stderr.count(b"\n")) in ((0, 0), (6, 1)), at
        if at in ("rubbish", "", "2026-13-01", "1 year"):
            assert result.returncode == 6, at
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").write_text("")
    said_in_one_line(daemon.cli("procfs", "last", full), 1)
    said_in_one_line(daemon.cli("procfs", "last", "/proc/nowhere"), 1)
    said_in_one_line(daemon.cli("procfs", "last", full / "file"), 1)


@pytest.mark.parametrize(
    "runtime",
    ["/proc/memwatchd", "/dev/null", "/dev/null/x", "/dev/shm/" + "x" * 300, "{}/" + "d" * 120],
    ids=["proc", "file", "under a file", "name too long", "path too long for a socket"],
)
def test_a_runtime_directory_that_cannot_be(tmp_path: Path, runtime: str) -> None:
    """The daemon would end with a traceback instead of a reason."""
    directory = runtime.format(tmp_path)
    command = [
        *PROGRAM,
        "run",
        "--no-exporter",
        "--runtime-dir",
        directory,
        "--state-dir",
        str(tmp_path / "state"),
    ]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = daemon.communicate(timeout=20)
    finally:
        daemon.kill()
        daemon.communicate()
    said = [line for line in err.decode().splitlines() if " WARNING: " not in line]
    assert (daemon.returncode, out, len(said)) == (7, b"", 1), err.decode()
    assert said[0].startswith("memwatchd: ")


@pytest.mark.parametrize("name", ["ring", "events", "control.sock", "lock", "state.json", ".ring.new"])
def test_a_directory_in_the_place_of_a_file(make_daemon: StartDaemon, name: str) -> None:
    """Whatever lies in the way, the daemon says what it is and either starts or does not."""
    daemon: Daemon = make_daemon()
    (daemon.places.runtime_dir / name).mkdir()
    daemon.start()
    assert daemon.process is not None
    process = daemon.process

    def decided() -> bool:
        return process.poll() is not None or daemon.state() != {} or "state.json" in daemon.log()

    wait_for(decided, "the daemon to start or not", daemon.log)
    assert "Traceback" not in daemon.log()
    if process.poll() is not None:
        assert process.returncode == 7
        (said,) = [line for line in daemon.log().splitlines() if " WARNING: " not in line]
        assert said.startswith("memwatchd: ")


def test_a_client_that_is_dropped_while_it_speaks(start_daemon: StartDaemon) -> None:
    """One connection too many, at the wrong moment, would take the daemon down."""
    daemon = start_daemon()
    clients = [socket.socket(socket.AF_UNIX) for _ in range(9)]
    for client in clients[:8]:
        client.connect(str(daemon.places.control))
    assert daemon.cli("dump").returncode == 0  # by now it has taken them all in, and dropped the first
    clients[0].close()
    clients[0] = socket.socket(socket.AF_UNIX)
    clients[0].connect(str(daemon.places.control))
    daemon.wait_for_ticks(100)
    # Both are there at once when it wakes: one more client, and a word from the one that has to go for it.
    os.kill(daemon.pid, signal.SIGSTOP)
    clients[8].connect(str(daemon.places.control))
    for client in clients[:8]:
        client.sendall(b"rubbish\n")
    os.kill(daemon.pid, signal.SIGCONT)
    assert daemon.cli("dump").returncode == 0, daemon.log()
    for client in clients:
        client.close()
