"""The direction of imports: a lower layer never imports a higher one."""

import ast
from pathlib import Path

import memwatchd

ROOT = Path(memwatchd.__file__).parent

# Lowest first. A module imports from its own line and from the lines above it.
LAYERS = (
    ("errors", "roots", "places", "units", "keys", "__init__"),
    ("procfs", "oomreport", "state", "expression"),
    ("ring",),
    ("kernel", "signals"),
    ("rules", "diagnosis", "scrub"),
    ("actions",),
    ("config",),
    ("sampling", "hooks"),
    ("incidents",),
    ("views",),
    ("export",),
    ("exporter",),
    ("service",),
    ("cli", "__main__"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Pure packages: bytes and values in, values out.
PURE = ("procfs", "oomreport", "expression", "signals", "rules", "diagnosis", "scrub")
IMPURE_MODULES = {"os", "time", "socket", "subprocess", "threading", "pathlib", "io", "mmap", "ctypes"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_module_has_a_layer() -> None:
    """A new package that nobody placed would escape the rule."""
    assert {layer_of(path) for path in modules()} <= set(RANK)


def test_lower_layers_never_import_higher_ones() -> None:
    """A cycle would make the recorder depend on its own viewers."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules()
        for name in imported(path)
        if name.startswith("memwatchd.")
        and RANK.get(name.split(".")[1], RANK["errors"]) > RANK[layer_of(path)]
    ]
    assert wrong == []


def test_pure_packages_do_no_input_or_output() -> None:
    """Parsers with side effects could not be run over the past."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules()
        if layer_of(path) in PURE
        for name in imported(path)
        if name.split(".")[0] in IMPURE_MODULES
    ]
    assert wrong == []


def test_the_sampler_stays_small() -> None:
    """yaml, psutil or systemd in the sampler would cost megabytes of locked memory."""
    reachable, new = set[str](), {"memwatchd.sampling.__main__"}
    while new:
        reachable |= new
        found: set[str] = set()
        for name in new:
            path = ROOT.joinpath(*name.split(".")[1:])
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            found |= imported(file) if file.is_file() else {name}
        new = found - reachable
    assert not {name.split(".")[0] for name in reachable} & {"yaml", "psutil", "systemd", "prometheus_client"}
