"""An incident's meta block without strangers' names; see `memwatchd.incidents.meta` for what is in it.

Of the kernel's command line the values stay that are about memory::

    BOOT_IMAGE=/boot/vmlinuz root=UUID=0e5c… ro quiet hugepages=12 acme.key=4711
    BOOT_IMAGE=(left-out) root=(left-out) ro quiet hugepages=12 parameter-1=(left-out)
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from memwatchd.scrub.facts import FactScrubber, is_number, numbers
from memwatchd.scrub.names import Names, hashed_id
from memwatchd.scrub.parts import scrub_release
from memwatchd.scrub.vocabulary import words_of

# Shown by `memwatchd show` with what else did not work as it should.
LEFT_OUT = "scrubbed: names are stand-ins, and the configuration and unknown texts were left out"

_KIND = re.compile(r"[a-z_]{1,40}")
_VERSION = re.compile(r"[\w.+-]{1,40}", re.ASCII)
_MEMORY_PARAMETERS = words_of(
    """
    mem memmap memtest hugepages hugepagesz default_hugepagesz hugetlb_cma hugetlb_free_vmemmap
    transparent_hugepage cma crashkernel kernelcore movablecore movable_node numa numa_balancing
    numa_zonelist_order cgroup_enable cgroup_disable cgroup_memory cgroup.memory swapaccount psi
    slab_nomerge slub_debug slab_debug slub_max_order slub_min_objects slub_memcg_sysfs init_on_alloc
    init_on_free page_alloc.shuffle page_owner page_poison zswap.enabled zswap.compressor zswap.zpool
    zswap.max_pool_percent vmalloc highmem low_mem lru_gen oom panic_on_oom iommu swiotlb
    memory_corruption_check systemd.unified_cgroup_hierarchy percpu_alloc stack_guard_gap memblock
    kvm-intel.ept node_reclaim_distance maxcpus nr_cpus possible_cpus isolcpus nohz_full preempt
    mitigations nokaslr norandmaps
    """
)
_OTHER_PARAMETERS = words_of(
    """
    root ro rw quiet splash console BOOT_IMAGE initrd rootfstype rootflags init debug nomodeset
    net.ifnames biosdevname single resume noresume earlyprintk acpi pci panic panic_on_oops loglevel ip
    nosmt apparmor security selinux audit systemd.unit reboot video vga consoleblank fsck.mode
    fsck.repair
    """
)
_PARAMETER_VALUE = re.compile(
    r"(?:[\d.,:;@#$!%+-]|0x[0-9a-fA-F]+|[KkMGT]B?(?![a-z])|always|madvise|never|on|off|yes|no|[yn]|auto|memory|nokmem|nosocket|nobpf"
    r"|hugetlb|pressure|cpu|cpuset|force|noforce|soft|pt|full|voluntary|none|node|zone|disable|enable|low|high|zstd|lz4|lzo"
    r"|zsmalloc|z3fold|zbud|fp|offset|nosmt|true|false|mirror|domain|nohz|managed_irq|pages){1,40}"
)


class MetaScrubber:
    """Takes names out of meta blocks.

    Args:
        names: The stand-ins.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._facts = FactScrubber(names)

    def scrub(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """The same block; what is not known to be harmless is left out."""
        scrub: dict[str, Callable[[Any], Any]] = {
            "id": _hashed,
            "boot_id": _hashed,
            "complete": _boolean,
            "trigger": self._trigger,
            "window": numbers,
            "kills": self._kills,
            "counters": self._counters,
            "disagreements": self._sentences,
            "host": self._host,
            "program": self._program,
            "sampling": self._sampling,
            "kmsg": numbers,
            "degraded": self._sentences,
            "death": numbers,
        }
        scrubbed = {key: scrub[key](value) for key, value in meta.items() if key in scrub}
        scrubbed["degraded"] = [*scrubbed.get("degraded", []), LEFT_OUT]
        return scrubbed

    def _trigger(self, trigger: Any) -> dict[str, Any]:
        if not isinstance(trigger, dict):
            return {}
        kind = trigger.get("kind")
        return {
            "kind": kind if isinstance(kind, str) and _KIND.fullmatch(kind) else None,
            "detail": self._facts.sentence(trigger.get("detail")),
            **numbers(trigger),
        }

    def _kills(self, kills: Any) -> list[dict[str, Any]]:
        return (
            [self._kill(kill) for kill in kills if isinstance(kill, dict)] if isinstance(kills, list) else []
        )

    def _kill(self, kill: Mapping[str, Any]) -> dict[str, Any]:
        scope = kill.get("scope")
        amounts = kill.get("amounts_kib")
        return {
            **numbers(kill),
            "comm": _text(kill.get("comm"), self._names.comm),
            "scope": scope if scope in ("global", "cgroup") else None,
            "limit_cgroup": _text(kill.get("limit_cgroup"), self._names.cgroup),
            "task_cgroup": _text(kill.get("task_cgroup"), self._names.cgroup),
            "amounts_kib": numbers(amounts) if isinstance(amounts, dict) else {},
        }

    def _counters(self, counters: Any) -> dict[str, Any]:
        if not isinstance(counters, dict):
            return {}
        return {self._facts.source(name): rise for name, rise in counters.items() if is_number(rise)}

    def _host(self, host: Any) -> dict[str, Any]:
        if not isinstance(host, dict):
            return {}
        release = partial(scrub_release, self._names)
        texts: dict[str, Callable[[str], str]] = {
            "hostname": self._names.host,
            "kernel": release,
            "kernel_version": release,
            "machine": release,
            "os": release,
            "kernel_command_line": self._command_line,
        }
        return numbers(host) | {key: _text(host[key], scrub) for key, scrub in texts.items() if key in host}

    def _command_line(self, line: str) -> str:
        return " ".join(map(self._parameter, line.split()))

    def _parameter(self, word: str) -> str:
        name, equals, value = word.partition("=")
        if name in _MEMORY_PARAMETERS:
            return word if not value or _PARAMETER_VALUE.fullmatch(value) else f"{name}=(left-out)"
        name = name if name in _OTHER_PARAMETERS else self._names.of("parameter", name)
        return f"{name}=(left-out)" if equals else name

    def _program(self, program: Any) -> dict[str, Any]:
        if not isinstance(program, dict):
            return {}
        kept = {key: program.get(key) for key in ("name", "version", "python")}
        return {
            key: value for key, value in kept.items() if isinstance(value, str) and _VERSION.fullmatch(value)
        }

    def _sampling(self, sampling: Any) -> dict[str, Any]:
        if not isinstance(sampling, dict):
            return {}
        sources = sampling.get("sources")
        named = sources.items() if isinstance(sources, dict) else ()
        return numbers(sampling) | {
            "lag_us": _numbers_or_none(sampling.get("lag_us")),
            "read_us": _numbers_or_none(sampling.get("read_us")),
            "sources": {self._facts.source(name): numbers(each) for name, each in named},
        }

    def _sentences(self, sentences: Any) -> list[str]:
        return [self._facts.sentence(each) for each in sentences] if isinstance(sentences, list) else []


def _numbers_or_none(values: Any) -> dict[str, Any] | None:
    return numbers(values) if isinstance(values, dict) else None


def _text(value: Any, scrub: Callable[[str], str]) -> str | None:
    return scrub(value) if isinstance(value, str) else None


def _boolean(value: Any) -> bool:
    return value is True


def _hashed(value: Any) -> str | None:
    try:
        return hashed_id(bytes.fromhex(value)).hex()
    except (TypeError, ValueError):
        return None
