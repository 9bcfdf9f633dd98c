"""What an incident says in JSON (catalogue, events, process table) without strangers' names.

Known things stay in their places; whatever has no place of its own is left out. What of a sentence is
neither a word of this program's nor a known name gets a stand-in, too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from memwatchd.errors import UnknownSignalError
from memwatchd.scrub.names import Names
from memwatchd.scrub.parts import scrub_cache
from memwatchd.scrub.text import MessageScrubber
from memwatchd.signals.names import join_name, split_name

_SOURCE = re.compile(r"[a-z]{1,20}(?:/zram\d{1,4})?", re.ASCII)
_SIGNAL = re.compile(r'(?<![\w."])(?:process|cgroup|slab)(?:\.(?:[\w:@()-]+|"(?:[^"]|"")*"))+', re.ASCII)
# What the service says of a kill; the name may be any word.
_VICTIM = re.compile(
    r"(.{1,300}) \(pid \d{1,20}\) was killed (?:by the limit of (?:cgroup (.*)|its )|because )",
    re.DOTALL,
)
_SOURCES = (
    *("vmstat", "meminfo", "pressure", "buddyinfo", "zoneinfo", "slabinfo", "arcstats", "zram"),
    "process",
    "cgroup",
)
_PLAIN = re.compile(r"[A-Za-z_][\w.()-]{0,63}", re.ASCII)
_KIND = re.compile(r"[a-z_]{1,40}")
_KEY = re.compile(r"[a-z][a-z_]{0,40}")


class FactScrubber:
    """Takes names out of what is JSON in an incident.

    Args:
        names: The stand-ins.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._messages = MessageScrubber(names)

    # ---- the catalogue

    def catalogue(self, entries: Any) -> list[dict[str, Any]]:
        """The sources, under their names without names."""
        if not isinstance(entries, list):
            return []
        good = (entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("name"), str))
        return [self._entry(entry) for entry in good]

    def _entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        name = self.source(entry["name"])
        texts = {"comm": self._names.comm, "cgroup": self._names.cgroup, "target": self._names.path}
        return numbers(entry) | {
            "name": name,
            "path": _path_of(name),
            **{key: self._text(entry[key], scrub) for key, scrub in texts.items() if key in entry},
        }

    def source(self, name: str) -> str:
        """The name of a source: ``meminfo``, ``cgroup/system.slice/unit-1.service/memory.stat``."""
        kind, _, rest = name.partition("/")
        if kind == "cgroup":
            cgroup, _, file = rest.rpartition("/")
            file = file if re.fullmatch(r"memory\.[a-z_.]{1,40}", file) else self._names.of("file", file)
            return f"cgroup/{self._names.cgroup(cgroup)}/{file}"
        if kind == "process" and re.fullmatch(r"\d{1,10}/(?:statm|status|fdinfo/\d{1,10})", rest):
            return name
        return name if _SOURCE.fullmatch(name) and kind in _SOURCES else self._names.of("source", name)

    # ---- events and processes

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """An event of either ring."""
        of_signals = str(event.get("event")).startswith("rule_")
        return {
            key: self._figures(value, of_signals)
            if isinstance(value, dict)
            else self._event_value(key, value)
            for key, value in event.items()
            if _KEY.fullmatch(key)
        }

    def _event_value(self, key: str, value: Any) -> Any:
        if value is None or isinstance(value, bool) or is_number(value):
            return value
        if isinstance(value, str):
            if key == "rule":
                return self._names.rule(value)
            if key == "source":
                return self.source(value)
            return (
                value
                if key in ("event", "action", "verdict") and _KIND.fullmatch(value)
                else self.sentence(value)
            )
        return [each for each in value if is_number(each)] if isinstance(value, list) else None

    def _figures(self, figures: Mapping[str, Any], of_signals: bool) -> dict[str, Any]:
        """Figures by name: those of rules are signals, with names in them; those of actions are ours."""
        return {
            key if _KEY.fullmatch(key) and not of_signals else self.sentence(key): self._event_value(
                "", value
            )
            for key, value in figures.items()
        }

    def process_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of the process table."""
        texts = {"comm": self._names.comm, "cgroup": self._names.cgroup}
        kept = {
            key: value
            for key, value in row.items()
            if _KEY.fullmatch(key) and (value is None or is_number(value))
        }
        kept |= {key: self._text(row[key], scrub) for key, scrub in texts.items() if key in row}
        if isinstance(row.get("uid"), int):
            kept["uid"] = int(self._names.uid(str(row["uid"])))
        state = row.get("state")
        if isinstance(state, str):
            kept["state"] = state if re.fullmatch(r"[A-Za-z]", state) else "?"
        return kept

    # ---- sentences

    def sentence(self, text: Any) -> str:
        """A sentence of this program, or a term made of signals; words of others get stand-ins."""
        if not isinstance(text, str):
            return ""
        parts, at = [], 0
        for start, end, stand_in in self._stand_ins(text):
            parts += [self._messages.scrub_sentence(text[at:start]), stand_in]
            at = end
        return "".join([*parts, self._messages.scrub_sentence(text[at:])])

    def _stand_ins(self, text: str) -> Iterator[tuple[int, int, str]]:
        """What has a stand-in of its own in a sentence, in order."""
        victim = _VICTIM.match(text)
        first = 0
        if victim:
            first = victim.end(1)
            yield victim.start(1), victim.end(1), self._names.comm(victim[1])
            if victim[2]:
                yield victim.start(2), victim.end(2), self._names.cgroup(victim[2])
                return
        names = self._names.phrases
        for found in re.finditer(
            f"{_SIGNAL.pattern}|{names.pattern}" if names else _SIGNAL.pattern, text, re.ASCII
        ):
            if found.start() >= first:
                known = self._names.words.get(found[0])
                yield found.start(), found.end(), self._signal(found) if known is None else known

    def _signal(self, found: re.Match[str]) -> str:
        try:
            family, *parts = split_name(found[0])
        except UnknownSignalError:
            return self._names.of("signal", found[0])
        if family == "slab":
            parts[0] = scrub_cache(self._names, parts[0])
        elif family == "cgroup":
            parts[0] = self._names.cgroup(parts[0])
        elif not parts[0].isdigit():
            parts[0] = self._names.comm(parts[0])
        last = [part if _PLAIN.fullmatch(part) else self._names.path(part) for part in parts[1:]]
        return join_name((family, parts[0], *last))

    def _text(self, value: Any, scrub: Any) -> Any:
        return scrub(value) if isinstance(value, str) else None


def numbers(values: Any) -> dict[str, Any]:
    """What is a number, true, false or null in an object, under keys of ours."""
    if not isinstance(values, dict):
        return {}
    return {
        key: value
        for key, value in values.items()
        if isinstance(key, str) and re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", key) and _is_plain(value)
    }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float)


def is_number(value: Any) -> bool:
    """Whether it is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _path_of(source: str) -> str:
    """Where such a source usually is."""
    kind, _, rest = source.partition("/")
    if kind == "cgroup":
        return f"/sys/fs/cgroup/{rest}"
    if kind == "zram":
        return f"/sys/block/{rest}/mm_stat"
    return f"/proc/{rest if kind == 'process' else source}"
