"""Arguments that several commands share."""

import argparse
from pathlib import Path

from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.store import find
from memwatchd.places import Places, find_places
from memwatchd.roots import Roots


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add --runtime-dir and --state-dir."""
    parser.add_argument(
        "--runtime-dir", type=Path, metavar="DIR", help="ring and sockets (default: see README)"
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="incidents (default: see README)")


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Add --path.procfs and its sisters."""
    group = parser.add_argument_group("where the kernel's file systems are mounted")
    for name, default in (("procfs", "/proc"), ("sysfs", "/sys"), ("cgroupfs", "/sys/fs/cgroup")):
        group.add_argument(
            f"--path.{name}",
            dest=name,
            type=Path,
            default=Path(default),
            metavar="DIR",
            help=f"default {default}",
        )


def add_incident(parser: argparse.ArgumentParser) -> None:
    """Add INCIDENT and the places to look for it."""
    parser.add_argument("incident", metavar="INCIDENT", help="path, name, or 'last'")
    add_places(parser)


def places(arguments: argparse.Namespace) -> Places:
    """The directories that were asked for."""
    return find_places(arguments.runtime_dir, arguments.state_dir)


def roots(arguments: argparse.Namespace) -> Roots:
    """The mount points that were asked for."""
    return Roots(arguments.procfs, arguments.sysfs, arguments.cgroupfs)


def incident(arguments: argparse.Namespace) -> Incident:
    """Open the incident that was asked for.

    Raises:
        NotFoundError: There is none.
        FormatError: It cannot be read.
    """
    where = places(arguments)
    return open_incident(find([where.incidents, where.pending], arguments.incident))
