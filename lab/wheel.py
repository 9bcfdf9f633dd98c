"""memwatchd as a wheel, built from this tree and kept by its content, laid out as pip would install it."""

import compileall
import hashlib
import shutil
import stat
import sys
import tempfile
import zipfile
from pathlib import Path

from lab import host, places
from lab.errors import LabError

# Where Debian's own Python looks, and what its version is; code compiled by another is of no use to it.
SITE = "usr/lib/python3/dist-packages"
GUEST_PYTHON = (3, 11)
_SCRIPT = "#!/usr/bin/python3\nimport sys\nfrom memwatchd.cli import main\nsys.exit(main())\n"
_OF_THE_TREE = ("pyproject.toml", "README.md", "LICENSE", "src")


def content_key() -> str:
    """What tells this tree's memwatchd from another's."""
    digest = hashlib.sha256((places.PROJECT / "systemd/memwatchd.service").read_bytes())
    for path in [places.PROJECT / "pyproject.toml", *sorted((places.PROJECT / "src/memwatchd").rglob("*"))]:
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(places.PROJECT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def installed() -> Path:
    """A tree with memwatchd installed in it, to be laid over a guest's root file system.

    Raises:
        LabError: the wheel cannot be built.
    """
    base = places.cache()
    base.mkdir(parents=True, exist_ok=True)
    target = base / f"memwatchd-{content_key()}"
    if target.is_dir():
        return target
    with tempfile.TemporaryDirectory(prefix="memwatchd.", dir=base) as name:
        tree = Path(name) / "tree"
        site = tree / SITE
        site.mkdir(parents=True)
        with zipfile.ZipFile(_build(Path(name))) as archive:
            archive.extractall(site)
        script = tree / "usr/bin/memwatchd"
        script.parent.mkdir(parents=True)
        script.write_text(_SCRIPT)
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        unit = tree / "etc/systemd/system/memwatchd.service"
        unit.parent.mkdir(parents=True)
        shutil.copy(places.PROJECT / "systemd/memwatchd.service", unit)
        compile_tree(site, f"/{SITE}")
        if not target.exists():
            tree.rename(target)
    return target


def compile_tree(tree: Path, shown_as: str) -> None:
    """Compile Python for the guest, where this one is of the same version; else the guest does it, slowly."""
    if sys.version_info[:2] == GUEST_PYTHON:
        how = (
            compileall.PycInvalidationMode.UNCHECKED_HASH
            if hasattr(compileall, "PycInvalidationMode")
            else None
        )
        compileall.compile_dir(tree, quiet=2, stripdir=str(tree), prependdir=shown_as, invalidation_mode=how)


def _build(work: Path) -> Path:
    """Build beside the tree: setuptools leaves its own files where it builds."""
    source = work / "source"
    source.mkdir()
    for name in _OF_THE_TREE:
        path = places.PROJECT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(path, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    host.command([*command, "--wheel-dir", work, source])
    wheels = list(work.glob("*.whl"))
    if len(wheels) != 1:
        raise LabError("pip built no wheel of memwatchd")
    return wheels[0]
