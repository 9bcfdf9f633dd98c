"""The initramfs: busybox and the modules that a guest needs to find its disk, its network and its channels.

It lays the run's own files (a tar on the second drive) over the root file system before systemd starts, so
that units in them are there from the beginning. With `lab.probe` on the command line it only says that
it lives and switches off: that is how accelerators are tried.
"""

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

from lab import host

ALIVE = "lab: this kernel lives"
MODULES = (
    *("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "virtio_net", "virtio_console", "virtio_balloon"),
    "virtio_rng",
)

_INIT = f"""#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sysfs /sys; $B mount -t devtmpfs dev /dev
if $B grep -qw lab.probe /proc/cmdline; then
    echo '{ALIVE}' > /dev/ttyS0; $B sleep 0.3; echo o > /proc/sysrq-trigger; $B sleep 60
fi
for m in $($B cat /order); do $B insmod /mod/$m 2>/dev/null; done
i=0; while [ ! -b /dev/vda ] && [ $i -lt 100 ]; do $B sleep 0.1; i=$((i+1)); done
if ! $B mount -t ext4 -o rw,noatime /dev/vda /new; then
    echo 'lab: no root file system' > /dev/ttyS0; $B sleep 1; echo o > /proc/sysrq-trigger; $B sleep 60
fi
[ -b /dev/vdb ] && $B tar -C /new -xf /dev/vdb
$B ip link set lo up
$B ip link set eth0 up && $B ip addr add 10.0.2.15/24 dev eth0 && $B ip route add default via 10.0.2.2
$B mount --move /dev /new/dev; $B umount /sys /proc
exec $B switch_root /new /lib/systemd/systemd
"""


def build(tree: Path, release: str, target: Path) -> None:
    """Write an initramfs for the kernel whose modules are in a tree."""
    work = target.parent / "initramfs"
    for name in ("bin", "mod", "proc", "sys", "dev", "new"):
        (work / name).mkdir(parents=True)
    # The guest's own: the host's may be of another architecture.
    shutil.copy(tree / "bin/busybox", work / "bin/busybox")
    order = []
    for module in _modules(tree, release):
        name = module.name.removesuffix(".xz")
        content = module.read_bytes()
        (work / "mod" / name).write_bytes(lzma.decompress(content) if module.suffix == ".xz" else content)
        order.append(name)
    (work / "order").write_text("\n".join(order) + "\n")
    (work / "init").write_text(_INIT)
    (work / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(work)) for path in sorted(work.rglob("*"))) + "\n"
    packed = subprocess.run(
        ["/usr/bin/env", "cpio", "-o", "-H", "newc", "--quiet"],
        cwd=work,
        input=names.encode(),
        capture_output=True,
        check=True,
    )
    target.write_bytes(gzip.compress(packed.stdout, 6))
    shutil.rmtree(work)


def _modules(tree: Path, release: str) -> list[Path]:
    """Files of the modules and of all they need, each after what it needs; what is built in has none."""
    found: dict[Path, None] = {}
    for name in MODULES:
        listing = host.command(["modprobe", "-d", tree, "-S", release, "--show-depends", name])
        for line in listing.splitlines():
            words = line.split()
            if words and words[0] == "insmod":
                found[Path(words[1])] = None
    return list(found)
