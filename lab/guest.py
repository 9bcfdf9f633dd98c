"""A guest: qemu, its monitor, the channels to the conductor inside, and an account to log in to."""

import json
import os
import queue
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab import accelerator, host
from lab.errors import LabError
from lab.image import Image
from lab.qmp import Monitor
from lab.scenario import Machine

RESULTS_MIB = 1024  # of the drive that brings results home; sparse
_BOOT_PATIENCE_S = 60.0  # until qemu itself has come up; a busy host takes its time
_WORKED_WITH = (0, 3)  # numbers of the drives with the root file system and with swap
# All that the kernel says is kept; a panic restarts it at once, which ends qemu (-no-reboot).
# no_timer_check: on a busy host the emulated timer is late for the kernel's test of it, and that would panic.
_KERNEL = (
    "root=/dev/vda console=ttyS0 loglevel=4 panic=-1 log_buf_len=2M net.ifnames=0 mitigations=off"
    " systemd.show_status=no no_timer_check"
)


@dataclass(frozen=True, slots=True)
class Report:
    """A line of the conductor: the host's monotonic clock when it came, and what it says."""

    heard_s: float
    facts: Mapping[str, Any]

    @property
    def what(self) -> str:
        """Its name."""
        return str(self.facts.get("report"))


class Guest:
    """One virtual machine; may be started again with the same disk after it died.

    Args:
        image: What it boots.
        machine: Its hardware.
        directory: For its disks and what it prints.
        accelerated: By what (accelerator.py).
        keep: Whether it has a console to attach to.
    """

    def __init__(
        self, image: Image, machine: Machine, directory: Path, accelerated: str, *, keep: bool
    ) -> None:
        host.need({image.emulator: image.emulator_package, **host.TO_RUN})
        self._image, self._machine, self._directory = image, machine, directory
        self._accelerated, self._keep = accelerated, keep
        # Paths of sockets are short, those of a cache may not be.
        self._sockets = Path(tempfile.mkdtemp(prefix="memwatchd-lab-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._connections: list[socket.socket] = []
        self._port: socket.socket | None = None
        self.monitor: Monitor | None = None
        self.reports: queue.Queue[Report] = queue.Queue()
        self.ssh_port = 0
        self._prepare_disks()

    @property
    def console(self) -> Path:
        """The socket of its console."""
        return self._sockets / "console"

    @property
    def results(self) -> Path:
        """The drive with what the conductor collected: a tar."""
        return self._directory / "results.raw"

    @property
    def running(self) -> bool:
        """Whether qemu runs."""
        return self._process is not None and self._process.poll() is None

    # ---- life

    def start(self) -> None:
        """Switch it on.

        Raises:
            LabError: qemu did not start; with its words.
        """
        listeners = {name: self._listen(name) for name in ("qmp", "report", "stream")}
        self.ssh_port = _free_port()
        with (self._directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(word) for word in self._command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        # In the order in which qemu connects: it waits for each.
        accepted = {name: self._accept(listener) for name, listener in listeners.items()}
        self._connections += accepted.values()
        self.monitor = Monitor(accepted["qmp"])
        self._port = accepted["report"]
        threading.Thread(target=self._hear, args=(accepted["report"],), daemon=True).start()
        threading.Thread(target=self._keep_stream, args=(accepted["stream"],), daemon=True).start()

    def say(self, facts: Mapping[str, Any]) -> None:
        """Send the conductor a line."""
        if self._port is None:
            raise LabError("the guest was not started")
        try:
            self._port.sendall(json.dumps(facts).encode() + b"\n")
        except OSError as error:
            raise LabError(f"the guest is gone: {error}") from error

    def slow_down(self, iops: int | None, bytes_per_s: int | None) -> None:
        """Make the disks that the guest works with slow from now on; None is as fast as the host's.

        Raises:
            LabError: qemu refuses.
        """
        if self.monitor is None:
            raise LabError("there is no monitor")
        bounds = {"iops": iops or 0, "bps": bytes_per_s or 0}
        none = dict.fromkeys(("iops_rd", "iops_wr", "bps_rd", "bps_wr"), 0)
        for number in _WORKED_WITH:
            if number < len(self._drives()) // 2:
                self.monitor.execute("block_set_io_throttle", {"device": f"virtio{number}", **bounds, **none})

    def cpu_seconds(self) -> float | None:
        """Processor time of the host that the guest has taken so far; None when it is gone."""
        if self._process is None:
            return None
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; whether it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def switch_off(self) -> None:
        """As a power cut does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def close(self) -> None:
        """Switch it off and remove what only it used."""
        self.switch_off()
        shutil.rmtree(self._sockets, ignore_errors=True)

    # ---- a person's and the checks' way in

    def ssh(self, command: str, timeout_s: float) -> tuple[bool, float, str]:
        """Log in and run a command: whether that worked, how long it took, and what was said."""
        began = time.monotonic()
        try:
            done = subprocess.run(
                [*self.ssh_words(timeout_s), command],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False, time.monotonic() - began, f"no answer within {timeout_s:.0f} s"
        said = (done.stdout + done.stderr).strip()
        return done.returncode == 0, time.monotonic() - began, said

    def ssh_words(self, timeout_s: float = 20) -> list[str]:
        """The command that logs in, without what is to be done then."""
        options = {
            "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "IdentitiesOnly": "yes",
            "BatchMode": "yes", "LogLevel": "ERROR", "ConnectTimeout": str(max(1, int(timeout_s))),
        }  # fmt: skip
        words = ["ssh", "-F", "none", "-i", str(self._image.login_key), "-p", str(self.ssh_port)]
        for key, value in options.items():
            words += ["-o", f"{key}={value}"]
        return [*words, "root@127.0.0.1"]

    # ---- inner parts

    def _prepare_disks(self) -> None:
        with self.results.open("wb") as file:
            file.truncate(RESULTS_MIB << 20)
        if self._machine.boots > 1:
            host.command(["cp", "--sparse=always", self._image.root, self._directory / "root.img"])
        if self._machine.swap.kind == "disk":
            with (self._directory / "swap.raw").open("wb") as file:
                file.truncate(self._machine.swap.size_bytes)

    def _command(self) -> list[str | Path]:
        image, machine = self._image, self._machine
        words: list[str | Path] = [
            image.emulator,
            *accelerator.OPTIONS[self._accelerated],
            "-machine",
            image.machine,
        ]
        words += [
            "-m",
            str(machine.memory_bytes >> 20),
            "-smp",
            str(machine.cpus),
            "-display",
            "none",
            "-no-reboot",
        ]
        words += ["-nodefaults", "-no-user-config", "-name", "memwatchd-lab"]
        words += ["-rtc", f"base={machine.clock or 'utc'}"]
        words += ["-kernel", image.kernel, "-initrd", image.initrd]
        words += ["-append", " ".join([_KERNEL, *machine.kernel_arguments])]
        words += ["-serial", f"file:{self._directory / 'console.log'}"]
        if self._keep:
            words += ["-serial", f"unix:{self.console},server=on,wait=off"]
        words += ["-qmp", f"unix:{self._sockets / 'qmp'}"]
        words += self._drives()
        words += ["-device", "virtio-serial-pci"]
        for name in ("report", "stream"):
            words += ["-chardev", f"socket,id={name},path={self._sockets / name}"]
            words += ["-device", f"virtserialport,chardev={name},name=lab.{name}"]
        words += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"]
        words += ["-device", "virtio-net-pci,netdev=net,romfile="]
        words += ["-device", "virtio-balloon-pci", "-device", "virtio-rng-pci"]
        return words

    def _drives(self) -> list[str]:
        machine = self._machine
        slow = f",throttling.iops-total={machine.iops}" if machine.iops else ""
        slow += f",throttling.bps-total={machine.bytes_per_s}" if machine.bytes_per_s else ""
        kept = machine.boots > 1
        root = f"file={self._directory / 'root.img'}" if kept else f"file={self._image.root},snapshot=on"
        # What the guest has written is in the host's memory at least, which outlives qemu.
        words = ["-drive", f"if=virtio,format=raw,cache=unsafe,{root}{slow}"]
        words += ["-drive", f"if=virtio,format=raw,readonly=on,file={self._directory / 'inject.tar'}"]
        words += ["-drive", f"if=virtio,format=raw,cache=unsafe,file={self.results}"]
        if machine.swap.kind == "disk":
            words += [
                "-drive",
                f"if=virtio,format=raw,cache=unsafe,file={self._directory / 'swap.raw'}{slow}",
            ]
        return words

    def _listen(self, name: str) -> socket.socket:
        path = self._sockets / name
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(0.2)
        return listener

    def _accept(self, listener: socket.socket) -> socket.socket:
        deadline = time.monotonic() + _BOOT_PATIENCE_S
        with listener:
            while self.running and time.monotonic() < deadline:
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                connection.settimeout(None)
                return connection
        self.switch_off()
        said = (self._directory / "qemu.log").read_text(errors="replace").strip()[-400:]
        raise LabError(f"qemu did not start: {said or 'it says nothing'}")

    def _hear(self, connection: socket.socket) -> None:
        for line in _lines(connection.makefile("rb")):
            try:
                facts = json.loads(line)
            except ValueError:
                continue  # cut by the death of the machine
            self.reports.put(Report(time.monotonic(), facts))

    def _keep_stream(self, connection: socket.socket) -> None:
        with (self._directory / "stream.txt").open("ab", buffering=0) as kept:
            for line in _lines(connection.makefile("rb")):
                kept.write(f"{time.monotonic():.4f} ".encode() + line)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines of a connection, until it ends in whatever way."""
    with suppress(OSError, ValueError):
        while line := file.readline():
            yield line


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
