"""What a tick adds to the board, gathered in plain lists and put there four times a second.

A store into shared memory by way of a memoryview is dearer than one into a list, and after 5 ms of sleep
every line of cache has to be fetched anew: about 6 µs a tick, found with ``make bench`` before and after.
"""

from memwatchd.ring.board import HISTOGRAM_BUCKETS, LAG_AT, READ_AT, Slot, bucket_of

_HEARTBEAT, _TICKS, _NUMBER = int(Slot.HEARTBEAT_NS), int(Slot.TICKS), int(Slot.NUMBER)


class Tally:
    """Counts for a board."""

    def __init__(self, board: memoryview) -> None:
        self._board = board
        self._ticks: int = board[_TICKS]
        self._lags = [0] * HISTOGRAM_BUCKETS
        self._reads = [0] * HISTOGRAM_BUCKETS
        self._worst_lag_ns: int = board[Slot.LAG_MAX_NS]
        self._worst_read_ns: int = board[Slot.READ_MAX_NS]
        self._armed_ticks = 0

    def tick(self, number: int, woke_ns: int, lag_ns: int, read_ns: int, armed: bool) -> None:
        """Count one tick; heartbeat, its number and how many there were are on the board at once."""
        board = self._board
        board[_HEARTBEAT] = woke_ns
        self._ticks += 1
        board[_TICKS] = self._ticks
        board[_NUMBER] = number
        self._lags[bucket_of(lag_ns)] += 1
        self._reads[bucket_of(read_ns)] += 1
        if lag_ns > self._worst_lag_ns:
            self._worst_lag_ns = board[Slot.LAG_MAX_NS] = lag_ns
        if read_ns > self._worst_read_ns:
            self._worst_read_ns = board[Slot.READ_MAX_NS] = read_ns
        if armed:
            self._armed_ticks += 1

    def show(self) -> None:
        """Put what was gathered onto the board."""
        board = self._board
        board[Slot.ARMED_TICKS] += self._armed_ticks
        self._armed_ticks = 0
        for at, counts in ((LAG_AT, self._lags), (READ_AT, self._reads)):
            for bucket, count in enumerate(counts):
                if count:
                    board[at + bucket] += count
                    counts[bucket] = 0
