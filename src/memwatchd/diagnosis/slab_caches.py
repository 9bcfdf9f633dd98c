"""Well-known slab caches: what they hold, and what to do when they grow. See slabinfo(5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Culprit:
    """What is behind a cache.

    Attributes:
        holds: What is in it, for a sentence.
        now: The command that frees it; None where only its owner can.
        change: What keeps it from growing, as a clause.
    """

    holds: str
    now: str | None
    change: str


_DROP = "sync; echo 2 > /proc/sys/vm/drop_caches"
_PRESSURE = "raise vm.vfs_cache_pressure above 100 so that reclaim takes such caches before memory is short"
_INODES = Culprit(
    "cached inodes", _DROP, f"find what walks or deletes so many files (find, backup, indexer); {_PRESSURE}"
)
_SKBUFF = Culprit(
    "network packets that wait in queues",
    None,
    "ss -tmn shows sockets with full queues: a reader that hangs, or net.core.rmem_max, tcp_mem and queue "
    "lengths that are too large",
)
_KMALLOC = Culprit(
    "objects without a cache of their own, from anywhere in the kernel",
    None,
    "boot with slab_debug=U,CACHE (slub_debug before 6.9) and read /sys/kernel/debug/slab/CACHE/alloc_traces "
    "or /proc/allocinfo since 6.10: it names the code; then update the kernel or that driver",
)
_TASKS = Culprit(
    "what each process and thread has in the kernel",
    None,
    "count them: ps -eLf | wc -l; limit them with TasksMax= of the unit, or kernel.threads-max",
)
_VMAS = Culprit(
    "mappings of processes",
    None,
    "find the process with very many: wc -l /proc/[0-9]*/maps | sort -n | tail; vm.max_map_count limits it",
)
_FILES = Culprit(
    "open files and sockets",
    None,
    "sysctl fs.file-nr counts them, ls /proc/PID/fd | wc -l those of a process; LimitNOFILE= limits it",
)
_RADIX = Culprit("the index of the page cache and of swap", _DROP, _PRESSURE)
_EXT = "update the kernel: caches of file systems that are not reclaimed were defects of several releases"

# By the beginning of the name; the first that fits.
_CULPRITS: tuple[tuple[str, Culprit], ...] = (
    ("dentry", Culprit("names of files, also of files that do not exist", _DROP, _PRESSURE)),
    (
        "nfs_inode_cache",
        Culprit("inodes of NFS", _DROP, f"{_PRESSURE}; unmounting the NFS file system frees them at once"),
    ),
    (
        "proc_inode_cache",
        Culprit(
            "inodes of /proc",
            _DROP,
            f"find the monitoring that walks /proc so often, also inside containers; {_PRESSURE}",
        ),
    ),
    (
        "sock_inode_cache",
        Culprit("sockets", None, "ss -s counts them; find the program that opens and does not close them"),
    ),
    ("kernfs_node_cache", Culprit("files of /sys and cgroups", None, "count cgroups: cat /proc/cgroups")),
    ("shmem_inode_cache", Culprit("files of tmpfs", None, "df -i -t tmpfs shows which; delete files there")),
    ("btrfs_extent_map", Culprit("extents of files of btrfs", _DROP, _EXT)),
    ("ext4_extent_status", Culprit("extents of files of ext4", _DROP, _EXT)),
    ("buffer_head", Culprit("blocks of the page cache", "sync; echo 1 > /proc/sys/vm/drop_caches", _EXT)),
    (
        "nf_conntrack",
        Culprit(
            "connections the firewall keeps track of",
            "conntrack -F",
            "`conntrack -C` counts them; lower net.netfilter.nf_conntrack_max and its time-outs, or do not "
            "track that traffic (NOTRACK)",
        ),
    ),
    ("skbuff", _SKBUFF),
    ("task_struct", _TASKS),
    ("thread_stack", _TASKS),
    ("thread_info", _TASKS),
    ("signal_cache", _TASKS),
    ("sighand_cache", _TASKS),
    ("mm_struct", _TASKS),
    ("cred_jar", Culprit("credentials", None, "a leak of them is a defect of the kernel: update it")),
    ("pid", _TASKS),
    ("vm_area_struct", _VMAS),
    ("vma_lock", _VMAS),
    ("maple_node", _VMAS),
    ("anon_vma", _VMAS),
    ("filp", _FILES),
    ("eventpoll", _FILES),
    (
        "fsnotify_mark",
        Culprit("watches of files", None, "lower fs.inotify.max_user_watches; find who sets them"),
    ),
    ("inotify", Culprit("watches of files", None, "lower fs.inotify.max_user_watches; find who sets them")),
    (
        "names_cache",
        Culprit(
            "names of files within system calls", None, "many tasks hang within a call: look at their stacks"
        ),
    ),
    ("radix_tree_node", _RADIX),
    ("xarray_node", _RADIX),
    (
        "TCP",
        Culprit(
            "TCP sockets", None, "ss -s counts them; find the program that opens and does not close them"
        ),
    ),
    ("dm_", Culprit("device mapper", None, "look at what waits for the disks below it: dmsetup status")),
    (
        "bio",
        Culprit("requests to disks", None, "the disks are slower than what is written: lower vm.dirty_bytes"),
    ),
    ("kmalloc", _KMALLOC),
    ("size-", _KMALLOC),
    ("zio_", Culprit("buffers of ZFS", None, "lower zfs_arc_max (module parameter of zfs)")),
    ("arc_buf", Culprit("buffers of ZFS", None, "lower zfs_arc_max (module parameter of zfs)")),
)
_INODE_ENDINGS = ("inode_cache", "_inode", "inode_info", "inode_item")


def culprit(cache: str) -> Culprit | None:
    """Say what is known of a cache by its name; None for one that is not well-known."""
    known = next((each for beginning, each in _CULPRITS if cache.startswith(beginning)), None)
    if known is None and cache.endswith(_INODE_ENDINGS):
        return _INODES
    return known
