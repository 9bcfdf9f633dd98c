"""The Debian package's files agree with the project; the package itself, where `make deb` has made one."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from memwatchd import __version__

PROJECT = Path(__file__).resolve().parents[2]
DEBIAN = PROJECT / "debian"
PACKAGE = PROJECT / "dist" / f"memwatchd_{__version__}_all.deb"
# What a distribution of Python is called in Debian, where that is not python3- and its name.
NAMES = {"pyyaml": "python3-yaml", "systemd-python": "python3-systemd"}


def dependencies() -> dict[str, str]:
    """Debian's name and lowest version of what the program needs."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    pairs = (re.split(">=", each) for each in project["dependencies"])
    return {NAMES.get(name, f"python3-{name}"): version for name, version in pairs}


def test_the_package_needs_what_the_program_needs() -> None:
    """The package could be installed, and would not start."""
    control = (DEBIAN / "control").read_text()
    built, installed = control.split("\nPackage: ")
    for text in (built, installed):
        named = dict(re.findall(r"(python3-[a-z0-9-]+) \(>= ([\d.]+)\)", text))
        assert {name: named.get(name) for name in dependencies()} == dependencies()


def test_the_package_has_the_program_s_version() -> None:
    """`dpkg -l` and `memwatchd --version` would contradict each other."""
    assert (DEBIAN / "changelog").read_text().startswith(f"memwatchd ({__version__}) ")


def test_the_package_s_maintainer_is_the_project_s() -> None:
    """Reports would go to an address that nobody reads."""
    (author,) = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["authors"]
    written = f"{author['name']} <{author['email']}>"
    assert re.findall("^Maintainer: (.+)$", (DEBIAN / "control").read_text(), re.MULTILINE) == [written]
    assert {*re.findall("^ -- (.+)  ", (DEBIAN / "changelog").read_text(), re.MULTILINE)} == {written}


def test_everything_in_systemd_is_installed() -> None:
    """A unit or drop-in would be written, and never reach anybody."""
    named = (DEBIAN / "memwatchd.install").read_text() + (DEBIAN / "rules").read_text()
    files = [path for path in (PROJECT / "systemd").rglob("*") if path.is_file()]
    assert [str(path) for path in files if str(path.relative_to(PROJECT)) not in named] == []


def test_everything_that_is_installed_is_there() -> None:
    """The build would fail, for whoever tries it first."""
    lines = (DEBIAN / "memwatchd.install").read_text().splitlines()
    sources = [line.split()[0] for line in lines]
    sources += (DEBIAN / "memwatchd.docs").read_text().split()
    sources += (DEBIAN / "memwatchd.examples").read_text().split()
    assert [each for each in sources if "debian/made/" not in each and not (PROJECT / each).exists()] == []


def test_what_is_purged_is_what_the_units_make() -> None:
    """Incidents with names and paths would stay on a machine from which all was purged."""
    script = (DEBIAN / "memwatchd.postrm").read_text()
    for path in (PROJECT / "systemd").glob("*.service"):
        for name in re.findall(r"^StateDirectory=(\S+)$", path.read_text(), re.MULTILINE):
            assert f"/var/lib/{name} " in script
            assert f"/var/lib/private/{name}" in script
        for name in re.findall(r"^RuntimeDirectory=(\S+)$", path.read_text(), re.MULTILINE):
            assert f"/run/{name} " in script


@pytest.mark.live
@pytest.mark.timeout(900)
def test_the_package_comes_and_goes_without_a_trace() -> None:
    """Whoever tries it would not get rid of it again."""
    if not PACKAGE.exists():
        pytest.skip(f"there is no {PACKAGE.name}: make deb")
    command = [sys.executable, str(PROJECT / "scripts/try-deb"), str(PACKAGE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "takes root" in result.stderr or "needs mmdebstrap" in result.stderr:
        pytest.skip(result.stderr.strip())
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "try-deb: purged, nothing is left"
