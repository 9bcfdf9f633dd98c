"""Writing moments: by the wall clock, or in seconds from moment zero."""

from datetime import datetime

from memwatchd.views.live.frame import Frame


def time_text(frame: Frame, at_ns: int) -> str:
    """Write a moment as the frame tells time: from moment zero in a recording, else by the local clock."""
    if frame.zero_ns is not None:
        return seconds_text(frame.zero_ns, at_ns)
    return wall_text(frame, at_ns)


def seconds_text(zero_ns: int, at_ns: int) -> str:
    """Write seconds from moment zero, to the millisecond."""
    return f"{round((at_ns - zero_ns) / 1e6) / 1e3:+.3f} s".replace("-0.000", "+0.000")


def wall_text(frame: Frame, at_ns: int, form: str = "%H:%M:%S") -> str:
    """Write a moment by the local clock, to the millisecond; a dash where that is not known."""
    if frame.wall_ns is None:
        return "–"
    seconds, rest_ns = divmod(at_ns + frame.wall_ns, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds):{form}}.{rest_ns // 1_000_000:03d}"
    except (OverflowError, ValueError, OSError):
        return "–"  # a forged clock
