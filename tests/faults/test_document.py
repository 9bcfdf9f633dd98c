"""docs/faults.md: every test of a fault stands in it, and every test it names is there."""

import ast
from pathlib import Path

from tests.faults.conftest import DOCUMENT, document_rows

HERE = Path(__file__).resolve().parent
ROOT = DOCUMENT.parents[1]


def names_of(path: Path) -> set[str]:
    """Names of a file's tests."""
    nodes = ast.parse(path.read_text()).body
    return {
        node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_fault_is_in_the_document() -> None:
    """A reader would not learn of what was tried."""
    written = [name for path in HERE.glob("test_*.py") if path != Path(__file__) for name in names_of(path)]
    named = [name for row in document_rows() for name in row.tests if "::" not in name]
    assert sorted(named) == sorted(written)


def test_tests_of_other_places_are_there() -> None:
    """The document would claim what nobody shows any more."""
    elsewhere = [name.split("::") for row in document_rows() for name in row.tests if "::" in name]
    assert elsewhere
    assert [(path, name) for path, name in elsewhere if name not in names_of(ROOT / path)] == []


def test_every_row_is_whole() -> None:
    """A row whose bars are wrong would be shown in pieces, and its sentences not be looked for."""
    for row in document_rows():
        assert row.happens.endswith("."), row.fault
        assert row.tests, row.fault
