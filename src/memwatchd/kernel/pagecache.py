"""The page cache of single files: having the kernel drop it."""

import errno
import os
import stat

# Somebody else holds a lease on it, or it is not what it was a moment ago.
_PASSED_OVER = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EWOULDBLOCK, errno.ELOOP, errno.ESTALE}
)


def evict_file(path: str, device: int) -> bool:
    """Have the kernel drop a file's clean pages from its cache; nothing is read and no time stamp changes.

    Pages that are mapped, locked or dirty stay; of the dirty ones the kernel begins to write.

    Args:
        path: Whose directory may belong to a stranger, who may have put anything in its place by now.
        device: Number of the file system; a file of another one is left alone.

    Returns:
        Whether it was a regular file of that file system that let itself be opened.

    Raises:
        OSError: Anything but "no such file" and "not permitted".
    """
    try:
        # A path descriptor opens nothing: no device is woken, no reader of a FIFO let go.
        found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return _pass_over(error)
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode) or status.st_dev != device:
            return False
        file = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return _pass_over(error)
    finally:
        os.close(found)
    try:
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)
    return True


def _pass_over(error: OSError) -> bool:
    if error.errno not in _PASSED_OVER:
        raise error
    return False
