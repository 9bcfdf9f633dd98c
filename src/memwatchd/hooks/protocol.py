"""What service and helper say to each other: JSON objects, one a message, over a SOCK_SEQPACKET pair.

    service to helper   {"id": 7, "program": "/usr/local/sbin/x", "environment": {…}, "budget_ns": 4000000000}
    helper to service   {"id": 7, "status": 0}       as Popen.returncode has it: negative for a signal
                        {"id": 7, "status": null}    not ended within its budget, and killed
                        {"id": 7, "errno": 2}        not started: no such file, too much is waiting

Either side ends by closing its socket.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_MESSAGE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Request:
    """A program to be run.

    Attributes:
        environment: Beside PATH and LANG.
        budget_ns: From when the request is read; waiting for an earlier run of the program counts.
    """

    id: int
    program: str
    environment: Mapping[str, str]
    budget_ns: int

    def pack(self) -> bytes:
        """Write the message."""
        return json.dumps(
            {
                "id": self.id,
                "program": self.program,
                "environment": dict(self.environment),
                "budget_ns": self.budget_ns,
            }
        ).encode()

    @classmethod
    def unpack(cls, message: bytes) -> "Request":
        """Read the message."""
        return cls(**json.loads(message))


@dataclass(frozen=True, slots=True)
class Reply:
    """How it went.

    Attributes:
        status: None when it was not started or did not end in time.
        errno: Why it was not started; 0 when it was.
    """

    id: int
    status: int | None = None
    errno: int = 0

    def pack(self) -> bytes:
        """Write the message."""
        said: dict[str, Any] = {"id": self.id}
        said |= {"errno": self.errno} if self.errno else {"status": self.status}
        return json.dumps(said).encode()

    @classmethod
    def unpack(cls, message: bytes) -> "Reply":
        """Read the message."""
        return cls(**json.loads(message))
