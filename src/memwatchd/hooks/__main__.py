"""The helper process, as the service starts it: ``python -I -m memwatchd.hooks CONTROL_FD``."""

import os
import select
import signal
import socket
import sys
import time

from memwatchd.hooks.protocol import MAX_MESSAGE_BYTES, Reply, Request
from memwatchd.hooks.runner import Runner


def main() -> int:
    """Run what the service asks for until it closes its end, however it ends."""
    # Ctrl-C reaches the whole foreground group; the service decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    os.chdir("/")
    # Programs run as everybody's do, not as urgently as the service.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, max(0, os.getpriority(os.PRIO_PROCESS, 0)))
    serve(control)
    return 0


def serve(control: socket.socket) -> None:
    """Take requests and send replies until the other end is closed."""
    poll = select.poll()
    poll.register(control, select.POLLIN)

    def report(reply: Reply) -> None:
        control.send(reply.pack())

    runner = Runner(report, lambda descriptor: poll.register(descriptor, select.POLLIN), poll.unregister)
    try:
        while True:
            for descriptor, _ in poll.poll(_timeout_ms(runner.tick())):
                if descriptor != control.fileno():
                    runner.ended(descriptor)
                    continue
                message = control.recv(MAX_MESSAGE_BYTES)
                if not message:
                    return
                runner.take(Request.unpack(message))
    except ConnectionError:
        return  # the service is gone
    finally:
        runner.stop()


def _timeout_ms(due_ns: int | None) -> float | None:
    return None if due_ns is None else max(0.0, (due_ns - time.monotonic_ns()) / 1e6)


if __name__ == "__main__":
    sys.exit(main())
