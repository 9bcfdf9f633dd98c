"""Counters of the virtual memory of the whole machine.

Path ``/proc/vmstat``, printed by ``mm/vmstat.c``::

    nr_free_pages 1054090
    pgscan_kswapd 0
    oom_kill 0

Names come and go with every release: ``pgsteal_normal`` and ``pgscan_kswapd_normal`` (per zone) until 4.7,
``allocstall`` until 4.7 and ``allocstall_normal`` after it, ``oom_kill`` since 4.13, ``workingset_refault``
until 5.8 and ``workingset_refault_anon``/``_file`` since. Gauges (``nr_*``) are pages, the rest are events
since start-up.
"""

from collections.abc import Mapping

from memwatchd.procfs._text import parse_flat


def parse_vmstat(text: bytes, path: str = "/proc/vmstat") -> Mapping[str, int]:
    """Parse the whole file into values by name, in the file's order; negative where the kernel printed it so.

    Raises:
        ParseError: A name without a proper number.
    """
    return parse_flat(text, path)
