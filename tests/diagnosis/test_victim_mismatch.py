"""Who was killed, and who was not."""

from tests.diagnosis.reports import asked, case, found, quoted, report, zone

from memwatchd.diagnosis.victim_mismatch import examine
from memwatchd.oomreport.report import ALLOCATION_FAILURE, MEMCG, Event, Memcg, Quote, Task, Victim

NORMAL = zone("Normal", 8000, (8160, 12240), managed=8_000_000)
DOCKER = "/docker/34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6"


def killed(victim: Victim, *tasks: Task, **others: object) -> Event:
    return report(asked("GFP_HIGHUSER_MOVABLE"), NORMAL, victim=victim, tasks=tasks, **others)  # type: ignore[arg-type]


def task(pid: int, comm: str, rss_pages: int, adj: int = 0, line: int | None = None) -> Task:
    return Task(pid, 0, pid, comm, rss_pages=rss_pages, oom_score_adj=adj, line=line)


def test_the_hog_is_shielded() -> None:
    """Cron and sshd die one after the other, and nobody looks at oom_score_adj."""
    event = killed(
        Victim(900, "cron", anon_rss_kb=100_000, file_rss_kb=0, shmem_rss_kb=0, line=90),
        task(700, "xenstored", 1_500_000, -1000),
        task(900, "cron", 25_000),
    )
    finding = found(examine(case(event)))
    assert (finding.weight, quoted(finding)) == (0, ["Killed process"])
    assert finding.summary == (
        "The largest process, xenstored (700) with 5.72 GiB, could not be chosen (oom_score_adj -1000):"
        " cron (900) died in its place."
    )
    assert finding.advice.change[0].startswith("Bound xenstored itself")


def test_a_shielded_process_that_is_small() -> None:
    """The daemons sshd and udevd are always shielded."""
    event = killed(
        Victim(900, "java", anon_rss_kb=6_000_000),
        task(900, "java", 1_500_000),
        task(700, "sshd", 1000, -1000),
    )
    assert examine(case(event)) is None


def test_nothing_to_give_back() -> None:
    """A kill that frees nothing is a sign that the kernel has the memory."""
    event = report(asked(None), victim=Victim(4503, "(sd-pam)", anon_rss_kb=0, file_rss_kb=0, shmem_rss_kb=0))
    assert found(examine(case(event))).summary == "(sd-pam) (4503) had no resident memory left to give back."


def test_a_tiny_victim_among_small_processes() -> None:
    """With 8 GiB used and 40 MiB of processes the next kill will not help either."""
    event = killed(Victim(900, "bash", anon_rss_kb=4000), task(900, "bash", 1000), task(901, "top", 900))
    assert found(examine(case(event))).summary == (
        "bash (900) had only 3.91 MiB, 0.1 % of 7.63 GiB of RAM: killing it frees next to nothing. All 2"
        " processes of the table together have 7.42 MiB of the 7.62 GiB in use: no kill could have given"
        " much back."
    )


def test_again_and_again() -> None:
    """A service that is restarted into the same wall looks like three different kills."""
    event = killed(Victim(903, "node", anon_rss_kb=6_000_000), task(903, "node", 1_500_000))
    before = [killed(Victim(pid, "node", anon_rss_kb=6_000_000)) for pid in (901, 902)]
    assert "node had been killed 2 times before" in found(examine(case(event, *before))).summary


def test_another_service_of_the_same_program() -> None:
    """Three services in Python, each killed once, would be told as one that is started again and again."""
    event, *before = (
        killed(Victim(pid, "python3", anon_rss_kb=6_000_000, task_memcg=f"/system.slice/{name}.service"))
        for pid, name in ((903, "web"), (901, "mail"), (902, "web"))
    )
    finding = examine(case(event, *before, *before[1:]))
    assert "python3 had been killed 2 times before" in found(finding).summary
    finding = examine(case(event, *before))
    assert finding is None or "before in this log" not in finding.summary


def test_a_child_was_sacrificed() -> None:
    """The process with the score lives on."""
    texts = {
        89: "Out of memory: Kill process 4711 (a) (b) score 904 or sacrifice child",
        90: "Killed process 4712",
    }
    event = killed(Victim(4712, "sleep", anon_rss_kb=6_000_000), texts=texts)
    assert found(examine(case(event))).summary == (
        "a) (b (4711) had been chosen by its score; its child sleep (4712) was sacrificed."
    )


def test_the_chosen_one_died_itself() -> None:
    """The two lines of one kill would be two processes."""
    texts = {89: "Out of memory: Kill process 4712 (sleep) score 904 or sacrifice child"}
    assert examine(case(killed(Victim(4712, "sleep", anon_rss_kb=6_000_000), texts=texts))) is None


def test_the_first_process_of_a_container() -> None:
    """A container that ends looks like a crash of its runtime."""
    event = Event(
        "oom_kill",
        scope=MEMCG,
        memcg=Memcg(DOCKER, DOCKER, 204_800, 204_800),
        victims=(Victim(100, "main", anon_rss_kb=183_712),),
        tasks=(task(100, "main", 46_000), task(130, "helper", 200)),
    )
    assert "probably its first process" in found(examine(case(event))).summary


def test_the_reaper_failed() -> None:
    """A victim that does not die keeps its memory."""
    remark = Quote(91, "oom_reaper: unable to reap pid:900 (java)")
    texts = {90: "Killed process", 91: remark.text}
    event = killed(Victim(900, "java", anon_rss_kb=6_000_000, line=90), remarks=(remark,), texts=texts)
    finding = found(examine(case(event)))
    assert "could not take its memory back" in finding.summary
    assert quoted(finding) == ["Killed process", remark.text]


def test_a_good_choice_and_failures_of_allocations() -> None:
    """A remark on every kill would be read by nobody."""
    event = killed(Victim(900, "java", anon_rss_kb=6_000_000), task(900, "java", 1_500_000))
    assert examine(case(event)) is None
    assert examine(case(Event(ALLOCATION_FAILURE))) is None
