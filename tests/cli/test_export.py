"""``memwatchd export``, ``cut``, ``merge`` and ``compare`` as a person types them."""

import json
import os
import time
from pathlib import Path

import pytest
from tests.conftest import BOOT_ID, Tape, WriteIncident, meminfo, zoneinfo

from memwatchd.cli import main
from memwatchd.incidents.reader import open_incident
from memwatchd.ring.file import create_ring
from memwatchd.ring.format import Kind, RingHeader, Stream
from memwatchd.ring.samples import SAMPLE_HEADER, Encoding, pack_blob, pack_entry
from memwatchd.ring.writer import Clocks, RingWriter

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def incident(
    tape: Tape, write_incident: WriteIncident, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    for number in range(-10, 6):
        texts = {"meminfo": meminfo(MemFree=1000 + number), "zoneinfo": zoneinfo(free=50 + number, high=30)}
        tape.sample(number / 10, texts)
    path = write_incident()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return path


def files() -> list[str]:
    return sorted(path.name for path in Path.cwd().iterdir())


def test_to_standard_output_and_to_a_file(incident: Path, capsys: Capture) -> None:
    """What is piped would differ from what is written."""
    words = ["export", "--signals", "zone.*.free,meminfo.MemFree", "--every", "500ms", str(incident)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert main([*words, "-o", "x.csv"]) == 0
    assert Path("x.csv").read_text() == said
    assert [line.split(",")[0] for line in said.splitlines()] == [
        "time_s",
        "-1.000000",
        "-0.500000",
        "0.000000",
        "0.500000",
    ]
    assert files() == ["x.csv"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "openmetrics", "perfetto", "kmsg", "dmesg"])
def test_every_format_has_its_file(incident: Path, form: str) -> None:
    """A format that is listed could not be had."""
    assert main(["export", "--format", form, "-o", "out", str(incident)]) == 0
    assert (Path("out").stat().st_size > 0) == (form not in ("kmsg", "dmesg"))


def test_perfetto_has_a_name_of_its_own(incident: Path) -> None:
    """Binary would go to the terminal."""
    assert main(["export", "--format", "perfetto", str(incident)]) == 0
    assert files() == [f"{incident.stem}.pftrace"]


def test_a_moment_as_proc(incident: Path) -> None:
    """The format would write another moment than the command of the same name."""
    assert main(["export", "--format", "procfs", "--at", "-0.5s", "-o", "then", str(incident)]) == 0
    assert main(["procfs", "--at", "-0.5s", str(incident), "too"]) == 0
    assert Path("then/meminfo").read_bytes() == Path("too/meminfo").read_bytes() == meminfo(MemFree=995)


def test_many_into_one_dataset(incident: Path, capsys: Capture) -> None:
    """One damaged file would keep a thousand others out."""
    Path("bad.mwi").write_bytes(b"MWINC\r\n\0" + bytes(100))
    assert main(["export", "--format", "parquet", "-o", "oom", "bad.mwi", str(incident)]) == 5
    assert capsys.readouterr().err == "memwatchd: bad.mwi: incident format 0, this program reads 1\n"
    name = f"{open_incident(incident).header.incident_id.hex()}.parquet"
    tables = ("events", "incidents", "kills", "processes", "samples")
    assert sorted(str(path) for path in Path("oom").rglob("*.parquet")) == [
        f"oom/{each}/{name}" for each in tables
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected INCIDENT or --live SPAN"),
        (["--live", "1s", "x"], "--live takes no INCIDENT"),
        (["a", "b"], "--format csv takes one INCIDENT"),
        (["--format", "parquet", "a"], "--format parquet needs -o DIRECTORY"),
        (["--format", "kmsg", "--every", "1s", "a"], "--format kmsg takes neither --signals nor --every"),
        (["--at", "0", "a"], "--at is for --format procfs"),
        (["--every", "0", "a"], "argument --every: expected more than nothing"),
        (["--signals", "a,,b", "a"], "argument --signals: expected names or patterns with commas between"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_what_does_not_go_together(words: list[str], said: str, capsys: Capture) -> None:
    """An option would silently do nothing."""
    with pytest.raises(SystemExit) as caught:
        main(["export", *words])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_the_incident_is_not_written_over(incident: Path, capsys: Capture) -> None:
    """A slip of the fingers would cost the only record of a death."""
    before = incident.read_bytes()
    for words in (["export", "-o"], ["cut", "--from", "-1s", "-o"]):
        assert main([*words, str(incident), str(incident)]) == 1
        assert "this is the input; expected another file" in capsys.readouterr().err
    assert main(["merge", "-o", str(incident), str(incident), str(incident)]) == 1
    assert incident.read_bytes() == before


def test_an_interruption_leaves_nothing(incident: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C would leave half a file under the name of a whole one."""

    def interrupt(*_ignored: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("memwatchd.export.as_csv.by_row", interrupt)
    assert main(["export", "-o", "x.csv", str(incident)]) == 130
    assert files() == []


def test_cut_merge_and_compare(incident: Path, capsys: Capture) -> None:
    """What one command writes another could not read."""
    assert main(["cut", "--to", "-0.3s", "-o", "a.mwi", str(incident)]) == 0
    assert main(["cut", "--from", "-0.5s", str(incident)]) == 0
    cut = f"{incident.stem}-cut.mwi"
    assert main(["merge", "a.mwi", cut, "-o", "all.mwi"]) == 0
    assert capsys.readouterr().out == f"a.mwi\n{cut}\nall.mwi\n"
    assert main(["show", "--json", "all.mwi"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"]["count"] == 16
    assert main(["compare", str(incident), "all.mwi", "--over", "0.4s", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["a"]["name"], found["b"]["name"], found["span_s"]) == (incident.name, "all.mwi", 0.4)
    assert main(["signals", "--incident", cut]) == 0
    assert main(["raw", "--source", "meminfo", "a.mwi"]) == 0


def test_a_span_that_ends_before_it_begins(incident: Path, capsys: Capture) -> None:
    """It would be said that there are no samples."""
    for words in (["--from", "1s", "--to", "-1s"], []):
        with pytest.raises(SystemExit):
            main(["cut", *words, str(incident)])
    assert "--from is after --to" in capsys.readouterr().err
    assert main(["cut", "--from", "yesterday", str(incident)]) == 6
    assert "--from yesterday: expected seconds from the trigger" in capsys.readouterr().err


def test_the_last_seconds_of_a_live_ring(tmp_path: Path, capsys: Capture) -> None:
    """What happens now could only be exported after a death."""
    rings = {
        stream: create_ring(tmp_path / name, RingHeader(65536, 2, stream, BOOT_ID, 1))
        for name, stream in (("ring", Stream.SAMPLES), ("events", Stream.EVENTS))
    }
    now_ns = time.monotonic_ns()
    clocks = Clocks(now_ns - 9 * 10**9, now_ns, time.time_ns())
    writer = RingWriter(rings[Stream.SAMPLES], lambda: clocks, BOOT_ID, 7)
    writer.start_segment(1)
    writer.append(Kind.CATALOGUE, json.dumps([{"id": 0, "name": "meminfo"}]).encode())
    for number in range(9):
        text = meminfo(MemFree=number)
        head = SAMPLE_HEADER.pack(number, now_ns - (8 - number) * 10**9, 0, 0, 0, 1, 1)
        writer.append(Kind.SAMPLE, head, pack_entry(0, Encoding.KEY, len(text)), *pack_blob([text], ()))
    words = ["export", "--runtime-dir", str(tmp_path), "--live", "4.5s", "--signals", "meminfo.MemFree"]
    assert main(words) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[2] for row in rows] == [str(number * 1024) for number in range(4, 9)]
    assert all(-4.5 <= float(row[0]) <= 0 for row in rows)
    assert main(["export", "--runtime-dir", str(tmp_path / "none"), "--live", "4s"]) == 3


def test_a_directory_is_no_incident(incident: Path, capsys: Capture) -> None:
    """A person would look for an incident that is there, but not of what is wrong with its name."""
    assert main(["cut", "--from", "-1s", str(incident.parent)]) == 6
    said = capsys.readouterr().err
    assert said == f"memwatchd: {incident.parent}: expected an incident, this is a directory\n"


@pytest.mark.parametrize(
    "words",
    [
        ["export", "X"],
        ["export", "--format", "procfs", "-o", "o", "X"],
        ["cut", "--to", "1s", "X"],
        ["merge", "-o", "o", "X", "X"],
        ["compare", "X", "X"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_what_is_damaged_is_said(incident: Path, words: list[str], capsys: Capture) -> None:
    """What is left would be handed on as if it were all."""
    Path("torn.mwi").write_bytes(incident.read_bytes()[:-60])
    main([{"X": "torn.mwi"}.get(word, word) for word in words])
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("memwatchd: torn.mwi: damaged: the file ends in the middle of a block, at ")
    assert said[0].endswith("; going on with what is left")
    assert main([{"X": str(incident)}.get(word, word) for word in words]) in (0, 1)
    assert "damaged" not in capsys.readouterr().err


def test_what_is_no_file_is_written_into(incident: Path) -> None:
    """`-o >(gzip)` would wait for ever, and `-o /dev/null`, said by root, replace the device."""
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert main(["export", "--signals", "meminfo.MemFree", "-o", "pipe", str(incident)]) == 0
    assert os.read(reader, 1 << 16).startswith(b"time_s,")
    os.close(reader)
    assert files() == ["pipe"]
    assert Path("pipe").is_fifo()
