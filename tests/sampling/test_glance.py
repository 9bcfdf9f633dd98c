"""A look at the kernel's files without a daemon."""

import os

from tests.descriptors import open_descriptors
from tests.sampling.conftest import Files

from memwatchd.sampling.glance import Glance
from memwatchd.sampling.plan import SourcePlan


def plans(files: Files, *names: str) -> list[SourcePlan]:
    """Plan to read these."""
    return [SourcePlan(name, str(files.directory / name)) for name in names]


def said(glance: Glance) -> dict[str, bytes]:
    """The texts by name."""
    texts = glance.recording.texts
    return {name: bytes(text.buffer[: text.size]) for name, text in texts.items()}


def test_what_is_there_is_read_and_read_again(files: Files) -> None:
    """``check`` would speak of another moment, or of another machine."""
    files.write("meminfo", b"MemFree: 1 kB\n")
    files.write("vmstat", b"pgpgin 1\n")
    with Glance(plans(files, "meminfo", "pressure", "vmstat")) as glance:
        assert said(glance) == {"meminfo": b"MemFree: 1 kB\n", "vmstat": b"pgpgin 1\n"}
        files.write("meminfo", b"MemFree: 22 kB\n")
        glance.look()
        assert said(glance)["meminfo"] == b"MemFree: 22 kB\n"


def test_one_that_is_refused_keeps_its_text_and_the_others_go_on(files: Files) -> None:
    """One odd file would end a command about all the others."""
    (files.directory / "slabinfo").mkdir()
    files.write("meminfo", b"MemFree: 1 kB\n")
    files.write("vmstat", b"pgpgin 1\n")
    with Glance(plans(files, "slabinfo", "meminfo", "vmstat")) as glance:
        files.refuse(glance._sources["meminfo"])
        files.write("vmstat", b"pgpgin 2\n")
        glance.look()
        assert said(glance) == {"meminfo": b"MemFree: 1 kB\n", "vmstat": b"pgpgin 2\n"}


def test_watched_files_are_taken_in_as_the_sampler_does(files: Files) -> None:
    """``check`` would call the signals of every watched process and cgroup absent."""
    files.write("usage", b"4096\n")
    entry = {"id": 40, "name": "cgroup/a/memory.current", "path": "x", "cgroup": "/a"}
    gone = {"id": 41, "name": "cgroup/b/memory.current", "path": "y", "cgroup": "/b"}
    descriptor = os.open(files.directory / "usage", os.O_RDONLY)
    directory = os.open(files.directory, os.O_RDONLY)
    with Glance([]) as glance:
        assert glance.add({"add": [entry, gone]}, [descriptor, directory])
        os.close(descriptor)
        os.close(directory)
        files.write("usage", b"8192\n")
        glance.look()
        assert said(glance) == {"cgroup/a/memory.current": b"8192\n"}
        assert glance.recording.entries == {"cgroup/a/memory.current": entry}
        assert glance.add({"remove": [40]}, [])


def test_nothing_stays_open(files: Files) -> None:
    """Every reload would cost the service as many descriptors as there are sources."""
    (files.directory / "slabinfo").mkdir()
    files.write("meminfo", b"MemFree: 1 kB\n")
    before = open_descriptors()
    with Glance(plans(files, "meminfo", "slabinfo", "none")):
        assert open_descriptors() > before
    assert open_descriptors() == before
