"""Programs of the guest, as far as they do no harm here."""

import mmap
import random
import zlib
from pathlib import Path

from lab.harm import eat, pages


def test_noise_does_not_compress() -> None:
    """Compressed swap would hold everything, and never be full."""
    plain, half = eat.pattern(0.0), eat.pattern(0.5)
    assert len(plain) == len(half)
    assert len(plain) % mmap.PAGESIZE == 0
    assert len(zlib.compress(plain, 1)) < len(plain) / 100
    assert 0.45 < len(zlib.compress(half, 1)) / len(half) < 0.55
    assert half[: mmap.PAGESIZE] != half[mmap.PAGESIZE : 2 * mmap.PAGESIZE]


def test_what_was_taken_is_used_page_by_page() -> None:
    """What was swapped out would stay there, and nothing would thrash."""
    held = eat.eat(0, 4, False, bytes(4 << 20), False)
    eat.work(held, random.Random(1))
    changed = {place // mmap.PAGESIZE for place, byte in enumerate(held[0][:]) if byte}
    assert len(changed) > 40


def test_a_file_to_be_mapped_is_made_once(tmp_path: Path) -> None:
    """Each start of the program would write the whole file again."""
    file = tmp_path / "table"
    pages.provide(file, 2)
    made = file.stat()
    assert made.st_size == 2 << 20
    pages.provide(file, 2)
    assert file.stat().st_mtime_ns == made.st_mtime_ns
