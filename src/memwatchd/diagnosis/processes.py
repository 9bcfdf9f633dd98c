"""Processes' own memory: how much there was, and which programs had it; for the two findings about it."""

import re
from dataclasses import dataclass

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.growth import name_of, when_of
from memwatchd.diagnosis.history import PROCESS
from memwatchd.diagnosis.programs import Program, has_anon_column, largest, programs
from memwatchd.diagnosis.shortage import Shortage, percent, shortage_of, size
from memwatchd.diagnosis.wording import source_word
from memwatchd.oomreport.report import RECORDED, Quote, Totals
from memwatchd.units import format_bytes, printable

# Below a fifth of the memory that was short, whoever has the rest is the one to ask.
SHARE = 0.2
# As good as nothing: what per-processor caches of swap slots hold back (64 slots for each) is less than that.
_SWAP_LEFT_SHARE = 0.02
# The table shows less than this share of the memory: what is missing belongs to nobody who is still in it.
_EXPLAINED_SHARE = 0.7
# Kernels before 2.6.28 do not tell processes' memory from the page cache. What is on the lists when reclaim
# has given up is processes' for the most part.
_CONFIDENCE_OF_LISTS = 0.6
# Resident sizes count what is shared as often as it is mapped.
_CONFIDENCE_OF_TABLE = 0.75


_EARLY = re.compile(r"cpu \d{1,5} (?:hot|cold): |protections\[\]:")
_PLAIN_NAME = re.compile(r"\w[\w.-]{0,30}", re.ASCII)


@dataclass(frozen=True)
class Filling:
    """Processes' own memory within the memory that was short.

    Attributes:
        own_kb: How much.
        certain: From 0 to 1, how sure it is that this is processes' own.
        programs: The table of tasks by program, largest first.
    """

    case: Case
    shortage: Shortage
    own_kb: int
    certain: float
    programs: tuple[Program, ...]

    @property
    def share(self) -> float:
        """Its share of the memory that was short."""
        return self.shortage.share(self.own_kb)

    @property
    def table_kb(self) -> int:
        """What the table of tasks adds up to."""
        return sum(each.own_kb for each in self.programs)

    @property
    def is_explained(self) -> bool | None:
        """Whether the table accounts for the memory; None without a table, or if that is of other memory."""
        if not self.programs or not self.shortage.whole:
            return None
        return self.table_kb >= _EXPLAINED_SHARE * self.own_kb

    def era_words(self) -> str:
        """What the kernel leaves open, where it counts processes and page cache as one."""
        return "" if self.shortage.anon_kb is not None else " (this kernel counts some page cache among it)"

    def sentence(self) -> str:
        """Name the programs, and say what the table leaves open."""
        if not self.programs:
            return f"the {source_word(self.case)} has no table of tasks that would say whose it is"
        biggest = ", ".join(each.told() for each in largest(self.programs))
        if self.is_explained is False:
            cut = self.case.event.missing and "tasks" in self.case.event.missing
            why = "it is cut" if cut else "the rest belongs to processes that are not in it, or no longer"
            if self.case.event.kind == RECORDED:
                why = "it was read a while before, and what has grown since is not in it"
            return f"{biggest}; the table of tasks shows only {size(self.table_kb)} of it ({why})"
        return biggest

    def victims_sentence(self) -> str:
        """Say what the victim had of it; empty where that is not told."""
        victim = self.case.victim
        if victim is None or victim.anon_rss_kb is None or not self.own_kb:
            return ""
        share = min(1.0, victim.anon_rss_kb / self.own_kb)
        return f" The process that was killed had {size(victim.anon_rss_kb)} of it ({percent(share)})."

    def grower_sentence(self) -> str:
        """Name the process that grew, in a recording, whose table is older than it."""
        history = self.case.history
        grower = history.grower(PROCESS) if history is not None else None
        if self.case.event.kind != RECORDED or grower is None or grower.to_bytes < self.own_kb * 1024 / 20:
            return ""
        return (
            f" {name_of(grower)} grew from {format_bytes(grower.from_bytes)} to "
            f"{format_bytes(grower.to_bytes)} {when_of(grower)}."
        )

    def quotes(self, *names: str) -> tuple[Quote, ...]:
        """Quote the lists of anonymous pages, other totals, the largest tasks and the kill."""
        victim = self.case.victim
        return self.case.quotes(
            *self.shortage.lines("active_anon", "inactive_anon", "active"),
            *self.case.total_lines(*names),
            *(each.largest.line for each in largest(self.programs)),
            victim.line if victim else None,
        )

    def figures(self) -> dict[str, float | int | str | None]:
        """What the summary says, for machines."""
        totals, victim = self.case.event.totals, self.case.victim
        found: dict[str, float | int | str | None] = {
            "anon_kb": self.own_kb,
            "total_kb": self.shortage.total_kb,
            "anon_share": round(self.share, 4),
            "swap_total_kb": totals.swap_total_kb,
            "swap_free_kb": totals.swap_free_kb,
            "victim_anon_kb": victim.anon_rss_kb if victim else None,
            "table_kb": self.table_kb if self.programs else None,
        }
        if self.programs:
            found |= {
                "largest_program": printable(self.programs[0].comm),
                "largest_program_kb": self.programs[0].own_kb,
                "largest_program_count": self.programs[0].count,
            }
        return found


def filling_of(case: Case) -> Filling | None:
    """Say how much of the memory that was short is processes' own; None where none was, or nothing tells."""
    shortage = shortage_of(case)
    if shortage is None:
        return None
    own_kb, certain = _own_kb(shortage)
    if own_kb is None:
        return None
    if has_anon_column(case):
        certain = min(1.0, certain + 0.02)
    return Filling(case, shortage, own_kb, certain, programs(case))


def _of_the_table_kb(shortage: Shortage) -> int | None:
    """What the table of tasks adds up to, where the Mem-Info block is lost; None if it may be cut, too."""
    if shortage.case.event.totals.pages or not shortage.whole:
        return None
    own_kb = min(sum(each.own_kb for each in programs(shortage.case)), shortage.total_kb)
    return own_kb if shortage.share(own_kb) >= SHARE else None


def _in_page_tables_kb(case: Case) -> int | None:
    """What processes have mapped, of files, too, and what was on its way to swap: no more is their own.

    ``mapped`` counts all of it until 2.6.17, the last with ``cpu 0 hot: `` in small letters, and no more than
    pages of files since. ``protections[]`` became lowmem_reserve in 2.6.11.
    """
    mapped_kb = case.pages_kb("mapped")
    if mapped_kb is None or not any(_EARLY.search(text) for text in case.event.texts.values()):
        return None
    totals = case.event.totals
    in_swap_cache = max(0, (totals.swap_added or 0) - (totals.swap_deleted or 0))
    return mapped_kb + in_swap_cache * case.page_kb


def is_swap_full(totals: Totals) -> bool:
    """Whether there is swap and it was full."""
    if not totals.swap_total_kb or totals.swap_free_kb is None:
        return False
    return totals.swap_free_kb <= _SWAP_LEFT_SHARE * totals.swap_total_kb


def shell_name(filling: Filling | None) -> str:
    """The name to put into a command: the largest program's, as a shell takes it."""
    name = filling.programs[0].comm if filling is not None and filling.programs else ""
    return name if _PLAIN_NAME.fullmatch(name) else "NAME"


def _own_kb(shortage: Shortage) -> tuple[int | None, float]:
    """Processes' own memory, and how sure that is, by what the kernel's era prints."""
    if shortage.anon_kb is not None:
        return shortage.anon_kb, 1.0
    # RHEL 5: "slab:12461 mapped-file:1063 mapped-anon:492700 pagetables:3210".
    mapped_kb = shortage.amount_kb("mapped-anon")
    if mapped_kb is not None:
        return mapped_kb, 0.95
    lists_kb = shortage.sum_kb("active", "inactive")
    if lists_kb is None:
        return _of_the_table_kb(shortage), _CONFIDENCE_OF_TABLE
    totals = shortage.case.event.totals
    if shortage.whole and (used_kb := _in_page_tables_kb(shortage.case)) is not None:
        return min(lists_kb, used_kb), 0.85
    if totals.pagecache_pages is None or not shortage.whole:
        return lists_kb, _CONFIDENCE_OF_LISTS
    cache_kb = max(0, totals.pagecache_pages - (totals.swapcache_pages or 0)) * shortage.case.page_kb
    return max(0, lists_kb - cache_kb), 0.85
