"""The configuration file to the model."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from memwatchd.actions.protect import Protect
from memwatchd.config import nodes
from memwatchd.config.load import SHIPPED_CONFIG, InvalidConfigError, Problem, load_config, parse_config
from memwatchd.config.model import Config, SourceRate, Watch
from memwatchd.config.rules import Rule
from memwatchd.config.scalars import write_scalar
from memwatchd.config.serving import Listen
from memwatchd.errors import ConfigError
from memwatchd.keys import Kind, keys_of, walk_keys

DEFAULT_TEXT = SHIPPED_CONFIG.read_text()
SHIPPED_FILES = sorted(
    each for each in SHIPPED_CONFIG.parent.rglob("*.yaml") if "prometheus" not in each.parts
)


def _problems(text: str | bytes) -> list[str]:
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(text, "f")
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return str(caught.value).split("\n")


def test_the_default_file_is_the_default() -> None:
    """The commented file would say something else than what is built in; only rules are its own."""
    shipped = load_config(SHIPPED_CONFIG)
    assert replace(shipped, rules=(), protect=Protect()) == Config()
    assert shipped.rules


@pytest.mark.parametrize("path", SHIPPED_FILES, ids=lambda path: path.stem)
def test_every_shipped_file_loads(path: Path) -> None:
    """Somebody who takes a file that comes with the program would get an error."""
    load_config(path)


def _paths(node: nodes.Node, prefix: str = "") -> Iterator[str]:
    if isinstance(node, nodes.Mapping):
        for key, value in node.pairs:
            assert isinstance(key, nodes.Scalar)
            yield prefix + key.text
            yield from _paths(value, f"{prefix}{key.text}.")


def test_the_default_file_has_every_key() -> None:
    """A key could be found only by reading the source."""
    root = nodes.read_tree(DEFAULT_TEXT).root
    assert root is not None
    expected = [path for path, _ in walk_keys(Config) if not re.match(r"watch\[\]|rules\.", path)]
    # Most have no such file: it stands there as a comment.
    expected.remove("exporter.web_config")
    assert re.search(r"^  # web_config: /", DEFAULT_TEXT, re.MULTILINE)
    assert [path for path in _paths(root) if not path.startswith("rules.")] == expected
    for key in keys_of(Rule).values():
        assert re.search(rf"^#   {key.name}  ", DEFAULT_TEXT, re.MULTILINE), key.name


def test_every_key_of_the_default_file_is_explained() -> None:
    """A key would stand in the file without a word."""
    sections, rules, end = re.split(r"(?ms)^rules:$(.*?)(?=^#)", DEFAULT_TEXT)
    lines = (sections + end).splitlines()
    for before, line in pairwise(lines):
        if re.match(r" *[a-z_]+:", line):
            assert before.lstrip().startswith("#") or re.fullmatch(r"[a-z]+:", line), line
    assert all(rule.why for rule in load_config(SHIPPED_CONFIG).rules), rules


def test_the_examples_of_the_default_file_work() -> None:
    """Somebody who removes the # from an example would get an error."""
    examples = re.findall(r"^# +(- \{.*\})$", DEFAULT_TEXT, re.MULTILINE)
    config = parse_config("watch:\n" + "\n".join(examples), "examples")
    assert config.watch == (
        Watch(comm="rsync", fds=True),
        Watch(pid_file=Path("/run/foo.pid")),
        Watch(pid=1234),
        Watch(cgroup="/system.slice/foo.service"),
    )
    for key in ("comm", "pid_file", "pid", "cgroup", "fds"):
        assert re.search(rf"^#   {key}  ", DEFAULT_TEXT, re.MULTILINE)


def test_the_default_file_names_the_bounds() -> None:
    """The comments would go stale when a bound in the table changes."""
    for path, key in walk_keys(Config):
        if key.kind in (Kind.SIZE, Kind.DURATION) and key.maximum:
            upper = write_scalar(key, int(key.maximum))
            assert upper in DEFAULT_TEXT, path


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n", "~", "sampling:\nwatch:\nring: {}\n", "{}"])
def test_nothing_given_means_the_defaults(text: str) -> None:
    """A section with everything commented out would be an error."""
    assert parse_config(text, "f") == Config()


def test_values_of_every_kind() -> None:
    """A value in the file would not reach the model."""
    config = parse_config(
        """
        sampling:
          rate: 100
          budget: {calm: 0.5%, armed: "100%"}
          sources: {meminfo: off, slabinfo: 20Hz, zoneinfo: 0.5Hz}
          realtime_priority: 0
          lock_memory: false
          oom_score_adj: 1000
        watch: [{comm: on}, {comm: 0123}, {pid: 42, fds: true}, {cgroup: /}]
        ring: {size: 1GiB, segment: 1M}
        incidents: {before: 1min30s, after: 250ms, merge_limit: 1h, keep: {count: 1, size: 1TB, age: 1w}}
        census: {period: 200ms, budget: 1%}
        exporter: {enabled: false, listen: "[::]:9100"}
        log: {level: debug}
        """,
        "f",
    )
    assert config.sampling.rate_hz == 100
    assert (config.sampling.budget.calm_pct, config.sampling.budget.armed_pct) == (0.5, 100)
    sources = config.sampling.sources
    assert sources.meminfo == SourceRate("off")
    assert sources.vmstat == SourceRate("auto")
    assert sources.slabinfo == SourceRate("fixed", 20)
    assert sources.zoneinfo == SourceRate("fixed", 0.5)
    assert (config.sampling.realtime_priority, config.sampling.oom_score_adj) == (0, 1000)
    assert config.sampling.lock_memory is False
    assert config.watch == (Watch(comm="on"), Watch(comm="0123"), Watch(pid=42, fds=True), Watch(cgroup="/"))
    assert (config.ring.size_bytes, config.ring.segment_bytes) == (1 << 30, 1 << 20)
    assert (config.incidents.before_ns, config.incidents.after_ns) == (90_000_000_000, 250_000_000)
    assert config.incidents.merge_limit_ns == 3_600_000_000_000
    assert (config.incidents.keep.count, config.incidents.keep.size_bytes) == (1, 1 << 40)
    assert config.incidents.keep.age_ns == 7 * 86_400_000_000_000
    assert (config.census.period_ns, config.census.budget_pct) == (200_000_000, 1)
    assert (config.exporter.enabled, config.exporter.listen) == (False, (Listen("::", 9100),))
    assert config.log.level == "debug"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "sampling:\n  rate: 5 apples",
            "f:2:9: sampling.rate: expected a rate from 1Hz to 1000Hz, for example 200Hz; got '5 apples'",
        ),
        (
            "sampling: {rate: 0.5Hz}",
            "f:1:18: sampling.rate: expected a rate from 1Hz to 1000Hz, for example 200Hz; got '0.5Hz'",
        ),
        (
            "sampling: {budget: {calm: 0%}}",
            "f:1:27: sampling.budget.calm: expected a percentage above 0% and up to 100%, for example 5%; "
            "got '0%'",
        ),
        (
            "sampling: {sources: {slabinfo: on}}",
            "f:1:32: sampling.sources.slabinfo: expected auto, off or a rate from 0.1Hz to 1000Hz, "
            "for example 20Hz; got 'on'",
        ),
        (
            "sampling: {oom_score_adj: -1000}",
            "f:1:27: sampling.oom_score_adj: expected a whole number from -999 to 1000, for example -999; "
            "got '-1000' (-1000 would leave it unkillable even if it leaked memory in its own cgroup)",
        ),
        (
            "sampling: {realtime_priority: 010}",
            "f:1:31: sampling.realtime_priority: expected a whole number from 0 to 99, "
            "for example 10; got '010'",
        ),
        ("sampling: {lock_memory: yes}", "f:1:25: sampling.lock_memory: expected true or false; got 'yes'"),
        (
            "ring: {segment: 100KiB}",
            "f:1:17: ring.segment: expected a size from 32KiB to 16MiB that is a power of two, "
            "for example 128KiB; got '100KiB'",
        ),
        (
            "incidents: {before: 5:30}",
            "f:1:21: incidents.before: expected a duration from 0s to 10min, for example 30s; got '5:30'",
        ),
        (
            "incidents: {before: [1]}",
            "f:1:21: incidents.before: expected a duration from 0s to 10min, for example 30s; got a list",
        ),
        (
            "incidents:\n  before:\n",
            "f:2:10: incidents.before: expected a duration from 0s to 10min, for example 30s; got nothing",
        ),
        (
            "exporter: {listen: '::1:80'}",
            "f:1:20: exporter.listen: expected host:port with an IPv6 address in brackets, or the path of "
            "a Unix socket, for example 127.0.0.1:10973; got '::1:80'",
        ),
        (
            "log: {level: loud}",
            "f:1:14: log.level: expected one of error, warning, info, debug; got 'loud'",
        ),
        ("log: loud", "f:1:6: log: expected a mapping with any of the keys level; got 'loud'"),
        (
            "- a",
            "f:1:1: expected a mapping with any of the keys sampling, watch, ring, incidents, black_box, "
            "census, exporter, protect, acting, rules, log; got a list",
        ),
        ("rings: {}", "f:1:1: rings: unknown key; did you mean ring?"),
        ("log: {colour: red}", "f:1:7: log.colour: unknown key; known here: level"),
        (
            '{"a\\nb": 1}',
            "f:1:2: 'a\\nb': unknown key; known here: "
            "sampling, watch, ring, incidents, black_box, census, exporter, protect, acting, rules, log",
        ),
        ("log: {[a]: red}", "f:1:7: log: expected a key; got a list"),
        ("log: {}\nlog: {}", "f:2:1: expected 'log' once; it stands on line 1 already"),
        ("watch: rsync", "f:1:8: watch: expected a list of mappings; got 'rsync'"),
        (
            "watch:\n  - rsync",
            "f:2:5: watch[0]: expected a mapping with any of the keys comm, "
            "pid_file, pid, cgroup, fds; got 'rsync'",
        ),
        (
            "watch: [{comm: a}, {comm: a, pid: 1}]",
            "f:1:20: watch[1]: expected exactly one of comm, pid_file, pid, cgroup; got comm and pid",
        ),
        (
            "watch: [{fds: true}]",
            "f:1:9: watch[0]: expected exactly one of comm, pid_file, pid, cgroup; got none",
        ),
        ("watch: [{}]", "f:1:9: watch[0]: expected exactly one of comm, pid_file, pid, cgroup; got none"),
        ("watch: [~]", "f:1:9: watch[0]: expected exactly one of comm, pid_file, pid, cgroup; got none"),
        (
            "watch: [{comm: postgres-checkpointer}]",
            "f:1:16: watch[0].comm: expected a printable text, at most 15 bytes, for example rsync; "
            "got 'postgres-checkpointer' (the kernel keeps no more than 15 bytes of a name)",
        ),
        ("watch: [" + "{comm: a}, " * 257 + "]", "f:1:8: watch: expected at most 256 entries; got 257"),
        (
            "sampling: {rate: 10Hz, sources: {slabinfo: 20Hz}}",
            "f:1:44: sampling.sources.slabinfo: expected at most sampling.rate, which is 10Hz; got 20Hz",
        ),
        (
            "ring: {size: 1MiB, segment: 256KiB}",
            "f:1:14: ring.size: expected room for 8 segments of 256KiB, that is 2MiB; got 1MiB",
        ),
        (
            "black_box: {size: 1MiB}\nring: {segment: 512KiB}",
            "f:1:19: black_box.size: expected room for 4 segments of 512KiB, that is 2MiB; got 1MiB",
        ),
        (
            "ring:\n  segment: 16MiB",
            "f:2:12: ring.size: expected room for 8 segments of 16MiB, "
            "that is 128MiB; got 16MiB, the default",
        ),
        (
            "incidents: {after: 3min}",
            "f:1:20: incidents.merge_limit: expected at least incidents.after, "
            "which is 3min; got 2min, the default",
        ),
        (
            "a: [1,\nb c",
            "f:2:4: expected YAML; while parsing a flow sequence that begins on line 1, "
            "did not find expected ',' or ']'",
        ),
    ],
)
def test_problems_name_place_key_and_what_was_expected(text: str, problem: str) -> None:
    """Somebody with a mistake in the file would have to search for it."""
    assert _problems(text) == [problem]


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("localhost:80", Listen("localhost", 80)),
        ("0.0.0.0:65535", Listen("0.0.0.0", 65535)),
        ("[fe80::1%eth0]:1", Listen("fe80::1%eth0", 1)),
        ("a-b.example:9100", Listen("a-b.example", 9100)),
        ("/run/memwatchd/metrics.sock", Listen("/run/memwatchd/metrics.sock", 0)),
        ("/" + "s" * 106, Listen("/" + "s" * 106, 0)),
        ("/" + "s" * 107, None),
        ("/" + "ü" * 60, None),
        ("run/metrics.sock", None),
        (":80", None),
        ("localhost", None),
        ("localhost:0", None),
        ("localhost:080", None),
        ("localhost:65536", None),
        ("1.2.3.400:80", None),
        ("80", None),
        ("[1.2.3.4]:80", None),
        ("[]:80", None),
        ("[::g]:80", None),
        ("a b:80", None),
        ("http://a:80", None),
    ],
)
def test_listen(listen: str, expected: Listen | None) -> None:
    """The exporter would listen elsewhere, or fail only when it is started."""
    text = f"exporter: {{listen: {listen!r}}}"
    if expected is None:
        assert "exporter.listen: expected host:port" in _problems(text)[0]
    else:
        assert parse_config(text, "f").exporter.listen == (expected,)


def test_several_addresses() -> None:
    """A Prometheus beside the machine's own, or a proxy's socket, would take a second exporter."""
    text = 'exporter: {listen: ["127.0.0.1:9100", "[::1]:9100", "unix:/run/m/exporter"]}'
    assert parse_config(text, "f").exporter.listen == (
        Listen("127.0.0.1", 9100),
        Listen("::1", 9100),
        Listen("/run/m/exporter", 0),
    )


@pytest.mark.parametrize(
    ("listen", "problem"),
    [
        (
            "[]",
            "f:1:20: exporter.listen: expected one or several addresses: host:port, or the path of a Unix ",
        ),
        ("", "f:1:20: exporter.listen: expected one or several addresses: host:port, or the path of a Unix "),
        ("[localhost:80, ':80']", "f:1:35: exporter.listen[1]: expected host:port with an IPv6 address in "),
        ("{a: 1}", "f:1:20: exporter.listen: expected a list of addresses; got a mapping"),
        (str(["a:1"] * 17), "f:1:20: exporter.listen: expected at most 16 entries; got 17"),
    ],
)
def test_wrong_addresses(listen: str, problem: str) -> None:
    """An exporter would listen nowhere, or at fewer addresses than were asked for."""
    assert _problems(f"exporter: {{listen: {listen}}}")[0].startswith(problem)


@pytest.mark.parametrize(
    "entry",
    [
        "cgroup: system.slice",
        "cgroup: ../etc",
        "cgroup: /a/../b",
        "cgroup: /a//b",
        "cgroup: /a/",
        "cgroup: //",
        "cgroup: /./a",
        "cgroup: ''",
        'cgroup: "/a\\0"',
        "cgroup: [a]",
        "pid_file: run/foo.pid",
        "pid_file: ''",
        "pid_file: ~",
        'pid_file: "/run/\\0"',
        f"pid_file: /{'a' * 5000}",
        "pid: 0",
        "pid: -1",
        "pid: 1.0",
        "pid: 99999999999999999999999999",
        f"pid: {'9' * 10_000}",
        "comm: null",
        "comm: ''",
        'comm: "a\\nb"',
        "comm: éééééééé",
        "pid: 1, fds: 1",
    ],
)
def test_targets_that_cannot_be(entry: str) -> None:
    """A watch would point outside of the cgroup tree, or at nothing, and say so only at run time."""
    problems = _problems(f"watch: [{{{entry}}}]")
    assert len(problems) == 1
    assert ": watch[0]." in problems[0]


def test_all_problems_at_once_in_the_order_of_the_file() -> None:
    """Mistakes would come to light one start at a time."""
    text = """
sampling: {rate: fast, sources: {slabinfo: 300Hz}, lock_memory: !!bool true}
ring: {size: 1, sise: 2, size: 3}
census: *nowhere
watch: [{comm: a, cgroup: b}]
"""
    assert [re.sub(r" .*: expected| unknown", " …", each)[:40].split(" ")[0] for each in _problems(text)] == [
        "f:2:18:",
        "f:2:65:",
        "f:3:14:",
        "f:3:17:",
        "f:3:26:",
        "f:4:9:",
        "f:5:9:",
        "f:5:27:",
    ]


def test_no_contradiction_is_reported_with_a_key_that_is_wrong_itself() -> None:
    """One mistake would be reported twice, the second time with a value nobody wrote."""
    assert len(_problems("sampling: {rate: fast, sources: {slabinfo: 300Hz}}")) == 1


def test_problems_carry_their_parts() -> None:
    """An editor or a page could not show where the mistake is without taking the text apart."""
    with pytest.raises(InvalidConfigError) as caught:
        parse_config("log: {level: loud}", "f")
    assert caught.value.problems == (
        Problem("f", 1, 14, "log.level", "expected one of error, warning, info, debug; got 'loud'"),
    )
    assert caught.value.exit_status == 4


def test_aliases_work() -> None:
    """A value could not be used twice."""
    config = parse_config("watch: [&a {comm: x}, *a]\nsampling: {budget: {calm: &b 7%, armed: *b}}", "f")
    assert config.watch == (Watch(comm="x"), Watch(comm="x"))
    assert config.sampling.budget.armed_pct == 7


@pytest.mark.parametrize(
    "text", ["&x {sampling: *x}", "&x [*x]", "sampling: &x {budget: *x}", "? &x [*x]\n: 1"]
)
def test_a_cycle_of_aliases(text: str) -> None:
    """A cycle would end the start with a RecursionError."""
    assert any("it lies within what it names" in each for each in _problems(text))


def test_hostile_text_in_messages_is_shown_on_one_line() -> None:
    """A value or key from a stranger could write lines of its own into the log, or fill it."""
    problems = _problems('"\\e[31m\\nfake": 1\nlog: {level: "' + "x" * 100_000 + '"}\n')
    assert len(problems) == 2
    assert all(each.isprintable() and len(each) < 300 for each in problems)


def test_a_file_is_named_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor could not jump to the place."""
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("log: {level: loud}")
    with pytest.raises(ConfigError, match=r"^my\.yaml:1:14: log\.level: "):
        load_config(Path("my.yaml"))


def test_a_missing_file(tmp_path: Path) -> None:
    """A mistyped path would quietly start the daemon with the defaults."""
    with pytest.raises(InvalidConfigError, match=r"missing\.yaml: cannot be read: No such file") as caught:
        load_config(tmp_path / "missing.yaml")
    assert caught.value.problems[0].line is None


@pytest.mark.parametrize("name", [".", "file/x", "a\0b", "a" * 300])
def test_paths_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A path that is no file would end the start with a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be read: "):
        load_config(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    """An unreadable file would quietly start the daemon with the defaults."""
    path = tmp_path / "f.yaml"
    path.touch(0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_config(path)


def test_large_files(tmp_path: Path) -> None:
    """A path to something endless would be read until memory is full."""
    path = tmp_path / "f.yaml"
    path.write_text("#" * (1 << 20))
    assert load_config(path) == Config()
    path.write_text("#" * ((1 << 20) + 1))
    for each in (path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="expected at most 1048576 bytes"):
            load_config(each)
