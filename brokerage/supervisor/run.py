"""Bring the platform up in order, keep it up, take it down in reverse order."""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType

from brokerage.env import ROOT, Environment
from brokerage.supervisor.children import child_end, child_spawn, child_wait
from brokerage.supervisor.errors import StopRequested, SupervisorError
from brokerage.supervisor.logs import log_bound, log_open, log_tail
from brokerage.supervisor.plan import PORT_NAMES, Addresses, Plan, Step, hand_environment, plan_make
from brokerage.supervisor.ports import port_is_free
from brokerage.supervisor.processes import ChildProcess, Watch, leftover_end
from brokerage.supervisor.screen import say, welcome_text
from brokerage.supervisor.servers import addresses_make, servers_choose
from brokerage.supervisor.state import ProcessState, RunState, VarFolder, file_replace

PlanMaker = Callable[[Environment, Addresses], Plan]

HEALTH_TIMEOUT_S = 180.0
DEATHS_AT_START_MAX = 4
HEALTH_PERIOD_S = 0.5
LOG_PERIOD_S = 30.0
PUBLIC_PORTS_TRIED = 20
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """One run of the platform on one data folder."""

    def __init__(self, environment: Environment, plan_maker: PlanMaker = plan_make) -> None:
        self._environment = environment
        self._plan_maker = plan_maker
        self._folder = VarFolder(environment.var)
        self._watches: list[Watch] = []
        self._stop_asked = False
        self._phase = "starting"
        self._detail = ""
        self._url = ""
        self._wake_reader, self._wake_writer = socket.socketpair()

    def run(self) -> int:
        """Return 0 after an orderly stop, 1 when the platform could not be started."""
        self._folder.prepare()
        self._folder.lock_take()
        with self._signals_caught():
            try:
                self._start()
                self._watch()
            except StopRequested:
                say("Stopping as asked.")
            except SupervisorError as error:
                self._detail = str(error)
                say(f"Openbell did not start.\n{error}", is_error=True)
                return 1
            finally:
                self._stop()
        return 0

    # -- starting ------------------------------------------------------------------------

    def _start(self) -> None:
        self._leftovers_end()
        self._public_port_choose()
        self._url = self._public_url()
        ports = self._folder.ports_choose(PORT_NAMES)
        servers = servers_choose(self._environment, self._folder, ports, self._stop_is_asked)
        for server in (servers.postgres, servers.valkey):
            if server is not None:
                with self._timed(server.name):
                    self._service_start(Watch(server))
        addresses = addresses_make(self._environment, self._folder, ports, self._url, servers)
        file_replace(
            self._folder.root / "environment.json", hand_environment(self._environment, addresses), mode=0o600
        )
        plan = self._plan_maker(self._environment, addresses)
        for step in plan.steps:
            self._step_run(step)
        with self._timed("processes"):
            for process in plan.processes:
                child = ChildProcess(process, self._folder.log_path(process.name), ROOT)
                self._service_start(Watch(child, process.health, process.restarts_at_once))
            self._healthy_wait()
        self._phase = "ready"
        self._state_write()
        say(welcome_text(self._url, self._folder.root))

    def _leftovers_end(self) -> None:
        """End what a killed supervisor left, last started first, as an orderly stop would have done."""
        for line in reversed(self._folder.state_read().processes):
            if line.name not in ("postgres", "valkey"):
                leftover_end(line.pid, line.birth)

    def _public_port_choose(self) -> None:
        environment = self._environment
        if port_is_free(environment.port, environment.host):
            return
        if environment.port_is_explicit:
            raise SupervisorError(
                f"Port {environment.port} on {environment.host} is taken: choose another OPENBELL_PORT."
            )
        for port in range(environment.port + 1, environment.port + PUBLIC_PORTS_TRIED):
            if port_is_free(port, environment.host):
                say(f"Port {environment.port} is taken by another program: using {port} instead.")
                self._environment = replace(environment, port=port)
                return
        raise SupervisorError(f"No free port from {environment.port} on: set OPENBELL_PORT.")

    def _public_url(self) -> str:
        if self._environment.public_url_is_given:
            return self._environment.public_url
        host = "127.0.0.1" if self._environment.host in ("0.0.0.0", "::") else self._environment.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._environment.port}"

    def _service_start(self, watch: Watch) -> None:
        if self._stop_asked:
            raise StopRequested
        self._watches.append(watch)
        self._watch_start(watch)

    def _watch_start(self, watch: Watch) -> None:
        watch.service.start()
        watch.start_note(time.monotonic())
        watch.since = datetime.now(UTC).isoformat(timespec="seconds")
        self._state_write()

    def _step_run(self, step: Step) -> None:
        log_path = self._folder.log_path(step.name)
        with self._timed(step.label), log_open(log_path) as log:
            process = child_spawn(step.command, env=step.env, log=log, cwd=ROOT)
            try:
                code = child_wait(process, step.timeout_s, self._stop_is_asked)
            finally:
                child_end(process, ((signal.SIGTERM, 10.0),))
        if code != 0:
            reason = f"took more than {step.timeout_s:.0f} s" if code is None else f"failed with code {code}"
            command = " ".join(step.command[1:])
            raise SupervisorError(f"{command} {reason}; {log_path} ends with:\n{log_tail(log_path)}")

    def _healthy_wait(self) -> None:
        deadline = time.monotonic() + HEALTH_TIMEOUT_S
        while unhealthy := [watch for watch in self._watches if watch.state != "up"]:
            if self._stop_asked:
                raise StopRequested
            self._tick()
            self._health_look(unhealthy)
            hopeless = [watch for watch in unhealthy if watch.deaths_in_a_row >= DEATHS_AT_START_MAX]
            if hopeless or time.monotonic() >= deadline:
                watch = (hopeless or unhealthy)[0]
                what = "keeps ending" if hopeless else f"is not healthy after {HEALTH_TIMEOUT_S:.0f} s"
                path = watch.service.log_path
                raise SupervisorError(f"{watch.service.name} {what}; {path} ends with:\n{log_tail(path)}")
            self._sleep(0.1)

    # -- watching ------------------------------------------------------------------------

    def _watch(self) -> None:
        next_health = next_log = time.monotonic()
        while not self._stop_asked:
            self._tick()
            now = time.monotonic()
            if now >= next_health:
                self._health_look([watch for watch in self._watches if watch.state == "starting"])
                next_health = now + HEALTH_PERIOD_S
            if now >= next_log:
                for watch in self._watches:
                    log_bound(watch.service.log_path)
                next_log = now + LOG_PERIOD_S
            self._sleep(HEALTH_PERIOD_S)

    def _tick(self) -> None:
        """Note every death and start again whatever is due; servers come first, as the others need them."""
        for watch in self._watches:
            if watch.state != "down" and not watch.service.is_running():
                self._death_note(watch)
            if watch.state == "down" and time.monotonic() >= watch.start_due_at and not self._stop_asked:
                self._restart(watch)

    def _death_note(self, watch: Watch) -> None:
        service = watch.service
        how = f" ({service.exit_text()})" if isinstance(service, ChildProcess) else ""
        delay_s = watch.death_note(time.monotonic())
        again = f"in {delay_s:.0f} s" if delay_s else "at once"
        say(f"{service.name} ended{how}; starting it again {again}. Log: {service.log_path}", is_error=True)
        self._state_write()

    def _restart(self, watch: Watch) -> None:
        watch.restarts += 1
        try:
            self._watch_start(watch)
        except (SupervisorError, OSError) as error:
            if self._phase == "starting":
                raise
            say(f"{watch.service.name} did not start: {error}", is_error=True)
            watch.death_note(time.monotonic())

    def _health_look(self, watches: list[Watch]) -> None:
        for watch in watches:
            if watch.state == "starting" and watch.is_healthy(time.monotonic()):
                watch.state = "up"
                self._state_write()

    # -- stopping ------------------------------------------------------------------------

    def _stop(self) -> None:
        self._phase = "stopping"
        self._state_write()
        for watch in reversed(self._watches):
            started = time.monotonic()
            watch.service.stop()
            watch.state = "stopped"
            if time.monotonic() - started > 1.0:
                say(f"  stopped {watch.service.name} ({time.monotonic() - started:.1f} s)")
        with contextlib.suppress(FileNotFoundError):
            (self._folder.root / "environment.json").unlink()
        self._phase = "stopped"
        self._watches = []
        self._state_write()
        say("Openbell has stopped.")

    # -- small parts ---------------------------------------------------------------------

    def _stop_is_asked(self) -> bool:
        return self._stop_asked

    @contextlib.contextmanager
    def _timed(self, label: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        say(f"  {label:<24} {time.monotonic() - started:5.1f} s")

    def _sleep(self, seconds: float) -> None:
        """Wait, but no longer than until a signal comes: a child that ended, or a wish to stop."""
        if select.select([self._wake_reader], [], [], seconds)[0]:
            self._wake_reader.recv(4096)

    @contextlib.contextmanager
    def _signals_caught(self) -> Iterator[None]:
        self._wake_writer.setblocking(False)
        former = signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        # A hang-up that was switched off, as `nohup` does, stays switched off.
        wanted = [number for number in _STOP_SIGNALS if number != signal.SIGHUP or _hangup_counts()]
        handlers = {number: signal.signal(number, self._stop_note) for number in wanted}
        # Without a handler of its own the end of a child would not wake the loop.
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former)

    def _stop_note(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True

    def _state_write(self) -> None:
        lines = [_process_state(watch) for watch in self._watches]
        self._folder.state_write(RunState(self._phase, os.getpid(), self._url, self._detail, lines))


def _hangup_counts() -> bool:
    return signal.getsignal(signal.SIGHUP) != signal.SIG_IGN


def _process_state(watch: Watch) -> ProcessState:
    service = watch.service
    return ProcessState(
        service.name, watch.state, service.pid, watch.birth, watch.restarts, watch.health.port, watch.since
    )
