"""What happened: events, and kills."""

from memwatchd.ring.stream import Message
from memwatchd.views.live.frame import Happening, Sort
from memwatchd.views.live.happenings import Happenings
from memwatchd.views.live.rulewatch import Standing

KILLED = b"2,%d,%d,-;Out of memory: Killed process 4711 (e\\x1bater) total-vm:4000kB, anon-rss:3072kB\n"


def test_events_are_said_in_words_and_by_time() -> None:
    """Events of two rings would stand in the order they were read in."""
    found = Happenings()
    found.take_events([{"event": "rule_clear", "monotonic_ns": 30, "rule": "a"}])
    found.take_events(
        [
            {"event": "rule_fire", "monotonic_ns": 10, "rule": "a", "figures": {"meminfo.MemFree": 2048}},
            {"event": "action_begun", "monotonic_ns": 11, "rule": "a"},
            {
                "event": "action",
                "monotonic_ns": 20,
                "rule": "a",
                "action": "x",
                "verdict": "helped",
                "detail": "y",
            },
        ]
    )
    assert found.all == [
        Happening(10, Sort.RULE, "rule a fired: meminfo.MemFree 2 KiB"),
        Happening(20, Sort.ACTION, "rule a: x: helped: y"),
        Happening(30, Sort.RULE, "rule a is over"),
    ]


def test_a_rule_is_active_from_its_firing_to_its_end() -> None:
    """A rule would look idle while it acts, or active for ever."""
    found = Happenings()
    for at_ns, name in ((10, "rule_fire"), (30, "rule_clear"), (50, "rule_fire")):
        found.take_events([{"event": name, "monotonic_ns": at_ns, "rule": "a"}])
    assert [found.standing("a", at_ns) for at_ns in (9, 10, 30, 99)] == [
        Standing(active=False, fired=0),
        Standing(active=True, fired=1),
        Standing(active=False, fired=1),
        Standing(active=True, fired=2),
    ]


def test_kills_are_found_among_messages() -> None:
    """A kill on a live machine would not be seen, or anybody could pretend one."""
    found = Happenings()
    raw = KILLED % (17, 5)
    forged = b"12," + raw[2:]  # a user's facility
    found.take_messages([Message(40, raw), Message(50, forged), Message(60, b"not a record")])
    assert found.all == [Happening(40, Sort.KILL, "the kernel killed e\\x1bater (pid 4711) for the machine")]


def test_one_finds_what_was_before_and_after() -> None:
    """The keys for events would skip some, or stay where they are."""
    found = Happenings()
    for at_ns in (10, 20, 30):
        found.take_events([{"event": "missed", "monotonic_ns": at_ns, "ticks": 1}])
    found.add_kill(25, "a", 1, "global", None)

    def at(happening: Happening | None) -> int | None:
        return None if happening is None else happening.at_ns

    assert [at(found.after(moment)) for moment in (0, 10, 20, 30)] == [10, 20, 25, None]
    assert [at(found.before(moment)) for moment in (10, 20, 99)] == [None, 10, 30]
    assert at(found.after(0, only=Sort.KILL)) == 25
    assert [each.at_ns for each in found.until(20)] == [10, 20]


def test_the_oldest_are_forgotten() -> None:
    """A view that is left open would hold everything that ever happened."""
    found = Happenings(most=10)
    for at_ns in range(100):
        found.take_events([{"event": "missed", "monotonic_ns": at_ns}])
    assert len(found.all) <= 20
    assert found.all[-1].at_ns == 99
