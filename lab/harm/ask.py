"""Asks the kernel for blocks of 64 KiB (order 4), one after the other, and keeps them.

The control data of a message is copied into one piece of kernel memory before it is sent (sock_kmalloc in
____sys_sendmsg, GFP_KERNEL): whoever is still waiting for room in the receiver's queue holds it. Each
thread has a socket pair whose queue is full, and sends once more with almost 64 KiB of control data. Needs
net.core.optmem_max above that. Where no block is free and none can be made, the call fails (ENOBUFS) and
the kernel logs "page allocation failure: order:4". Prints how many got one, how many were refused, and how
long it took.
"""

import argparse
import errno
import socket
import sys
import threading
import time

_CONTROL_BYTES = 60_000
_LEVEL_OF_NOBODY = 9999
_SENDERS_STACK_BYTES = 64 << 10


class Count:
    """What came of the requests."""

    def __init__(self) -> None:
        self.refused = 0
        self.longest_s = 0.0
        self.lock = threading.Lock()


def ask(count: Count, control: bytes, kept: list[socket.socket]) -> None:
    """Ask for one block; returns only when it is refused."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    kept += (sender, receiver)
    sender.setblocking(False)
    try:
        while True:
            sender.send(b"full")
    except BlockingIOError:
        sender.setblocking(True)
    began = time.monotonic()
    try:
        sender.sendmsg([b"more"], [(_LEVEL_OF_NOBODY, 1, control)])
    except OSError as error:
        if error.errno not in (errno.ENOBUFS, errno.ENOMEM):
            raise
        with count.lock:
            count.refused += 1
            count.longest_s = max(count.longest_s, time.monotonic() - began)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="blocks")
    parser.add_argument("--rate", type=float, default=20, help="blocks a second")
    arguments = parser.parse_args()
    threading.stack_size(_SENDERS_STACK_BYTES)
    count, control, kept = Count(), bytes(_CONTROL_BYTES), list[socket.socket]()
    began = time.monotonic()
    for number in range(arguments.count):
        time.sleep(max(0.0, began + number / arguments.rate - time.monotonic()))
        threading.Thread(target=ask, args=(count, control, kept), daemon=True).start()
    time.sleep(2)
    print(
        f"asked {arguments.count}, refused {count.refused}, longest refusal {count.longest_s:.3f} s",
        flush=True,
    )
    while True:
        time.sleep(60)


if __name__ == "__main__":
    sys.exit(main())
