"""Where the kernel text of other machines is found."""

from collections.abc import Callable
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@pytest.fixture
def kernel_text() -> Callable[[str, str], bytes]:
    """Read one file of a fixture machine: ``kernel_text("vanilla-4.9", "proc/zoneinfo")``."""

    def read(machine: str, name: str) -> bytes:
        return (FIXTURES / machine / name).read_bytes()

    return read
