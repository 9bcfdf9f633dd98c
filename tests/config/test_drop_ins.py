"""Files of conf.d laid over the configuration."""

import os
from pathlib import Path

import pytest

from memwatchd.config.load import InvalidConfigError, config_files, load_config, parse_config
from memwatchd.config.model import Config, Watch

MAIN = """
sampling: {rate: 100Hz, sources: {slabinfo: 1Hz}}
watch: [{comm: rsync}]
protect: {also: [sshd, cron]}
rules:
  low: {when: meminfo.MemFree < 5MiB, for: 1s, actions: [dump, log]}
  other: {when: meminfo.MemFree < 6MiB}
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    path = tmp_path / "memwatchd.yaml"
    path.write_text(MAIN)
    return path


def _add(main: Path, name: str, text: str) -> Path:
    path = main.parent / "conf.d" / name
    path.write_text(text)
    return path


def _problem(main: Path) -> str:
    with pytest.raises(InvalidConfigError) as caught:
        load_config(main)
    assert str(caught.value).isprintable()
    return str(caught.value).replace(f"{main.parent}/", "")


def _same_as(main: Path, text: str) -> bool:
    return load_config(main) == parse_config(text, "expected")


def test_one_key_of_one_rule(main: Path) -> None:
    """To change a threshold, the whole rule would have to be copied, and updates of it missed."""
    _add(main, "a.yaml", "rules: {low: {for: 2s}}")
    assert _same_as(main, MAIN.replace("for: 1s", "for: 2s"))


def test_a_rule_is_switched_off(main: Path) -> None:
    """A rule that comes with the program could not be got rid of."""
    _add(main, "a.yaml", "rules: {low: {enabled: false}}")
    assert [rule.enabled for rule in load_config(main).rules] == [False, True]


def test_a_new_rule_and_new_sections(main: Path) -> None:
    """A drop-in could only change what is there."""
    _add(main, "a.yaml", "rules: {new: {when: meminfo.MemFree < 7MiB}}\nlog: {level: debug}")
    new = "  new: {when: meminfo.MemFree < 7MiB}\nlog: {level: debug}\n"
    assert _same_as(main, MAIN + new)


def test_watches_are_added(main: Path) -> None:
    """Two drop-ins that watch something would undo each other."""
    _add(main, "a.yaml", "watch: [{comm: a}]")
    _add(main, "b.yaml", "watch: [{comm: b}]")
    assert load_config(main).watch == (Watch(comm="rsync"), Watch(comm="a"), Watch(comm="b"))


def test_other_lists_are_replaced(main: Path) -> None:
    """The shipped actions of a rule could not be had otherwise."""
    _add(main, "a.yaml", "rules: {low: {actions: [log]}}\nprotect: {also: []}")
    expected = MAIN.replace("actions: [dump, log]", "actions: [log]").replace("[sshd, cron]", "[]")
    assert _same_as(main, expected)


def test_the_last_one_wins(main: Path) -> None:
    """Which of two files counts would depend on the file system."""
    for name, rate in (("20.yaml", 20), ("10.yaml", 10), ("9.yml", 9), ("100.yaml", 30)):
        _add(main, name, f"sampling: {{rate: {rate}Hz}}")
    assert load_config(main).sampling.rate_hz == 9
    names = [path.name for path in config_files(main)]
    assert names == ["memwatchd.yaml", "10.yaml", "100.yaml", "20.yaml", "9.yml"]


@pytest.mark.parametrize(
    "text",
    ["", "~", "# all of it\n", "sampling:\n", "watch:\nrules:\nprotect:\n", "rules: {low: , other: {}}"],
)
def test_nothing_changes_nothing(main: Path, text: str) -> None:
    """A drop-in of which everything is commented out would reset the section it is about."""
    _add(main, "a.yaml", text)
    assert _same_as(main, MAIN)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sampling:\n  rate:\n", "conf.d/a.yaml:2:8: sampling.rate: expected a rate from 1Hz to 1000Hz, "),
        ("rules: {low: {for: soon}}", "conf.d/a.yaml:1:20: rules.low.for: expected a duration"),
        ("\nrules:\n  lo: {for: 1s}", "conf.d/a.yaml:3:7: rules.lo: expected the key when: "),
        ("sampling: {rat: 1}", "conf.d/a.yaml:1:12: sampling.rat: unknown key; did you mean rate?"),
        ("a: [", "conf.d/a.yaml:1:5: expected YAML; "),
        ("log: {}\nlog: {}", "conf.d/a.yaml:2:1: expected 'log' once; it stands on line 1 already"),
        ("- a", "conf.d/a.yaml:1:1: expected a mapping with any of the keys sampling, watch, "),
        ("watch: {comm: a}", "conf.d/a.yaml:1:8: watch: expected a list of mappings; got a mapping"),
        ("watch: [{comm: a}, {}]", "conf.d/a.yaml:1:20: watch[2]: expected exactly one of comm, "),
        ("rules: []", "conf.d/a.yaml:1:8: rules: expected a mapping from names; got a list"),
        ("\n sampling: {rate: 2}", "memwatchd.yaml:2:45: sampling.sources.slabinfo: expected at most"),
    ],
)
def test_a_problem_is_where_it_stands(main: Path, text: str, problem: str) -> None:
    """The mistake would be looked for in the wrong file."""
    if "slabinfo" in problem:
        main.write_text(MAIN.replace("slabinfo: 1Hz", "slabinfo: 3Hz"))
    _add(main, "a.yaml", text)
    assert _problem(main).startswith(problem)


def test_problems_of_all_files_in_their_order(main: Path) -> None:
    """Mistakes would come to light one file at a time."""
    main.write_text("log: {level: loud}\n[")
    _add(main, "b.yaml", "\nring: {size: 1}")
    _add(main, "a.yaml", "*x")
    with pytest.raises(InvalidConfigError) as caught:
        load_config(main)
    places = [(Path(problem.file).name, problem.line) for problem in caught.value.problems]
    assert places == [("memwatchd.yaml", 2), ("a.yaml", 1), ("b.yaml", 2)]


def test_a_rule_that_was_incomplete_before(main: Path) -> None:
    """The drop-in would be blamed for what is missing in the file."""
    main.write_text("rules:\n  low: {for: 1s}")
    _add(main, "a.yaml", "rules: {low: {for: 2s}}")
    assert _problem(main).startswith("memwatchd.yaml:2:8: rules.low: expected the key when: ")


def test_what_is_no_drop_in(main: Path) -> None:
    """A backup copy, or the lock of an editor that is open right now, would stop the start."""
    for name in ("README", "a.yaml.bak", "a.yaml~", ".a.yaml", "a.YAML", ".yaml"):
        _add(main, name, "[broken")
    (main.parent / "conf.d" / ".#a.yaml").symlink_to("user@host.1234:5678")
    assert config_files(main) == [main]
    assert _same_as(main, MAIN)


def test_a_symbolic_link_is_followed(main: Path, tmp_path: Path) -> None:
    """Drop-ins managed elsewhere would not count."""
    (tmp_path / "managed").write_text("log: {level: debug}")
    (main.parent / "conf.d" / "a.yaml").symlink_to(tmp_path / "managed")
    assert load_config(main).log.level == "debug"


def test_entries_that_cannot_be_read(main: Path) -> None:
    """A drop-in that does not count would not be missed."""
    path = main.parent / "conf.d" / "a.yaml"
    path.mkdir()
    assert _problem(main) == "conf.d/a.yaml: cannot be read: Is a directory"
    path.rmdir()
    path.symlink_to("nowhere")
    assert _problem(main) == "conf.d/a.yaml: cannot be read: No such file or directory"
    path.unlink()
    path.symlink_to(path)
    assert _problem(main) == "conf.d/a.yaml: cannot be read: Too many levels of symbolic links"
    path.unlink()
    os.mkfifo(path)
    assert _problem(main) == "conf.d/a.yaml: cannot be read: expected a file; got a pipe"


def test_names_that_are_no_text(main: Path) -> None:
    """A stranger's file name would end the start with a UnicodeEncodeError, or write into the log."""
    directory = os.fsencode(main.parent / "conf.d")
    for name, text in ((b"\xff.yaml", "log: {level: loud}"), (b"a\n\x1b[31m.yaml", "ring: {size: large}")):
        Path(os.fsdecode(os.path.join(directory, name))).write_text(text)
    with pytest.raises(InvalidConfigError) as caught:
        load_config(main)
    lines = str(caught.value).split("\n")
    assert [line.split("/conf.d/")[1].split(": ")[0] for line in lines] == [
        "a\\x0a\\x1b[31m.yaml:1:14",
        "\\xff.yaml:1:14",
    ]


def test_too_many(main: Path) -> None:
    """A directory full of files by mistake would be read for minutes."""
    for number in range(100):
        _add(main, f"{number}.yaml", "watch: [{comm: a}]")
    assert len(load_config(main).watch) == 101
    _add(main, "a.yaml", "")
    assert _problem(main) == "conf.d: expected at most 100 drop-ins; got 101"


def test_all_files_share_one_allowance(main: Path) -> None:
    """A hundred files could take a hundred times the memory and time of one."""
    _add(main, "a.yaml", "#" * (1 << 19))
    _add(main, "b.yaml", "#" * (1 << 19))
    assert _problem(main).startswith("conf.d/b.yaml: expected at most ")
    _add(main, "a.yaml", "watch: [" + "{comm: a}," * 3000 + "]")
    _add(main, "b.yaml", "watch: [" + "{comm: a}," * 3000 + "]")
    with pytest.raises(InvalidConfigError) as caught:
        load_config(main)
    assert [problem.line for problem in caught.value.problems] == [3, 1]
    assert caught.value.problems[1].message.startswith("expected at most 16384 keys and values")


def test_no_directory(main: Path) -> None:
    """Without conf.d there would be no start."""
    (main.parent / "conf.d").rmdir()
    assert _same_as(main, MAIN)


def test_a_directory_that_is_none(main: Path) -> None:
    """What was meant as a drop-in would be passed over without a word."""
    (main.parent / "conf.d").rmdir()
    (main.parent / "conf.d").write_text("log: {level: debug}")
    assert _problem(main) == "conf.d: cannot be read: Not a directory"


def test_the_file_itself_comes_first(tmp_path: Path) -> None:
    """A mistyped path would be answered with the name of a directory nobody has heard of."""
    (tmp_path / "file").touch()
    with pytest.raises(InvalidConfigError, match=r"file/x\.yaml: cannot be read: Not a directory"):
        load_config(tmp_path / "file" / "x.yaml")


def test_beside_the_path_as_given(main: Path, tmp_path: Path) -> None:
    """Whoever links a shared file into a directory of his own would get the drop-ins of somebody else."""
    _add(main, "a.yaml", "log: {level: debug}")
    own = tmp_path / "own"
    (own / "conf.d").mkdir(parents=True)
    (own / "conf.d" / "b.yaml").write_text("log: {level: error}")
    link = own / "memwatchd.yaml"
    link.symlink_to(main)
    assert config_files(link) == [link, own / "conf.d" / "b.yaml"]
    assert load_config(link).log.level == "error"


def test_a_relative_path(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor could not jump to the place."""
    _add(main, "a.yaml", "log: {level: loud}")
    monkeypatch.chdir(main.parent)
    with pytest.raises(InvalidConfigError, match=r"^conf\.d/a\.yaml:1:14: log\.level: "):
        load_config(Path(main.name))


def test_a_pipe() -> None:
    """``memwatchd check --config /dev/stdin`` could not be used in a script."""
    reader, writer = os.pipe()
    try:
        os.write(writer, b"log: {level: debug}")
        os.close(writer)
        assert load_config(Path(f"/dev/fd/{reader}")).log.level == "debug"
        assert load_config(Path(f"/dev/fd/{reader}")) == Config()
    finally:
        os.close(reader)
