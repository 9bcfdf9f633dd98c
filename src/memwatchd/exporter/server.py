"""The exporter's process: the ring's newest samples, the pages, and who may ask for them, in one loop.

It starts without a ring and waits for one; it ends when it is told to, or as a child of the service when that
does.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from memwatchd.config.serving import Listen, write_listen
from memwatchd.errors import StartError
from memwatchd.exporter import page
from memwatchd.exporter.collector import MemwatchdCollector, Source
from memwatchd.exporter.http import Answer, Anyone, Policy, Request, WebServer, refuse
from memwatchd.kernel.privileges import become_ordinary
from memwatchd.places import Places

_NOBODY = 65534
_NICE = 5
_ROUND_S = 1.0
# However many ask: no page is made more often than that.
_FRESH_S = 0.2
_MOST_SEGMENTS = 4
_GZIP = 16 + zlib.MAX_WBITS
_HTML = "text/html; charset=utf-8"


class Pages:
    """Answers requests.

    Args:
        source: Ring and state file.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._registry = CollectorRegistry()
        self._registry.register(MemwatchdCollector(source))
        self._made: dict[str, tuple[float, bytes]] = {}

    def serve(self, request: Request) -> Answer:
        """Answer a GET."""
        match request.path:
            case "/":
                return self._answer(request, "/", _HTML, lambda: page.render(self._source.view()))
            case "/metrics":
                encode, content_type = choose_encoder(request.headers.get("accept", ""))
                return self._answer(request, content_type, content_type, lambda: encode(self._registry))
            case "/-/healthy":
                return Answer(b"memwatchd exporter is healthy.\n")
            case "/-/ready":
                return self._ready()
        return refuse(HTTPStatus.NOT_FOUND)

    def _ready(self) -> Answer:
        if self._source.alive:
            return Answer(b"memwatchd exporter is ready.\n")
        reason = "the sampler does not sample" if self._source.mapped else self._source.problem
        return Answer(f"not ready: {reason}\n".encode(), HTTPStatus.SERVICE_UNAVAILABLE)

    def _answer(self, request: Request, key: str, content_type: str, make: Callable[[], bytes]) -> Answer:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        body = self._fresh(key, zipped, make)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return Answer(body, content_type=content_type, headers=headers)

    def _fresh(self, key: str, zipped: bool, make: Callable[[], bytes]) -> bytes:
        now_s = asyncio.get_running_loop().time()
        made = self._made.get(f"{key} {zipped}")
        if made is not None and now_s - made[0] < _FRESH_S:
            return made[1]
        # What came since the last round, which is at most a second of samples.
        for _ in range(_MOST_SEGMENTS):
            if not self._source.advance():
                break
        body = make()
        if zipped:
            compressor = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
            body = compressor.compress(body) + compressor.flush()
        # Accept headers are the clients': what is kept must not grow with them.
        self._made = {name: each for name, each in self._made.items() if now_s - each[0] < _FRESH_S}
        self._made[f"{key} {zipped}"] = (now_s, body)
        return body


def serve(
    places: Places, listen: Sequence[Listen], *, web_config: Path | None = None, until_eof: bool = False
) -> None:
    """Serve until killed, or as a child of the service until that ends.

    Args:
        places: Where the ring and the state file are.
        listen: Where to listen, all at once.
        web_config: Certificate, passwords and headers.
        until_eof: End when standard input does. A signal could not do it: the service may not have the right
            to send one to nobody, and the kernel forgets about a parent's death when rights change.

    Raises:
        StartError: One of the addresses cannot be had.
        ConfigError: The web configuration is wrong.
    """
    if until_eof:
        # Ctrl-C reaches the whole foreground group; the service decides when its children end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        become_ordinary()  # the service's own priority came with the fork
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    policy = _policy(web_config)
    listeners = _bind_all(listen)
    source = Source(places)
    source.look()
    if source.problem:
        _say(f"{source.problem}; waiting for it")
    asyncio.run(_run(source, policy, listeners, until_eof=until_eof))


async def _run(
    source: Source, policy: Policy, listeners: dict[Listen, socket.socket], *, until_eof: bool
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, *(() if until_eof else (signal.SIGINT,))):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, policy.look)
    if until_eof:
        loop.add_reader(sys.stdin.fileno(), _hear_end, stop)
    pages = Pages(source)
    # By now all code is loaded, which may lie where nobody else can read, and the ring is mapped for good.
    page.render(source.view())
    _drop_rights()
    gc.collect()
    gc.freeze()
    server = WebServer(pages.serve, policy, source.own)
    tasks = [loop.create_task(server.run(listeners.values())), loop.create_task(_follow(source, policy))]
    ending = loop.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([*tasks, ending], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # one that has ended by itself says why
    finally:
        for task in (*tasks, ending):
            task.cancel()
        await asyncio.gather(*tasks, ending, return_exceptions=True)
        _close_all(listeners)


def _hear_end(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        stop.set()


async def _follow(source: Source, policy: Policy) -> None:
    """Take in samples, a segment at a time, so that nobody who asks waits for longer than that."""
    while True:
        source.look()
        policy.look()
        while source.advance():
            await asyncio.sleep(0)
        await asyncio.sleep(_ROUND_S)


def _policy(web_config: Path | None) -> Policy:
    if web_config is None:
        return Anyone()
    # YAML is 2 MiB, and most have no such file.
    from memwatchd.exporter.access import Access

    return Access(web_config, _say)


def _bind_all(listen: Sequence[Listen]) -> dict[Listen, socket.socket]:
    """Bind all of them or none."""
    listeners: dict[Listen, socket.socket] = {}
    # [::] would take IPv4's port along, which is somebody's own here.
    taken = {each.port for each in listen if each.socket is None and ":" not in each.host}
    for each in dict.fromkeys(listen):
        try:
            listeners[each] = (
                _bind_socket(each.socket)
                if each.socket is not None
                else _bind_address(each, alone=each.port in taken)
            )
        except OSError as error:
            _close_all(listeners)
            raise StartError(f"exporter: {write_listen(each)}: {error.strerror or error}") from error
    return listeners


def _close_all(listeners: dict[Listen, socket.socket]) -> None:
    for listen, listener in listeners.items():
        listener.close()
        if listen.socket is not None:
            with suppress(OSError):  # the directory belongs to somebody else after the rights are gone
                listen.socket.unlink()


def _bind_address(listen: Listen, *, alone: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6 and alone:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _bind_socket(path: Path) -> socket.socket:
    """Bind a Unix socket; one that a dead exporter left is removed, one that somebody answers on is not."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o666)  # as open as the port on this machine that it stands for
    except OSError:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


def _say(sentence: str) -> None:
    print(f"memwatchd: exporter: {sentence}", file=sys.stderr, flush=True)


def _drop_rights() -> None:
    """Become nobody, when there is anything to give up."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
