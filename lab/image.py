"""Images: kernel, initramfs and root file system of a guest, built from Debian's packages, kept by content.

Two steps are kept apart, as the first takes the network and most of the time: the packages (`rootfs-HASH/`,
with the kernel's), and the image made of them (`image-HASH/`). What changes from run to run is not here but
in the run's own drive (`inject.py`), so that an image lives as long as the list of packages and this code.

Building needs root: files belong to many users, and a file system is made of them as they are.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from lab import host, initramfs, places, rootfs
from lab.errors import LabError

SUITE = "bookworm"
SIZE_MIB = 2048  # of the root file system; sparse
RESERVE_INODES = 200_000
_OLD_S = 6 * 3600  # an image that another one has replaced is kept so long

PACKAGES = (
    *(
        "systemd",
        "systemd-sysv",
        "dbus",
        "udev",
        "procps",
        "kmod",
        "iproute2",
        "util-linux-extra",
        "openssh-server",
        "cron",
    ),
    *(
        "python3",
        "python3-lz4",
        "python3-psutil",
        "python3-yaml",
        "python3-systemd",
        "python3-prometheus-client",
    ),
    *("python3-jeepney", "busybox-static", "stress-ng", "nfs-kernel-server", "nfs-common", "rsync"),
    *("earlyoom", "nohang", "systemd-oomd", "oomd"),
)


@dataclass(frozen=True, slots=True)
class Image:
    """What makes one kind of guest.

    Attributes:
        arch: Debian's name of the architecture.
        kernel_package: The kernel; a meta package is followed to what it stands for.
        packages: What is installed beside Debian's smallest system.
        emulator: qemu's system emulator for it.
        emulator_package: The package of that.
        machine: qemu's machine.
    """

    arch: str
    kernel_package: str
    packages: tuple[str, ...] = PACKAGES
    emulator: str = "qemu-system-x86_64"
    emulator_package: str = "qemu-system-x86"
    machine: str = "pc"

    @property
    def key(self) -> str:
        """What tells this image from others: changes with everything that goes into it."""
        return _key_of(self)

    @property
    def packages_key(self) -> str:
        """What tells its packages from those of others."""
        recipe = [self.arch, self.kernel_package, self.packages, SUITE, rootfs.HOOKS_VERSION]
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def path(self) -> Path:
        """Where it is once it is built."""
        return places.cache() / f"image-{self.arch}-{self.key}"

    @property
    def kernel(self) -> Path:
        """The kernel to boot."""
        return self.path / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initramfs to boot with."""
        return self.path / "initrd.gz"

    @property
    def root(self) -> Path:
        """The root file system; never written to by a guest."""
        return self.path / "root.img"

    @property
    def login_key(self) -> Path:
        """The private key that root's account in the guest takes."""
        return self.path / "login_key"

    @property
    def kernel_release(self) -> str:
        """As `uname -r` says it in the guest."""
        return (self.path / "kernel_release").read_text().strip()

    def ensure(self, *, rebuild: bool = False) -> None:
        """Build what is not there yet.

        Raises:
            LabError: it could not be built; the sentence says what is missing.
        """
        if self.path.is_dir() and not rebuild:
            return
        host.need(host.TO_BUILD)
        if os.geteuid() != 0:
            raise LabError(f"building the lab's {self.arch} image needs root: once, with sudo make lab-smoke")
        base = places.cache()
        base.mkdir(parents=True, exist_ok=True)
        with (base / ".lock").open("w") as lock:  # two runs may begin at once
            fcntl.flock(lock, fcntl.LOCK_EX)
            packed = base / f"rootfs-{self.arch}-{self.packages_key}"
            if rebuild or not packed.is_dir():
                _whole(
                    packed,
                    lambda into: rootfs.fetch(self.arch, self.kernel_package, self.packages, SUITE, into),
                )
            if rebuild or not self.path.is_dir():
                _whole(self.path, lambda into: self._assemble(packed, into))
                _clear(base, f"image-{self.arch}-*", _OLD_S, self.path)
                _clear(base, f"rootfs-{self.arch}-*", _OLD_S, packed)

    def _assemble(self, packed: Path, into: Path) -> None:
        say(f"assembling the {self.arch} image")
        tree = into / "tree"
        tree.mkdir()
        release = rootfs.unpack(packed, tree)
        host.command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", into / "login_key"])
        rootfs.settle(tree, (into / "login_key.pub").read_text())
        shutil.copy(tree / "boot" / f"vmlinuz-{release}", into / "vmlinuz")
        (into / "kernel_release").write_text(release)
        initramfs.build(tree, release, into / "initrd.gz")
        for file in (tree / "boot").iterdir():
            file.unlink()
        with (into / "root.img").open("wb") as image:
            image.truncate(SIZE_MIB << 20)
        form = [
            "-F",
            "-q",
            "-t",
            "ext4",
            "-N",
            str(RESERVE_INODES),
            "-E",
            "lazy_itable_init=1,lazy_journal_init=1",
        ]
        host.command(
            ["mke2fs", *form, "-O", "^metadata_csum_seed,^orphan_file", "-d", tree, into / "root.img"]
        )
        shutil.rmtree(tree)


# The seam for more architectures: a line here, and `machine: {arch: …}` in a scenario.
IMAGES = {
    "amd64": Image("amd64", "linux-image-cloud-amd64"),
    # Debian's own 32-bit kernel with HighMem; its programs run as they are on an amd64 host.
    "i386": Image("i386", "linux-image-686-pae"),
}


@cache  # the code may be edited while a run is under way; what it has begun with stays
def _key_of(image: Image) -> str:
    recipe = json.dumps([asdict(image), SUITE, SIZE_MIB, image.packages_key], sort_keys=True)
    modules = (rootfs, initramfs, sys.modules[__name__])
    code = b"".join(Path(module.__file__ or "").read_bytes() for module in modules)
    return hashlib.sha256(recipe.encode() + code).hexdigest()[:12]


def _clear(base: Path, pattern: str, older_than_s: float, but: Path) -> None:
    """Remove what nobody has asked for in a while."""
    for path in base.glob(pattern):
        if path != but and time.time() - path.stat().st_mtime > older_than_s:
            shutil.rmtree(path, ignore_errors=True)


def say(text: str) -> None:
    """Tell the person what takes so long."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def _whole(target: Path, make: "rootfs.Maker") -> None:
    """Make a directory that is there as a whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=target.name + ".", dir=target.parent) as name:
        unfinished = Path(name) / "made"
        unfinished.mkdir()
        make(unfinished)
        if target.exists():
            shutil.rmtree(target)
        unfinished.rename(target)
