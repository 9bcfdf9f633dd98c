"""Files that are there as a whole, or not at all: written beside, then renamed.

Whatever goes wrong on the way, an interruption by the person among it, what was written beside is removed.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from memwatchd.errors import MemwatchdError

STDOUT = "-"
_BUFFER_BYTES = 1 << 20


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when all of it is written; one that has the name is replaced.

    Raises:
        MemwatchdError: It cannot be written; says which and why.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
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
def new_directory(path: Path) -> Iterator[Path]:
    """Make a directory that gets its name when all is in it.

    Raises:
        MemwatchdError: There is something of this name, other than an empty directory, or it cannot be made.
    """
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise MemwatchdError(f"{path}: expected an empty directory, or none")
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise MemwatchdError(f"{path}: {error.strerror or error}") from error
    try:
        yield beside
        beside.chmod(0o755)
        beside.rename(path)
    except OSError as error:
        raise MemwatchdError(f"{path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output, in large pieces."""
    out: BinaryIO = sys.stdout.buffer
    yield out
    out.flush()
