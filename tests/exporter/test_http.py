"""The web server: what it takes, what it refuses, and that nobody can hold it up."""

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import FIXTURES

from memwatchd.exporter import http
from memwatchd.exporter.http import Answer, Anyone, Policy, Request, WebServer, parse_request
from memwatchd.exporter.metric import OwnFigures

TLS = FIXTURES / "tls"
WAIT_S = 20.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Address = tuple[str, int]


class Server:
    """A server in a thread of its own."""

    def __init__(self, serve: Callable[[Request], Answer], policy: Policy) -> None:
        self.own = OwnFigures()
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.address: Address = self.listener.getsockname()
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(WebServer(serve, policy, self.own).run([self.listener]))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(WAIT_S)
        self.listener.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=WAIT_S)

    def ask(self, request: bytes = GET) -> bytes:
        with self.connect() as client:
            client.sendall(request)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """All until the other end closes, or resets because it had not read all that it was sent."""
    chunks = []
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def hello(_request: Request) -> Answer:
    return Answer(b"hello\n")


MakeServer = Callable[..., Server]


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    made: list[Server] = []

    def make(serve: Callable[[Request], Answer] = hello, policy: Policy | None = None) -> Server:
        made.append(Server(serve, policy or Anyone()))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_an_answer(make_server: MakeServer) -> None:
    """Prometheus and browsers would not understand it, or a browser would do what it must not."""
    server = make_server()
    head, _, body = server.ask().partition(b"\r\n\r\n")
    assert body == b"hello\n"
    assert head.decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Length: 6",
        "Connection: close",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: deny",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
    ]
    assert (server.own.requests, server.own.turned_away) == ({"2xx": 1, "4xx": 0, "5xx": 0}, 0)


def test_what_was_asked_for(make_server: MakeServer) -> None:
    """Paths with a query would not be found, headers not be seen."""
    asked: list[Request] = []

    def serve(request: Request) -> Answer:
        asked.append(request)
        return Answer(b"")

    make_server(serve).ask(b"GET /metrics?a=b#c HTTP/1.0\r\nACCEPT: text/plain\r\n\r\n")
    assert asked == [Request("GET", "/metrics", {"accept": "text/plain"})]


def test_head_has_no_body(make_server: MakeServer) -> None:
    """A health check by HEAD would wait for something or read rubbish."""
    answer = make_server().ask(b"HEAD / HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 6\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", 405),
        (b"\xff\x00 nonsense\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 70_000, 431),
    ],
)
def test_what_is_refused(make_server: MakeServer, request_: bytes, expected: int) -> None:
    """Nonsense would cost a traceback, or memory without end."""
    server = make_server()
    assert status(server.ask(request_)) == expected
    assert status(server.ask()) == 200


@given(st.binary(max_size=400))
def test_any_header_is_a_request_or_a_status(header: bytes) -> None:
    """One packet would end the exporter."""
    found = parse_request(header + b"\r\n\r\n")
    assert isinstance(found, Request | HTTPStatus)


def test_a_slow_request_is_cut_off(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred of them would stay for ever."""
    monkeypatch.setattr(http, "HEADER_S", 0.2)
    server = make_server()
    with server.connect() as client:
        client.sendall(GET[:10])
        assert read_all(client) == b""
    assert status(server.ask()) == 200
    assert server.own.turned_away == 1


def test_who_does_not_take_the_answer_is_cut_off(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He would hold his connection and a page in memory for ever."""
    monkeypatch.setattr(http, "ANSWER_S", 0.5)
    server = make_server(lambda _request: Answer(b"x" * 30_000_000))
    with server.connect() as client:
        client.sendall(GET)
        assert client.recv(16)
        while server.own.turned_away == 0:
            threading.Event().wait(0.01)
        assert len(read_all(client)) < 30_000_000


def test_the_longest_there_goes_first(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens enough connections would keep the scrape out."""
    monkeypatch.setattr(http, "MAX_CLIENTS", 8)
    monkeypatch.setattr(http, "GRACE_S", 0.05)
    server = make_server()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(20)]
        assert status(server.ask()) == 200
        for client in clients[:12]:
            assert read_all(client) == b""
        # The last seven are still welcome.
        clients[-1].sendall(GET)
        assert status(read_all(clients[-1])) == 200
    assert server.own.turned_away >= 12


class Guarded(Anyone):
    """Asks for the word."""

    def __init__(self) -> None:
        self.passwords: Any = self
        self.headers: Mapping[str, str] = {
            "X-Frame-Options": "sameorigin",
            "Strict-Transport-Security": "a=1",
        }
        self.known: dict[str, bool] = {}
        self.asked: list[str] = []

    def remembered(self, header: str) -> bool | None:
        return self.known.get(header)

    def compare(self, header: str) -> bool:
        self.asked.append(header)
        self.known[header] = header == "Basic " + base64.b64encode(b"a:b").decode()
        return self.known[header]


def test_passwords_and_headers(make_server: MakeServer) -> None:
    """Everybody would get in, or his browser would not ask him for a password."""
    policy = Guarded()
    server = make_server(policy=policy)
    answer = server.ask()
    assert status(answer) == 401
    assert b'\r\nWWW-Authenticate: Basic realm="memwatchd"\r\n' in answer
    right = b"GET / HTTP/1.1\r\nAuthorization: Basic " + base64.b64encode(b"a:b") + b"\r\n\r\n"
    assert status(server.ask(right)) == 200
    answer = server.ask(right)
    assert status(answer) == 200
    assert b"\r\nX-Frame-Options: sameorigin\r\n" in answer
    assert b"\r\nStrict-Transport-Security: a=1\r\n" in answer
    assert b"deny" not in answer
    assert len(policy.asked) == 2
    assert status(server.ask(b"POST / HTTP/1.1\r\n\r\n")) == 401


def context_for_clients(name: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(TLS / "ca.crt"))
    if name:
        context.load_cert_chain(TLS / f"{name}.crt", TLS / f"{name}.key")
    return context


class Encrypted(Anyone):
    """Speaks TLS."""

    def __init__(self, *, clients: bool) -> None:
        self.context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(TLS / "server.crt", TLS / "server.key")
        if clients:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(TLS / "ca.crt")
        self.allowed = "prometheus.example"

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        return certificate is None or ("DNS", self.allowed) in certificate.get("subjectAltName", ())


def ask_encrypted(server: Server, name: str | None = None) -> bytes:
    with context_for_clients(name).wrap_socket(server.connect(), server_hostname="localhost") as client:
        client.sendall(GET)
        return read_all(client)


def test_tls(make_server: MakeServer) -> None:
    """What is encrypted would not be, or nobody could talk to it; who does not speak it must not hurt."""
    server = make_server(policy=Encrypted(clients=False))
    assert status(ask_encrypted(server)) == 200
    assert b"200 OK" not in server.ask()
    with server.connect() as silent:
        assert status(ask_encrypted(server)) == 200
        silent.close()


def test_certificates_of_clients(make_server: MakeServer) -> None:
    """Strangers would get in."""
    policy = Encrypted(clients=True)
    server = make_server(policy=policy)
    assert status(ask_encrypted(server, "client")) == 200
    for name in (None, "stranger"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            assert b"200 OK" not in ask_encrypted(server, name)
            raise ConnectionError  # some versions of TLS tell the client only by closing
    policy.allowed = "somebody.else"
    assert status(ask_encrypted(server, "client")) == 403


def test_another_certificate_for_the_next_connection(make_server: MakeServer) -> None:
    """A renewed certificate would need a restart."""
    policy = Encrypted(clients=False)
    server = make_server(policy=policy)

    def seen() -> bytes | None:
        context = context_for_clients()
        with context.wrap_socket(server.connect(), server_hostname="localhost") as client:
            return client.getpeercert(binary_form=True)

    before = seen()
    policy.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    policy.context.load_cert_chain(TLS / "server2.crt", TLS / "server2.key")
    assert before == ssl.PEM_cert_to_DER_cert((TLS / "server.crt").read_text())
    assert seen() == ssl.PEM_cert_to_DER_cert((TLS / "server2.crt").read_text())


def test_handshakes_that_are_never_finished(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One idle client would hold up all others, as in a server whose handshake is part of accepting."""
    monkeypatch.setattr(http, "HEADER_S", 0.5)
    server = make_server(policy=Encrypted(clients=False))
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(50)]
        assert status(ask_encrypted(server)) == 200
        for client in idle:
            assert read_all(client) == b""
    assert server.own.turned_away == 50
