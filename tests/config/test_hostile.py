"""Files made to take time and memory."""

import tracemalloc
from contextlib import suppress

import pytest
from tests.config.hostile import HOSTILE

from memwatchd.config.load import MAX_BYTES, InvalidConfigError, parse_config


@pytest.mark.timeout(60)  # each takes less than a second
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_take_little(text: str) -> None:
    """A file made for it would hold up the start, or fill the memory of the machine to be watched over."""
    raw = text.encode()
    assert len(raw) <= MAX_BYTES
    tracemalloc.start()
    try:
        with suppress(InvalidConfigError):
            parse_config(raw, "f")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 64 << 20
