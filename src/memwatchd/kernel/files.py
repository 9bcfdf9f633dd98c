"""Small files of the kernel: writing a value, and asking beforehand whether that is allowed.

The kernel takes a value as a whole in one write and says no to it by an error of that write. Opening for
writing changes nothing in any of these files (a plain file in a test is emptied), so permission is asked for
by opening: `os.access` knows of modes and capabilities, but not of everything else that may say no.
"""

import errno
import os
import stat
from pathlib import Path


def write_value(path: Path, text: str) -> None:
    """Write a value in one piece; may take as long as the kernel takes to do what was asked.

    Raises:
        OSError: There is no such file, it may not be written, or the kernel refuses the value.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def open_own(path: Path, flags: int, mode: int) -> int:
    """Open a file of ours for writing, or make it; never through a link to somebody else's.

    A symbolic link is refused by the kernel. A hard link to another file can only be told by the count of
    names: ours have one.

    Args:
        path: The file.
        flags: For open(2); close-on-exec and not following links are added.
        mode: Of a file that is made.

    Raises:
        OSError: It cannot be opened, or has another name.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink != 1:
        os.close(descriptor)
        raise OSError(errno.EMLINK, "has another name, and may be somebody else's file", str(path))
    return descriptor


def is_replaceable(path: Path) -> bool:
    """Whether another file may take a name: it is free, or that of a plain file.

    Devices and pipes are none, nor is what only stands for something open, such as /dev/stdout: to replace
    them would change the machine.
    """
    try:
        status = path.stat()
    except OSError:
        return True  # free, or whoever writes hears of it
    if stat.S_ISDIR(status.st_mode):
        return True  # the kernel itself puts no file in the place of a directory
    above = os.path.realpath(path.parent)
    return stat.S_ISREG(status.st_mode) and above != "/dev" and not above.startswith("/proc/")


def foreign(path: Path) -> str | None:
    """Say who else may change a file or directory, None when only root and this user may.

    Raises:
        OSError: It cannot be looked at.
    """
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to user {status.st_uid}"
    if status.st_mode & stat.S_IWOTH:
        return "may be written by everybody"
    if status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid()):
        return f"may be written by group {status.st_gid}"
    return None


def refusal(path: Path, needs: str) -> str | None:
    """Say why a file cannot be written, None when it can.

    Args:
        path: The file; it is opened, and not written to.
        needs: What it takes to write it, for the sentence: ``uid 0``.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        return f"{path}: {error.strerror} (needs {needs})"
    return None
