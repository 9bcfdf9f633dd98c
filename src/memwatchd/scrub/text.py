"""One message without its strangers' names, or nothing when there is something in it that nobody knows."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from memwatchd.scrub.names import Names
from memwatchd.scrub.parts import scrub_cache, scrub_hardware, scrub_modules, scrub_queue, scrub_release
from memwatchd.scrub.places import Place, Table, find_places
from memwatchd.scrub.vocabulary import is_kernel_word, is_killer_word, is_own_word

# What is a name wherever it stands.
_SPECIAL = re.compile(
    r"""(?P<mail>(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})
    | (?P<url>(?<![\w+])[a-z][a-z+]{1,12}://[^\s"'<>]{1,2000})
    | (?P<uuid>(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-]))
    | (?P<mac>(?<![\w:])[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5,19}(?![\w:]))
    | (?P<ip>(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)
        | (?<![\w:.])(?=[0-9a-fA-F:]{0,38}(?:::|[a-fA-F]))(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}(?![\w:]))
    | (?P<id>(?<!\w)[0-9a-fA-F]{32,128}(?!\w))
    | (?P<path>(?<![\w.)\]/])/[\w.@%+~:-]{1,255}(?:/[\w.@%+~:\\-]{0,255}){0,40})""",
    re.VERBOSE | re.ASCII,
)
_TOKEN = re.compile(r"[\w$]+(?:[.@+:-]+[\w$]+)*")
_PART = re.compile(r"[\w$]+")
_KERNEL_PATHS = ("/proc/", "/sys/", "/dev/")
# Addresses that every machine has.
_NOWHERE = ("0.0.0.0", "127.0.0.1", "::1")  # noqa: S104 - nothing is bound to them
_LIKE_CGROUP = re.compile(r"/(?:[^/]{1,255}/)*[^/]{1,255}\.(?:slice|scope|service)\b|/kubepods|/docker/|/lxc")
_FIGURE = re.compile(
    r"(?<![^\s,])([A-Za-z_][\w()]{0,40}):(?= ?-?\d{1,20}(?:[kKMGT]i?B|pages)?(?![\w.]))", re.ASCII
)
_AT_END = re.compile(r"[>…\s]*")
_STATISTIC = re.compile(r"\s*[a-z][a-z0-9_]{1,60} \d{1,20}\s*", re.ASCII)


class Piece(NamedTuple):
    """A stretch of a text and what stands there now; pieces cover a text without gaps."""

    start: int
    end: int
    text: str


class Unknown(Exception):  # noqa: N818 - it says what was found
    """There is a word of which nobody knows whether it is a name."""


class Vocabulary(NamedTuple):
    """Which words may stay, and what to put in the place of others.

    Attributes:
        knows: Whether a word may stay.
        other: Makes a stand-in for one that may not; None where nothing is to be guessed.
    """

    knows: Callable[[str], bool]
    other: Callable[[str], str] | None = None


class MessageScrubber:
    """Takes names out of messages, one after the other.

    Args:
        names: The stand-ins.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._table = Table()
        self._statistics = False
        self._by_kind: dict[str, Callable[[str], str]] = {
            "comm": names.comm,
            "cgroup": names.cgroup,
            "uid": names.uid,
            "release": partial(scrub_release, names),
            "hardware": lambda text: scrub_hardware(names, _SPECIAL.sub(self._special, text)),
            "cache": partial(scrub_cache, names),
            "modules": partial(scrub_modules, names),
            "queue": partial(scrub_queue, names),
        }
        self._kernel = Vocabulary(is_kernel_word)
        self._killer = Vocabulary(is_killer_word, self._word)
        self._own = Vocabulary(is_own_word, self._word)

    def scrub(self, text: str) -> list[Piece] | None:
        """Take the names out of a message of the kernel; None when a word is left that may be a name.

        ``ledger invoked oom-killer: …`` becomes ``proc-1 invoked oom-killer: …``.
        """
        try:
            return self._scrub(text, self._kernel)
        except Unknown:
            return None

    def scrub_killer(self, text: str) -> list[Piece]:
        """Take the names out of a line of an OOM killer in user space; unknown words get stand-ins."""
        return self._scrub(text, self._killer)

    def scrub_sentence(self, text: str) -> str:
        """Take the names out of a sentence of this program; unknown words get stand-ins."""
        return joined(self._gap(text, 0, len(text), self._own))

    def _scrub(self, text: str, words: Vocabulary) -> list[Piece]:
        if self._is_statistic(text):
            return [Piece(0, len(text), text)]
        pieces, at = list[Piece](), 0
        for place in find_places(text, self._table):
            pieces += self._gap(text, at, place.start, words)
            pieces.append(Piece(place.start, place.end, self._name(place, text[place.start : place.end])))
            at = place.end
        pieces += self._gap(text, at, len(text), words)
        return pieces

    def _is_statistic(self, text: str) -> bool:
        """Whether it is a line of memory.stat: new kernels have new keys, which need not be known."""
        shaped = _STATISTIC.fullmatch(text) is not None
        if shaped and (self._statistics or is_kernel_word(text.split()[0])):
            return True
        self._statistics = "Memory cgroup stats" in text or (self._statistics and shaped)
        return False

    # ---- a name in its place

    def _name(self, place: Place, text: str) -> str:
        names = self._names
        match place.kind:
            case "keep":
                return text
            case "zero":
                return "0" * len(text)
            case "drop":
                return "(left out)"
            case "column":
                return names.uid(text).rjust(len(text))
        scrub = self._by_kind.get(place.kind)
        return names.of(place.kind, text) if scrub is None else scrub(text)

    # ---- what is between the names

    def _gap(self, text: str, start: int, end: int, words: Vocabulary) -> Iterator[Piece]:
        """Words between two names.

        Raises:
            Unknown: There is one that is not known, and nothing to put in its place.
        """
        at = start
        for found in _SPECIAL.finditer(text, start, end):
            yield from self._words(text, at, found.start(), words)
            yield Piece(*found.span(), self._special(found))
            at = found.end()
        yield from self._words(text, at, end, words)

    def _special(self, found: re.Match[str]) -> str:
        names, kind, text = self._names, found.lastgroup or "", found[0]
        if kind == "path":
            if text.startswith(_KERNEL_PATHS) and all(map(is_kernel_word, _PART.findall(text))):
                return text
            return names.cgroup(text) if _LIKE_CGROUP.match(text) else names.path(text)
        if kind == "ip" and text in _NOWHERE:
            return text
        if kind == "uuid":
            return names.of("id", text.lower())
        return names.of(kind, text.lower() if kind in ("mac", "id", "mail") else text)

    def _words(self, text: str, start: int, end: int, words: Vocabulary) -> Iterator[Piece]:
        if start == end:
            return
        kept = _kept_figures(text, start, end)
        at = start
        for found in _TOKEN.finditer(text, start, end):
            yield Piece(at, found.start(), _between(text[at : found.start()], words))
            at = found.end()
            try:
                token = found[0] if found.start() in kept else self._token(found[0], words)
            except Unknown:
                if not kept or not _AT_END.fullmatch(text, at, end):
                    raise
                token, at = ">", end  # the line was cut off, as by a pager
            yield Piece(found.start(), at, token)
        yield Piece(at, end, _between(text[at:end], words))

    def _token(self, token: str, words: Vocabulary) -> str:
        stand_in = self._names.words.get(token)
        if stand_in is not None:
            return stand_in
        if words.knows(token):
            return token
        if _PART.fullmatch(token) is None:
            parts = re.split(r"([.@+:-]+)", token)
            return "".join(self._token(part, words) if _PART.match(part) else part for part in parts)
        if words.other is None:
            raise Unknown
        return words.other(token)

    def _word(self, word: str) -> str:
        return self._names.of("word", word)


def joined(pieces: Iterable[Piece]) -> str:
    """The text that pieces make."""
    return "".join(piece.text for piece in pieces)


def _between(text: str, words: Vocabulary) -> str:
    """Punctuation and blanks; what is beyond ASCII is no punctuation of the kernel's."""
    if text.isascii():
        return text
    if words.other is None:
        raise Unknown
    return "".join(char if char.isascii() else "?" for char in text)


def _kept_figures(text: str, start: int, end: int) -> frozenset[int]:
    """Where the keys of ``key:123kB`` begin, in a line whose keys are mostly known."""
    if text.count(":", start, end) < 3:
        return frozenset()
    found = list(_FIGURE.finditer(text, start, end))
    unknown = sum(not is_kernel_word(match[1].replace("(", "_").replace(")", "")) for match in found)
    return frozenset(match.start() for match in found) if 2 * unknown <= len(found) else frozenset()
