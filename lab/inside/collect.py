"""What is brought home from a run: what a watchdog or the kernel wrote, and what the conductor noted."""

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

from lab.inside import trace

DRIVE = Path("/dev/vdc")
_PATIENCE_S = 120


def run(words: list[str], target: Path) -> None:
    """Keep what a command prints; what it could not do is kept, too."""
    with target.open("wb") as file:
        try:
            status = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=_PATIENCE_S,
                check=False,
            ).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            file.write(f"\n{error}\n".encode())
            return
    if status != 0:
        with target.with_suffix(target.suffix + ".status").open("w") as file2:
            file2.write(f"{status}\n")


def ask(into: Path, plan: dict[str, object]) -> None:
    """Have the daemon say what it has to say of itself."""
    daemon = plan["daemon"]
    assert isinstance(daemon, dict)
    for number, command in enumerate(daemon["report"]):
        run(command, into / f"report-{number}.txt")


def gather(into: Path, plan: dict[str, object], notes: dict[str, object]) -> None:
    """Write everything into a directory."""
    daemon = plan["daemon"]
    assert isinstance(daemon, dict)
    (into / "notes.json").write_text(json.dumps(notes))
    (into / "trace.txt").write_text(trace.text())
    run(["dmesg"], into / "dmesg.txt")
    for name in ("vmstat", "meminfo", "zoneinfo", "slabinfo", "swaps"):
        with suppress(OSError):
            (into / f"{name}.txt").write_text(Path(f"/proc/{name}").read_text())
    run(["journalctl", "--no-pager", "-o", "short-monotonic"], into / "journal.txt")
    if units := [f"--unit={unit}" for unit in daemon["units"]]:
        run(["journalctl", "--no-pager", "-o", "json", *units], into / "daemon.jsonl")


def send(directory: Path, plan: dict[str, object]) -> str | None:
    """Write all of it, and what the daemon left behind, onto the drive that the host reads.

    Returns:
        What tar complained about; None when it did not.
    """
    daemon = plan["daemon"]
    assert isinstance(daemon, dict)
    names = [*daemon["collect"], *_listed(plan.get("collect"))]
    there = [str(name).lstrip("/") for name in names if Path(str(name)).exists()]
    # Files of the guest come to lie below files/; space that is only kept free takes none.
    how = ["--sparse", "--exclude=.reserve", r"--transform=flags=r;s,^\([^./]\),files/\1,"]
    theirs = ["-C", "/", *there] if there else []
    words = ["/usr/bin/tar", *how, "-cf", str(DRIVE), "-C", str(directory), ".", *theirs]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    with DRIVE.open("rb") as drive:
        os.fsync(drive.fileno())
    return done.stderr.strip()[-300:] or None


def _listed(value: object) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []
