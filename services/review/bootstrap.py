"""The only file that builds real parts of review."""

from __future__ import annotations

from functools import partial

from starlette.exceptions import HTTPException

from services.review import api, handlers, static, trust
from services.review.desk import Desk
from services.review.looks.sweeping import Sweeper
from services.review.priority import Order, Priority
from services.review.session import KeyRing, LocalSessions, RemoteSessions, SessionKeys
from services.review.settings import Settings
from services.review.store import MIGRATIONS
from services.review.views import Reader
from shared import metrics
from shared.bus import open_bus
from shared.events import (
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentRekinded,
    EscalationAnswered,
    Event,
    FindingsFound,
)
from shared.policy import read_risks
from shared.runtime import Handler, Service
from shared.settings import load
from shared.storage import Store, open_blobs
from shared.web import journal
from shared.web.app import create_app
from shared.web.auth import Keys, RemoteKeys
from shared.web.limits import RateLimit


def build(
    settings: Settings | None = None,
    *,
    keys: Keys | None = None,
    sessions: SessionKeys | None = None,
) -> Service:
    """Review: the analysts' queue, their decisions, and the pages to make them on."""
    settings = settings or load(Settings)
    url = settings.database("review", settings.review_database_url)
    store = Store(url, "review", MIGRATIONS, settings.database_connections)
    blobs = open_blobs(settings.blobs_url, settings.blobs, "review")
    sessions = sessions or _sessions(settings, keys)
    desk, reader = Desk(store, blobs, settings.review_lease), Reader(store, blobs)
    risks = read_risks(settings.policy_file)
    order = Order(
        Priority.found(settings.artefacts_folder),
        weights=lambda tenant: risks.of(tenant).weights,
        by_time=settings.review_order == "time",
    )
    unmeasure = metrics.at_scrape(reader.measure)
    reacts: dict[type[Event], Handler] = {
        DocumentRead: partial(
            handlers.remember_document,
            blobs=blobs,
            order=order,
            patience=settings.review_patience,
        ),
        ClausesExtracted: partial(
            handlers.queue_clauses,
            blobs=blobs,
            context=settings.review_context,
            order=order,
            patience=settings.review_patience,
        ),
        FindingsFound: partial(
            handlers.queue_findings,
            blobs=blobs,
            order=order,
            patience=settings.review_patience,
        ),
        EscalationAnswered: partial(
            handlers.queue_proposal,
            blobs=blobs,
            context=settings.review_context,
            order=order,
            risks=risks,
        ),
        DocumentRekinded: handlers.withdraw_items,
        DocumentFailed: handlers.withdraw_cancelled,
        DocumentDeleted: handlers.forget_document,
    }
    secure = settings.public_url.startswith("https:")
    app = create_app(
        "review",
        [
            api.queue(desk, reader),
            api.decisions(desk, reader),
            trust.routes(store),
            api.sessions(sessions, secure=secure),
            journal.routes("review", store, reacts),
            static.pages(),
        ],
        [store.ready],
        keys or RemoteKeys(settings.ingest_url, settings.key_cache),
        RateLimit(settings.rate_requests),
    )
    app.add_exception_handler(404, static.nowhere(app.exception_handlers[HTTPException]))
    return Service(
        name="review",
        settings=settings,
        port=settings.review_port,
        store=store,
        blobs=blobs,
        bus=open_bus(settings.bus, lease=settings.bus_lease),
        app=app,
        handlers=reacts,
        close_parts=unmeasure,
        jobs=(lambda _owner: Sweeper(store),),
    )


def _sessions(settings: Settings, keys: Keys | None) -> SessionKeys:
    """By a call where ingest's keys are in this process, over HTTP otherwise."""
    if isinstance(keys, KeyRing):
        return LocalSessions(keys)
    return RemoteSessions(settings.ingest_url)
