"""One scenario with one daemon, from files to a result."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import accelerator, home, inject, measure, places, slots, wheel
from lab.course import Run, Tell
from lab.daemons import Daemon
from lab.errors import ScenarioError
from lab.image import IMAGES, Image
from lab.scenario import Scenario

RESULT_VERSION = 1
_RUNS_KEPT = 300


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run and what it is of; `directory` holds everything of it, `content` is its content_key."""

    scenario: Scenario
    daemon: Daemon
    run: Run
    directory: Path
    accelerated: str
    content: str


def image_of(scenario: Scenario) -> Image:
    """The image a scenario wants.

    Raises:
        ScenarioError: there is none of that architecture.
    """
    arch = scenario.machine.arch
    if arch not in IMAGES:
        raise ScenarioError(
            f"{scenario.name}.yaml: machine: arch: no image for {arch}; there are: {', '.join(IMAGES)}"
        )
    return IMAGES[arch]


def content_key(scenario: Scenario, daemon: Daemon, accelerated: str) -> str:
    """What a result depends on: the same key, the same run."""
    digest = hashlib.sha256(json.dumps(inject.plan(scenario, daemon, keep=False), sort_keys=True).encode())
    digest.update(scenario.source.encode() + repr(daemon).encode() + accelerated.encode())
    digest.update(image_of(scenario).key.encode() + str(RESULT_VERSION).encode())
    for file in sorted([*(places.LAB / "inside").glob("*.py"), *(places.LAB / "harm").glob("*.py")]):
        digest.update(file.read_bytes())
    if daemon.wheel:
        digest.update(wheel.content_key().encode())
    return digest.hexdigest()[:16]


def result_file(scenario: Scenario, daemon: Daemon, results: Path) -> Path:
    """Where a result belongs."""
    return results / f"{scenario.name}--{daemon.name}.json"


@contextmanager
def prepared(scenario: Scenario, daemon: Daemon, *, keep: bool, tell: Tell) -> Iterator[Prepared]:
    """A run that can begin."""
    image = image_of(scenario)
    image.ensure()
    accelerated = accelerator.choose(image)
    base = places.cache() / "runs"
    base.mkdir(parents=True, exist_ok=True)
    _clear(base)
    content = content_key(scenario, daemon, accelerated)
    directory = Path(tempfile.mkdtemp(prefix=f"{scenario.name}--{daemon.name}-", dir=base))
    run = Run(scenario, daemon, image, accelerated, directory, keep=keep, tell=tell)
    try:
        with slots.slot(scenario.machine.cpus, tell):
            yield Prepared(scenario, daemon, run, directory, accelerated, content)
    finally:
        run.close()
        for name in ("root.img", "results.raw", "swap.raw", "inject.tar"):
            (directory / name).unlink(missing_ok=True)
        shutil.rmtree(directory / "code", ignore_errors=True)


def result_of(prepared: Prepared) -> dict[str, Any]:
    """Measure a run that is over, and judge it."""
    scenario, daemon, course = prepared.scenario, prepared.daemon, prepared.run.course
    result: dict[str, Any] = {
        "scenario": scenario.name,
        "daemon": daemon.name,
        "content": prepared.content,
        "accelerator": prepared.accelerated,
        "run": prepared.directory.name,
    }
    result |= measure.measure(scenario, daemon, course, home.read(course.home))
    result["expectations"] = [
        {"text": each.text, "ok": each.holds(result)} for each in scenario.expectations(daemon.name)
    ]
    return result


def _clear(runs: Path) -> None:
    """Remove what is left of runs long ago."""
    for path in sorted(runs.iterdir(), key=lambda path: path.stat().st_mtime)[:-_RUNS_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def write(result: dict[str, Any], file: Path) -> None:
    """Write a result, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(json.dumps(result, indent=1) + "\n")
    beside.replace(file)


def read(file: Path) -> dict[str, Any] | None:
    """A result that was written; None where there is none."""
    try:
        result: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return result


def failed(result: dict[str, Any]) -> list[str]:
    """What was not as expected."""
    wrong = [each["text"] for each in result["expectations"] if not each["ok"]]
    return ([] if result["ended"] == "done" else [f"the run ended: {result['ended']}"]) + wrong
