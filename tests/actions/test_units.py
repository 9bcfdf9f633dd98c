"""Restarting and stopping units, and rebooting in order: against a made-up systemd that speaks D-Bus."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.actions.fake_systemd import FakeSystemd, serve_on_bus, serve_private
from tests.actions.machine import Machine, occasion, real_machine

from memwatchd.actions import _units as units_module
from memwatchd.actions import reboot as reboot_module
from memwatchd.actions.base import Intent, Outcome, Target, Verdict
from memwatchd.actions.reboot import Reboot
from memwatchd.actions.restart_unit import RestartUnit
from memwatchd.actions.stop_unit import StopUnit
from memwatchd.kernel import unitbus

MIB = 1 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """The clock must be the real one: sockets wait by it."""
    return real_machine(tmp_path)


@pytest.fixture
def systemd() -> FakeSystemd:
    states = {"a.service": "active", "b@1.service": "active", "c.service": "inactive"}
    return FakeSystemd(states, {"a.service": 400 * MIB})


@pytest.fixture(params=["private", "bus"])
def running(
    request: pytest.FixtureRequest, systemd: FakeSystemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Have systemd answer, on its own socket or on a message bus."""
    monkeypatch.setattr(unitbus, "PRIVATE", str(tmp_path / "private"))
    monkeypatch.setattr(unitbus, "SYSTEM", str(tmp_path / "bus"))
    if request.param == "private":
        monkeypatch.setattr("os.geteuid", lambda: 0)
        stop = serve_private(systemd, tmp_path / "private")
    else:
        served = serve_on_bus(systemd, tmp_path)
        if served is None:
            pytest.skip("there is no dbus-daemon (Debian: dbus-daemon)")
        stop = served[1]
    try:
        yield
    finally:
        stop()


@pytest.mark.usefixtures("running")
def test_active_units_are_restarted_and_what_they_gave_back_is_told(
    machine: Machine, systemd: FakeSystemd
) -> None:
    """A unit that was off would be started in the emergency, or a restart not be waited for."""
    action = RestartUnit(units=("a.service", "b@1.service", "c.service"))
    assert action.act(machine.world, occasion()) == Outcome(
        Verdict.HELPED,
        "a.service restarted, 300 MiB less; b@1.service restarted, 0 B less",
        {"units_done": 2, "freed_bytes": 300 * MIB},
    )
    assert systemd.jobs == [
        ("TryRestartUnit", "a.service", "replace"),
        ("TryRestartUnit", "b@1.service", "replace"),
    ]


@pytest.mark.usefixtures("running")
def test_a_job_that_ends_before_its_answer_is_not_missed(machine: Machine, systemd: FakeSystemd) -> None:
    """It would be waited for until the deadline."""
    systemd.early = True
    outcome = StopUnit(units=("a.service",)).act(machine.world, occasion())
    assert outcome == Outcome(
        Verdict.HELPED, "a.service stopped, 300 MiB less", {"units_done": 1, "freed_bytes": 300 * MIB}
    )
    assert systemd.jobs == [("StopUnit", "a.service", "replace")]


@pytest.mark.usefixtures("running")
def test_a_job_that_fails_is_a_failure(machine: Machine, systemd: FakeSystemd) -> None:
    """A service that is now down would be told as helped."""
    systemd.results = {"a.service": "failed"}
    assert RestartUnit(units=("a.service", "b@1.service")).act(machine.world, occasion()) == Outcome(
        Verdict.FAILED,
        "a.service: the job ended as failed, the unit is active; b@1.service restarted, 0 B less",
        {"units_done": 1, "freed_bytes": 0},
    )


@pytest.mark.usefixtures("running")
def test_a_job_that_does_not_end_is_left_to_systemd(machine: Machine, systemd: FakeSystemd) -> None:
    """The rule's next step would never come."""
    systemd.results = {"a.service": None}
    until_ns = machine.world.now_ns() + 300_000_000
    assert RestartUnit(units=("a.service",)).act(machine.world, occasion(until_ns)) == Outcome(
        Verdict.TIMED_OUT,
        "systemd was not done with it by the deadline",
        {"units_done": 0, "freed_bytes": 0},
    )


@pytest.mark.usefixtures("running")
def test_a_refusal_is_an_error_with_systemds_words(machine: Machine, systemd: FakeSystemd) -> None:
    """Nobody would know what is wrong with the configuration."""
    systemd.results = {"a.service": "refused"}
    with pytest.raises(OSError, match=r"TryRestartUnit: Unit a\.service not loaded"):
        RestartUnit(units=("a.service",)).act(machine.world, occasion())


@pytest.mark.usefixtures("running")
def test_it_says_what_it_would_do(machine: Machine, systemd: FakeSystemd) -> None:
    """A dry run would restart a service."""
    action = StopUnit(units=("a.service", "c.service"))
    assert action.aim(machine.world) == Intent(
        "stop a.service, c.service",
        (Target("a.service", "is active"),),
        (Target("c.service", "is inactive"),),
    )
    assert list(action.missing(machine.world)) == []
    assert StopUnit(units=("c.service",)).act(machine.world, occasion()) == Outcome(
        Verdict.DECLINED, "none of c.service is active"
    )
    assert systemd.jobs == []


@pytest.mark.usefixtures("running")
def test_a_reboot_in_order_is_systemds(machine: Machine, systemd: FakeSystemd) -> None:
    """Services would lose what they have not written yet."""
    action = Reboot(i_know=True)
    assert list(action.missing(machine.world)) == []
    assert action.act(machine.world, occasion()) == Outcome(
        Verdict.HELPED, "systemd has begun to restart the machine"
    )
    assert systemd.jobs == [("StartUnit", "reboot.target", "replace-irreversibly")]


# ---- without a systemd that answers


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sockets that are not there."""
    monkeypatch.setattr(unitbus, "PRIVATE", str(tmp_path / "private"))
    monkeypatch.setattr(unitbus, "SYSTEM", str(tmp_path / "bus"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tmp_path


def test_without_systemd_it_says_so_at_once(machine: Machine, nobody: Path) -> None:
    """It would be noticed at the first emergency, or only after the whole deadline."""
    action = RestartUnit(units=("a.service",))
    (problem,) = action.missing(machine.world)
    assert problem == f"systemd: {nobody}/private: No such file or directory"
    for attempt in (lambda: action.aim(machine.world), lambda: action.act(machine.world, occasion())):
        with pytest.raises(FileNotFoundError):
            attempt()
    (problem,) = Reboot(i_know=True).missing(machine.world)
    assert problem.startswith("systemd: ")


def test_a_busy_systemd_is_not_missing(
    machine: Machine, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after the start of the machine, the status would say for days that there is no systemd."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(nobody / "private"))
        listener.listen()
        for module in (units_module, reboot_module):
            monkeypatch.setattr(module, "LOOK_NS", 50_000_000)
        assert list(RestartUnit(units=("a.service",)).missing(machine.world)) == []
        assert list(Reboot(i_know=True).missing(machine.world)) == []


def test_who_does_not_let_us_in_is_told(machine: Machine, nobody: Path) -> None:
    """A refusal would look like a systemd that is busy."""

    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"REJECTED EXTERNAL\r\nERROR\r\n")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(nobody / "private"))
        listener.listen()
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        with pytest.raises(unitbus.UnitBusError, match="private: does not let us in: b'REJECTED EXTERNAL"):
            unitbus._connect_to(unitbus.PRIVATE, machine.world.now_ns() + 10_000_000_000)
        thread.join()


def test_who_does_not_answer_is_given_up_at_the_deadline(machine: Machine, nobody: Path) -> None:
    """A systemd that waits for memory itself would hold the rule up for ever."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(nobody / "private"))
        listener.listen()
        until_ns = machine.world.now_ns() + 300_000_000
        outcome = RestartUnit(units=("a.service",)).act(machine.world, occasion(until_ns))
    assert (outcome.verdict, outcome.detail) == (
        Verdict.TIMED_OUT,
        "systemd was not done with it by the deadline",
    )


def test_who_comes_back_within_the_deadline_is_asked_again(
    machine: Machine, nobody: Path, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A systemd that re-executes itself just then would make the action fail."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(nobody / "private"))  # nobody listens there: refused
    stops: list[Callable[[], None]] = []

    def come_back(_seconds: float) -> None:
        if not stops:
            (nobody / "private").unlink()
            stops.append(serve_private(systemd, nobody / "private"))

    monkeypatch.setattr("memwatchd.kernel.unitbus.time.sleep", come_back)
    try:
        outcome = StopUnit(units=("a.service",)).act(machine.world, occasion())
    finally:
        stops[0]()
    assert outcome.verdict is Verdict.HELPED


@pytest.mark.parametrize("answer", [b"REJECTED KERBEROS\r\n", b"OK 0123\r\n", b""])
def test_who_does_not_speak_d_bus_is_an_error(machine: Machine, nobody: Path, answer: bytes) -> None:
    """A worker would end with a traceback, and the action never run again."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(nobody / "private"))
        listener.listen()

        def talk() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(ConnectionError):
                    connection.recv(4096)
                    connection.sendall(answer)
                    while connection.recv(4096):
                        connection.sendall(b"nonsense" * 100)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        until_ns = machine.world.now_ns() + 300_000_000
        try:
            outcome = RestartUnit(units=("a.service",)).act(machine.world, occasion(until_ns))
        except OSError:
            outcome = None
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)
    assert outcome is None or outcome.verdict is Verdict.TIMED_OUT


@pytest.mark.parametrize(
    "unit", ["cron", "a b.service", "memwatchd.service", "init.scope", "-.slice", "", "x.y"]
)
def test_only_full_names_of_units_that_may_go(unit: str) -> None:
    """A rule could end the recorder, or systemd itself."""
    (problem,) = StopUnit(units=(unit,)).problems()
    assert unit in problem
    assert list(StopUnit(units=()).problems()) == ["units: expected at least one unit"]
    assert list(StopUnit(units=("a.service", r"b@x\x2dy.service", "user-1000.slice")).problems()) == []
