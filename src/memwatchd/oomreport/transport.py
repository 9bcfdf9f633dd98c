"""What carried a message, taken off layer by layer: syslog, journal, dmesg, containers, mail.

A layer is a function that is given a line and a place in it, notes what the layer says, and returns where the
next layer begins; None if it is not there. Real lines, outermost layer first:

    > [337533.314245] leaker invoked oom-killer: …                       a quoted mail
    2023-10-12T19:00:20.884452000Z stdout F May 19 18:14:43 …            CRI; P for a part of a line
    messages-20200101:4711:Jan  5 15:19:27 …                             grep -n
    Mar  7 02:43:11 myhost kernel: memcheck-amd64- invoked …             RFC 3164
    Sep 23 02:04:16 [kernel] [1772321.850644] clamd invoked …            metalog
    Thu Aug 12 03:54:03 2025 kern.warn kernel: [  12.345678] …           OpenWrt
    2020-04-22T14:31:38+0000 www kernel: [11359.093999] …                journalctl -o short-iso
    Thu 2026-01-02 03:04:05 UTC www kernel: …                            journalctl -o short-full
    <4>1 2026-01-02T03:04:05.678Z host kernel - - - …                    RFC 5424
    4,19685342,241227987454,-,caller=T12845;dumpsys invoked …            /dev/kmsg
    kern  :warn  : [   56.419530] [  T1122] …                            dmesg -x, CONFIG_PRINTK_CALLER
    <4>[  472.898701]  [3:           init:    1] …                       Samsung
    [Di Aug 12 03:54:03 2025] php-fpm invoked …                          dmesg -T, in German
    [Aug12 03:54] … [  +0.000005] …                                      dmesg -H
"""

import re
from collections.abc import Callable
from typing import NamedTuple


class Head(NamedTuple):
    """What the layers of a line say, in the words of `Record`."""

    host: str | None = None
    program: str | None = None
    caller: str | None = None
    seconds: float | None = None
    time: str | None = None


NOTHING = Head()

# How much of a line is known by its layers: the rest of a wrapped line has fewer of them than its beginning.
BARE, OUTER, INNER = 0, 1, 2


class Seen:
    """What the layers of one line have said so far; the innermost one is believed."""

    __slots__ = ("caller", "escaped", "host", "level", "partial", "program", "seconds", "time")

    def __init__(self, head: Head, level: int) -> None:
        self.host, self.program, self.caller, self.seconds, self.time = head
        self.level = level
        self.escaped = self.partial = False

    def head(self) -> Head:
        """All of it."""
        return Head(self.host, self.program, self.caller, self.seconds, self.time)


Layer = Callable[[str, int, Seen], int | None]

_FACILITY = (
    r"<?(?:kern|user|mail|daemon|auth|authpriv|syslog|cron|ftp|lpr|news|uucp|local\d)\.[a-z]{3,7}>?:? "
)
# Words of the kernel's that look like a program, or like a host and a program.
_NO_PROGRAM = (
    r"(?!(?:CPU|Mem-[Ii]nfo|memory|memory\+swap|swap|kmem|Normal|DMA|DMA32|HighMem|Movable|Device|[ER][A-Z\d]{2}|Code"
    r"|oom-killer|[Aa]ctive|[a-z]+_[a-z]+|Hardware name|Call [Tt]race|Backtrace|Free (?:swap|pages)"
    r"|[\w+.-]{1,40} per-cpu):)"
)
_PROGRAM = (
    rf"(?:{_FACILITY})?(?:{_NO_PROGRAM}(?:([^\s\[{{<]\S{{0,254}}(?<![:\]])) )?(?:{_FACILITY})?"
    rf"{_NO_PROGRAM}"
    r"(?:([^\s:\[\]<>{}\"]{1,100})(?:\[\d{1,10}\])?: ?|\[([A-Za-z][^\]\s:.<]{0,60})\]:? ))"
)
_DATE = (
    r"(?:[A-Z][a-z]{2} [ \d]\d|[^\W\d]{2,9}\.? {1,2}\d{1,2}\.?"
    r"|\d{1,2}月 {1,2}\d{1,2}|\d{1,2}\.? [^\W\d]{3,9}\.?)"
)
_DAY = r"(?:[^\W\d]{1,5}\.?,? )?"
_CLOCK = r"\d\d:\d\d:\d\d"
_ISO = rf"\d{{4}}-\d\d-\d\d[T ]{_CLOCK}"
_ZONE = r"(?:Z| ?[+-]\d\d:?\d\d| (?:UTC|GMT|MSK|[A-Z]{2,3}T|[+-]\d{2,4})(?= \S+ ))?"

_SYSLOG = re.compile(rf"({_DAY}{_DATE} {_CLOCK}(?:\.\d{{1,6}})?(?: \d{{4}})?):? (?:{_PROGRAM})?")
_ISO_TIME = re.compile(rf"({_DAY}{_ISO}(?:\.\d{{1,9}})?{_ZONE}):? ")
_ISO_PROGRAM = re.compile(_PROGRAM)
_ISO_DMESG = re.compile(rf"({_ISO},\d{{1,9}}(?:[+-]\d\d:?\d\d)?) ")
_UNIX = re.compile(rf"(\d{{9,10}}\.\d{{3,6}}) {_PROGRAM}")
_LOGCAT = re.compile(rf"((?:\d{{4}}-)?\d\d-\d\d {_CLOCK}\.\d{{3,6}}) +\d+ +\d+ [VDIWEF] ([^:]{{0,40}}?) *: ")
_CRI = re.compile(rf"({_ISO}(?:\.\d{{1,9}})?(?:Z|[+-]\d\d:\d\d)) (?:stdout|stderr) ([FP])(?::[A-Z])? ?")
_RFC5424 = re.compile(
    r"(?:<\d{1,3}>)?1 (-|\d{4}-\d\d-\d\dT\S{8,40}) (\S{1,255}) (\S{1,48}) \S{1,128} \S{1,32} "
    r"(?:-|(?:\[(?:[^\]\"\\]|\"(?:[^\"\\]|\\.)*\"|\\.)*\])+)(?: |$)"
)
_PRIORITY = re.compile(r"<(?:\d{1,3}|[a-z]{2,8}\d?\.[a-z]{3,7})>:? ?|[a-z\d]{3,8} *:[a-z]{3,6} *: (?=\[|$)")
_KMSG = re.compile(r"\d{1,4},\d{1,20},(\d{1,16}),[^;\s]{1,200};")
_KMSG_CALLER = re.compile(r"caller=([TC]\d{1,10})[,;]")
_STAMP = re.compile(
    r"\[ {0,12}(\d{1,12}\.\d{3,9})(?:,\d{1,3})?(?: <[^>\]]{1,20}>)?\]"
    r"(?: ?\[ *([TC]\d{1,10})\]| {0,2}\[ ?\d{1,3}: *[^\]:]{1,32}: *(\d{1,10})\]"
    r"| {1,2}(?:<\d>\.)?\(\d{1,3}\)\[(\d{1,10}):[^\]]{1,32}\])? ?"
)
_DAYTIME = re.compile(
    r"\[((?:[^\[\]<>]{2,30}? ?|)\d{1,2}:\d\d:\d\d[^\[\]<>]{0,20}|[^\W\d]{3,5}\.? ?\d{1,2} \d\d:\d\d"
    r"|<? *\+?\d{1,9}\.\d{1,9}>?)"
    r"(?: <[^>\]]{1,20}>)?\](?: ?\[ *([TC]\d{1,10})\])? ?"
)
_QUOTE = re.compile(r"[ \t]*(?:(?:>|\|(?![^\s>|]))(?: (?=[>|]))?){1,20} ?")
_HEADISH = rf"(?={_DAY}{_DATE} {_CLOCK}|{_DAY}{_ISO}|\[ *\d{{1,12}}\.\d{{3,9}}\]|<\d{{1,3}}>)"
_GREP = re.compile(
    rf"(?:[\w./~+@-]{{1,200}}?[:-])?(?:\d{{1,9}}[:-])?(?<=[:-]){_HEADISH}|[\w.-]{{1,100}} +\| {_HEADISH}"
)
# Where a line whose end was lost goes on with the next message; a host is known by the kernel behind it.
STAMPS = re.compile(r"(?:^|(?<=\s))\[ {0,12}(\d{1,12}\.\d{6})\](?=[\s\[])")
FURTHER_HEADS = re.compile(
    rf"(?:^|(?<=\s))(?:[A-Z][a-z]{{2}} [ \d]\d {_CLOCK} (?:\S{{1,255}} )?kernel: ?)?"
    rf"(?:\[ {{0,12}}\d{{1,12}}\.\d{{6}}\]|\[[^\W\d]{{2,5}}\.? [^\[\]<>]{{2,16}} {_CLOCK} \d{{4}}\])"
    r"(?=[\s\[])"
)
_MONOTONIC = re.compile(r"([^\s:\[\]]{1,255}) (kernel): ")


def syslog(line: str, at: int, seen: Seen) -> int | None:
    """RFC 3164 and its kin: `short` of the journal in any language, metalog, busybox, OpenWrt."""
    match = _SYSLOG.match(line, at)
    if match is None:
        return None
    seen.time = match[1]
    _note_program(match[2], match[3] or match[4], seen)
    seen.level = INNER
    return match.end()


def iso(line: str, at: int, seen: Seen) -> int | None:
    """A time by ISO 8601: rsyslog, `short-iso`, `short-full` of the journal; alone, kubectl --timestamps."""
    match = _ISO_TIME.match(line, at)
    if match is None:
        return None
    seen.time = match[1]
    said = _ISO_PROGRAM.match(line, match.end())
    if said is None or not (said[1] or said[3] or said[2] == "kernel"):
        seen.level = max(seen.level, OUTER)
        return match.end()
    _note_program(said[1], said[2] or said[3], seen)
    seen.level = INNER
    return said.end()


def iso_dmesg(line: str, at: int, seen: Seen) -> int | None:
    """``dmesg --time-format=iso``, which has a comma before the fraction."""
    match = _ISO_DMESG.match(line, at)
    if match is None:
        return None
    seen.time = match[1]
    seen.level = INNER
    return match.end()


def unix(line: str, at: int, seen: Seen) -> int | None:
    """`short-unix` of the journal."""
    match = _UNIX.match(line, at)
    if match is None:
        return None
    seen.time = match[1]
    _note_program(match[2], match[3] or match[4], seen)
    seen.level = INNER
    return match.end()


def logcat(line: str, at: int, seen: Seen) -> int | None:
    """Android's logcat, whose ``-b kernel`` carries the kernel's messages."""
    match = _LOGCAT.match(line, at)
    if match is None:
        return None
    seen.time, seen.program = match[1], match[2].strip() or None
    seen.level = INNER
    return match.end()


def cri(line: str, at: int, seen: Seen) -> int | None:
    """Logs of containers by the Container Runtime Interface."""
    match = _CRI.match(line, at)
    if match is None:
        return None
    seen.time, seen.partial = match[1], match[2] == "P"
    seen.level = max(seen.level, OUTER)
    return match.end()


def rfc5424(line: str, at: int, seen: Seen) -> int | None:
    """RFC 5424, with or without its priority."""
    match = _RFC5424.match(line, at)
    if match is None:
        return None
    time, host, program = match.groups()
    seen.time = None if time == "-" else time
    _note_program(None if host == "-" else host, None if program == "-" else program, seen)
    seen.level = INNER
    return match.end()


def priority(line: str, at: int, seen: Seen) -> int | None:
    """``<4>``, ``<kern.warning>``, and what ``dmesg -x`` makes of it."""
    match = _PRIORITY.match(line, at)
    if match is None:
        return None
    seen.level = INNER
    return match.end()


def kmsg(line: str, at: int, seen: Seen) -> int | None:
    """A record of /dev/kmsg as it is read."""
    match = _KMSG.match(line, at)
    if match is None:
        return None
    caller = _KMSG_CALLER.search(line, at, match.end())
    seen.caller = caller[1] if caller else None
    seen.seconds = int(match[1]) / 1e6
    seen.level = INNER
    seen.escaped = True
    return match.end()


def stamp(line: str, at: int, seen: Seen) -> int | None:
    """The kernel's time stamp, and the caller some kernels print with it."""
    match = _STAMP.match(line, at)
    if match is None:
        return None
    seconds, caller, samsung, mediatek = match.groups()
    seen.seconds = float(seconds)
    task = samsung or mediatek
    seen.caller = f"T{task}" if task else caller
    seen.level = INNER
    end = match.end()
    if seen.program is None and line.find(" kernel: ", end, end + 264) > 0:
        monotonic = _MONOTONIC.match(line, end)
        if monotonic is not None:
            seen.host, seen.program = monotonic.groups()
            end = monotonic.end()
    return end


def daytime(line: str, at: int, seen: Seen) -> int | None:
    """The time of day in brackets, as ``dmesg -T`` prints it in any language, and ``dmesg -H``."""
    match = _DAYTIME.match(line, at)
    if match is None:
        return None
    seen.time, seen.caller = match[1].strip(), match[2]
    seen.level = INNER
    return match.end()


def quote(line: str, at: int, seen: Seen) -> int | None:
    """The marks of a quoted mail."""
    match = _QUOTE.match(line, at)
    return match.end() if match else None


def grep(line: str, at: int, seen: Seen) -> int | None:
    """The name of the file, and the number of the line, that grep sets before it; docker-compose's name."""
    match = _GREP.match(line, at)
    return match.end() if match else None


def _note_program(host: str | None, program: str | None, seen: Seen) -> None:
    if host is not None:
        seen.host = host
    if program is not None:
        seen.program = program


# Which layers may begin with a character; what comes first is tried first.
_OF_DIGIT = (syslog, cri, iso, iso_dmesg, kmsg, rfc5424, unix, logcat, grep)
_OF_LETTER = (syslog, priority, iso, grep)
_BY_FIRST = {
    "[": (stamp, daytime),
    "<": (rfc5424, priority),
    ">": (quote,),
    "|": (quote,),
    "/": (grep,),
    **dict.fromkeys("0123456789", _OF_DIGIT),
}
# Behind these comes the message: brackets in it are its own.
_LAST = frozenset({stamp, daytime, kmsg})
_MOST_LAYERS = 8
_BLANKS = frozenset(" \t")
_MORE = frozenset("[<")


class Transport:
    """Takes the layers off, and remembers which ones the last line had: the next one will have the same."""

    def __init__(self) -> None:
        self._chain: list[Layer] = []

    def take_off(self, line: str, seen: Seen) -> int:
        """Take all layers off a line.

        Args:
            line: The line.
            seen: Is told what the layers say.

        Returns:
            Where the message begins.
        """
        at = 0
        chain = self._chain
        for layer in chain:
            end = layer(line, at, seen)
            if end is None and line[at : at + 1] in _BLANKS:
                end = layer(line, _past_blanks(line, at), seen)
            if end is None:
                break
            at = end
        else:
            if chain and (chain[-1] in _LAST or line[at : at + 1] not in _MORE):
                return at
        return self._explore(line, seen)

    def _explore(self, line: str, seen: Seen) -> int:
        chain: list[Layer] = []
        at = 0
        while len(chain) < _MOST_LAYERS and not (chain and chain[-1] in _LAST):
            begin = _past_blanks(line, at)
            for layer in _BY_FIRST.get(line[begin : begin + 1], _OF_LETTER):
                end = layer(line, begin, seen)
                if end is not None:
                    chain.append(layer)
                    at = end
                    break
            else:
                break
        if seen.level:
            self._chain = chain
        return at


def _past_blanks(line: str, at: int) -> int:
    while line[at : at + 1] in _BLANKS:
        at += 1
    return at
