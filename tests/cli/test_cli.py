"""The command line without a daemon: arguments, exit statuses, errors in one line, stable JSON."""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import S, Tape, WriteIncident, meminfo

from memwatchd import __version__
from memwatchd.cli import main
from memwatchd.places import Places
from memwatchd.state import write_state

COMMANDS = (
    *("run", "check", "reload", "status", "dump", "incidents", "show", "explain", "scrub", "backtest"),
    *("raw", "procfs", "signals", "actions", "exporter", "collect"),
)


DOCUMENT = Path(__file__).resolve().parents[2] / "docs/json.md"


@dataclass
class Result:
    """How a command ended."""

    status: int | str | None
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on stderr."""
        assert self.err.startswith("memwatchd: ")
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        assert [char for char in self.err if not char.isprintable() and char != "\n"] == []
        assert self.out == ""
        return self.err.strip()


Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process, in directories of its own."""

    def run(command: str, *arguments: object, where: bool = True) -> Result:
        words = [command, *map(str, arguments)]
        if where:
            words += ["--runtime-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
        try:
            status: int | str | None = main(words)
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Result(status, out, err)

    return run


@pytest.fixture
def incident(tmp_path: Path, tape: Tape, write_incident: WriteIncident) -> Path:
    """An incident with three samples, in its proper place."""
    for step in (-2, -1, 0, 2):
        tape.sample(step / 2, {"meminfo": meminfo(MemAvailable=100 + step), "raw": b"\xff\0%d" % step})
    return write_incident({"kills": [], "host": {"hostname": "vm1"}}, directory=tmp_path / "state/incidents")


# ---- the command line itself


@pytest.mark.parametrize("words", [[], ["nonsense"], ["--nonsense"], ["show"], ["raw", "x"], ["stat"]])
def test_a_wrong_command_line_is_status_2(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """A script would not tell a typing error from a daemon that is down."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: memwatchd" in capfd.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli: Cli, command: str) -> None:
    """A command would be named that cannot be loaded."""
    result = cli(command, "--help", where=False)
    assert result.status == 0
    assert f"usage: memwatchd {command}" in result.out
    assert command in cli("--help", where=False).out


def test_the_version(cli: Cli) -> None:
    """A bug report would not say of what."""
    assert cli("--version", where=False).out == f"memwatchd {__version__}\n"


def test_abbreviated_options_are_refused(cli: Cli) -> None:
    """A script would change its meaning with the next option that begins alike."""
    assert cli("status", "--js").status == 2


# ---- without a daemon


def test_status_without_a_daemon(cli: Cli) -> None:
    """A health check would think that all is well."""
    result = cli("status")
    assert (result.status, "is not running" in result.line) == (3, True)


def test_dump_without_a_daemon(cli: Cli) -> None:
    """The command would end in a traceback, or wait for ever."""
    result = cli("dump", "--reason", "curious")
    assert (result.status, "is not running" in result.line) == (3, True)


def test_incidents_of_none(cli: Cli, tmp_path: Path) -> None:
    """A healthy machine would look broken."""
    assert cli("incidents") == Result(0, f"no incidents in {tmp_path}/state/incidents\n", "")
    assert cli("incidents", "--json") == Result(0, "[]\n", "")
    result = cli("show", "last")
    assert (result.status, "no incidents in" in result.line) == (6, True)


@pytest.mark.parametrize("command", ["incidents", "show"])
def test_incidents_that_may_not_be_listed(cli: Cli, tmp_path: Path, command: str) -> None:
    """Users outside of the group, for whom the directory is closed, would get a traceback."""
    (tmp_path / "state").mkdir()
    # Root may read everything but a link to itself.
    (tmp_path / "state/incidents").symlink_to("incidents")
    result = cli(command, *(["last"] if command == "show" else []))
    assert result.status not in (0, 2)
    assert "incidents" in result.line


@pytest.mark.parametrize("config", ["missing.yaml", "."])
def test_a_configuration_that_cannot_be_read(cli: Cli, tmp_path: Path, config: str) -> None:
    """The daemon would start with another configuration than asked for."""
    result = cli("run", "--config", tmp_path / config)
    assert (result.status, str(tmp_path) in result.line) == (4, True)


def test_a_wrong_configuration_names_its_place(cli: Cli, tmp_path: Path) -> None:
    """One would have to search for the mistake."""
    path = tmp_path / "c.yaml"
    path.write_text("sampling:\n  rate: fast\n")
    result = cli("run", "--config", path)
    assert (result.status, f"{path}:2:" in result.line) == (4, True)


@pytest.mark.parametrize("listen", ["nonsense", "1.2.3.4:0", ":99999", ""])
def test_a_wrong_address_to_listen_on(cli: Cli, listen: str) -> None:
    """The exporter would listen somewhere else."""
    assert cli("exporter", "--listen", listen).status == 2


# ---- an incident


def test_the_list_of_incidents(cli: Cli, incident: Path) -> None:
    """One would not find the incident one looks for."""
    result = cli("incidents")
    assert result.status == 0
    assert incident.name in result.out
    assert "eater (pid 4711) was killed" in result.out
    (entry,) = json.loads(cli("incidents", "--json").out)
    assert entry == {
        "name": incident.name,
        "path": str(incident),
        "size_bytes": incident.stat().st_size,
        "kind": "kernel_kill",
        "complete": True,
        "kills": 0,
        "detail": "eater (pid 4711) was killed because the machine was out of memory",
    }


def test_a_damaged_incident_is_listed_with_what_is_wrong(cli: Cli, incident: Path) -> None:
    """One bad file would hide all others."""
    bad = incident.with_name("20200101T000000.000Z-kernel_kill.mwi")
    bad.write_bytes(b"garbage")
    listed = json.loads(cli("incidents", "--json").out)
    assert [(each["name"], each["kind"]) for each in listed] == [
        (bad.name, None),
        (incident.name, "kernel_kill"),
    ]
    assert "not a memwatchd incident" in listed[0]["detail"]
    assert "not a memwatchd incident" in cli("incidents").out


@pytest.mark.parametrize("name", ["last", "{name}", "{stem}", "{path}"])
def test_an_incident_is_shown_however_it_is_named(cli: Cli, incident: Path, name: str) -> None:
    """What the list says could not be given to `show`."""
    wanted = name.format(name=incident.name, stem=incident.stem, path=incident)
    result = cli("show", wanted)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(incident.name)


def documented(heading: str) -> set[str]:
    """Keys in the first column of a table of docs/json.md, `sampling.rate_hz` as `sampling`."""
    section = DOCUMENT.read_text().split(f"## `memwatchd {heading}")[1].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    names = [name for cell in cells for name in re.findall(r"`(\w[\w.]*)(?:\[\])?`", cell)]
    return {name.partition(".")[0] for name in names}


def test_the_keys_of_show_json(cli: Cli, incident: Path) -> None:
    """Scripts would break: these names are promised in docs/json.md."""
    summary = json.loads(cli("show", "last", "--json").out)
    assert set(summary) == documented("show")
    assert set(summary["trigger"]) == {"kind", "detail", "time"}
    assert set(summary["samples"]) == {"count", "missed", "from_s", "to_s", "longest_gap_s", "gaps"}
    assert set(summary["figures"][0]) == {
        *("name", "unit", "first", "at_trigger", "last", "min", "max", "run"),
    }


def test_the_keys_of_status_json(cli: Cli, tmp_path: Path, daemon_state: dict[str, Any]) -> None:
    """Scripts would break: these names are promised in docs/json.md."""
    (tmp_path / "run").mkdir()
    write_state(Places(tmp_path / "run", tmp_path).state, daemon_state)
    status = json.loads(cli("status", "--json").out)
    assert set(status) == documented("status")
    assert set(status["processes"][0]) == {
        *("role", "pid", "uptime_s", "cpu_share", "locked_bytes", "pss_bytes"),
    }
    assert cli("status").out.startswith("memwatchd 0.1.0 runs since ")


def test_the_kernels_text_byte_for_byte(cli: Cli, incident: Path) -> None:
    """`raw | some-parser` would get something else than /proc had."""
    result = cli("raw", "last", "--source", "meminfo", "--at", "0")
    assert result.out == meminfo(MemAvailable=100).decode()


@pytest.mark.parametrize(
    ("at", "available"),
    [
        (["--at", "-0.5s"], 99),
        (["--at=-0.5s"], 99),
        (["--at", "-500ms"], 99),
        (["--at", "-1"], 98),
        (["--at", "+1s"], 102),
        (["--at", "2023-11-14T22:13:19.700Z"], 99),
        ([], 100),
    ],
)
def test_moments_before_the_trigger(cli: Cli, incident: Path, at: list[str], available: int) -> None:
    """The moment people want most would be taken for an option."""
    result = cli("raw", "last", "--source", "meminfo", *at)
    assert (result.status, result.err) == (0, "")
    assert f"{available} kB" in result.out


@pytest.mark.parametrize("at", ["yesterday", "-", "9" * 400])
def test_a_moment_that_is_none(cli: Cli, incident: Path, at: str) -> None:
    """A typing error would end in a traceback."""
    result = cli("raw", "last", "--source", "meminfo", "--at", at)
    assert (result.status, "expected seconds from the trigger" in result.line) == (6, True)


def test_at_without_a_moment(cli: Cli, incident: Path) -> None:
    """A forgotten value would swallow the next option or end in a traceback."""
    assert cli("raw", "last", "--source", "meminfo", "--at", where=False).status == 2
    assert cli("raw", "last", "--source", "meminfo", "--at", "--", where=False).status == 2


def test_a_source_that_is_not_there(cli: Cli, incident: Path) -> None:
    """One would not know what there is instead."""
    result = cli("raw", "last", "--source", "slabinfo")
    assert (result.status, "meminfo, raw" in result.line) == (6, True)


def test_hostile_names_in_an_error(cli: Cli, tape: Tape, write_incident: WriteIncident) -> None:
    """A cgroup's name in an error would reach the terminal as it is."""
    tape.sample(0, {"cgroup/\x1b]0;x\x07\nmemwatchd: forged/memory.current": b"1\n"})
    result = cli("raw", write_incident(), "--source", "slabinfo")
    assert (result.status, "forged" in result.line) == (6, True)


def test_a_file_that_is_no_incident(cli: Cli, tmp_path: Path) -> None:
    """A wrong file would end in a traceback."""
    path = tmp_path / "x"
    path.write_bytes(b"garbage")
    result = cli("show", path)
    assert (result.status, "not a memwatchd incident" in result.line) == (5, True)


def test_a_tree_for_other_tools(cli: Cli, incident: Path, tmp_path: Path) -> None:
    """Other tools could not look at the moment before the kill."""
    result = cli("procfs", "last", tmp_path / "out", "--at", "-0.5s")
    assert (result.status, result.err) == (0, "")
    assert sorted(result.out.split()) == [f"{tmp_path}/out/meminfo", f"{tmp_path}/out/raw"]
    assert (tmp_path / "out/raw").read_bytes() == b"\xff\x00-1"
    again = cli("procfs", "last", tmp_path / "out")
    assert (again.status, "expected an empty directory" in again.line) == (1, True)
    in_the_way = cli("procfs", "last", tmp_path / "out/raw")
    assert (in_the_way.status, str(tmp_path) in in_the_way.line) == (1, True)


def test_a_tree_with_odd_names_can_be_listed(
    cli: Cli, tape: Tape, write_incident: WriteIncident, tmp_path: Path
) -> None:
    """A cgroup whose name is no UTF-8 would end the command in a traceback, or reach the terminal."""
    tape.sample(0, {"cgroup/\udcff\x1b[31m/memory.current": b"1\n"})
    result = cli("procfs", write_incident(), tmp_path / "out")
    assert (result.status, result.err) == (0, "")
    assert "\x1b" not in result.out


def test_a_reader_that_has_seen_enough(cli: Cli, incident: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`memwatchd show last | head -1` would end in a traceback."""

    class Closed:
        def write(self, _text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

        def fileno(self) -> int:
            return os.open(os.devnull, os.O_WRONLY)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Closed())
        status = main(["show", str(incident)])
    assert status == 0


def test_a_state_of_a_daemon_that_died(cli: Cli, tmp_path: Path, daemon_state: dict[str, Any]) -> None:
    """A crashed daemon would look like one that runs."""
    (tmp_path / "run").mkdir()
    state = {**daemon_state, "pid": (1 << 22) - 1, "renewed_monotonic_ns": time.monotonic_ns() - 60 * S}
    write_state(Places(tmp_path / "run", tmp_path).state, state)
    result = cli("status")
    assert (result.status, "is gone" in result.line) == (3, True)


def test_an_interruption_while_it_starts_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while modules are still being loaded would end in a traceback through all of them."""

    def interrupt(_words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("memwatchd.cli.make_parser", interrupt)
    assert main(["status"]) == 130
    assert capsys.readouterr() == ("", "")
