"""Restarting the machine at once: reboot(2)."""

from memwatchd.kernel import libc

_RB_AUTOBOOT = 0x01234567


def restart_now() -> None:
    """Restart the machine without ending anything and without writing anything to disk.

    Raises:
        OSError: EPERM without CAP_SYS_BOOT.
    """
    libc.reboot(_RB_AUTOBOOT)
