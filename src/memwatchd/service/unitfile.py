"""A systemd unit as it is written: finding it with its drop-ins, and what its [Service] section says.

As systemd.unit(5) and systemd.syntax(7) have it: /etc before /run before /lib, a drop-in of the same name
replaces one further down, drop-ins are read in the order of their names wherever they lie, an empty value
forgets what was said before.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memwatchd.errors import ConfigError

UNIT_DIRECTORIES = tuple(
    Path(each) / "systemd/system" for each in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
)
_FALSE = ("0", "no", "n", "false", "f", "off")


@dataclass(frozen=True, slots=True)
class Unit:
    """The [Service] section of a unit, drop-ins included.

    Attributes:
        name: For messages: ``memwatchd.service``.
        files: What was read, in this order.
        assignments: Name and value of every line, in the order in which they count.
    """

    name: str
    files: tuple[Path, ...]
    assignments: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """All values of a directive since the last empty one."""
        found: list[str] = []
        for key, value in self.assignments:
            if key == name:
                found = [*found, value] if value else []
        return found

    def value(self, name: str, default: str = "") -> str:
        """The last value of a directive."""
        return (self.values(name) or [default])[-1]

    def words(self, name: str) -> list[str]:
        """The words of all values of a directive that is a list."""
        return [word for value in self.values(name) for word in _split(value)]

    def flag(self, name: str) -> bool:
        """A directive that is yes or no, no when it is not there; what is neither, as ``self``, is yes."""
        return self.value(name, "no").lower() not in _FALSE

    def command(self) -> list[str]:
        """The words of the last ExecStart=."""
        return _split(self.value("ExecStart"))


def read_unit(what: str, directories: Iterable[Path] = UNIT_DIRECTORIES) -> Unit:
    """Read a unit by name or path, with its drop-ins.

    Args:
        what: ``memwatchd.service``, ``memwatchd``, or the path of a unit file, whose drop-ins are looked for
            in the directory beside it that is called after it.
        directories: Where units are, the most important first.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    if "/" in what:
        path = Path(what)
        return _read(path.name, path, _drop_ins(path.name, [path.parent]))
    name = what if "." in what else f"{what}.service"
    places = list(directories)
    path = next((place / name for place in places if (place / name).exists()), Path())
    if not path.name:
        raise ConfigError(f"{name}: expected a unit of this machine or the path of a unit file")
    return _read(name, path, _drop_ins(name, places))


def _read(name: str, path: Path, drop_ins: list[Path]) -> Unit:
    assignments: list[tuple[str, str]] = []
    for each in (path, *drop_ins):
        try:
            text = each.read_text(errors="replace")
        except OSError as error:
            raise ConfigError(f"{each}: {error.strerror}") from error
        assignments += _assignments(text)
    return Unit(name, (path, *drop_ins), tuple(assignments))


def _drop_ins(name: str, places: Iterable[Path]) -> list[Path]:
    """Drop-ins of this unit and of all services; of two with one name the more important."""
    found: dict[str, Path] = {}
    for directory in (f"{name}.d", "service.d"):
        for place in places:
            for path in (place / directory).glob("*.conf"):
                found.setdefault(path.name, path)
    return [path for _, path in sorted(found.items()) if path.resolve() != Path("/dev/null")]


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for line in _whole_lines(text):
        if line.startswith("["):
            section = line.strip("[]")
        elif section == "Service" and "=" in line:
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()


def _whole_lines(text: str) -> Iterator[str]:
    """Lines without comments; a backslash at the end goes on with the next one."""
    begun = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        if begun or line:
            yield begun + line
        begun = ""


def _split(value: str) -> list[str]:
    try:
        return shlex.split(value, posix=True)
    except ValueError:
        return value.split()
