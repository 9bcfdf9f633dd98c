"""Records that are not lines: journalctl -o verbose and export, dmesg --json, JSON of any depth."""

from memwatchd.oomreport.record import Record
from memwatchd.oomreport.records import read_records


def records(log: str) -> list[Record]:
    return list(read_records([log.encode()]))


def test_verbose_journal() -> None:
    """Its messages would have neither host nor program, since those stand on other lines."""
    log = """\
Fri 2026-01-02 03:04:05.678901 UTC [s=1f;i=2a;b=3;m=4;t=5;x=6]
    _TRANSPORT=kernel
    _SOURCE_MONOTONIC_TIMESTAMP=1250000
    MESSAGE=active_anon:1 isolated_anon:0
             active_file:2 isolated_file:0
    _HOSTNAME=www
Fri 2026-01-02 03:04:06.678901 UTC [s=1f;i=2b;b=3;m=4;t=5;x=6]
    SYSLOG_IDENTIFIER=systemd-oomd
    MESSAGE=Killed /a due to memory pressure for /b
    _HOSTNAME=www
"""
    time = "Fri 2026-01-02 03:04:05.678901 UTC"
    assert records(log) == [
        Record(4, 5, "www", "kernel", None, 1.25, time, "active_anon:1 isolated_anon:0"),
        Record(4, 5, "www", "kernel", None, 1.25, time, "active_file:2 isolated_file:0"),
        Record(
            9,
            9,
            "www",
            "systemd-oomd",
            None,
            None,
            "Fri 2026-01-02 03:04:06.678901 UTC",
            "Killed /a due to memory pressure for /b",
        ),
    ]


def test_export_of_the_journal() -> None:
    """Its fields would be taken for messages."""
    log = "__CURSOR=s=1\n_HOSTNAME=www\nMESSAGE=oom a\nPRIORITY=4\n\n__CURSOR=s=2\nMESSAGE=oom b\n\nplain\n"
    assert [record[:4] + record[-1:] for record in records(log)] == [
        (3, 3, "www", None, "oom a"),
        (7, 7, None, None, "oom b"),
        (9, 9, None, None, "plain"),
    ]


def test_json_of_dmesg() -> None:
    """What is meant to be read by programs would not be."""
    log = """\
{
   "dmesg": [
      {
         "pri": "kern.warn",
         "time":     12.345678,
         "msg": "x invoked \\"oom-killer\\""
      },{
         "pri": "kern.warn",
         "time":     13.000000,
         "caller": "T12",
         "msg": "a\\nb"
      }
   ]
}
"""
    assert records(log) == [
        Record(6, 6, None, None, None, 12.345678, None, 'x invoked "oom-killer"'),
        Record(11, 11, None, None, "T12", 13.0, None, "a"),
        Record(11, 11, None, None, "T12", 13.0, None, "b"),
    ]


def test_hostile_json() -> None:
    """A log could stop its reader."""
    for text in (
        '{"log":' * 5000 + "}" * 5000,
        '{"log":' + "[" * 5000 + "]" * 5000 + "}",
        '{"log":' + "9" * 10_000 + "}",
        '{"MESSAGE":[1,2,-3,4000,"x",null]}',
        '{"MESSAGE":null,"x":{}}',
        '{"log":"\\ud800 oom"}',
        "{}",
        '{\n"msg": [\n}',
    ):
        records(text + "\noom after\n")
        assert records(text + "\noom after\n")[-1].text == "oom after"
