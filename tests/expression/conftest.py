"""Trees of the language made at random, and their text."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from memwatchd.expression.tree import (
    BYTES,
    PAGES,
    PLAIN,
    SECONDS,
    TRUTHS,
    Arithmetic,
    Call,
    Comparison,
    Dimension,
    Junction,
    Name,
    Negative,
    Node,
    Not,
    Number,
)

# How long making and running an example takes says more about the machine than about us.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = (
    "x",
    "swap.free",
    "meminfo.Active(anon)",
    "slab.kmalloc-64.bytes",
    "zone.0.Normal.free",
    'cgroup."/a b".usage',
    'cgroup."""odd"" < 5% and".usage',
)
NUMBERS = (
    Number(0, 0.0, PLAIN, "0"),
    Number(0, 0.5, PLAIN, "0.5"),
    Number(0, 0.05, PLAIN, "5%"),
    Number(0, 512.0 * 2**20, BYTES, "512MiB"),
    Number(0, 90.0, SECONDS, "1min30s"),
    Number(0, 100.0, PAGES, "100pages"),
    Number(0, 20.0 * 2**20, Dimension("bytes", per_s=True), "20MiB/s"),
    Number(0, 50.0, Dimension("", per_s=True), "50/s"),
)
# Conditions at the limits of what the parser takes.
DEEPEST = (
    "+".join("x" * 149) + " < 1",
    "/".join("x" * 149) + " < 1",
    "1 < " + "-" * 20 + "/".join("x" * 139),
    "1 < " + "-(" * 10 + "/".join("x" * 130) + ")" * 10,
    "avg(" * 20 + "*".join("x" * 99) + ",1s)" * 20 + " < 1",
    "not " * 20 + "+".join("x" * 120) + "< 1",
    "x < 1 and (x < 2 or " * 20 + "x < 1" + ")" * 20,
    " or ".join(["x < 1"] * 74),
)

_SHARE = Number(0, 0.1, PLAIN, "10%")
_WINDOWS_NS = (20_000_000, 500_000_000, 1_000_000_000, 600_000_000_000)

_leaves = st.sampled_from([*NUMBERS, *(Name(0, name) for name in NAMES)])


def _larger(number: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    windows = st.sampled_from(_WINDOWS_NS)
    return st.one_of(
        st.builds(Negative, st.just(0), number),
        st.builds(Arithmetic, st.just(0), st.sampled_from("+-*/"), number, number),
        st.builds(lambda whole: Arithmetic(0, "*", _SHARE, whole, of=True), number),
        st.builds(
            lambda function, of, window_ns: Call(0, function, (of,), window_ns),
            st.sampled_from(("rate", "delta", "avg", "min", "max")),
            number,
            windows,
        ),
        st.builds(
            lambda of, bound, window_ns: Call(0, "time_to", (of, bound), window_ns), number, number, windows
        ),
    )


numbers = st.recursive(_leaves, _larger, max_leaves=8)
comparisons = st.builds(
    Comparison, st.just(0), st.sampled_from(("<", "<=", ">", ">=", "==", "!=")), numbers, numbers
)
truths = st.recursive(
    comparisons,
    lambda truth: st.one_of(
        st.builds(Not, st.just(0), truth),
        st.builds(
            Junction,
            st.just(0),
            st.sampled_from(("and", "or")),
            st.lists(truth, min_size=2, max_size=3).map(tuple),
        ),
    ),
    max_leaves=6,
)


def write(node: Node) -> str:
    """Write a tree as text, with parentheses around everything that is made of several."""
    match node:
        case Number() | Name():
            return node.text
        case Negative():
            return f"-{_grouped(node.of)}"
        case Call():
            arguments = [*map(write, node.arguments), f"{node.window_ns // 1_000_000}ms"]
            return f"{node.function}({', '.join(arguments)})"
        case Arithmetic():
            operator = "of" if node.of else node.operator
            return f"{_grouped(node.left)} {operator} {_grouped(node.right)}"
        case Comparison():
            return f"{write(node.left)} {node.comparator} {write(node.right)}"
        case Not():
            return f"not {_grouped(node.of)}"
        case Junction():
            return f" {node.word} ".join(map(_grouped, node.parts))


def _grouped(node: Node) -> str:
    return f"({write(node)})" if isinstance(node, (Arithmetic, *TRUTHS)) else write(node)


def without_places(node: Node) -> Node:
    """The same tree, as if all of it stood at the beginning of the text."""
    match node:
        case Number():
            return Number(0, node.value, node.dimension, node.text)
        case Name():
            return Name(0, node.text)
        case Negative():
            return Negative(0, without_places(node.of))
        case Call():
            return Call(0, node.function, tuple(map(without_places, node.arguments)), node.window_ns)
        case Arithmetic():
            left, right = without_places(node.left), without_places(node.right)
            return Arithmetic(0, node.operator, left, right, of=node.of)
        case Comparison():
            return Comparison(0, node.comparator, without_places(node.left), without_places(node.right))
        case Not():
            return Not(0, without_places(node.of))
        case Junction():
            return Junction(0, node.word, tuple(map(without_places, node.parts)))
