"""Asking systemd over D-Bus: unit states, jobs, and waiting for a job's end.

Root reaches systemd itself at /run/systemd/private, without a message bus in between that might be what is
stuck; everybody else goes through the system bus. Messages are made and read by jeepney; entering and waiting
are done here, so that every single send and receive ends at the deadline. Interface:
org.freedesktop.systemd1(5).
"""

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jeepney
from jeepney.auth import BEGIN, make_auth_external

PRIVATE = "/run/systemd/private"
SYSTEM = "/run/dbus/system_bus_socket"

_NAME = "org.freedesktop.systemd1"
_MANAGER_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{_NAME}.Manager"
_RECEIVE_BYTES = 65536
_RETRY_S = 0.1
_UNKNOWN = 2**64 - 1


class UnitBusError(OSError):
    """systemd refused, or what answered does not speak D-Bus."""


@dataclass(slots=True)
class UnitBus:
    """A connection to systemd, for one thread.

    Attributes:
        until_ns: Deadline of everything that is done with it, on the monotonic clock.
    """

    until_ns: int
    _socket: socket.socket
    _parser: Any = field(default_factory=jeepney.Parser)
    _serial: int = 0
    _removed: dict[str, str] = field(default_factory=dict)

    def state(self, unit: str) -> str:
        """Give a unit's ActiveState: active, inactive, failed, activating or the like.

        Raises:
            OSError: systemd does not answer, or refuses.
        """
        return str(self._property(unit, f"{_NAME}.Unit", "ActiveState"))

    def memory_bytes(self, unit: str) -> int | None:
        """Give what a service uses, None where its memory is not accounted for or it is no service.

        Raises:
            OSError: systemd does not answer.
        """
        try:
            value = int(self._property(unit, f"{_NAME}.Service", "MemoryCurrent"))
        except UnitBusError:
            return None
        return None if value == _UNKNOWN else value

    def start_job(self, method: str, unit: str, mode: str) -> str:
        """Have systemd begin a job (TryRestartUnit, StopUnit, StartUnit); returns its object path.

        Raises:
            OSError: systemd does not answer, or refuses.
        """
        (job,) = self._call(_MANAGER_PATH, _MANAGER, method, "ss", (unit, mode))
        return str(job)

    def wait_for(self, job: str) -> str:
        """Wait for a job's end; returns its result: done, failed, timeout, canceled, dependency, skipped.

        Raises:
            TimeoutError: It has not ended by the deadline; systemd goes on with it.
            OSError: The connection broke.
        """
        while job not in self._removed:
            self._note_signal(self._receive())
        return self._removed.pop(job)

    def subscribe(self) -> None:
        """Have systemd tell of every job's end.

        Raises:
            OSError: systemd does not answer, or refuses.
        """
        self._call(_MANAGER_PATH, _MANAGER, "Subscribe")

    def hello(self) -> None:
        """Enter a message bus, and have it pass on what systemd tells.

        Raises:
            OSError: The bus does not answer, or refuses.
        """
        bus = "org.freedesktop.DBus"
        rule = f"type='signal',sender='{_NAME}',interface='{_MANAGER}',member='JobRemoved'"
        self._call("/org/freedesktop/DBus", bus, "Hello", name=bus)
        self._call("/org/freedesktop/DBus", bus, "AddMatch", "s", (rule,), name=bus)

    def close(self) -> None:
        """Give the connection back."""
        self._socket.close()

    def _property(self, unit: str, interface: str, name: str) -> Any:
        # LoadUnit and not GetUnit: a unit that is not running need not be loaded.
        (path,) = self._call(_MANAGER_PATH, _MANAGER, "LoadUnit", "s", (unit,))
        properties = "org.freedesktop.DBus.Properties"
        ((_, value),) = self._call(path, properties, "Get", "ss", (interface, name))
        return value

    def _call(
        self,
        path: str,
        interface: str,
        method: str,
        signature: str | None = None,
        body: tuple[str, ...] = (),
        name: str = _NAME,
    ) -> tuple[Any, ...]:
        address = jeepney.DBusAddress(path, bus_name=name, interface=interface)
        self._serial += 1
        message = jeepney.new_method_call(address, method, signature, body)
        self._socket.settimeout(self._left_s())
        self._socket.sendall(message.serialise(serial=self._serial))
        while True:
            reply = self._receive()
            if reply.header.fields.get(jeepney.HeaderFields.reply_serial) == self._serial:
                break
            self._note_signal(reply)
        if reply.header.message_type is jeepney.MessageType.error:
            error = reply.header.fields.get(jeepney.HeaderFields.error_name)
            raise UnitBusError(f"{method}: {reply.body[0] if reply.body else error}")
        return tuple(reply.body)

    def _note_signal(self, message: Any) -> None:
        if message.header.fields.get(jeepney.HeaderFields.member) == "JobRemoved":
            _, job, _, result = message.body
            self._removed[job] = result

    def _receive(self) -> Any:
        while (message := self._parsed()) is None:
            self._socket.settimeout(self._left_s())
            data = self._socket.recv(_RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError("systemd closed the connection")
            self._parser.add_data(data)
        return message

    def _parsed(self) -> Any:
        try:
            return self._parser.get_next_message()
        except (ValueError, LookupError, struct.error) as error:
            raise UnitBusError(f"systemd sent what is no D-Bus message: {error}") from error

    def _left_s(self) -> float:
        return _left_s(self.until_ns)


@contextmanager
def open_unit_bus(until_ns: int) -> Iterator[UnitBus]:
    """Connect to systemd, trying again until the deadline; everything done with it ends then, too.

    Raises:
        OSError: No way leads to it: what the last way said.
    """
    bus = _connect(until_ns)
    try:
        yield bus
    finally:
        bus.close()


def _connect(until_ns: int) -> UnitBus:
    while True:
        problem: OSError | None = None
        for address in (PRIVATE, SYSTEM) if os.geteuid() == 0 else (SYSTEM,):
            try:
                return _connect_to(address, until_ns)
            except OSError as error:
                # The first that is more than "not there" is what a person wants to know.
                absent = isinstance(problem, FileNotFoundError) and not isinstance(error, FileNotFoundError)
                problem = error if problem is None or absent else problem
        if time.monotonic_ns() + _RETRY_S * 1e9 >= until_ns or isinstance(problem, FileNotFoundError):
            raise problem or TimeoutError("systemd did not answer in time")
        time.sleep(_RETRY_S)


def _connect_to(address: str, until_ns: int) -> UnitBus:
    connection = socket.socket(socket.AF_UNIX)
    try:
        _enter(connection, address, until_ns)
    except OSError as error:
        connection.close()
        if error.strerror is None:
            raise
        raise OSError(error.errno, error.strerror, address) from error
    bus = UnitBus(until_ns, connection)
    try:
        if address == SYSTEM:
            bus.hello()
        bus.subscribe()
    except OSError:
        bus.close()
        raise
    return bus


def _enter(connection: socket.socket, address: str, until_ns: int) -> None:
    """Connect, and say who we are.

    BEGIN is sent at once and the first message after the answer: what systemd reads together with BEGIN it
    lets lie until there is more to read (sd-bus, bus_socket_auth_verify_server).
    """
    connection.settimeout(_left_s(until_ns))
    connection.connect(address)
    connection.sendall(b"\0" + make_auth_external() + BEGIN)
    answer = b""
    while not answer.endswith(b"\r\n"):
        connection.settimeout(_left_s(until_ns))
        data = connection.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        answer += data
    if not answer.startswith(b"OK "):
        raise UnitBusError(f"{address}: does not let us in: {answer[:100]!r}")


def _left_s(until_ns: int) -> float:
    left_ns = until_ns - time.monotonic_ns()
    if left_ns <= 0:
        raise TimeoutError("systemd did not answer in time")
    return left_ns / 1e9
