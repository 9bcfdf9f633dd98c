"""The kernel's emergency commands, panic and reboot: on a made-up /proc only."""

import os
from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion, real_machine, when_written

from memwatchd.actions import panic as panic_module
from memwatchd.actions import reboot as reboot_module
from memwatchd.actions import sysrq as sysrq_module
from memwatchd.actions.base import Outcome, Verdict
from memwatchd.actions.panic import Panic
from memwatchd.actions.reboot import Reboot
from memwatchd.actions.sysrq import Letter, Sysrq
from memwatchd.kernel import reboot

FILE = "proc/sysrq-trigger"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that cannot restart anything but itself."""
    made = fake_machine(tmp_path)
    made.write(FILE, "")
    made.write("proc/vmstat", "nr_free_pages 1\noom_kill 4\n")
    monkeypatch.setattr(reboot, "restart_now", lambda: made.write("restarted", "at once"))
    monkeypatch.setattr(reboot, "is_filtered", lambda: False)
    return made


@pytest.mark.parametrize("letter", ["m", "w", "t", "s"])
def test_harmless_letters_need_no_more_words(machine: Machine, letter: Letter) -> None:
    """A report into the kernel's log would need as much courage as a reboot."""
    action = Sysrq(letter=letter)
    assert list(action.problems()) == []
    assert action.act(machine.world, occasion()).verdict is Verdict.HELPED
    assert machine.read(FILE) == letter


@pytest.mark.parametrize("letter", ["f", "u", "b"])
def test_the_others_need_to_be_meant(machine: Machine, letter: Letter) -> None:
    """A letter mistyped would restart the machine."""
    (problem,) = Sysrq(letter=letter).problems()
    assert problem.startswith(f"i_know: expected true, because sysrq {letter} ")
    assert list(Sysrq(letter=letter, i_know=True).problems()) == []


def test_other_letters_are_not_known() -> None:
    """C would be a panic without its word."""
    (problem,) = Sysrq(letter="c", i_know=True).problems()  # type: ignore[arg-type]
    assert problem == "letter: expected one of m, w, t, s, f, u, b; got 'c'"


def test_whether_the_oom_killer_killed_is_measured(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that found no victim would be told as help."""
    action = Sysrq(letter="f", i_know=True)

    def kill() -> None:
        machine.write("proc/vmstat", "nr_free_pages 1\noom_kill 5\n")

    monkeypatch.setattr(sysrq_module, "write_value", when_written(machine.root / FILE, kill))
    assert action.act(machine.world, occasion()) == Outcome(
        Verdict.HELPED, "the OOM killer has killed", {"kills": 1}
    )
    assert action.act(machine.world, occasion(until_ns=0)) == Outcome(
        Verdict.NO_EFFECT, "the OOM killer has killed nothing by the deadline", {"kills": 0}
    )
    machine.write("proc/vmstat", "nr_free_pages 1\n")
    assert action.act(machine.world, occasion()).detail.startswith("the kernel was told: it has the OOM")


def test_panic_is_written_down_before_it_happens(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would know afterwards who did it."""

    def write(path: Path, text: str) -> None:
        machine.write("order", f"{len(machine.outlets.notes)} {path} {text}")

    monkeypatch.setattr(panic_module, "write_value", write)
    assert Panic(i_know=True).act(machine.world, occasion()).verdict is Verdict.FAILED
    assert machine.read("order") == f"1 {machine.root}/{FILE} c"
    assert machine.outlets.notes[0][:2] == (
        "error",
        "rule slab has the kernel panic: meminfo.SReclaimable (9 GiB) is above 1 GiB",
    )


def test_a_reboot_at_once_is_the_kernels(machine: Machine) -> None:
    """It would wait for a systemd that is itself out of memory."""
    outcome = Reboot(how="at_once", i_know=True).act(machine.world, occasion())
    assert (outcome.verdict, machine.read("restarted")) == (Verdict.FAILED, "at once")
    assert machine.outlets.notes[0][1].startswith("rule slab restarts the machine: ")


def test_a_system_call_filter_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The capability alone would look like enough, and the machine stay as it is."""
    monkeypatch.setattr(reboot_module, "has_capability", lambda _number: True)
    monkeypatch.setattr(reboot, "is_filtered", lambda: True)
    assert list(Reboot(how="at_once", i_know=True).missing(machine.world)) == [
        "reboot: not permitted by the system call filter (needs SystemCallFilter=@reboot)"
    ]


@pytest.mark.parametrize("action", [Panic(), Reboot(), Reboot(how="at_once")])
def test_they_need_to_be_meant(action: Panic | Reboot) -> None:
    """A rule copied from somewhere would end a machine."""
    (problem,) = action.problems()
    assert problem.startswith(f"i_know: expected true, because {action.name} ")
    assert list(type(action)(i_know=True).problems()) == []


def test_looking_triggers_nothing(machine: Machine) -> None:
    """Asking what is missing, or a dry run, would restart the machine."""
    for action in (Sysrq(letter="b", i_know=True), Panic(i_know=True)):
        assert list(action.missing(machine.world)) == []
        assert f"to {machine.root}/{FILE}" in action.aim(machine.world).sentence
    assert Reboot(how="at_once", i_know=True).aim(machine.world).sentence.startswith("restart the machine")
    list(Reboot(how="at_once", i_know=True).missing(machine.world))
    assert machine.read(FILE) == ""
    assert not (machine.root / "restarted").exists()


def test_a_kernel_without_sysrq_is_told(machine: Machine) -> None:
    """It would be noticed when it is the last thing that could help."""
    (machine.root / FILE).unlink()
    for action in (Sysrq(letter="m"), Panic(i_know=True)):
        (problem,) = action.missing(machine.world)
        assert problem.startswith(f"{machine.root}/{FILE}: No such file or directory (needs uid 0")
        with pytest.raises(FileNotFoundError):
            action.act(machine.world, occasion())


def test_memory_on_this_kernel(tmp_path: Path) -> None:
    """The kernel would not take the letter."""
    machine = real_machine(tmp_path)
    action = Sysrq(letter="m")
    problem = next(iter(action.missing(machine.world)), None)
    if problem or os.geteuid() != 0:
        pytest.skip(problem or "writing to sysrq-trigger needs root")
    assert action.act(machine.world, occasion()).verdict is Verdict.HELPED
