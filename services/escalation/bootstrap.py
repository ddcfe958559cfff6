"""Builds escalation from its real parts."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

from services.escalation import api, handlers
from services.escalation.costs import api as costs
from services.escalation.decisions import forget_decisions, note_decision
from services.escalation.gateway import Gateway
from services.escalation.ledger import Ledger, Recovery
from services.escalation.ledger.ledger import utc_now
from services.escalation.policy import PolicyNotes, note_policies
from services.escalation.policy.policy import Policies, read_policies
from services.escalation.settings import Settings
from services.escalation.store import MIGRATIONS
from shared import metrics
from shared.blobs import open_blobs
from shared.bus import open_bus
from shared.events import (
    ClausesExtracted,
    DocumentDeleted,
    EscalationRequested,
    Event,
    FindingsFound,
    ReviewDecided,
)
from shared.runtime import Handler, Service
from shared.settings import load
from shared.storage import Store
from shared.web import journal
from shared.web.admission import RateLimit
from shared.web.app import create_app
from shared.web.auth import Keys, RemoteKeys


def build(settings: Settings | None = None, *, keys: Keys | None = None) -> Service:
    """Build escalation: the only way to a frontier model, and the ledger of its costs."""
    settings = settings or load(Settings)
    policies = read_policies(settings.policy)
    store = open_store(settings)
    ledger = Ledger(store)
    patience = timedelta(seconds=settings.escalation_patience)
    oldest = timedelta(seconds=settings.escalation_oldest)
    gateway = Gateway(policies, ledger, patience, utc_now, oldest)
    noted = partial(note_policies, store, policies.versions, policies.version)
    blobs = open_blobs(settings.blobs_url, settings.blobs, "escalation")
    reacts: dict[type[Event], Handler] = {
        EscalationRequested: partial(handlers.answer_request, blobs=blobs, gateway=gateway),
        ClausesExtracted: handlers.note_readings,
        FindingsFound: handlers.note_readings,
        DocumentDeleted: partial(handlers.forget_document, blobs=blobs),
    }
    app = create_app(
        "escalation",
        [
            api.routes(store, gateway),
            journal.routes("escalation", store, reacts),
            costs.routes(store, gateway, settings),
        ],
        [store.ready],
        keys or RemoteKeys(settings.ingest_url, settings.key_cache),
        RateLimit(settings.rate_requests),
        examples=Path(__file__).with_name("examples.json"),
        public_url=settings.public_url,
        store=store,
    )
    return Service(
        name="escalation",
        settings=settings,
        port=settings.escalation_port,
        store=store,
        blobs=blobs,
        bus=open_bus(settings.bus, lease=settings.bus_lease),
        app=app,
        handlers=reacts,
        decisions={ReviewDecided: note_decision, DocumentDeleted: forget_decisions},
        workers=settings.escalation_workers if policies.tenants else 1,
        jobs=(
            lambda _owner: _recovery(policies, ledger, settings),
            lambda _owner: PolicyNotes(partial(noted, utc_now()), settings.escalation_recovery),
        ),
    )


def _recovery(policies: Policies, ledger: Ledger, settings: Settings) -> Recovery:
    """The recovery job. Only workers have it, since only they need keys. Raises SettingsError."""
    policies.check_keys()
    for provider in policies.providers:  # start at 0, so that the first call shows
        metrics.escalation_spend_usd_total.labels(provider.name)
    return Recovery(ledger, settings.escalation_recovery)


def open_store(settings: Settings) -> Store:
    """Open the database of escalation."""
    url = settings.database("escalation", settings.escalation_database_url)
    return Store(url, "escalation", MIGRATIONS, settings.database_connections)
