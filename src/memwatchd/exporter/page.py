"""The live page: the machine's memory at a glance, the last minute at full rate, rules, the last incidents.

Made here as a whole, without scripts, so that its Content-Security-Policy can forbid everything but styles;
the browser asks anew every few seconds by itself. Everything that is not written here is escaped: names of
rules and slab caches, of zones and files are other people's words.
"""

import socket
from collections.abc import Iterator
from html import escape
from math import isnan
from typing import Any

from memwatchd.exporter.extremes import FINE_BINS, Track
from memwatchd.exporter.metric import View
from memwatchd.exporter.svg import draw
from memwatchd.views.text import format_bytes, printable

REFRESH_S = 5
_MOST_RULES = 256
_MIN_STALL = 0.1
_HOUR_S = 3600
_MIN_LAG_S = 0.001

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:62rem;padding:0
1rem;color:#1b1f24;background:#fff} h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:1.6rem 0 .4rem}
.mood{color:#57606a}.bad{color:#b42318;font-weight:600}.good{color:#1a7f37}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));gap:1rem}
figure{margin:0;position:relative}figcaption{display:flex;justify-content:space-between}
svg{width:100%;height:72px;display:block}.band{fill:#2f6feb;stroke:#2f6feb;stroke-width:1}
.frame{stroke:#d0d7de;fill:none}
.scale{position:absolute;right:0;top:1.5rem;height:72px;display:flex;flex-direction:column;
justify-content:space-between;font-size:11px;color:#57606a;background:rgba(255,255,255,.6)}
table{border-collapse:collapse}td,th{text-align:left;padding:.15rem 1.2rem .15rem 0;font-weight:400}
th{color:#57606a}.number{text-align:right}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}.scale{background:rgba(13,17,23,.6)}}
"""


def render(view: View) -> bytes:
    """Make the page."""
    return "".join(_parts(view)).encode()


def safe(text: Any) -> str:
    """A stranger's words as they can stand in a page: without control characters, escaped."""
    return escape(printable(str(text)), quote=True)


def _parts(view: View) -> Iterator[str]:
    name = safe(socket.gethostname())
    yield (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{name}: memory</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="refresh" content="{REFRESH_S}">'
        f"<style>{_STYLE}</style></head><body><h1>{name}</h1>"
    )
    yield _mood(view)
    yield "<h2>Now</h2>" + _table(_now(view))
    yield '<h2>The last minute, every sample</h2><div class="grid">' + "".join(_pictures(view)) + "</div>"
    caches = view.watch.growing_caches()
    if caches:
        rows = [(safe(cache), _bytes(size), f"+{_bytes(growth)}") for cache, size, growth in caches]
        yield "<h2>Kernel caches that grew in the last five minutes</h2>" + _table(rows)
    yield "<h2>Rules</h2>" + _rules(view)
    yield "<h2>Incidents</h2>" + _incidents(view)
    yield '<p class="mood"><a href="/metrics">Metrics</a> for Prometheus</p></body></html>'


def _mood(view: View) -> str:
    program = view.say("program") or {}
    version = safe(program.get("version", ""))
    if not view.alive:
        return f'<p class="bad">memwatchd {version} does not sample</p>'
    armed = (
        '<span class="bad">memory is in danger</span>' if _armed(view) else '<span class="good">calm</span>'
    )
    rate_hz = view.say("sampling", "rate_hz") or 0
    parts = [f"memwatchd {version}", armed, f"{rate_hz:g} samples a second"]
    text = f'<p class="mood">{", ".join(parts)}</p>'
    for sentence in view.say("degraded") or ():
        text += f'<p class="bad">degraded: {safe(sentence)}</p>'
    return text


def _armed(view: View) -> bool:
    return bool(view.say("sampling", "armed"))


def _now(view: View) -> Iterator[tuple[str, str]]:
    total, swap = view.watch.read("meminfo.MemTotal"), view.watch.read("meminfo.SwapTotal")
    tracks = view.watch.tracks
    yield "available", _of(tracks["available"].last, total)
    yield "free", _of(tracks["free"].last, total)
    yield "swap free", _of(tracks["swap_free"].last, swap) if swap else "no swap"
    yield "in no list of the kernel", _bytes(view.watch.read("unaccounted"))
    left_s = tracks["time_left"].last
    yield "time left at this trend", f"{left_s:.0f} s" if left_s < _HOUR_S else "–"
    kills = view.say("kills")
    if isinstance(kills, dict):
        yield "killed since the start", ", ".join(f"{count} {safe(scope)}" for scope, count in kills.items())


def _pictures(view: View) -> Iterator[str]:
    total, swap = view.watch.read("meminfo.MemTotal"), view.watch.read("meminfo.SwapTotal")
    tracks = view.watch.tracks
    yield _picture(view, "available", tracks["available"], 0.0, total, _bytes)
    yield _picture(view, "free", tracks["free"], 0.0, total, _bytes)
    if swap:
        yield _picture(view, "swap free", tracks["swap_free"], 0.0, swap, _bytes)
    # The tightest zones first; a large machine has dozens.
    zones = sorted(view.watch.zones.items(), key=lambda each: (isnan(each[1].last), each[1].last))
    for (node, zone), track in zones[:3]:
        title = f"zone {safe(zone)} of node {safe(node)}, above its watermark"
        yield _picture(view, title, track, 0.0, 0.0, _bytes)
    yield _picture(view, "share of a second stalled", tracks["some"], 0.0, _MIN_STALL, _percent)
    yield _picture(view, "lateness of a sample", tracks["lag"], 0.0, _MIN_LAG_S, _millis)


def _picture(view: View, title: str, track: Track, low: float, high: float, label: Any) -> str:
    band = track.fine.newest(view.now_ns, FINE_BINS)
    known = [pair for pair in band if not isnan(pair[0])]
    if not known:
        return f"<figure><figcaption><span>{title}</span><span>–</span></figcaption></figure>"
    low = min(low, *(pair[0] for pair in known))
    high = max(0.0 if isnan(high) else high, *(pair[1] for pair in known))
    picture = draw(band, low, high if high > low else low + 1, label)
    last = label(track.last) if not isnan(track.last) else "–"
    return f"<figure><figcaption><span>{title}</span><span>{last}</span></figcaption>{picture}</figure>"


def _rules(view: View) -> str:
    rules = view.say("rules")
    if not isinstance(rules, list):
        return '<p class="mood">the service does not say</p>'
    if not rules:
        return '<p class="mood">none</p>'
    rows = [_rule(rule) for rule in rules[:_MOST_RULES]]
    return _table([("rule", "state", "fired", "done"), *rows], head=True)


def _rule(rule: dict[str, Any]) -> tuple[str, ...]:
    state = '<span class="bad">active</span>' if rule.get("active") else "at rest"
    if rule.get("dry_run"):
        state += ", says only"
    done = (f"{safe(each['action'])} {safe(each['verdict'])} {each['count']} ×" for each in rule["outcomes"])
    return safe(rule["name"]), state, f"{rule['fired']} ×", ", ".join(done)


def _incidents(view: View) -> str:
    recent = view.say("incidents", "recent")
    if not recent:
        return '<p class="mood">none</p>'
    rows = []
    for name in reversed(recent):
        moment, _, kind = str(name).removesuffix(".mwi").partition("-")
        rows.append((safe(_moment(moment)), safe(kind.replace("_", " ")), f"<code>{safe(name)}</code>"))
    return _table(rows)


def _moment(text: str) -> str:
    """20261121T082359.123Z, as people write it."""
    if len(text) < len("20261121T082359"):
        return text
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[9:11]}:{text[11:13]}:{text[13:15]} UTC"


def _table(rows: Any, *, head: bool = False) -> str:
    """Rows of cells that are safe already."""
    lines = []
    for number, row in enumerate(rows):
        tag = "th" if head and not number else "td"
        lines.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>")
    return "<table>" + "".join(lines) + "</table>"


def _of(part: float, total: float) -> str:
    if isnan(part):
        return "–"
    return f"{_bytes(part)} of {_bytes(total)}" if total > 0 else _bytes(part)


def _bytes(value: float) -> str:
    if isnan(value):
        return "–"
    return f"-{format_bytes(-value)}" if value < 0 else format_bytes(value)


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _millis(value: float) -> str:
    return f"{value * 1000:.2g} ms"
