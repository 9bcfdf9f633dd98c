"""The kernel's trace of signals."""

from lab.inside.trace import parse

TEXT = """\
# tracer: nop
#           TASK-PID     TGID    CPU#  |||||  TIMESTAMP  FUNCTION
   nohang-312     (    310) [001] d..1. 84.113220: signal_generate: sig=15 code=0 comm=my eat pid=417 grp=1
   eat-417     (-------) [000] dN.2. 42.545204: signal_generate: sig=9 errno=0 code=128 comm=eat pid=417 grp=1
   a-b c-316     [001] .N.1. 42.546183: mark_victim: pid=316 comm=eat total-vm=368316kB
         broken line
"""


def test_signals_and_victims_are_read() -> None:
    """Who killed whom, and when, would be wrong: with threads, odd names, and older formats."""
    thread, kernel, victim = parse(TEXT)
    assert thread == {
        "at": 84.11322,
        "event": "signal_generate",
        "by": "nohang",
        "by_pid": 310,
        "comm": "my eat",
        "pid": 417,
        "sig": 15,
        "code": 0,
    }
    assert (kernel["by_pid"], kernel["sig"], kernel["code"]) == (417, 9, 128)
    assert (victim["event"], victim["by"], victim["pid"], victim["at"]) == (
        "mark_victim",
        "a-b c",
        316,
        42.546183,
    )
