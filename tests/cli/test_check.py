"""What ``memwatchd check`` says of a configuration, on a machine made of files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.test_cli import Cli, Result, cli, documented
from tests.conftest import FIXTURES, meminfo

__all__ = ["cli"]

RULES = """
watch: [{cgroup: /none}]
rules:
  low:
    why: Too little is left.
    when: meminfo.MemAvailable < 30% of meminfo.MemTotal
    for: 200ms
    actions:
      - drop_caches
      - {after: 500ms, log: {message: "still {reason}"}}
  plenty:
    when: meminfo.MemAvailable >= 30% of meminfo.MemTotal
    severity: warn
  slow:
    when: rate(meminfo.MemAvailable, 10min) < 0
  watched:
    when: cgroup."/none".usage > 1GiB
"""

Check = Callable[..., Result]


@pytest.fixture
def check(cli: Cli, tmp_path: Path) -> Check:
    """Check a configuration against a machine with these sources only."""
    proc = tmp_path / "proc"
    (proc / "sys/vm").mkdir(parents=True)
    (proc / "meminfo").write_bytes(meminfo(MemAvailable=200_000, MemFree=1000, SReclaimable=4096))
    (proc / "sys/vm/drop_caches").write_text("0\n")

    def run(text: str, *arguments: str) -> Result:
        (tmp_path / "my.yaml").write_text(text)
        where = ["--path.procfs", proc, "--path.sysfs", tmp_path, "--path.cgroupfs", tmp_path]
        return cli("check", "--config", tmp_path / "my.yaml", *where, *arguments)

    return run


def test_every_rule_is_said_in_english(check: Check) -> None:
    """An administrator would find out in the night what he has written."""
    result = check(RULES)
    assert (result.status, result.err) == (0, "")
    low = result.out.split("low  (act)\n")[1].split("\n\n")[0].splitlines()
    assert low[:3] == [
        "  why      Too little is left.",
        "  rule     When meminfo.MemAvailable is below 30% of meminfo.MemTotal for 200ms: drop_caches; then "
        "if it still holds 500ms later, log. It is over when the condition fails by a tenth. It may begin "
        "anew 10s after its last action, at most 60 times an hour.",
        "  now      true: meminfo.MemAvailable (195 MiB) is below 30% of meminfo.MemTotal (977 MiB)",
    ]
    assert low[3].startswith("  action   drop_caches: would write 2 to ")
    assert "  action   after 500ms log: would log as warning: still {reason}" in low
    assert "  now      not true: " in result.out.split("plenty  (warn)\n")[1].split("\n\n")[0]
    assert "  now      not known yet: " in result.out.split("slow  (act)\n")[1].split("\n\n")[0]
    assert "  now      not here now: cgroup" in result.out.split("watched  (act)\n")[1]


def test_the_files_and_the_effective_configuration_are_shown(check: Check, tmp_path: Path) -> None:
    """What a drop-in changed would have to be worked out by hand."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/10-less.yaml").write_text("rules: {low: {for: 1s}, slow: {enabled: false}}")
    out = check(RULES).out
    assert out.startswith(f"read {tmp_path}/my.yaml\nread {tmp_path}/conf.d/10-less.yaml\n\nsampling:\n")
    assert "for 1s: drop_caches" in out
    assert "\nslow  (" not in out
    effective = check(RULES, "--effective").out
    assert effective in out
    (tmp_path / "conf.d/10-less.yaml").unlink()
    assert check(effective, "--effective").out == effective


def test_what_is_missing_is_named(check: Check, tmp_path: Path) -> None:
    """The first refusal of the kernel would come when it matters."""
    (tmp_path / "proc/sys/vm/drop_caches").unlink()
    out = check(RULES).out
    assert f"           missing: {tmp_path}/proc/sys/vm/drop_caches: No such file or directory" in out
    assert f"missing  drop_caches: {tmp_path}/proc/sys/vm/drop_caches: No such file or directory" in out


def test_a_rule_that_can_never_fire_is_refused(check: Check, tmp_path: Path) -> None:
    """A rule for another kernel would rest for years without anybody knowing."""
    text = "rules: {high: {when: zone.HighMem.free < 1MiB}}"
    result = check(text)
    assert result.status == 4
    expected = "expected signals of this machine, or optional: true; got zone.HighMem.free"
    assert f"{tmp_path}/my.yaml: rules.high.when: {expected}" in result.err
    assert check(text.replace("1MiB", "1MiB, optional: true")).status == 0


def test_problems_come_with_their_place(check: Check, tmp_path: Path) -> None:
    """A person would have to look for them."""
    result = check("rules:\n  low:\n    when: meminfo.MemAvailable < 2s\n")
    assert result.status == 4
    expected = "expected the same on both sides; got bytes on the left, seconds on the right"
    assert result.line.startswith(f"memwatchd: {tmp_path}/my.yaml:3:32: rules.low.when: {expected}")


def test_the_web_configuration_is_checked(check: Check, tmp_path: Path) -> None:
    """The exporter alone would find out, when the daemon has long been started with it."""
    web = tmp_path / "web.yaml"
    text = f"exporter: {{web_config: {web}}}\n"
    web.write_text("http_server_config:\n  headers: {X-Frame-Options: none}\n")
    result = check(text)
    assert (result.status, f"\nread {web}\n" in result.out) == (4, True)
    assert result.err == f"memwatchd: {web}:2:30: X-Frame-Options: expected deny or sameorigin\n"
    web.write_text("tls_server_config: {cert_file: a.crt, key_file: a.key}\n")
    absent = "expected a file that can be read; No such file or directory"
    line = f"memwatchd: {web}: tls_server_config.cert_file: {tmp_path}/a.crt: {absent}\n"
    assert check(text).err == line
    web.write_text("")
    assert (check(text).status, check(text).err) == (0, "")
    web.unlink()
    assert check(text).err == f"memwatchd: {web}: No such file or directory\n"
    assert check(f"exporter: {{enabled: false, web_config: {web}}}").status == 0


def test_json(check: Check) -> None:
    """A script would read sentences."""
    found = json.loads(check(RULES, "--json").out)
    assert set(found) == documented("check")
    assert [(rule["name"], rule["holds"]) for rule in found["rules"]] == [
        ("low", True),
        ("plenty", False),
        ("slow", None),
        ("watched", None),
    ]
    assert found["configuration"]["rules"]["low"]["for_ns"] == 200_000_000
    assert found["rules"][0]["actions"][0]["targets"][0]["name"] == "SReclaimable"


ETC = FIXTURES.parents[1] / "etc"
PROC = FIXTURES / "debian12-6.18/proc"
ROOTS = ("--path.procfs", PROC, "--path.sysfs", PROC, "--path.cgroupfs", PROC)


@pytest.mark.parametrize("policy", sorted(path.name for path in (ETC / "policies").iterdir()))
def test_shipped_policies_are_good_on_a_usual_machine(cli: Cli, policy: str) -> None:
    """Somebody would install a policy that is refused."""
    result = cli("check", "--config", ETC / "policies" / policy, *ROOTS)
    assert (result.status, result.err) == (0, "")


def test_the_shipped_configuration_is_good_on_a_usual_machine(cli: Cli) -> None:
    """The daemon would refuse what comes with it."""
    result = cli("check", *ROOTS)
    assert (result.status, result.err) == (0, "")
