"""What carries a message in a log (syslog, journal, dmesg, /dev/kmsg, containers, mail), and the names in it.

::

    Apr 22 14:31:38 web-7 kernel: [11359.093942] …           syslog, journalctl
    2026-04-22T14:31:38.123456+00:00 web-7 kernel: …         syslog, journalctl -o short-iso
    <4>1 2026-04-22T14:31:38Z web-7 kernel - - - …           RFC 5424
    2026-04-22T14:31:38.123456789Z stderr F …                CRI
    [Mi Apr 22 14:31:38 2026] …   kern  :warn  : […] …       dmesg -T, dmesg -x
    4,1203,94012345,-,caller=T1;…                            /dev/kmsg
    <4>[ 5864.708440] [3:  ledger: 4711] …                   vendors of phones
    [Aug12 03:54] …  [  +0.000005] …                         dmesg -H
    > …                                                      mail
"""

import re
import string
from collections.abc import Callable
from typing import NamedTuple

_TIME = r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?"
# A name of a day or month may be in any language, but no longer than such names are.
_DAY = r"(?:[^\W\d_]{1,5}\.?,? )?(?:[^\W\d_]{2,5}\.? {1,2}\d{1,2}\.?|\d{1,2}\.? [^\W\d_]{2,9}\.?)"
_ISO = rf"\d{{4}}-\d{{2}}-\d{{2}}[T ]{_TIME}(?:Z| ?[+-]\d{{2}}:?\d{{2}}| (?:UTC|GMT|MSK|[A-Z]{{2,3}}T))?"
_WHEN = rf"(?:{_DAY}(?: \d{{4}})? {_TIME}(?: \d{{4}})?|(?:[A-Z][a-z]{{2}} )?{_ISO}|\d{{9,10}}\.\d{{3,6}})"
_HOST = r"(?P<host>[^\s\[\]<>{}\"]{0,254}[^\s\[\]<>{}\":])"
_PROGRAM = r"(?P<program>[^\s:\[\]]{1,128})(?:\[\d{1,20}\])?"
_LEVELS = r"kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local\d"
_GRADES = "emerg|alert|crit|err|error|warn|warning|notice|info|debug"
_HEAD = rf"(?={_WHEN} |\[ *\d{{1,12}}\.\d{{3,9}}\]|<\d{{1,3}}>)"
_DIGITS, _LETTERS = "0123456789", "LETTER"

# With which characters a layer begins, and what it looks like. Each is tried where the one before ended.
_LAYERS: tuple[tuple[str, str], ...] = (
    (">| \t", r"[ \t]*(?:[>|] ?){1,20}"),
    ("", rf"(?P<file>[\w./~@+-]{{1,200}}?)(?:[:-]\d{{1,10}})?[:-]{_HEAD}"),
    ("", rf"(?P<host>[\w./-]{{1,200}}) {{1,20}}\| {_HEAD}"),
    (
        "<1",
        rf"(?:<\d{{1,3}}>)?1 (?:{_ISO}|-) (?P<host>\S{{1,255}}) (?P<program>\S{{1,48}})"
        r" (?P<drop>\S{1,128} \S{1,32} (?:-|(?:\[[^\]]{0,4000}\]){1,9})) ?",
    ),
    ("<", r"<\d{1,4}>"),
    (_DIGITS, rf"{_ISO} (?:stdout|stderr) [FP](?::[A-Z])? ?"),
    (
        _DIGITS,
        rf"(?:\d{{4}}-)?\d\d-\d\d {_TIME} +\d{{1,8}} +\d{{1,8}} [VDIWEF] (?P<program>[^:]{{0,40}}?) *: ",
    ),
    ("", rf"{_WHEN}:? <?(?:{_LEVELS})[.:](?:{_GRADES})>?:? (?:{_HOST} )?{_PROGRAM}: ?"),
    ("", rf"{_WHEN}:? (?:{_HOST} )?(?P<program>kernel): ?"),
    ("", rf"{_WHEN}:? {_HOST} {_PROGRAM}: ?"),
    ("", rf"{_WHEN}:? {_PROGRAM}: ?"),
    ("", rf"{_WHEN}:? {_HOST} (?=\[ *\d{{1,12}}\.\d{{6}}\])"),
    ("", rf"{_WHEN} \[(?P<program>[^\s\]]{{1,60}})\]:? "),
    ("", rf"{_WHEN} "),
    ("<" + _LETTERS, rf"<?(?:{_LEVELS}) *[.:] *(?:{_GRADES}) *(?:>|:):? ?"),
    (" [", r" {0,12}\[ *\d{1,12}\.\d{1,9}\](?: ?\[ *[TC]\d{1,8}\])? {0,2}"),
    (" [", rf" {{0,12}}\[{_DAY} {_TIME}(?: [A-Z]{{1,5}})? \d{{4}}\](?: ?\[ *[TC]\d{{1,8}}\])? ?"),
    (" [", r" {0,12}\[(?:[A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d| *<? *\+?\d{1,9}\.\d{1,9}>?)\] ?"),
    (_DIGITS, r"\d{1,4},\d{1,20},\d{1,20}(?:,[-c+])?(?:,caller=[TC]\d{1,8})?(?:,[a-z]{1,20}=\w{1,20}){0,4};"),
    ("[", r"\[ ?\d{1,4}: *(?P<comm>[^\]]{1,32}?): *\d{1,10}\] ?"),
    ("<(", r"(?:<\d>\.?)?\(\d{1,3}\)\[\d{1,10}:(?P<comm>[^\]]{1,32})\] ?"),
    (_LETTERS, rf"(?:{_HOST} )?(?P<program>kernel): ?"),
    (_LETTERS, r"(?P<program>[A-Za-z][\w.-]{0,63})\[\d{1,20}\]: "),
)
_KINDS = ("file", "host", "program", "drop", "comm")


class _Step(NamedTuple):
    """A layer to look for.

    Attributes:
        first: The characters it begins with; None for almost any.
        kinds: The names it has.
    """

    first: frozenset[str] | None
    match: Callable[[str, int], re.Match[str] | None]
    kinds: tuple[str, ...]


def _step(first: str, pattern: str) -> _Step:
    compiled = re.compile(pattern)
    characters = first.replace(_LETTERS, string.ascii_letters)
    kinds = tuple(kind for kind in _KINDS if kind in compiled.groupindex)
    return _Step(frozenset(characters) if first else None, compiled.match, kinds)


# No time, host or file begins with these.
_NEVER = frozenset(["", " ", "[", "<", "(", "{", "\t"])
_STEPS = tuple(_step(first, pattern) for first, pattern in _LAYERS)


class Label(NamedTuple):
    """A name in what carries a message: host, program or file."""

    start: int
    end: int
    kind: str


class Carrier(NamedTuple):
    """What stands before a message.

    Attributes:
        end: Where the message begins.
        labels: The names before it, in order.
        program: Who wrote the message, where it says so.
    """

    end: int
    labels: tuple[Label, ...]
    program: str | None


def find_carrier(line: str) -> Carrier:
    """Find out what stands before the message in a line of a log."""
    at, labels, program = 0, list[Label](), None
    for step in _STEPS:
        first = line[at : at + 1]
        fits = first not in _NEVER if step.first is None else first in step.first
        found = step.match(line, at) if fits else None
        if found is None:
            continue
        for kind in step.kinds:
            if found[kind]:
                labels.append(Label(*found.span(kind), kind))
                program = found[kind] if kind == "program" else program
        at = found.end()
    labels.sort()
    return Carrier(at, tuple(labels), program)
