"""A web server that slow or many clients cannot hurt.

One thread, one loop (asyncio), one request a connection. A connection that says nothing costs a descriptor
and some kilobytes, not a thread; who has not sent his request within `HEADER_S`, TLS handshake included, is
cut off, and so is who has not taken the answer within `ANSWER_S`. When `MAX_CLIENTS` are there the one that
has been there longest goes, though not before `GRACE_S`, so that the next scrape gets in: it is done within
milliseconds and never is the oldest.

The requests themselves are read by http.server's parser; bodies are not.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any, Protocol

from memwatchd.exporter.metric import OwnFigures

HEADER_S = 5.0
ANSWER_S = 15.0
MAX_CLIENTS = 512
GRACE_S = 0.25
_HEADER_BYTES = 16 << 10
# A client that finds it full tries again after a second.
_BACKLOG = 1024
_BREATHER_S = 0.1
# Passwords that wait to be compared, one after the other.
_MOST_WAITING = 16
_TEXT = "text/plain; charset=utf-8"

# What a page may do that is shown by a browser: be drawn, with the styles it brings along, and nothing else.
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes:
        path: Without the query.
        headers: Those of the request, by their names in small letters.
    """

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = _TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


class PasswordCheck(Protocol):
    """Compares passwords, see `memwatchd.exporter.access.Passwords`."""

    def remembered(self, header: str) -> bool | None:
        """What is known of an Authorization header."""

    def compare(self, header: str) -> bool:
        """Find out."""


class Policy(Protocol):
    """Who may ask, see `memwatchd.exporter.access.Access`."""

    @property
    def context(self) -> ssl.SSLContext | None:
        """For new connections; None where they are not encrypted."""

    @property
    def passwords(self) -> PasswordCheck | None:
        """None where nobody is asked for one."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Sent with every answer."""

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client with this certificate may ask."""

    def look(self) -> None:
        """Find out whether something has changed."""


class Anyone:
    """Whoever can reach the server may ask."""

    context = None
    passwords = None
    headers: Mapping[str, str] = {}

    def admits(self, _certificate: Mapping[str, Any] | None) -> bool:
        """Everybody is welcome."""
        return True

    def look(self) -> None:
        """Nothing can change."""


class _Parser(BaseHTTPRequestHandler):
    """http.server's parser, fed with a header that is there already."""

    def __init__(self, header: bytes) -> None:
        # Not its base's __init__: that would serve a socket.
        self.rfile = BytesIO(header)
        self.wfile = BytesIO()
        self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
        self.close_connection = True
        self.problem: HTTPStatus | None = None
        self.raw_requestline = self.rfile.readline()
        parsed = self.parse_request()
        if not parsed or len(self.requestline.split()) != 3:  # two words are HTTP/0.9
            self.problem = self.problem or HTTPStatus.BAD_REQUEST

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Remember it; the answer is given elsewhere."""
        self.problem = HTTPStatus(code)

    def handle_expect_100(self) -> bool:
        """Bodies are not wanted, so nothing is sent meanwhile."""
        return True


def parse_request(header: bytes) -> Request | HTTPStatus:
    """Read a request's header, its empty line included; or the status that it is answered with."""
    parser = _Parser(header)
    if parser.problem is not None:
        return parser.problem
    path = parser.path.partition("?")[0].partition("#")[0]
    return Request(parser.command, path, {name.lower(): text for name, text in parser.headers.items()})


Serve = Callable[[Request], Answer]


class WebServer:
    """Takes connections, reads requests, sends answers.

    Args:
        serve: Makes the answer to a GET; called in the loop, so it must not wait.
        policy: Who may ask.
        own: Where connections and requests are counted.
    """

    def __init__(self, serve: Serve, policy: Policy, own: OwnFigures) -> None:
        self._serve = serve
        self._policy = policy
        self._own = own
        # In the order they came, with the loop's time when they did.
        self._clients: dict[asyncio.Task[None], float] = {}
        self._comparer: ThreadPoolExecutor | None = None
        self._comparing = 0

    async def run(self, listeners: Iterable[socket.socket]) -> None:
        """Serve until cancelled; the bounds are for all listeners together.

        Args:
            listeners: Bound, of any family.
        """
        try:
            await asyncio.gather(*map(self._accept, listeners))
        finally:
            for task in list(self._clients):
                task.cancel()
            if self._comparer is not None:
                self._comparer.shutdown(wait=False, cancel_futures=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        listener.listen(_BACKLOG)
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # gone by now, or no descriptor left
                await asyncio.sleep(_BREATHER_S)
                continue
            await self._make_room(loop)
            self._admit(loop, connection)

    async def _make_room(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the oldest go where there are too many; not before it has had the time to ask."""
        while len(self._clients) >= MAX_CLIENTS:
            oldest, since_s = next(iter(self._clients.items()))
            left_s = since_s + GRACE_S - loop.time()
            if left_s > 0:
                await asyncio.sleep(left_s)
                continue
            del self._clients[oldest]
            oldest.cancel()
            self._own.turned_away += 1

    def _admit(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        task = loop.create_task(self._attend(connection))
        self._clients[task] = loop.time()
        self._own.clients = len(self._clients)
        # Not in the task itself: one that is cancelled before its first step never gets to its end.
        task.add_done_callback(partial(self._forget, connection))

    def _forget(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        connection.close()
        self._clients.pop(task, None)
        self._own.clients = len(self._clients)

    async def _attend(self, connection: socket.socket) -> None:
        """One connection from its beginning to its end."""
        transport: asyncio.WriteTransport | None = None
        try:
            async with asyncio.timeout(HEADER_S):
                reader, writer = await self._open(connection)
                transport = writer.transport
                asked = await _read_request(reader)
            async with asyncio.timeout(ANSWER_S):
                answer = await self._answer(asked, writer)
                self._count(answer.status)
                writer.write(self._pack(answer, asked))
                await writer.drain()
                await _close(writer)
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            # Too slow, gone, or not speaking TLS: whose fault that is he knows.
            self._own.turned_away += 1
        finally:
            if transport is not None:
                transport.abort()

    async def _open(self, connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        context = self._policy.context
        reader = asyncio.StreamReader(_HEADER_BYTES, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        seconds = None if context is None else HEADER_S
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            connection,
            ssl=context,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )
        # Whoever waits for the answer to be written waits until all of it has been taken.
        # Not 0: with that asyncio's TLS stops at the first write and never goes on.
        transport.set_write_buffer_limits(1, 0)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _answer(self, asked: Request | HTTPStatus, writer: asyncio.StreamWriter) -> Answer:
        if isinstance(asked, HTTPStatus):
            return refuse(asked)
        if not self._policy.admits(writer.get_extra_info("peercert")):
            return refuse(HTTPStatus.FORBIDDEN)
        refusal = await self._refusal(asked.headers.get("authorization", ""))
        if refusal is not None:
            return refusal
        if asked.method not in ("GET", "HEAD"):
            return refuse(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"})
        return self._serve(asked)

    async def _refusal(self, authorization: str) -> Answer | None:
        """Ask for a password, if there is one."""
        passwords = self._policy.passwords
        if passwords is None:
            return None
        right = passwords.remembered(authorization)
        if right is None:
            if self._comparing >= _MOST_WAITING:
                return refuse(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
            right = await self._compare(lambda: passwords.compare(authorization))
        if right:
            return None
        return refuse(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="memwatchd"'})

    async def _compare(self, compare: Callable[[], bool]) -> bool:
        """Have it done by a thread: bcrypt takes its time, and lets go of the interpreter."""
        if self._comparer is None:
            self._comparer = ThreadPoolExecutor(1)
        self._comparing += 1
        try:
            waiting: Awaitable[bool] = asyncio.get_running_loop().run_in_executor(self._comparer, compare)
            return await waiting
        finally:
            self._comparing -= 1

    def _count(self, status: int) -> None:
        self._own.requests[f"{status // 100}xx"] += 1

    def _pack(self, answer: Answer, asked: Request | HTTPStatus) -> bytes:
        headers = {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "Connection": "close",
            **_SAFE,
            **answer.headers,
            **self._policy.headers,
        }
        lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
        bare = isinstance(asked, Request) and asked.method == "HEAD"
        return head if bare else head + answer.body


async def _read_request(reader: asyncio.StreamReader) -> Request | HTTPStatus:
    try:
        return parse_request(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


async def _close(writer: asyncio.StreamWriter) -> None:
    """Say goodbye; everything has been taken by now, so whoever does not answer is no worse for it."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def refuse(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that says no more than its status."""
    return Answer(f"{status.value} {status.phrase}\n".encode(), status, headers=headers or {})
