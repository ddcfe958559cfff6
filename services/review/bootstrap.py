"""Builds review from its real parts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from services.review import api, handlers, insights, provider_accuracy, static_files
from services.review.commands import ReviewCommands
from services.review.priority import Order, Priority
from services.review.queries import Reader
from services.review.report.routes import routes as report_routes
from services.review.session import KeyRing, LocalSessions, RemoteSessions, SessionKeys
from services.review.settings import Settings
from services.review.store import MIGRATIONS
from shared import metrics
from shared.blobs import open_blobs
from shared.bus import open_bus
from shared.events import (
    ClausesExtracted,
    DocumentAssigned,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentReclassified,
    EscalationAnswered,
    Event,
    FindingsFound,
)
from shared.policy.rules import read_risk_policy
from shared.runtime import Handler, Service
from shared.settings import load
from shared.storage import Store
from shared.web import journal
from shared.web.admission import RateLimit
from shared.web.app import create_app
from shared.web.auth import Keys, RemoteKeys


def build(
    settings: Settings | None = None,
    *,
    keys: Keys | None = None,
    sessions: SessionKeys | None = None,
) -> Service:
    """Build review: the queue, decisions and pages."""
    settings = settings or load(Settings)
    url = settings.database("review", settings.review_database_url)
    store = Store(url, "review", MIGRATIONS, settings.database_connections)
    blobs = open_blobs(settings.blobs_url, settings.blobs, "review")
    sessions = sessions or _sessions(settings, keys)
    patience, context = settings.review_patience, settings.review_context
    risks = read_risk_policy(settings.policy)
    commands = ReviewCommands(store, blobs, settings.review_lease, context=context, risks=risks)
    reader = Reader(store, blobs, risks)
    order = Order(
        Priority.load_if_installed(settings.artefacts_folder),
        weights=lambda tenant: risks.of(tenant).weights,
        by_time=settings.review_order == "time",
    )
    stop_measuring = metrics.at_scrape(reader.measure)
    common: dict[str, Any] = {"blobs": blobs, "order": order}
    reacts: dict[type[Event], Handler] = {
        DocumentRead: partial(handlers.store_document, **common, patience=patience),
        ClausesExtracted: partial(
            handlers.queue_clauses, **common, context=context, patience=patience
        ),
        FindingsFound: partial(handlers.queue_findings, **common, patience=patience),
        EscalationAnswered: partial(
            handlers.queue_proposal, **common, context=context, risks=risks
        ),
        DocumentReclassified: handlers.withdraw_items,
        DocumentAssigned: handlers.assign_document,
        DocumentFailed: handlers.withdraw_cancelled,
        DocumentDeleted: handlers.forget_document,
    }
    app = create_app(
        "review",
        [
            api.queue(commands, reader),
            api.decisions(commands, reader),
            insights.routes(store),
            provider_accuracy.routes(store),
            report_routes(reader, risks),
            api.sessions(sessions),
            journal.routes("review", store, reacts),
            static_files.pages(),
        ],
        [store.ready],
        keys or RemoteKeys(settings.ingest_url, settings.key_cache),
        RateLimit(settings.rate_requests),
        examples=Path(__file__).with_name("examples.json"),
        public_url=settings.public_url,
        store=store,
    )
    app.add_exception_handler(404, static_files.not_found(app.exception_handlers[HTTPException]))
    return Service(
        name="review",
        settings=settings,
        port=settings.review_port,
        store=store,
        blobs=blobs,
        bus=open_bus(settings.bus, lease=settings.bus_lease),
        app=app,
        handlers=reacts,
        close_parts=stop_measuring,
    )


def _sessions(settings: Settings, keys: Keys | None) -> SessionKeys:
    """Sessions by a call if ingest's keys are in this process, otherwise over HTTP."""
    if isinstance(keys, KeyRing):
        return LocalSessions(keys)
    return RemoteSessions(settings.ingest_url)
