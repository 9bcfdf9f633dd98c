"""The table of tasks, read by the columns of its header.

::

    [ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name                             2.6.36
    [ 2054]     0  2054     5101        1      15       4      283             0 upstart-udev-br     4.4
    [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name               4.19
    [    441]     0   441    70050     4498    90112        0         -1000 multipathd
    [  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents … name    6.8

Vendors add columns. Sizes are pages, but for those that say bytes.
"""

import re

from memwatchd.oomreport.report import Task

_ROW = re.compile(r"\[ *(\d{1,10})\] *(-?\d.*)", re.DOTALL)
_NUMBER = re.compile(r"-?\d{1,20}")
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
    found = _ROW.match(text)
    if found is None:
        return None
    if columns is None:
        columns = _columns_of(found[2])
    words = found[2].split(None, len(columns))
    values = words[: len(columns)]
    if len(values) < len(columns) or not all(_NUMBER.fullmatch(value) for value in values):
        return None
    numbers = dict(zip(columns, map(int, values), strict=True))
    facts = {field: numbers.pop(name) for name, field in _FIELDS.items() if name in numbers}
    comm = words[len(columns)] if len(words) > len(columns) else ""
    tgid, uid = facts.pop("tgid", None), facts.pop("uid", None)
    other = {name: value for name, value in numbers.items() if not name.startswith("?")}
    return Task(pid=int(found[1]), uid=uid, tgid=tgid, comm=comm, other=other, line=line, **facts)


def _columns_of(rest: str) -> tuple[str, ...]:
    """Guess the columns of a row without a header: the first four are sure, and the last number."""
    count = 0
    for word in rest.split():
        if _NUMBER.fullmatch(word) is None:
            break
        count += 1
    if count < _FEWEST_COLUMNS:
        return ("none",) * 1_000
    unknown = (f"?{index}" for index in range(count - len(_SURE) - 1))
    return (*_SURE, *unknown, "oom_score_adj")
