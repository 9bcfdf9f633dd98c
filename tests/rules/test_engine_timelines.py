"""When rules fire, go on and clear, drawn as timelines with a tenth of a second for each character.

    holds   # the condition holds, - it does not and is not clear of its threshold either, _ it is clear of
            it, ? its signal is not there
    done    what whoever does the steps says right before the tick: + done, x failed
    kills   K the kernel has killed
    does    what is decided in the tick: the number of the step to do, H held back, C clear, . nothing

Where there are several rules, their lines have a number behind the word, and none is of the first.
"""

from dataclasses import dataclass, replace
from math import nan
from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st
from tests.expression.conftest import untimed
from tests.rules.conftest import MS, Panel, S, condition

from memwatchd.rules.engine import Decision, Engine, Happening, Stage, Timing
from memwatchd.rules.program import Program

TICK_NS = 100 * MS
START_NS = 1000 * S
_VALUES = {"#": 200.0, "-": 95.0, "_": 0.0, "?": nan}

# Of the rules below: nothing but what the timeline is about.
PLAIN = Timing(cooldown_ns=0, max_per_hour=3600, stages=(Stage(),))
NOW, SOON = Stage(), Stage(after_ns=300 * MS)


@dataclass
class Stand:
    """An engine and the timelines it goes along.

    Attributes:
        flying: The step each rule has on its way.
        told: All decisions.
    """

    engine: Engine
    panel: Panel
    lines: dict[str, str]
    timings: tuple[Timing, ...]

    def __post_init__(self) -> None:
        self.now_ns = START_NS
        self.flying: dict[int, int] = {}
        self.told: list[Decision] = []

    def tick(self, place: int) -> list[str]:
        """Go on by a tick; a character for each rule."""
        rules = len(self.timings)
        self.now_ns += TICK_NS
        for rule in range(rules):
            self.panel.values[f"x{rule}"] = _VALUES[self._drawn("holds", rule, place, "_")]
            said = self._drawn("done", rule, place, ".")
            if said in "+x":
                step = self.flying.pop(rule)
                self.engine.done(rule, step, self.now_ns, failed=said == "x")
        if self._drawn("kills", 0, place, ".") == "K":
            self.engine.kernel_killed(self.now_ns)
        does = ["."] * rules
        for decision in self.engine.tick(self.now_ns):
            assert does[decision.rule] == ".", "two decisions in one tick"
            does[decision.rule] = _letter(decision)
            self.told.append(decision)
            if decision.happening is Happening.FIRE and self.timings[decision.rule].stages:
                self.flying[decision.rule] = decision.step
        return does

    def _drawn(self, what: str, rule: int, place: int, otherwise: str) -> str:
        line = self.lines.get(f"{what}{rule}" if rule else what, "")
        return line[place] if place < len(line) else otherwise


def _letter(decision: Decision) -> str:
    return {Happening.FIRE: str(decision.step), Happening.HELD: "H", Happening.CLEAR: "C"}[decision.happening]


def make_stand(
    lines: dict[str, str], timings: tuple[Timing, ...], clear: str | None, hold_ns: int, settle_ns: int
) -> Stand:
    panel = Panel()
    conditions = [
        condition(f"x{rule} > 100", None if clear is None else clear.replace("x", f"x{rule}"))
        for rule in range(len(timings))
    ]
    made = Program(conditions, panel.read)
    engine = Engine(made, timings, hold_after_kill_ns=hold_ns, settle_ns=settle_ns)
    return Stand(engine, panel, lines, timings)


def play(
    drawing: str,
    *timings: Timing,
    clear: str | None = None,
    hold_ns: int = 500 * MS,
    settle_ns: int = 0,
) -> list[Decision]:
    """Go along a drawing, and compare what is decided with what it says; the decisions."""
    lines = dict(line.split(maxsplit=1) for line in dedent(drawing).strip().splitlines())
    stand = make_stand(lines, timings, clear, hold_ns, settle_ns)
    ticks = max(map(len, lines.values()))
    found = [stand.tick(place) for place in range(ticks)]
    for rule in range(len(timings)):
        name = f"does{rule}" if rule else "does"
        assert f"{name} {''.join(does[rule] for does in found)}" == f"{name} {lines[name]}"
    return stand.told


# ---- for and clear


def test_it_fires_when_the_condition_holds_and_clears_when_it_is_clear() -> None:
    """A rule would not act, or never put back what it did."""
    play(
        """
        holds   __####____##__
        done    ...+.......+..
        does    ..0...C...0.C.
        """,
        replace(PLAIN, cooldown_ns=300 * MS),
    )


def test_for_is_how_long_it_must_hold_without_a_break() -> None:
    """A rule would act on the noise it was to wait out."""
    play(
        """
        holds   __###_##-###?#######
        done    ..................+.
        does    ................0...
        """,
        replace(PLAIN, for_ns=300 * MS, cooldown_ns=60 * S),
    )


def test_it_must_be_clear_for_as_long() -> None:
    """A rule would put back what it did at the first breath, and do it again at once."""
    play(
        """
        holds   _######__-__#__-____#_
        done    .....+................
        does    ....0..............C..
        """,
        replace(PLAIN, for_ns=300 * MS, cooldown_ns=60 * S),
    )


def test_a_threshold_is_left_only_by_a_tenth() -> None:
    """A value that trembles around its threshold would fire and clear all the time."""
    told = play(
        """
        holds   _#-#-#-#-#-#-_____
        done    ..+...............
        does    .0...........C....
        """,
        replace(PLAIN, cooldown_ns=60 * S),
    )
    assert told == [Decision(Happening.FIRE, 0), Decision(Happening.CLEAR, 0)]


def test_what_it_clears_by_may_be_said() -> None:
    """The hysteresis somebody has thought about would be ignored."""
    play(
        """
        holds   _#--__--#--__
        done    ..+......+...
        does    .0..C...0..C.
        """,
        PLAIN,
        clear="x < 50",
    )


def test_it_does_not_clear_while_it_holds() -> None:
    """With ends that overlap, a rule would fire and clear in turns."""
    play(
        """
        holds   _####___
        done    ..+.....
        does    .0...C..
        """,
        replace(PLAIN, cooldown_ns=60 * S),
        clear="x < 1000",
    )


def test_a_rule_whose_signal_is_gone_is_over() -> None:
    """What was done to a group that is gone would stay, and the recorder be armed, for ever."""
    drawing = """
        holds   _####????##
        done    ..+.......+
        does    .0...C...0.
        """
    play(drawing, replace(PLAIN, cooldown_ns=500 * MS), clear=None)
    play(drawing, replace(PLAIN, cooldown_ns=500 * MS), clear="x < 50")


def test_a_step_on_its_way_is_waited_for_before_it_clears() -> None:
    """What a late step has done would never be put back."""
    play(
        """
        holds   _#________________
        done    .........+........
        does    .0.......C........
        """,
        PLAIN,
    )


def test_the_time_it_is_clear_counts_while_a_step_is_on_its_way() -> None:
    """A rule would be over although it has not been clear for long enough, or long after it has."""
    timing = replace(PLAIN, for_ns=300 * MS)
    play(
        """
        holds   ####______
        done    ........+.
        does    ...0....C.
        """,
        timing,
    )
    play(
        """
        holds   ####__#_____
        done    .........+..
        does    ...0......C.
        """,
        replace(timing, cooldown_ns=60 * S),
    )


# ---- cooldown and max_per_hour


def test_after_its_last_step_it_begins_again_when_it_has_cooled_down() -> None:
    """A rule that has not helped enough would never try again, or without a pause."""
    play(
        """
        holds   _#################_
        done    ...+......+......+.
        does    .0......0......0..C
        """,
        replace(PLAIN, cooldown_ns=500 * MS),
    )


def test_what_comes_back_before_it_has_cooled_down_waits_and_says_so_once() -> None:
    """A flapping condition would act all the time, or fill the journal with words about it."""
    told = play(
        """
        holds   _#_#_#_##_#_####_#_#_#_
        done    ..+............+.......
        does    .0CH.........0..CH.....
        """,
        replace(PLAIN, cooldown_ns=1100 * MS),
    )
    assert told[2] == Decision(Happening.HELD, 0, reason="cooldown")


def test_it_begins_only_so_often_an_hour() -> None:
    """A rule that is wrong would go on killing all night."""
    told = play(
        """
        holds   _#_#_#_#_####_#_
        done    ..+.+.+.........
        does    .0C0C0CH........
        """,
        replace(PLAIN, max_per_hour=3),
    )
    assert told[-1] == Decision(Happening.HELD, 0, reason="max_per_hour: fired 3 times within the last hour")


def test_an_hour_later_it_may_again() -> None:
    """A rule would be dead after a bad hour."""
    lines = {"holds": "_" * 36_050, "done": ""}
    stand = make_stand(lines, (replace(PLAIN, max_per_hour=2),), None, 0, 0)
    lines["holds"] = "#" * 36_050
    fired = []
    for place in range(36_050):
        if stand.tick(0) == ["0"]:
            fired.append(place)
        if stand.flying:
            stand.engine.done(0, stand.flying.pop(0), stand.now_ns, failed=False)
    assert fired == [0, 1, 36_000, 36_001]
    assert [each.happening for each in stand.told].count(Happening.HELD) == 2


def test_a_rule_without_steps_fires_once_and_clears() -> None:
    """A rule that only warns would warn all the time, or never again."""
    play(
        """
        holds   _######__#_###__
        does    .0.....C.H.0..C.
        """,
        replace(PLAIN, stages=(), cooldown_ns=1 * S),
    )


# ---- chains


def test_steps_without_after_follow_as_soon_as_the_one_before_is_done() -> None:
    """A chain such as dump and kill would be torn apart, or its second half begin too early."""
    play(
        """
        holds   _###########__
        done    ...+.+....+...
        does    .0.1.2......C.
        """,
        replace(PLAIN, stages=(NOW, NOW, NOW), cooldown_ns=60 * S),
    )


def test_steps_without_after_are_done_even_when_the_condition_is_over() -> None:
    """Something would be frozen and the notice of it never be sent."""
    play(
        """
        holds   _#_________
        done    ...+.+..+..
        does    .0.1.2..C..
        """,
        replace(PLAIN, stages=(NOW, NOW, NOW)),
    )


def test_a_step_with_after_comes_only_if_it_still_holds_so_long_after() -> None:
    """Memory would be reclaimed, and a process killed although that has helped."""
    chain = replace(PLAIN, stages=(NOW, SOON, SOON), cooldown_ns=60 * S)
    play(
        """
        holds   _##################__
        done    ....+......+...+.....
        does    .0.....1......2....C.
        """,
        chain,
    )
    play(
        """
        holds   _####___#
        done    ....+....
        does    .0...C..H
        """,
        chain,
    )


def test_while_it_is_neither_true_nor_clear_nothing_follows() -> None:
    """A value just short of its threshold would be acted upon."""
    play(
        """
        holds   _####--#-#--__
        done    ....+....+....
        does    .0.....1....C.
        """,
        replace(PLAIN, stages=(NOW, SOON, SOON), cooldown_ns=60 * S),
    )


def test_what_has_helped_for_as_long_is_done_again_before_anything_worse() -> None:
    """Two hours after reclaiming has helped, the next small shortage would kill at once."""
    play(
        """
        holds   _####------------##########
        done    ....+..............+.......
        does    .0...............0....1....
        """,
        replace(PLAIN, stages=(NOW, SOON), cooldown_ns=500 * MS),
    )


def test_when_a_step_fails_the_next_is_tried_at_once() -> None:
    """Memory would run out while the rule waits for what has not been done."""
    chain = replace(PLAIN, stages=(NOW, SOON, SOON), cooldown_ns=60 * S)
    play(
        """
        holds   _##########
        done    ...x.x..+..
        does    .0.1.2.....
        """,
        chain,
    )
    play(
        """
        holds   _##--##-__
        done    ...x......
        does    .0...1....
        """,
        chain,
    )


def test_or_else_none_until_it_has_cleared() -> None:
    """What somebody wanted to see to himself would be done to him again and again."""
    play(
        """
        holds   _##############__##
        done    ...x..............+
        does    .0.............C.01
        """,
        replace(PLAIN, stages=(NOW, NOW), go_on_after_failure=False),
    )


def test_a_step_of_which_nothing_is_heard_counts_as_failed() -> None:
    """A rule would wait for ever for a service that has missed a message."""
    stages = (Stage(deadline_ns=500 * MS), Stage(deadline_ns=100 * MS, after_ns=60 * S))
    # Deadlines of 0.5 and 0.1 s, 2 s of grace, and a tick to notice.
    play(
        """
        holds   _#######################################________________
        does    .0..........................1......................C....
        """,
        replace(PLAIN, stages=stages, cooldown_ns=60 * S),
    )


def test_a_step_that_ends_after_it_was_given_up_changes_nothing() -> None:
    """Its end would be taken for that of the step after it."""
    stages = (Stage(deadline_ns=0), Stage(deadline_ns=S), Stage())
    stand = make_stand({"holds": "#"}, (replace(PLAIN, stages=stages),), None, 0, 0)
    while 1 not in stand.flying.values():
        stand.tick(0)
    stand.engine.done(0, 0, stand.now_ns, failed=False)
    assert "".join(stand.tick(0)[0] for _ in range(20)) == "." * 20
    stand.engine.done(0, 1, stand.now_ns, failed=False)
    assert stand.tick(0) == ["2"]


# ---- after a kill, and beside one another


def test_after_a_kill_by_the_kernel_nothing_begins_for_a_while() -> None:
    """Something would be killed for memory that the kernel has just freed."""
    told = play(
        """
        holds   _########_
        kills   .K........
        done    .......+..
        does    .H....0..C
        """,
        replace(PLAIN, cooldown_ns=60 * S),
    )
    assert told[0].reason == "the kernel has just killed something"


def test_what_a_kill_has_settled_is_left_alone() -> None:
    """A chain would go on after the kernel has freed the memory, because it had begun."""
    told = play(
        """
        holds   _####________
        kills   ...K.........
        done    ....+........
        does    .0..HC.......
        """,
        replace(PLAIN, stages=(NOW, NOW)),
    )
    assert Decision(Happening.FIRE, 0, 1) not in told


def test_a_chain_goes_on_after_a_kill_that_has_not_helped() -> None:
    """A rule would be stuck in the middle of its chain after a kill by the kernel."""
    play(
        """
        holds   _###############__
        kills   ....K.............
        done    .....+.....+......
        does    .0...H...1......C.
        """,
        replace(PLAIN, stages=(NOW, NOW), cooldown_ns=60 * S),
    )
    play(
        """
        holds   _###############__
        kills   ....K.............
        done    ...+.......+......
        does    .0....H..1......C.
        """,
        replace(PLAIN, stages=(NOW, SOON), cooldown_ns=60 * S),
    )


def test_kills_in_a_row_do_not_hold_it_for_ever() -> None:
    """A container that is killed twice a second for its own limit would switch all rules off."""
    play(
        """
        holds   _########################################
        kills   KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK
        done    ................+...................+....
        does    .H.............0....H..............0....H
        """,
        replace(PLAIN, cooldown_ns=400 * MS),
    )


def test_kills_far_apart_are_waited_for_one_by_one() -> None:
    """The second kill of a minute would not be given the time to help."""
    play(
        """
        holds   _#######_#######_#######_
        kills   .K.......K.......K.......
        done    .......+.......+.......+.
        does    .H....0.CH....0.CH....0.C
        """,
        replace(PLAIN, cooldown_ns=200 * MS),
    )


def test_a_rule_that_only_warns_is_not_held() -> None:
    """Nobody would be told of the storm because it is one."""
    play(
        """
        holds   _#####__
        kills   .K......
        done    ..+.....
        does    .0....C.
        """,
        replace(PLAIN, acts=False, cooldown_ns=60 * S),
    )


def test_two_rules_that_act_keep_their_distance() -> None:
    """The second would kill for memory that the first has just freed."""
    play(
        """
        holds   _##########____
        holds1  _##########____
        done    ....+..........
        done1   .............+.
        does    .0.........C...
        does1   .......0.....C.
        """,
        replace(PLAIN, cooldown_ns=60 * S),
        replace(PLAIN, cooldown_ns=60 * S),
        settle_ns=300 * MS,
    )


def test_the_second_does_not_act_when_the_first_has_helped() -> None:
    """Each of twenty rules would kill for one and the same shortage."""
    play(
        """
        holds   _##____
        holds1  _##____
        done    ..+....
        does    .0.C...
        does1   .......
        """,
        PLAIN,
        PLAIN,
        settle_ns=300 * MS,
    )


def test_a_rule_that_only_warns_waits_for_none_and_keeps_none_waiting() -> None:
    """A warning would come after what it was to warn of, or keep the rules that act from acting."""
    play(
        """
        holds   _########_
        holds1  _########_
        holds2  _########_
        done    ...+......
        done1   ..+.......
        done2   ..+.......
        does    .0.......C
        does1   .0.......C
        does2   .0.......C
        """,
        replace(PLAIN, acts=False, cooldown_ns=60 * S),
        replace(PLAIN, cooldown_ns=60 * S),
        replace(PLAIN, acts=False, cooldown_ns=60 * S),
        settle_ns=300 * MS,
    )


# ---- what others ask of it


def test_which_rules_are_live_and_which_active() -> None:
    """The recorder would not be armed while a rule is about to fire."""
    quick, slow = replace(PLAIN, cooldown_ns=60 * S), replace(PLAIN, for_ns=60 * S)
    stand = make_stand({"holds": "_##__", "holds1": "_####", "done": "..+.."}, (quick, slow), None, 0, 0)
    found = []
    for place in range(5):
        stand.tick(place)
        found.append((stand.engine.live, stand.engine.active))
    assert found == [(0, 0), (3, 1), (3, 1), (2, 0), (2, 0)]


_TIMINGS = st.builds(
    Timing,
    for_ns=st.sampled_from([0, 300 * MS]),
    cooldown_ns=st.sampled_from([0, 500 * MS]),
    max_per_hour=st.sampled_from([2, 3600]),
    acts=st.booleans(),
    go_on_after_failure=st.booleans(),
    stages=st.lists(
        st.builds(Stage, after_ns=st.sampled_from([None, 0, 300 * MS]), deadline_ns=st.just(500 * MS)),
        max_size=3,
    ).map(tuple),
)


_KILLED = "the kernel has just killed something"


def check_history(timing: Timing, history: list[tuple[int, Decision]]) -> None:
    """Hold what was decided for one rule against what any rule may do."""
    active, step, begun, held = False, -1, list[int](), list[str]()
    for at_ns, decision in history:
        match decision.happening:
            case Happening.FIRE if decision.step == 0:
                assert not begun or at_ns - begun[-1] >= timing.cooldown_ns
                begun.append(at_ns)
                active, step = True, 0
                held = [reason for reason in held if reason == _KILLED]
            case Happening.FIRE:
                assert active
                assert decision.step == step + 1 < len(timing.stages)
                step += 1
            case Happening.CLEAR:
                assert active
                active = False
            case Happening.HELD:
                assert decision.reason == _KILLED or decision.reason not in held
                held.append(decision.reason)
    assert len(begun) <= timing.max_per_hour
    # Once for each hold, which are half a second long at least.
    assert held.count(_KILLED) <= 12
    assert not active


@untimed
@given(st.data(), st.lists(_TIMINGS, min_size=1, max_size=3))
def test_whatever_happens_all_comes_to_rest(data: st.DataObject, timings: list[Timing]) -> None:
    """A rule would do two things at once, be stuck in its chain, or never put back what it did."""
    places = 60
    lines = {"kills": data.draw(st.text("K.........", min_size=places, max_size=places))}
    for rule in range(len(timings)):
        holds = data.draw(st.lists(st.text("#-_?", min_size=1, max_size=1), max_size=20))
        stretched = "".join(char * data.draw(st.integers(1, 9)) for char in holds)
        lines[f"holds{rule}" if rule else "holds"] = stretched[:places]
    stand = make_stand(lines, tuple(timings), None, 500 * MS, 200 * MS)
    histories: list[list[tuple[int, Decision]]] = [[] for _ in timings]
    asked_ns: dict[int, int] = {}
    quiet = 0
    for place in range(places + 60):
        told = len(stand.told)
        stand.tick(place)
        for decision in stand.told[told:]:
            histories[decision.rule].append((stand.now_ns, decision))
            if decision.happening is Happening.FIRE:
                # One at a time, until it is given up for lost.
                assert stand.now_ns - asked_ns.get(decision.rule, 0) > 2500 * MS
                asked_ns[decision.rule] = stand.now_ns
        for rule in range(len(timings)):
            if rule not in stand.flying or place >= places or data.draw(st.integers(0, 3)) == 0:
                asked_ns.pop(rule, None)
            if rule in stand.flying and rule not in asked_ns:
                failed = place < places and data.draw(st.booleans())
                stand.engine.done(rule, stand.flying.pop(rule), stand.now_ns, failed=failed)
        quiet = quiet + 1 if stand.engine.live == 0 else 0
    assert quiet > 30
    for timing, history in zip(timings, histories, strict=True):
        check_history(timing, history)
