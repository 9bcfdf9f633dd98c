"""An incident without strangers' names, as a file of its own.

::

    incident → names (first pass) → meta, segments, texts with stand-ins (second pass) → beside → renamed

The kernel's backlog is the only text that is kept; the configuration holds too much of a site's own words.
"""

from pathlib import Path

from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.kernel_log import BACKLOG
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.rewrite import Contents, write_incident
from memwatchd.scrub.log import LogScrubber
from memwatchd.scrub.meta import MetaScrubber
from memwatchd.scrub.names import Names, hashed_id
from memwatchd.scrub.segments import SegmentScrubber

# Names are first met where they are named as such; sentences come last.
_STREAMS = (BlockType.EVENTS, BlockType.SAMPLES)


def scrub_incident(incident: Incident, out: Path, names: Names) -> None:
    """Write an incident without names; until it is whole it stands beside `out`.

    Args:
        incident: The open one.
        out: Path of the new file; one that is there is replaced.
        names: The stand-ins; those of this incident are added.

    Raises:
        OSError: It cannot be read or written.
        MemwatchdError: It is larger than an incident can be.
    """
    _learn(incident, names)
    write_incident(out, _scrubbed(incident, names))


def _learn(incident: Incident, names: Names) -> None:
    """Get to know all names: one that is met late may stand in an early sentence."""
    segments, log = SegmentScrubber(names), LogScrubber(names)
    MetaScrubber(names).scrub(incident.meta)
    for kind in _STREAMS:
        for segment in incident.segments(kind):
            for _ in segments.records(segment):
                pass
    log.scrub_backlog(incident.texts().get(BACKLOG, b""))
    names.dropped.clear()


def _scrubbed(incident: Incident, names: Names) -> Contents:
    header, texts = incident.header, incident.texts()
    segments = SegmentScrubber(names)
    kept = {BACKLOG: LogScrubber(names).scrub_backlog(texts[BACKLOG])} if BACKLOG in texts else {}
    names.dropped["text"] += len(texts) - len(kept)
    return Contents(
        header=IncidentHeader(hashed_id(header.incident_id), hashed_id(header.boot_id), header.realtime_ns),
        meta=MetaScrubber(names).scrub(incident.meta),
        streams={kind: map(segments.scrub, incident.segments(kind)) for kind in _STREAMS},
        texts=kept,
        complete=incident.complete,
    )
