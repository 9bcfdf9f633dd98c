"""A cgroup that met its limit."""

from memwatchd.oomreport.statements.memcg import (
    Constraint,
    Statistics,
    parse_constraint,
    parse_group,
    parse_limit,
    parse_statistic,
    parse_statistics,
    parse_usage,
)


def test_usage() -> None:
    """v1 and v2 name swap otherwise, and an unlimited limit is a number like any other."""
    assert parse_usage("memory: usage 980kB, limit 980kB, failcnt 4152239") == {
        "usage_kb": 980,
        "limit_kb": 980,
        "failcnt": 4152239,
    }
    assert parse_usage("memory+swap: usage 0kB, limit 9007199254740988kB, failcnt 0") == {
        "memsw_usage_kb": 0,
        "memsw_limit_kb": 9007199254740988,
    }
    assert parse_usage("swap: usage 1kB, limit 2kB, failcnt 0") == {"swap_usage_kb": 1, "swap_limit_kb": 2}
    assert parse_usage("kmem: usage 4kB, limit 8kB, failcnt 0") == {"kmem_usage_kb": 4, "kmem_limit_kb": 8}
    assert parse_usage("memory: usage 98") is None


def test_limit() -> None:
    """The limit may be an ancestor's."""
    assert parse_limit("Task in /docker/34 killed as a result of limit of /docker") == (
        "/docker/34",
        "/docker",
    )


def test_statistics_on_one_line() -> None:
    """3.9 to 5.2 print KB behind the path, which may hold colons itself."""
    line = "Memory cgroup stats for /a:b/c: cache:108KB rss:197168KB rss_huge:0KB"
    assert parse_statistics(line) == Statistics(
        "/a:b/c", {"cache": 108 << 10, "rss": 197168 << 10, "rss_huge": 0}
    )


def test_statistics_on_lines_of_their_own() -> None:
    """Since 5.3 they are those of memory.stat, in bytes."""
    assert parse_statistics("Memory cgroup stats for /lxc/39004:") == Statistics("/lxc/39004", {})
    assert parse_statistic("anon 31154200576") == {"anon": 31154200576}
    assert parse_statistic("anon 31154200576 file 688283648") == {"anon": 31154200576, "file": 688283648}
    assert parse_statistic("we saw 3 kills") is None
    assert parse_statistic("Tasks state") is None


def test_constraint() -> None:
    """Names may hold commas and equal signs; pid and uid come last."""
    line = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=docker-99.scope,mems_allowed=0-1,"
        "oom_memcg=/a,task_memcg=/a/b,task=x,pid=1,uid=0,pid=4711,uid=33"
    )
    assert parse_constraint(line) == Constraint(
        "CONSTRAINT_MEMCG", None, "docker-99.scope", "0-1", "/a", "/a/b", "x,pid=1,uid=0", 4711, 33
    )


def test_a_global_constraint() -> None:
    """There is no limit to name."""
    line = (
        "oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=0,cpuset=/,mems_allowed=0-1,global_oom,"
        "task_memcg=/user.slice,task=java,pid=13575,uid=0"
    )
    assert parse_constraint(line) == Constraint(
        "CONSTRAINT_MEMORY_POLICY", "0", "/", "0-1", None, "/user.slice", "java", 13575, 0
    )


def test_a_constraint_that_is_cut() -> None:
    """What is there counts, what is not is None."""
    line = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_all"
    found = parse_constraint(line)
    assert found is not None
    assert (found.constraint, found.mems_allowed, found.pid, found.task) == (
        "CONSTRAINT_NONE",
        None,
        None,
        None,
    )


def test_group() -> None:
    """The kill lines that follow are of one event."""
    line = "Tasks in /a b/c are going to be killed due to memory.oom.group set"
    assert parse_group(line) == "/a b/c"
