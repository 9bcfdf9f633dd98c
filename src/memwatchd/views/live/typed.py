"""Moments as somebody types them in."""

import re
from datetime import datetime

from memwatchd.errors import NotFoundError
from memwatchd.incidents.recorded import Recorded
from memwatchd.units import quoted

_RELATIVE = re.compile(r"([+-]?\d{1,12}(?:\.\d{1,9})?) ?(ms|s|min)?")
_UNITS_S = {"ms": 1e-3, "s": 1.0, "min": 60.0, None: 1.0}
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,6})?)?")


def moment_of(text: str, recorded: Recorded) -> int:
    """Read a moment: seconds from moment zero, a time of the day of moment zero, or a date with a time.

    Times without a zone are local ones.

    Returns:
        The moment on the recording's monotonic clock, in nanoseconds.

    Raises:
        NotFoundError: It is none, or nobody knows what the wall clock was.
    """
    text = text.strip()
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return recorded.zero_ns + round(float(relative[1]) * _UNITS_S[relative[2]] * 1e9)
    zero_realtime_ns = recorded.zero_realtime_ns
    if zero_realtime_ns is None:
        raise NotFoundError("nobody knows the time of day of this recording; expected seconds such as -0.5s")
    try:
        if _CLOCK.fullmatch(text):
            day = datetime.fromtimestamp(zero_realtime_ns // 10**9)
            text = f"{day:%Y-%m-%d} {text.replace(',', '.').zfill(len(text) + text.index(':') % 2)}"
        moment = datetime.fromisoformat(text).astimezone()
        realtime_ns = int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
    except (ValueError, OverflowError, OSError) as error:
        expected = "expected seconds such as -0.5s, a time such as 22:13:20.5, or a date"
        raise NotFoundError(f"{quoted(text)}: {expected}") from error
    return recorded.zero_ns + realtime_ns - zero_realtime_ns
