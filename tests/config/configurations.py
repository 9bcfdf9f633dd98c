"""Random configurations that are good: every key, every action, whatever the table of keys allows.

Made with `random` and a seed: put together from strategies of hypothesis they take a second each.
"""

import string
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Any

from memwatchd.actions.base import Action
from memwatchd.actions.freeze import Freeze
from memwatchd.actions.hook import Hook
from memwatchd.actions.kill import Kill
from memwatchd.actions.limit import Limit
from memwatchd.actions.registry import ACTIONS
from memwatchd.actions.sysctl import Sysctl
from memwatchd.actions.thaw import Thaw
from memwatchd.config.checks import conflicts
from memwatchd.config.conditions import read_condition
from memwatchd.config.model import MIN_BOX_SEGMENTS, MIN_SEGMENTS, Config, SourceRate
from memwatchd.config.rules import AFTER, Rule, Step
from memwatchd.config.serving import Listen
from memwatchd.keys import Key, Kind, keys_of

CONDITIONS = [
    "meminfo.MemAvailable < 5% of meminfo.MemTotal",
    "zone.worst.margin < 16MiB or not (meminfo.SwapFree > 64MiB)",
    "rate(slab.dentry.bytes, 1s) > 20MiB/s and time_to(meminfo.MemAvailable, 0) < 10s",
    "cgroup.\"/a \\ 'b'\".usage > 1GiB",
    "vmstat.oom_kill == 0",
]
# Texts that mean something: what any text of theirs would be refused for is not the table's to know.
MEANT: dict[str, list[Any]] = {
    "i_know": [True],
    "units": [("cron.service",), ("cron.service", "a-b@c.timer")],
    "paths": [("/",), ("/srv/a b", "/ü")],
    "cgroups": [("/a",), ("/a", "/x.slice/*.scope")],
    "message": ["rule {rule}: {reason}", "{meminfo.MemFree}", 'a "b" \\ \u2028'],
}
# What YAML, JSON or a terminal might take for something else, and the ends of the planes.
CHARACTERS = (
    string.printable[:95] + "\"\\'#:&*!|>%@`\xa0\xadé\u2028\u202e\ue000\ufeff\uffff\U0001f4a9\U0010ffff"
)
NAME_CHARACTERS = string.ascii_letters + string.digits + "_-"


class Maker:
    """Makes random configurations; the same ones from the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._by_kind: dict[Kind, Callable[[Key], Any]] = {
            Kind.SECTION: lambda key: self.section(key.of),
            Kind.LIST: lambda key: tuple(self.section(key.of) for _ in range(self._few(4))),
            Kind.TABLE: lambda key: tuple(self.section(key.of, name=name) for name in self._names()),
            Kind.STEPS: lambda key: _chain([self._step() for _ in range(self._few(4))]),
            Kind.EXPRESSION: lambda key: read_condition(self._chance.choice(CONDITIONS)),
            Kind.WORDS: lambda key: tuple(self._text() for _ in range(self._few(3))),
            Kind.SIZE: self._number,
            Kind.DURATION: self._number,
            Kind.INTEGER: self._number,
            Kind.RATE: self._share,
            Kind.PERCENTAGE: self._share,
            Kind.SOURCE: self._source,
            Kind.BOOLEAN: lambda key: self._chance.random() < 0.5,
            Kind.CHOICE: lambda key: self._chance.choice(key.choices),
            # Three characters are at most twelve bytes: the shortest of the limits is fifteen.
            Kind.TEXT: lambda key: self._text(),
            Kind.PATH: lambda key: Path("/" + self._text()),
            Kind.CGROUP: self._cgroup,
            Kind.ADDRESSES: lambda key: tuple(self._listen() for _ in range(1 + self._few(2))),
        }

    def config(self) -> Config:
        """A configuration."""
        return _agreeing(self.section(Config))

    def action(self, of: type[Action]) -> Any:
        """An action of a class."""
        return _sound(self.section(of))

    def section(self, of: Any, **values: Any) -> Any:
        """An instance of a dataclass of the table; of keys that exclude each other it has one."""
        keys = keys_of(of)
        groups = {key.one_of for key in keys.values() if key.one_of}
        chosen = {
            self._chance.choice([field for field in keys if keys[field].one_of == each]) for each in groups
        }
        defaults = {each.name: each.default for each in fields(of)}
        for field, key in keys.items():
            left_out = field not in chosen if key.one_of else defaults[field] in (None, "") and self._few(1)
            if not left_out:
                meant = MEANT.get(field)
                values[field] = self._chance.choice(meant) if meant else self._by_kind[key.kind](key)
        return of(**values)

    def _few(self, most: int) -> int:
        return self._chance.randint(0, most)

    def _step(self) -> Step:
        action = self.action(self._chance.choice(list(ACTIONS.values())))
        return Step(action, self._number(AFTER) if self._few(1) else None)

    def _names(self) -> set[str]:
        chance = self._chance
        return {
            chance.choice(NAME_CHARACTERS[:62]) + "".join(chance.choices(NAME_CHARACTERS, k=self._few(59)))
            for _ in range(self._few(3))
        }

    def _text(self) -> str:
        return "".join(self._chance.choices(CHARACTERS, k=self._chance.randint(1, 3)))

    def _listen(self) -> Listen:
        hosts = ["localhost", "a.example", "127.0.0.1", "::", "fe80::1%eth0", "/run/a b.sock"]
        host = self._chance.choice(hosts)
        return Listen(host, 0 if host.startswith("/") else self._chance.randint(1, 65535))

    def _number(self, key: Key) -> int:
        assert key.minimum is not None
        assert key.maximum is not None
        low, high = int(key.minimum), int(key.maximum)
        if key.power_of_two:
            return 1 << self._chance.randint(low.bit_length() - 1, high.bit_length() - 1)
        return self._chance.choice([low, high, self._chance.randint(low, high)])

    def _share(self, key: Key) -> float:
        assert key.maximum is not None
        low = key.minimum or 1e-6
        return self._chance.choice([low, float(key.maximum), self._chance.uniform(low, key.maximum)])

    def _source(self, key: Key) -> SourceRate:
        # Below the lowest sampling rate.
        fixed = SourceRate("fixed", self._chance.uniform(0.1, 1))
        return self._chance.choice([SourceRate("auto"), SourceRate("off"), fixed])

    def _cgroup(self, key: Key) -> str:
        names = [self._text().replace("/", "").strip(".") or "x" for _ in range(self._few(5))]
        return "/" + "/".join(names)


def _chain(links: list[Step]) -> tuple[Step, ...]:
    """Nothing comes before the first one."""
    return tuple(replace(link, after_ns=link.after_ns if place else None) for place, link in enumerate(links))


def _sound(action: Action) -> Action:
    """Lift what the drawn parameters of an action leave in contradiction."""
    match action:
        case Freeze() if action.duration_ns >= action.deadline_ns:
            action = replace(action, hold=True)
        case Kill() if action.grace_ns >= action.deadline_ns:
            action = replace(action, grace_ns=0)
        case Hook():
            action = replace(action, budget_ns=min(action.budget_ns, action.deadline_ns))
        case Limit() if action.cgroup is not None:
            action = replace(action, what="max", cgroup=action.cgroup if action.cgroup != "/" else "/a")
        case Limit(what="files", to_bytes=int()):
            action = replace(action, what="data")
        case Sysctl():
            good = [
                value for value in (0, 1, 10, 100, 1 << 16) if not _problems(replace(action, value=value))
            ]
            action = replace(action, value=good[0])
    assert not _problems(action), action
    return action


def _problems(action: Action) -> list[str]:
    return list(action.problems())


def _agreeing(config: Config) -> Config:
    """Lift what the drawn values of a configuration leave in contradiction."""
    ring, incidents, box = config.ring, config.incidents, config.black_box
    config = replace(
        config,
        ring=replace(ring, size_bytes=max(ring.size_bytes, MIN_SEGMENTS * ring.segment_bytes)),
        black_box=replace(box, size_bytes=max(box.size_bytes, MIN_BOX_SEGMENTS * ring.segment_bytes)),
        incidents=replace(incidents, merge_limit_ns=max(incidents.merge_limit_ns, incidents.after_ns)),
        rules=tuple(map(_agreeing_rule, config.rules)),
    )
    assert not list(conflicts(config)), config
    return config


def _agreeing_rule(rule: Rule) -> Rule:
    links = tuple(
        replace(link, action=replace(link.action, rule=rule.name)) if isinstance(link.action, Thaw) else link
        for link in rule.actions
    )
    acts = any(link.action.single for link in links)
    clear = None if rule.clear == rule.when else rule.clear
    return replace(rule, actions=links, clear=clear, severity="act" if acts else rule.severity)
