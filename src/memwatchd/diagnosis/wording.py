"""How findings write lists and names in a sentence."""

from collections.abc import Sequence

from memwatchd.diagnosis.case import Case
from memwatchd.oomreport.report import RECORDED, Zone
from memwatchd.units import printable

# No kernel has larger blocks; what is beyond is a damaged line.
_MAX_ORDER = 30
_MAX_NAMED = 4


def listed(parts: Sequence[str]) -> str:
    """Write a list as one does in a sentence: ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def source_word(case: Case) -> str:
    """What the figures are from: the kernel's report, or a recording."""
    return "recording" if case.event.kind == RECORDED else "report"


def zone_name(case: Case, zone: Zone) -> str:
    """A zone's name, with its node where there are several: ``Normal of node 1``."""
    nodes = {each.node for each in case.event.zones} | {each.node for each in case.event.nodes}
    several = len(nodes - {None}) > 1 or zone.node not in (None, 0)
    return f"{printable(zone.name)} of node {zone.node}" if several else printable(zone.name)


def zone_names(case: Case, zones: Sequence[Zone]) -> str:
    """Several zones: ``DMA, DMA32 and Normal``, by nodes where there are several; four at most."""
    names = [zone_name(case, zone) for zone in zones[:_MAX_NAMED]]
    if len(zones) > _MAX_NAMED:
        names[-1] = f"{len(zones) - _MAX_NAMED + 1} more"
    return listed(names)


def pages_words(order: int, page_kb: int) -> str:
    """What was asked for: ``a single page``, ``8 pages in one piece (order 3, 32 KiB)``."""
    if order <= 0:
        return "a single page"
    if order > _MAX_ORDER:
        return f"2^{order} pages in one piece"
    amount_kb = (1 << order) * page_kb
    text = f"{amount_kb} KiB" if amount_kb < 1024 else f"{amount_kb // 1024} MiB"
    return f"{1 << order:,} pages in one piece (order {order}, {text})"


def flags_words(case: Case) -> str:
    """The request's flags as printed, or as decoded: ``GFP_KERNEL|__GFP_COMP``."""
    trigger = case.event.trigger
    if trigger.gfp_flags:
        return printable("|".join(trigger.gfp_flags))[:120]
    return "" if trigger.gfp_mask is None else f"{trigger.gfp_mask:#x}"
