"""CSV: a row for each sample, a column for each signal, with its unit in the heading.

    time_s,time,meminfo.MemFree [bytes],zone.0.Normal.free [bytes]
    -0.005012,2026-11-21T08:23:59.118001Z,104857600,52428800

`time_s` counts from the trigger. What is not there is empty; a limit that there is none of is ``inf``.
"""

import csv
import io
from typing import BinaryIO

from memwatchd.export.options import MAIN, Options
from memwatchd.export.rows import by_row, written
from memwatchd.incidents.recorded import Recorded
from memwatchd.units import printable


def write(recorded: Recorded, out: BinaryIO, options: Options) -> None:
    """Write all rows.

    Raises:
        NotFoundError: See `Options.table`.
    """
    table = options.table(recorded, patterns=MAIN)
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\n")
    signals = [column.signal for column in table.columns.values()]
    writer.writerow(["time_s", "time", *(f"{printable(each.name)} [{each.unit}]" for each in signals)])
    cells = ["", "", *("" for _ in signals)]
    for at_ns, changes in by_row(table):
        cells[0], cells[1] = f"{recorded.seconds(at_ns):.6f}", recorded.wall_clock(at_ns)
        for number, value in changes:
            cells[number + 2] = written(value)
        writer.writerow(cells)
    text.flush()
    text.detach()
