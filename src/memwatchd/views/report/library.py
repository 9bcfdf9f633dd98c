"""Where uPlot is, which draws the charts: fetched when the package was built, or brought by an extra.

Nothing of it is kept in the source. ``scripts/fetch-uplot`` gets it from npm and puts it into the package, so
that whoever has the package has it; the extra ``report`` brings a package of PyPI that holds a copy. Either
way its bytes are those of a release of npm's package, or they are not used.
"""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from memwatchd.errors import MemwatchdError

EXTRA = "pip install 'memwatchd[report]'"
# SHA-256 of dist/uPlot.iife.min.js and of dist/uPlot.min.css.
_SCRIPTS = {
    "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f": "1.6.32",
    "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2": "1.6.31",
}
_STYLE = "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"
# Package, and the names of both files in it.
_CARRIERS = (("youplot", "vendor/uplot.iife.min.js", "vendor/uplot.min.css"),)
_OWN = ("uPlot.iife.min.js", "uPlot.min.css")


@dataclass(frozen=True, slots=True)
class Library:
    """What goes into the page."""

    version: str
    script: str
    style: str


class MissingExtraError(MemwatchdError):
    """Something a report is made with is not installed.

    Args:
        what: Its name, and what it is for.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not installed; it comes with the extra 'report': {EXTRA}")


def find_library() -> Library:
    """Find uPlot.

    Raises:
        MissingExtraError: It is not there.
        MemwatchdError: It is there, but is not what npm has under this name.
    """
    for script, style in _places():
        if script.is_file() and style.is_file():
            return _checked(script, style)
    raise MissingExtraError("uPlot, which draws the charts,")


def _places() -> list[tuple[Path, Path]]:
    own = Path(str(files("memwatchd.views.report"))) / "assets" / "uplot"
    found = [(own / _OWN[0], own / _OWN[1])]
    for package, script, style in _CARRIERS:
        # Only looked for: nothing of it is run.
        spec = find_spec(package)
        places = map(Path, spec.submodule_search_locations or ()) if spec else ()
        found += [(place / script, place / style) for place in places]
    return found


def _checked(script: Path, style: Path) -> Library:
    texts = script.read_bytes(), style.read_bytes()
    version = _SCRIPTS.get(sha256(texts[0]).hexdigest())
    if version is None or sha256(texts[1]).hexdigest() != _STYLE:
        known = " or ".join(sorted(_SCRIPTS.values()))
        raise MemwatchdError(f"{script}: this is not uPlot {known} as npm has it; expected one of these")
    return Library(version, texts[0].decode(), texts[1].decode())
