"""Words that may stay: the kernel's own in its reports, those of OOM killers in user space, and the daemon's.

A word counts as known when each of its parts does: ``workingset_refault_anon`` is three words. They are from
the format strings of mm/, lib/show_mem.c, kernel/printk and arch/*/kernel/traps.c of 2.6 to 6.x, of
systemd-oomd, earlyoom, nohang, oomd and kubelet, and from the sentences of this program.
"""

import re
from functools import lru_cache

_REPORT = """
    and are as at be been but by can do for from if in is it no not of on only or out so than that the then
    this to too up was were which while who will with new other help us debug exists unsafe locking scenario
    deadlock opcode access exception stack tried trying fulfilled partially floor stopping offlined onlined
    released completed begin enter exit
invoked oom killer gfp mask order adj oomkilladj score nodemask null cpuset mems allowed constraint none
memory policy memcg global task pid uid kill killed process processes or sacrifice child a an out of
total vm vsz anon rss file shmem pgtables reaper reaped now unable to reap reaping victim is already
exiting skip killing the has mm pinned by tasks in are going be due group set as result limit usage
failcnt swap kmem tcp memsw cgroup stats for compaction disabled tsk thread threads tgid ppid nr ptes
pmds puds swapents name state values pages table bytes min max total_vm cpu cpus comm caller not tainted
kdump loaded hardware call trace stack backtrace modules linked last unloaded irq nmi eoi end begin dump
code bad value rip rsp eflags eip esp ebp rax rbx rcx rdx rsi rdi rbp cs ss ds es fs gs cr eax ebx ecx
edx esi edi orig knlgs fsgs pkru dr sp pc lr psr pstate fp ip msr xer cfar ctr gpr nip irqmask softe dar
dsisr epc ra status cause badvaddr badva hi lo tp gp zero at mem info active inactive isolated
unevictable dirty writeback unstable slab reclaimable unreclaimable mapped pagetables sec pagetable
bounce free pcp cma misc kernel shadow callstack node zone dma dma32 normal highmem movable movableonly
device low high boost present managed mlocked local lowmem reserve reserved highatomic thp pmdmapped
balloon all yes no scanned writepending tmp scs gpu unaccepted hugepages surp size cached cache add
delete find ram shared non hwpoisoned allocations ms per hot cold batch btch usd race children empty
spanned failure failed fail allocation alloc allocate allocating error errors stalls mode warn callbacks
suppressed vmalloc object objects buffer default slabs objs used excessive but cannot slub slob dmesg
ratelimit available mpol bind killable panic enabled compulsory system deadlocked syncing sysrq show
manual executed requested user request init virtio puff can get page vmw vmmemctl hv hyperv xen retry
retries continuing background cow reclaim kswapd direct khugepaged proactive pgscan pgsteal pgfault
pgmajfault pgrefill pgactivate pgdeactivate pglazyfree pglazyfreed pgdemote pgpromote pgalloc workingset
refault activate restore nodereclaim numa hit miss foreign interleave other collapse fault split demote
promote zswap zswapped zswpin zswpout zswpwb swpin swpout fallback percpu sock hugetlb huge swapcached
pgpgin pgpgout swapped hierarchical pagecache migrate success pte updates hint migrated recent rotated
file_mapped inactive_anon incompatible zram ksm merge merging hierarchy events current peak kills rcu
sched preempt detected stall idle blocked more than seconds echo proc sys hung warning possible circular
locking dependency trying acquire lock held holding which depends existing chain reverse might sleep dev
kmsg block transparent atomic highuser nofs noio nowait nowarn noretry mayfail nofail repeat comp
memalloc nomemalloc hardwall thisnode account write noaccount notrack recl zerotags noinit kasan poison
wait io nolockdep noobj ext colder rename temporary transhuge light linux version smp pae mp dynamic
voluntary rt lazy debug jan feb mar apr may jun jul aug sep oct nov dec january february march april
june july august september october november december mon tue wed thu fri sat sun monday tuesday
wednesday thursday friday saturday sunday utc gmt cet cest est edt cst cdt pst pdt mst mdt bst ist jst
msk eet eest wet west am pm ubuntu debian fedora centos log logs reboot boot since until entries
beginning kern daemon auth authpriv syslog lpr news uucp cron ftp emerg alert crit err notice printk kb
mb gb tb kib mib gib tib k m g t b us ns s pct percent on off with without this that it was were will
have had been from into its any some there proprietary module oot forced unsafe machine check firmware
workaround die soft lockup live patch aux test unsigned staging driver softirq hardirq context backed
isolate cgroups deprecated please use instead obsolete unreliable unwound before after stopped cut here
dumped core sending sent signal sigkill sigterm rest early reason skipped zombie
"""

_KILLERS = """
systemd oomd earlyoom nohang kubelet unit service scope slice main exited exit code status result
consumed time entering entered failed stopped starting started stopping unit's scheduled restart counter
job triggered considered considering candidates candidate were top pressure avg path usage being above
below while activity used more equal swaps limits mem avail low memory! at sigterm sigkill report every
badness cmdline cmd line vmrss rss priority victim preferred ignored avoiding waiting escalating
notification could find suitable requires corrective actions that memavailable swapfree swaptotal
memtotal threshold exceeded implement action implementing initiating initiated freezing monitor
monitoring soft hard what happened found highest pgid sid ancestry cgroup nssid vm vmsize vmswap uptime
lifetime realpath exe oom_score oom_score_adj egid euid nice state exists memory is freed interval total
response kill seconds psi metrics some full evict evicted evicting eviction manager must attempting pod
pods container containers resource name signal quantity observed reached ranked rank successfully
requests exceeds request killing because running timed reclaimed imagefs nodefs inodes ephemeral storage
plugin ruleset detector actiongroup detected metric target trying tried larger growth senpai logging
configuration current
"""

_OWN = """
abandoned about above absent across act acted acting after again against aged all allowance allows alone
already also although amount and another any anything are armed aside asked away back balloon because
become before began begin begins below beside better between beyond big blocks both bounded breaker
build builds busy but by bytes calm came cannot capability cleared close closed clock come command
compact compacted compaction complete condition configuration configured connection contiguous
controller could counted counts cooldown damaged daemon data dead deadline declined decline degraded
delegated deleted denied descendants died different disagree disk do does done down drop dropped dry
each earlier early effect either else empty end ended entry enough estimate even ever evicted exec
executable existed expected expired fallback far few figure figures filled fired first fits five fixed
for found fragmentation fraction freed freeze freezes freezer frozen full gave gets give given go goes
gone good grace grew group groups grow growing grown grows growth had half handed happened hard has
having held helped here higher hold holds hook hour how idle if ignored impossible in incident incidents
inode inodes instead into invalid itself keep keeps kept kernel key killed kills kind knob known large
larger largest last late later least leave left less level lets limited list little live load locked log
long longer lost lower lowered machine made many mapped matches maximum may meanwhile measure memory
message messages middle might minimum minute minutes missed missing most mount moved much must name
named names near need needs never new newest next nobody none nor not note nothing noticed now nowhere
number numbers object off often old older once one only open operation opened or orderly other others
otherwise ought out outcome outgrown over overwritten own pages panic part path pause percent period
permission permitted person pids place plan position possible present pressure priority privilege
process program programs promised protected protect punch put raised ran rate rather reach reached read
readable reading ready real realtime reason reboot reclaim reclaimed recorded recorder recording reduced
refused refuses release remain remained removed renewed rename renames renaming requested reserve
resident restart restarted restored result resumed retry return right rises rose room root round rows
rule rules run running runs sample sampled sampler samples sampling saved say says scope second section
see seen segment segments send sent service services session set several share shortage short should
show shrink shrunk shut side since sign signal signals signalled six size sizes slab slice slower small
smaller so socket some somebody soon source sources space spared stand stand-in stand-ins stall stalled
stands start started starting state stay stayed stays step still stop stopped stops stored such suspend
swap swapoff swapon swapped switch switched sync synced system systemd take taken takes target targets
task tasks tell tells ten text than thaw thawed that the their them then there these they this those
thread threads three threshold through tick ticks tier time times to together told too took top total
touch trigger tries try turn two type under undone unit units unknown unless unlimited unnamed until up
usage use used user users value values verdict version very victim victims wait waited waiting want
wanted warm was watch watched watermark watermarks way were what when where whether which while who
whole whose why will with within without woken work worker worst would write writing written wrong yet
zero zones eperm enoent eacces ebusy einval eio enospc enomem eagain esrch etimedout directory argument
input device resource temporarily unavailable cap kill chown dac override ptrace sys nice admin ipc lock
setuid setgid syslog no-effect timed_out dry_run drop_caches dump evict_files limit notify oom_score_adj
restart_unit stop_unit swap_on sysctl sysrq zfs_arc caches evict score adj zfs arc reaped reaper meminfo
vmstat buddyinfo zoneinfo slabinfo arcstats zram loadavg uptime swaps kmsg delta avg min max abs on line
its went scrubbed report shown dentry dentries unboosted sreclaimable sunreclaim
"""

_WORDS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SHORT = re.compile(r"\d{0,20}[A-Za-z]|[A-Za-z]\d{0,3}|v\d{1,3}|rc\d{1,2}", re.ASCII)
_HEX = re.compile(
    r"0x[0-9a-fA-F]{1,16}|(?=[a-f]{0,3}\d)[0-9a-f]{4}|[0-9a-f]{8}|[0-9a-f]{16}|[0-9A-F]{8}|[0-9A-F]{16}",
    re.ASCII,
)
_LONGEST = 80


def _split(text: str) -> frozenset[str]:
    return frozenset(word for word in _WORDS.findall(text.lower()))


_KERNEL_WORDS = _split(_REPORT)
_KILLER_WORDS = _KERNEL_WORDS | _split(_KILLERS)
_OWN_WORDS = _KILLER_WORDS | _split(_OWN)


def words_of(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


@lru_cache(maxsize=1 << 14)
def is_kernel_word(word: str) -> bool:
    """Whether a word without blanks belongs to the kernel's reports, or is a number."""
    return _is_known(word, _KERNEL_WORDS)


@lru_cache(maxsize=1 << 12)
def is_killer_word(word: str) -> bool:
    """Whether it belongs there or to the lines of an OOM killer in user space."""
    return _is_known(word, _KILLER_WORDS)


@lru_cache(maxsize=1 << 12)
def is_own_word(word: str) -> bool:
    """Whether it belongs there or to the sentences of this program."""
    return _is_known(word, _OWN_WORDS)


def _is_known(word: str, known: frozenset[str]) -> bool:
    if len(word) > _LONGEST or not word.isascii():
        return False
    if word.lower() in known or _SHORT.fullmatch(word) or _HEX.fullmatch(word):
        return True
    return all(_is_known_part(part, known) for part in _WORDS.findall(word))


def _is_known_part(part: str, known: frozenset[str]) -> bool:
    if part.lower() in known:
        return len(part) > 1
    pieces = _CAMEL.findall(part)
    return len(pieces) > 1 and all(len(piece) > 1 and piece.lower() in known for piece in pieces)
