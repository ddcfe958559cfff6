"""The embedded edition: all services in one process, behind one origin, on one data folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

from starlette.types import ASGIApp

from shared import metrics
from shared.runtime.main import join, measure, serve_http, start_background
from shared.runtime.pulse import Loop, check_alive, check_threads
from shared.runtime.service import Service
from shared.web.app import health_app
from shared.web.hosts import HostCheck
from shared.web.routing_table import Dispatcher
from shared.web.suite_openapi import merge

RELAY_OWNER = "embedded"
"""A fixed name: the data folder is locked, so no other relay or worker runs."""

RELAY_INTERVAL = 5.0
"""Seconds between polls. Commits in this process wake the relays at once."""


def migrate_all(services: Sequence[Service]) -> None:
    """Bring the tables of every service to their newest revision."""
    for service in services:
        service.store.migrate()


def _nothing() -> None:
    return None


@contextmanager
def at_work(
    services: Sequence[Service], finishing: Callable[[], None] = _nothing
) -> Iterator[tuple[ASGIApp, threading.Event]]:
    """Run all services in the background inside the block; yields the origin and the stop signal.

    `finishing` is called at the end if an event is still in progress.
    """
    stop = threading.Event()
    threads: list[threading.Thread] = []
    with ExitStack() as stack:
        for service in reversed(services):
            stack.callback(service.close)
        stack.callback(join, threads)
        stack.callback(lambda: finishing() if _working(threads) else None)
        stack.callback(_wake, services)
        stack.callback(stop.set)
        for service in services:
            own = start_background(
                service, stop, relay_owner=RELAY_OWNER, relay_interval=RELAY_INTERVAL
            )
            threads += own
            stack.callback(metrics.at_scrape(partial(measure, service, own)))
        yield origin(services, threads), stop


def _wake(services: Sequence[Service]) -> None:
    """Wake idle relays and workers, so that they stop."""
    for service in services:
        service.store.outbox_filled.set()
        service.store.inbox_changed.notify()


def _working(threads: Sequence[threading.Thread]) -> bool:
    """Whether a thread still handles an event, which it finishes before it stops."""
    return any(isinstance(t, Loop) and t.pulse.busy for t in threads)


def origin(services: Sequence[Service], threads: Sequence[threading.Thread] = ()) -> ASGIApp:
    """Return one application for all services.

    Its probes ask every service, and `/openapi.json` describes all of them.
    """
    checks = [check for service in services for check in service.app.state.checks]
    alive = [partial(check_alive, threads)]
    front = health_app("smallprint", [*checks, partial(check_threads, threads)], alive)
    front.state.limit = services[0].app.state.limit

    @cache
    def describe_all() -> dict[str, Any]:
        return merge({service.name: service.app.openapi() for service in services})

    front.openapi = describe_all  # type: ignore[method-assign]
    return Dispatcher({service.name: service.app for service in services}, front)


def serve(
    services: Sequence[Service],
    host: str,
    port: int,
    started: Callable[[int], None],
    finishing: Callable[[], None] = _nothing,
) -> None:
    """Serve and work until SIGINT or SIGTERM.

    `started` gets the port once connections are accepted. `finishing` is called at the end if an
    event is still in progress.
    """

    def let_go() -> None:
        for service in services:
            service.let_go()

    with at_work(services, finishing) as (application, stop):
        settings = services[0].settings
        serve_http(
            HostCheck(application, settings),
            host,
            port,
            stop,
            started,
            let_go,
            connections=settings.http_connections,
            trusted_proxies=settings.trusted_proxies,
        )
