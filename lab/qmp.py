"""qemu's monitor: one JSON object a line, https://www.qemu.org/docs/master/interop/qmp-spec.html ."""

import json
import socket
import threading
from collections.abc import Mapping
from typing import Any

from lab.errors import LabError

_PATIENCE_S = 20.0


class Monitor:
    """A connection to a monitor.

    Args:
        connection: To qemu, which has just connected.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_S)
        self._connection = connection
        self._one_at_a_time = threading.Lock()
        self._file = connection.makefile("rb")
        self._read()
        self.execute("qmp_capabilities")

    def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Have a command done and return its answer.

        Raises:
            LabError: qemu refuses it, is gone, or does not answer.
        """
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = dict(arguments)
        try:
            with self._one_at_a_time:
                self._connection.sendall(json.dumps(message).encode() + b"\n")
                while True:
                    answer = self._read()
                    if "error" in answer:
                        raise LabError(f"qemu's monitor refused {command}: {answer['error'].get('desc')}")
                    if "return" in answer:
                        return answer["return"]
        except OSError as error:
            raise LabError(f"qemu's monitor does not answer {command}: {error}") from error

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
        self._connection.close()

    def _read(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise LabError("qemu closed its monitor")
        message: dict[str, Any] = json.loads(line)
        return message
