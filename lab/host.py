"""What the lab needs of the machine it runs on: programs, and the mirror that apt is configured for."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, MissingError

# Program and the Debian package it comes with.
TO_BUILD = {
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "cpio": "cpio",
    "mke2fs": "e2fsprogs",
    "ssh-keygen": "openssh-client",
    "dpkg": "dpkg",
}
TO_RUN = {"ssh": "openssh-client"}

# apt's own settings that say how a mirror is reached and trusted; they hold for the guest's packages, too.
_APT_SETTINGS = (
    "Acquire::http",
    "Acquire::https",
    "Acquire::Check-",
    "Acquire::ForceIPv4",
    "Acquire::Retries",
)
_SHOWN_CHARACTERS = 400  # of the end of what a failed program said


@dataclass(frozen=True, slots=True)
class Mirror:
    """Lines for sources.list, and the options that apt needs to reach them."""

    lines: tuple[str, ...]
    options: tuple[str, ...]


def need(programs: Mapping[str, str]) -> None:
    """Raise MissingError, naming the packages, unless all programs are here."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted(
        {package for program, package in programs.items() if not shutil.which(program, path=search)}
    )
    if missing:
        names = " ".join(missing)
        raise MissingError(
            f"the lab needs {names}; as root: apt-get install -y --no-install-recommends {names}"
        )


def command(words: Sequence[str | Path], *, cwd: Path | None = None, into: Path | None = None) -> str:
    """Run a program to its end.

    Args:
        words: The command.
        cwd: Where.
        into: A file for its output; the output is returned otherwise.

    Raises:
        LabError: it failed; with the end of what it said.
    """
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}
    text = [str(word) for word in words]
    output = into.open("wb") if into else subprocess.PIPE
    try:
        done = subprocess.run(
            text,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise LabError(f"cannot run {text[0]}: {error.strerror}") from error
    finally:
        if not isinstance(output, int):
            output.close()
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-_SHOWN_CHARACTERS:]
        raise LabError(f"{text[0]} failed with status {done.returncode}: {said}")
    return "" if done.stdout is None else done.stdout.decode(errors="replace")


def mirror(suite: str) -> Mirror:
    """Find the mirror of Debian's packages that this machine uses.

    Args:
        suite: The release wanted. A host with another Debian release gives its mirror, without updates.

    Raises:
        MissingError: apt knows no mirror of Debian here.
    """
    if line := os.environ.get("MEMWATCHD_LAB_MIRROR"):
        return Mirror((f"deb {line} {suite} main",), _apt_options())
    targets = _targets()
    if not targets and os.geteuid() == 0:
        command(["apt-get", "update", "-q"])
        targets = _targets()
    own = tuple(f"deb {uri} {release} main" for uri, release in targets if release.split("-")[0] == suite)
    if not own:
        own = tuple(f"deb {uri} {suite} main" for uri, release in targets[:1] if "-" not in release)
    if not own:
        raise MissingError(
            "the lab's images are Debian, and apt knows no mirror of it: name one, MEMWATCHD_LAB_MIRROR=URL"
        )
    return Mirror(own, _apt_options())


def _targets() -> list[tuple[str, str]]:
    """Mirror and release of every Debian package list that apt has."""
    need({"apt-get": "apt"})
    form = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)"
    rows = {
        tuple(line.split("|")) for line in command(["apt-get", "indextargets", "--format", form]).splitlines()
    }
    found = [(row[1], row[2]) for row in rows if row[0] == "Debian" and row[3:] == ("main", "Packages")]
    return sorted(set(found), key=lambda pair: (len(pair[1]), pair))


def _apt_options() -> tuple[str, ...]:
    lines = command(["apt-config", "dump"]).splitlines()
    return tuple(line for line in lines if line.startswith(_APT_SETTINGS) and not line.endswith('"";'))
