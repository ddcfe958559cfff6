"""The only file that builds real parts of escalation."""

from __future__ import annotations

from services.escalation import api, handlers
from services.escalation.settings import Settings
from services.escalation.store import MIGRATIONS
from shared.bus import open_bus
from shared.events import DocumentDeleted, EscalationRequested
from shared.runtime import Service
from shared.settings import load
from shared.storage import FileBlobs, Store
from shared.web.app import create_app
from shared.web.auth import Keys, RemoteKeys
from shared.web.limits import RateLimit


def build(settings: Settings | None = None, *, keys: Keys | None = None) -> Service:
    """Escalation: the only door to a frontier model, and the ledger of what it costs."""
    settings = settings or load(Settings)
    store = Store(
        settings.database("escalation", settings.escalation_database_url), "escalation", MIGRATIONS
    )
    app = create_app(
        "escalation",
        [api.routes(store)],
        [store.ready],
        keys or RemoteKeys(settings.ingest_url, settings.key_cache),
        RateLimit(settings.rate_requests),
    )
    return Service(
        name="escalation",
        settings=settings,
        port=settings.escalation_port,
        store=store,
        blobs=FileBlobs(settings.blobs, "escalation"),
        bus=open_bus(settings.bus, lease=settings.bus_lease),
        app=app,
        handlers={
            EscalationRequested: handlers.decline_request,
            DocumentDeleted: handlers.forget_document,
        },
    )
