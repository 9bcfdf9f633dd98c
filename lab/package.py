"""The Debian package in a virtual machine: `make deb package-trial`, or `lab/package.py PACKAGE`.

Installs it, has it scraped, lets the kernel kill, kills the daemon itself, hands incidents over, tries the
drop-ins, upgrades, removes and purges it, and looks that everything that was changed on the machine is put
back (lab/inside/package.sh). A second package is what is upgraded to; without one, the same with a higher
version.

Exit status: 0, all is as it should be; 1, something is not; 2, it could not be tried.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import daemons, host, places, scenario, session
from lab.errors import LabError
from lab.guest import Guest
from memwatchd import __version__

# What autopkgtest would run: debian/tests.
_DEBIANS_TESTS = tuple(places.LAB.parent / "debian/tests" / name for name in ("installed", "killed"))
_LOGIN_PATIENCE_S = 600.0  # emulated processors take minutes
_PATIENCE_S = 3600.0
_PACKAGE = places.LAB.parent / f"dist/memwatchd_{__version__}_all.deb"
_SCRIPT = places.LAB / "inside/package.sh"


def main(words: list[str] | None = None) -> int:
    """Try a package; returns an exit status."""
    parser = argparse.ArgumentParser(prog="lab/package.py", description=__doc__)
    parser.add_argument(
        "package", type=Path, nargs="?", default=_PACKAGE, help="the package; default: what make deb has made"
    )
    parser.add_argument("upgrade", type=Path, nargs="?", help="the next version")
    arguments = parser.parse_args(words)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        if not arguments.package.exists():
            raise LabError(f"there is no {arguments.package}; make deb makes it")
        with tempfile.TemporaryDirectory(prefix="memwatchd-lab-package-") as directory:
            upgrade = arguments.upgrade or newer(arguments.package, Path(directory))
            story = scenario.load(str(places.LAB / "package.yaml"))
            with session.prepared(story, daemons.find("none"), keep=False, tell=tell) as prepared:
                tell(f"starting a machine by {prepared.accelerated}")
                guest = prepared.run.guest
                guest.start()
                wait_for_login(guest)
                files = {"first.deb": arguments.package, "second.deb": upgrade, "package.sh": _SCRIPT}
                files |= {f"test-{path.name}": path for path in _DEBIANS_TESTS}
                for name, path in files.items():
                    send(guest, path, f"/root/{name}")
                tell("logged in; now the package")
                passed = run_inside(guest)
                tell("all is well" if passed else "something is not as it should be")
                return 0 if passed else 1
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2


def newer(package: Path, directory: Path) -> Path:
    """The same package with a higher version.

    Raises:
        LabError: dpkg-deb's words on what is wrong with it.
    """
    unpacked, result = directory / "package", directory / "second.deb"
    host.command(["dpkg-deb", "--raw-extract", package, unpacked])
    version = host.command(["dpkg-deb", "--field", package, "Version"]).strip()
    control = unpacked / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {version}\n", f"Version: {version}+1\n"))
    host.command(["dpkg-deb", "--root-owner-group", "--build", unpacked, result])
    return result


def wait_for_login(guest: Guest) -> None:
    """Wait until one can log in and systemd has done what it does at boot.

    Raises:
        LabError: it does not come to that.
    """
    until = time.monotonic() + _LOGIN_PATIENCE_S
    while time.monotonic() < until:
        worked, _, _ = guest.ssh("systemctl is-system-running --wait || true", 60)
        if worked:
            return
        time.sleep(1)
    raise LabError("the machine lets nobody in")


def send(guest: Guest, path: Path, where: str) -> None:
    """Put a file into the guest.

    Raises:
        LabError: it does not arrive.
    """
    try:
        with path.open("rb") as file:
            subprocess.run([*guest.ssh_words(60), f"cat > {where}"], stdin=file, timeout=300, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise LabError(f"{path} does not get into the guest: {error}") from error


def run_inside(guest: Guest) -> bool:
    """Run the trial; what it says goes to this program's own output as it comes."""
    try:
        command = [*guest.ssh_words(60), "sh /root/package.sh"]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"the trial was not over after {_PATIENCE_S:.0f} s") from error
    return ended.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
