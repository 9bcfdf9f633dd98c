"""Reading a unit as systemd does: places, drop-ins, lines that add and lines that begin anew."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.errors import ConfigError
from memwatchd.service.sandbox import Sandbox
from memwatchd.service.unitfile import Unit, read_unit

BASE = r"""
# a comment
[Unit]
Description=not a directive of the service
ProtectHome=yes
[Service]
  ExecStart=/usr/bin/memwatchd run \
# a comment between
    --config "/etc/my file.yaml"
ReadWritePaths=/a /b
; another comment
ReadWritePaths=/c
PrivateTmp=true
broken line
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """Three places for units, the most important first."""
    made = [tmp_path / each for each in ("etc", "run", "lib")]
    for place in made:
        (place / "x.service.d").mkdir(parents=True)
    return made


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_lines_of_the_service_section(places: list[Path]) -> None:
    """A directive would be missed, or one that is none be believed."""
    put(places[2] / "x.service", BASE)
    unit = read_unit("x", places)
    assert unit == Unit(
        "x.service",
        (places[2] / "x.service",),
        (
            ("ExecStart", '/usr/bin/memwatchd run  --config "/etc/my file.yaml"'),
            ("ReadWritePaths", "/a /b"),
            ("ReadWritePaths", "/c"),
            ("PrivateTmp", "true"),
        ),
    )
    assert unit.command() == ["/usr/bin/memwatchd", "run", "--config", "/etc/my file.yaml"]
    assert unit.words("ReadWritePaths") == ["/a", "/b", "/c"]
    assert (unit.flag("PrivateTmp"), unit.flag("ProtectHome")) == (True, False)


def test_drop_ins_in_the_order_of_their_names(places: list[Path]) -> None:
    """What an administrator has changed would not count."""
    etc, run, lib = places
    put(lib / "x.service", BASE)
    put(lib / "x.service.d/50-b.conf", "[Service]\nUser=lib-b\n")
    put(run / "x.service.d/10-a.conf", "[Service]\nUser=run-a\nReadWritePaths=\n")
    put(etc / "x.service.d/50-b.conf", "[Service]\nUser=etc-b\n")
    put(lib / "service.d/20-all.conf", "[Service]\nUser=all\nReadWritePaths=/d\n")
    put(etc / "x.service.d/60.txt", "[Service]\nUser=no drop-in\n")
    (etc / "x.service.d/70-off.conf").symlink_to("/dev/null")
    unit = read_unit("x.service", places)
    assert [path.name for path in unit.files] == ["x.service", "10-a.conf", "20-all.conf", "50-b.conf"]
    assert unit.values("User") == ["run-a", "all", "etc-b"]
    assert unit.words("ReadWritePaths") == ["/d"]


def test_the_more_important_place_counts(places: list[Path]) -> None:
    """The package's unit would be checked, and the administrator's own be the one that runs."""
    put(places[0] / "x.service", "[Service]\nUser=mine\n")
    put(places[2] / "x.service", "[Service]\nUser=theirs\n")
    assert read_unit("x", places).value("User") == "mine"


def test_a_file_has_its_drop_ins_beside_it(places: list[Path]) -> None:
    """A unit could not be checked before it is installed."""
    put(places[2] / "x.service", BASE)
    put(places[2] / "x.service.d/a.conf", "[Service]\nUser=a\n")
    assert read_unit(str(places[2] / "x.service")).value("User") == "a"


@pytest.mark.parametrize("what", ["none", "/none/x.service"])
def test_no_such_unit(places: list[Path], what: str) -> None:
    """The command would end in a traceback, or check nothing and say that all is well."""
    with pytest.raises(ConfigError, match="none"):
        read_unit(what, places)


DIRECTIVES = (
    *(
        "User=",
        "DynamicUser=",
        "CapabilityBoundingSet=",
        "SystemCallFilter=",
        "DeviceAllow=",
        "ReadWritePaths=",
    ),
    *(
        "ProtectSystem=",
        "ProtectHome=",
        "RestrictAddressFamilies=",
        "[Service]",
        "\\",
        "~",
        "-",
        "'",
        "=",
        "\n",
        " ",
    ),
)


@given(pieces=st.lists(st.sampled_from(DIRECTIVES) | st.text(max_size=10), max_size=30))
def test_any_text_is_a_unit_of_some_kind(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    """A unit that somebody has mistyped would end `memwatchd check --unit` in a traceback."""
    path = tmp_path_factory.getbasetemp() / "any.service"
    path.write_text("[Service]\n" + "".join(pieces), errors="replace")
    box = Sandbox(read_unit(str(path)))
    for found in (
        *(box.root(), box.capability("CAP_KILL"), box.system_call("swapon"), box.family("AF_UNIX")),
        *(box.writable("/proc/sys/vm/x"), box.readable("/home/a"), box.kernel_log(), box.realtime()),
    ):
        assert found is None or found.remedy
    assert isinstance(box.unit.command(), list)
