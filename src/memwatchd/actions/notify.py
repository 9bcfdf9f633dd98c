"""Telling a program that listens, and the journal, in a form made for programs."""

import json
import math
import re
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.kernel.datagram import MAX_PATH_BYTES, send_datagram
from memwatchd.keys import Kind, key

MAX_MESSAGE_BYTES = 8192
_MOST_REASON_CHARS = 1000
_FIELD = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify(Action):
    """Writes a journal entry with fields and, with `socket`, sends a datagram to a Unix socket.

    The journal entry has MEMWATCHD_RULE, MEMWATCHD_REASON and MEMWATCHD_FIGURE_<SIGNAL> for each signal of
    the condition (`MEMWATCHD_FIGURE_MEMINFO_MEMAVAILABLE`).

    The datagram is one JSON object of at most 8 KiB, in ASCII: `program` ("memwatchd"), `event` ("rule"),
    `rule`, `reason` (cut to 1000 characters), `realtime_ns`, `figures` (numbers by signal, null for what is
    no number), and `truncated`, true when there was no room for all figures. It is sent without waiting: to
    a reader who does not keep up it is lost, which counts as failed.
    """

    name: ClassVar[str] = "notify"
    summary: ClassVar[str] = "Tell the journal, and a program that listens on a Unix socket."
    single: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("with socket: the right to write to it",)

    socket: Path | None = field(
        default=None,
        metadata=key(
            "socket",
            Kind.PATH,
            "A Unix datagram socket that somebody else reads from.",
            example="/run/alerts.sock",
            max_bytes=MAX_PATH_BYTES,
        ),
    )

    def missing(self, world: World) -> Iterable[str]:
        """Say whether there is such a socket."""
        if self.socket is None:
            return
        try:
            if not stat.S_ISSOCK(self.socket.stat().st_mode):
                yield f"{self.socket}: is no socket"
        except OSError as error:
            yield f"{self.socket}: {error.strerror}"

    def aim(self, world: World) -> Intent:
        """Say who would be told."""
        targets = () if self.socket is None else (Target(str(self.socket), "named"),)
        return Intent("tell the journal" + (" and a socket" if targets else ""), targets)

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Tell them."""
        figures = {f"figure_{_FIELD.sub('_', name)}": value for name, value in occasion.figures.items()}
        message = f"rule {occasion.rule}: {occasion.reason}"
        world.outlets.note(
            "warning", message, event="notify", rule=occasion.rule, reason=occasion.reason, **figures
        )
        if self.socket is None:
            return Outcome(Verdict.HELPED, "the journal was told")
        send_datagram(self.socket, pack_message(occasion, time.time_ns()))
        return Outcome(Verdict.HELPED, f"the journal and {self.socket} were told")


def pack_message(occasion: Occasion, realtime_ns: int) -> bytes:
    """Write the datagram; leaves out as many of the last figures as it takes to stay within 8 KiB."""
    figures = [(name, value if math.isfinite(value) else None) for name, value in occasion.figures.items()]
    for count in range(len(figures), -1, -1):
        message: dict[str, Any] = {
            "program": "memwatchd",
            "event": "rule",
            "rule": occasion.rule[:_MOST_REASON_CHARS],
            "reason": occasion.reason[:_MOST_REASON_CHARS],
            "realtime_ns": realtime_ns,
            "figures": dict(figures[:count]),
            "truncated": count < len(figures),
        }
        packed = json.dumps(message).encode()
        if len(packed) <= MAX_MESSAGE_BYTES:
            return packed
    # Escaped, a character takes twelve bytes at most; both texts together still do not fit then.
    short = Occasion(occasion.rule[:100], occasion.reason[:100], 0)
    return pack_message(short, realtime_ns)
