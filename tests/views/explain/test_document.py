"""An explained event as JSON, and its schema."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.views.explain.events import HOSTILE, limit_met, unaccounted

from memwatchd.config.load import SHIPPED_CONFIG
from memwatchd.diagnosis.case import _AMOUNT_PARTS, _PAGE_PARTS, Case
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import MEMORY_INFO, Event
from memwatchd.views.explain.digest import Document
from memwatchd.views.explain.document import AMOUNTS, PAGE_FIGURES, SCHEMA, document
from memwatchd.views.explain.schema import json_schema, schema_text


def closed(schema: Any) -> Any:
    """The same schema, but with no other keys than those that it names."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if "required" in found:
        found["additionalProperties"] = False
    return found


CLOSED = Draft202012Validator(closed(json_schema()))

NOTHING = Diagnosis(Case(Event(MEMORY_INFO)), limit_met().findings, ())


def printed(*diagnoses: Diagnosis) -> str:
    paper = Document()
    pieces = list(paper.begin())
    for number, diagnosis in enumerate(diagnoses, 1):
        pieces += paper.take(number, "kern.log", diagnosis)
    return "".join([*pieces, *paper.end()])


def test_it_is_a_schema() -> None:
    """Whoever checks the output would get an error of his own."""
    Draft202012Validator.check_schema(json_schema())


def test_the_shipped_schema_is_the_present_one() -> None:
    """Scripts would be checked by an old one; memwatchd explain --schema prints the present one."""
    assert (SHIPPED_CONFIG.parent / "explain.schema.json").read_text() == schema_text()


@pytest.mark.parametrize(
    "diagnoses",
    [(), (unaccounted(),), (limit_met(), unaccounted(), limit_met(HOSTILE)), (NOTHING,)],
)
def test_what_is_printed_meets_the_schema(diagnoses: tuple[Diagnosis, ...]) -> None:
    """Scripts would break, or a key would be printed that stands nowhere."""
    found = json.loads(printed(*diagnoses))
    assert found["schema"] == SCHEMA
    assert len(found["events"]) == len(diagnoses)
    CLOSED.validate(found)


def test_the_schema_is_not_empty() -> None:
    """A schema that lets everything through would let every mistake through."""
    found = document(1, "x", unaccounted())
    for broken in ({**found, "kind": "other"}, {**found, "new": 1}, {k: found[k] for k in list(found)[1:]}):
        assert not CLOSED.is_valid({"schema": SCHEMA, "events": [broken]})


def test_no_events_are_an_empty_list() -> None:
    """A script would take a quiet night for a broken program."""
    assert json.loads(printed()) == {"schema": "memwatchd.explain/1", "events": []}


def test_what_an_event_says() -> None:
    """Figures would be lost, or change their unit, on the way to a script."""
    found = document(3, "kern.log", unaccounted())
    assert {
        key: found[key] for key in ("number", "input", "kind", "scope", "complete", "lines", "kernel")
    } == {
        "number": 3,
        "input": "kern.log",
        "kind": "oom_kill",
        "scope": "global",
        "complete": False,
        "lines": [12, 96],
        "kernel": "4.4.0-generic",
    }
    assert found["trigger"]["gfp_mask"] == "0x24200ca"
    assert found["trigger"]["gfp_flags"] == ["GFP_HIGHUSER_MOVABLE"]
    assert found["memcg"] is None
    (zone,) = found["zones"]
    assert (zone["free_kb"], zone["managed_kb"], zone["present_kb"]) == (7892, 1015460, None)
    assert (zone["free_blocks"], zone["lowmem_reserve_pages"]) == ({"0": 1973, "1": 0}, [0, 0])
    memory = found["memory"]
    assert (memory["page_kb"], memory["ram_pages"], memory["swap_total_kb"]) == (4, 262014, 3334140)
    assert (memory["slab_reclaimable_kb"], memory["pagetables_kb"]) == (7192, None)
    assert memory["unaccounted_kb"] == 1015460 - 7892 - 60 - 72 - 7192 - 14696
    assert [finding["primary"] for finding in found["findings"]] == [True, False]
    assert found["findings"][0]["evidence"][1] == {"line": 52, "text": "Free swap  = 3118172kB"}
    assert found["findings"][0]["advice"][0] == "Now: Have the host give memory back: `virsh setmem VM 2G`."
    assert found["findings"][0]["figures"] == {"unaccounted_kb": 984000, "share": 0.97, "rate": None}


def test_what_is_not_known_is_null() -> None:
    """A lost head would be taken for a request of zero pages by nobody."""
    found = document(1, "x", NOTHING)
    known = {key: value for key, value in found["trigger"].items() if value is not None}
    assert known == {"gfp_flags": [], "flags_printed": False}
    assert {found["memory"][key] for key in ("page_kb", "ram_pages", "unaccounted_kb", "anon_kb")} == {None}
    assert [found[key] for key in ("kills", "zones", "tasks", "unparsed")] == [[], [], [], []]


def test_every_part_of_memory_has_its_key() -> None:
    """The parts that a script adds up would not be all of memory."""
    assert {part for part in _PAGE_PARTS if part != "slab"} <= set(PAGE_FIGURES)
    assert set(_AMOUNT_PARTS) == set(AMOUNTS)


def test_names_that_are_no_text_are_text() -> None:
    """The output would not be UTF-8, and whole reports could not be read because of one name."""
    raw = printed(limit_met(HOSTILE)).encode()
    (event,) = json.loads(raw.decode("utf-8"))["events"]
    assert event["kills"][0]["comm"] == HOSTILE
