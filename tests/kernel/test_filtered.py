"""Whether a filter of system calls stands before swapon(2) and reboot(2), asked without doing either."""

import errno
import os
from pathlib import Path
from types import ModuleType

import pytest

from memwatchd.kernel import libc, reboot, swap

SWAPS = Path("/proc/swaps")


@pytest.mark.parametrize("module", [swap, reboot])
@pytest.mark.parametrize(("number", "filtered"), [(errno.EINVAL, False), (errno.EPERM, True)])
def test_only_the_kernel_knows_what_is_wrong_with_the_question(
    module: ModuleType, number: int, filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit without @swap or @reboot would look as if it could do both."""

    def refuse(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(libc, module.__name__.rpartition(".")[2].replace("swap", "swapon"), refuse)
    assert module.is_filtered() is filtered


def test_the_real_question_turns_nothing_on() -> None:
    """Asking would change the machine."""
    before = SWAPS.read_bytes()
    assert swap.is_filtered() in (False, True)
    assert SWAPS.read_bytes() == before
