"""One message of the log, with whatever carried it taken off: what the readers of statements are given."""

from typing import NamedTuple


class Record(NamedTuple):
    """One message.

    A named tuple, since hundreds of thousands of them are made of a log.

    Attributes:
        number: Line of the input it begins on, counted from 1.
        last: Line it ends on; larger where a mail program or a terminal had wrapped it.
        host: Whose log it is, by syslog or the journal; None where the line does not say.
        program: Who wrote it, by syslog or the journal ("kernel", "systemd-oomd"); None where it does not
            say.
        caller: printk's caller, a task or a processor ("T123", "C0"), with CONFIG_PRINTK_CALLER.
        seconds: The kernel's own time stamp; None where there is none.
        time: The time of day as printed, whatever its form; None where there is none.
        text: The message, without the blanks around it. Strangers' bytes are kept as surrogates.
    """

    number: int
    last: int
    host: str | None
    program: str | None
    caller: str | None
    seconds: float | None
    time: str | None
    text: str
