"""The exceptions memwatchd raises on purpose, and the exit status each one ends a command with.

    MemwatchdError          1   anything below that has no status of its own
    ├── ParseError          5   a kernel file holds a known field with an impossible value
    ├── ConfigError         4   the configuration is wrong: file, line, column, what was expected
    ├── FormatError         5   a ring or incident file is damaged or of an unknown version
    ├── NotFoundError       6   no such incident, source or moment
    │   └── UnknownSignalError  no signal can have this name
    ├── NotRunningError     3   the daemon is not there to be asked
    └── StartError          7   the daemon cannot start here at all

Exit status 2 is argparse's: the command line itself is wrong.
"""


class MemwatchdError(Exception):
    """Base of all errors meant to be shown to a person as one line."""

    exit_status = 1


class ParseError(MemwatchdError):
    """A known field of a kernel file is malformed.

    Args:
        path: The file as a person would name it, for example ``/proc/meminfo``.
        line: The offending line, verbatim.
        item: The field that could not be read.
        expected: What should have stood there.
    """

    exit_status = 5

    def __init__(self, path: str, line: str, item: str, expected: str) -> None:
        super().__init__(f"{path}: {item}: expected {expected}, got {line!r}")
        self.path = path
        self.line = line
        self.item = item
        self.expected = expected


class ConfigError(MemwatchdError):
    """The configuration is wrong; the message names file, line, column and what was expected."""

    exit_status = 4


class FormatError(MemwatchdError):
    """A ring or incident file is damaged, truncated or of an unknown version."""

    exit_status = 5


class NotFoundError(MemwatchdError):
    """No such incident, source or moment."""

    exit_status = 6


class UnknownSignalError(NotFoundError, ValueError):
    """No signal can have this name: no family of this name, or not of its shape.

    Args:
        name: As written.
        suggestion: What was expected, or what may have been meant.
    """

    def __init__(self, name: str, suggestion: str) -> None:
        super().__init__(f"{name[:100]!r}: no such signal; {suggestion}")
        self.name = name
        self.suggestion = suggestion


class NotRunningError(MemwatchdError):
    """The daemon is not running, or does not answer."""

    exit_status = 3


class StartError(MemwatchdError):
    """The daemon cannot start here at all."""

    exit_status = 7
