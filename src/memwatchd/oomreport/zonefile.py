"""Zones and nodes of a report made of /proc/zoneinfo.

::

    Node 0, zone    DMA32                   Node 0 DMA32 free:6448kB min:2620kB low:3272kB high:3924kB ...
      pages free     1612
            min      655
"""

from collections.abc import Iterator, Mapping

from memwatchd.oomreport.kept import Lines
from memwatchd.oomreport.report import Node, Zone
from memwatchd.procfs import zoneinfo

# Counters of zoneinfo by the names that a report has for them on the lines of zones and nodes.
_COUNTERS = {
    **{f"nr_zone_{name}": name for name in ("active_anon", "inactive_anon", "active_file", "inactive_file")},
    **{f"nr_{name}": name for name in ("active_anon", "inactive_anon", "active_file", "inactive_file")},
    "nr_zone_unevictable": "unevictable",
    "nr_unevictable": "unevictable",
    "nr_zone_write_pending": "writepending",
    "nr_isolated_anon": "isolated(anon)",
    "nr_isolated_file": "isolated(file)",
    "nr_mapped": "mapped",
    "nr_dirty": "dirty",
    "nr_writeback": "writeback",
    "nr_shmem": "shmem",
    "nr_slab_reclaimable": "slab_reclaimable",
    "nr_slab_unreclaimable": "slab_unreclaimable",
    "nr_page_table_pages": "pagetables",
    "nr_sec_page_table_pages": "sec_pagetables",
    "nr_mlock": "mlocked",
    "nr_bounce": "bounce",
    "nr_free_cma": "free_cma",
}
_SIZES = ("free", "boost", "min", "low", "high", "present", "managed")


def zones_of(parsed: zoneinfo.Zoneinfo, lines: Lines, page_kb: int) -> Iterator[Zone]:
    """Give the zones with memory, as a report prints them; their lines are kept."""
    return (_zone(each, lines, page_kb) for each in parsed.zones if each.present_pages)


def nodes_of(parsed: zoneinfo.Zoneinfo, lines: Lines, page_kb: int) -> Iterator[Node]:
    """Give the figures of the nodes, since 4.8; their lines are kept."""
    for node in parsed.nodes:
        amounts_kb = _in_kb(node.counters, page_kb)
        if amounts_kb:
            said = " ".join(f"{name} {node.counters[name]}" for name in _COUNTERS if name in node.counters)
            line = lines.keep(f"/proc/zoneinfo: Node {node.node}", said)
            yield Node(node.node, amounts_kb, line=line)


def _zone(zone: zoneinfo.Zone, lines: Lines, page_kb: int) -> Zone:
    sizes = {name: getattr(zone, f"{name}_pages") for name in _SIZES}
    known = {name: pages for name, pages in sizes.items() if pages is not None}
    where = f"/proc/zoneinfo: Node {zone.node}, zone {zone.name}"
    line = lines.keep(where, "pages " + " ".join(f"{name} {pages}" for name, pages in known.items()))
    reserve = ", ".join(map(str, zone.protection_pages))
    return Zone(
        node=zone.node,
        name=zone.name,
        amounts_kb={**_in_kb(zone.counters, page_kb), **{name: n * page_kb for name, n in known.items()}},
        lowmem_reserve_pages=zone.protection_pages,
        block_kb=page_kb,
        line=line,
        reserve_line=lines.keep(where, f"protection: ({reserve})") if reserve else None,
    )


def _in_kb(counters: Mapping[str, int], page_kb: int) -> dict[str, int]:
    return {
        name: counters[counter] * page_kb
        for counter, name in _COUNTERS.items()
        if counters.get(counter, -1) >= 0
    }
