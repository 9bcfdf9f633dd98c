"""The sampler, as the service starts it: ``python -m memwatchd.sampling CONTROL_FD ALARM_FD PLAN_FD``."""

import os
import signal
import socket
import sys

from memwatchd.kernel import libc, privileges
from memwatchd.sampling.plan import Plan
from memwatchd.sampling.process import SERVICE_IS_GONE, Sampler


def main() -> int:
    """Take the plan from the service and sample until the service says so or is gone."""
    # Ctrl-C reaches the whole foreground group; the service decides when the sampler ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc.die_with_parent(SERVICE_IS_GONE)
    privileges.become_ordinary()  # until it is warm; the service's own priority came with the fork
    control = socket.socket(fileno=int(sys.argv[1]))
    with open(int(sys.argv[3]), "rb") as file:
        plan = Plan.from_json(file.read())
    if os.getppid() != plan.service_pid:
        return 0  # the service was gone before this process could ask to end with it
    Sampler(plan, control, int(sys.argv[2])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
