"""Small files of the kernel: writing a value, and asking beforehand whether that is allowed.

The kernel takes a value as a whole in one write and says no to it by an error of that write. Opening for
writing changes nothing in any of these files (a plain file in a test is emptied), so permission is asked for
by opening: `os.access` knows of modes and capabilities, but not of everything else that may say no.
"""

import os
from pathlib import Path


def write_value(path: Path, text: str) -> None:
    """Write a value in one piece; may take as long as the kernel takes to do what was asked.

    Raises:
        OSError: There is no such file, it may not be written, or the kernel refuses the value.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def refusal(path: Path, needs: str) -> str | None:
    """Say why a file cannot be written, None when it can.

    Args:
        path: The file; it is opened, and not written to.
        needs: What it takes to write it, for the sentence: ``uid 0``.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        return f"{path}: {error.strerror} (needs {needs})"
    return None
