"""A page's structure: what is where, without its figures."""

from html.parser import HTMLParser

_SHOWN = {
    "h1",
    "h2",
    "h3",
    "nav",
    "main",
    "section",
    "article",
    "figure",
    "table",
    "details",
    "header",
    "footer",
}
_VOID = {"meta", "input", "img", "br", "hr", "link"}
_MARKS = ("id", "class", "role", "aria-label", "aria-labelledby", "tabindex")


class Outline(HTMLParser):
    """Reads a page.

    Attributes:
        lines: One for each element that gives structure, headings with their text.
        tags: All elements there are, each with its attributes.
        texts: All text that is seen, in order; neither scripts nor styles.
        scripts: Of each script its type and text.
        styles: Of each style its text.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[str, str]] = []
        self.styles: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs).get("type") or "", ""))
        elif tag == "style":
            self.styles.append("")
        if tag in _SHOWN:
            depth = sum(each in _SHOWN for each in self._open)
            marks = "".join(f" {name}={value}" for name, value in attrs if name in _MARKS)
            self.lines.append(f"{'  ' * depth}{tag}{marks}")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element; they have to be nested."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text where it belongs."""
        if self._open[-1:] == ["script"]:
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif self._open[-1:] == ["style"]:
            self.styles[-1] += data
        else:
            self.texts.append(data)
            if {"h1", "h2", "h3"} & set(self._open) and data.strip():
                self.lines[-1] += f": {data.strip()}"
