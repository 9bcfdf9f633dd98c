"""What a start finds of ends that nobody wanted: rings in memory, a black box on disk; and whose end it was.

    black box says   boot          rings     it is
    armed            another one   –         the machine went down: MACHINE_DIED
    armed            this one      there     the daemon was killed; the rings have more of it: RECORDER_DIED
    armed, ended     this one      gone      the daemon was killed, and a container's memory went with it
    ended            another one   –         the daemon had been killed before the machine was shut down
    calm, closed     any           –         nothing: the rings tell, if there are any

A reboot is no death: the daemon is stopped in it, and closes the box before it does anything else.
Suspending and waking up is none either, for the boot stays the same. What looks like a death and is none is a
daemon that is killed while memory is in danger, is not started again, and has its machine shut down in good
order later: hence the note that a sampler leaves whose service is gone (`Places.epitaph`).

One death, one incident: where rings and box tell of the same one, that counts which reaches further.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from memwatchd.errors import FormatError, NotFoundError
from memwatchd.incidents.blackbox import BoxState, ExtentKind, Status
from memwatchd.incidents.boxreader import Box, read_box, read_status
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorder import MACHINE_DIED, RECORDER_DIED, Segments, Trigger, Whole
from memwatchd.places import Places
from memwatchd.ring.writer import Clocks
from memwatchd.roots import Roots
from memwatchd.service.facts import host_facts, program_facts
from memwatchd.service.remains import Remains, describe_remains, find_remains, forget_remains, recorded_kills

_RINGS = {BlockType.EVENTS: ExtentKind.EVENTS, BlockType.SAMPLES: ExtentKind.SAMPLES}


@dataclass(frozen=True, slots=True)
class Past:
    """What was found.

    Attributes:
        remains: Rings of a run that did not end in good order.
        box: What the black box says, where that is worth telling.
        boot_id: Of the present boot.
        notes: Sentences for the journal.
    """

    places: Places
    remains: Remains | None
    box: Status | None
    boot_id: bytes
    notes: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether there is anything to save."""
        return self.remains is not None or self.box is not None

    def forget(self) -> None:
        """All of it is saved; the box is overwritten by who takes it."""
        forget_remains(self.places)


def find_past(places: Places, boot_id: bytes) -> Past:
    """Look for what a previous run has left, and put its rings aside; of the box only two pages are read."""
    remains = find_remains(places)
    try:
        status = read_status(places.black_box)
    except NotFoundError:
        status = None
    except FormatError as error:
        return Past(places, remains, None, boot_id, (f"{error}: it is made anew",))
    if status is None:
        return Past(places, remains, None, boot_id)
    if status.state is BoxState.ARMED and _is_only_the_daemons(places, status):
        status = replace(status, state=BoxState.ENDED)
    same_boot = status.boot_id == boot_id
    if status.state is BoxState.CALM and not same_boot:
        note = "the last run was not stopped; memory was in no danger then, and nothing is left of its end"
        return Past(places, remains, None, boot_id, (note,))
    tells = status.state in (BoxState.ARMED, BoxState.ENDED) and not (same_boot and remains is not None)
    return Past(places, remains, status if tells else None, boot_id)


def describe_past(past: Past, roots: Roots, before_ns: int, now: Clocks) -> Iterator[Whole]:
    """Put together an incident for each death; reads the whole box, which takes a moment.

    Args:
        past: What was found.
        roots: Where the kernel's file systems are.
        before_ns: How much of the past goes into an incident.
        now: The three clocks.
    """
    remains, box = past.remains, _read(past)
    last = box.last() if box is not None else None
    if remains is not None:
        same_death = box is not None and remains.samples.header.boot_id == box.status.boot_id
        if same_death and last is not None and last.monotonic_ns > remains.last_ns:
            remains = None
        elif same_death:
            box = None
    if remains is not None:
        whole = describe_remains(remains, roots, past.boot_id, before_ns)
        if whole.trigger.kind == MACHINE_DIED:
            whole.facts["death"] = _death(whole.trigger.moment, now)
        yield whole
    if box is not None and last is not None:
        yield _describe_box(box, last, past.boot_id, roots, before_ns, now)


def _is_only_the_daemons(places: Places, status: Status) -> bool:
    try:
        return places.epitaph.read_text() == status.boot_id.hex()
    except (OSError, ValueError):
        return False


def _read(past: Past) -> Box | None:
    if past.box is None:
        return None
    try:
        box = read_box(past.places.black_box)
    except (NotFoundError, FormatError):
        return None  # it was there a moment ago: the disk is failing
    box.status = past.box
    return box


def _describe_box(box: Box, last: Clocks, boot_id: bytes, roots: Roots, before_ns: int, now: Clocks) -> Whole:
    """Put together an incident of what is in a box."""
    from_ns = last.monotonic_ns - before_ns
    status, told = box.status, box.facts()
    segments: Segments = {kind: partial(box.segments, of, from_ns) for kind, of in _RINGS.items()}
    texts = told.pop("texts", None)
    facts = {
        # Of the boot that is over, as far as they were written down.
        "program": program_facts(),
        "host": host_facts(roots),
        **told,
        **recorded_kills(segments, from_ns, last.monotonic_ns),
        "window": {"from_ns": from_ns, "to_ns": last.monotonic_ns},
    }
    kind, what = RECORDER_DIED, "the recorder was killed"
    if status.state is BoxState.ARMED and status.boot_id != boot_id:
        kind, what = MACHINE_DIED, "the machine went down"
        facts["death"] = _death(last, now) | _box_facts(box, from_ns)
    trigger = Trigger(kind, f"{what}; these are its last samples{_doubt(status)}", last)
    return Whole(trigger, status.boot_id, segments, facts, _texts(texts))


def _doubt(status: Status) -> str:
    return ", for the black box had written all it may write in a day" if status.spent else ""


def _death(last: Clocks, now: Clocks) -> dict[str, Any]:
    """What can be said about the time between the last sample and the next start.

    Both moments are this machine's wall clock, which may have been set meanwhile, and need not be right so
    early after a start.
    """
    next_start_ns = now.realtime_ns - now.boottime_ns
    gap_ns = next_start_ns - last.realtime_ns
    return {
        "last_realtime_ns": last.realtime_ns,
        "next_start_realtime_ns": next_start_ns,
        "unrecorded_ns_at_most": gap_ns if gap_ns >= 0 else None,
    }


def _box_facts(box: Box, from_ns: int) -> dict[str, Any]:
    return {
        "every_ns": box.status.every_ns,
        "longest_write_ns": box.longest_write_ns(from_ns),
        "extents": box.extents,
        "missing_extents": box.missing,
        "damaged_extents": box.damaged,
        "wrapped": box.wrapped,
        "spent": box.status.spent,
    }


def _texts(texts: Any) -> dict[str, bytes]:
    named = texts.items() if isinstance(texts, dict) else ()
    return {str(name): text.encode() for name, text in named if isinstance(text, str)}
