"""How the lines of a log were wrapped, seen from how long they are.

A terminal breaks every line at the same column, in the middle of a word if need be:

    Mar  7 02:43:11 myhost kernel: Node 0 DMA32 free:3948kB … present:1032064kB manag
    ed:999552kB mlocked:0kB …

A mail program breaks at a blank, as late as its limit allows; some leave the blank where it was:

    [ 4361.724427] go: page allocation failure: order:5,·
    mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memwatchd.oomreport.words import is_cut_in_word

# Beyond this a mail program would have wrapped.
_MAIL_WIDTH = 80
_SLACK = 12


class Seam(NamedTuple):
    """Where a line ended and its rest may have begun.

    Attributes:
        before: The line, with the blanks at its end.
        width: Its length on the screen, everything included.
        after: The next line.
        certain: The next line is a rest by its words.
        solid: It began behind a single blank.
    """

    before: str
    width: int
    after: str
    certain: bool = False
    solid: bool = False

    @property
    def length(self) -> int:
        """Length of the line without the blanks at its end."""
        return self.width - len(self.before) + len(self.before.rstrip())

    @property
    def first_word(self) -> int:
        """Length of the next line's first word."""
        return len(self.after.split(None, 1)[0])


@dataclass(frozen=True, slots=True)
class Widths:
    """How a text was wrapped, as far as it shows.

    Attributes:
        hard: Column at which a terminal broke lines; None if none did.
        soft, soft_most: Between these is the limit of a mail program's lines; None if none wrapped any.
        blanks_kept: It left the blank at the end of the line.
    """

    hard: int | None = None
    soft: int | None = None
    soft_most: int = 0
    blanks_kept: bool = False

    def may_break(self, seam: Seam) -> bool:
        """Whether the lines were broken there, judging by lengths only."""
        if self.hard is not None and seam.width >= self.hard - 1:
            return True
        if self.blanks_kept and seam.before.endswith(" "):
            return True
        if self.soft is None:
            return False
        return seam.length <= self.soft_most and seam.length + 1 + seam.first_word > self.soft

    def glue(self, seam: Seam) -> str:
        """What stood between the two lines: a blank, or nothing."""
        if seam.before[-1:] in ("", " ") or seam.after.startswith(" "):
            return " "
        if self.hard is not None and seam.width >= self.hard - 1:
            return "" if seam.width >= self.hard else " "
        if self.blanks_kept:
            return ""
        after = seam.after.lstrip()
        if is_cut_in_word(seam.before, after):
            return ""
        return "" if self == Widths() and seam.width > _MAIL_WIDTH else " "


def judge(seams: Sequence[Seam], longest: int, earlier: Widths) -> Widths:
    """Say how a text was wrapped.

    Args:
        seams: Every place where a line follows that has no layers of its own, nor begins a statement.
        longest: The longest line of the text.
        earlier: What was known before; it stands where this text does not show anything.
    """
    full = [seam for seam in seams if seam.width >= longest - 1]
    loose = [seam for seam in seams if seam.width < longest - 1]
    in_words = any(is_cut_in_word(seam.before.rstrip(), seam.after) for seam in full)
    # Rows of a table end in one column whoever wrapped them: then only a broken word proves a terminal.
    in_blanks = all(seam.before.endswith(" ") for seam in full)
    at_one_column = len(full) >= 2 and 4 * sum(seam.certain for seam in loose) <= len(full)
    if at_one_column and (in_words or not (loose or in_blanks)):
        return Widths(hard=longest)
    certain = [seam for seam in seams if seam.certain]
    if not certain:
        return earlier
    kept = [seam for seam in seams if seam.before.endswith(" ")]
    soft, soft_most = _limit(certain)
    blanks_kept = len({seam.width for seam in kept}) >= 2 and 2 * len(kept) >= len(certain)
    return Widths(soft=soft, soft_most=soft_most, blanks_kept=blanks_kept)


def _limit(seams: Sequence[Seam]) -> tuple[int, int]:
    """Between what a mail program's limit is: all lines were shorter, and no next word would have fit.

    Lines that consist of one long word may be longer.
    """
    beyond = min((seam.length + 1 + seam.first_word for seam in seams if seam.solid), default=1 << 20)
    soft = max((seam.length for seam in seams if seam.length < beyond), default=beyond - 1)
    return soft, min(beyond - 1, soft + _SLACK)
