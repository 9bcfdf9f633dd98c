"""The control socket and its clients, the clumsy and the hostile ones included."""

import json
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.descriptors import open_descriptors

from memwatchd.service.control import Connection, Control, ask, listen

REQUEST = {"command": "dump", "detail": "curious"}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Connection]]:
    """A client and the service's end of its connection."""
    client, ours = socket.socketpair()
    with client, ours:
        yield client, Connection(ours)


Pair = tuple[socket.socket, Connection]


def test_a_whole_request(pair: Pair) -> None:
    """`memwatchd dump` would not be heard."""
    client, connection = pair
    client.sendall(json.dumps(REQUEST).encode() + b"\n")
    assert connection.readable() == REQUEST


def test_a_request_in_pieces(pair: Pair) -> None:
    """A request would be lost when it arrives byte by byte, or hold up the service."""
    client, connection = pair
    message = json.dumps(REQUEST).encode() + b"\n"
    assert connection.readable() is None
    for at in range(len(message) - 1):
        client.send(message[at : at + 1])
        assert connection.readable() is None
    client.send(b"\n")
    assert connection.readable() == REQUEST


@pytest.mark.parametrize(
    "message",
    [
        b"\n",
        b"garbage\n",
        b"\xff\xfe\n",
        b"\0" * 10 + b"\n",
        b"[]\n",
        b'"dump"\n',
        b"null\n",
        b"{}{}\n",
        b"[" * 4000 + b"\n",
        b'{"a":' * 800 + b"\n",
        b"9" * 4090 + b"\n",
    ],
    ids=lambda message: repr(message[:12]),
)
def test_garbage_is_refused(pair: Pair, message: bytes) -> None:
    """Whoever may connect could end the service."""
    client, connection = pair
    client.sendall(message)
    with pytest.raises(ValueError, match=r"."):
        connection.readable()


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_request_without_end_is_refused(pair: Pair, pieces: int) -> None:
    """Whoever may connect could fill the service's memory."""
    client, connection = pair
    with pytest.raises(ValueError, match="expected one line of JSON"):
        for _ in range(pieces):
            client.sendall(b" " * (4096 // pieces + 1))
            for _ in range(4):
                connection.readable()


def test_a_client_that_goes_away_before_its_request_is_whole(pair: Pair) -> None:
    """The service would wait for it for ever, at full speed."""
    client, connection = pair
    client.sendall(b'{"command": "du')
    assert connection.readable() is None
    client.close()
    with pytest.raises(ValueError, match=r"."):
        connection.readable()


def test_the_answer_is_one_line_and_the_end(pair: Pair) -> None:
    """A client would wait for more."""
    client, connection = pair
    connection.answer({"path": "/x\udcff\n"})
    assert json.loads(client.makefile("rb").read()) == {"path": "/x\udcff\n"}


def test_an_answer_nobody_waits_for_is_no_harm(pair: Pair) -> None:
    """A client that was interrupted would end the service."""
    client, connection = pair
    client.close()
    connection.answer({"path": "/x"})
    assert connection.client.fileno() == -1


# ---- many of them


@dataclass
class Scene:
    """A control socket with its selector, turned by hand."""

    path: Path
    requests: list[dict[str, Any]] = field(default_factory=list)
    clients: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.listener = listen(self.path)
        self.control = Control(self.listener, self.selector, self._obey)

    def _obey(self, request: dict[str, Any], connection: Connection) -> None:
        self.requests.append(request)
        connection.answer({"done": len(self.requests)})

    def connect(self, message: bytes = b"") -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(self.path))
        client.sendall(message)
        self.clients.append(client)
        return client

    def turn(self) -> None:
        """As the service does, until nothing is left to do."""
        while ready := self.selector.select(0):
            for key, _ in ready:
                key.data()

    def close(self) -> None:
        for each in (*self.clients, self.listener):
            each.close()
        for key in list(self.selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self.selector.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "control.sock")
    yield made
    made.close()


def answer_of(client: socket.socket) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(client.makefile("rb").read())
    return answer


def test_one_after_the_other(scene: Scene) -> None:
    """Two operators at once would get each other's answer, or none."""
    first, second = scene.connect(), scene.connect()
    scene.turn()
    second.sendall(b'{"command": "b"}\n')
    scene.turn()
    first.sendall(b'{"command": "a"}\n')
    scene.turn()
    assert (answer_of(first), answer_of(second)) == ({"done": 2}, {"done": 1})
    assert scene.requests == [{"command": "b"}, {"command": "a"}]


def test_garbage_gets_an_answer_and_the_next_one_its_turn(scene: Scene) -> None:
    """One bad client would end the service, or the socket."""
    bad = scene.connect(b"[" * 4000 + b"\n")
    scene.turn()
    assert list(answer_of(bad)) == ["error"]
    good = scene.connect(b'{"command": "a"}\n')
    scene.turn()
    assert answer_of(good) == {"done": 1}


def test_clients_that_say_nothing_do_not_pile_up(scene: Scene) -> None:
    """A script gone wild would use up the service's descriptors, or lock out the operator."""
    before = open_descriptors()
    silent = []
    for _ in range(40):
        silent.append(scene.connect())
        scene.turn()
    assert open_descriptors() - before <= 40 + 8
    good = scene.connect(b'{"command": "a"}\n')
    scene.turn()
    assert answer_of(good) == {"done": 1}
    assert answer_of(silent[0]) == {"error": "too many connections"}


def test_clients_that_vanish_leave_nothing(scene: Scene) -> None:
    """Every interrupted command would cost a descriptor."""
    for _ in range(20):
        scene.connect(b'{"comm').close()
        scene.turn()
    assert len(scene.selector.get_map()) == 1


# ---- listening and asking


def test_the_socket_is_for_its_user_only_and_replaces_a_dead_one(tmp_path: Path) -> None:
    """Anybody could have the ring written to disk, or nobody after a crash."""
    path = tmp_path / "control.sock"
    listen(path).close()
    assert path.exists()
    with listen(path):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[[bytes], Path]]:
    """A daemon that gives one prepared answer."""
    threads: list[threading.Thread] = []

    def answering(answer: bytes) -> Path:
        path = tmp_path / "control.sock"
        listener = listen(path)
        listener.setblocking(True)

        def serve() -> None:
            with listener, listener.accept()[0] as client:
                client.recv(4096)
                client.sendall(answer)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return path

    yield answering
    for thread in threads:
        thread.join(5)


def test_asking(daemon: Callable[[bytes], Path]) -> None:
    """`memwatchd dump` would not print the path."""
    assert ask(daemon(b'{"path": "/x"}\n'), REQUEST, 5.0) == {"path": "/x"}


@pytest.mark.parametrize("answer", [b"", b"garbage", b"[]"])
def test_an_answer_that_is_none(daemon: Callable[[bytes], Path], answer: bytes) -> None:
    """A daemon that dies while it is asked would end the command in a traceback."""
    with pytest.raises(ValueError, match=r"."):
        ask(daemon(answer), REQUEST, 5.0)


def test_asking_nobody(tmp_path: Path) -> None:
    """A daemon that does not run would end the command in a traceback."""
    with pytest.raises(FileNotFoundError):
        ask(tmp_path / "control.sock", REQUEST, 5.0)
    listen(tmp_path / "control.sock").close()
    with pytest.raises(ConnectionRefusedError):
        ask(tmp_path / "control.sock", REQUEST, 5.0)
