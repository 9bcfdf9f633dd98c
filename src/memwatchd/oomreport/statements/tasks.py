"""The table of tasks, read by the columns of its header.

::

    [ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name                             2.6.36
    [ 2054]     0  2054     5101        1      15       4      283             0 upstart-udev-br     4.4
    [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name               4.19
    [    441]     0   441    70050     4498    90112        0         -1000 multipathd
    [  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents … name    6.8

Vendors add columns. Sizes are pages, but for those that say bytes.
"""

import functools
import re

from memwatchd.oomreport.report import Task

# Fifteen columns are more than any vendor has added.
_UNKNOWN_ROW = re.compile(r"\[ *\d{1,10}\]((?: *-?\d{1,20}(?![^ ])){1,15})")
_FIELDS = {
    "uid": "uid",
    "tgid": "tgid",
    "total_vm": "total_vm_pages",
    "rss": "rss_pages",
    "rss_anon": "rss_anon_pages",
    "rss_file": "rss_file_pages",
    "rss_shmem": "rss_shmem_pages",
    "pgtables_bytes": "page_table_bytes",
    "swapents": "swap_pages",
    "oom_score_adj": "oom_score_adj",
    "oom_adj": "oom_adj",
}
# What all headers begin and, since 2.6.36, end with; for a table whose header is lost.
_SURE = ("uid", "tgid", "total_vm", "rss")
_FEWEST_COLUMNS = 6


def parse_header(text: str) -> tuple[str, ...] | None:
    """Read the table's header: the columns between pid and name."""
    if "total_vm" not in text or "rss" not in text or not text.startswith("["):
        return None
    columns = text.replace("[", " ").replace("]", " ").split()
    if columns[:1] != ["pid"] or "name" not in columns:
        return None
    return tuple(columns[1 : columns.index("name")])


def parse_row(text: str, columns: tuple[str, ...] | None, line: int) -> Task | None:
    """Read a row.

    Args:
        text: The row.
        columns: Of the header; None when it is lost, which leaves the columns that all headers have.
        line: Where it stands.
    """
    if columns is None:
        columns = _columns_of(text)
    if not columns:
        return None
    row, fields, others = _row(columns)
    found = row.match(text)
    if found is None:
        return None
    numbers = [int(number) for number in found[2].split()]
    facts = {field: numbers[index] for field, index in fields}
    other = {name: numbers[index] for name, index in others}
    tgid, uid = facts.pop("tgid", None), facts.pop("uid", None)
    return Task(pid=int(found[1]), uid=uid, tgid=tgid, comm=found[3], other=other, line=line, **facts)


@functools.cache
def _row(
    columns: tuple[str, ...],
) -> tuple[re.Pattern[str], tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]:
    """How a row with these columns is read, which numbers are fields of `Task`, and which are others."""
    row = re.compile(rf"\[ *(\d{{1,10}})\]((?: *-?\d{{1,20}}(?![^ ])){{{len(columns)}}}) *(.*)", re.DOTALL)
    fields = [(_FIELDS[name], index) for index, name in enumerate(columns) if name in _FIELDS]
    others = [
        (name, index)
        for index, name in enumerate(columns)
        if name not in _FIELDS and not name.startswith("?")
    ]
    return row, tuple(fields), tuple(others)


def _columns_of(text: str) -> tuple[str, ...]:
    """Guess the columns of a row without a header: the first four are sure, and the last number.

    Returns:
        Nothing when it does not look like a row.
    """
    found = _UNKNOWN_ROW.match(text)
    count = len(found[1].split()) if found is not None else 0
    if count < _FEWEST_COLUMNS:
        return ()
    unknown = (f"?{index}" for index in range(count - len(_SURE) - 1))
    return (*_SURE, *unknown, "oom_score_adj")
