"""Part 9: whether many clients of the exporter, some of them with bad manners, make the sampler late.

The same daemon in turns: left alone, and with twenty scrapes a second beside two hundred connections that
send their requests byte by byte and begin anew when they are cut off. What counts is how far behind its
deadline a tick began, sample by sample, as the ring has it. How much that differs between rounds in which
nobody asks is the noise; what clients add has to be less.
"""

import http.client
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Self

import psutil

from bench.machine import cpu_time_ns
from bench.processes import Daemon, running_daemon, wait_until
from bench.report import BenchError, Part, Target, progress
from memwatchd.ring.file import open_ring
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import moments
from memwatchd.views.text import columns, format_bytes

_CONFIG = 'protect: {{enabled: false}}\nexporter: {{listen: "127.0.0.1:{port}"}}\n'
_SLOW_CLIENTS = 200
_SCRAPES_PER_S = 20
_BYTES_PER_S = 1.0
_SETTLE_S = 5.0
_GIVE_UP_S = 10.0
_REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 100


@dataclass(slots=True)
class _Round:
    """What was seen in one round.

    Attributes:
        lags_ns: How late each tick was.
        scrapes_s: How long each scrape took; empty where nobody asked.
        cpu_share: Of the exporter.
    """

    lags_ns: list[int]
    scrapes_s: list[float]
    failed: int
    cpu_share: float

    def quantile_us(self, share: float) -> float:
        return sorted(self.lags_ns)[int(share * (len(self.lags_ns) - 1))] / 1000


@dataclass(slots=True)
class _Clients:
    """Everybody who asks."""

    port: int
    took_s: list[float] = field(default_factory=list)
    failed: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def scrape(self) -> None:
        """Scrape at a rate, each time over a connection of its own, as Prometheus may."""
        due_s = time.monotonic()
        while not self._over.wait(max(0.0, due_s - time.monotonic())):
            due_s += 1 / _SCRAPES_PER_S
            began_s = time.monotonic()
            try:
                _scrape(self.port)
            except (OSError, http.client.HTTPException):
                self.failed += 1
            else:
                self.took_s.append(time.monotonic() - began_s)

    def dawdle(self) -> None:
        """Hold connections open by sending a byte now and then."""
        with selectors.DefaultSelector() as selector, ExitStack() as stack:
            clients = [stack.enter_context(_Dawdler(self.port)) for _ in range(_SLOW_CLIENTS)]
            for client in clients:
                client.begin(selector)
            while not self._over.wait(1 / _BYTES_PER_S / 10):
                for key, _ in selector.select(0):
                    key.data.hear(selector)
                for client in clients[:: len(clients) // 20]:
                    client.say()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=work) for work in (self.scrape, self.dawdle)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()


class _Dawdler:
    """One slow client."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.socket()
        self._sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(self, selector: selectors.BaseSelector) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=_GIVE_UP_S)
        self._sent = 0
        selector.register(self._socket, selectors.EVENT_READ, self)

    def hear(self, selector: selectors.BaseSelector) -> None:
        """It was cut off: once more."""
        selector.unregister(self._socket)
        self._socket.close()
        self.begin(selector)

    def say(self) -> None:
        with suppress(OSError):
            self._socket.send(_REQUEST[self._sent % len(_REQUEST) :][:1])
        self._sent += 1


def measure(*, quick: bool) -> Part:
    """Let it run with and without clients, in turns.

    Raises:
        BenchError: It did not start.
    """
    rounds, seconds = (2, 4.0) if quick else (6, 20.0)
    part = Part(
        f"9. Lateness of samples, {_SCRAPES_PER_S} scrapes a second and {_SLOW_CLIENTS} slow connections, "
        f"{rounds} rounds of {seconds:g} s each way"
    )
    port = _free_port()
    with running_daemon(_CONFIG.format(port=port)) as daemon:
        wait_until(lambda: _answers(port), "the exporter", _GIVE_UP_S, 0.1)
        time.sleep(_SETTLE_S)
        alone: list[_Round] = []
        harried: list[_Round] = []
        for number in range(rounds):
            progress(f"alone and with clients, round {number + 1} of {rounds}")
            alone.append(_round(daemon, seconds, None))
            harried.append(_round(daemon, seconds, _Clients(port)))
        memory = psutil.Process(daemon.pids()["exporter"]).memory_full_info()
    _report(part, alone, harried)
    part.lines.append(
        f"the exporter takes {format_bytes(memory.pss)} of PSS, {format_bytes(memory.uss)} of its own"
    )
    part.figures |= {"pss_bytes": memory.pss, "uss_bytes": memory.uss}
    return part


def _report(part: Part, alone: Sequence[_Round], harried: Sequence[_Round]) -> None:
    noise_us = _spread([each.quantile_us(0.99) for each in alone])
    added_us = median(_p99(harried)) - median(_p99(alone))
    scrapes_s = sorted(took_s for each in harried for took_s in each.scrapes_s)
    if not scrapes_s:
        raise BenchError("not one scrape was answered")
    failed = sum(each.failed for each in harried)
    part.lines = _table(alone, harried)
    part.lines += [
        f"p99 of rounds in which nobody asks lies {noise_us:.0f} µs apart; clients add {added_us:+.0f} µs",
        f"{len(scrapes_s)} scrapes, {failed} failed; median {median(scrapes_s) * 1000:.1f} ms, "
        f"longest {scrapes_s[-1] * 1000:.0f} ms",
    ]
    part.figures = {
        "alone_p99_us": _p99(alone),
        "harried_p99_us": _p99(harried),
        "noise_us": noise_us,
        "added_us": added_us,
        "scrapes": len(scrapes_s),
        "failed": failed,
        "rounds": [
            {key: value for key, value in asdict(each).items() if key in ("failed", "cpu_share")}
            for each in harried
        ],
    }
    part.targets = [
        Target("what clients add to p99", added_us, noise_us, "µs"),
        Target("scrapes that failed", float(failed), 0.0, ""),
    ]


def _round(daemon: Daemon, seconds: float, clients: _Clients | None) -> _Round:
    pid = daemon.pids()["exporter"]
    with ExitStack() as stack:
        if clients is not None:
            stack.enter_context(clients.at_work())
            time.sleep(1.0)
        began_ns, cpu_ns = time.monotonic_ns(), cpu_time_ns(pid)
        time.sleep(seconds)
        ended_ns = time.monotonic_ns()
        share = (cpu_time_ns(pid) - cpu_ns) / (ended_ns - began_ns)
    segments = read_segments(open_ring(daemon.places.ring), from_ns=began_ns)
    lags_ns = [
        moment.sample.lag_ns
        for moment in moments(segments)
        if began_ns <= moment.sample.monotonic_ns <= ended_ns
    ]
    if not lags_ns:
        raise BenchError("nothing was sampled")
    return _Round(lags_ns, clients.took_s if clients else [], clients.failed if clients else 0, share)


def _p99(rounds: Sequence[_Round]) -> list[float]:
    return [each.quantile_us(0.99) for each in rounds]


def _spread(values: Sequence[float]) -> float:
    """How far apart they lie, without the best and the worst where there are enough of them."""
    inner = sorted(values)[1:-1] if len(values) > 4 else values
    return max(inner) - min(inner)


def _table(alone: Sequence[_Round], harried: Sequence[_Round]) -> list[str]:
    rows = [["", "ticks", "p50", "p99", "worst", "p99 of each round", "exporter's CPU"]]
    for name, rounds in (("alone", alone), ("with clients", harried)):
        lags_ns = [lag_ns for each in rounds for lag_ns in each.lags_ns]
        every = _Round(lags_ns, [], 0, 0.0)
        rows.append(
            [
                name,
                str(len(lags_ns)),
                *(f"{every.quantile_us(share):.0f} µs" for share in (0.5, 0.99, 1.0)),
                " ".join(f"{each:.0f}" for each in _p99(rounds)),
                f"{median(each.cpu_share for each in rounds):.2%}",
            ]
        )
    return columns(rows, right=frozenset({1, 2, 3, 4, 6}))


def _scrape(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_GIVE_UP_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        if answer.status != http.client.OK or b"\nmemwatchd_up 1.0\n" not in answer.read():
            raise http.client.HTTPException("not the page it should be")
    finally:
        connection.close()


def _answers(port: int) -> bool:
    try:
        _scrape(port)
    except (OSError, http.client.HTTPException):
        return False
    return True


def _free_port() -> int:
    """A port nobody listens on; somebody else could take it before the exporter does, but hardly will."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
