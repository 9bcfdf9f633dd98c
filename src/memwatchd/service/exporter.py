"""The exporter as the service's child: started, restarted, and ended by closing a pipe."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

from memwatchd.config.serving import Exporter, write_listen
from memwatchd.incidents.recorder import Note
from memwatchd.places import Places
from memwatchd.service.children import Backoff

_STOP_S = 5.0


@dataclass(slots=True)
class ExporterChild:
    """Keeps an exporter running."""

    places: Places
    section: Exporter
    note: Note
    process: subprocess.Popen[bytes] | None = None
    _backoff: Backoff = field(default_factory=Backoff)

    def start(self) -> None:
        """Start it."""
        command = [sys.executable, "-I", "-m", "memwatchd", "exporter", "--runtime-dir"]
        command += [str(self.places.runtime_dir), "--until-eof"]
        for each in self.section.listen:
            command += ["--listen", write_listen(each)]
        if self.section.web_config is not None:
            command += ["--web.config.file", str(self.section.web_config)]
        now_ns = time.monotonic_ns()
        try:
            # It ends when this pipe does, however this process ends.
            # One arena for all of its threads: each request has a thread, and each arena its own leftovers.
            environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
        except OSError as error:
            self.note("error", f"the exporter cannot be started: {error.strerror}")
            self._backoff.died(now_ns)
            return
        self._backoff.started(now_ns)

    def poll(self, now_ns: int) -> None:
        """Start it again when it died, but not in a storm."""
        if self.process is not None and self.process.poll() is not None:
            self.note("warning", f"the exporter ended with status {self.process.returncode}")
            self._close()
            self._backoff.died(now_ns)
        if self._backoff.due(now_ns):
            self.start()

    def stop(self) -> None:
        """End it."""
        if self.process is None:
            return
        process = self.process
        self._close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._kill(process)

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """End one that does not hear, lest it keeps the port from the next one."""
        try:
            process.kill()
            process.wait(_STOP_S)
        except (PermissionError, subprocess.TimeoutExpired):
            self.note("warning", "the exporter does not end; it is left to itself")
        else:
            self.note("warning", "the exporter did not end, and was killed")

    def _close(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None
