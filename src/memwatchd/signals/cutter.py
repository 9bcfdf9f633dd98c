"""Cutting many numbers out of a text in one go.

Where the numbers of a file stand hardly ever changes, as long as they are padded to a width. So they are cut
out at known places, together with what stands around them; as long as that is the same, the places are right.
"""

import re
from struct import Struct

from memwatchd.signals.signal import Buffer


class Cutter:
    """Cuts out one number of every line.

    Args:
        line: Matches a line that has one. All of its groups are cut out; whatever can move the number must be
            seen in one of them, in this line or in the next.
        number: Which group is the number.

    Attributes:
        around: The other groups, each a tuple over all lines; another list whenever the places have changed.
    """

    __slots__ = ("_layout", "_line", "_number", "_others", "around")

    def __init__(self, line: re.Pattern[bytes], number: int) -> None:
        self._line = line
        self._number = slice(number - 1, None, line.groups)
        self._others = [
            slice(group, None, line.groups) for group in range(line.groups) if group != number - 1
        ]
        self._layout = Struct("")
        self.around: list[tuple[bytes, ...]] = [() for _ in self._others]

    def cut(self, text: Buffer, size: int) -> tuple[bytes, ...]:
        """Cut the numbers, with the blanks before them, out of the first `size` bytes."""
        if size == self._layout.size:
            pieces = self._layout.unpack_from(text)
            for place, other in zip(self._others, self.around, strict=True):
                if pieces[place] != other:
                    break
            else:
                return pieces[self._number]
        return self.learn(text, size)

    def learn(self, text: Buffer, size: int) -> tuple[bytes, ...]:
        """Find the places anew, and cut."""
        plain = bytes(text[: max(size, 0)])
        form, at = ["="], 0
        for found in self._line.finditer(plain):
            for group in range(1, self._line.groups + 1):
                start, end = found.span(group)
                form.append(f"{start - at}x{end - start}s")
                at = end
        self._layout = Struct("".join([*form, f"{len(plain) - at}x"]))
        pieces = self._layout.unpack(plain)
        self.around = [pieces[place] for place in self._others]
        return pieces[self._number]
