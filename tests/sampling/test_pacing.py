"""Which source is read on which tick."""

from dataclasses import dataclass

import pytest
from tests.sampling.conftest import Files

from memwatchd.ring.board import SLOTS, Slot, source_slot
from memwatchd.sampling.governor import SLOWEST_NS
from memwatchd.sampling.pacing import Budget, Pacing
from memwatchd.sampling.source import Source

RATE_HZ = 100
BUDGET = Budget(RATE_HZ, 0.05, 0.35)


@dataclass
class Processor:
    """How much of a processor this process has used, and when, by the test's word."""

    used_ns: int = 0
    now_ns: int = 10**15

    def process_time_ns(self) -> int:
        """As the function of `time`."""
        return self.used_ns


@pytest.fixture(autouse=True)
def processor(monkeypatch: pytest.MonkeyPatch) -> Processor:
    """What the test itself takes must not come off the budget."""
    found = Processor()
    monkeypatch.setattr("memwatchd.sampling.pacing.time.process_time_ns", found.process_time_ns)
    return found


def names(sources: list[Source]) -> list[str]:
    return [source.name for source in sources]


def read_for(pacing: Pacing, source: Source, *, cost_ns: int, ticks: int, start_ns: int) -> int:
    """Pretend that a source was read so often, at this cost; returns the time after the last tick."""
    now_ns = start_ns
    for _ in range(ticks):
        source.reads += 1
        source.cost_ns = cost_ns
        now_ns += pacing.period_ns
        pacing.decide(now_ns)
    return now_ns


def test_rates_the_user_fixed_are_kept(files: Files) -> None:
    """The administrator's word would count for less than the governor's."""
    sources = [
        (files.source(0, "vmstat"), None),
        (files.source(1, "meminfo"), 20.0),
        (files.source(2, "slabinfo"), 0.5),
        (files.source(3, "zoneinfo"), 100.0),
        (files.source(4, "buddyinfo"), 1000.0),
    ]
    pacing = Pacing(BUDGET, sources, ("slabinfo", "zoneinfo"))
    assert names(pacing.steady) == ["vmstat", "zoneinfo", "buddyinfo"]
    assert {source.name: source.interval for source in pacing.paced} == {"meminfo": 5, "slabinfo": 200}
    now_ns = read_for(pacing, sources[2][0], cost_ns=10**9, ticks=100, start_ns=10**12)
    pacing.arm(True)
    assert pacing.decide(now_ns + 10**9)
    assert {source.name: source.interval for source in pacing.paced} == {"meminfo": 5, "slabinfo": 200}


def test_a_dear_source_is_read_less_often_and_at_full_rate_when_armed(files: Files) -> None:
    """Slabinfo would eat the calm budget, or be sparse at the moment of danger."""
    slabinfo = files.source(0, "slabinfo")
    pacing = Pacing(BUDGET, [(slabinfo, None)], ("slabinfo",))
    # 5 % of 10 ms are 0.5 ms, 35 % are 3.5 ms.
    read_for(pacing, slabinfo, cost_ns=3_000_000, ticks=60, start_ns=10**15)
    calm = slabinfo.interval
    assert calm >= 6
    pacing.arm(True)
    assert (slabinfo.interval, slabinfo.due) == (1, 0)
    pacing.arm(False)
    assert slabinfo.interval == calm


def test_a_source_beyond_any_budget_is_still_read_once_a_second(files: Files) -> None:
    """It would be missing from an incident altogether."""
    slabinfo = files.source(0, "slabinfo")
    pacing = Pacing(BUDGET, [(slabinfo, None)], ("slabinfo",))
    read_for(pacing, slabinfo, cost_ns=10**10, ticks=60, start_ns=10**15)
    assert slabinfo.interval * pacing.period_ns == SLOWEST_NS


def test_one_slow_reading_does_not_change_the_rate(files: Files) -> None:
    """A preempted reading would make slabinfo rare for a while."""
    slabinfo = files.source(0, "slabinfo")
    pacing = Pacing(BUDGET, [(slabinfo, None)], ("slabinfo",))
    now_ns = read_for(pacing, slabinfo, cost_ns=1000, ticks=60, start_ns=10**15)
    assert slabinfo.interval == 1
    read_for(pacing, slabinfo, cost_ns=10**9, ticks=1, start_ns=now_ns)
    read_for(pacing, slabinfo, cost_ns=1000, ticks=60, start_ns=now_ns + pacing.period_ns)
    assert slabinfo.interval == 1


def test_a_new_interval_counts_from_the_last_reading(files: Files) -> None:
    """A source would be read twice in a row, or skipped for longer than either interval."""
    slabinfo = files.source(0, "slabinfo")
    pacing = Pacing(BUDGET, [(slabinfo, None)], ("slabinfo",))
    slabinfo.due = 1001  # read on tick 1000, with an interval of 1
    read_for(pacing, slabinfo, cost_ns=10**10, ticks=60, start_ns=10**15)
    assert slabinfo.due - slabinfo.interval == 1000


def test_a_decision_is_due_four_times_a_second(files: Files) -> None:
    """Deciding would cost more than it saves, or come too late."""
    pacing = Pacing(BUDGET, [(files.source(0, "vmstat"), None)], ())
    start_ns = 10**15
    decided = [step for step in range(100) if pacing.decide(start_ns + step * pacing.period_ns)]
    assert decided == [0, 25, 50, 75]


def test_sources_come_and_go(files: Files) -> None:
    """A watched process that ended would be read for ever."""
    vmstat, watched = files.source(0, "vmstat"), files.source(6, "process/1/status")
    pacing = Pacing(BUDGET, [(vmstat, None)], ())
    pacing.add(watched, 10.0)
    assert (names(pacing.steady), names(pacing.paced), watched.interval) == (
        ["vmstat"],
        ["process/1/status"],
        10,
    )
    pacing.remove(watched)
    pacing.remove(vmstat)
    assert (pacing.steady, pacing.paced) == ([], [])
    pacing.remove(vmstat)


def test_the_board_shows_rates_and_costs(files: Files) -> None:
    """Status and the metrics would show something else than what happens."""
    vmstat, slabinfo = files.source(0, "vmstat"), files.source(3, "slabinfo")
    pacing = Pacing(BUDGET, [(vmstat, None), (slabinfo, None)], ("slabinfo",))
    vmstat.reads, vmstat.errors = 70, 2
    read_for(pacing, slabinfo, cost_ns=10**10, ticks=60, start_ns=10**15)
    board = memoryview(bytearray(SLOTS * 8)).cast("Q")
    pacing.show(board)
    assert list(board[source_slot(0) : source_slot(1)]) == [70, 2, 1, 0]
    assert list(board[source_slot(3) : source_slot(4)]) == [60, 0, 100, 10**10]
    assert board[Slot.BUDGET_PPM] == 50_000
    pacing.arm(True)
    pacing.show(board)
    assert board[Slot.BUDGET_PPM] == 350_000


def tick_for(pacing: Pacing, processor: Processor, *, cost_ns: int, seconds: float = 3.0) -> None:
    """Pretend that ticks cost so much, dear sources left out."""
    until_ns = processor.now_ns + round(seconds * 1e9)
    while processor.now_ns < until_ns:
        processor.used_ns += cost_ns
        processor.now_ns += pacing.period_ns * pacing.stride
        pacing.decide(processor.now_ns)


@pytest.mark.parametrize(
    ("cost_ns", "calm", "armed"),
    [(1_000_000, 1, 1), (1_600_000, 2, 1), (4_000_000, 4, 2), (5_000_000, 4, 4), (10**8, 8, 8)],
    ids=["fast", "a little slow", "slow", "slower", "hopeless"],
)
def test_ticks_too_dear_for_the_processor_give_way(
    processor: Processor, cost_ns: int, calm: int, armed: int
) -> None:
    """On a slow machine the watchdog would take a processor for itself, and all others would starve."""
    # Calm, ticks may take 15 % of 10 ms, armed 21 %; and there are more than ten a second in any case.
    pacing = Pacing(BUDGET, [], ())
    tick_for(pacing, processor, cost_ns=cost_ns)
    found = [pacing.stride]
    pacing.arm(True)
    found.append(pacing.stride)
    assert found == [calm, armed]


def test_one_dear_moment_is_no_slow_processor(processor: Processor) -> None:
    """After each start and each hiccup there would be a quarter of a second with a fourth of the samples."""
    pacing = Pacing(BUDGET, [], ())
    tick_for(pacing, processor, cost_ns=5_000_000, seconds=0.25)
    assert pacing.stride == 1
    tick_for(pacing, processor, cost_ns=100_000, seconds=1)
    assert pacing.stride == 1


def test_a_stride_does_not_come_and_go(processor: Processor) -> None:
    """A cost at the bound would change the rate four times a second."""
    pacing = Pacing(BUDGET, [], ())
    tick_for(pacing, processor, cost_ns=1_600_000)
    tick_for(pacing, processor, cost_ns=1_450_000)
    assert pacing.stride == 2
    tick_for(pacing, processor, cost_ns=1_000_000)
    assert pacing.stride == 1


def test_a_dear_source_keeps_its_rate_at_a_stride(files: Files, processor: Processor) -> None:
    """What is read every other second would be read every fourth."""
    slabinfo = files.source(0, "slabinfo")
    pacing = Pacing(BUDGET, [(slabinfo, None)], ("slabinfo",))
    processor.now_ns = read_for(pacing, slabinfo, cost_ns=10**10, ticks=60, start_ns=processor.now_ns)
    tick_for(pacing, processor, cost_ns=10**8)
    assert (pacing.stride, slabinfo.interval) == (8, 96)


@pytest.mark.parametrize(("rate_hz", "period_ns"), [(200, 5_000_000), (3, 333_333_333), (1000, 1_000_000)])
def test_the_period_follows_from_the_rate(rate_hz: float, period_ns: int) -> None:
    """The loop would tick at another rate than configured."""
    assert Pacing(Budget(rate_hz, 0.05, 0.35), [], ()).period_ns == period_ns
