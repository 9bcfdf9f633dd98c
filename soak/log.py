"""The daemon's log: every line has to be one that this run gives cause for."""

import re
from dataclasses import dataclass, field
from pathlib import Path

# What a line may be, after "memwatchd: LEVEL: ".
_EXPECTED = (
    r"sampling [\w/, ]+",
    r"the configuration has been read anew",
    r"the configuration is kept as it was: .*sampling\.rate: expected a rate.*",
    r"the configuration is kept as it was: another change is under way",
    r"incident: (requested on the command line|SIGUSR1|rule soak-kill: .*|soak .*): .*\.mwi",
    r"incident: .* \(pid \d+\) was killed by the limit of cgroup .*\.mwi",
    r"incident: an oom_kill counter rose, and no kernel message says who was killed: .*\.mwi",
    r"incident (complete|moved to its place): .*\.mwi",
    r"incident removed to make room: .*\.mwi",
    r"rule soak-(dry|first|kill): .*",
    r"rule soak-(dry|first|kill) is (over|held back: .*)",
    r"soak: it grows",
    r"degraded: sampling: the rate gives way: .*",  # on a busy host, a tick is dear
)
# The machine may really be short, or in pieces, for other people's sake: the shipped rules only say so.
_RULES = "zone-slab|zone-pinned|slab-leak|fragmentation|little-time-left|stall-breaker|swap-thrash"
_SHIPPED = rf"rule ({_RULES})\b.*"
_BAD_VERDICTS = re.compile(r": (failed|timed out): ")
_LINE = re.compile(r"memwatchd: (DEBUG|INFO|WARNING|ERROR): (.*)")
_KEPT = 50


@dataclass(slots=True)
class LogWatch:
    """Reads on in the log.

    Attributes:
        lines: How many there were.
        unexpected: Those that should not be there, the first ones.
        failures: Actions that failed or were late.
    """

    path: Path
    lines: int = 0
    unexpected: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _at: int = 0
    _known: set[str] = field(default_factory=set)
    _expected: re.Pattern[str] = re.compile("|".join((*_EXPECTED, _SHIPPED)))

    def read(self, *, starting: bool = False) -> None:
        """Take in what is new.

        Args:
            starting: What is degraded now is the machine's own and may be said again after a reload.
        """
        with self.path.open("rb") as file:
            file.seek(self._at)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            self._take(line, starting=starting)

    def _take(self, line: str, *, starting: bool) -> None:
        self.lines += 1
        found = _LINE.fullmatch(line)
        message = found[2] if found else line
        if starting and message.startswith("degraded: "):
            self._known.add(message)
        if found and _BAD_VERDICTS.search(message):
            self._keep(self.failures, line)
        elif not found or not (message in self._known or self._expected.fullmatch(message)):
            self._keep(self.unexpected, line)

    def _keep(self, lines: list[str], line: str) -> None:
        if len(lines) < _KEPT:
            lines.append(line)
