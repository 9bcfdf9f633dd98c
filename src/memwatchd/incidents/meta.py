"""What an incident's meta block says, and making sure of it: a forged file may hold anything in any place.

id, boot_id      hex
complete         whether the aftermath is in
trigger          kind, detail, monotonic_ns, boottime_ns, realtime_ns
window           from_ns, to_ns: the span the facts are about, on the monotonic clock
kills[]          monotonic_ns and what `memwatchd.oomreport.kills.Kill` holds
counters         by source: how far its oom_kill rose
disagreements[]  sentences
host, program    what machine it was, what wrote this
sampling         rate_hz and the sampler's other figures, see `memwatchd.service.facts`
kmsg             readable, lost
degraded[]       sentences
death            of a machine: last_realtime_ns of the last sample, next_start_realtime_ns by this
                 machine's clock, unrecorded_ns_at_most between them; of its black box every_ns,
                 longest_write_ns, extents, missing_extents, damaged_extents, wrapped, spent
"""

from typing import Any

_LARGEST = 2**63
_KILL = {
    "monotonic_ns": int,
    "pid": int,
    "comm": str,
    "scope": str,
    "limit_cgroup": str,
    "task_cgroup": str,
    "amounts_kib": {"": int},
    "sequence": int,
    "timestamp_usec": int,
}
# A type stands for a value of it or null; the key "" for any other key.
_SHAPE = {
    "id": str,
    "boot_id": str,
    "complete": bool,
    "trigger": {"kind": str, "detail": str, "monotonic_ns": int, "boottime_ns": int, "realtime_ns": int},
    "window": {"from_ns": int, "to_ns": int},
    "kills": [_KILL],
    "counters": {"": int},
    "disagreements": [str],
    "host": {"page_size": int, "": object},
    "program": {"": object},
    "sampling": {"rate_hz": float, "": object},
    "kmsg": {"": object},
    "degraded": [str],
    "death": {
        "last_realtime_ns": int,
        "next_start_realtime_ns": int,
        "unrecorded_ns_at_most": int,
        "every_ns": int,
        "longest_write_ns": int,
        "extents": int,
        "missing_extents": int,
        "damaged_extents": int,
        "wrapped": bool,
        "spent": bool,
    },
}


def fit_meta(meta: Any) -> dict[str, Any]:
    """Bring a meta block into its shape: what does not fit is left out, what is missing is empty or null."""
    fitted: dict[str, Any] = _fit(meta, _SHAPE)
    fitted["kills"] = [kill for kill in fitted["kills"] if kill["monotonic_ns"] is not None]
    for kill in fitted["kills"]:
        kill["comm"] = kill["comm"] or "?"
    return fitted


def _fit(value: Any, shape: Any) -> Any:
    if isinstance(shape, dict):
        given = value if isinstance(value, dict) else {}
        named = {key: _fit(given.get(key), kind) for key, kind in shape.items() if key}
        if "" not in shape:
            return named
        others = {key: _fit(each, shape[""]) for key, each in given.items() if key not in shape}
        return named | {key: each for key, each in others.items() if each is not None}
    if isinstance(shape, list):
        items = (_fit(item, shape[0]) for item in (value if isinstance(value, list) else []))
        return [item for item in items if item is not None]
    return value if _fits(value, shape) else None


def _fits(value: Any, kind: type[Any]) -> bool:
    if kind is object:
        return True
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LARGEST
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST
    return isinstance(value, kind)
