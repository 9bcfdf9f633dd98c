"""Lines that belong to a report and that no finding needs: registers, code bytes, marks of a trace."""

import re

_STARTS = (
    "Call Trace",
    "Call trace",
    "Backtrace",
    "<TASK>",
    "</TASK>",
    "<IRQ>",
    "</IRQ>",
    "<NMI>",
    "</NMI>",
    "<EOI>",
    "<SOFTIRQ>",
    "</SOFTIRQ>",
    "Code: ",
    "Modules linked in",
    "Workqueue: ",
    "Hardware name",
    "Stack :",
    "Stack:",
    "Exception stack",
    "COMPACTION is disabled",
    "---[ ",
    "======",
    "------",
    "EFLAGS",
    "ORIG_RAX",
    "Kernel Offset",
    "entry_INT80",
    "Tainted: [",
    "SysRq",
    "sysrq: ",
    "Free pages:",
    "HighMem: empty",
    "Tasks state",
    "Mem-Info",
    "Mem-info",
    "...",
    "[...]",
    "Instruction dump",
    "GPR",
    "LR [",
    "NIP",
    "MSR",
    "CFAR",
    "PKRU",
    "---",
    "Function entered at",
    "(...",
)
_REGISTERS = re.compile(
    r"(?:RIP|RSP|RAX|RDX|RBP|RBX|R\d\d|EIP|EAX|ESI|EDI|DS|CS|FS|GS|CR2|pc|lr|sp|ra|epc|gp|tp|status|badaddr|cause|cs|"
    r"pstate|x\d{1,2}|r\d{1,2}|[ast]\d{1,2}|ESP|EBP|ECX|EBX|EDX|REGS|TRAP|XER|CTR|CR) ?: "
    r"?[0-9a-fx<(]"
)
# Words of a stack or of code: "ffffffff811c6a55 00000015118e701d".
_WORDS = re.compile(r"(?:<?[0-9a-f]{2,16}>?[ >]{1,4}){1,40}<?[0-9a-f]{2,16}>?|[0-9a-f]{8}|[0-9a-f]{16}")
# Words of an exception stack, and registers of arm: "dfa0: b6ec4025 00000000", "r6:c05ee564 r5:00000000".
_DETAILS = re.compile(r"(?:[rR]\d{1,2}:[0-9a-f]{8} ?)+|[0-9a-f]{4}: +[0-9a-f]{8}(?: [0-9a-f]{8})*")
_SUPPRESSED = re.compile(r"\w+: \d+ (?:output lines )?(?:callbacks )?suppressed")
_CACHE_DETAIL = re.compile(r"(?:cache: .*, object size: |node \d+: slabs: \d+)")


def is_noise(text: str) -> bool:
    """Whether a line is a known one without facts."""
    if not text or text.startswith(_STARTS):
        return True
    return bool(
        _REGISTERS.match(text)
        or _WORDS.fullmatch(text)
        or _SUPPRESSED.match(text)
        or _CACHE_DETAIL.match(text)
        or _DETAILS.match(text)
    )
