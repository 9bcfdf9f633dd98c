"""``memwatchd signals``: names and values, of a made-up machine now and of a moment of an incident."""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import S, Tape, WriteIncident, meminfo, slabinfo, zoneinfo

from memwatchd.cli import main
from memwatchd.ring.board import Slot
from memwatchd.roots import Roots

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/json.md"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A machine of a few files."""
    roots = Roots(tmp_path / "proc", tmp_path / "sys", tmp_path / "cgroup")
    (roots.sysfs / "block/zram0").mkdir(parents=True)
    roots.procfs.mkdir()
    (roots.procfs / "meminfo").write_bytes(meminfo(MemFree=2048, SwapTotal=0, SwapFree=0))
    (roots.procfs / "zoneinfo").write_bytes(zoneinfo(75, 50))
    (roots.procfs / "slabinfo").write_bytes(slabinfo(odd=3).replace(b"odd", b"a\x1b[31m\xffb"))
    (roots.sysfs / "block/zram0/mm_stat").write_bytes(b"8192 4096 12288 0 12288 0 0 0\n")
    return roots


@pytest.fixture
def run(tmp_path: Path, roots: Roots, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command on that machine."""

    def command(*arguments: object) -> tuple[int, str, str]:
        where = ["--runtime-dir", tmp_path / "run", "--state-dir", tmp_path / "state"]
        where += ["--path.procfs", roots.procfs, "--path.sysfs", roots.sysfs]
        status = main(["signals", *map(str, arguments), *map(str, where)])
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return status, out, err

    return command


def values(out: str) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in json.loads(out)}


def test_one_line_each(run: Run) -> None:
    """One would not find out how to write a condition, or read a value in another unit than it is."""
    status, out, err = run("zone.worst")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "zone.worst.free            300 KiB",
        "zone.worst.min              40 KiB",
        "zone.worst.low              80 KiB",
        "zone.worst.high            200 KiB",
        "zone.worst.spanned        15.6 MiB",
        "zone.worst.present        15.6 MiB",
        "zone.worst.managed        15.6 MiB",
        "zone.worst.unboosted_min    40 KiB",
        "zone.worst.headroom        260 KiB",
        "zone.worst.room            260 KiB",
        "zone.worst.ratio               1.5  ratio",
    ]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("zone.*.free", ["zone.worst.free", "zone.Normal.free", "zone.0.Normal.free"]),
        ("*.Total", []),
        ("swap.*", ["swap.used", "swap.free", "swap.total"]),
        ("Normal.ratio", ["zone.Normal.ratio", "zone.0.Normal.ratio"]),
        ("zram.[0u].used", ["zram.0.used"]),
        ("unaccounted", []),
    ],
)
def test_patterns(run: Run, pattern: str, names: list[str]) -> None:
    """A pattern would find what was not asked for, or nothing would be found without a word."""
    status, out, err = run(pattern)
    assert [line.split()[0] for line in out.splitlines()] == names
    assert (status, bool(err)) == ((0, False) if names else (6, True))


def test_a_name_that_is_none_says_what_may_be_meant(run: Run) -> None:
    """A typing error would look like a machine without the signal."""
    status, out, err = run("zone.Normal.fere")
    assert (status, out) == (6, "")
    assert err == "memwatchd: 'zone.Normal.fere': no such signal; did you mean zone.Normal.free?\n"
    assert run("zone.HighMem.free")[2] == "memwatchd: zone.HighMem.free: no signal of this name has a value\n"


def test_meaning_and_kernel_file(run: Run) -> None:
    """One would not know what the number says and where it is from."""
    (line,) = run("meminfo.MemFree", "--verbose")[1].splitlines()
    assert re.split(r"  +", line) == ["meminfo.MemFree", "2 MiB", "pages nobody uses", "/proc/meminfo"]
    (line,) = run("zram.0.limit", "-v")[1].splitlines()
    assert re.split(r"  +", line)[:2] == ["zram.0.limit", "no limit"]


def test_odd_names_do_not_reach_the_terminal(run: Run) -> None:
    """A name of a cache or cgroup could write on the terminal."""
    status, out, err = run("slab")
    assert (status, err) == (0, "")
    assert 'slab."a\\x1b[31m\\xffb".bytes' in out
    assert "\x1b" not in out


def test_json_is_as_documented(run: Run) -> None:
    """Scripts would break: these names are promised in docs/json.md."""
    found = json.loads(run("--json")[1])
    section = DOCUMENT.read_text().split("## `memwatchd signals")[1].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert all(set(each) == documented for each in found)
    by_name = {each["name"]: each for each in found}
    assert by_name["zone.worst.ratio"] == {
        "name": "zone.worst.ratio",
        "value": 1.5,
        "unit": "ratio",
        "counter": False,
        "meaning": (
            "free over unboosted high watermark, of the kernel's last resort: a node's roomiest zone for its "
            "own objects, none below 64 MiB; of nodes the tightest"
        ),
        "source": "/proc/zoneinfo",
    }
    assert by_name["zram.0.limit"]["value"] is None
    assert by_name["zram.used"]["value"] == 12_288
    assert not [name for name in by_name if name.startswith(("recorder.", "process.", "cgroup."))]


def test_what_only_the_daemon_has_comes_from_its_ring(run: Run, tape: Tape, tmp_path: Path) -> None:
    """Watched processes could not be looked at; or a daemon that died long ago would look alive."""
    tape.watch("process/4711/statm", pid=4711, comm="rsync")
    tape.sample(0, {"process/4711/statm": b"9 5 1\n", "meminfo": meminfo(MemFree=1)})
    (tmp_path / "run").mkdir()
    (tmp_path / "run/ring").hardlink_to(tape.samples.name)
    assert values(run("--json")[1]).keys().isdisjoint({"process.rsync.rss", "recorder.lag"})
    tape.samples.board[Slot.HEARTBEAT_NS] = time.monotonic_ns()
    found = values(run("--json")[1])
    assert found["process.rsync.rss"] == 5 * 4096
    assert found["recorder.lag"] == 0
    assert found["meminfo.MemFree"] == 2 << 20  # the kernel's own, which is newer
    tape.samples.board[Slot.HEARTBEAT_NS] = time.monotonic_ns() - 60 * S
    assert "process.rsync.rss" not in values(run("--json")[1])


def test_a_moment_of_an_incident(run: Run, tape: Tape, write_incident: WriteIncident) -> None:
    """One would see the numbers of this machine now, or of another moment, or in pages of another size."""
    tape.watch("process/4711/statm", pid=4711, comm="rsync")
    for second in (-2, -1, 0):
        tape.sample(
            second,
            {"meminfo": meminfo(MemFree=100 + second), "process/4711/statm": b"9 %d 1\n" % (5 + second)},
        )
    path = write_incident({"host": {"page_size": 65536}})
    before = values(run("--incident", path, "--at", "-1s", "--json")[1])
    assert before["meminfo.MemFree"] == 99 * 1024
    assert before["process.rsync.rss"] == 4 << 16
    assert "zram.used" not in before
    assert values(run("--incident", path, "--json")[1])["meminfo.MemFree"] == 100 * 1024
    status, _, err = run("--incident", path, "--at", "yesterday")
    assert (status, "expected seconds from the trigger" in err) == (6, True)


def test_at_without_an_incident_is_a_wrong_command_line(run: Run) -> None:
    """The present would be shown as the past."""
    with pytest.raises(SystemExit) as ended:
        run("--at", "-1s")
    assert ended.value.code == 2


def test_a_machine_without_anything(run: Run, roots: Roots) -> None:
    """A container without these files would end in a traceback."""
    for path in (*roots.procfs.iterdir(), roots.sysfs / "block/zram0/mm_stat"):
        path.unlink()
    assert run() == (0, "", "")
    assert run("--json")[1] == "[]\n"


def test_the_kernels_own_files_have_no_secrets_from_it(capfd: pytest.CaptureFixture[str]) -> None:
    """On a real kernel a file would be read that the readers do not understand."""
    assert main(["signals", "--json"]) == 0
    found = values(capfd.readouterr().out)
    assert found["meminfo.MemTotal"] > found["meminfo.MemFree"] > 0
    assert abs(found["unaccounted"]) < found["meminfo.MemTotal"]
    assert found["zone.worst.high"] > 0
