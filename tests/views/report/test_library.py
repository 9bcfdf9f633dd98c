"""Where uPlot is found, and what is taken for it."""

from pathlib import Path

import pytest

from memwatchd.errors import MemwatchdError
from memwatchd.views.report import library
from memwatchd.views.report.library import MissingExtraError, find_library


@pytest.fixture
def known() -> library.Library:
    return find_library()


def test_the_installed_one_is_npm_s(known: library.Library) -> None:
    """Anybody's script would run in the page."""
    assert known.script.startswith(f"/*! https://github.com/leeoniya/uPlot (v{known.version}) */")


def test_changed_bytes_are_refused(
    known: library.Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that was taken over could look at everybody's incidents."""
    script, style = tmp_path / "a.js", tmp_path / "a.css"
    script.write_text(known.script + "fetch('x')")
    style.write_text(known.style)
    monkeypatch.setattr(library, "_places", lambda: [(script, style)])
    with pytest.raises(MemwatchdError, match=r"a\.js: this is not uPlot 1\.6\.31 or 1\.6\.32"):
        find_library()


def test_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would know what to install."""
    monkeypatch.setattr(library, "_places", lambda: [(tmp_path / "no.js", tmp_path / "no.css")])
    with pytest.raises(MissingExtraError, match=r"extra 'report': pip install 'memwatchd\[report\]'"):
        find_library()
