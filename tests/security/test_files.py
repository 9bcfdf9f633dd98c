"""Links that lie where the daemon writes: whatever they point to stays as it is."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.incidents.boxes import status

from memwatchd.actions.changes import Changes
from memwatchd.errors import StartError
from memwatchd.incidents.blackbox import BoxState
from memwatchd.incidents.format import IncidentHeader
from memwatchd.incidents.store import Keep, Store
from memwatchd.kernel.files import open_own
from memwatchd.places import Places
from memwatchd.ring.file import create_ring
from memwatchd.ring.format import RingHeader, Stream
from memwatchd.service.boxfile import BoxFile
from memwatchd.service.control import listen
from memwatchd.service.start import take_directories
from memwatchd.state import write_state

PRECIOUS = b"precious" * 1000
LINKS: dict[str, Callable[[Path, Path], None]] = {
    "symbolic": lambda link, target: link.symlink_to(target),
    "hard": lambda link, target: os.link(target, link),
}
HEADER = IncidentHeader(bytes(16), bytes(16), 1)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "run", tmp_path / "state")
    made.incidents.mkdir(parents=True)
    made.pending.mkdir(parents=True)
    return made


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious"
    path.write_bytes(PRECIOUS)
    path.chmod(0o600)
    return path


def store(places: Places) -> Store:
    return Store(places.incidents, places.pending, Keep(10, 1 << 20, 10**18), 1 << 16)


def settle(places: Places) -> None:
    (places.pending / "20261121T082359.123Z-kernel_kill.mwi").write_bytes(b"x")
    store(places).settle_pending()


def make_ring(places: Places) -> None:
    create_ring(places.ring, RingHeader(4096, 8, Stream.SAMPLES, bytes(16), 1))


def make_box(places: Places) -> None:
    BoxFile(places.black_box, 1 << 20, status(state=BoxState.CALM)).close()


# What is written, and the name under which somebody has put a link.
WRITERS: dict[str, tuple[str, Callable[[Places], object]]] = {
    "reserve": ("state/incidents/.reserve", lambda places: store(places).reserve()),
    "incident": ("state/incidents/.reserve", lambda places: store(places).begin(HEADER)),
    "settled": ("state/incidents/.new", settle),
    "waiting": ("run/pending/.new", lambda places: store(places).begin_pending(HEADER)),
    "changes": ("run/changes.json.new", lambda places: Changes(places.changes).note("x", "y", {})),
    "changes themselves": ("run/changes.json", lambda places: Changes(places.changes).note("x", "y", {})),
    "state": ("run/.state.json.new", lambda places: write_state(places.state, {})),
    "ring": ("run/.ring.new", make_ring),
    "ring itself": ("run/ring", make_ring),
    "lock": ("run/lock", lambda places: take_directories(places)),
    "control socket": ("run/control.sock", lambda places: listen(places.control).close()),
    "black box": ("state/black-box", make_box),
}


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("writer", WRITERS)
def test_nothing_is_written_through_a_link(
    places: Places, precious: Path, tmp_path: Path, writer: str, kind: str
) -> None:
    """Whoever may put a link there could have any file of the machine overwritten, or opened to him."""
    where, write = WRITERS[writer]
    LINKS[kind](tmp_path / where, precious)
    with suppress(OSError, StartError):  # refusing is as good as replacing the link
        write(places)
    assert precious.read_bytes() == PRECIOUS
    assert precious.stat().st_mode & 0o777 == 0o600


def test_a_file_with_another_name_is_refused_with_a_reason(precious: Path, tmp_path: Path) -> None:
    """An administrator would not know why no incident is written."""
    os.link(precious, tmp_path / "link")
    with pytest.raises(OSError, match="has another name") as error:
        open_own(tmp_path / "link", os.O_RDWR | os.O_CREAT, 0o640)
    assert error.value.filename == str(tmp_path / "link")


def test_the_directory_of_somebody_else_is_refused(places: Places) -> None:
    """Where anybody may write, whoever comes first could have the daemon write where he likes."""
    if os.geteuid() != 0:
        pytest.skip("giving a directory away needs root")
    os.chown(places.runtime_dir, 65534, 65534)
    with pytest.raises(StartError, match="belongs to user 65534"):
        take_directories(places)
