"""Runs every scenario with every daemon: `make lab`, or `lab/all.py [--scenario NAME …] [--daemon NAME …]`.

Results that are there for the same scenario, daemon, image and code are left as they are, so that it can be
broken off and goes on where it was. At the end `table.md` is written beside them.

Exit status: 0, all is as the scenarios expect; 1, something is not; 2, runs could not be made.
"""

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import accelerator, daemons, places, scenario, session, slots, table
from lab.daemons import Daemon
from lab.errors import LabError
from lab.scenario import Scenario

# One story and one kill, with nothing and with memwatchd; without the wait for cron, which may take a minute.
SMOKE = (("hog", "none"), ("hog", "memwatchd"))

Pair = tuple[Scenario, Daemon]


def main(words: list[str] | None = None) -> int:
    """Run what is missing; returns an exit status."""
    arguments = parse(words)
    began = time.monotonic()
    try:
        pairs = list(smoke() if arguments.smoke else wanted(arguments))
        for story, _ in pairs:
            session.image_of(story).ensure()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    results = places.cache() / "smoke" if arguments.smoke else arguments.results
    if arguments.smoke:
        for story, daemon in pairs:
            session.result_file(story, daemon, results).unlink(missing_ok=True)
    found, problems = run_all(pairs, results, jobs=arguments.jobs, again=arguments.again)
    text = table.render(table.load(results))
    (results / "table.md").write_text(text)
    print(text)
    wrong = [
        f"{each['scenario']} with {each['daemon']}: {why}" for each in found for why in session.failed(each)
    ]
    for line in [*problems, *wrong]:
        print(f"lab: {line}", file=sys.stderr)
    print(f"lab: {len(found)} results in {results}, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 2 if problems else int(bool(wrong))


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="lab/all.py", description=__doc__)
    parser.add_argument("--scenario", action="append", help="only this one; may be given again")
    parser.add_argument(
        "--daemon", action="append", choices=list(daemons.DAEMONS), help="only this one; likewise"
    )
    parser.add_argument(
        "--jobs", type=int, default=0, help="guests at a time (default: what the processors allow)"
    )
    parser.add_argument("--again", action="store_true", help="run what has a result, too")
    parser.add_argument("--results", type=Path, default=places.RESULTS, help="where results are written")
    parser.add_argument(
        "--smoke", action="store_true", help="only whether the lab works: one story, one kill"
    )
    return parser.parse_args(words)


def wanted(arguments: argparse.Namespace) -> Iterator[Pair]:
    """Scenarios and daemons that were asked for, as far as they make sense together."""
    for name in arguments.scenario or scenario.names():
        story = scenario.load(name)
        for daemon in daemons.DAEMONS.values():
            if arguments.daemon and daemon.name not in arguments.daemon:
                continue
            if not story.daemons or daemon.name in story.daemons:
                yield story, daemon


def smoke() -> Iterator[Pair]:
    """The smallest proof that the lab works."""
    for name, daemon in SMOKE:
        yield replace(scenario.load(name), cron=False), daemons.find(daemon)


def run_all(
    pairs: list[Pair], results: Path, *, jobs: int, again: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """Run pairs; returns the results, in order, and what went wrong."""
    results.mkdir(parents=True, exist_ok=True)
    found: dict[int, dict[str, Any]] = {}
    problems: list[str] = []
    lock = threading.Lock()

    def one(place: int, story: Scenario, daemon: Daemon) -> None:
        name = f"{story.name} with {daemon.name}"
        try:
            result, fresh = run_one(story, daemon, results, again=again)
        except LabError as error:
            with lock:
                problems.append(f"{name}: {error}")
            return
        with lock:
            found[place] = result
            wrong = session.failed(result)
            state = "as expected" if not wrong else f"not as expected: {'; '.join(wrong)}"
            print(
                f"lab: {place + 1}/{len(pairs)} {name}: {'' if fresh else 'known: '}{state}", file=sys.stderr
            )

    with ThreadPoolExecutor(
        jobs or max((slots.count(story.machine.cpus) for story, _ in pairs), default=1)
    ) as pool:
        for done in [pool.submit(one, place, *pair) for place, pair in enumerate(pairs)]:
            done.result()
    return [found[place] for place in sorted(found)], problems


def run_one(story: Scenario, daemon: Daemon, results: Path, *, again: bool) -> tuple[dict[str, Any], bool]:
    """The result of one pair, and whether it was run for it."""
    file = session.result_file(story, daemon, results)
    key = session.content_key(story, daemon, accelerator.choose(session.image_of(story)))
    if not again and (known := session.read(file)) is not None and known.get("content") == key:
        return known, False
    with session.prepared(story, daemon, keep=False, tell=lambda _: None) as prepared:
        prepared.run.whole()
        result = session.result_of(prepared)
    session.write(result, file)
    return result, True


if __name__ == "__main__":
    sys.exit(main())
