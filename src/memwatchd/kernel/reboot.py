"""Restarting the machine at once: reboot(2)."""

import errno

from memwatchd.kernel import libc

_RB_AUTOBOOT = 0x01234567
# The kernel has no such command, and says so.
_NO_COMMAND = 1


def is_filtered() -> bool:
    """Whether a filter of system calls (seccomp) stands before reboot(2), given CAP_SYS_BOOT."""
    try:
        libc.reboot(_NO_COMMAND)
    except OSError as error:
        return error.errno != errno.EINVAL
    return False


def restart_now() -> None:
    """Restart the machine without ending anything and without writing anything to disk.

    Raises:
        OSError: EPERM without CAP_SYS_BOOT.
    """
    libc.reboot(_RB_AUTOBOOT)
