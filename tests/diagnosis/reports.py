"""Reports in a few words: what was asked for, and what the zones had.

Lines are numbered as the figures are given, so that evidence can be compared: 1 is the request, 2 the
Mem-Info block, 10 and on the zones, 20 and on their lists of blocks, 30 and on their reserves, 90 the kill.
"""

import re
from collections.abc import Mapping
from typing import Any

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.oomreport.report import (
    OOM_KILL,
    Event,
    FreeBlocks,
    Totals,
    Trigger,
    Victim,
    Zone,
)

_BLOCK = re.compile(r"(\d+)\*(\d+)(?:\((\w+)\))?")


def asked(flags: str | None, order: int = 0, *, mask: int | None = None, **others: Any) -> Trigger:
    """A request; without names for its flags one of a kernel before 4.6."""
    names = tuple(flags.split("|")) if flags else ()
    return Trigger(
        comm="asker",
        pid=4711,
        gfp_mask=mask,
        gfp_flags=names,
        flags_printed=bool(names),
        order=order,
        line=1,
        **others,
    )


def zone(
    name: str,
    free: int,
    low: tuple[int, int] | None = None,
    *,
    managed: int | None = None,
    node: int | None = None,
    reserve: tuple[int, ...] = (),
    blocks: str = "",
    **amounts: int,
) -> Zone:
    """A zone: free, (min, high), managed in kB; blocks as ``12*8(UM) 3*16``."""
    figures = {"free": free, **{key.replace("__", ":"): value for key, value in amounts.items()}}
    if low is not None:
        figures |= {"min": low[0], "low": (low[0] + low[1]) // 2, "high": low[1]}
    if managed is not None:
        figures |= {"present": managed, "managed": managed}
    found = {
        (int(size) // 4).bit_length() - 1: FreeBlocks(int(count), types or "")
        for count, size, types in _BLOCK.findall(blocks)
    }
    total = sum((block.count << order) * 4 for order, block in found.items())
    return Zone(
        node,
        name,
        amounts_kb=figures,
        lowmem_reserve_pages=reserve,
        free_blocks=found,
        block_kb=4 if found else None,
        blocks_total_kb=total if found else None,
    )


def report(
    trigger: Trigger,
    *zones: Zone,
    kind: str = OOM_KILL,
    pages: Mapping[str, int] | None = None,
    ram_kb: int | None = None,
    swap: tuple[int, int] | None = None,
    victim: Victim | None = None,
    **others: Any,
) -> Event:
    """An event; Mem-Info has what the zones sum up to, unless ``pages`` says otherwise."""
    numbered = tuple(
        Zone(
            each.node,
            each.name,
            amounts_kb=each.amounts_kb,
            lowmem_reserve_pages=each.lowmem_reserve_pages,
            free_blocks=each.free_blocks,
            block_kb=each.block_kb or 4,
            blocks_total_kb=each.blocks_total_kb,
            line=10 + at,
            blocks_line=20 + at,
            reserve_line=30 + at,
        )
        for at, each in enumerate(zones)
    )
    counted = (
        {"free": sum(each.free_kb or 0 for each in zones) // 4} | dict(pages or {}) if zones or pages else {}
    )
    texts = {1: "the request", 2: "Mem-Info", 3: "swap", 90: "Killed process"}
    for at, each in enumerate(zones):
        texts |= {
            10 + at: f"zone {each.name}",
            20 + at: f"blocks {each.name}",
            30 + at: f"reserve {each.name}",
        }
    victims = (victim,) if victim else ()
    return Event(
        kind,
        complete=True,
        trigger=trigger,
        zones=numbered,
        totals=Totals(
            pages=counted,
            ram_pages=None if ram_kb is None else ram_kb // 4,
            reserved_pages=None if ram_kb is None else 0,
            swap_total_kb=swap[0] if swap else None,
            swap_free_kb=swap[1] if swap else None,
            lines={"free": 2, "free_cma": 2, "inactive_file": 2, "swap_free_kb": 3},
        ),
        victims=others.pop("victims", victims),
        texts=others.pop("texts", texts),
        **others,
    )


def found(result: Finding | Dismissal | None) -> Finding:
    """The finding that a test expects."""
    assert isinstance(result, Finding), result
    return result


def dismissed(result: Finding | Dismissal | None) -> str:
    """The reason of the dismissal that a test expects."""
    assert isinstance(result, Dismissal), result
    return result.reason


def quoted(finding: Finding) -> list[str]:
    """The texts of its evidence."""
    return [quote.text for quote in finding.evidence]


def case(event: Event, *earlier: Event) -> Case:
    return Case(event, earlier=earlier)
