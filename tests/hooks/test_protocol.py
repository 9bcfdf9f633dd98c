"""What service and helper say to each other."""

import subprocess
import sys

import pytest

from memwatchd.hooks.protocol import MAX_MESSAGE_BYTES, Reply, Request


def test_a_request_comes_through_whole() -> None:
    """A program would run with another's environment, or without its budget."""
    request = Request(7, "/usr/local/sbin/x", {"MEMWATCHD_RULE": "ümläut"}, 4_000_000_000)
    assert Request.unpack(request.pack()) == request
    assert len(request.pack()) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("reply", "packed"),
    [
        (Reply(7, 0), b'{"id": 7, "status": 0}'),
        (Reply(7, -9), b'{"id": 7, "status": -9}'),
        (Reply(7), b'{"id": 7, "status": null}'),
        (Reply(7, errno=2), b'{"id": 7, "errno": 2}'),
    ],
)
def test_a_reply_says_one_of_three_things(reply: Reply, packed: bytes) -> None:
    """A program that could not be started would look like one that ended well."""
    assert reply.pack() == packed
    assert Reply.unpack(packed) == reply


def test_the_helper_stays_small() -> None:
    """It sits there for years to run a program once: it must not hold YAML, HTTP or psutil."""
    code = "import sys, memwatchd.hooks.__main__; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert not loaded & {"yaml", "psutil", "systemd", "jeepney", "lz4", "logging", "subprocess", "argparse"}
    ours = {name for name in loaded if name.startswith("memwatchd.")}
    assert ours == {
        "memwatchd.hooks",
        "memwatchd.hooks.__main__",
        "memwatchd.hooks.protocol",
        "memwatchd.hooks.runner",
    }
