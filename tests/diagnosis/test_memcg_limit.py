"""A cgroup's limit."""

import pytest
from tests.diagnosis.reports import asked, case, found, quoted, report

from memwatchd.diagnosis.memcg_limit import CONFIDENCE_CACHE, WEIGHT_CACHE, examine
from memwatchd.oomreport.report import ALLOCATION_FAILURE, GLOBAL, MEMCG, Event, Memcg, Task, Victim

UNLIMITED_KB = 9_007_199_254_740_988
DOCKER = "/docker/34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6"
TEXTS = {1: "the request", 5: "memory: usage", 6: "anon", 7: "cache", 90: "Killed process"}
LINES = {"usage_kb": 5, "limit_kb": 5, "cache": 7}


def killed(memcg: Memcg | None, *tasks: Task, **others: object) -> Event:
    victim = Victim(11344, "main", anon_rss_kb=183_712, line=90)
    scope = others.pop("scope", MEMCG)
    return report(
        asked("GFP_KERNEL"),
        scope=scope,
        memcg=memcg,
        victim=victim,
        tasks=tasks,
        texts=TEXTS,
        **others,  # type: ignore[arg-type]
    )


def v2(limit_kb: int, **kb: int) -> Memcg:
    path = "/system.slice/app.service"
    statistics = {"anon": 0} | {name: amount * 1024 for name, amount in kb.items()}
    return Memcg(
        path,
        path,
        limit_kb,
        limit_kb,
        12,
        swap_limit_kb=0,
        swap_usage_kb=0,
        statistics=statistics,
        lines=LINES,
    )


def test_a_docker_container_of_cgroup_v1() -> None:
    """The commonest of all kills would not say whose limit it was."""
    memcg = Memcg(
        DOCKER,
        DOCKER,
        204_800,
        204_800,
        4563,
        memsw_usage_kb=0,
        memsw_limit_kb=UNLIMITED_KB,
        kmem_usage_kb=7524,
        kmem_limit_kb=UNLIMITED_KB,
        statistics={
            "cache": 108 << 10,
            "rss": 197_168 << 10,
            "active_anon": 197_168 << 10,
            "inactive_anon": 0,
        },
        lines=LINES,
    )
    task = Task(11344, 0, 11344, "main", rss_pages=46_185)
    finding = found(examine(case(killed(memcg, task))))
    assert (finding.weight, finding.confidence) == (1, 0.99)
    assert finding.summary == (
        "The memory limit of the container 34186d9bd077 of Docker was met: 200 MiB of 200 MiB. It was"
        " filled by processes' own memory 193 MiB."
    )
    assert quoted(finding) == ["memory: usage", "cache", "Killed process", "the request"]
    assert finding.advice.change[0].startswith(
        "If it needs that much, raise it with `docker update --memory 1g"
    )
    assert finding.advice.change[1].startswith("main (11344) is its largest process with 180 MiB")
    assert "/sys/fs/cgroup/memory/docker/" in finding.advice.check[0]
    assert finding.figures["anon_kb"] == 197_168


def test_the_limit_is_an_ancestors() -> None:
    """Raising the container's own limit would change nothing."""
    pod = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-poda5d8fdd1.slice"
    inner = f"{pod}/cri-containerd-9192cb33411f.scope"
    memcg = Memcg(
        "/kubepods.slice",
        inner,
        7_464_436,
        7_464_436,
        1133,
        swap_usage_kb=0,
        swap_limit_kb=UNLIMITED_KB,
        statistics={"anon": 7_601_418_240, "file": 24_576, "shmem": 8192, "slab": 5_454_816, "sock": 4096},
        group_kill=inner,
    )
    finding = found(examine(case(killed(memcg))))
    assert finding.summary == (
        "The memory limit of /kubepods.slice, all pods of this Kubernetes node together (node allocatable)"
        " was met: 7.12 GiB of 7.12 GiB. It was filled by processes' own memory 7.08 GiB. The killed"
        " process lived in the container 9192cb33411f in the pod a5d8fdd1 of Kubernetes; that one's own"
        " limit was not the one that was met, and others below the limit may have used as much. All"
        f" processes of {inner} were killed together (1 of them), by memory.oom.group."
    )


@pytest.mark.parametrize(
    ("kb", "words"),
    [
        ({"anon": 100_000, "shmem": 900_000, "file": 900_000}, "the files stay"),
        ({"file": 950_000, "file_dirty": 900_000}, "of which 879 MiB waited to be written"),
        ({"file": 950_000}, "Page cache can be taken back"),
        ({"anon": 300_000, "slab": 600_000}, "kernel memory 586 MiB and processes' own memory 293 MiB"),
        ({"anon": 300_000, "kernel": 600_000, "slab": 500_000}, "kernel memory 586 MiB and"),
        ({"anon": 300_000, "sock": 650_000}, "socket buffers 635 MiB"),
        ({"anon": 300_000, "zswap": 650_000}, "compressed swap 635 MiB"),
    ],
)
def test_what_filled_it(kb: dict[str, int], words: str) -> None:
    """A tmpfs or a socket would be looked for among processes."""
    assert words in found(examine(case(killed(v2(1_000_000, **kb))))).summary


def test_swap_that_may_not_be_used() -> None:
    """A swap limit of 0 is easily forgotten."""
    assert "may not use swap" in found(examine(case(killed(v2(1_000_000, anon=990_000))))).summary


def test_memory_that_was_swapped_out_already() -> None:
    """A leak four times the limit would look like one just above it."""
    memcg = Memcg(
        "/leaker", "/leaker", 524_288, 524_288, 1, 2_592_556, UNLIMITED_KB, statistics={"rss": 516_948 << 10}
    )
    assert "1.97 GiB of it had been swapped out already." in found(examine(case(killed(memcg)))).summary


def test_the_memory_and_swap_limit() -> None:
    """With memory below its limit the reader would think of a mistake."""
    memcg = Memcg("/a", "/a", 8000, 10_240, 54, 10_240, 10_240, statistics={"rss": 8000 << 10})
    assert "The memory+swap limit of the cgroup /a was met" in found(examine(case(killed(memcg)))).summary


def test_a_tiny_limit() -> None:
    """A typing error in a unit looks like this."""
    finding = found(examine(case(killed(Memcg("/ltp", "/ltp", 132, 132, 9)))))
    assert "A limit as small as this" in finding.summary


def test_an_unlimited_group() -> None:
    """A figure of 8 EiB would stand in the summary."""
    finding = found(examine(case(killed(Memcg("/a", "/a", 5000, UNLIMITED_KB, 0)))))
    assert "had no limit of its own" in finding.summary
    assert finding.figures["limit_kb"] is None


def test_shared_memory_of_old_kernels() -> None:
    """Until 4.16 a tmpfs is counted as page cache, and would be called that."""
    statistics = {"cache": 800 << 20, "rss": 100 << 20, "active_anon": 850 << 20, "inactive_anon": 20 << 20}
    memcg = Memcg("/a", "/a", 921_600, 921_600, 1, statistics=statistics)
    finding = found(examine(case(killed(memcg))))
    assert "shared memory and tmpfs 770 MiB and processes' own memory 100 MiB" in finding.summary


def test_a_lone_line() -> None:
    """Rate limits leave only the kill, which says enough."""
    finding = found(examine(case(killed(None))))
    assert (finding.weight, finding.confidence) == (1, 0.9)
    assert "which the text does not name" in finding.summary


def test_the_trace_tells_when_all_else_is_cut() -> None:
    """A report without its end would have no scope."""
    event = Event("oom_kill", trace=("dump_header", "mem_cgroup_out_of_memory"))
    assert found(examine(case(event))).confidence == 0.85


@pytest.mark.parametrize(
    "event",
    [
        killed(Memcg(task_of="/system.slice/a.service"), scope=GLOBAL),
        killed(None, scope=None),
        killed(None, kind=ALLOCATION_FAILURE),
    ],
)
def test_global_kills_are_not(event: Event) -> None:
    """The cgroup a victim lived in has nothing to do with a shortage of the machine."""
    assert examine(case(event)) is None


CACHE = "cache: kmalloc-1024(1793:c8edefa90517), object size: 1024, buffer size: 1024, default order: 3"


def test_a_cache_of_a_cgroup_that_cannot_grow() -> None:
    """Containers fail for a limit on kernel memory, and nothing but the name of the cache tells so."""
    event = report(asked("GFP_KERNEL"), kind=ALLOCATION_FAILURE, manner="slub", texts={1: "SLUB", 2: CACHE})
    finding = found(examine(case(event)))
    assert (finding.weight, finding.confidence) == (WEIGHT_CACHE, CONFIDENCE_CACHE)
    assert finding.summary.startswith(
        "The cgroup c8edefa90517 got no memory for its kernel objects (kmalloc-1024)"
    )
    assert quoted(finding) == ["SLUB", CACHE]


def test_a_cache_of_the_machine_that_cannot_grow() -> None:
    """Every slab that fails would be put on a cgroup."""
    texts = {1: "SLUB", 2: "cache: page->ptl, object size: 72, buffer size: 72, default order: 0"}
    event = report(asked("GFP_KERNEL"), kind=ALLOCATION_FAILURE, manner="slub", texts=texts)
    assert examine(case(event)) is None
