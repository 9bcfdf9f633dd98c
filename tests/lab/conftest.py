"""Canned runs: what a guest would have brought home."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from lab.course import Course
from lab.guest import Report
from lab.home import Home
from lab.scenario import Scenario

from lab import scenario

ZERO = 100.0
TOTAL_KIB = 480_000.0

SCENARIO = """
story: a test
processes:
  hog: {role: harm, run: eat.py, at: 0s}
  service: {role: innocent, run: serve.py}
cause: [anon_exhaustion]
expect:
  all: ["critical.lost == []"]
"""

Make = Callable[..., Home]


@pytest.fixture
def story() -> Scenario:
    return scenario.parse("test", SCENARIO)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """The host's clock is 5,000 s ahead of the guest's; the second report was half a second underway."""
    course = Course(home=tmp_path, ended="done")
    course.reports = [
        Report(5090.0, {"report": "hello", "at": 90.0}),
        Report(5100.5, {"report": "harm", "at": 100.0}),
    ]
    course.logins = [
        {"phase": "before", "at": 5099.0, "took_s": 1.0, "ok": True, "said": None},
        {"phase": "after", "at": 5140.0, "took_s": 30.0, "ok": False, "said": "no answer"},
        {"phase": "after", "at": 5171.0, "took_s": 1.0, "ok": True, "said": None},
    ]
    return course


def sample(at_s: float, available_share: float, worst_low: float = 5.0, **facts: float) -> dict[str, float]:
    """One look at memory, so long after the harm began."""
    row = {
        "at": ZERO + at_s,
        "late": 0.0,
        "total_kib": TOTAL_KIB,
        "available_kib": available_share * TOTAL_KIB,
    }
    row |= {"free_kib": 9e4, "swap_free_kib": 0.0, "worst_low": worst_low, "worst_min": 6.0, "oom_kill": 0.0}
    return row | {"drop_pagecache": 0.0, "drop_slab": 0.0} | facts


def signal(at_s: float, by_pid: int, pid: int, sig: int, code: int = 0, comm: str = "eat") -> dict[str, Any]:
    """A signal in the kernel's trace."""
    return {
        "at": ZERO + at_s,
        "event": "signal_generate",
        "by": "someone",
        "by_pid": by_pid,
        "comm": comm,
        "pid": pid,
        "sig": sig,
        "code": code,
    }


@pytest.fixture
def make() -> Make:
    """A home with the given parts, the others plain."""

    def make_home(notes: Mapping[str, Any] | None = None, **parts: Any) -> Home:
        plain: dict[str, Any] = {
            "notes": {
                "harm_at": ZERO,
                "over_at": ZERO + 30,
                "ended_at": ZERO + 30,
                "census": {"10": "lab-hog.service", "11": "lab-service.service", "12": "earlyoom.service"},
                "mains": {"ssh.service": 5, "lab-service.service": 11},
                "states": {"ssh.service": {"MainPID": "5"}, "lab-service.service": {"MainPID": "11"}},
                "lost": {},
                **(notes or {}),
            },
            "samples": [],
            "probe": None,
            "signals": [],
            "kernel_log": b"",
            "journal": [],
            "status": None,
            "incidents": [],
        }
        return Home(**plain | parts)

    return make_home
