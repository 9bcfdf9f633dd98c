"""What is said of a rule that is wrong: exactly what, and exactly where."""

import pytest

from memwatchd.config.load import InvalidConfigError, parse_config

RULE = "rules:\n  a:\n    when: meminfo.MemFree < 5MiB\n"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "rules:\n  a:\n    when: mem.MemAvailabel < 5MiB",
            [
                "f:3:11: rules.a.when: 'mem.MemAvailabel': no such signal; did you mean meminfo?",
            ],
        ),
        (
            "rules:\n  a:\n    when: '1 < 2 and mem.MemAvailabel < 5MiB'",
            [
                "f:3:22: rules.a.when: 'mem.MemAvailabel': no such signal; did you mean meminfo?",
            ],
        ),
        (
            'rules:\n  a:\n    when: "1 < 2 and\n      mem.MemAvailabel < 5"',
            [
                "f:4:7: rules.a.when: 'mem.MemAvailabel': no such signal; did you mean meminfo?",
            ],
        ),
        (
            "rules:\n  a:\n    when: >-\n      meminfo.MemFree < 5MiB\n      and mem.MemAvailabel < 5MiB",
            [
                "f:5:11: rules.a.when: 'mem.MemAvailabel': no such signal; did you mean meminfo?",
            ],
        ),
        (
            "rules:\n  a:\n    when: |\n      meminfo.MemFree <",
            [
                "f:4:24: rules.a.when: expected a signal, a number or '('; got the end",
            ],
        ),
        (
            RULE + "    clear: meminfo.MemFree",
            [
                "f:4:12: rules.a.clear: expected a condition such as x < 5%; got a number",
            ],
        ),
        (
            "rules:\n  a:\n    when: meminfo.MemFree < 5s",
            [
                "f:3:27: rules.a.when: expected the same on both sides; got bytes on the left, "
                "seconds on the right",
            ],
        ),
        (
            "rules:\n  a:\n    when:",
            [
                "f:3:10: rules.a.when: expected a condition, for example meminfo.MemAvailable < "
                "5% of meminfo.MemTotal; got nothing",
            ],
        ),
        (
            "rules:\n  a:\n    when: [x]",
            [
                "f:3:11: rules.a.when: expected a condition, for example meminfo.MemAvailable < "
                "5% of meminfo.MemTotal; got a list",
            ],
        ),
        (
            "rules:\n  a:\n    wen: x",
            [
                "f:3:5: rules.a.wen: unknown key; did you mean when?",
                "f:3:5: rules.a: expected the key when: a condition, for example "
                "meminfo.MemAvailable < 5% of meminfo.MemTotal",
            ],
        ),
        (
            "rules:\n  a:",
            [
                "f:2:5: rules.a: expected the key when: a condition, for example "
                "meminfo.MemAvailable < 5% of meminfo.MemTotal",
            ],
        ),
        (
            "rules:\n  a: {}",
            [
                "f:2:6: rules.a: expected the key when: a condition, for example "
                "meminfo.MemAvailable < 5% of meminfo.MemTotal",
            ],
        ),
        (
            "rules:\n  a: 5",
            [
                "f:2:6: rules.a: expected a mapping with any of the keys why, when, for, clear, "
                "cooldown, max_per_hour, severity, actions, on_failure, dry_run, optional, "
                "enabled; got '5'",
            ],
        ),
        (
            "rules:\n  a: [5]",
            [
                "f:2:6: rules.a: expected a mapping with any of the keys why, when, for, clear, "
                "cooldown, max_per_hour, severity, actions, on_failure, dry_run, optional, "
                "enabled; got a list",
            ],
        ),
        (
            "rules: [a]",
            [
                "f:1:8: rules: expected a mapping from names; got a list",
            ],
        ),
        (
            "rules: a",
            [
                "f:1:8: rules: expected a mapping from names; got 'a'",
            ],
        ),
        (
            "rules: {a b: {when: x}}",
            [
                "f:1:9: rules: expected a name of up to 60 letters, digits, - and _; got 'a b'",
            ],
        ),
        (
            "rules: {? [a] : {when: x}}",
            [
                "f:1:11: rules: expected a key; got a list",
            ],
        ),
        (
            "rules: {" + "x" * 61 + ": {when: x}}",
            [
                "f:1:9: rules: expected a name of up to 60 letters, digits, - and _; got "
                "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'",
            ],
        ),
        (
            RULE + "    actions: dump",
            [
                "f:4:14: rules.a.actions: expected a list of actions; got 'dump'",
            ],
        ),
        (
            RULE + "    actions: {dump: {}}",
            [
                "f:4:14: rules.a.actions: expected a list of actions; got a mapping",
            ],
        ),
        (
            RULE + "    actions: [dmp]",
            [
                "f:4:15: rules.a.actions[0].dmp: unknown key; did you mean dump?",
            ],
        ),
        (
            RULE + "    actions:\n      - dropcaches: {what: slab}",
            [
                "f:5:9: rules.a.actions[0].dropcaches: unknown key; did you mean drop_caches?",
            ],
        ),
        (
            RULE + "    actions: [{dump: {}, log: {}}]",
            [
                "f:4:15: rules.a.actions[0]: expected exactly one action; got dump and log",
            ],
        ),
        (
            RULE + "    actions: [{}]",
            [
                "f:4:15: rules.a.actions[0]: expected exactly one action; got none",
            ],
        ),
        (
            RULE + "    actions: [~]",
            [
                "f:4:15: rules.a.actions[0]: expected an action such as dump: {}; got nothing",
            ],
        ),
        (
            RULE + "    actions: [[dump]]",
            [
                "f:4:15: rules.a.actions[0]: expected an action such as dump: {}; got a list",
            ],
        ),
        (
            RULE + "    actions: [{after: 1s}]",
            [
                "f:4:15: rules.a.actions[0]: expected exactly one action; got none",
            ],
        ),
        (
            RULE + "    actions: [{after: 1s, dump: {}}]",
            [
                "f:4:23: rules.a.actions[0].after: expected none at the first action; the rule's "
                "for is how long the condition must hold",
            ],
        ),
        (
            RULE + "    actions: [dump, {after: 1, log: {}}, {after: -1s, dump: {}}]",
            [
                "f:4:50: rules.a.actions[2].after: expected a duration from 0s to 1h, for "
                "example 500ms; got '-1s'",
            ],
        ),
        (
            RULE + "    actions: [{drop_caches: {what: everything}}]",
            [
                "f:4:36: rules.a.actions[0].drop_caches.what: expected one of pagecache, slab, "
                "both; got 'everything'",
            ],
        ),
        (
            RULE + "    actions: [{drop_caches: {wht: slab}}]",
            [
                "f:4:30: rules.a.actions[0].drop_caches.wht: unknown key; did you mean what?",
            ],
        ),
        (
            RULE + "    actions: [{drop_caches: slab}]",
            [
                "f:4:29: rules.a.actions[0].drop_caches: expected a mapping with any of the keys "
                "deadline, what, worth; got 'slab'",
            ],
        ),
        (
            RULE + "    actions: [{drop_caches: [slab]}]",
            [
                "f:4:29: rules.a.actions[0].drop_caches: expected a mapping with any of the keys "
                "deadline, what, worth; got a list",
            ],
        ),
        (
            RULE + "    actions: [{kill: {select: {comm: [java, [x]], by: size}}}]",
            [
                "f:4:45: rules.a.actions[0].kill.select.comm[1]: expected a printable text, for "
                "example java; got a list",
                "f:4:55: rules.a.actions[0].kill.select.by: expected one of oom_score, rss, "
                "swap, memory, growth, open_files, writes; got 'size'",
            ],
        ),
        (
            RULE + "    actions: [{kill: {grace: 10s}}]",
            [
                "f:4:22: rules.a.actions[0].kill: grace 10s leaves nothing of the deadline 5s for SIGKILL",
            ],
        ),
        (
            RULE + "    actions: [panic]",
            [
                "f:4:15: rules.a.actions[0].panic: i_know: expected true, because panic stops "
                "the machine at once: for a crash dump where kdump is set up, else until "
                "somebody restarts it",
            ],
        ),
        (
            RULE + "    actions: [{reboot: {how: orderly}}]",
            [
                "f:4:24: rules.a.actions[0].reboot: i_know: expected true, because reboot ends "
                "everything that runs on this machine",
            ],
        ),
        (
            RULE + "    actions: [{sysrq: {letter: f}}]",
            [
                "f:4:23: rules.a.actions[0].sysrq: i_know: expected true, because sysrq f has "
                "the OOM killer kill a process",
            ],
        ),
        (
            RULE + "    actions: [{sysrq: {}}]",
            [
                "f:4:23: rules.a.actions[0].sysrq: expected the key letter: one of m, w, t, s, f, u, b",
            ],
        ),
        (
            RULE + "    actions: [sysctl]",
            [
                "f:4:15: rules.a.actions[0].sysctl: expected the key setting: one of "
                "vm.min_free_kbytes, vm.watermark_scale_factor, vm.watermark_boost_factor, "
                "vm.swappiness, vm.vfs_cache_pressure, vm.dirty_ratio, "
                "vm.dirty_background_ratio, vm.dirty_expire_centisecs, "
                "vm.dirty_writeback_centisecs, vm.compaction_proactiveness, vm.page-cluster",
                "f:4:15: rules.a.actions[0].sysctl: expected the key value: a whole number from "
                "0 to 1073741824, for example 10",
            ],
        ),
        (
            RULE + "    actions: [{sysctl: {setting: vm.overcommit_memory, value: 2}}]",
            [
                "f:4:34: rules.a.actions[0].sysctl.setting: expected one of vm.min_free_kbytes, "
                "vm.watermark_scale_factor, vm.watermark_boost_factor, vm.swappiness, "
                "vm.vfs_cache_pressure, vm.dirty_ratio, vm.dirty_background_ratio, "
                "vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs, "
                "vm.compaction_proactiveness, vm.page-cluster; got 'vm.overcommit_memory'",
            ],
        ),
        (
            RULE + "    actions: [{sysctl: {setting: vm.swappiness, value: 500}}]",
            [
                "f:4:24: rules.a.actions[0].sysctl: value: expected vm.swappiness from 0 to 200; got 500",
            ],
        ),
        (
            RULE + "    actions: [{zfs_arc: {}}]",
            [
                "f:4:25: rules.a.actions[0].zfs_arc: expected exactly one of to, share; got none",
            ],
        ),
        (
            RULE + "    actions: [{zfs_arc: {to: 1GiB, share: 5%}}]",
            [
                "f:4:25: rules.a.actions[0].zfs_arc: expected exactly one of to, share; got to and share",
            ],
        ),
        (
            RULE + "    actions: [{evict_files: {paths: [srv]}}]",
            [
                "f:4:29: rules.a.actions[0].evict_files: paths: expected an absolute path "
                "without ..; got 'srv'",
            ],
        ),
        (
            RULE + "    actions: [{stop_unit: {units: cron}}]",
            [
                "f:4:27: rules.a.actions[0].stop_unit: units: expected the full name of a unit "
                "such as cron.service; got 'cron'",
            ],
        ),
        (
            RULE + "    actions: [{stop_unit: {units: ~}}]",
            [
                "f:4:27: rules.a.actions[0].stop_unit: units: expected at least one unit",
            ],
        ),
        (
            RULE + "    actions: [{log: {message: 'hello {name}'}}]",
            [
                "f:4:21: rules.a.actions[0].log: message: expected {rule}, {reason} or a signal "
                "in braces; got {name}: 'name': no such signal; expected one of meminfo, "
                "unaccounted, unaccounted_share, swap, pressure, zone, buddy, slab, vmstat, "
                "node, zram, arc, process, cgroup, recorder",
            ],
        ),
        (
            RULE + "    actions: [{thaw: {rule: b}}]",
            [
                "f:4:29: rules.a.actions[0].thaw.rule: expected the name of a rule; got 'b'",
            ],
        ),
        (
            RULE + "    severity: warn\n    actions: [dump, {kill: {}}]",
            [
                "f:4:15: rules.a.severity: expected act, as kill changes something; got warn",
            ],
        ),
        (
            RULE + "    clear: meminfo.MemFree < 5MiB",
            [
                "f:4:12: rules.a.clear: expected another condition than when; got the same",
            ],
        ),
        (
            RULE + "    severity: loud\n    max_per_hour: 0\n    cooldown: 8d\n    for: soon\n"
            "    optional: perhaps\n    on_failure: again\n    why: ''",
            [
                "f:4:15: rules.a.severity: expected one of warn, act; got 'loud'",
                "f:5:19: rules.a.max_per_hour: expected a whole number from 1 to 3600, for "
                "example 60; got '0'",
                "f:6:15: rules.a.cooldown: expected a duration from 0s to 7d, for example 10s; got '8d'",
                "f:7:10: rules.a.for: expected a duration from 0s to 1h, for example 200ms; got 'soon'",
                "f:8:15: rules.a.optional: expected true or false; got 'perhaps'",
                "f:9:17: rules.a.on_failure: expected one of next, stop; got 'again'",
                "f:10:10: rules.a.why: expected a printable text, at most 1000 bytes, for "
                "example lowmem fills up while HighMem is free; got ''",
            ],
        ),
        (
            RULE + "    when: meminfo.MemFree < 6MiB",
            [
                "f:4:5: expected 'when' once; it stands on line 3 already",
            ],
        ),
        (
            "rules:\n  a: {when: meminfo.MemFree < 5MiB}\n  a: {when: meminfo.MemFree < 5MiB}",
            [
                "f:3:3: expected 'a' once; it stands on line 2 already",
            ],
        ),
        (
            RULE + f"    actions: [{'dump, ' * 33}]",
            [
                "f:4:14: rules.a.actions: expected at most 32 entries; got 33",
            ],
        ),
        (
            RULE + "    actions: [dump, !!str log]",
            [
                "f:4:21: expected no tag; got 'tag:yaml.org,2002:str'",
            ],
        ),
        (
            RULE + "    actions: [{kill: {select: {comm: !!str x}}}]",
            [
                "f:4:38: expected no tag; got 'tag:yaml.org,2002:str'",
            ],
        ),
        (
            RULE + "    why: [1]",
            [
                "f:4:10: rules.a.why: expected a printable text, at most 1000 bytes, for example "
                "lowmem fills up while HighMem is free; got a list",
            ],
        ),
        (
            "protect: {also: {a: b}}",
            [
                "f:1:17: protect.also: expected a list of texts; got a mapping",
            ],
        ),
        (
            "acting: {settle: 2min}",
            [
                "f:1:18: acting.settle: expected a duration from 0s to 1min, for example 200ms; got '2min'",
            ],
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(text: str, problems: list[str]) -> None:
    """Somebody with a mistake in a rule would have to search for it."""
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(text, "f")
    assert str(caught.value).split("\n") == problems


@pytest.mark.parametrize(
    "body",
    [
        "    severity: warn\n    actions: [dump, log, notify, {hook: {program: /bin/true}}]",
        "    severity: warn\n    actions: [{sysrq: {letter: m}}, {after: 1s, log: {}}]",
        "    actions: [{freeze: {hold: true}}, {after: 1s, thaw: {rule: a}}]",
        "    actions:",
        "    clear: meminfo.MemFree > 5MiB",
    ],
)
def test_what_is_right(body: str) -> None:
    """A good rule would be refused."""
    assert parse_config(RULE + body, "f").rules[0].name == "a"


def test_no_contradiction_with_a_rule_that_is_wrong_itself() -> None:
    """A rule that is there would be called unknown because of a slip in it."""
    text = RULE + "    actions: [{thaw: {rule: b}}]\n  b: {when: meminfo.MemFree < x}"
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(text, "f")
    assert [problem.key for problem in caught.value.problems] == ["rules.b.when"]
