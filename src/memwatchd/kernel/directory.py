"""A directory of /proc or of a cgroup, held open.

What is read and written through it belongs to the one process or cgroup it was opened for, whoever has its
pid or its path by then: once that one is gone, the kernel answers ESRCH, ENOENT or ENODEV.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_READ_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Directory:
    """An open directory; a context manager."""

    descriptor: int

    @classmethod
    def open(cls, path: Path | str, below: "Directory | None" = None) -> "Directory":
        """Open one; a relative path counts from `below`, and no symbolic link is followed at its end.

        Raises:
            OSError: It is gone, no directory, or not for us.
        """
        how = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return cls(os.open(path, how, dir_fd=None if below is None else below.descriptor))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def inode(self) -> int:
        """The inode number, which no other cgroup gets while the machine is up."""
        return os.fstat(self.descriptor).st_ino

    def read(self, name: str) -> bytes:
        """Read a small file whole.

        Raises:
            OSError: The process or cgroup is gone, there is no such file, or it is not for us.
        """
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            return os.read(descriptor, _READ_BYTES)
        finally:
            os.close(descriptor)

    def read_long(self, name: str) -> bytes:
        """Read a file of any length, piece by piece; raises as `read` does."""
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.descriptor)
        with open(descriptor, "rb") as file:
            return file.read()

    def write(self, name: str, text: str, flags: int = 0) -> None:
        """Write one value into a file that is there.

        Args:
            name: Name of the file.
            text: What is written, at once.
            flags: More flags for open(2).

        Raises:
            OSError: As for `read`, or the kernel refuses the value.
        """
        # O_TRUNC means nothing to the kernel's files, and makes fake ones behave like them.
        how = os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | flags
        descriptor = os.open(name, how, dir_fd=self.descriptor)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def link(self, name: str) -> str:
        """Read a symbolic link; raises as `read` does."""
        return os.fsdecode(os.readlink(os.fsencode(name), dir_fd=self.descriptor))

    def names(self) -> list[str]:
        """Names of all that is in it; raises as `read` does."""
        with os.scandir(self.descriptor) as entries:
            return [entry.name for entry in entries]

    def below(self) -> list[str]:
        """Names of the directories in it; raises as `read` does."""
        with os.scandir(self.descriptor) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
