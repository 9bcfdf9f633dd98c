"""The configuration's files to a `Config`, or to every problem they have.

    memwatchd.yaml:3:9: sampling.rate: expected a rate from 1Hz to 1000Hz, for example 200Hz; got '5 apples'

A file's drop-ins are the ``*.yaml`` and ``*.yml`` in the directory ``conf.d`` beside it, in the order of
their names; hidden files are none. Beside it means: beside the path as given, also when that is a symbolic
link. They are laid over the file key by key: one that says ``rules: {stall-breaker: {dry_run: true}}``
changes that one key of that one rule. Lists are replaced, but for ``watch``, to which entries are added. A
section or list with nothing behind it changes nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from memwatchd.config.model import Config
from memwatchd.config.nodes import MAX_NODES, Mapping, Node, Scalar, Sequence, read_tree
from memwatchd.config.walk import Complaint, Walk
from memwatchd.errors import ConfigError
from memwatchd.keys import keys_of
from memwatchd.units import printable

# Comes with the program: complete, with comments, and what is gone by where there is no other.
SHIPPED_CONFIG = Path(__file__).parent.parent / "etc" / "memwatchd.yaml"
SYSTEM_CONFIG = Path("/etc/memwatchd/memwatchd.yaml")
MAX_BYTES = 1 << 20
DROP_INS = "conf.d"
_MAX_DROP_INS = 100
_MAX_SHOWN = 100
_APPENDED = [key.name for key in keys_of(Config).values() if key.appended]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: Name of the file as it was given.
        line: Counted from 1; None if the file could not be read at all.
        column: Counted from 1; None as above.
        key: Dotted path of the key; empty if it is not about one.
        message: What was expected and what was found.
    """

    file: str
    line: int | None
    column: int | None
    key: str
    message: str

    def __str__(self) -> str:
        position = "" if self.line is None else f":{self.line}:{self.column}"
        return printable(f"{self.file}{position}: {self.key + ': ' if self.key else ''}{self.message}")


class InvalidConfigError(ConfigError):
    """A configuration with problems; its text has one line for each of the first hundred."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        lines = list(map(str, problems[:_MAX_SHOWN]))
        if len(problems) > _MAX_SHOWN:
            lines.append(f"{problems[0].file}: {len(problems) - _MAX_SHOWN} more problems")
        super().__init__("\n".join(lines))
        self.problems = problems


def load_config(path: Path) -> Config:
    """Read a configuration file and its drop-ins.

    Raises:
        InvalidConfigError: Something cannot be read, or is wrong; carries all problems.
    """
    texts = [(str(path), _read(path, MAX_BYTES))]
    for drop_in in _drop_ins(path):
        left_bytes = MAX_BYTES - sum(len(text) for _, text in texts)
        texts.append((str(drop_in), _read(drop_in, left_bytes, from_pipe=False)))
    return _parse(texts)


def config_files(path: Path) -> list[Path]:
    """Name the files a configuration is made of: the file itself, and its drop-ins.

    Raises:
        InvalidConfigError: The directory of drop-ins is there and cannot be read, or holds too many.
    """
    return [path, *_drop_ins(path)]


def _drop_ins(path: Path) -> list[Path]:
    # Those of the system count also where it has no file of its own, and goes by the one that is shipped.
    directory = (SYSTEM_CONFIG if path == SHIPPED_CONFIG else path).parent / DROP_INS
    try:
        found = sorted(each for each in directory.iterdir() if _is_drop_in(each.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(directory, f"cannot be read: {error.strerror or error}") from error
    if len(found) > _MAX_DROP_INS:
        raise _unreadable(directory, f"expected at most {_MAX_DROP_INS} drop-ins; got {len(found)}")
    return found


def _is_drop_in(name: str) -> bool:
    # Editors keep locks and half-written files under hidden names.
    return name.endswith((".yaml", ".yml")) and not name.startswith(".")


def parse_config(text: str | bytes, name: str) -> Config:
    """Read a configuration of one file.

    Args:
        text: The whole file; an empty one means the defaults.
        name: What to call it in messages.

    Raises:
        InvalidConfigError: It is wrong; carries all problems, in the order of the file.
    """
    if len(text) > MAX_BYTES:
        raise _unreadable(name, _too_large(MAX_BYTES))
    return _parse([(name, text)])


def _read(path: Path, most_bytes: int, *, from_pipe: bool = True) -> bytes:
    try:
        if not from_pipe and path.is_fifo():
            raise _unreadable(path, "cannot be read: expected a file; got a pipe")  # would be waited for
        with path.open("rb") as file:
            # One byte more shows that there is more, whatever the size of a pipe or a growing file.
            text = file.read(most_bytes + 1)
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the path
        raise _unreadable(path, f"cannot be read: {error}") from error
    if len(text) > most_bytes:
        raise _unreadable(path, _too_large(most_bytes))
    return text


def _too_large(most_bytes: int) -> str:
    others = "" if most_bytes == MAX_BYTES else f", {MAX_BYTES} together with the files before it"
    return f"expected at most {most_bytes} bytes{others}"


def _parse(texts: Iterable[tuple[str, str | bytes]]) -> Config:
    """Read the texts of a file and its drop-ins, with their names."""
    walk = Walk()
    root: Mapping | None = None
    left = MAX_NODES
    for name, text in texts:
        tree = read_tree(text, name, left)
        left -= tree.count
        for flaw in tree.flaws:
            walk.complain(flaw.mark, "", flaw.message)
        if isinstance(tree.root, Mapping):
            root = tree.root if root is None else merge(root, tree.root, _APPENDED)
        elif tree.root is not None:
            walk.section(Config, tree.root, "")  # which says what is wrong with it, if anything
    config: Config = Config() if root is None else walk.section(Config, root, "")
    walk.check(config)
    if walk.complaints:
        raise InvalidConfigError(_problems(walk.complaints, [name for name, _ in texts]))
    return config


def _problems(complaints: list[Complaint], files: list[str]) -> tuple[Problem, ...]:
    """Put complaints into the order of the files."""
    order = {name: place for place, name in enumerate(files)}
    complaints.sort(key=lambda each: (order[each.mark.file], each.mark.line, each.mark.column))
    return tuple(
        Problem(each.mark.file, each.mark.line, each.mark.column, each.path, each.message)
        for each in complaints
    )


def merge(base: Mapping, over: Mapping, appended: Collection[str] = ()) -> Mapping:
    """Lay one mapping over another, key by key.

    Args:
        base: Of the files before.
        over: Of the drop-in; what it holds wins.
        appended: Keys of lists that are added to.
    """
    new = {key.text: value for key, value in over.pairs if isinstance(key, Scalar)}
    pairs: list[tuple[Node, Node]] = []
    for key, value in base.pairs:
        if isinstance(key, Scalar) and key.text in new:
            value = _laid_over(value, new.pop(key.text), added=key.text in appended)
        pairs.append((key, value))
    pairs += [(key, value) for key, value in over.pairs if not isinstance(key, Scalar) or key.text in new]
    return Mapping(base.mark, pairs)


def _laid_over(base: Node, over: Node, *, added: bool) -> Node:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return merge(base, over)
    if added and isinstance(base, Sequence) and isinstance(over, Sequence):
        return replace(base, items=[*base.items, *over.items])
    nothing = isinstance(over, Scalar) and over.nothing
    return base if nothing and not isinstance(base, Scalar) else over


def _unreadable(name: str | Path, message: str) -> InvalidConfigError:
    return InvalidConfigError((Problem(str(name), None, None, "", message),))
