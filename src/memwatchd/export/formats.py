"""The formats by name; a module is imported only when its format is asked for."""

import importlib
from dataclasses import dataclass
from typing import Any

STREAM, DIRECTORY, TREE = "stream", "directory", "tree"


@dataclass(frozen=True, slots=True)
class Format:
    """A way out.

    Attributes:
        meaning: A few words for the help.
        kind: A stream goes to standard output or to a file, a directory takes many incidents, a tree is one
            moment.
        function: Where it is written, as ``module:function``.
        suffix: Of the file it goes to by itself; empty for standard output.
        signals: Whether it takes ``--signals`` and ``--every``.
    """

    meaning: str
    kind: str
    function: str
    suffix: str = ""
    signals: bool = False

    def writer(self) -> Any:
        """Import what writes it."""
        module, _, name = self.function.partition(":")
        return getattr(importlib.import_module(f"memwatchd.export.{module}"), name)


FORMATS: dict[str, Format] = {
    "csv": Format("a row for each sample", STREAM, "as_csv:write", signals=True),
    "jsonl": Format(
        "a JSON object for each sample, event and message", STREAM, "as_jsonl:write", signals=True
    ),
    "openmetrics": Format(
        "for promtool tsdb create-blocks-from", STREAM, "as_openmetrics:write", signals=True
    ),
    "perfetto": Format("a trace for ui.perfetto.dev", STREAM, "as_perfetto:write", ".pftrace", signals=True),
    "parquet": Format("a dataset for DuckDB and Spark", DIRECTORY, "as_parquet:write", signals=True),
    "kmsg": Format("the kernel's messages as /dev/kmsg gives them", STREAM, "as_kmsg:write"),
    "dmesg": Format("the same as dmesg(1) prints them", STREAM, "as_kmsg:write_dmesg"),
    "procfs": Format("one moment as a /proc tree", TREE, ""),
}
