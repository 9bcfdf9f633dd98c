"""An incident without strangers' names, as a file of its own.

::

    incident → names (first pass) → meta, segments, texts with stand-ins (second pass) → beside → renamed

The kernel's backlog is the only text that is kept; the configuration holds too much of a site's own words.
"""

from pathlib import Path

from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.kernel_log import BACKLOG
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.writer import IncidentWriter, sync_directory
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
    header = incident.header
    fresh = IncidentHeader(hashed_id(header.incident_id), hashed_id(header.boot_id), header.realtime_ns)
    beside = out.with_name(f".{out.name}.new")
    beside.unlink(missing_ok=True)
    writer = IncidentWriter(beside, fresh)
    try:
        _write(incident, writer, names)
        beside.rename(out)
        sync_directory(out.parent)
    except BaseException:
        writer.close()
        beside.unlink(missing_ok=True)
        raise


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


def _write(incident: Incident, writer: IncidentWriter, names: Names) -> None:
    writer.add_meta(MetaScrubber(names).scrub(incident.meta))
    segments = SegmentScrubber(names)
    for kind in _STREAMS:
        writer.add_segments(kind, map(segments.scrub, incident.segments(kind)))
    texts = incident.texts()
    if BACKLOG in texts:
        writer.add_text(0, BACKLOG, LogScrubber(names).scrub_backlog(texts[BACKLOG]))
    names.dropped["text"] += sum(name != BACKLOG for name in texts)
    if incident.complete:
        writer.finish()
    else:
        writer.sync()
        writer.close()
