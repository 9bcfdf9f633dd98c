"""Keeps every processor busy for itself: one process bound to each, which never sleeps.

With real-time priority 99 (by its unit) and without the kernel's limit for such tasks nothing else runs any
more, no watchdog either: the machine is hung, though its kernel lives.
"""

import argparse
import os
import sys
import time


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wait", type=float, default=0, help="seconds before it begins")
    arguments = parser.parse_args()
    time.sleep(arguments.wait)
    processors = sorted(os.sched_getaffinity(0))
    for processor in processors[1:]:
        # Before the parent spins, too: on the same processor the child would wait for it for ever.
        if os.fork() == 0:
            os.sched_setaffinity(0, {processor})
            break
        time.sleep(0.05)
    else:
        os.sched_setaffinity(0, {processors[0]})
    while True:
        pass


if __name__ == "__main__":
    sys.exit(main())
