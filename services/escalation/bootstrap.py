"""The only file that builds real parts of escalation."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from services.escalation import api, handlers
from services.escalation.asking import Door
from services.escalation.backlog.rounds import BatchRounds
from services.escalation.costs import api as costs
from services.escalation.costs.api import Hours
from services.escalation.decided import Hearing
from services.escalation.ledger import Ledger
from services.escalation.ledger.ledger import utc_now
from services.escalation.policy import Policies, read_policies
from services.escalation.recovering import Recovery
from services.escalation.rules.noting import PolicyNotes
from services.escalation.settings import Settings
from services.escalation.store import MIGRATIONS
from shared import metrics
from shared.artefacts import training_of
from shared.bus import open_bus
from shared.events import (
    ClausesExtracted,
    DocumentDeleted,
    EscalationRequested,
    Event,
    FindingsFound,
)
from shared.runtime import Handler, Service
from shared.settings import load
from shared.storage import Store, open_blobs
from shared.web import journal
from shared.web.app import create_app
from shared.web.auth import Keys, RemoteKeys
from shared.web.limits import RateLimit


def build(settings: Settings | None = None, *, keys: Keys | None = None) -> Service:
    """Escalation: the only door to a frontier model, and the ledger of what it costs."""
    settings = settings or load(Settings)
    policies = read_policies(settings.policy_file)
    store = open_store(settings)
    ledger = Ledger(store)
    patience = timedelta(seconds=settings.escalation_patience)
    oldest = timedelta(seconds=settings.escalation_oldest)
    door = Door(policies, ledger, patience, utc_now, oldest)
    blobs = open_blobs(settings.blobs_url, settings.blobs, "escalation")
    bus = open_bus(settings.bus, lease=settings.bus_lease)
    reacts: dict[type[Event], Handler] = {
        EscalationRequested: partial(handlers.answer_request, blobs=blobs, door=door),
        ClausesExtracted: handlers.note_readings,
        FindingsFound: handlers.note_readings,
        DocumentDeleted: partial(handlers.forget_document, blobs=blobs),
    }
    app = create_app(
        "escalation",
        [
            api.routes(store, door),
            journal.routes("escalation", store, reacts),
            costs.routes(
                store,
                door,
                Hours(
                    settings.escalation_machine_hour,
                    settings.escalation_training_hour,
                    partial(training_of, settings.artefacts_folder),
                ),
            ),
        ],
        [store.ready],
        keys or RemoteKeys(settings.ingest_url, settings.key_cache),
        RateLimit(settings.rate_requests),
    )
    return Service(
        name="escalation",
        settings=settings,
        port=settings.escalation_port,
        store=store,
        blobs=blobs,
        bus=bus,
        app=app,
        handlers=reacts,
        workers=settings.escalation_workers if policies.tenants else 1,
        jobs=(
            lambda _owner: _recovery(policies, ledger, settings),
            lambda _owner: Hearing(store, bus),
            lambda _owner: PolicyNotes(
                store, policies.versions, policies.version, utc_now, settings.escalation_recovery
            ),
            lambda _owner: BatchRounds(store, blobs, door, settings.escalation_batch_every),
        ),
    )


def _recovery(policies: Policies, ledger: Ledger, settings: Settings) -> Recovery:
    """Made where the workers are, which alone spend, and need the keys of providers. Raises
    SettingsError.
    """
    policies.check_keys()
    for provider in policies.providers:  # nothing yet is told as 0, so that a first call shows
        metrics.escalation_spend_usd_total.labels(provider.name)
    return Recovery(ledger, settings.escalation_recovery)


def open_store(settings: Settings) -> Store:
    """The database of escalation, as settings have it."""
    url = settings.database("escalation", settings.escalation_database_url)
    return Store(url, "escalation", MIGRATIONS, settings.database_connections)
