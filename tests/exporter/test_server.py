"""The exporter's process: started by hand on a ring made by hand."""

import gzip
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import BOOT_ID, FIXTURES, Tape, meminfo

from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import create_ring
from memwatchd.ring.format import RingHeader, Stream

TLS = FIXTURES / "tls"
WAIT_S = 20.0
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def places() -> Iterator[Places]:
    """Directories that nobody, too, can look into; pytest's own are for their owner only."""
    path = Path(tempfile.mkdtemp(prefix="memwatchd-test-"))
    path.chmod(0o755)
    yield Places(path, path)
    shutil.rmtree(path)


@pytest.fixture
def tape(places: Places) -> Tape:
    """A ring in its place."""
    samples = create_ring(places.ring, RingHeader(65536, 8, Stream.SAMPLES, BOOT_ID, 10**18))
    events = create_ring(places.events, RingHeader(65536, 8, Stream.EVENTS, BOOT_ID, 10**18))
    return Tape(samples, events)


@pytest.fixture
def start(places: Places, tape: Tape) -> Iterator[Start]:
    """Start an exporter."""
    tape.now_ns = time.monotonic_ns()
    tape.new_segment()
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "memwatchd", "exporter", "--runtime-dir", str(places.runtime_dir)]
        started.append(
            subprocess.Popen(
                [*command, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait(WAIT_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def beat(tape: Tape) -> None:
    """Let the sampler be alive for the next two seconds."""
    tape.samples.board[Slot.HEARTBEAT_NS] = time.monotonic_ns()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(port: int, path: str, host: str = "127.0.0.1", **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://{host}:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def ask_socket(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT_S)
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        chunks = []
        while chunk := client.recv(65536):
            chunks.append(chunk)
        return b"".join(chunks)


def ended(process: subprocess.Popen[str], status: int) -> str:
    """Its one line, after it has ended with this status."""
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == status, errors
    (line,) = errors.splitlines()
    return line


def test_all_its_pages(start: Start, tape: Tape) -> None:
    """A path would be missing, or answer with another one's page."""
    port = free_port()
    process = start("--listen", f"127.0.0.1:{port}")
    wait_for(lambda: listens(port), process)
    tape.sample((time.monotonic_ns() - 60_000_000_000) / 1e9, {"meminfo": meminfo(MemAvailable=5)})
    beat(tape)
    status, page = get(port, "/metrics")
    assert (status, b"\nmemwatchd_up 1.0\n" in page) == (200, True)
    assert b'\nmemwatchd_available_min_bytes{window="1m"} 5120.0\n' in page
    assert gzip.decompress(get(port, "/metrics", **{"Accept-Encoding": "gzip"})[1]).startswith(b"# HELP ")
    openmetrics = get(port, "/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
    assert openmetrics.endswith(b"# EOF\n")
    status, page = get(port, "/")
    assert (status, page.startswith(b"<!DOCTYPE html>")) == (200, True)
    assert get(port, "/-/healthy")[0] == 200
    assert get(port, "/-/ready") == (200, b"memwatchd exporter is ready.\n")
    assert [get(port, path)[0] for path in ("/metrics/", "/favicon.ico", "/../etc/passwd")] == [404] * 3
    tape.samples.board[Slot.HEARTBEAT_NS] = 0
    assert get(port, "/-/ready") == (503, b"not ready: the sampler does not sample\n")
    assert get(port, "/-/healthy")[0] == 200
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, errors) == (0, "")


def test_it_waits_for_a_ring(start: Start, tape: Tape, places: Places) -> None:
    """Started before the daemon, it would end, or never see it."""
    places.ring.rename(places.runtime_dir / "later")
    port = free_port()
    process = start("--listen", f"127.0.0.1:{port}")
    wait_for(lambda: listens(port), process)
    assert b"\nmemwatchd_up 0.0\n" in get(port, "/metrics")[1]
    assert get(port, "/-/ready")[0] == 503
    (places.runtime_dir / "later").rename(places.ring)
    places.ring.chmod(0o644)  # for nobody, as under systemd for its group

    def up() -> bool:
        beat(tape)
        return b"\nmemwatchd_up 1.0\n" in get(port, "/metrics")[1]

    wait_for(up, process)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have something to give up")
def test_it_becomes_nobody(start: Start) -> None:
    """A mistake in the exporter would be root's."""
    port = free_port()
    process = start("--listen", f"127.0.0.1:{port}")
    wait_for(lambda: get(port, "/-/healthy")[0] == 200 if listens(port) else False, process)
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert set(found["Uid"].split()) == set(found["Gid"].split()) == {"65534"}
    assert int(found["CapEff"], 16) == 0
    assert found["Groups"].strip() == ""


def test_a_unix_socket(start: Start, tape: Tape, tmp_path: Path) -> None:
    """A proxy on the same machine would need a port."""
    path = tmp_path / "metrics.sock"
    process = start("--listen", path)
    wait_for(lambda: path.exists() and _connects(path), process)
    beat(tape)
    assert b"\nmemwatchd_up 1.0\n" in ask_socket(path)
    assert path.stat().st_mode & 0o777 == 0o666
    second = start("--listen", path)
    assert ended(second, 7) == f"memwatchd: exporter: {path}: Address already in use"
    process.kill()
    process.wait(WAIT_S)
    # What a dead one has left behind is in nobody's way.
    third = start("--listen", path)
    wait_for(lambda: path.exists() and _connects(path), third)
    assert ask_socket(path).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(not _has_ipv6(), reason="there is no ::1 on this machine")
def test_several_addresses_at_once(start: Start, tape: Tape, tmp_path: Path) -> None:
    """A second exporter would have to be run for a proxy on a socket, or for a server that comes by IPv6."""
    path, port = tmp_path / "metrics.sock", free_port()
    addresses = (f"127.0.0.1:{port}", f"[::1]:{port}", f"unix:{path}")
    process = start(*(word for each in addresses for word in ("--listen", each)))
    wait_for(lambda: path.exists() and _connects(path), process)
    beat(tape)
    pages = [get(port, "/metrics")[1], get(port, "/metrics", host="[::1]")[1], ask_socket(path)]
    assert [b"\nmemwatchd_up 1.0\n" in page for page in pages] == [True, True, True]


@pytest.mark.skipif(not _has_ipv6(), reason="there is no ::1 on this machine")
def test_every_address_of_both_kinds(start: Start) -> None:
    """[::] would take the port of 0.0.0.0, and the exporter would not start."""
    port = free_port()
    process = start("--listen", f"0.0.0.0:{port}", "--listen", f"[::]:{port}")
    wait_for(lambda: listens(port), process)
    assert get(port, "/-/healthy", host="[::1]")[0] == 200


def test_one_of_several_is_taken(start: Start, tmp_path: Path) -> None:
    """It would serve at fewer addresses than it was told to, and leave its sockets behind."""
    path = tmp_path / "metrics.sock"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = ended(start("--listen", path, "--listen", f"127.0.0.1:{port}"), 7)
    assert line == f"memwatchd: exporter: 127.0.0.1:{port}: Address already in use"
    assert not path.exists()


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_a_file_in_the_place_of_the_socket(start: Start, tmp_path: Path) -> None:
    """It would be removed."""
    path = tmp_path / "notes"
    path.write_text("mine")
    assert ended(start("--listen", path), 7) == f"memwatchd: exporter: {path}: Address already in use"
    assert path.read_text() == "mine"


def test_a_port_that_is_taken(start: Start) -> None:
    """The administrator would get a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = ended(start("--listen", f"127.0.0.1:{port}"), 7)
    assert line == f"memwatchd: exporter: 127.0.0.1:{port}: Address already in use"


def test_a_wrong_web_configuration(start: Start, tmp_path: Path) -> None:
    """It would serve everybody, or nobody would know where the mistake is."""
    path = tmp_path / "web.yaml"
    path.write_text("http_server_config: {burst: 3}\n")
    line = ended(start("--listen", "127.0.0.1:1", "--web.config.file", path), 4)
    assert line == f"memwatchd: {path}:1:22: unknown key 'burst'; expected one of http2, headers"


def test_tls_and_another_certificate(start: Start, tape: Tape, places: Places) -> None:
    """A renewed certificate would not be served until a restart."""
    tmp_path = places.runtime_dir
    for name in ("crt", "key"):
        (tmp_path / f"a.{name}").write_bytes((TLS / f"server.{name}").read_bytes())
    path = tmp_path / "web.yaml"
    path.write_text("tls_server_config: {cert_file: a.crt, key_file: a.key}\n")
    path.chmod(0o644)
    port = free_port()
    process = start("--listen", f"127.0.0.1:{port}", "--web.config.file", path)
    wait_for(lambda: listens(port), process)
    context = ssl.create_default_context(cafile=str(TLS / "ca.crt"))
    url = f"https://127.0.0.1:{port}/metrics"
    beat(tape)
    with urllib.request.urlopen(url, timeout=WAIT_S, context=context) as answer:
        assert b"\nmemwatchd_up 1.0\n" in answer.read()
    for name in ("crt", "key"):
        (tmp_path / "new").write_bytes((TLS / f"server2.{name}").read_bytes())
        (tmp_path / "new").chmod(0o644)
        (tmp_path / "new").rename(tmp_path / f"a.{name}")
    expected = ssl.PEM_cert_to_DER_cert((TLS / "server2.crt").read_text())

    def served() -> bool:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as client,
        ):
            return client.getpeercert(binary_form=True) == expected

    wait_for(served, process)


def test_it_ends_with_its_parent(start: Start) -> None:
    """Each restart of the daemon would leave one behind that keeps the port."""
    port = free_port()
    process = start("--listen", f"127.0.0.1:{port}", "--until-eof")
    wait_for(lambda: listens(port), process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(WAIT_S) == 0


def test_it_does_not_load_what_it_does_not_need() -> None:
    """Each costs megabytes on every machine: YAML, the configuration's model, the actions, psutil."""
    code = "import memwatchd.cli.exporter, sys, json; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=WAIT_S)
    modules = json.loads(result.stdout)
    heavy = ("yaml", "psutil", "bcrypt", "systemd", "jeepney", "memwatchd.config.model", "memwatchd.actions")
    assert not [name for name in modules if name.startswith(heavy)]
