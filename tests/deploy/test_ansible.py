"""The Ansible role: it lints, its variables are described, it agrees with the units; try-in-tree runs it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.conftest import FindTool
from tests.deploy.pod import PROJECT

from memwatchd.config.serving import Exporter, write_listen

ANSIBLE = PROJECT / "deploy/ansible"
ROLE = ANSIBLE / "roles/memwatchd"


def read(path: str) -> Any:
    """A file of the role."""
    return yaml.safe_load((ROLE / path).read_text())


def ran(*words: str, home: Path) -> str:
    """Run a program of Ansible's; returns what it says."""
    environment = {**os.environ, "HOME": str(home), "ANSIBLE_HOME": str(home), "ANSIBLE_NOCOLOR": "1"}
    environment["PATH"] = f"{Path(words[0]).parent}:{environment['PATH']}"
    result = subprocess.run(
        words, cwd=ANSIBLE, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("inventory", ["inventory.example.yaml"])
def test_ansible_reads_the_playbook(tool: FindTool, tmp_path: Path, inventory: str) -> None:
    """It would end before the first task."""
    said = ran(tool("ansible-playbook"), "--syntax-check", "-i", inventory, "site.yaml", home=tmp_path)
    assert "playbook: site.yaml" in said


def test_ansible_lint_finds_nothing(tool: FindTool, tmp_path: Path) -> None:
    """What is known to go wrong on other people's machines."""
    ran(tool("ansible-lint"), "--offline", "--nocolor", home=tmp_path)


def test_the_example_s_hosts_get_what_they_should(tool: FindTool, tmp_path: Path) -> None:
    """The machines of the first week would act."""
    words = ["-i", "inventory.example.yaml", "--host"]
    found = {
        host: yaml.safe_load(ran(tool("ansible-inventory"), *words, host, home=tmp_path))
        for host in ("db1.example", "web1.example")
    }
    assert {host: each.get("memwatchd_policy") for host, each in found.items()} == {
        "db1.example": "record-only",
        "web1.example": None,
    }


def test_every_variable_is_described_and_has_its_default() -> None:
    """A variable would be unknown to whoever reads the description, or refused, or not be what it says."""
    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = read("defaults/main.yml")
    assert set(options) == set(defaults)
    # Said in words where it depends on the checkout, or is a list of packages.
    said = {name: option["default"] for name, option in options.items() if "default" in option}
    assert said == {name: value for name, value in defaults.items() if name in said}
    assert set(defaults) - set(said) == {"memwatchd_venv_packages", "memwatchd_systemd_dir"}


def test_policies_and_drop_ins_are_those_that_there_are() -> None:
    """One that comes later could not be chosen, one that is gone would end the play half way."""
    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    policies = {path.stem for path in (PROJECT / "src/memwatchd/etc/policies").glob("*.yaml")}
    assert set(options["memwatchd_policy"]["choices"]) == policies | {""}
    drop_ins = {path.stem for path in (PROJECT / "systemd/drop-ins").glob("*.conf")} - {"group"}
    assert set(options["memwatchd_drop_ins"]["choices"]) == drop_ins
    (forbidden,) = [task for task in read("tasks/configure.yml") if task["name"] == "Forbid it again"]
    assert all(f"'{name}'" in forbidden["loop"] for name in drop_ins)


def test_units_that_are_copied_are_those_that_there_are() -> None:
    """A virtual environment would lack a unit that the package has."""
    (task,) = [task for task in read("tasks/wheel.yml") if task["name"] == "Install the units"]
    units = {path.name for path in (PROJECT / "systemd").glob("memwatchd*.*") if path.suffix in _UNITS}
    assert set(task["loop"]) == units


_UNITS = (".service", ".slice", ".path", ".timer", ".socket")


def test_the_port_is_the_program_s() -> None:
    """Prometheus would look at another one."""
    assert read("defaults/main.yml")["memwatchd_exporter_listen"] == write_listen(Exporter().listen[0])


def test_nothing_but_ansible_s_own_modules_is_needed() -> None:
    """The role would want a collection that is not there."""
    for path in (ROLE / "tasks").glob("*.yml"):
        for task in yaml.safe_load(path.read_text()):
            modules = [key for key in task if "." in key]
            assert len(modules) == 1, (path.name, task["name"])
            assert modules[0].startswith("ansible.builtin."), (path.name, task["name"])


@pytest.mark.parametrize("script", ["try-in-tree", "try-in-lab"])
def test_the_trials_can_be_read(script: str) -> None:
    """A run of minutes would end with a syntax error."""
    path = ANSIBLE / script
    compile(path.read_text(), str(path), "exec")
    assert os.access(path, os.X_OK)
