"""Where the lab's things are."""

import os
from pathlib import Path

LAB = Path(__file__).resolve().parent
PROJECT = LAB.parent
SCENARIOS = LAB / "scenarios"
RESULTS = LAB / "results"


def cache() -> Path:
    """The directory of images, wheels and runs; may be removed at any time when no run is under way."""
    if base := os.environ.get("MEMWATCHD_LAB_CACHE"):
        return Path(base)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "memwatchd-lab"
    return LAB / ".cache"
