"""Lines of the kernel's files that an event keeps for quoting."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Lines:
    """Lines that figures are from, each by a number of its own, behind the name of its file."""

    texts: dict[int, str] = field(default_factory=dict)

    def keep(self, source: str, text: str) -> int:
        """Keep a line, blanks made one; gives its number."""
        number = len(self.texts) + 1
        self.texts[number] = f"{source}: {' '.join(text.split())}"
        return number

    def of_file(self, source: str, text: bytes) -> dict[str, int]:
        """Keep all lines of a file that begin with a name; gives their numbers by it."""
        numbers: dict[str, int] = {}
        for line in text.decode("utf-8", "surrogateescape").splitlines():
            name = line.replace(":", " ", 1).partition(" ")[0]
            if name:
                numbers.setdefault(name, self.keep(source, line))
        return numbers
