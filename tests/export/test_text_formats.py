"""CSV, JSON lines and the kernel's messages."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import Tape, WriteIncident, meminfo
from tests.export.conftest import KILL

from memwatchd.errors import NotFoundError
from memwatchd.export.formats import FORMATS
from memwatchd.export.options import Options, parse_every, parse_patterns
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.recorded import Recorded, from_incident

TIMES = ["2023-11-14T22:13:19.123000Z", "2023-11-14T22:13:19.623000Z", "2023-11-14T22:13:20.123000Z"]


def export(recorded: Recorded, form: str, *patterns: str, every_ns: int | None = None) -> bytes:
    out = io.BytesIO()
    FORMATS[form].writer()(recorded, out, Options(patterns, every_ns))
    return out.getvalue()


def test_csv(recorded: Recorded) -> None:
    """A spreadsheet would show times without samples, columns without units, or numbers of another sample."""
    text = export(recorded, "csv", "meminfo.MemFree", "slab.dentry.*", "zone.0.*.ratio").decode()
    assert list(csv.reader(io.StringIO(text))) == [
        [
            *("time_s", "time", "meminfo.MemFree [bytes]", "zone.0.Normal.ratio [ratio]"),
            *(
                f"slab.dentry.{field}"
                for field in ("bytes [bytes]", "objects [count]", "objects_total [count]")
            ),
        ],
        ["-1.000000", TIMES[0], "1024000", "3", "40960", "210", "210"],
        ["-0.500000", TIMES[1], "716800", repr(70 / 30), "40960", "210", "210"],
        ["0.000000", TIMES[2], "409600", repr(50 / 30), "122880", "630", "630"],
        ["0.500000", "2023-11-14T22:13:20.623000Z", "102400", "1", "122880", "630", "630"],
    ]


def test_a_hostile_name_stays_in_its_cell(tape: Tape, write_incident: WriteIncident) -> None:
    """A cgroup of this name would move all columns behind it."""
    name = '/a,"b"\n=cmd.service'
    tape.watch("cgroup/a/memory.current", cgroup=name)
    tape.watch(f"cgroup/{name.strip('/')}/memory.max", cgroup=name)
    tape.sample(0, {f"cgroup/{name.strip('/')}/memory.max": b"max\n"})
    recorded = from_incident(open_incident(write_incident()))
    rows = list(csv.reader(io.StringIO(export(recorded, "csv", "cgroup.*.limit").decode())))
    assert rows[0][2:] == ['cgroup."/a,""b""\\x0a=cmd.service".limit [bytes]']
    assert [row[2:] for row in rows[1:]] == [["inf"]]


def lines(recorded: Recorded, *patterns: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export(recorded, "jsonl", *patterns).splitlines()]


def test_json_lines(recorded: Recorded) -> None:
    """What happened would stand before or behind the sample it belongs to, or be missing."""
    heading, *rest = lines(recorded, "meminfo.MemFree", "vmstat.oom_kill")
    assert heading["trigger"]["time"] == TIMES[2]
    assert heading["host"]["hostname"] == "db1"
    assert heading["signals"] == {
        "meminfo.MemFree": {"unit": "bytes", "counter": False, "meaning": "pages nobody uses"},
        "vmstat.oom_kill": {
            "unit": "count",
            "counter": True,
            "meaning": "processes the kernel killed for want of memory",
        },
    }
    assert [(each["type"], each["time_s"]) for each in rest] == [
        *(("event", -1.2), ("sample", -1.0), ("sample", -0.5), ("message", 0.0), ("sample", 0.0)),
        *(("message", 0.1), ("sample", 0.5)),
    ]
    assert rest[0]["text"] == "rule leak fired: meminfo.MemFree 4 KiB"
    assert rest[3]["text"] == "Out of memory: Killed process 4711 (eat\x1ber) total-vm:9kB, anon-rss:900kB"
    assert rest[4] == {
        "type": "sample",
        "time_s": 0.0,
        "time": TIMES[2],
        "signals": {"meminfo.MemFree": 409600, "vmstat.oom_kill": 1},
    }


def test_what_is_gone_is_no_longer_told(tape: Tape, write_incident: WriteIncident) -> None:
    """A process that ended would seem to hold its memory for ever; no limit would be a limit of nothing."""
    tape.watch("process/7/statm", pid=7, comm="x")
    tape.watch("cgroup/a/memory.max", cgroup="/a")
    tape.sample(-1, {"process/7/statm": b"1 2 3\n", "cgroup/a/memory.max": b"max\n"})
    tape.catalogue.pop(0)
    tape.watch("cgroup/a/memory.max")
    tape.sample(0, {"cgroup/a/memory.max": b"4096\n"})
    recorded = from_incident(open_incident(write_incident()))
    samples = [each["signals"] for each in lines(recorded, "process.7.rss", 'cgroup."/a".limit')[1:]]
    assert samples == [{"process.7.rss": 8192, 'cgroup."/a".limit': None}, {'cgroup."/a".limit': 4096}]


def test_the_kernels_messages(recorded: Recorded) -> None:
    """What a program wrote would pass for the kernel's word, or an escape sequence reach the terminal."""
    assert export(recorded, "kmsg") == KILL
    assert export(recorded, "dmesg") == (
        b"[   59.990000] Out of memory: Killed process 4711 (eat\\x1ber) total-vm:9kB, anon-rss:900kB\n"
    )


def test_one_row_in_a_span(recorded: Recorded) -> None:
    """A row of seconds would begin anywhere, and never at the trigger."""
    text = export(recorded, "csv", "meminfo.MemFree", every_ns=10**9).decode()
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["-1.000000", "0.000000"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("meminfo.MemFre", "meminfo.MemFre: no signal of this name has a value in "),
        ("slab.nosuch.*", "slab.nosuch.*: no signal of this name has a value in "),
        ("memory.free", "'memory.free': no such signal; did you mean meminfo?"),
    ],
)
def test_a_name_that_is_none(recorded: Recorded, pattern: str, said: str) -> None:
    """A typing error would give a file with a column less, and nobody would be told."""
    with pytest.raises(NotFoundError) as caught:
        export(recorded, "csv", "meminfo.MemFree", pattern)
    assert str(caught.value).startswith(said)


def test_without_samples(tape: Tape, write_incident: WriteIncident) -> None:
    """There would be an empty file, or a traceback."""
    tape.happened(-1, "x")
    with pytest.raises(NotFoundError, match="no samples in it"):
        export(from_incident(open_incident(write_incident())), "csv")


def test_patterns_and_spans_as_people_write_them() -> None:
    """A comma in a cgroup's name would cut it in two."""
    assert parse_patterns("zone.*.free,slab.dentry.*") == ("zone.*.free", "slab.dentry.*")
    assert parse_patterns('cgroup."/a,b".usage, vmstat.*') == ('cgroup."/a,b".usage', "vmstat.*")
    assert parse_every("50ms") == 50_000_000
    refused: list[tuple[Callable[[str], object], str]] = [
        *((parse_patterns, text) for text in ("", ",", 'a."b', "a,,b")),
        *((parse_every, text) for text in ("0", "-1s", "soon")),
    ]
    for parse, text in refused:
        with pytest.raises(ValueError, match="expected"):
            parse(text)


def test_the_main_signals_of_samples_alone(tape: Tape, write_incident: WriteIncident) -> None:
    """Without --signals a recording of one source would be refused for want of the others."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    text = export(from_incident(open_incident(write_incident())), "csv")
    assert text.splitlines()[0] == b"time_s,time,meminfo.MemFree [bytes]"
