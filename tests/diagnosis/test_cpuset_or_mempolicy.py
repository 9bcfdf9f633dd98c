"""Requests that are bound to nodes."""

from tests.diagnosis.reports import asked, case, found, quoted, report, zone

from memwatchd.diagnosis.cpuset_or_mempolicy import WEIGHT_IDLE, WEIGHT_UNNAMED, examine
from memwatchd.oomreport.report import CPUSET, MEMPOLICY, Event

MOVABLE = "GFP_HIGHUSER_MOVABLE"
FULL = zone("Normal", 8120, (8160, 12240), managed=4_000_000, node=0)
IDLE = zone("Normal", 3_000_000, (8160, 12240), managed=4_000_000, node=1)


def test_a_node_that_has_only_movable_memory() -> None:
    """A container on such a node kills while 600 GiB are free, and nothing would say why."""
    event = report(
        asked("GFP_HIGHUSER|__GFP_ACCOUNT", mems_allowed="4", cpuset="docker-99.scope"),
        zone("Movable", 130_021_408, (9140, 269_180), managed=130_023_424, node=4),
        scope=CPUSET,
        pages={"free": 159_849_484},
    )
    finding = found(examine(case(event)))
    assert finding.weight == 1
    assert finding.summary == (
        "The kernel says that a cpuset docker-99.scope (nodes 4) bound the request. Its nodes have only"
        " Movable of node 4, 124 GiB of it free, which a request like this (GFP_HIGHUSER|__GFP_ACCOUNT)"
        " may not use, since its pages cannot be moved. 486 GiB were free on other nodes."
    )
    assert finding.advice.change[-1].startswith("Leave each such node some memory for the kernel")


def test_a_nodemask_with_other_nodes_left_out() -> None:
    """The report prints the full node only, so that the machine looks full."""
    event = report(
        asked(MOVABLE, nodemask="0", mems_allowed="0-1"), FULL, pages={"free": 18_675_164}, ram_kb=160_000_000
    )
    finding = found(examine(case(event)))
    assert finding.weight == 1
    assert finding.summary == (
        "The request was bound to node 0, as nodemask=0 and mems_allowed=0-1 say: Normal had 7.93 MiB free"
        " (min 7.97 MiB must stay), while 71.2 GiB were free elsewhere."
    )


def test_nothing_says_so_but_the_nodes() -> None:
    """Kernels of old do not print whose policy it was."""
    event = report(asked(MOVABLE, mems_allowed="0-1"), FULL, IDLE)
    finding = found(examine(case(event)))
    assert (finding.weight, finding.confidence) == (WEIGHT_UNNAMED, 0.85)
    assert "it must have been bound by a memory policy (numactl, set_mempolicy, mbind)" in finding.summary
    assert quoted(finding) == ["the request", "zone Normal", "zone Normal", "Mem-Info"]


def test_the_flags_want_one_node() -> None:
    """A driver's own wish would be put on the administrator."""
    event = report(asked("GFP_KERNEL|__GFP_THISNODE"), FULL, IDLE)
    assert "bound by its own flags (__GFP_THISNODE)" in found(examine(case(event))).summary


def test_all_nodes_are_full() -> None:
    """Two full nodes are a full machine."""
    other = zone("Normal", 8000, (8160, 12240), managed=4_000_000, node=1)
    assert examine(case(report(asked(MOVABLE, mems_allowed="0-1"), FULL, other))) is None


def test_no_node_is_full() -> None:
    """Without a shortage nothing was bound to one."""
    other = zone("Normal", 3_000_000, (8160, 12240), managed=4_000_000, node=0)
    assert examine(case(report(asked(MOVABLE, mems_allowed="0-1"), other, IDLE))) is None


def test_the_free_node_could_not_be_used_anyway() -> None:
    """A movable node beside a full one says nothing of a policy."""
    movable = zone("Movable", 3_000_000, (8160, 12240), managed=4_000_000, node=1)
    assert examine(case(report(asked("GFP_KERNEL", mems_allowed="0-1"), FULL, movable))) is None


def test_the_constraint_is_named_but_everything_was_short() -> None:
    """A cpuset on a machine that is full is not what filled it."""
    other = zone("Normal", 8000, (8160, 12240), managed=4_000_000, node=1)
    event = report(asked(MOVABLE, nodemask="0", mems_allowed="0-1"), FULL, other, scope=MEMPOLICY)
    finding = found(examine(case(event)))
    assert finding.weight == WEIGHT_IDLE
    assert "the rest of the machine was short as well" in finding.summary


def test_sysrq_is_bound_to_nothing() -> None:
    """A kill by hand has no request."""
    event = Event("oom_kill", manner="sysrq", trigger=asked(MOVABLE, -1), zones=(FULL, IDLE))
    assert examine(case(event)) is None
