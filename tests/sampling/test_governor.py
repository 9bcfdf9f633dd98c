"""Sharing out the CPU budget among the dear sources."""

from hypothesis import given
from hypothesis import strategies as st

from memwatchd.sampling.governor import SLOWEST_NS, intervals, median

PERIOD_NS = 5_000_000
SLOWEST = SLOWEST_NS // PERIOD_NS

costs = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e8), max_size=6)
two_costs = st.dictionaries(st.sampled_from("ab"), st.floats(0, 1e8), max_size=2)
budgets = st.floats(0.001, 1)
cheap = st.floats(0, 1e7)


def share_out(
    costs_ns: dict[str, float], budget_share: float = 0.05, cheap_ns: float = 0.0
) -> dict[str, int]:
    return intervals(period_ns=PERIOD_NS, budget_share=budget_share, cheap_ns=cheap_ns, costs_ns=costs_ns)


@given(costs_ns=costs, budget_share=budgets, cheap_ns=cheap)
def test_the_budget_is_never_exceeded_but_for_the_slowest_rate(
    costs_ns: dict[str, float], budget_share: float, cheap_ns: float
) -> None:
    """Sampling would take more CPU time than the administrator allowed."""
    found = share_out(costs_ns, budget_share, cheap_ns)
    within = sum(costs_ns[name] / ticks for name, ticks in found.items() if ticks < SLOWEST)
    assert within <= max(0.0, PERIOD_NS * budget_share - cheap_ns) * (1 + 1e-9) + 1e-6


@given(costs_ns=costs, budget_share=budgets, cheap_ns=cheap)
def test_every_source_is_read_once_a_second_at_least(
    costs_ns: dict[str, float], budget_share: float, cheap_ns: float
) -> None:
    """A dear source would be missing from the half minute before a kill."""
    found = share_out(costs_ns, budget_share, cheap_ns)
    assert found.keys() == costs_ns.keys()
    assert all(1 <= ticks <= SLOWEST for ticks in found.values())


@given(costs_ns=costs, budget_share=budgets, cheap_ns=cheap)
def test_a_source_within_its_equal_share_is_read_on_every_tick(
    costs_ns: dict[str, float], budget_share: float, cheap_ns: float
) -> None:
    """One dear source would keep the cheaper ones from being read."""
    found = share_out(costs_ns, budget_share, cheap_ns)
    share_ns = max(0.0, PERIOD_NS * budget_share - cheap_ns) / max(1, len(costs_ns)) * (1 - 1e-9)
    assert all(found[name] == 1 for name, cost_ns in costs_ns.items() if cost_ns <= share_ns)


@given(costs_ns=costs, cheap_ns=cheap)
def test_what_can_be_afforded_is_read_on_every_tick(costs_ns: dict[str, float], cheap_ns: float) -> None:
    """A budget would be left unused while slabinfo is read once a second."""
    budget_share = (sum(costs_ns.values()) * 1.001 + cheap_ns + 1) / PERIOD_NS
    assert set(share_out(costs_ns, budget_share, cheap_ns).values()) <= {1}


@given(costs_ns=two_costs, budget_share=budgets, cheap_ns=cheap)
def test_more_budget_never_means_fewer_readings(
    costs_ns: dict[str, float], budget_share: float, cheap_ns: float
) -> None:
    """Arming would slow a source down."""
    calm, armed = share_out(costs_ns, budget_share, cheap_ns), share_out(costs_ns, 2 * budget_share, cheap_ns)
    assert all(armed[name] <= calm[name] for name in calm)


def test_what_a_cheap_source_leaves_over_goes_to_the_dear_one() -> None:
    """Half of the budget would be kept for a source that needs a hundredth of it."""
    # 5 % of 5 ms are 250 µs a tick; the first takes 10 of them, so 240 are left for the second.
    assert share_out({"slabinfo": 480_000, "zoneinfo": 10_000}) == {"zoneinfo": 1, "slabinfo": 2}


def test_a_budget_eaten_by_the_cheap_sources_leaves_the_slowest_rate() -> None:
    """A division by nothing would end the sampler on a slow machine."""
    assert share_out({"slabinfo": 300_000.0, "zoneinfo": 0.0}, cheap_ns=PERIOD_NS) == {
        "zoneinfo": 1,
        "slabinfo": SLOWEST,
    }


def test_a_tick_of_a_second_and_more_reads_everything() -> None:
    """The slowest rate would be no tick at all."""
    assert intervals(period_ns=2_000_000_000, budget_share=0.0001, cheap_ns=0, costs_ns={"a": 1e9}) == {
        "a": 1
    }


def test_one_preempted_reading_does_not_make_a_source_dear() -> None:
    """A source would be read seldom because another process had the CPU once."""
    assert median([30, 31, 900_000, 29, 30]) == 30
    assert median([]) == 0
