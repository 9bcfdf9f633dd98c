r"""Records of the journal and of containers that are fields and not lines, without strangers' names.

::

    {"_HOSTNAME":"web-7","_TRANSPORT":"kernel","MESSAGE":"Mem-Info:"}     journalctl -o json, a record a line
    {"log":"[ 1.5] Mem-Info:\n","stream":"stderr","time":"2026-01-02T03:04:05Z"}    docker
            "msg": "Mem-Info:"                                             dmesg --json, a field a line
    _HOSTNAME=web-7                                                        journalctl -o export, -o verbose

Fields that nobody needs for a diagnosis are left out, or lose key and value where they are a line.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from memwatchd.scrub.vocabulary import words_of

MESSAGES = ("MESSAGE", "msg", "log", "message")
_HOSTS = ("_HOSTNAME", "hostname", "host")
_PROGRAMS = ("SYSLOG_IDENTIFIER", "_COMM", "ident", "appname", "programname")
_PLAIN = words_of(
    """
    __CURSOR __REALTIME_TIMESTAMP __MONOTONIC_TIMESTAMP __SEQNUM _SOURCE_MONOTONIC_TIMESTAMP
    _SOURCE_REALTIME_TIMESTAMP _SOURCE_BOOTTIME_TIMESTAMP _TRANSPORT PRIORITY SYSLOG_FACILITY SYSLOG_PID _PID
    SYSLOG_TIMESTAMP time stream pri timestamp @timestamp ts facility severity caller seq usec flags
    """
)
_KNOWN = _PLAIN | set(MESSAGES + _HOSTS + _PROGRAMS)
_NUMBERS = re.compile(r"[-\d.:TZ+, ]{0,64}", re.ASCII)
_WORDS = words_of("kernel kern warn err error info debug notice crit emerg alert stderr stdout F P")
_JSON_FIELD = re.compile(r'(\s*"([\w@.-]{1,64})"\s*:\s*)(.*?)(\s*,?\s*)$', re.ASCII)
_JSON_FRAME = re.compile(r'[\s{}\[\],]*(?:"dmesg"\s*:\s*\[)?[\s{}\[\],]*')
_FIELD = re.compile(r"(\s*)([A-Z_][A-Z0-9_]{0,63})=(.*)$", re.ASCII | re.DOTALL)
_VERBOSE = re.compile(
    r"(\s*(?:[A-Z][a-z]{2} )?[-\d:. ]{10,40}(?: [A-Z]{1,5})?) \[s=[0-9a-f]+;i=[^\]]*\]", re.ASCII
)
_CURSOR = "__CURSOR"
_NO_CURSOR = "s=0;i=0"

Scrub = Callable[[str, str | None], str]
Rename = Callable[[str], str]


class FieldScrubber:
    """Takes names out of fields.

    Args:
        message: Scrubs a message, which may carry layers of its own; is told who wrote it, if that is known.
        host: Gives a host its stand-in.
        program: Gives a program its stand-in.
    """

    def __init__(self, message: Scrub, host: Rename, program: Rename) -> None:
        self._message = message
        self._host = host
        self._program = program

    def scrub(self, line: str) -> str | None:
        """A line that is a record, or a part of one; None for one that is not."""
        begin = line.lstrip()[:1]
        if begin == "{" and line.rstrip().endswith(("}", "},")):
            return self._record(line)
        if begin in ("{", "}", "[", "]", '"', ","):
            return self._json_line(line)
        verbose = _VERBOSE.fullmatch(line) if "[s=" in line else None
        if verbose:
            return f"{verbose[1]} [{_NO_CURSOR}]"
        field = _FIELD.match(line)
        if field is None:
            return None
        blanks, key, value = field.groups()
        return f"{blanks}{key if key in _KNOWN else 'FIELD'}={self._text(key, value, None)}"

    def _record(self, line: str) -> str | None:
        try:
            entry = json.loads(line.strip().rstrip(","))
        except (ValueError, RecursionError):
            return None
        if not isinstance(entry, dict):
            return None
        program = next((entry[key] for key in _PROGRAMS if isinstance(entry.get(key), str)), None)
        kept = {key: self._value(key, value, program) for key, value in entry.items() if key in _KNOWN}
        return json.dumps(kept) + ("," if line.rstrip().endswith(",") else "")

    def _json_line(self, line: str) -> str | None:
        field = _JSON_FIELD.match(line)
        if field is None:
            return line if _JSON_FRAME.fullmatch(line) else None
        before, key, value, after = field.groups()
        try:
            plain = json.loads(value)
        except (ValueError, RecursionError):
            return None
        before = before if key in _KNOWN else '"field": '
        return before + json.dumps(self._value(key, plain, None)) + after

    def _value(self, key: str, value: Any, program: str | None) -> Any:
        if isinstance(value, bool | int | float):
            return value if key in _KNOWN else None
        return self._text(key, value, program) if isinstance(value, str) else None

    def _text(self, key: str, value: str, program: str | None) -> str:
        if key in MESSAGES:
            body = value.rstrip("\n")
            return self._message(body, program) + value[len(body) :]
        if key in _HOSTS:
            return self._host(value)
        if key in _PROGRAMS:
            return self._program(value)
        if key == _CURSOR:
            return _NO_CURSOR
        if key not in _PLAIN:
            return "-"
        return value if _NUMBERS.fullmatch(value) or value in _WORDS else "-"
