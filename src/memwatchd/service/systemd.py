"""Talking to systemd: readiness, status line, watchdog. Without systemd nothing happens."""

import os
import time
from dataclasses import dataclass

from systemd.daemon import notify


@dataclass(slots=True)
class Notifier:
    """Sends sd_notify messages.

    Attributes:
        watchdog_ns: Half of what systemd allows between two signs of life; None when it asks for none.
    """

    watchdog_ns: int | None
    _last_ns: int = 0

    @classmethod
    def from_environment(cls) -> "Notifier":
        """Find out whether systemd wants signs of life from this process."""
        usec = os.environ.get("WATCHDOG_USEC", "")
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return cls(int(usec) * 500 if usec.isdecimal() and ours else None)

    def ready(self, status: str) -> None:
        """Say that the service does its work."""
        notify(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Say that the configuration is being read anew; `reloaded` ends it."""
        # systemd asks for the moment, lest an older READY=1 is taken for the end of this one.
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Say that the service goes on, with the new configuration or the old one."""
        notify("READY=1")

    def status(self, status: str) -> None:
        """Renew the status line."""
        notify(f"STATUS={status}")

    def stopping(self) -> None:
        """Say that the service is about to end."""
        notify("STOPPING=1")

    def alive(self) -> None:
        """Give a sign of life, not more often than needed."""
        now_ns = time.monotonic_ns()
        if self.watchdog_ns is not None and now_ns - self._last_ns >= self.watchdog_ns:
            self._last_ns = now_ns
            notify("WATCHDOG=1")
