r"""Logs whose records are not lines of text: JSON, and the fields of the journal.

{"log":"Mar  7 02:43:11 myhost kernel: Mem-Info:\n","stream":"stderr","time":"2026-01-02T03:04:05Z"}
                                                            docker's json-file, one a line
{"__REALTIME_TIMESTAMP":"1767323045678901","_HOSTNAME":"www","_TRANSPORT":"kernel","MESSAGE":"Mem-Info:"}
                                                            journalctl -o json; json-pretty has a field a line

{
   "dmesg": [
      {
         "pri": "kern.warn",
         "time":     12.345678,
         "msg": "Mem-Info:"
      },{                                                   dmesg --json

Fri 2026-01-02 03:04:05.678901 UTC [s=1f;i=2a;b=…;m=…;t=…;x=…]
    _HOSTNAME=www
    _TRANSPORT=kernel
    MESSAGE=Mem-Info:                                       journalctl -o verbose

__CURSOR=s=1f;i=2a;b=…
_HOSTNAME=www
MESSAGE=Mem-Info:
                                                            journalctl -o export: a blank line ends a record
"""

import json
import re
from typing import Any, NamedTuple

from memwatchd.oomreport.lines import Line
from memwatchd.oomreport.transport import Head

_JSON_FIELD = re.compile(r'\s*"([\w@.-]{1,64})"\s*:\s*(.*?)\s*,?\s*$')
_JSON_END = re.compile(r"\s*[\]}][\],{\s}]*$")
_JSON_BEGIN = re.compile(r'\s*(?:\{|"dmesg"\s*:\s*\[|\[)\s*\{?\s*$')
_VERBOSE = re.compile(r"\s*(\S.{0,60}?) \[s=[0-9a-f]+;i=")
_FIELD = re.compile(r"\s*([A-Z_][A-Z0-9_]{0,63})=(.*)$", re.DOTALL)

_TEXT = ("MESSAGE", "log", "msg", "message")
_HOST = ("_HOSTNAME", "host", "hostname")
_PROGRAM = ("SYSLOG_IDENTIFIER", "_COMM", "ident", "appname", "programname")
_TIME = ("__REALTIME_TIMESTAMP", "timestamp", "@timestamp", "time", "ts")
_CLOCK_USEC = ("_SOURCE_MONOTONIC_TIMESTAMP", "__MONOTONIC_TIMESTAMP")
_EXPORT = ("__CURSOR=", "__REALTIME_TIMESTAMP=")
_MOST_FIELDS = 200
_LONGEST = 1 << 16


class Message(NamedTuple):
    """A message out of such a record.

    Attributes:
        number, last: Lines of the input on which it stands.
        head: What the record says of it.
        text: It may still carry layers of transport, and have line ends.
        is_container: It is a line that a container wrote, and not a message of the kernel's or the journal's.
        cut: Docker had cut a long line here, the next message goes on with it.
    """

    number: int
    last: int
    head: Head
    text: str
    is_container: bool
    cut: bool


class Structured:
    """Collects the fields of records that span lines."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._number = self._last = 0
        self._name = ""
        self._time: str | None = None
        self._form: re.Pattern[str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the next line may belong to a record that has begun."""
        return self._form is not None

    def feed(self, line: Line) -> tuple[list[Message], bool]:
        """Take in a line.

        Returns:
            The messages that are complete by it, and whether the line itself was a part of such a record.
        """
        if line.text.startswith("{") and line.text.rstrip().endswith(("}", "},")):
            whole = _value(line.text.strip().rstrip(","))
            done = self.close()
            return done + _message(line.number, line.last, whole, None), isinstance(whole, dict)
        if self._form is not None and self._take(line):
            return [], True
        return self._begin(line.text)

    def close(self) -> list[Message]:
        """End the record that is open."""
        self._form = None
        found = _message(self._number, self._last, self._fields, self._time)
        self._fields, self._name, self._time = {}, "", None
        return found

    def _begin(self, text: str) -> tuple[list[Message], bool]:
        """End the record that is open; begin another if the line says so."""
        in_json = self._form is _JSON_FIELD
        done = self.close()
        verbose = _VERBOSE.match(text) if "[s=" in text else None
        if verbose is not None or text.startswith(_EXPORT):
            self._form, self._time = _FIELD, verbose[1] if verbose else None
            return done, True
        if _JSON_BEGIN.match(text) or (in_json and _JSON_END.match(text)):
            self._form = _JSON_FIELD
            return done, True
        return done, False

    def _take(self, line: Line) -> bool:
        """Take in a field; say whether it is one."""
        form = self._form
        match = form.match(line.text) if form and not line.text.startswith("__CURSOR=") else None
        if match is None or len(self._fields) >= _MOST_FIELDS:
            return form is _FIELD and match is None and self._go_on(line)
        self._name, value = match.groups()
        if self._name in _TEXT:
            self._number, self._last = line.number, line.last
        self._fields.setdefault(self._name, _value(value) if form is _JSON_FIELD else value)
        return True

    def _go_on(self, line: Line) -> bool:
        """Take in a further line of a message that has several, as the kernel's may have."""
        text = line.text.strip()
        if not text or self._name not in _TEXT or len(self._fields[self._name]) > _LONGEST or "[s=" in text:
            return False
        self._fields[self._name] += "\n" + text
        self._last = line.last
        return True


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _message(number: int, last: int, fields: Any, time: str | None) -> list[Message]:
    if not isinstance(fields, dict):
        return []
    text = next((fields[name] for name in _TEXT if name in fields), None)
    if isinstance(text, list):
        # The journal's way with bytes that are not UTF-8.
        text = bytes(each for each in text if isinstance(each, int) and 0 <= each < 256)
        text = text.decode("utf-8", "surrogateescape")
    if not isinstance(text, str):
        return []
    program = _first(fields, _PROGRAM) or ("kernel" if fields.get("_TRANSPORT") == "kernel" else None)
    seconds = _seconds(fields)
    stamp = None if "pri" in fields else _first(fields, _TIME)
    caller = _first(fields, ("caller",))
    head = Head(_first(fields, _HOST), program, caller, seconds, time or stamp)
    is_container = "log" in fields
    cut = is_container and "stream" in fields and not text.endswith("\n")
    return [Message(number, last, head, text.rstrip("\n"), is_container, cut)]


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    found = next((fields[name] for name in names if name in fields), None)
    return str(found) if isinstance(found, (str, int, float)) else None


def _seconds(fields: dict[str, Any]) -> float | None:
    """The kernel's clock: dmesg says it in seconds, the journal in microseconds."""
    time = fields.get("time") if "pri" in fields else None
    if isinstance(time, float):
        return time
    if fields.get("_TRANSPORT") == "kernel":
        usec = _first(fields, _CLOCK_USEC)
        if usec is not None and usec.isascii() and usec.isdigit() and len(usec) <= 18:
            return int(usec) / 1e6
    return None
