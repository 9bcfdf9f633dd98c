"""The configuration of the run: the shipped one, whose rules only say what they would do, and its own rules.

What acts here can only hit the children of this run: each acting rule looks at a cgroup that was made for it,
and selects by that cgroup.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from memwatchd.config.load import SHIPPED_CONFIG

WATCHED_COMM = "soak-watched"
BEFORE_S, AFTER_S, MERGE_S = 5, 1, 10
# So that retention has something to do every minute.
KEEP_COUNT, KEEP_BYTES = 20, 12 << 20
RATE_HZ = 200


@dataclass(frozen=True, slots=True)
class Names:
    """What this run calls its own.

    Attributes:
        prefix: How its cgroups begin, below the root of the tree.
    """

    prefix: str
    pid_file: Path
    hook: Path

    @property
    def leak(self) -> str:
        """Cgroup whose processes the rules act on."""
        return f"{self.prefix}-leak"

    @property
    def guest(self) -> str:
        """Cgroup that comes and goes."""
        return f"{self.prefix}-guest"

    @property
    def limited(self) -> str:
        """Cgroup with a limit, in which the kernel kills."""
        return f"{self.prefix}-limit"


def write_config(directory: Path, names: Names, port: int) -> Path:
    """Write the configuration into a directory; returns the path of its main file."""
    path = directory / "memwatchd.yaml"
    path.write_text(SHIPPED_CONFIG.read_text())
    (directory / "conf.d").mkdir(exist_ok=True)
    (directory / "conf.d" / "10-soak.yaml").write_text(_as_yaml(_changes(names, port)))
    write_variant(path, 0)
    return path


def write_variant(path: Path, number: int) -> None:
    """Change what a reload may change, by turns; every fifth one is wrong and has to be refused."""
    budget = ("5%", "4%", "6%")[number % 3]
    changes: dict[str, object] = {
        "sampling": {"budget": {"calm": budget}},
        "log": {"level": ("info", "debug")[number // 2 % 2]},
        "rules": {"soak-idle": {"when": f"meminfo.MemFree < {number % 7}MiB - 1TiB", "actions": ["log"]}},
    }
    if is_wrong(number):
        changes["sampling"] = {"rate": "5 apples"}
    beside = path.parent / "90-variant.new"
    beside.write_text(_as_yaml(changes))
    beside.rename(path.parent / "conf.d" / "90-variant.yaml")


def is_wrong(number: int) -> bool:
    """Whether this variant has a mistake in it."""
    return number % 5 == 4


def _changes(names: Names, port: int) -> dict[str, object]:
    return {
        "ring": {"size": "4MiB"},
        "incidents": {
            "before": f"{BEFORE_S}s",
            "after": f"{AFTER_S}s",
            "merge_limit": f"{MERGE_S}s",
            "keep": {"count": KEEP_COUNT, "size": KEEP_BYTES},
        },
        "exporter": {"listen": f"127.0.0.1:{port}"},
        "protect": {"list": ["no-such-process"]},
        "watch": [
            {"comm": WATCHED_COMM, "fds": True},
            {"pid_file": str(names.pid_file)},
            *({"cgroup": name} for name in (names.leak, names.guest, names.limited)),
        ],
        "rules": {**_shipped_rules_in_dry_run(), **_own_rules(names)},
    }


def _shipped_rules_in_dry_run() -> dict[str, object]:
    shipped = yaml.safe_load(SHIPPED_CONFIG.read_text())["rules"]
    return {name: {"dry_run": True} for name in shipped}


def _own_rules(names: Names) -> dict[str, object]:
    """Rules that fire each time a child in the cgroup `leak` grows, and end it at last."""
    usage, select = f"cgroup.{json.dumps(names.leak)}.usage", {"cgroup": names.leak}
    often = {"cooldown": "1s", "max_per_hour": 3600}
    return {
        "soak-dry": {
            "when": f"{usage} > 8MiB",
            "dry_run": True,
            "actions": [{"kill": {"select": select}}],
            **often,
        },
        "soak-first": {
            "when": f"{usage} > 12MiB",
            "actions": [
                {"oom_score_adj": {"select": select, "raise_by": 300}},
                {"freeze": {"select": select, "how": "process", "for": "100ms"}},
                {"hook": {"program": str(names.hook)}},
                {"log": {"message": "soak: it grows"}},
            ],
            **often,
        },
        "soak-kill": {
            "when": f"{usage} > 32MiB",
            "actions": ["dump", {"kill": {"select": select, "signal": "KILL"}}],
            **often,
        },
    }


def _as_yaml(changes: dict[str, object]) -> str:
    text: str = yaml.safe_dump(changes)
    return text
