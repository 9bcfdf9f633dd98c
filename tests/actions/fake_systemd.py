"""Somebody who speaks systemd's D-Bus interface as far as needed, on a private socket or a real bus."""

import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jeepney
from jeepney.io.blocking import open_dbus_connection

_NAME = "org.freedesktop.systemd1"
_MANAGER = f"{_NAME}.Manager"
_ROOT = "/org/freedesktop/systemd1"
_CONFIG = """<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/></policy></busconfig>
"""


@dataclass
class FakeSystemd:
    """Units and what becomes of jobs.

    Attributes:
        states: ActiveState by unit.
        memory: MemoryCurrent by service.
        results: What a unit's job ends with, if not ``done``; None never ends.
        early: Tell of a job's end before answering that it has begun.
        jobs: What was asked for: method, unit, mode.
    """

    states: dict[str, str]
    memory: dict[str, int] = field(default_factory=dict)
    results: dict[str, str | None] = field(default_factory=dict)
    early: bool = False
    jobs: list[tuple[str, str, str]] = field(default_factory=list)

    def answers(self, message: Any) -> list[Any]:
        """Give what is sent when a message has come."""
        member = message.header.fields.get(jeepney.HeaderFields.member)
        match member, message.body:
            case "Subscribe", _:
                return [jeepney.new_method_return(message)]
            case "LoadUnit", (unit,):
                path = f"{_ROOT}/unit/{re.sub('[^A-Za-z0-9]', _escape, unit)}"
                return [jeepney.new_method_return(message, "o", (path,))]
            case "Get", (_, name):
                return [self._property(message, name)]
            case (("TryRestartUnit" | "StopUnit" | "StartUnit"), (unit, mode)):
                return self._job(message, member, unit, mode)
        return []  # signals of the bus

    def _property(self, message: Any, name: str) -> Any:
        path = message.header.fields[jeepney.HeaderFields.path]
        unit = re.sub("_([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), path.rpartition("/")[2])
        if name == "ActiveState":
            value: tuple[str, str | int] = ("s", self.states.get(unit, "inactive"))
        elif unit in self.memory:
            value = ("t", self.memory[unit])
        else:
            body = ("Unknown property",)
            return jeepney.new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", "s", body)
        return jeepney.new_method_return(message, "v", (value,))

    def _job(self, message: Any, method: str, unit: str, mode: str) -> list[Any]:
        self.jobs.append((method, unit, mode))
        if self.results.get(unit) == "refused":
            return [jeepney.new_error(message, f"{_NAME}.NoSuchUnit", "s", (f"Unit {unit} not loaded.",))]
        job = f"{_ROOT}/job/{len(self.jobs)}"
        reply = jeepney.new_method_return(message, "o", (job,))
        result = self.results.get(unit, "done")
        if result is None:
            return [reply]
        if result == "done":
            self.memory[unit] = self.memory.get(unit, 0) // 4
            self.states[unit] = "inactive" if method == "StopUnit" else "active"
        emitter = jeepney.DBusAddress(_ROOT, interface=_MANAGER)
        told = jeepney.new_signal(emitter, "JobRemoved", "uoss", (len(self.jobs), job, unit, result))
        other = jeepney.new_signal(
            emitter, "JobRemoved", "uoss", (999, f"{_ROOT}/job/999", "x.service", "done")
        )
        return [other, told, reply] if self.early else [reply, other, told]


def _escape(found: re.Match[str]) -> str:
    return f"_{ord(found[0]):02x}"


def serve_private(systemd: FakeSystemd, path: Path) -> Callable[[], None]:
    """Listen as systemd does at /run/systemd/private; returns what ends it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            # Who only wanted something begun does not wait for its end.
            with connection, suppress(ConnectionError):
                _talk(systemd, connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def stop() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)

    return stop


def _talk(systemd: FakeSystemd, connection: socket.socket) -> None:
    said = b""
    # A client that waits for OK before it says BEGIN may have its first message read together with that,
    # which systemd then lets lie.
    while b"\r\nBEGIN\r\n" not in said:
        data = connection.recv(4096)
        if not data:
            return
        said += data
    connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
    parser = jeepney.Parser()
    parser.add_data(said.partition(b"BEGIN\r\n")[2])
    serial = 0
    while True:
        while (message := parser.get_next_message()) is None:
            data = connection.recv(65536)
            if not data:
                return
            parser.add_data(data)
        for answer in systemd.answers(message):
            serial += 1
            connection.sendall(answer.serialise(serial=serial))


def serve_on_bus(systemd: FakeSystemd, directory: Path) -> tuple[Path, Callable[[], None]] | None:
    """Start a message bus and be systemd on it; returns its socket and what ends it, if there is a bus."""
    program = shutil.which("dbus-daemon")
    if program is None:
        return None
    path = directory / "bus"
    (directory / "bus.conf").write_text(_CONFIG.format(socket=path))
    command = [program, "--nofork", "--print-address=1", f"--config-file={directory}/bus.conf"]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    daemon.stdout.readline()  # it listens now
    connection = open_dbus_connection(f"unix:path={path}")
    reply = connection.send_and_get_reply(jeepney.message_bus.RequestName(_NAME))
    assert reply.body == (1,)

    def run() -> None:
        try:
            while True:
                for answer in systemd.answers(connection.receive()):
                    connection.send(answer)
        except (ConnectionError, OSError, ValueError):
            return  # the bus has ended

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def stop() -> None:
        daemon.terminate()
        daemon.wait()
        thread.join(30)
        connection.close()
        if daemon.stdout is not None:
            daemon.stdout.close()

    return path, stop
