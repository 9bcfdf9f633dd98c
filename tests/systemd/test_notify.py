"""What systemd hears of the daemon: ready, reloading, alive, stopping, each when it is true."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.conftest import StartDaemon, _alone, make_daemon, runtime_dir, start_daemon, wait_for

__all__ = ["_alone", "make_daemon", "runtime_dir", "start_daemon"]

pytestmark = pytest.mark.live


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.messages: list[str] = []

    def hear(self) -> list[str]:
        """Everything said so far, but for the status lines that come every second."""
        while True:
            try:
                self.messages.append(self._socket.recv(65536).decode())
            except BlockingIOError:
                return [each for each in self.messages if not each.startswith("STATUS=")]

    def wait(self, what: str) -> None:
        """Wait until a message begins so."""
        wait_for(lambda: any(each.startswith(what) for each in self.hear()), what, lambda: str(self.messages))

    def forget(self) -> None:
        """Begin anew."""
        self.hear()
        self.messages.clear()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


@pytest.fixture
def systemd(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """A manager that listens; the daemon is told of it as by the real one."""
    path = runtime_dir / "notify"
    manager = Systemd(path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    yield manager
    manager.close()


def test_from_the_beginning_to_the_end(start_daemon: StartDaemon, systemd: Systemd) -> None:
    """`systemctl start` would return before anything is recorded, or never."""
    daemon = start_daemon()
    assert systemd.hear()[0] == "READY=1\nSTATUS=sampling"
    assert "sampling " in daemon.log()
    systemd.wait("WATCHDOG=1")
    systemd.forget()
    assert daemon.stop() == 0
    assert systemd.hear()[-1] == "STOPPING=1"


def test_the_status_is_one_telling_line(start_daemon: StartDaemon, systemd: Systemd) -> None:
    """`systemctl status` would not say how it is."""
    start_daemon()

    def told() -> list[str]:
        systemd.hear()
        return [each for each in systemd.messages if each.startswith("STATUS=")]

    (line,) = wait_for(told, "a status line")[-1].splitlines()
    assert " ticks at " in line
    assert " kills, " in line


@pytest.mark.parametrize("how", ["SIGHUP", "command"])
def test_a_reload_is_announced_and_ended(start_daemon: StartDaemon, systemd: Systemd, how: str) -> None:
    """`systemctl reload` would return before the new configuration counts, or hang until its time is up."""
    daemon = start_daemon()
    systemd.forget()
    if how == "SIGHUP":
        os.kill(daemon.pid, signal.SIGHUP)
        systemd.wait("READY=1")
        wait_for(lambda: systemd.hear()[-1] != "RELOADING=1", "the end of the reload")
    else:
        assert daemon.cli("reload").returncode == 0
    said = [each for each in systemd.hear() if not each.startswith("WATCHDOG")]
    assert said[0].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert int(said[0].rpartition("=")[2]) > 0
    assert said[-1].startswith("READY=1")


def test_a_refused_reload_is_ended_too(start_daemon: StartDaemon, systemd: Systemd) -> None:
    """A typing error would leave the unit reloading for ever."""
    daemon = start_daemon()
    (path,) = [Path(each) for each in daemon.arguments if each.endswith(".yaml")]
    path.write_text("sampling: {rate: much}\n")
    systemd.forget()
    assert daemon.cli("reload").returncode != 0
    said = [each for each in systemd.hear() if not each.startswith("WATCHDOG")]
    assert [each.splitlines()[0] for each in said] == ["RELOADING=1", "READY=1"]


def test_a_sampler_that_stands_still_is_no_sign_of_life(start_daemon: StartDaemon, systemd: Systemd) -> None:
    """A recorder that records nothing would look alive to systemd for ever."""
    daemon = start_daemon()
    systemd.wait("WATCHDOG=1")
    sampler = daemon.state()["sampler_pid"]
    os.kill(sampler, signal.SIGSTOP)
    try:
        # Two seconds after the last tick nothing more is said; status lines show that the service goes on.
        wait_for(lambda: _quiet(systemd), "the watchdog to be left alone")
    finally:
        os.kill(sampler, signal.SIGCONT)
    systemd.forget()
    systemd.wait("WATCHDOG=1")


def _quiet(systemd: Systemd) -> bool:
    """Whether the last three things said were status lines only."""
    systemd.hear()
    return len(systemd.messages) > 3 and all(each.startswith("STATUS=") for each in systemd.messages[-4:])
