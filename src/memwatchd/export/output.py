"""Files that are there as a whole, or not at all: written beside, then renamed.

Whatever goes wrong on the way, an interruption by the person or by a signal among it, what was written beside
is removed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from memwatchd.errors import MemwatchdError
from memwatchd.kernel.ending import ending_in_order
from memwatchd.kernel.files import is_replaceable

STDOUT = "-"
_BUFFER_BYTES = 1 << 20


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when all of it is written; one that has the name is replaced.

    What is no file, such as /dev/stdout or a pipe, is written into.

    Raises:
        MemwatchdError: It cannot be written; says which and why.
    """
    if not is_replaceable(path):
        with _refused(path), path.open("wb", _BUFFER_BYTES) as file:
            yield file
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with ending_in_order(), _refused(path):
        try:
            with beside.open("wb", _BUFFER_BYTES) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        finally:
            with suppress(OSError):
                beside.unlink()


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MemwatchdError(f"{path}: {error.strerror or error}") from error


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output, in large pieces."""
    out: BinaryIO = sys.stdout.buffer
    yield out
    out.flush()
