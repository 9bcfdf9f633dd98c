"""The DaemonSet's files: valid for Kubernetes, in agreement with each other and with the program."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.conftest import FindTool
from tests.deploy.pod import BASE, PROJECT, container, daemonset, pod_spec

from memwatchd import __version__
from memwatchd.cli import make_parser
from memwatchd.config.load import parse_config
from memwatchd.config.serving import Exporter, Listen

KUBERNETES = BASE.parent
# What a distribution of Python is called in Debian, where that is not python3- and its name.
NAMES = {"pyyaml": "python3-yaml", "systemd-python": "python3-systemd"}
VARIANTS = ("base", "kernel-messages")
DOCKERFILE = KUBERNETES / "Dockerfile"


def documents(text: str) -> list[dict[str, Any]]:
    """The documents of a YAML stream."""
    return [each for each in yaml.safe_load_all(text) if each]


def built(variant: str) -> str:
    """What kubectl would apply."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl here; kubectl kustomize needs no cluster")
    command = [kubectl, "kustomize", str(KUBERNETES / variant)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def arguments(name: str) -> Any:
    """A container's arguments, as the program reads them."""
    words = container(name)["args"]
    return make_parser(words[:1]).parse_args(words)


@pytest.mark.parametrize("variant", VARIANTS)
def test_kustomize_builds_it(variant: str) -> None:
    """``kubectl apply -k`` would fail, or start a recorder that has no configuration."""
    found = {each["kind"]: each for each in documents(built(variant))}
    assert set(found) == {"Namespace", "ConfigMap", "DaemonSet", "Service"}
    volumes = found["DaemonSet"]["spec"]["template"]["spec"]["volumes"]
    (name,) = [each["configMap"]["name"] for each in volumes if "configMap" in each]
    assert name == found["ConfigMap"]["metadata"]["name"]
    assert {each["metadata"].get("namespace") for each in found.values() if each["kind"] != "Namespace"} == {
        "memwatchd"
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_kubernetes_own_schema_takes_it(variant: str, tool: FindTool, tmp_path: Path) -> None:
    """A misspelt field would be refused by the cluster, or worse, be passed over."""
    validate = tool("kubernetes-validate")
    for name, text, good in (
        ("good", built(variant), True),
        ("bad", built(variant).replace("hostPID:", "hostPIDs:"), False),
    ):
        (tmp_path / name).write_text(text)
        command = [validate, "--strict", str(tmp_path / name)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (result.returncode == 0) == good, result.stdout + result.stderr


def test_the_program_takes_the_arguments() -> None:
    """The containers would end at once."""
    recorder, exporter = arguments("recorder"), arguments("exporter")
    assert recorder.runtime_dir == exporter.runtime_dir == Path("/run/memwatchd")
    port = container("exporter")["ports"][0]["containerPort"]
    assert exporter.listen == [Listen(host="0.0.0.0", port=port)]
    assert port == Exporter().listen[0].port


def test_what_arguments_name_is_mounted() -> None:
    """The recorder would read the container's own /proc, or write where nothing is kept."""
    recorder = arguments("recorder")
    volumes = {each["name"]: each for each in pod_spec()["volumes"]}
    mounts = {Path(each["mountPath"]): each for each in container("recorder")["volumeMounts"]}
    host = {
        path: (volumes[each["name"]].get("hostPath", {}).get("path"), each.get("readOnly", False))
        for path, each in mounts.items()
    }
    assert host == {
        recorder.procfs: ("/proc", True),
        recorder.sysfs: ("/sys", True),
        Path("/dev/kmsg"): ("/dev/kmsg", True),
        recorder.state_dir: ("/var/lib/memwatchd", False),
        recorder.runtime_dir: (None, False),
        recorder.config.parent: (None, True),
    }
    assert recorder.cgroupfs.is_relative_to(recorder.sysfs)


def test_it_has_no_more_rights_than_are_explained() -> None:
    """A right would creep in that nobody has thought of."""
    spec = pod_spec()
    assert "hostNetwork" not in spec
    assert "hostIPC" not in spec
    assert spec["automountServiceAccountToken"] is False
    contexts = {name: container(name)["securityContext"] for name in ("recorder", "exporter")}
    added = {name: context["capabilities"].get("add", []) for name, context in contexts.items()}
    assert added == {"recorder": ["IPC_LOCK", "SYS_NICE", "SYSLOG"], "exporter": []}
    for context in contexts.values():
        assert context["readOnlyRootFilesystem"]
        assert not context.get("privileged")
    assert [mount["readOnly"] for mount in container("exporter")["volumeMounts"]] == [True]


def test_the_configuration_is_good_and_touches_nothing() -> None:
    """The pods would crash, or act without the rights for it."""
    config = parse_config((BASE / "memwatchd.yaml").read_text(), "memwatchd.yaml")
    assert config.acting.dry_run
    assert not config.protect.enabled
    assert config.rules == ()


def test_services_and_monitors_find_the_pods() -> None:
    """Nothing would be scraped."""
    labels = daemonset()["spec"]["template"]["metadata"]["labels"]
    (service,) = documents((BASE / "service.yaml").read_text())
    (monitor,) = documents((KUBERNETES / "podmonitor.yaml").read_text())
    assert service["spec"]["selector"] == labels
    assert monitor["spec"]["selector"]["matchLabels"] == labels
    names = [port["name"] for port in container("exporter")["ports"]]
    assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == names
    assert [each["targetPort"] for each in service["spec"]["ports"]] == names


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: lines joined, comments gone."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined) if word]


def test_the_dockerfile_can_be_read() -> None:
    """An instruction that there is not, or a file that is not sent, ends a build after minutes."""
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in instructions()} <= known
    sent = re.findall(r"^!(.*)$", (KUBERNETES / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    assert sorted(name for names in copied for name in names) == sorted(sent)
    assert [name for name in sent if not (PROJECT / name).exists()] == []
    for word, rest in instructions():
        if word == "RUN":
            result = subprocess.run(["sh", "-n", "-c", rest], capture_output=True, text=True, check=False)
            assert (result.returncode, result.stderr) == (0, "")


def test_the_image_has_what_the_program_needs() -> None:
    """The container would end with an import error."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    names = [re.split("[>=]", each)[0] for each in project["dependencies"]]
    debian = {NAMES.get(name, f"python3-{name}") for name in names}
    last = max(place for place, (word, _) in enumerate(instructions()) if word == "FROM")
    installed = {each for word, rest in instructions()[last:] if word == "RUN" for each in rest.split()}
    assert debian - installed == set()


def test_image_and_program_are_of_one_version() -> None:
    """The image that is built by the README would not be the one that is started."""
    (image,) = yaml.safe_load((BASE / "kustomization.yaml").read_text())["images"]
    assert image["newTag"] == __version__
    assert f"-t memwatchd:{__version__} " in DOCKERFILE.read_text()
