"""Dropping the page cache of the files of chosen trees, and of no others."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import ClassVar

from memwatchd.actions._memory import PAGECACHE, Relief, read_meminfo
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.kernel.pagecache import evict_file
from memwatchd.keys import Kind, key
from memwatchd.units import format_bytes, printable

# How many files of these trees earlier calls have gone through; the next one goes on behind them.
_GONE_THROUGH: dict[tuple[str, ...], int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictFiles(Action):
    """Says POSIX_FADV_DONTNEED for every regular file below the named directories.

    For data that is read once and not again: backups, logs, media. Unlike `drop_caches` it leaves alone what
    others need. Pages that are mapped by a process, locked or not yet written stay.

    Each call goes through at most `max_files` files and ends at the deadline; the next one goes on from
    there, and begins anew after the last file. Symbolic links are not followed, other file systems below
    the directories not entered. On a network file system that does not answer, looking at a file may hang:
    do not name such trees.
    """

    name: ClassVar[str] = "evict_files"
    summary: ClassVar[str] = "Drop the page cache of the files below chosen directories."
    heavy: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("uid 0, or the right to read the files (CAP_DAC_READ_SEARCH)",)

    paths: tuple[str, ...] = field(
        metadata=key(
            "paths",
            Kind.WORDS,
            "Directories whose files are meant, absolute.",
            example="/srv/backup",
            maximum=64,
            required=True,
        ),
    )
    max_files: int = field(
        default=10_000,
        metadata=key(
            "max_files",
            Kind.INTEGER,
            "How many files a call goes through at most.",
            example="10000",
            minimum=1,
            maximum=10_000_000,
        ),
    )
    worth_bytes: int = field(
        default=1 << 20,
        metadata=key(
            "worth",
            Kind.SIZE,
            "It has helped when at least so much came free.",
            example="16MiB",
            minimum=1,
            maximum=1 << 50,
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say which paths are not absolute."""
        if not self.paths:
            yield "paths: expected at least one directory"
        for path in self.paths:
            if not Path(path).is_absolute() or ".." in Path(path).parts:
                yield f"paths: expected an absolute path without ..; got {path!r}"

    def missing(self, world: World) -> Iterable[str]:
        """Say which directories cannot be read."""
        for path in self.paths:
            problem = _unreadable(path)
            if problem:
                yield f"{printable(path)}: {problem}"

    def aim(self, world: World) -> Intent:
        """Say which trees would be gone through."""
        problems = {path: _unreadable(path) for path in self.paths}
        return Intent(
            f"drop the cached pages of up to {self.max_files} files",
            tuple(Target(printable(path), "named") for path, problem in problems.items() if not problem),
            tuple(Target(printable(path), problem) for path, problem in problems.items() if problem),
        )

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Go through the files, and measure."""
        before = read_meminfo(world.roots)
        start = _GONE_THROUGH.get(self.paths, 0)
        files = islice(_files(self.paths, lambda: world.now_ns() >= occasion.until_ns), start, None)
        seen = evicted = 0
        for path, device in islice(files, self.max_files):
            evicted += evict_file(path, device)
            seen += 1
        late = world.now_ns() >= occasion.until_ns
        # Who has got no further than the files gone through before begins anew.
        _GONE_THROUGH[self.paths] = start + seen if seen and (late or seen == self.max_files) else 0
        relief = Relief(before, read_meminfo(world.roots), PAGECACHE)
        figures = {**relief.figures, "files": evicted, "files_passed_over": seen - evicted}
        detail = f"{evicted} files gave back {format_bytes(relief.freed_bytes)}"
        if not seen and not start:
            return Outcome(Verdict.DECLINED, "there are no files in these directories", figures)
        if relief.freed_bytes >= self.worth_bytes:
            return Outcome(Verdict.HELPED, detail, figures)
        return Outcome(Verdict.TIMED_OUT if late else Verdict.NO_EFFECT, detail, figures)


def _files(trees: Iterable[str], over: Callable[[], bool]) -> Iterator[tuple[str, int]]:
    """Walk trees until it is over; yield regular files with the number of their file system.

    What cannot be read is left out. One directory is open at a time, and its entries are not collected: there
    may be millions.
    """
    for tree in trees:
        try:
            device = os.lstat(tree).st_dev
        except OSError:
            continue
        directories = [tree]
        while directories:
            for path in _entries(directories.pop(), device, directories):
                if over():
                    return
                yield path, device
            if over():
                return


def _entries(directory: str, device: int, below: list[str]) -> Iterator[str]:
    try:
        # Beside links, mount points are left out: a directory of another file system has another number.
        if os.lstat(directory).st_dev != device:
            return
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path
    except OSError:
        return  # gone, or not for us: as good as empty


def _unreadable(path: str) -> str | None:
    try:
        os.scandir(path).close()
    except OSError as error:
        return error.strerror
    return None
