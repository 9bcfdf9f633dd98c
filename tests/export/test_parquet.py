"""The dataset: its tables, and the questions of docs/analysis.md asked of it by DuckDB."""

import re
import sys
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import duckdb
import pytest
from pyarrow import parquet
from tests.conftest import Tape, WriteIncident, meminfo, slabinfo
from tests.export.conftest import HOSTILE

from memwatchd.errors import MemwatchdError
from memwatchd.export.as_parquet import SCHEMAS, write
from memwatchd.export.options import Options
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.recorded import Recorded, from_incident

DOCUMENT = Path(__file__).parents[2] / "docs" / "analysis.md"
QUESTIONS = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def ask(dataset: Path, question: str) -> list[tuple[Any, ...]]:
    """Run a query in the directory of the dataset."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET file_search_path = '{dataset}'")
        return connection.execute(question.replace("TO 'slab", f"TO '{dataset}/slab")).fetchall()


@pytest.fixture
def dataset(recorded: Recorded, tmp_path: Path) -> Path:
    directory = tmp_path / "oom"
    write(recorded, directory, Options())
    return directory


def test_the_row_of_an_incident(dataset: Path, recorded: Recorded) -> None:
    """The dataset would not say what happened, or to whom."""
    assert ask(dataset, "SELECT * REPLACE (time::VARCHAR AS time) FROM 'incidents/*.parquet'") == [
        (
            *(recorded.incident_id, recorded.boot_id, "db1", "6.1.0", recorded.name),
            *("2023-11-14 22:13:20.123+00", "kernel_kill", recorded.detail, True, 1),
            *("unknown", 0.37, ANY, None, "x86_64", None, 4096),
            *(1_024_000_000.0, 0.0, 4, -1.0, 0.5, "0.1.0"),
        )
    ]


def test_kills_processes_and_events(dataset: Path) -> None:
    """Who died, who grew and what the rules did could not be counted."""
    assert ask(dataset, "SELECT * EXCLUDE (incident_id, boot_id, time) FROM 'kills/*.parquet'") == [
        ("db1", "6.1.0", 0.0, 4711, "eat\x1ber", "global", None, HOSTILE, 900 << 10, None, None)
    ]
    rows = ask(
        dataset, "SELECT * EXCLUDE (incident_id, boot_id, time) FROM 'processes/*.parquet' ORDER BY pid"
    )
    assert rows == [
        ("db1", "6.1.0", -0.1, 1, "init", HOSTILE, None, None, 900 << 10, 0, 900 << 10, 900 << 10),
        ("db1", "6.1.0", -0.1, 4711, "eat\x1ber", HOSTILE, None, None, 900 << 10, 0, 100 << 10, 900 << 10),
    ]
    assert ask(dataset, "SELECT * EXCLUDE (incident_id, boot_id, time) FROM 'events/*.parquet'") == [
        ("db1", "6.1.0", -1.2, "rule_fire", "leak", None, None, "rule leak fired: meminfo.MemFree 4 KiB")
    ]


def test_samples_are_changes(dataset: Path) -> None:
    """A row for each sample of a thousand signals would make a hundred times the file."""
    rows = ask(
        dataset,
        "SELECT signal, family, subject, field, unit, counter, time::VARCHAR, time_s, value "
        "FROM 'samples/*.parquet' WHERE signal IN ('slab.dentry.bytes', 'vmstat.oom_kill')",
    )
    assert rows == [
        *(
            (
                "slab.dentry.bytes",
                "slab",
                "dentry",
                "bytes",
                "bytes",
                False,
                f"2023-11-14 22:13:{at}+00",
                *rest,
            )
            for at, *rest in (("19.123", -1.0, 40960.0), ("20.123", 0.0, 122880.0))
        ),
        *(
            ("vmstat.oom_kill", "vmstat", None, "oom_kill", "count", True, f"2023-11-14 22:13:{at}+00", *rest)
            for at, *rest in (("19.123", -1.0, 0.0), ("20.123", 0.0, 1.0))
        ),
    ]


def test_the_schema_is_the_same_for_all(dataset: Path, tape: Tape, write_incident: WriteIncident) -> None:
    """Files of different machines could not be read as one table."""
    tape.new_segment()
    tape.sample(70, {"meminfo": meminfo(MemFree=1)})
    other = open_incident(write_incident({"host": {"hostname": "web"}}, detail="another"))
    write(from_incident(other), dataset, Options())
    for table, columns in SCHEMAS.items():
        files = sorted((dataset / table).iterdir())
        schemas = [parquet.read_schema(file) for file in files]
        assert [schema.names for schema in schemas] == [list(columns)] * 2
        assert schemas[0].equals(schemas[1])
    assert ask(dataset, "SELECT count(DISTINCT host) FROM 'samples/*.parquet'") == [(2,)]


def test_to_export_again_replaces(dataset: Path, recorded: Recorded) -> None:
    """A death that was exported by two cron jobs would count twice."""
    before = sorted(dataset.rglob("*"))
    write(recorded, dataset, Options())
    assert sorted(dataset.rglob("*")) == before


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda text: str(text.split("\n")[0])[:40])
def test_the_questions_of_the_document(dataset: Path, question: str) -> None:
    """Somebody would copy a query that does not run, and blame their data."""
    ask(dataset, question)


def test_what_some_of_them_answer(dataset: Path) -> None:
    """A query that runs may still count the wrong thing."""
    died, _, kernels, caches, tightest, reclaimed = (ask(dataset, question) for question in QUESTIONS[:6])
    assert died == [("eat\x1ber", 1, 1, 1.0)]
    assert kernels == [("6.1.0", 1, 1, 1.0)]
    assert caches == []  # 80 KiB are no growth
    assert tightest == [("db1", "20231114T221320.123Z-kernel_kill.mwi", 50 / 30)]
    assert [row[2] for row in reclaimed] == [20.0]


def test_a_cache_that_was_dropped_has_grown(
    tape: Tape, write_incident: WriteIncident, tmp_path: Path
) -> None:
    """What a rule drops just before its incident is written would never be found to grow."""
    for at_s, slabs in ((-3, 10), (-2, 900), (-1, 5)):
        tape.sample(at_s, {"slabinfo": slabinfo(dentry=slabs, inode=40)})
    host = {"hostname": "db1", "kernel": "6.1.0", "page_size": 4096}
    incident = open_incident(write_incident({"host": host}, kind="rule_fired"))
    write(from_incident(incident), tmp_path / "oom", Options())
    assert ask(tmp_path / "oom", QUESTIONS[3]) == [("dentry", "6.1.0", 1, 3.5)]


def test_what_is_in_two_incidents_counts_once(
    tape: Tape, write_incident: WriteIncident, tmp_path: Path
) -> None:
    """A program that died once would have died as often as incidents were written of that minute."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    tape.happened(0.1, "action", rule="leak", action="kill", verdict="helped", detail="")
    kill = {"monotonic_ns": 60_000_000_000, "pid": 7, "comm": "x", "amounts_kib": {"anon-rss": 1024}}
    for name in ("one", "two"):
        incident = open_incident(write_incident({"kills": [kill]}, detail=name))
        write(from_incident(incident), tmp_path / "oom", Options())
    assert len(list((tmp_path / "oom" / "kills").iterdir())) == 2
    assert [row[:2] for row in ask(tmp_path / "oom", QUESTIONS[0])] == [("x", 1)]
    assert ask(tmp_path / "oom", QUESTIONS[8]) == [("leak", "kill", "helped", 1, 1)]


def test_without_the_library(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would get a traceback instead of the name of what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MemwatchdError, match=r"pip install 'memwatchd\[parquet\]'"):
        write(recorded, tmp_path, Options())
    assert list(tmp_path.glob("oom")) == []


def test_where_nothing_can_be_written(recorded: Recorded, tmp_path: Path) -> None:
    """A person would get a traceback instead of the path."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MemwatchdError, match="file/samples: Not a directory"):
        write(recorded, tmp_path / "file", Options())
