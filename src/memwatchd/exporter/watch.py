"""What the exporter remembers of the samples: the last minutes of a few signals, at full rate.

About 20 µs a sample besides decoding it; a text that did not change is not read again. Everything has a fixed
size, however long it runs and whatever the machine has: at most `_MOST_ZONES` zones and `TOP_CACHES` caches
are followed.
"""

from array import array
from collections import deque
from collections.abc import Callable
from math import inf, isnan, nan

from memwatchd.errors import ParseError
from memwatchd.exporter.extremes import Track
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.ring.stream import Moment
from memwatchd.rules.windows import TimeTo
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader
from memwatchd.signals.replay import HeldText, Replay

TOP_CACHES = 5
GROWTH_NS = 300_000_000_000
FRAGMENTATION_ORDERS = (3, 9)
_MOST_ZONES = 64
_MIN_GROWTH_BYTES = 1 << 20
_SLAB_STEP_NS = 30_000_000_000
_TREND_NS = 10_000_000_000
_SHARE_NS = 1_000_000_000
_SHARE_STEP_NS = 100_000_000

# Name and signal of what is followed besides zones and stalls.
_PLAIN = {"available": "meminfo.MemAvailable", "free": "meminfo.MemFree", "swap_free": "meminfo.SwapFree"}
STALLS = ("some", "full")


class Share:
    """What share of the last second a growing count of seconds has grown by."""

    __slots__ = ("_points",)

    def __init__(self) -> None:
        self._points: deque[tuple[int, float]] = deque(maxlen=_SHARE_NS // _SHARE_STEP_NS + 1)

    def __call__(self, now_ns: int, seconds: float) -> float:
        """Take in the newest count; NaN until some of it has been seen."""
        points = self._points
        if points and (seconds < points[-1][1] or now_ns - points[-1][0] > 2 * _SHARE_NS):
            points.clear()
        share = nan
        if points and now_ns > points[0][0] + _SHARE_NS // 2:
            share = min(1.0, (seconds - points[0][1]) * 1e9 / (now_ns - points[0][0]))
        if not points or now_ns - points[-1][0] >= _SHARE_STEP_NS:
            points.append((now_ns, seconds))
        return share


def _as_it_is(_now_ns: int, value: float) -> float:
    return value


class _Feed:
    """A track and where its values come from."""

    __slots__ = ("_derive", "_read", "_seen", "_text", "_value", "track")

    def __init__(
        self, read: Reader, text: HeldText | None, track: Track, derive: Callable[[int, float], float]
    ) -> None:
        self.track = track
        self._read, self._text, self._derive = read, text, derive
        self._seen: bytes | None = None
        self._value = nan

    def take(self, now_ns: int) -> None:
        text = self._text
        if text is None:
            return
        if text.buffer is not self._seen:
            self._seen, self._value = text.buffer, self._read()
        self.track.add(now_ns, self._derive(now_ns, self._value))


class Watch:
    """The last minutes.

    Args:
        page_size: Of this machine, in bytes.

    Attributes:
        tracks: By name: available, free, swap_free, some, full, lag, time_left.
        zones: Free pages above the min watermark, in bytes, by node and zone.
        newest_ns: Monotonic time of the newest sample; None before the first.
        samples: How many were taken in.
    """

    def __init__(self, page_size: int) -> None:
        self._page_size = page_size
        self._replay = Replay(page_size)
        self.tracks = {name: Track() for name in (*_PLAIN, *STALLS, "lag", "time_left")}
        self.zones: dict[tuple[str, str], Track] = {}
        self.newest_ns: int | None = None
        self.samples = 0
        self._feeds: list[_Feed] = []
        self._shares = {kind: Share() for kind in STALLS}
        self._time_left = TimeTo(_TREND_NS)
        self._zones_known = False
        # Time, names and bytes; compact, for there are hundreds of caches, and the names hardly ever change.
        self._slabs: deque[tuple[int, tuple[str, ...], array[int]]] = deque()

    def take(self, moment: Moment) -> None:
        """Take in one sample, the oldest first."""
        if self._replay.take(moment) or not self._feeds or not self._zones_known:
            self._bind()
        now_ns = moment.sample.monotonic_ns
        self.newest_ns = now_ns
        self.samples += 1
        for feed in self._feeds:
            feed.take(now_ns)
        tracks = self.tracks
        tracks["lag"].add(now_ns, moment.sample.lag_ns * 1e-9)
        tracks["time_left"].add(now_ns, self._time_left(now_ns, tracks["available"].last, 0.0))
        if not self._slabs or now_ns - self._slabs[-1][0] >= _SLAB_STEP_NS:
            self._keep_slabs(now_ns)

    def _keep_slabs(self, now_ns: int) -> None:
        sizes = self._slab_sizes()
        while self._slabs and now_ns - self._slabs[0][0] > GROWTH_NS + _SLAB_STEP_NS:
            self._slabs.popleft()
        if sizes:
            names = tuple(sizes)
            if self._slabs and self._slabs[-1][1] == names:
                names = self._slabs[-1][1]
            self._slabs.append((now_ns, names, array("q", sizes.values())))

    def read(self, signal: str) -> float:
        """A signal's present value; NaN while it is not there."""
        return find_signal(signal).bind(self._replay.recording)()

    def growing_caches(self) -> list[tuple[str, int, int]]:
        """Name, bytes and growth in bytes of the `TOP_CACHES` caches that grew most within `GROWTH_NS`."""
        if not self._slabs:
            return []
        before = dict(zip(*self._slabs[0][1:], strict=True))
        now = self._slab_sizes()
        grown = [(name, size, size - before.get(name, 0)) for name, size in now.items()]
        grown = [each for each in grown if each[2] >= _MIN_GROWTH_BYTES]
        return sorted(grown, key=lambda each: each[2], reverse=True)[:TOP_CACHES]

    # ---- where the values come from

    def _bind(self) -> None:
        recording = self._replay.recording
        feeds = [self._feed(signal, self.tracks[name]) for name, signal in _PLAIN.items()]
        feeds += [self._feed(f"pressure.{kind}", self.tracks[kind], self._shares[kind]) for kind in STALLS]
        for node, zone in self._zone_names():
            track = self.zones.setdefault((node, zone), Track())
            feeds.append(self._feed(join_name(("zone", node, zone, "headroom")), track))
        # Until zoneinfo was read, which is not in every sample.
        self._zones_known = bool(self.zones) or "zoneinfo" not in recording.texts
        self._feeds = feeds

    def _feed(self, name: str, track: Track, derive: Callable[[int, float], float] = _as_it_is) -> _Feed:
        signal = find_signal(name)
        recording = self._replay.recording
        text = recording.texts.get(signal.sources[0])
        assert text is None or isinstance(text, HeldText)
        return _Feed(signal.bind(recording), text, track, derive)

    def _zone_names(self) -> list[tuple[str, str]]:
        text = self._text("zoneinfo")
        if text is None:
            return []
        try:
            zones = parse_zoneinfo(text).zones
        except ParseError:
            return []
        return [(str(zone.node), zone.name) for zone in zones if zone.present_pages][:_MOST_ZONES]

    def _slab_sizes(self) -> dict[str, int]:
        text = self._text("slabinfo")
        if text is None:
            return {}
        try:
            caches = parse_slabinfo(text).caches
        except ParseError:
            return {}
        return {cache.name: cache.size_bytes(self._page_size) for cache in caches}

    def _text(self, source: str) -> bytes | None:
        text = self._replay.recording.texts.get(source)
        return bytes(text.buffer[: text.size]) if text is not None and text.size >= 0 else None


def known(value: float) -> bool:
    """Whether it is a number; there is no end to the time left where nothing is eaten."""
    return not isnan(value) and value != -inf
