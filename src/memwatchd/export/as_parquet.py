"""Parquet in a schema that the incidents of all hosts share, for DuckDB, Spark and whatever else reads it.

    DIR/incidents/ID.parquet    one row: what happened, to which machine, and why
    DIR/kills/ID.parquet        a row for each process the kernel killed
    DIR/processes/ID.parquet    a row for each process there was at moment zero
    DIR/events/ID.parquet       a row for each thing the recorder noticed or did
    DIR/samples/ID.parquet      a row for each change of a signal: long, not wide, for no two machines have
                                the same zones and caches; sorted by signal, then by time

Every row of every table has incident_id, boot_id, host and kernel, so hardly anything has to be joined; such
columns take next to no room. docs/analysis.md has the columns, and questions to ask. A file is named after
its incident: to export it again replaces it, and all of DIR is one dataset. The row in ``incidents`` is
written last.
"""

from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memwatchd.errors import MemwatchdError
from memwatchd.export.extras import need
from memwatchd.export.options import Options
from memwatchd.export.output import new_file
from memwatchd.export.telling import event_text
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.history import size_kib
from memwatchd.incidents.recorded import Recorded
from memwatchd.ring.stream import process_rows
from memwatchd.signals.names import split_name
from memwatchd.signals.table import Column, Table
from memwatchd.views.verdict import verdict_of

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS = 1 << 17
# Type of each column, as pyarrow calls it.
_COMMON = {"incident_id": "string", "boot_id": "string", "host": "string", "kernel": "string"}
_WHEN = {"time": "timestamp", "time_s": "double"}
SCHEMAS: dict[str, dict[str, str]] = {
    "incidents": {
        **_COMMON,
        "name": "string",
        "time": "timestamp",
        "kind": "string",
        "detail": "string",
        "complete": "bool",
        "kills": "int64",
        "verdict": "string",
        "confidence": "double",
        "summary": "string",
        "os": "string",
        "machine": "string",
        "cpus": "int64",
        "page_size_bytes": "int64",
        "mem_total_bytes": "double",
        "swap_total_bytes": "double",
        "samples": "int64",
        "from_s": "double",
        "to_s": "double",
        "memwatchd": "string",
    },
    "kills": {
        **_COMMON,
        **_WHEN,
        "pid": "int64",
        "comm": "string",
        "scope": "string",
        "limit_cgroup": "string",
        "task_cgroup": "string",
        "anon_rss_bytes": "int64",
        "file_rss_bytes": "int64",
        "shmem_rss_bytes": "int64",
    },
    "processes": {
        **_COMMON,
        **_WHEN,
        "pid": "int64",
        "comm": "string",
        "cgroup": "string",
        "uid": "int64",
        "oom_score_adj": "int64",
        "rss_bytes": "int64",
        "swap_bytes": "int64",
        "first_bytes": "int64",
        "last_bytes": "int64",
    },
    "events": {
        **_COMMON,
        **_WHEN,
        "event": "string",
        "rule": "string",
        "action": "string",
        "verdict": "string",
        "text": "string",
    },
    "samples": {
        **_COMMON,
        "signal": "string",
        "family": "string",
        "subject": "string",
        "field": "string",
        "unit": "string",
        "counter": "bool",
        **_WHEN,
        "value": "double",
    },
}
_Row = dict[str, Any]


def write(recorded: Recorded, directory: Path, options: Options) -> list[Path]:
    """Add one recording to a dataset.

    Returns:
        The files written.

    Raises:
        MemwatchdError: pyarrow is missing, or a file cannot be written.
        NotFoundError: See `Options.table`.
    """
    need("pyarrow.parquet", "parquet", "--format parquet")
    table = options.table(recorded)
    common = _common(recorded)
    tables: dict[str, Callable[[], Iterator[_Row]]] = {
        "kills": lambda: _kills(recorded),
        "processes": lambda: _processes(recorded),
        "events": lambda: _events(recorded),
    }
    written = [_write(directory, "samples", common, _sample_groups(recorded, table))]
    for name, rows in tables.items():
        written.append(_write(directory, name, common, iter([_columns(list(rows()), name)])))
    written.append(
        _write(directory, "incidents", common, iter([_columns([_incident(recorded, table)], "incidents")]))
    )
    return written


def _write(directory: Path, name: str, common: dict[str, str], groups: Iterator[dict[str, Any]]) -> Path:
    """Write one file: groups of rows, each a list of values by column, without the common ones."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(column, _type(kind)) for column, kind in SCHEMAS[name].items()])
    path = directory / name / f"{common['incident_id']}.parquet"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MemwatchdError(f"{path.parent}: {error.strerror}") from error
    with new_file(path) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in groups:
            count = len(next(iter(group.values())))
            arrays = [
                pa.repeat(pa.scalar(common[field.name], field.type), count)
                if field.name in common
                else pa.array(group[field.name], field.type)
                for field in schema
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return path


def _type(kind: str) -> "pa.DataType":
    import pyarrow as pa

    if kind == "timestamp":
        return pa.timestamp("us", tz="UTC")
    found: pa.DataType = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
    }[kind]
    return found


def _columns(rows: list[_Row], name: str) -> dict[str, list[Any]]:
    own = [column for column in SCHEMAS[name] if column not in _COMMON]
    return {column: [row.get(column) for row in rows] for column in own}


def _common(recorded: Recorded) -> dict[str, str]:
    host = recorded.host
    return {
        "incident_id": recorded.incident_id or f"{recorded.kind}-{recorded.boot_id}-{recorded.zero_ns}",
        "boot_id": recorded.boot_id,
        "host": _text(host.get("hostname") or "") or "",
        "kernel": _text(host.get("kernel") or "") or "",
    }


def _text(value: Any) -> str | None:
    """A stranger's words as UTF-8 can hold them; None for none."""
    if value is None:
        return None
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _when(recorded: Recorded, at_ns: int) -> _Row:
    return {"time": _usec(recorded, at_ns), "time_s": recorded.seconds(at_ns)}


def _usec(recorded: Recorded, at_ns: int) -> int | None:
    realtime_ns = recorded.realtime_ns(at_ns)
    return None if realtime_ns is None else realtime_ns // 1000


# -- the tables --------------------------------------------------------------------------------------------


def _incident(recorded: Recorded, table: Table) -> _Row:
    incident, host = recorded.incident, recorded.host
    verdict = (verdict_of(incident) if incident is not None else None) or {}
    program = incident.facts["program"] if incident is not None else {}
    return {
        "name": _text(recorded.name),
        "time": _usec(recorded, recorded.zero_ns),
        "kind": _text(recorded.kind),
        "detail": _text(recorded.detail),
        "complete": incident.complete if incident is not None else True,
        "kills": len(recorded.kills),
        "verdict": verdict.get("tag"),
        "confidence": verdict.get("confidence"),
        "summary": _text(verdict.get("summary")),
        "os": _text(host.get("os")),
        "machine": _text(host.get("machine")),
        "cpus": _whole(host.get("cpus")),
        "page_size_bytes": recorded.page_size,
        "mem_total_bytes": _first(table, "meminfo.MemTotal"),
        "swap_total_bytes": _first(table, "meminfo.SwapTotal"),
        "samples": len(table.times_ns),
        "from_s": recorded.seconds(table.times_ns[0]),
        "to_s": recorded.seconds(table.times_ns[-1]),
        "memwatchd": _text(program.get("version")),
    }


def _first(table: Table, name: str) -> float | None:
    column = table.columns.get(name)
    return column.values[0] if column is not None and not isnan(column.values[0]) else None


def _kills(recorded: Recorded) -> Iterator[_Row]:
    for kill in recorded.kills:
        kib = kill["amounts_kib"]
        yield {
            **_when(recorded, kill["monotonic_ns"]),
            "pid": kill["pid"],
            **{name: _text(kill[name]) for name in ("comm", "scope", "limit_cgroup", "task_cgroup")},
            **{
                f"{name.replace('-', '_')}_bytes": kib[name] * 1024 if name in kib else None
                for name in ("anon-rss", "file-rss", "shmem-rss")
            },
        }


def _processes(recorded: Recorded) -> Iterator[_Row]:
    """Each process as it was last read before moment zero, and its size when it was first read."""
    first: dict[tuple[Any, Any], _Row] = {}
    last: dict[tuple[Any, Any], tuple[int, _Row]] = {}
    for part in process_rows(recorded.segments(BlockType.EVENTS, recorded.from_ns)):
        for row in part.rows:
            at_ns = row.get("read_ns", part.monotonic_ns)
            if isinstance(row.get("rss_kib"), int) and at_ns <= recorded.zero_ns:
                key = (row.get("pid"), row.get("start_ticks"))
                first.setdefault(key, row)
                last[key] = at_ns, row
    for key, (at_ns, row) in last.items():
        yield {
            **_when(recorded, at_ns),
            **{name: _whole(row.get(name)) for name in ("pid", "uid", "oom_score_adj")},
            **{name: _text(row.get(name)) for name in ("comm", "cgroup")},
            "rss_bytes": row["rss_kib"] * 1024,
            "swap_bytes": row["swap_kib"] * 1024 if isinstance(row.get("swap_kib"), int) else None,
            "first_bytes": size_kib(first[key]) * 1024,
            "last_bytes": size_kib(row) * 1024,
        }


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and abs(value) < 1 << 53 else None


def _events(recorded: Recorded) -> Iterator[_Row]:
    for event in recorded.events():
        yield {
            **_when(recorded, event["monotonic_ns"]),
            **{name: _text(event.get(name)) for name in ("event", "rule", "action", "verdict")},
            "text": _text(event_text(event)) or None,
        }


def _sample_groups(recorded: Recorded, table: Table) -> Iterator[dict[str, list[Any]]]:
    """Gather whole columns until there are enough rows for a group."""
    group: dict[str, list[Any]] = _columns([], "samples")
    for column in table.columns.values():
        _add(group, recorded, table, column)
        if len(group["value"]) >= _GROUP_ROWS:
            yield group
            group = _columns([], "samples")
    if group["value"]:
        yield group


def _add(group: dict[str, list[Any]], recorded: Recorded, table: Table, column: Column) -> None:
    signal = column.signal
    family, *rest = split_name(signal.name)
    *of, field = rest or [""]
    constant = {
        "signal": _text(signal.name),
        "family": family,
        "subject": _text(".".join(of)) or None,
        "field": _text(field) or None,
        "unit": str(signal.unit),
        "counter": signal.counter,
    }
    count = len(column.rows)
    for name, value in constant.items():
        group[name].extend([value] * count)
    times_ns = [table.times_ns[row] for row in column.rows]
    group["time"].extend(_usec(recorded, at_ns) for at_ns in times_ns)
    group["time_s"].extend(map(recorded.seconds, times_ns))
    group["value"].extend(None if isnan(value) else value for value in column.values)
