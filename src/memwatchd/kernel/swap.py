"""Turning a swap file on and off: swapon(2), swapoff(2), and whether a file is fit to be one.

A swap file ends its first page with ``SWAPSPACE2`` (``union swap_header`` in ``include/linux/swap.h``). It
must have no holes: the kernel writes to its blocks without asking the file system for new ones.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from memwatchd.kernel import libc

_PREFER = 0x8000
_PRIORITY_MASK = 0x7FFF
_SIGNATURE = b"SWAPSPACE2"
# The kernel knows no such flag, and says so before it looks at anything else.
_NO_FLAG = 1 << 30
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are
MOST_PRIORITY = _PRIORITY_MASK


def open_swap_file(path: Path) -> int:
    """Open a prepared swap file, so that what is looked at and what is turned on are the same file.

    Raises:
        OSError: There is no such file, or it is a symbolic link.
    """
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def is_filtered() -> bool:
    """Whether a filter of system calls (seccomp) stands before swapon(2); turns nothing on."""
    try:
        libc.swapon(b"", _NO_FLAG)
    except OSError as error:
        return error.errno != errno.EINVAL
    return False


def unfit(descriptor: int) -> Iterator[str]:
    """Say what keeps an open file from being a swap file that is safe to turn on.

    Raises:
        OSError: It cannot be read.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        yield "is no regular file"
        return
    if status.st_uid != 0:
        yield f"belongs to uid {status.st_uid} and not to root"
    if status.st_mode & 0o077:
        yield f"has mode {stat.S_IMODE(status.st_mode):04o}: others than root may get at it, expected 0600"
    if os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        yield "is on a file system that is read-only here, which a systemd unit's ReadWritePaths= changes"
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    if os.pread(descriptor, len(_SIGNATURE), page_bytes - len(_SIGNATURE)) != _SIGNATURE:
        yield "has no swap signature: prepare it with mkswap"
    elif status.st_blocks * _BLOCK_BYTES < status.st_size:
        # Not SEEK_HOLE: to that what fallocate has reserved is a hole, and swapon(2) takes it (ext4, XFS).
        yield "has holes: write it in full (dd, or fallocate where the file system allows it)"


def swapon(descriptor: int, priority: int | None) -> None:
    """Turn an open file on.

    Args:
        descriptor: Of `open_swap_file`.
        priority: 0..32767, higher ones are used first; None leaves it to the kernel.

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN, EBUSY when it is on already, EINVAL when it is not fit.
    """
    flags = 0 if priority is None else _PREFER | (priority & _PRIORITY_MASK)
    libc.swapon(f"/proc/self/fd/{descriptor}".encode(), flags)


def swapoff(path: Path) -> None:
    """Turn a swap file off: reads back all that is in it, which may take minutes.

    Raises:
        OSError: ENOMEM when what is in it does not fit into memory, EINVAL when it is not on.
    """
    libc.swapoff(os.fsencode(path))
