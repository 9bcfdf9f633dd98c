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

STDOUT = "-"
_BUFFER_BYTES = 1 << 20


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when all of it is written; one that has the name is replaced.

    Raises:
        MemwatchdError: It cannot be written; says which and why.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with ending_in_order():
        try:
            with beside.open("wb", _BUFFER_BYTES) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise MemwatchdError(f"{path}: {error.strerror or error}") from error
        finally:
            with suppress(OSError):
                beside.unlink()


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output, in large pieces."""
    out: BinaryIO = sys.stdout.buffer
    yield out
    out.flush()
