"""Recordings made by hand, and what the parsers find in them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any

from tests.conftest import FIXTURES

from memwatchd.errors import ParseError
from memwatchd.procfs.arcstats import parse_arcstats
from memwatchd.procfs.buddyinfo import BuddyZone, parse_buddyinfo
from memwatchd.procfs.meminfo import parse_meminfo
from memwatchd.procfs.pressure import parse_pressure
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.procfs.vmstat import parse_vmstat
from memwatchd.procfs.zoneinfo import Zone, Zoneinfo, parse_zoneinfo
from memwatchd.procfs.zram import parse_mm_stat
from memwatchd.sampling.plan import SOURCE_PATHS
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.recording import Pulse, Recording

Texts = Mapping[str, bytes]
MACHINES = sorted(path.parent.name for path in FIXTURES.glob("*/proc"))
PAGE = 4096

ZRAM = b" 1073741824 268435456 281018368        0 301989888    12044        7      311      312\n"
ARCSTATS = b"""13 1 0x01 147 39984 4312403271 1215094730410
name                            type data
hits                            4    1204533
deadlist                        7    some words
c                               4    8589934592
c_min                           4    1073741824
c_max                           4    17179869184
size                            4    8361294336
compressed_size                 4    8000000000
memory_available_bytes          3    -1073741824
"""


@dataclass
class Held:
    """A text in a buffer that is longer than it, as in the sampler."""

    buffer: bytearray = field(default_factory=bytearray)
    size: int = -1

    def hold(self, text: bytes | None) -> None:
        """Put a text over what is left of those before, in another buffer."""
        self.size = -1 if text is None else len(text)
        self.buffer = bytearray(text or b"") + self.buffer[len(text or b"") :] + b"\n9"


@dataclass
class Desk:
    """A recording whose texts are changed by hand.

    Attributes:
        recording: What signals are bound to.
    """

    recording: Recording
    held: dict[str, Held]

    def show(self, texts: Texts) -> None:
        """Make these the present texts; those of other sources are not there yet."""
        for name, held in self.held.items():
            held.hold(texts.get(name))

    def read(self, name: str) -> float:
        """Read a signal with a fresh reader."""
        return find_signal(name).bind(self.recording)()


def make_desk(texts: Texts, *, page_size: int = PAGE, entries: Mapping[str, Any] | None = None) -> Desk:
    """Make a recording of these texts."""
    held = {name: Held() for name in texts}
    desk = Desk(Recording(held, entries or {}, Pulse(), page_size), held)
    desk.show(texts)
    return desk


def machine_texts(machine: str) -> dict[str, bytes]:
    """All sources of a fixture machine."""
    directory = FIXTURES / machine / "proc"
    paths = {name: directory / path for name, path in SOURCE_PATHS.items()}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def zone(
    name: str,
    free: int,
    watermarks: tuple[int, int, int],
    managed: int,
    *,
    node: int = 0,
    boost: int | None = None,
    protection: str = "0, 0, 0, 0, 0",
    node_slab: int | None = None,
    file: int | None = None,
) -> bytes:
    """The text of a zone; figures in pages, watermarks as printed, which is with the boost."""
    stats = "" if node_slab is None else f"\n  per-node stats\n      nr_slab_reclaimable {node_slab}"
    raised = "" if boost is None else f"\n        boost    {boost}"
    lists = "" if file is None else f"      nr_zone_inactive_file 0\n      nr_zone_active_file {file}\n"
    minimum, low, high = watermarks
    return (
        f"Node {node}, zone {name:>8}{stats}\n  pages free     {free}{raised}\n        min      {minimum}\n"
        f"        low      {low}\n        high     {high}\n        spanned  {managed}\n"
        f"        present  {managed}\n        managed  {managed}\n        cma      0\n"
        f"        protection: ({protection})\n      nr_free_pages {free}\n{lists}"
    ).encode()


# ---- the long way: what the parsers find


def expected_values(texts: Texts, page_size: int = PAGE) -> dict[str, float]:
    """Every signal of the machine's own sources, worked out with the parsers; only those that are there."""
    found: dict[str, float] = {}
    for source, derive in _DERIVE.items():
        for name, text in texts.items():
            if name == source or (source == "zram" and name.startswith("zram/")):
                found.update(derive(name, text, page_size))
    return found


def _meminfo(_source: str, text: bytes, _page_size: int) -> dict[str, float]:
    meminfo = parse_meminfo(text)
    found: dict[str, float] = {f"meminfo.{name}": value for name, value in meminfo.bytes_by_name.items()}
    found |= {f"meminfo.{name}": value for name, value in meminfo.counts_by_name.items()}
    total, free = meminfo.swap_total_bytes, meminfo.swap_free_bytes
    if total is not None and free is not None:
        found |= {"swap.total": total, "swap.free": free, "swap.used": total - free}
        if total:
            found["swap.used_share"] = (total - free) / total
    return found


def _vmstat(_source: str, text: bytes, _page_size: int) -> dict[str, float]:
    found = parse_vmstat(text)
    return {
        f"vmstat.{name}": value * (1024 if name in ("pgpgin", "pgpgout") else 1)
        for name, value in found.items()
    }


def _pressure(_source: str, text: bytes, _page_size: int) -> dict[str, float]:
    pressure = parse_pressure(text)
    found: dict[str, float] = {}
    for kind, stall in (("some", pressure.some), ("full", pressure.full)):
        if stall is not None:
            found[f"pressure.{kind}"] = stall.total_usec * 1e-6
            for seconds, share in ((10, stall.avg10_pct), (60, stall.avg60_pct), (300, stall.avg300_pct)):
                found[f"pressure.{kind}.avg{seconds}"] = share / 100
    return found


_SIZES = ("free", "boost", "min", "low", "high", "promo", "spanned", "present", "managed", "cma")
_SMALL_BYTES = 64 << 20
_NOT_FOR_KERNEL = ("HighMem", "Movable", "Device")


def _file_pages(zone: Zone) -> int | None:
    for lists in ("nr_zone_{}_file", "nr_{}_file"):
        active, inactive = (zone.counters.get(lists.format(each)) for each in ("active", "inactive"))
        if active is not None and inactive is not None:
            return active + inactive
    return None


def _unboosted(zone: Zone, mark_pages: int) -> int:
    return mark_pages - (zone.boost_pages or 0)


def _kernel_reserve(zone: Zone) -> int | None:
    return 0 if zone.name == "Normal" else max(zone.protection_pages, default=None)


def _zone(zone: Zone, zoneinfo: Zoneinfo, page_size: int) -> dict[str, float]:
    sizes = {size: getattr(zone, f"{size}_pages") for size in _SIZES}
    sizes["managed"] = zone.managed_pages if zone.managed_pages is not None else zone.present_pages
    found = {size: pages * page_size for size, pages in sizes.items() if pages is not None}
    found["unboosted_min"] = _unboosted(zone, zone.min_pages) * page_size
    found["headroom"] = zone.free_pages * page_size - found["unboosted_min"]
    if zone.protection_pages:
        found["protection"] = max(zone.protection_pages) * page_size
        found["margin"] = found["headroom"] - found["protection"]
    reserve = _kernel_reserve(zone)
    if reserve is not None:
        found["room"] = found["headroom"] - reserve * page_size
    if high_pages := _unboosted(zone, zone.high_pages):
        found["ratio"] = zone.free_pages / high_pages
    if zone.start_pfn is not None:
        found["start_pfn"] = zone.start_pfn
    beside = [
        each
        for each in zoneinfo.zones
        if each.node == zone.node and each.name not in _NOT_FOR_KERNEL and _file_pages(each) is not None
    ]
    if beside:
        found["kernel_file"] = sum(_file_pages(each) or 0 for each in beside) * page_size
    for counters in (zone.counters, *(each.counters for each in zoneinfo.nodes if each.node == zone.node)):
        if "nr_slab_reclaimable" in counters:
            found.setdefault("slab_reclaimable", counters["nr_slab_reclaimable"] * page_size)
    return found | dict(zone.counters)


def _share(zone: Zone, kept_pages: int = 0) -> float:
    high_pages = _unboosted(zone, zone.high_pages)
    return (zone.free_pages - kept_pages) / high_pages if high_pages else inf


def _tightest(zones: list[Zone]) -> Zone:
    return min(zones, key=_share)


def _worst(zones: list[Zone], page_size: int) -> Zone:
    """Of each node the roomiest that the kernel can use for itself, of these the tightest."""

    def room(zone: Zone) -> float:
        return _share(zone, _kernel_reserve(zone) or 0)

    def size(zone: Zone) -> int:
        return (zone.present_pages if zone.managed_pages is None else zone.managed_pages) * page_size

    best = []
    for node in dict.fromkeys(zone.node for zone in zones):
        usable = [zone for zone in zones if zone.node == node and zone.name not in _NOT_FOR_KERNEL]
        large = [zone for zone in usable if size(zone) >= _SMALL_BYTES] or [max(usable, key=size)]
        best.append(max(large, key=room))
    return min(best, key=room)


def _zoneinfo(_source: str, text: bytes, page_size: int) -> dict[str, float]:
    zoneinfo = parse_zoneinfo(text)
    zones = [zone for zone in zoneinfo.zones if zone.present_pages]
    found: dict[str, float] = {}
    for zone in zones:
        values = _zone(zone, zoneinfo, page_size)
        found |= {f"zone.{zone.node}.{zone.name}.{name}": value for name, value in values.items()}
    chosen = {
        name: _tightest([zone for zone in zones if zone.name == name]) for name in {z.name for z in zones}
    }
    if zones:
        chosen["worst"] = _worst(zones, page_size)
    for name, zone in chosen.items():
        found |= {f"zone.{name}.{each}": value for each, value in _zone(zone, zoneinfo, page_size).items()}
    for node in zoneinfo.nodes:
        for each, value in node.counters.items():
            found[f"node.{node.node}.{each}"] = value
            found[f"node.{each}"] = found.get(f"node.{each}", 0) + value
    return found


def _buddyinfo(_source: str, text: bytes, _page_size: int) -> dict[str, float]:
    zones = parse_buddyinfo(text)
    found: dict[str, float] = {}
    for name, same in (
        ("any", list(zones)),
        ("kernel", _serving_kernel(zones)),
        *((zone.zone, [each for each in zones if each.zone == zone.zone]) for zone in zones),
        *((f"{zone.node}.{zone.zone}", [zone]) for zone in zones),
    ):
        found |= {f"buddy.{name}.{field}": value for field, value in _blocks(same).items()}
    return found


def _serving_kernel(zones: Sequence[BuddyZone]) -> list[BuddyZone]:
    usable = [zone for zone in zones if zone.zone not in _NOT_FOR_KERNEL]
    return [zone for zone in usable if zone.zone != "DMA"] or usable


def _blocks(zones: list[BuddyZone]) -> dict[str, float]:
    blocks = [sum(column) for column in zip(*(zone.free_blocks for zone in zones), strict=True)]
    pages = sum(zone.free_pages for zone in zones)
    found: dict[str, float] = {f"order{order}": count for order, count in enumerate(blocks)}
    found["largest_order"] = max((order for order, count in enumerate(blocks) if count), default=-1)
    for order in range(len(blocks)):
        # As unusable_free_index in mm/vmstat.c.
        suitable = sum(count << (each - order) for each, count in enumerate(blocks) if each >= order)
        found[f"unusable_order{order}"] = (pages - (suitable << order)) / pages if pages else 1.0
    return found


def _slabinfo(_source: str, text: bytes, page_size: int) -> dict[str, float]:
    caches = parse_slabinfo(text).caches
    found: dict[str, float] = {}
    for cache in caches:
        name = f'slab."{cache.name}"'
        found[f"{name}.bytes"] = cache.size_bytes(page_size)
        found[f"{name}.objects"] = cache.active_objs
        found[f"{name}.objects_total"] = cache.num_objs
    if caches:
        found["slab.top.bytes"] = max(cache.size_bytes(page_size) for cache in caches)
    return found


def _zram(source: str, text: bytes, _page_size: int) -> dict[str, float]:
    stat = parse_mm_stat(text)
    values = {
        "orig": stat.orig_data_bytes,
        "compressed": stat.compr_data_bytes,
        "used": stat.mem_used_total_bytes,
        "limit": inf if stat.mem_limit_bytes is None else stat.mem_limit_bytes,
        "max_used": stat.mem_used_max_bytes,
        "same_pages": stat.same_pages,
        "pages_compacted": stat.pages_compacted,
        "huge_pages": nan if stat.huge_pages is None else stat.huge_pages,
        "huge_pages_since": nan if stat.huge_pages_since is None else stat.huge_pages_since,
    }
    number = source.removeprefix("zram/zram")
    return {f"zram.{number}.{name}": value for name, value in values.items() if value == value}


def _arcstats(_source: str, text: bytes, _page_size: int) -> dict[str, float]:
    fields = parse_arcstats(text)
    found: dict[str, float] = {f"arc.{name}": value for name, value in fields.items()}
    if "size" in fields and "c_min" in fields:
        found["arc.shrinkable"] = max(0, fields["size"] - fields["c_min"])
    return found


_DERIVE: dict[str, Callable[[str, bytes, int], dict[str, float]]] = {
    "meminfo": _meminfo,
    "vmstat": _vmstat,
    "pressure": _pressure,
    "zoneinfo": _zoneinfo,
    "buddyinfo": _buddyinfo,
    "slabinfo": _slabinfo,
    "zram": _zram,
    "arcstats": _arcstats,
}


def parses(texts: Texts) -> bool:
    """Whether the parsers take these texts."""
    try:
        expected_values(texts)
    except ParseError:
        return False
    return True
