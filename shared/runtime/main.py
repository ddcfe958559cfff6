"""The processes of a service: `python -m services.X api|worker|relay|migrate`.

`all` runs the first three in one process. Every process answers `/livez`, `/readyz`, `/version` and
`/metrics`: the api on its own port, worker and relay on `SMALLPRINT_HEALTH_PORT` if it is set.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import uvicorn
from fastapi import FastAPI

from shared import metrics, tracing
from shared.errors import SettingsError, SuiteError
from shared.logs import configure_logs
from shared.messaging import Inbox, Pump, Relay
from shared.messaging.inbox import Queue
from shared.runtime.audit_retention import AuditRetention
from shared.runtime.child import Children
from shared.runtime.pulse import IDLE_SECONDS, Heartbeat, Loop, check_alive, check_threads, stuck
from shared.runtime.service import Service, never
from shared.runtime.worker import WORKER, Worker
from shared.umask import private_files
from shared.web.app import Check, health_app
from shared.web.connections import ServerLimits
from shared.web.server import DRAIN_SECONDS, Server

log = logging.getLogger(__name__)

ROLES = ("api", "worker", "relay", "migrate", "all")


def main(build: Callable[[], Service], argv: Sequence[str] | None = None) -> int:
    """Start one role of one service and work until SIGTERM or SIGINT. Returns the exit code."""
    parser = argparse.ArgumentParser(description=build.__doc__)
    parser.add_argument("role", choices=ROLES, help="what this process does")
    role = parser.parse_args(argv).role
    with private_files():
        return _run(build, role)


def _run(build: Callable[[], Service], role: str) -> int:
    try:
        service = build()
        children = Children(partial(_alone, build), [service.name])
        service = replace(service, children=children)
    except SuiteError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 2
    configure_logs(service.name, service.settings.log_level, service.settings.log_format)
    try:
        tracing.configure(service.settings.traces)
        service.store.migrate()
        if role != "migrate":
            _serve(service, role)
    except SuiteError as error:
        log.error("stopped", extra={"code": error.code, "reason": error.message})  # noqa: TRY400
        return 1
    finally:
        service.close()
        tracing.close()
    return 0


def _alone(build: Callable[[], Service]) -> list[Service]:
    """Build the only service of a child process."""
    return [build()]


def _serve(service: Service, role: str) -> None:
    stop = threading.Event()
    threads = start_background(
        service, stop, worker=role in ("worker", "all"), relay=role in ("relay", "all")
    )
    unmeasured = metrics.at_scrape(partial(measure, service, threads))
    alive = partial(check_alive, threads)
    try:
        if role in ("api", "all"):
            service.app.state.checks += (partial(check_threads, threads),)
            service.app.state.alive += (alive,)
            serve_http(
                service.app,
                service.settings.host,
                service.port,
                stop,
                let_go=service.let_go,
                leave=DRAIN_SECONDS,
                connections=service.settings.http_connections,
                trusted_proxies=service.settings.trusted_proxies,
            )
        elif service.settings.health_port:
            checks: list[Check] = [service.store.ready, partial(check_threads, threads)]
            probe = health_app(f"{service.name}-{role}", checks, [alive])
            serve_http(probe, service.settings.host, service.settings.health_port, stop)
        else:
            _wait_for_signal(stop)
    finally:
        unmeasured()
        stop.set()
        service.store.inbox_changed.notify()
        join(threads)


def measure(service: Service, threads: Sequence[threading.Thread]) -> None:
    """Update the metric of a service's stuck threads."""
    metrics.stuck_loops.labels(service.name).set(stuck(threads))


def start_background(
    service: Service,
    stop: threading.Event,
    *,
    worker: bool = True,
    relay: bool = True,
    workers: int | None = None,
    relay_owner: str | None = None,
    relay_interval: float | None = None,
) -> list[threading.Thread]:
    """Start the threads of one service. They end soon after `stop` is set.

    Args:
        workers: events handled at once; None: as the service or the setting says.
        relay_owner: name in the leases of relay and jobs. If only one process can run, a fixed name
            lets it continue at once after a crash.
        relay_interval: seconds; None: as the setting says.
    """
    threads: list[threading.Thread] = []
    if worker and service.handlers:
        threads += _workers(service, stop, workers, alone=relay_owner is not None)
    if worker:
        jobs = [make(relay_owner) for make in service.jobs]
        if days := service.settings.audit_days:
            jobs.append(AuditRetention(service.store, days))
        threads += [Loop(f"{service.name}-{job.name}", job.run, stop, job.pulse) for job in jobs]
    if relay:
        interval = relay_interval or service.settings.relay_interval
        sender = Relay(
            service.store,
            service.bus,
            interval,
            owner=relay_owner,
            outbox_days=service.settings.outbox_days,
            inbox_days=service.settings.inbox_days,
        )
        pulse = Heartbeat(IDLE_SECONDS + interval)
        threads.append(
            Loop(f"{service.name}-relay", partial(sender.run, beat=pulse.beat), stop, pulse)
        )
    for role, does in (("worker", worker), ("relay", relay)):
        if does:
            metrics.processes.labels(service.name, role).set(1)
    for thread in threads:
        thread.start()
    return threads


def _workers(
    service: Service, stop: threading.Event, workers: int | None, *, alone: bool
) -> Iterator[threading.Thread]:
    """The pump of a service and the workers of its queues.

    Args:
        alone: whether no other process works on the database.
    """
    settings = service.settings
    inbox = Inbox(service.store, WORKER, settings.bus_lease, settings.retry_delay_most)
    if alone:
        inbox.release()
    pulse = Heartbeat()
    pump = Pump(
        service.name,
        inbox,
        service.bus,
        service.handlers,
        service.large,
        service.decisions,
        pulse.beat,
    )
    yield Loop(f"{service.name}-pump", pump.run, stop, pulse)

    def worker(queue: Queue, number: int) -> Worker:
        child = None
        if service.children and service.in_child:
            announced = service.store.outbox_filled.set
            child = service.children.worker(service.name, queue, number, WORKER, announced)
        return Worker(
            service.name, inbox, service.handlers, settings, queue, child, service.in_child
        )

    loops = [
        (f"worker-{number}", worker("main", number))
        for number in range(workers or service.workers or settings.workers)
    ]
    if service.large is not never:
        loops.append(("large", worker("large", 0)))
    if service.decisions:
        decisions = Worker(service.name, inbox, service.decisions, settings, "decisions")
        loops.append(("decisions", decisions))
    for name, loop in loops:
        yield Loop(f"{service.name}-{name}", loop.run, stop, loop.pulse)


def join(threads: Iterable[threading.Thread], seconds: float = 20.0) -> None:
    """Wait for threads to end, at most `seconds` for all.

    Other workers take over longer work when its lease runs out.
    """
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            extra = {"name_of_thread": thread.name, "seconds": seconds}
            log.warning("not ended in time: its current work starts again later", extra=extra)


def serve_http(
    app: FastAPI | Callable[..., object],
    host: str,
    port: int,
    stop: threading.Event,
    started: Callable[[int], None] | None = None,
    let_go: Callable[[], None] = lambda: None,
    leave: float = 0.0,
    connections: int = ServerLimits.connections,
    trusted_proxies: str = "",
) -> None:
    """Serve until SIGTERM or SIGINT; other arguments are those of `Server`.

    Args:
        connections: most open connections.

    Raises SettingsError if nothing can listen there.
    """
    with _listen(host, port) as listener:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        bounds = ServerLimits(connections=connections)
        server = Server(config, stop, started, let_go, leave, bounds, trusted_proxies)
        server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=_family(host), backlog=2048)
    except OSError as error:
        reason = str(error.strerror or error).partition(" (while ")[0]  # Python repeats the address
        raise SettingsError(
            f"can't listen on {host}:{port} ({reason}): choose another port, "
            "or stop what is running there"
        ) from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _wait_for_signal(stop: threading.Event) -> None:
    """Set `stop` at a signal.

    A thread does it, since the signal handler may interrupt code that has the lock of the event.
    """
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        if not asked:
            asked = True
            threading.Thread(target=stop.set, daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    while not stop.wait(0.5):
        pass
