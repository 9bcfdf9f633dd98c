"""Put lines of the kernel into what they arrive in: dmesg, syslog, the journal, containers, mails.

    transport(["Mem-Info:", "active_anon:1 ..."], "dmesg")     # [12345.678901] Mem-Info:
    transport(lines, "cri+crlf")                               # one after the other

`TRANSPORTS` are all kinds; some lose or break something, as they do in life (`LOSSY`).
"""

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

HOST = "www7"
START_S = 12345.678901
BOOTED = datetime(2024, 3, 7, 2, 43, 11, 123456, tzinfo=UTC)
# Within one message of the kernel: the block after Mem-Info, and memory.stat since 5.3.
_CONTINUED = re.compile(
    r" (?:active_file|unevictable|slab_|mapped|sec_page|kernel_misc|free)\w*:\d|[a-z_]+ \d+$"
)
_MONTHS_FR = "janv. févr. mars avril mai juin juil. août sept. oct. nov. déc."

Message = tuple[float, Sequence[str]]


def transport(lines: Sequence[str], kind: str = "dmesg") -> bytes:
    """Bytes of a file with these lines in it; kind is one of `TRANSPORTS`, or several with ``+`` between."""
    for step in kind.split("+"):
        lines = TRANSPORTS[step](list(lines))
    if kind.endswith("crlf"):
        return "\r\n".join(lines).encode(errors="surrogateescape") + b"\r\n"
    if kind.endswith("utf-16"):
        return ("\n".join(lines) + "\n").encode("utf-16")
    return ("\n".join(lines) + "\n").encode(errors="surrogateescape")


def messages(lines: Sequence[str]) -> Iterator[Message]:
    """Lines as the kernel logged them, each message with its time; some are of several lines."""
    found: list[list[str]] = []
    for line in lines:
        if found and _CONTINUED.match(line):
            found[-1].append(line)
        else:
            found.append([line])
    return ((START_S + index / 1e4, message) for index, message in enumerate(found))


def stamp(seconds: float) -> str:
    """``[12345.678901]``."""
    return f"[{seconds:12.6f}]"


def clock(seconds: float) -> datetime:
    """The time of day."""
    return BOOTED + timedelta(seconds=seconds - START_S)


def _each_line(prefix: Callable[[float], str], lines: Sequence[str]) -> list[str]:
    return [f"{prefix(seconds)} {line}" for seconds, message in messages(lines) for line in message]


def _padded(prefix: Callable[[float], str], lines: Sequence[str]) -> list[str]:
    """Further lines of a message below the first, behind blanks."""
    out = []
    for seconds, message in messages(lines):
        head = prefix(seconds)
        out += [f"{head} {message[0]}", *(" " * len(head) + f" {line}" for line in message[1:])]
    return out


def _one_line(prefix: Callable[[float], str], between: str, lines: Sequence[str]) -> list[str]:
    return [f"{prefix(seconds)}{between.join(message)}" for seconds, message in messages(lines)]


def _dmesg_t(day: Callable[[datetime], str]) -> Callable[[Sequence[str]], list[str]]:
    return lambda lines: _padded(lambda seconds: f"[{day(clock(seconds))}]", lines)


def _english(now: datetime) -> str:
    return f"{now:%a %b} {now.day:2d} {now:%H:%M:%S %Y}"


def _german(now: datetime) -> str:
    months = "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez"
    days = "Mo Di Mi Do Fr Sa So"
    return f"{days.split()[now.weekday()]} {months.split()[now.month - 1]} {now.day:2d} {now:%H:%M:%S %Y}"


def _french(now: datetime) -> str:
    day = "lun. mar. mer. jeu. ven. sam. dim.".split()[now.weekday()]  # noqa: SIM905
    return f"{day} {now.day} {_MONTHS_FR.split()[now.month - 1]} {now:%H:%M:%S %Y}"


def _syslog(seconds: float) -> str:
    now = clock(seconds)
    return f"{now:%b} {now.day:2d} {now:%H:%M:%S} {HOST} kernel:"


def _iso(seconds: float) -> str:
    return clock(seconds).isoformat()


def _kmsg(tail: str, lines: Sequence[str]) -> list[str]:
    return [
        f"4,{1000 + index},{round(seconds * 1e6)},-{tail};" + "\\x0a".join(message)
        for index, (seconds, message) in enumerate(messages(lines))
    ]


def _dmesg_json(lines: Sequence[str]) -> list[str]:
    rows = [
        f'      {{\n         "pri": 4,\n         "time": {seconds:12.6f},\n         '
        f'"msg": {json.dumps(chr(10).join(message))}\n      }}'
        for seconds, message in messages(lines)
    ]
    return ["{", '   "dmesg": [', *",\n".join(rows).replace("},\n      {", "},{").split("\n"), "   ]", "}"]


def _journal_json(lines: Sequence[str]) -> list[str]:
    return [
        json.dumps(
            {
                "__REALTIME_TIMESTAMP": str(round(clock(seconds).timestamp() * 1e6)),
                "_SOURCE_MONOTONIC_TIMESTAMP": str(round(seconds * 1e6)),
                "_TRANSPORT": "kernel",
                "SYSLOG_IDENTIFIER": "kernel",
                "PRIORITY": "4",
                "_HOSTNAME": HOST,
                "MESSAGE": "\n".join(message),
            }
        )
        for seconds, message in messages(lines)
    ]


def _journal_export(lines: Sequence[str]) -> list[str]:
    out = []
    for seconds, message in messages(lines):
        out += [f"__REALTIME_TIMESTAMP={round(clock(seconds).timestamp() * 1e6)}", f"_HOSTNAME={HOST}"]
        out += ["SYSLOG_IDENTIFIER=kernel", *(f"MESSAGE={line}" for line in message[:1]), ""]
    return out


def _quoted_printable(lines: Sequence[str]) -> list[str]:
    out = []
    for line in lines:
        text = line.replace("=", "=3D")
        while len(text) > 76:
            # Not within an escape.
            end = 75 - next(
                back for back in range(3) if text[75 - back - 1] != "=" and text[75 - back - 2] != "="
            )
            out.append(text[:end] + "=")
            text = text[end:]
        out.append(text)
    return out


def _wrapped(width: int, lines: Sequence[str]) -> list[str]:
    """As a mail program wraps, at blanks."""
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line, width, drop_whitespace=True, break_long_words=False, break_on_hyphens=False
        )
        or [""]
    ]


def _hard(width: int, lines: Sequence[str]) -> list[str]:
    """As a terminal does, wherever its edge is."""
    return [line[at : at + width] for line in lines for at in range(0, max(1, len(line)), width)]


def _dmesg(lines: Sequence[str]) -> list[str]:
    return _each_line(stamp, lines)


def _ansi(lines: Sequence[str]) -> list[str]:
    """As ``dmesg --color`` does."""
    out = []
    for seconds, message in messages(lines):
        red = "\x1b[31m\x1b[1m" if "Killed process" in message[0] else "\x1b[33m"
        out += [f"\x1b[32m{stamp(seconds)} \x1b[0m{red}{line}\x1b[0m" for line in message]
    return out


TRANSPORTS: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "plain": list,
    "crlf": list,
    "utf-16": list,
    "dmesg": _dmesg,
    "dmesg-padded": lambda lines: _padded(stamp, lines),
    "dmesg-caller": lambda lines: _each_line(lambda seconds: f"{stamp(seconds)}[ T4242]", lines),
    "dmesg-x": lambda lines: _each_line(lambda seconds: f"kern  :warn  : {stamp(seconds)}", lines),
    "dmesg-r": lambda lines: _each_line(lambda seconds: f"<4>{stamp(seconds)}", lines),
    "dmesg-T": _dmesg_t(_english),
    "dmesg-T-de": _dmesg_t(_german),
    "dmesg-T-fr": _dmesg_t(_french),
    "dmesg-json": _dmesg_json,
    "kmsg": lambda lines: _kmsg("", lines),
    "kmsg-caller": lambda lines: _kmsg(",caller=T4242", lines),
    "syslog": lambda lines: _each_line(lambda seconds: f"{_syslog(seconds)} {stamp(seconds)}", lines),
    "syslog-bare": lambda lines: _each_line(_syslog, lines),
    "syslog-iso": lambda lines: _each_line(lambda seconds: f"{_iso(seconds)} {HOST} kernel:", lines),
    "#012": lambda lines: _one_line(lambda seconds: f"{_syslog(seconds)} ", "#012", lines),
    "rfc5424": lambda lines: _one_line(
        lambda seconds: f"<4>1 {_iso(seconds)} {HOST} kernel - - - {stamp(seconds)} ", "#012", lines
    ),
    "metalog": lambda lines: _each_line(
        lambda seconds: f"{_syslog(seconds).rsplit(' ', 2)[0]} [kernel] {stamp(seconds)}", lines
    ),
    "journal-short": lambda lines: _padded(lambda s: f"{clock(s):%b %d %H:%M:%S} {HOST} kernel:", lines),
    "journal-short-iso": lambda lines: _padded(
        lambda seconds: f"{clock(seconds):%Y-%m-%dT%H:%M:%S%z} {HOST} kernel:", lines
    ),
    "journal-short-precise": lambda lines: _padded(
        lambda seconds: f"{clock(seconds):%b %d %H:%M:%S.%f} {HOST} kernel:", lines
    ),
    "journal-short-monotonic": lambda lines: _padded(
        lambda seconds: f"{stamp(seconds)} {HOST} kernel:", lines
    ),
    "journal-json": _journal_json,
    "journal-export": _journal_export,
    "cri": lambda lines: [
        f"2023-10-12T19:00:20.884452000Z stdout F {line}" for line in TRANSPORTS["syslog"](lines)
    ],
    "docker-json": lambda lines: [
        json.dumps({"log": f"{line}\n", "stream": "stdout", "time": "2023-10-12T19:00:20.884452Z"})
        for line in _dmesg(lines)
    ],
    "klog": lambda lines: _each_line(
        lambda seconds: f"<4>{stamp(seconds)}  [7:            hog: 4242]", lines
    ),
    "quoted": lambda lines: [f"> {line}" for line in _dmesg(lines)],
    "quoted-twice": lambda lines: [f"> > {line}" for line in _dmesg(lines)],
    "quoted-printable": lambda lines: _quoted_printable(_dmesg(lines)),
    "indented": lambda lines: [f"    {line}" for line in lines],
    "ansi": _ansi,
    "wrapped-72": lambda lines: _wrapped(72, _dmesg(lines)),
    "syslog-wrapped-80": lambda lines: _wrapped(80, TRANSPORTS["syslog"](lines)),
    "hard-80": lambda lines: _hard(80, _dmesg(lines)),
    "joined": lambda lines: [" ".join(_dmesg(lines))],
    "cut-200": lambda lines: [line[:200] for line in _dmesg(lines)],
}
# These lose something of the text: the blank a line was broken at, or the rest of it.
LOSSY = ("journal-export", "wrapped-72", "syslog-wrapped-80", "joined", "cut-200")
