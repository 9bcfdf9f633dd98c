"""The guest's root file system: Debian packages, and the few settings that make a lab machine of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

from lab import host
from lab.errors import LabError

Maker = Callable[[Path], None]

HOOKS_VERSION = 1  # raised when what `fetch` leaves behind changes

# Of all that packages switch on, only this runs: what every server has; the rest is for scenarios to ask for.
WANTED = ("cron.service", "ssh.service", "remote-fs.target")
MASKED = (
    *(
        "serial-getty@ttyS0.service",
        "getty@tty1.service",
        "systemd-timesyncd.service",
        "systemd-networkd.service",
    ),
    *(
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "fstrim.timer",
        "e2scrub_all.timer",
    ),
    *(
        "e2scrub_reap.service",
        "systemd-update-utmp.service",
        "systemd-hwdb-update.service",
        "ldconfig.service",
    ),
    *("systemd-pstore.service", "rpcbind.service", "rpcbind.socket", "proc-sys-fs-binfmt_misc.automount"),
)

# The conductor is started by systemd like any service, after everything else. It must outlive all of it,
# hence a slice of its own: killers of whole cgroups look at system.slice.
_CONDUCTOR = """[Unit]
Description=Conductor of a run of the lab
After=multi-user.target
ConditionPathExists=/opt/lab/plan.json
[Service]
Type=exec
Environment=PYTHONPATH=/opt/lab PYTHONUNBUFFERED=1 HOME=/root
ExecStart=/usr/bin/python3 -m lab.inside.conductor
StandardOutput=file:/dev/ttyS0
StandardError=file:/dev/ttyS0
OOMScoreAdjust=-1000
OOMPolicy=continue
Slice=lab.slice
ManagedOOMPreference=omit
KillMode=process
LimitMEMLOCK=infinity
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
"""

_FILES = {
    "etc/hostname": "lab\n",
    "etc/hosts": "127.0.0.1 localhost lab\n",
    "etc/fstab": "/dev/vda / ext4 rw,noatime 0 0\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    # Emulated processors start services slowly; nothing here is about how fast a machine boots.
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStartSec=180s\n",
    "etc/ssh/sshd_config.d/lab.conf": "UseDNS no\n",
    "etc/cron.d/lab": "* * * * * root touch /run/lab-cron\n",
    "etc/systemd/system/lab.service": _CONDUCTOR,
}

# Which packages the kernel's meta package stands for is asked of the guest's own apt, whatever the host's is.
_FETCH_KERNEL = """set -eu
cd '{into}'
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
real=$(apt-cache depends --important {package} |
    sed -n 's/^ *Depends: \\(linux-image-[0-9].*\\)/\\1/p' | head -1)
apt-get download -q -o APT::Sandbox::User=root "${{real:-{package}}}" >&2
"""


def fetch(arch: str, kernel_package: str, packages: tuple[str, ...], suite: str, into: Path) -> None:
    """Get packages over the network: `rootfs.tar` and the kernel's `.deb`.

    Raises:
        LabError: mmdebstrap's words on what went wrong.
    """
    mirror = host.mirror(suite)
    print(f"lab: fetching {len(packages)} packages for {arch} and what they need", flush=True)
    options = ['Acquire::Languages "none"', 'APT::Install-Recommends "false"', *mirror.options]
    unneeded = ("doc", "man", "locale", "info")
    command: list[str | Path] = [
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", f"--architectures={arch}"),
        # i386 runs as it is on an amd64 host; the check would want one more package.
        "--skip=check/qemu",
        f"--include={','.join(packages)}",
        *(f"--aptopt={option}" for option in options),
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in unneeded),
        "--dpkgopt=force-unsafe-io",
        f"--customize-hook={_FETCH_KERNEL.format(into=into, package=kernel_package)}",
        *(suite, into / "rootfs.tar"),
    ]
    try:
        host.command([*command, *mirror.lines])
    except LabError:
        # A mirror may have a seldom-used architecture's updates half; the release itself will do.
        if len(mirror.lines) < 2:
            raise
        print(f"lab: that failed; trying {suite} without its updates", flush=True)
        host.command([*command, mirror.lines[0]])


def unpack(packed: Path, tree: Path) -> str:
    """Lay packages and kernel out; returns the kernel's release."""
    host.command(["tar", "-C", tree, "--numeric-owner", "-xf", packed / "rootfs.tar"])
    for package in packed.glob("linux-image-*.deb"):
        contents = packed / "kernel.tar"
        host.command(["dpkg", "--fsys-tarfile", package], into=contents)
        host.command(["tar", "-C", tree, "--keep-directory-symlink", "-xf", contents])
        contents.unlink()
    releases = sorted(path.name for path in (tree / "usr/lib/modules").iterdir())
    if not releases:
        raise LabError(f"{packed} holds no kernel; remove it and try again")
    host.command(["depmod", "-b", tree, releases[-1]])
    return releases[-1]


def settle(tree: Path, login_key: str) -> None:
    """Make a lab machine of an installed Debian."""
    for name, text in _FILES.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    units = tree / "etc/systemd/system"
    for wish in units.glob("*.wants/*"):
        if wish.name not in WANTED:
            wish.unlink()
    for name in MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    (units / "multi-user.target.wants/lab.service").symlink_to("../lab.service")
    keys = tree / "root/.ssh/authorized_keys"
    keys.parent.mkdir(mode=0o700, exist_ok=True)
    keys.write_text(login_key)
    keys.chmod(0o600)
    shutil.rmtree(tree / "var/cache/apt", ignore_errors=True)
