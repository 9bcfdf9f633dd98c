"""What is made from the program's own tables: manual pages and completions."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memwatchd.actions.registry import ACTIONS
from memwatchd.cli import make_parser
from memwatchd.config.model import Config
from memwatchd.keys import Kind, walk_keys

PROJECT = Path(__file__).resolve().parents[2]
COMMANDS = ("run", "check", "show", "explain", "collect")


def made(script: str, *arguments: str) -> str:
    command = [sys.executable, str(PROJECT / "scripts" / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def rendered(page: str) -> str:
    """A page as roff; scdoc refuses what is not in its language."""
    if shutil.which("scdoc") is None:
        pytest.skip("scdoc is not installed")
    result = subprocess.run(["scdoc"], input=page, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_the_configuration_s_page_has_every_key_and_action() -> None:
    """An administrator without a network could not look a key up."""
    page = made("manual", "configuration")
    for path, key in walk_keys(Config):
        if key.of is None and key.kind is not Kind.STEPS:
            assert f"*{path}*".replace("_", r"\_").replace("[]", r"\[\]") in page, path
    for name in ACTIONS:
        assert f"## {name}\n" in page
    assert ".TH" in rendered(page)


def test_the_metrics_page_has_every_metric() -> None:
    """A query in the night would be guesswork."""
    from memwatchd.exporter.table import METRICS

    page = made("manual", "metrics")
    assert all(f"*{metric.full_name}*".replace("_", r"\_") in page for metric in METRICS)
    assert ".TH" in rendered(page)


def test_the_program_s_page_has_every_command() -> None:
    """A command would be known to those only who have read the README."""
    page = (PROJECT / "man/memwatchd.8.scd").read_text()
    usage = make_parser(()).format_help()
    names = [line.split()[0] for line in usage.splitlines() if line.startswith("    ") and line[4] != " "]
    assert set(COMMANDS) <= set(names)
    assert [name for name in names if f"*{name}*" not in page] == []
    assert ".TH" in rendered(page)


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["sh"], ["show"]), (["check", "--un"], ["--unit"]), (["signals", "--js"], ["--json"])],
)
def test_bash_completes(tmp_path: Path, words: list[str], expected: list[str]) -> None:
    """TAB would do nothing, or print an error into the command line."""
    (tmp_path / "completion").write_text(made("completions", "bash"))
    script = f"""
        source {tmp_path}/completion
        COMP_WORDS=(memwatchd {" ".join(words)}); COMP_CWORD={len(words)}
        function=$(complete -p memwatchd | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $function memwatchd {words[-1]} x
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_can_read_theirs(tmp_path: Path, shell: str) -> None:
    """A shell would complain at each start."""
    text = made("completions", shell)
    assert all(command in text for command in COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "completion").write_text(text)
    result = subprocess.run(
        [shell, "-n", tmp_path / "completion"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
