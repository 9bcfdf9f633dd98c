"""The directory of incidents: names, reserved space, retention, and the second place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import BOOT_ID, MS, ZERO_REALTIME_NS, S

from memwatchd.errors import NotFoundError
from memwatchd.incidents.format import IncidentHeader
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.store import MAX_PENDING, Keep, Store, all_paths, find

NAME = "20231114T221320.123Z-kernel_kill.mwi"
MakeStore = Callable[..., Store]
MIB = 1 << 20


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    def make(count: int = 100, size_bytes: int = 1 << 30, age_ns: int = 10**18) -> Store:
        return Store(tmp_path / "incidents", tmp_path / "pending", Keep(count, size_bytes, age_ns), MIB)

    return make


def write(directory: Path, name: str, *, size: int = 0, age_s: float = 0) -> Path:
    """Put a file of this size and age there; the present is at 1,000,000 s."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_bytes(b"x" * size)
    os.utime(path, (1e6 - age_s, 1e6 - age_s))
    return path


def name_at(second: int) -> str:
    return f"20231114T2213{second:02}.000Z-kernel_kill.mwi"


# ---- names


def test_a_name_says_when_and_what(make_store: MakeStore) -> None:
    """Incidents could not be told apart in a listing."""
    store = make_store()
    assert store.name(ZERO_REALTIME_NS, "kernel_kill", store.directory) == store.directory / NAME
    assert store.name(ZERO_REALTIME_NS, "requested", store.pending).parent == store.pending


def test_names_sort_by_time(make_store: MakeStore) -> None:
    """`last` would show an old incident, and the newest would be removed first."""
    store = make_store()
    store.directory.mkdir()
    written = []
    for step_ms in (0, 0, 0, 1, 999, 1000, 86_400_000):
        path = store.name(ZERO_REALTIME_NS + step_ms * MS, "kernel_kill", store.directory)
        path.touch()
        written.append(path)
    assert store.paths() == written


def test_a_name_is_taken_once(make_store: MakeStore) -> None:
    """Two kills in a millisecond would overwrite one another, at once or when the second is settled."""
    store = make_store()
    for directory in (store.directory, store.pending):
        directory.mkdir()
    for directory in (store.directory, store.directory, store.pending, store.pending):
        path = store.name(ZERO_REALTIME_NS, "kernel_kill", directory)
        assert not path.exists()
        path.touch()
    assert len({path.name for path in (*store.paths(), *store.pending_paths())}) == 4


def test_an_incident_is_found_by_its_moment(make_store: MakeStore) -> None:
    """A start that died while it told of a death would have the next one tell of it again."""
    store = make_store()
    assert store.find(ZERO_REALTIME_NS, "kernel_kill") is None
    for directory in (store.pending, store.directory):
        directory.mkdir()
        (directory / NAME).touch()
        assert store.find(ZERO_REALTIME_NS, "kernel_kill") == directory / NAME
    assert store.find(ZERO_REALTIME_NS, "machine_died") is None
    assert store.find(ZERO_REALTIME_NS + MS, "kernel_kill") is None


def test_other_files_are_left_alone(make_store: MakeStore) -> None:
    """An administrator's notes would be listed, moved or removed."""
    store = make_store(count=1)
    for name in ("notes.txt", ".reserve", ".new", "x.mwi", NAME + ".bak"):
        write(store.directory, name, age_s=10**6)
    kept = write(store.directory, NAME)
    assert store.paths() == [kept]
    assert store.prune(1e6) == []
    assert len(list(store.directory.iterdir())) == 6


def test_no_directory_is_no_incidents(make_store: MakeStore) -> None:
    """The first start on a machine would fail."""
    store = make_store()
    assert (store.paths(), store.pending_paths(), store.settle_pending(), store.prune(0)) == ([], [], [], [])


# ---- reserved space


def test_space_is_there_before_it_is_needed(make_store: MakeStore) -> None:
    """On a full disk the incident could not be written at the one moment that counts."""
    store = make_store()
    store.reserve()
    (reserve,) = store.directory.iterdir()
    assert reserve.stat().st_size == MIB
    assert reserve.stat().st_blocks * 512 >= MIB
    inode = reserve.stat().st_ino
    writer = store.begin(IncidentHeader(b"i" * 16, BOOT_ID, ZERO_REALTIME_NS))
    writer.add_meta({"a": 1})
    writer.publish(store.directory / NAME)
    assert (store.directory / NAME).stat().st_ino == inode
    writer.finish()
    store.reserve()
    assert len(list(store.directory.iterdir())) == 2


# ---- waiting in memory


def pend(store: Store, second: int) -> Path:
    writer = store.begin_pending(IncidentHeader(b"%016d" % second, BOOT_ID, ZERO_REALTIME_NS + second * S))
    writer.add_meta({"second": second})
    path = store.name(ZERO_REALTIME_NS + second * S, "kernel_kill", store.pending)
    writer.publish(path)
    writer.finish()
    return path


def test_few_incidents_wait_in_memory_and_the_newest_do(make_store: MakeStore) -> None:
    """A broken disk would fill the memory of a machine that is short of it."""
    store = make_store()
    paths = [pend(store, second) for second in range(10)]
    assert store.pending_paths() == paths[-MAX_PENDING:]
    assert [open_incident(path).meta["second"] for path in store.pending_paths()] == [6, 7, 8, 9]


def test_waiting_incidents_are_moved_to_their_place(make_store: MakeStore) -> None:
    """They would be gone after a reboot."""
    store = make_store()
    waiting = [pend(store, second) for second in range(3)]
    settled = store.settle_pending()
    assert settled == [store.directory / path.name for path in waiting] == store.paths()
    assert store.pending_paths() == []
    assert [open_incident(path).meta for path in settled] == [{"second": second} for second in range(3)]
    assert settled[0].stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in store.directory.iterdir()) == [path.name for path in settled]


def test_what_cannot_be_moved_stays(make_store: MakeStore) -> None:
    """The only copy would be removed."""
    store = make_store()
    waiting = pend(store, 0)
    store.directory.mkdir()
    (store.directory / waiting.name).mkdir()  # in the way
    with pytest.raises(OSError, match="directory"):
        store.settle_pending()
    assert open_incident(waiting).complete
    assert [path.name for path in store.directory.iterdir()] == [waiting.name]


# ---- retention


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"count": 2}, [3, 4]),
        ({"count": 1}, [4]),
        ({"size_bytes": 3000}, [2, 3, 4]),
        ({"size_bytes": 2999}, [3, 4]),
        ({"size_bytes": 1}, [4]),  # the newest stays, however large
        ({"age_ns": 200 * S}, [2, 3, 4]),
        ({"age_ns": 0}, [4]),  # and however old
    ],
)
def test_the_newest_are_kept(make_store: MakeStore, limits: dict[str, int], kept: list[int]) -> None:
    """The disk would fill up, or the incident one is looking for would be gone."""
    store = make_store(**limits)
    paths = [
        write(store.directory, name_at(second), size=1000, age_s=100.0 * (4 - second)) for second in range(5)
    ]
    removed = store.prune(1e6)
    assert store.paths() == [paths[second] for second in kept]
    assert sorted(removed) == [path for path in paths if path not in store.paths()]


def test_an_old_incident_that_was_settled_late_counts_by_its_name(make_store: MakeStore) -> None:
    """The order of files on disk would decide which incident is the newest."""
    store = make_store(count=1)
    new = write(store.directory, name_at(9), age_s=50)
    write(store.directory, name_at(1), age_s=0)
    store.prune(1e6)
    assert store.paths() == [new]


def test_those_of_this_run_are_the_newest_and_as_old_as_they_are(make_store: MakeStore) -> None:
    """After the clock was set, names and dates would have the newest removed, or all of them."""
    store = make_store(count=3, age_ns=100 * S)
    others = [write(store.directory, name_at(second), age_s=10) for second in (30, 40)]
    first = write(store.directory, name_at(20), age_s=10**6)
    second = write(store.directory, name_at(10), age_s=10**6)
    assert store.prune(1e6, {first.name: 50.0, second.name: 5.0, name_at(50): 1.0}) == others[:1]
    assert store.prune(1e6, {first.name: 150.0, second.name: 105.0}) == [first]
    assert store.paths() == [second, others[1]]


def test_one_that_is_being_written_stays(make_store: MakeStore) -> None:
    """A dump while a kill is recorded would throw away what has not been written to its end."""
    store = make_store(count=1)
    spared, new = (write(store.directory, name_at(second)) for second in (1, 2))
    assert store.prune(1e6, spare=spared.name) == []
    assert store.prune(1e6) == [spared]
    assert store.paths() == [new]


# ---- finding


@pytest.fixture
def two_places(make_store: MakeStore) -> list[Path]:
    store = make_store()
    write(store.directory, name_at(1))
    write(store.directory, name_at(3))
    write(store.pending, name_at(5))
    return [store.directory, store.pending]


def test_an_incident_is_found_as_a_person_names_it(two_places: list[Path], tmp_path: Path) -> None:
    """An incident that is listed could not be shown."""
    directory, pending = two_places
    assert find(two_places, name_at(1)) == directory / name_at(1)
    assert find(two_places, name_at(3).removesuffix(".mwi")) == directory / name_at(3)
    assert find(two_places, "last") == pending / name_at(5)
    elsewhere = tmp_path / "copied.mwi"
    elsewhere.touch()
    assert find(two_places, str(elsewhere)) == elsewhere
    assert names(list(all_paths(two_places))) == [name_at(1), name_at(3), name_at(5)]


@pytest.mark.parametrize("wanted", ["nothing", "", "../x", "x" * 5000, "a\0b", "20231114"])
def test_what_is_not_there_is_said_in_one_sentence(two_places: list[Path], wanted: str) -> None:
    """A typing error would end in a traceback."""
    with pytest.raises(NotFoundError, match="no such incident"):
        find(two_places, wanted)


def test_last_of_none(tmp_path: Path) -> None:
    """`show last` on a healthy machine would end in a traceback."""
    with pytest.raises(NotFoundError, match="no incidents in"):
        find([tmp_path / "incidents", tmp_path / "pending"], "last")
