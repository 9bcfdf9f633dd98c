"""Which accelerator of qemu really runs a guest here: found out once by a short boot, and remembered.

/dev/kvm is no proof: in a nested machine a stock kernel may hang in it.
"""

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from lab import host, initramfs, places
from lab.errors import LabError
from lab.image import Image, say

TCG, KVM = "tcg", "kvm"
_PATIENCE_S = {KVM: 20, TCG: 90}
OPTIONS = {
    KVM: ("-accel", "kvm", "-cpu", "host"),
    TCG: ("-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"),
}


def choose(image: Image) -> str:
    """The best accelerator that works; MEMWATCHD_LAB_ACCELERATOR decides otherwise.

    Raises:
        LabError: no guest boots here at all.
    """
    if (wish := os.environ.get("MEMWATCHD_LAB_ACCELERATOR")) in OPTIONS:
        return wish
    remembered = places.cache() / "accelerator.json"
    here = {"kernel": os.uname().release, "boot": _boot_id(), "arch": image.arch}
    try:
        known = json.loads(remembered.read_text())
    except (OSError, ValueError):
        known = {}
    if known.get("here") == here and known.get("accelerator") in OPTIONS:
        return str(known["accelerator"])
    found = _try_all(image)
    remembered.write_text(json.dumps({"here": here, "accelerator": found}))
    return found


def _try_all(image: Image) -> str:
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        if boots(image, KVM):
            return KVM
        say("a guest does not come up with KVM here; it is emulated (about ten times slower)")
    if boots(image, TCG):
        return TCG
    raise LabError(
        "no guest boots here: qemu's emulation did not bring the kernel up within a minute and a half"
    )


def boots(image: Image, accelerator: str) -> bool:
    """Whether the kernel reaches its first program with an accelerator."""
    host.need({image.emulator: image.emulator_package})
    with tempfile.TemporaryDirectory(prefix="memwatchd-lab-") as directory:
        console = Path(directory) / "console"
        command: list[str | Path] = [
            *(image.emulator, *OPTIONS[accelerator], "-machine", image.machine, "-m", "512", "-smp", "2"),
            *(
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-no-reboot",
                "-serial",
                f"file:{console}",
            ),
            *(
                "-kernel",
                image.kernel,
                "-initrd",
                image.initrd,
                "-append",
                "console=ttyS0 quiet panic=-1 lab.probe",
            ),
        ]
        # What it printed decides, not whether it came to an end.
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                command,
                timeout=_PATIENCE_S[accelerator],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        return console.exists() and initramfs.ALIVE in console.read_text(errors="replace")


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
