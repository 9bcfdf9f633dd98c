"""``memwatchd scrub`` on the command line: what goes in, where it goes to, and what is said of it."""

import gzip
import os
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.cli.conftest import Command
from tests.conftest import Tape, WriteIncident, meminfo, vmstat

from memwatchd.cli import main
from memwatchd.incidents.reader import open_incident

LOG = (
    "Apr 22 14:31:38 web-7 kernel: [1.000000] ledger invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), "
    "order=0, oom_score_adj=0\n"
)
SCRUBBED = LOG.replace("web-7", "host-1").replace("ledger", "proc-1")


@pytest.fixture
def scrub(in_empty_directory: Command) -> Command:
    """Run it in an empty directory."""
    return partial(in_empty_directory, "scrub")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "kern.log"
    path.write_text(LOG)
    return path


def test_a_log_goes_to_a_file_of_its_own(scrub: Command, log: Path) -> None:
    """The original would be gone, or nobody knew where the other one is."""
    status, out, err = scrub(log)
    assert (status, out) == (0, "")
    assert Path("kern.log.scrubbed").read_text() == SCRUBBED
    assert log.read_text() == LOG
    assert err.splitlines() == [
        "memwatchd: replaced: 1 host names, 1 commands",
        "memwatchd: kern.log.scrubbed: a person should look at it before it is shared",
    ]


def test_the_output_may_be_named(scrub: Command, log: Path) -> None:
    """Scripts could not say where to put it."""
    assert scrub("-o", "a.txt", log)[0] == 0
    assert Path("a.txt").read_text() == SCRUBBED
    assert scrub("-o", "-", log)[1] == SCRUBBED
    assert os.listdir() == ["a.txt"]


def test_standard_input_goes_to_standard_output(
    scrub: Command, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not stand in a pipe."""
    with log.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert scrub("-")[:2] == (0, SCRUBBED)
    assert os.listdir() == []


def test_a_compressed_log_is_unpacked(scrub: Command, tmp_path: Path) -> None:
    """What logrotate has packed would have to be unpacked by hand."""
    path = tmp_path / "kern.log.2.gz"
    path.write_bytes(gzip.compress(LOG.encode()))
    assert scrub("-o", "-", path)[1] == SCRUBBED


def test_commands_can_be_kept(scrub: Command, log: Path) -> None:
    """The option would be there for nothing."""
    assert scrub("--keep-commands", "-o", "-", log)[1] == LOG.replace("web-7", "host-1")


def test_what_was_left_out_is_counted(scrub: Command, log: Path) -> None:
    """Nobody would look for what is missing."""
    log.write_text(f"{LOG}Apr 22 14:31:39 web-7 sshd[4]: Accepted publickey for alice\n")
    assert "left out: 1 lines" in scrub("-o", "-", log)[2]


def test_an_incident_goes_to_a_file_of_its_own(
    scrub: Command, tape: Tape, write_incident: WriteIncident, tmp_path: Path
) -> None:
    """An incident could not be found by its name, as by every other command."""
    tape.sample(-1, {"meminfo": meminfo(MemFree=7)})
    path = write_incident({"host": {"hostname": "web-7"}}, directory=tmp_path / "state/incidents")
    status, out, err = scrub("last")
    name = f"{path.stem}-scrubbed.mwi"
    assert (status, out, os.listdir()) == (0, "", [name])
    assert open_incident(Path(name)).facts["host"]["hostname"] == "host-1"
    assert f"memwatchd: {name}: a person should look at it before it is shared" in err


def test_errors_are_one_line(
    scrub: Command, log: Path, tape: Tape, write_incident: WriteIncident, tmp_path: Path
) -> None:
    """A traceback would be all that is seen, or the original be overwritten."""
    tape.sample(-1, {"meminfo": meminfo(MemFree=7)})
    incident = write_incident(directory=tmp_path / "elsewhere")
    cases = (
        (["nosuch"], 6, "nosuch: no such file, and no incident of this name"),
        (["-o", log, log], 1, f"{log}: this is the input; expected another file"),
        (["-o", incident, incident], 1, f"{incident}: this is the input; expected another file"),
        (["-o", tmp_path, log], 1, f"{tmp_path}: expected the name of a file, this is a directory"),
        (["-o", "no/such/dir", log], 1, "no/such/dir: No such file or directory"),
        (["-o", "no/such/dir", incident], 1, "no/such/dir: No such file or directory"),
        (["-o", "-", incident], 1, f"{incident}: an incident goes to a file; expected its name after -o"),
    )
    for words, status, message in cases:
        assert scrub(*words) == (status, "", f"memwatchd: {message}\n")
    assert os.listdir() == []
    assert log.read_text() == LOG


def test_every_command_that_reads_incidents_reads_a_scrubbed_one(
    scrub: Command,
    tape: Tape,
    write_incident: WriteIncident,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It would be a file for nobody."""
    for at_s in (-1, -0.5):
        tape.sample(at_s, {"meminfo": meminfo(MemFree=7), "vmstat": vmstat(oom_kill=0)})
    killed = "Out of memory: Killed process 4711 (ledger) total-vm:20kB, anon-rss:9kB, file-rss:0kB"
    tape.message(0, f"3,5,60000000,-;{killed}, shmem-rss:0kB, UID:33 pgtables:8kB\n".encode())
    scrub(write_incident({"host": {"page_size": 4096}}, directory=tmp_path / "elsewhere"), "-o", "x.mwi")
    commands = (
        ["show", "x.mwi"],
        ["explain", "x.mwi"],
        ["raw", "--source", "meminfo", "x.mwi"],
        ["signals", "--incident", "x.mwi"],
        ["backtest", "x.mwi"],
        ["procfs", "x.mwi", "tree"],
    )
    for words in commands:
        assert main(words) == 0, words
        out = capfd.readouterr().out
        assert "ledger" not in out
        assert ("proc-" in out) == (words[0] in ("show", "explain"))
