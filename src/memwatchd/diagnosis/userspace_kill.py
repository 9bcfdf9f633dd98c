"""Another program killed, before the kernel had to: systemd-oomd, earlyoom, nohang, oomd, the kubelet.

::

    systemd-oomd[612]: Killed /user.slice/... due to memory pressure for /user.slice being 61.49% > 50.00%
    earlyoom[1021]: low memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%
    earlyoom[1021]: sending SIGTERM to process 4711 uid 1000 "java": badness 804, VmRSS 5120 MiB
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.shortage import size
from memwatchd.diagnosis.victim_mismatch import rss_kb
from memwatchd.diagnosis.wording import listed
from memwatchd.oomreport.report import USERSPACE_KILL, Victim
from memwatchd.units import printable

TAG = "userspace_kill"

_REASON_CHARS = 300
_NAMED = 4
_KNOBS = {
    "systemd-oomd": "ManagedOOMMemoryPressureLimit= and ManagedOOMPreference= of its units, oomd.conf(5)",
    "earlyoom": "its options -m, -s and --avoid in /etc/default/earlyoom",
    "nohang": "the thresholds in /etc/nohang/nohang.conf",
    "oomd": "the rules in /etc/oomd.json",
    "kubelet": "evictionHard and evictionSoft of the kubelet, and the pod's requests, by which it chooses",
}
_OOMCTL = "systemd-oomd"


def examine(case: Case) -> Finding | None:
    """Say who killed whom, and why by its own words."""
    event = case.event
    if event.kind != USERSPACE_KILL:
        return None
    killer = printable(event.killer or "another program")
    who = listed([_victim_words(each) for each in event.victims[:_NAMED]])
    if event.memcg is not None and event.memcg.task_of and not who:
        who = f"the cgroup {printable(event.memcg.task_of)}"
    reason = f', for it said: "{printable(event.reason)[:_REASON_CHARS]}"' if event.reason else ""
    knobs = _KNOBS.get(event.killer or "", f"the configuration of {killer}")
    check = (
        "`oomctl` shows what it watches."
        if event.killer == _OOMCTL
        else f"`journalctl -t {killer}` stays quiet."
    )
    return Finding(
        TAG,
        confidence=0.97,
        weight=1.0,
        summary=f"{killer} killed {who or 'a process'}{reason}. The kernel's OOM killer had no part in it.",
        evidence=case.quotes(
            *(each.line for each in event.victims[:_NAMED]), event.trigger.line, event.first_line
        ),
        advice=Advice(
            change=(
                f"Where it kills too early or the wrong one: {knobs}.",
                "Find what filled memory before it acted.",
            ),
            check=(check,),
        ),
        figures={"killer": event.killer, "kills": len(event.victims)},
    )


def _victim_words(victim: Victim) -> str:
    name = printable(victim.comm or "a process")
    pid = f" ({victim.pid})" if victim.pid is not None else ""
    kb = rss_kb(victim)
    return f"{name}{pid}{f' with {size(kb)}' if kb else ''}"
