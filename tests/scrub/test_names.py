"""The stand-ins: which parts of a name are a stranger's, and which are everybody's."""

import pytest

from memwatchd.scrub.names import Names, hashed_id
from memwatchd.scrub.parts import scrub_cache, scrub_hardware, scrub_release

ID = "93a1f2c4" * 8
UUID = "0e5cf1a2-8a2b-4c3d-9e4f-001122334455"

CGROUPS = (
    ("/", "/"),
    ("/init.scope", "/init.scope"),
    ("/system.slice/ledger.service", "/system.slice/unit-1.service"),
    ("/user.slice/user-4242.slice/session-3.scope", "/user.slice/user-1001.slice/session-3.scope"),
    ("/user.slice/user-0.slice/user@0.service", "/user.slice/user-0.slice/user@0.service"),
    (f"/docker/{ID}", "/docker/id-1"),
    (f"/system.slice/docker-{ID}.scope", "/system.slice/docker-id-1.scope"),
    (f"/kubepods/burstable/pod{UUID}/{ID}", "/kubepods/burstable/podid-1/id-2"),
    (
        f"/kubepods.slice/kubepods-pod{UUID.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
        "/kubepods.slice/kubepods-podid-1.slice/cri-containerd-id-2.scope",
    ),
    ("/lxc/104/ns/ledger", "/lxc/104/ns/cgroup-1"),
    ("/lxc.payload.ledger/init.scope", "/lxc.payload.id-1/init.scope"),
    ("/machine.slice/libpod-ledger.scope/container", "/machine.slice/libpod-id-1.scope/container"),
    ("/ledger/web front", "/cgroup-1/cgroup-2"),
    ("../ledger", "../cgroup-1"),
)


@pytest.mark.parametrize(("path", "expected"), CGROUPS)
def test_a_cgroup_keeps_its_depth_and_what_everybody_has(path: str, expected: str) -> None:
    """Nobody could tell a pod from a login session any more."""
    assert Names().cgroup(path) == expected


def test_a_pod_is_the_same_in_both_spellings() -> None:
    """The driver of systemd writes underscores; the two halves of a log would not fit."""
    names = Names()
    assert names.cgroup(f"/kubepods/pod{UUID}") == "/kubepods/podid-1"
    assert (
        names.cgroup(f"/x.slice/kubepods-pod{UUID.replace('-', '_')}.slice")
        == "/unit-1.slice/kubepods-podid-1.slice"
    )


def test_stand_ins_are_given_in_order_and_once() -> None:
    """Two names would become one, or one name two."""
    names = Names()
    given = [names.comm(name) for name in ("ledger", "web", "ledger", "kswapd0", "memwatchd", "proc-1")]
    assert given == ["proc-1", "proc-2", "proc-1", "kswapd0", "memwatchd", "proc-3"]
    assert names.counts == {"proc": 3}


def test_users_are_renumbered_but_root_and_nobody() -> None:
    """A number tells who somebody is, where a directory gives it; that it was root tells something else."""
    names = Names()
    assert [names.uid(number) for number in ("275858", "0", "65534", "33", "0275858")] == [
        *("1001", "0", "65534", "1002", "1001")
    ]


def test_a_full_host_name_is_known_by_its_first_part() -> None:
    """The journal says web-7 where syslog says web-7.example.org."""
    names = Names()
    assert (names.host("web-7.example.org"), names.words["web-7"]) == ("host-1", "host-1")
    assert names.host("localhost") == "localhost"


def test_paths_but_usual_disks() -> None:
    """That swap is on a zram device is worth knowing, where it lies is not."""
    names = Names()
    assert [
        names.path(path) for path in ("/srv/a/b", "/dev/zram0", "/dev/mapper/x", "/srv/a/b (deleted)")
    ] == [*("/path-1", "/dev/zram0", "/path-2", "/path-1 (deleted)")]


RELEASES = (
    ("5.10.0-13-amd64", "5.10.0-13-amd64"),
    ("3.10.0-1160.6.1.el7.x86_64", "3.10.0-1160.6.1.el7.x86_64"),
    ("4.19.0-acme-prod7", "4.19.0-vendor-1-vendor-2"),
    (
        "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)",
        "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)",
    ),
    ("#97~20.04.1-Ubuntu", "#97~20.04.1-Ubuntu"),
)


@pytest.mark.parametrize(("text", "expected"), RELEASES)
def test_a_release_keeps_its_numbers(text: str, expected: str) -> None:
    """The version is what a diagnosis goes by; the company that built it is not."""
    assert scrub_release(Names(), text) == expected


def test_hardware_keeps_its_model() -> None:
    """A serial number names one machine; a model does not."""
    text = "Hewlett-Packard HP Z420 Workstation/1589, BIOS J61 v03.65 12/19/2013"
    assert scrub_hardware(Names(), text) == text
    assert scrub_hardware(Names(), "Acme R740/CN7016345678901, BIOS lab.acme.example 2.1") == (
        "Acme R740/serial-1, BIOS domain-1 2.1"
    )


def test_slab_caches_keep_their_names_but_those_of_cgroups() -> None:
    """Old kernels put the name of a unit into it."""
    names = Names()
    given = [scrub_cache(names, name) for name in ("kmalloc-64", "dentry(123:ledger.service)", "my cache")]
    assert given == ["kmalloc-64", "dentry(123:unit-1.service)", "cache-1"]


def test_ids_lead_nowhere() -> None:
    """A boot id stands in every journal of the machine."""
    identity = bytes(range(16))
    assert hashed_id(identity) == hashed_id(identity)
    assert len(hashed_id(identity)) == 16
    assert identity not in hashed_id(identity)
