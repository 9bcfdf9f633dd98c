"""The service: starts everything, listens, restarts what dies, and ends in good order.

One loop waits for the kernel's messages, the sampler's alarm, commands, the children's deaths and signals. It
waits for nothing else: files are written by the scribe, /proc is walked on the rounds, lines are logged by
the log's own thread.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from memwatchd.actions.hook import Hook
from memwatchd.actions.protect import Protector
from memwatchd.config.model import Config
from memwatchd.errors import ConfigError, MemwatchdError, StartError
from memwatchd.incidents.recorder import REQUESTED, RULE_FIRED, Recorder, Trigger, Whole, write_whole
from memwatchd.incidents.store import Store
from memwatchd.kernel import libc, privileges
from memwatchd.kernel.clocks import read_boot_id, read_clocks
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.format import State
from memwatchd.roots import Roots
from memwatchd.sampling.glance import Glance
from memwatchd.sampling.plan import Plan
from memwatchd.service import control, start
from memwatchd.service.acting import ServiceOutlets, absent_signals, active_rules, make_world, missing_rights
from memwatchd.service.background import Rounds, Scribe
from memwatchd.service.blackbox import BlackBox
from memwatchd.service.census import Census
from memwatchd.service.eventring import EventRing
from memwatchd.service.exporter import ExporterChild
from memwatchd.service.facts import host_facts, program_facts, sampling_facts
from memwatchd.service.hooks import HookProcess
from memwatchd.service.keeper import SamplerKeeper
from memwatchd.service.logs import Log
from memwatchd.service.messages import KillWatch
from memwatchd.service.past import Past, describe_past, find_past
from memwatchd.service.responder import Responder
from memwatchd.service.sampler import SamplerProcess
from memwatchd.service.systemd import Notifier
from memwatchd.service.watches import WatchKeeper
from memwatchd.state import status_line, write_state

_POLL_S = 0.1
_STATE_NS = 1_000_000_000
_STALE_NS = 2_000_000_000
_STOP_S = 5.0
_RESERVE_BYTES = 4 << 20  # beside the rings' own size: meta data, texts, segments stored twice


class Service:
    """One run of the daemon.

    Args:
        config: Validated.
        places: Its directories.
        roots: Where the kernel's file systems are.
        read_config: Reads the configuration anew, for a reload; raises ConfigError.

    Raises:
        StartError: From `run`, when it cannot start here at all.
    """

    def __init__(
        self, config: Config, places: Places, roots: Roots, read_config: Callable[[], Config]
    ) -> None:
        self._config = config
        self._places = places
        self._roots = roots
        self._read_config = read_config
        self._degraded = start.take_priority(config)
        self._log = Log(config.log.level)
        self._missing: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._notifier = Notifier.from_environment()
        self._started = read_clocks()
        self._stopping = False
        self._reloads: dict[str, Any] = {
            "reloads": {"taken": 0, "refused": 0},
            "last_successful": True,
            "taken_realtime_ns": self._started.realtime_ns,
        }
        self._state_due_ns = 0
        self._pace_told = False
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._exporter: ExporterChild | None = None
        self._hooks = HookProcess(self._log.note)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        with ExitStack() as self._closing:
            self._closing.callback(self._log.close)
            self._closing.callback(os.close, start.take_directories(self._places))
            try:
                self._prepare()
                self._listen()
            except OSError as error:
                where = error.filename or self._places.runtime_dir
                raise StartError(f"{where}: {error.strerror or error}") from error
            self._start_children()
            while not self._stopping:
                self._turn()
            self._notifier.stopping()
            # First of all: who is shut down with his machine may have no time for the rest.
            self._stop_black_box()

    # ---- getting ready

    def _prepare(self) -> None:
        config, places, roots = self._config, self._places, self._roots
        libc.share_heap()
        self._note_degraded(start.memory_problem(places))
        self._note_degraded(privileges.set_oom_score_adj(config.sampling.oom_score_adj))
        for sentence in self._degraded:
            self._log.note("warning", f"degraded: {sentence}", event="degraded")
        plan = start.make_plan(config, places, roots)
        with Glance(plan.sources) as glance:
            self._missing = absent_signals(config, glance)
        past = find_past(places, read_boot_id(roots))
        for sentence in past.notes:
            self._log.note("info", sentence)
        try:
            self._samples, events, problem = start.make_rings(config, places, plan)
        except StartError:
            if past.remains is None:
                raise
            # No room for new rings beside those of the last run: save these first and let go of them.
            store, trouble = self._make_store(0), partial(self._log.note, "error")
            self._save(past, store, lambda whole: write_whole(store, whole, trouble))
            past = replace(past, remains=None, box=None)
            self._samples, events, problem = start.make_rings(config, places, plan)
        self._note_degraded(problem)
        self._event_ring = EventRing(events)
        self._closing.callback(self._close_rings)
        self._recorder = self._make_recorder()
        self._black_box = self._make_black_box(past)
        self._scribe = Scribe(self._recorder)
        self._closing.callback(self._scribe.stop, _STOP_S)
        self._samplers = self._make_samplers(plan)
        self._responder = self._make_responder()
        self._kill_watch = KillWatch(
            self._open_kmsg(), self._samples, self._event_ring, self._scribe.happened, self._log.note
        )
        self._keeper = WatchKeeper(roots, config.watch, self._samplers.command)
        census = Census(roots, self._event_ring, config.census.period_ns, config.census.budget_pct / 100)
        self._rounds = Rounds(
            roots=roots,
            events=self._event_ring,
            census=census,
            keeper=self._keeper,
            protect=partial(self._protector.round, self._world),
            period_s=config.census.period_ns / 1e9,
            note=self._log.note,
        )
        self._closing.callback(self._rounds.stop, _STOP_S)
        self._black_box.start()
        self._closing.callback(self._stop_black_box)
        if config.sampling.lock_memory:
            self._note_degraded(privileges.lock_memory())

    def _save(self, past: Past, store: Store, write: Callable[[Whole], Path]) -> None:
        """Make incidents of what the last run left, and then forget it.

        Raises:
            OSError: They could be written nowhere.
        """
        before_ns = self._config.incidents.before_ns
        for whole in describe_past(past, self._roots, before_ns, read_clocks()):
            # A start that died in the middle of this has written it already.
            if store.find(whole.trigger.moment.realtime_ns, whole.trigger.kind) is None:
                path = write(whole)
                self._log.note(
                    "warning",
                    f"the last run did not end in good order; its last samples: {path}",
                    event="last_run_died",
                    incident=path,
                )
        past.forget()

    def _make_black_box(self, past: Past) -> BlackBox:
        black_box = BlackBox(
            self._places.black_box,
            self._places.epitaph,
            self._config.black_box,
            self._config.incidents.before_ns,
            samples=self._samples,
            events=self._event_ring.ring,
            facts=self._box_facts,
            note=self._log.note,
        )

        def save() -> None:
            self._save(past, self._make_store(0), self._recorder.write_whole)
            black_box.release()

        if past.anything:
            self._recorder.salvage(save)
        else:
            black_box.release()
        return black_box

    def _make_store(self, reserve_bytes: int) -> Store:
        return Store(self._places.incidents, self._places.pending, start.limits(self._config), reserve_bytes)

    def _make_recorder(self) -> Recorder:
        rings_bytes = self._samples.header.file_bytes + self._event_ring.ring.header.file_bytes
        return Recorder(
            store=self._make_store(rings_bytes + _RESERVE_BYTES),
            samples=self._samples,
            events=self._event_ring.ring,
            windows=start.windows(self._config),
            describe=self._describe,
            clocks=read_clocks,
            texts=start.texts(self._config),
            note=self._log.note,
        )

    def _make_samplers(self, plan: Plan) -> SamplerKeeper:
        return SamplerKeeper(
            plan,
            alarm=self._alarm,
            board=self._samples.board,
            selector=self._selector,
            on_ready=self._sampler_is_ready,
            on_decision=lambda decision: self._responder.decide(decision),
            on_death=self._sampler_died,
        )

    def _make_responder(self) -> Responder:
        outlets = ServiceOutlets(self._log.note, self._dump_for_rule, self._hooks.run)
        self._world = make_world(self._roots, self._places, outlets, self._own_pids)
        self._note_degraded(self._world.changes.problem)
        self._protector = Protector(self._config.protect)
        self._closing.callback(self._stop_protecting)
        responder = Responder(self._world, self._event_ring, self._log.note, self._step_is_done)
        self._closing.callback(responder.stop, _STOP_S)
        return responder

    def _stop_protecting(self) -> None:
        try:
            self._protector.stop(self._world)
        except OSError as error:
            problem = f"protect: {error.filename}: {error.strerror}: not put back"
            self._log.note("error", problem, event="not_put_back")

    def _open_kmsg(self) -> KmsgReader | None:
        try:
            return KmsgReader.open(self._roots.kmsg, backlog=False)
        except OSError as error:
            self._note_degraded(f"{self._roots.kmsg}: {error.strerror} (CAP_SYSLOG): victims remain unnamed")
            return None

    def _listen(self) -> None:
        self._control = control.Control(control.listen(self._places.control), self._selector, self._obey)
        self._closing.callback(self._places.control.unlink, missing_ok=True)
        self._closing.callback(self._places.state.unlink, missing_ok=True)
        self._on(self._alarm, self._hear_alarm)
        if self._kill_watch.kmsg is not None:
            self._on(self._kill_watch.kmsg.descriptor, self._kill_watch.read_messages)
        waker, woken = socket.socketpair()
        for each in (waker, woken):
            each.setblocking(False)
        self._waker = waker  # closed with the process
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)
        self._on(woken, lambda: self._hear_signals(woken.recv(64)))

    def _start_children(self) -> None:
        self._closing.callback(self._samplers.stop)
        for ring in (self._samples, self._event_ring.ring):
            ring.set_state(State.RUNNING)  # from here on an end without a word is a death
        self._configure_rules(self._config, self._missing)
        self._samplers.start()
        self._closing.callback(self._hooks.stop)
        self._closing.callback(self._stop_exporter)
        self._start_exporter()

    def _start_exporter(self) -> None:
        if self._config.exporter.enabled:
            self._exporter = ExporterChild(self._places, self._config.exporter, self._log.note)
            self._exporter.start()

    def _stop_exporter(self) -> None:
        if self._exporter is not None:
            self._exporter.stop()
            self._exporter = None

    def _on(self, source: Any, action: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, action)

    # ---- the loop

    def _turn(self) -> None:
        for key, _ in self._selector.select(_POLL_S):
            key.data()
        now_ns = time.monotonic_ns()
        threads = (self._scribe, self._rounds, self._responder, self._black_box)
        if not all(each.alive for each in threads):
            raise MemwatchdError(
                "one of the service's threads has ended by itself; starting anew is all that helps"
            )
        self._kill_watch.poll()
        self._samplers.poll(now_ns)
        self._responder.poll(now_ns, armed=bool(self._samples.board[Slot.ARMED]))
        self._hooks.poll(now_ns)
        if self._exporter is not None:
            self._exporter.poll(now_ns)
        if now_ns >= self._state_due_ns:
            self._state_due_ns = now_ns + _STATE_NS
            self._show_state(now_ns)

    def _show_state(self, now_ns: int) -> None:
        self._tell_pace()
        state = self._state()
        try:
            write_state(self._places.state, state)
        except OSError as error:
            self._note_degraded(f"{self._places.state}: {error.strerror}: status and metrics are out of date")
        self._notifier.status(status_line(state))
        if now_ns - self._samples.figures()[Slot.HEARTBEAT_NS] < _STALE_NS:
            self._notifier.alive()

    def _tell_pace(self) -> None:
        """Say once that ticks give way; that they do now, and how much, is in the state."""
        if not self._pace_told and self._samples.board[Slot.STRIDE] > 1:
            self._pace_told = True
            self._log.note("warning", f"degraded: {start.SLOW_PROCESSOR}")

    def _state(self) -> dict[str, Any]:
        sampler, kmsg = self._samplers.current, self._kill_watch.kmsg
        return {
            "program": program_facts(),
            "pid": os.getpid(),
            "sampler_pid": sampler.process.pid if sampler else None,
            "exporter_pid": self._exporter_pid(),
            "started_realtime_ns": self._started.realtime_ns,
            "renewed_monotonic_ns": time.monotonic_ns(),
            "degraded": self._all_degraded(),
            "sampling": self._sampling(),
            "sources": [source.name for source in self._samplers.plan.sources],
            "kills": self._kill_watch.ledger.by_scope,
            "kmsg": {"readable": kmsg is not None, "lost": kmsg.lost if kmsg else 0},
            "incidents": {
                "written": self._recorder.written,
                "last": self._recorder.last_path and self._recorder.last_path.name,
                "directory": str(self._places.incidents),
                "by_kind": self._recorder.by_kind,
                "recent": self._recorder.recent,
            },
            "black_box": self._black_box.figures(),
            "rules": self._responder.state(),
            "actions": self._responder.deeds(),
            "config": self._reloads,
            "log_lines_dropped": self._log.dropped,
            "log_lines_repeated": self._log.repeated,
        }

    def _all_degraded(self) -> list[str]:
        """What does not work as it should, one sentence each; called from any thread."""
        sampler = self._samplers.current
        found = [
            *self._degraded,
            *self._missing,
            *(sampler.degraded if sampler else ["the sampler is not running"]),
        ]
        if self._recorder.problem:
            found.append(self._recorder.problem)
        if self._black_box.problem:
            found.append(self._black_box.problem)
        if self._samples.figures()[Slot.STRIDE] > 1:
            found.append(start.SLOW_PROCESSOR)
        if self._samples.figures()[Slot.OVERSIZE]:
            found.append("a source's text has outgrown the ring's segments and is left out")
        if self._event_ring.oversize:
            found.append(f"events: {self._event_ring.oversize} records were too long for a segment")
        if self._protector.problem:
            found.append(self._protector.problem)
        if self._keeper.refused:
            found.append(f"watch: {self._keeper.refused} more files match than the sampler has room for")
        return found

    def _sampling(self) -> dict[str, Any]:
        names = {number: source.name for number, source in enumerate(self._samplers.plan.sources)}
        return sampling_facts(self._samples.figures(), names)

    def _describe(self, from_ns: int, to_ns: int) -> dict[str, Any]:
        """Facts for an incident's meta block; called by the scribe."""
        kmsg = self._kill_watch.kmsg
        return {
            **self._kill_watch.ledger.between(from_ns, to_ns),
            "window": {"from_ns": from_ns, "to_ns": to_ns},
            "program": program_facts(),
            "host": host_facts(self._roots),
            "sampling": self._sampling(),
            "kmsg": {"readable": kmsg is not None, "lost": kmsg.lost if kmsg else 0},
            "degraded": self._all_degraded(),
        }

    def _box_facts(self) -> dict[str, Any]:
        """Facts for the incident of a machine's death; called by the black box."""
        kmsg = self._kill_watch.kmsg
        return {
            "program": program_facts(),
            "host": host_facts(self._roots),
            "sampling": self._sampling(),
            "kmsg": {"readable": kmsg is not None, "lost": kmsg.lost if kmsg else 0},
            "degraded": self._all_degraded(),
            "texts": {name: text.decode() for name, text in start.texts(self._config).items()},
        }

    # ---- what happens

    def _hear_alarm(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._alarm)
        # The messages are there by now, and they name the victim.
        self._kill_watch.read_messages()
        self._kill_watch.read_counters()

    def _hear_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stopping = True
            elif number == signal.SIGUSR1:
                self._dump("SIGUSR1", lambda _path, _problem: None)
            elif number == signal.SIGHUP:
                self._reload(lambda _problem: None)

    def _obey(self, request: dict[str, Any], connection: control.Connection) -> None:
        if request.get("command") == "reload":
            self._reload(
                lambda problem: connection.answer({"error": problem} if problem else {"reloaded": True})
            )
            return
        if request.get("command") != "dump":
            connection.answer({"error": "unknown command; expected dump or reload"})
            return
        detail = str(request.get("detail") or "requested on the command line")
        self._dump(detail, lambda path, problem: connection.answer(_dump_reply(path, problem)))

    def _dump(self, detail: str, written: Callable[[Path | None, str], None]) -> None:
        self._scribe.dump(Trigger(REQUESTED, detail, read_clocks()), written)

    def _dump_for_rule(self, detail: str) -> None:
        self._scribe.happened(Trigger(RULE_FIRED, detail, read_clocks()))

    def _step_is_done(self, rule: str, step: int, failed: bool) -> None:
        """Tell the sampler; when it cannot be told, it takes the step for lost after its deadline."""
        self._samplers.command({"done": [{"rule": rule, "step": step, "failed": failed}]}, [])

    def _own_pids(self) -> frozenset[int]:
        children = (self._exporter_pid(), self._hooks.pid)
        return frozenset((os.getpid(), *self._samplers.pids, *filter(None, children)))

    def _exporter_pid(self) -> int | None:
        # Asked for by other threads, too, while the exporter comes and goes.
        exporter = self._exporter
        process = exporter.process if exporter is not None else None
        return process.pid if process is not None else None

    def _sampler_is_ready(self, sampler: SamplerProcess) -> None:
        self._rounds.new_sampler()
        self._notifier.ready("sampling")
        for sentence in sampler.degraded:
            self._log.note("warning", f"degraded: {sentence}", event="degraded")
        names = ", ".join(source.name for source in self._samplers.plan.sources)
        self._log.note("info", f"sampling {names}", event="sampling")

    def _sampler_died(self, sentence: str, status: int | None) -> None:
        now_ns = time.monotonic_ns()
        self._event_ring.event("sampler_died", now_ns, status=status)
        self._log.note("error", sentence, event="sampler_died", status=status)
        self._responder.sampler_died(now_ns)

    # ---- another configuration

    def _reload(self, answer: Callable[[str], None]) -> None:
        """Read the configuration and go by it, or keep the present one and say why."""

        def end(problem: str) -> None:
            # First: systemctl reload is over when the command that waits for the answer is.
            self._notifier.reloaded()
            answer(problem)

        def refuse(problem: str) -> None:
            self._count_reload("refused")
            line = "; ".join(problem.splitlines())
            self._log.note("error", f"the configuration is kept as it was: {line}", event="reload_refused")
            end(problem)

        self._notifier.reloading()
        try:
            config = self._read_config()
        except ConfigError as error:
            refuse(str(error))
            return
        if config.ring != self._config.ring:
            refuse("ring: another size takes a restart")
            return

        plan = start.make_plan(config, self._places, self._roots)
        with Glance(plan.sources) as glance:
            absent = absent_signals(config, glance)
        if absent:
            refuse("; ".join(absent))
            return

        def taken(problem: str) -> None:
            if problem:
                refuse(problem)
                return
            self._go_by(config)
            self._count_reload("taken")
            self._log.note("info", "the configuration has been read anew", event="reloaded")
            end("")

        self._samplers.replace(plan, taken)

    def _count_reload(self, outcome: str) -> None:
        reloads = self._reloads["reloads"]
        taken = outcome == "taken"
        self._reloads = {
            "reloads": {**reloads, outcome: reloads[outcome] + 1},
            "last_successful": taken,
            "taken_realtime_ns": time.time_ns() if taken else self._reloads["taken_realtime_ns"],
        }

    def _configure_rules(self, config: Config, absent: Iterable[str] = ()) -> None:
        rules = active_rules(config)
        hooked = any(step.action.name == Hook.name for rule in rules for step in rule.actions)
        if hooked and self._hooks.pid is None:
            self._hooks.start()
        self._protector.section = config.protect
        self._responder.configure(rules, config.acting)
        self._missing = [*absent, *missing_rights(rules, self._world)]
        for sentence in self._missing:
            self._log.note("warning", f"degraded: {sentence}", event="degraded")

    def _go_by(self, config: Config) -> None:
        """Take another configuration; its sampler runs already."""
        before, self._config = self._config, config
        self._log.set_level(config.log.level)
        self._note_degraded(privileges.set_oom_score_adj(config.sampling.oom_score_adj))
        if config.sampling.lock_memory and not before.sampling.lock_memory:
            self._note_degraded(privileges.lock_memory())
        self._configure_rules(config)
        self._recorder.configure(start.windows(config), start.limits(config), start.texts(config))
        self._black_box.configure(config.black_box, config.incidents.before_ns)
        self._keeper.watches = config.watch
        self._rounds.configure(config.census)
        # With a certificate also when it is the same section: it can be read with this process's rights only.
        if config.exporter != before.exporter or config.exporter.web_config is not None:
            self._stop_exporter()
            self._start_exporter()

    # ---- the end

    def _stop_black_box(self) -> None:
        self._black_box.stop(_STOP_S, clean=self._stopping)

    def _close_rings(self) -> None:
        self._event_ring.close()
        if not self._stopping:
            return  # it ends for want of something: the next start saves what was recorded
        for ring in (self._samples, self._event_ring.ring):
            ring.set_state(State.CLOSED)

    def _note_degraded(self, sentence: str | None) -> None:
        if sentence is not None and sentence not in self._degraded:
            self._degraded.append(sentence)
            self._log.note("warning", f"degraded: {sentence}", event="degraded")


def _dump_reply(path: Path | None, problem: str) -> dict[str, Any]:
    return {"path": str(path)} if path is not None else {"error": problem}
