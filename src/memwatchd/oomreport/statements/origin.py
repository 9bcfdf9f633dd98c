"""Where it happened: process, kernel, machine, call trace.

::

    Pid: 21832, comm: clamd Tainted: G         C   3.2.59 #21                                   until 3.9
    CPU: 0 PID: 3841 Comm: memcheck-amd64- Not tainted 4.4.0-x86_64-linode63 #2
    CPU: 5 UID: 0 PID: 1122 Comm: stress Not tainted 6.18.0+ #26 PREEMPT(voluntary)             since 6.11
    Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS rel-1.8.2 04/01/2014
     [<ffffffff811c6a55>] ? dump_header+0x59/0x1dd                                              until 4.9
     out_of_memory.part.0+0x1df/0x3d0                                                           since 4.10
     ext4_filemap_fault+0x2c/0x40 [ext4]
    [<c0032244>] (dump_backtrace+0x0/0x10c) from [<c0433bac>] (dump_stack+0x18/0x1c)            arm until 5.16
     show_stack from warn_alloc+0xa0/0x150                                                      arm
"""

import re
from dataclasses import dataclass

_PROCESS = re.compile(
    r"(?:CPU: ?\d+ (?:UID: ?\d+ )?PID: ?|Pid: ?)(?P<pid>\d{1,10}),? [Cc]omm: ?(?P<comm>.*?) "
    r"(?:Kdump: loaded )?(?P<taint>Not tainted|Tainted:.*?)"
    r"(?: +(?P<release>\d\.\d{1,3}\.\d\S*|\d{1,2}\.\d{1,3}[.-]\S*))?(?: [#(].*)?$",
    re.DOTALL,
)
_RELEASE = re.compile(r"^(.*?)\s(\d{1,2}\.\d{1,3}(?:[.+-]\S*)?)(?: .*)?$", re.DOTALL)
_FRAME = re.compile(r"(?P<unsure>\? )?\(?(?P<name>[A-Za-z_][\w.$]{0,127})\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}")
_ARM_FRAME = re.compile(r"(?P<name>[A-Za-z_][\w.$]{0,127}) from [A-Za-z_][\w.$]{0,127}\+0x")
_HARDWARE = "Hardware name: "


@dataclass(frozen=True, slots=True)
class Process:
    """Who ran, on which kernel.

    Attributes:
        release: As uname -r has it; None where it is not on the line.
        taint: Its letters ("G OE"); empty when it is not tainted.
    """

    pid: int
    comm: str
    release: str | None
    taint: str


def parse_process(text: str) -> Process | None:
    """Read the line that names process and kernel."""
    if "omm:" not in text:
        return None
    found = _PROCESS.search(text)
    if found is None:
        return None
    taint, release = found["taint"], found["release"]
    if taint == "Not tainted":
        return Process(int(found["pid"]), found["comm"], release, "")
    letters = taint.removeprefix("Tainted:")
    if release is None and (split := _RELEASE.match(letters)):
        letters, release = split[1], split[2]
    return Process(int(found["pid"]), found["comm"], release, " ".join(letters.split()))


def parse_hardware(text: str) -> str | None:
    """Read the name of the machine."""
    return text.partition(_HARDWARE)[2].strip() or None if text.startswith(_HARDWARE) else None


def parse_frame(text: str) -> tuple[str, ...] | None:
    """Read one entry of a call trace: the function's name, nothing when the kernel is not sure of it."""
    if "+0x" not in text:
        return None
    found = _ARM_FRAME.match(text) or _FRAME.search(text)
    if found is None:
        return None
    return () if found.groupdict().get("unsure") else (found["name"],)
