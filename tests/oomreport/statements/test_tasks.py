"""The table of tasks."""

from memwatchd.oomreport.report import Task
from memwatchd.oomreport.statements.tasks import parse_header, parse_row

OLD = "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name"
PTES = "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name"
NEW = (
    "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents "
    "oom_score_adj name"
)


def test_columns_come_from_the_header() -> None:
    """A reader that counts columns takes one for another with every second kernel."""
    columns = parse_header(PTES)
    assert columns == (
        "uid",
        "tgid",
        "total_vm",
        "rss",
        "nr_ptes",
        "nr_pmds",
        "swapents",
        "oom_score_adj",
    )
    row = "[ 2063]     0  2063    12362        1      28       4      184         -1000 systemd-udevd"
    assert parse_row(row, columns, 5) == Task(
        2063,
        0,
        2063,
        "systemd-udevd",
        total_vm_pages=12362,
        rss_pages=1,
        swap_pages=184,
        oom_score_adj=-1000,
        other={"nr_ptes": 28, "nr_pmds": 4},
        line=5,
    )


def test_a_table_of_today() -> None:
    """Resident memory is told by kind since 6.8, and page tables in bytes."""
    row = "[   1122]     0  1122   179935   130854   130720      134        0  1097728        7      0 my app"
    assert parse_row(row, parse_header(NEW), 5) == Task(
        1122,
        0,
        1122,
        "my app",
        total_vm_pages=179935,
        rss_pages=130854,
        rss_anon_pages=130720,
        rss_file_pages=134,
        rss_shmem_pages=0,
        page_table_bytes=1097728,
        swap_pages=7,
        oom_score_adj=0,
        line=5,
    )


def test_an_old_table() -> None:
    """It has both knobs."""
    row = "[14579]     0 14579      579      171   5       0             0 rsync"
    assert parse_row(row, parse_header(OLD), 5) == Task(
        14579,
        0,
        14579,
        "rsync",
        total_vm_pages=579,
        rss_pages=171,
        oom_adj=0,
        oom_score_adj=0,
        other={"cpu": 5},
        line=5,
    )


def test_a_row_whose_header_is_lost() -> None:
    """What all tables share is sure; what may be one thing or another is left out."""
    row = "[ 2063]     0  2063    12362        1      28       4      184         -1000 systemd-udevd"
    assert parse_row(row, None, 5) == Task(
        2063,
        0,
        2063,
        "systemd-udevd",
        total_vm_pages=12362,
        rss_pages=1,
        oom_score_adj=-1000,
        line=5,
    )


def test_what_is_no_row() -> None:
    """Brackets and numbers stand in front of many messages."""
    for line in ("[12345.678901] something", "[  123] 4 5", "[...]", "[1] 2 3 4 five 6 7 8 x"):
        assert parse_row(line, None, 1) is None
        assert parse_row(line, parse_header(OLD), 1) is None
    assert parse_header("the columns total_vm and rss") is None
