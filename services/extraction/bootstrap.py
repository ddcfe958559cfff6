"""Builds extraction from its real parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from services.extraction import api, handlers
from services.extraction.monitoring.store import MonitoringStore
from services.extraction.pipeline.search import require_ranking
from services.extraction.routing.routes import check_categories
from services.extraction.settings import Settings
from services.extraction.store import MIGRATIONS
from shared import metrics
from shared.blobs import open_blobs
from shared.bus import open_bus
from shared.events import (
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentReclassified,
    Event,
    FirstPagesRead,
    ReviewDecided,
)
from shared.inference import Specialist, Specialists, lazy_specialists
from shared.inference.adapters import labels_in
from shared.monitoring import api as watches
from shared.monitoring.monitor import gauge_updater
from shared.policy.escalation_value import read_escalation_rules
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
    specialists: Callable[[], Specialists] | None = None,
) -> Service:
    """Extraction: finds the clauses of contracts, with the evidence for each."""
    settings = settings or load(Settings)
    risks = read_risk_policy(settings.policy)
    if risks.categories:
        folders = settings.artefacts_folder, settings.adapters_folder
        check_categories(risks.categories, labels_in(*folders))
    store = Store(
        settings.database("extraction", settings.extraction_database_url),
        "extraction",
        MIGRATIONS,
        settings.database_connections,
    )
    blobs = open_blobs(settings.blobs_url, settings.blobs, "extraction")
    models = specialists or lazy_specialists(
        settings.artefacts_folder, settings.threads, settings.arithmetic, settings.adapters_folder
    )

    def fit(name: str) -> Specialist:
        specialist = models().get(name)
        require_ranking(specialist)
        return specialist

    reacts: dict[type[Event], Handler] = {
        DocumentIngested: handlers.DOCUMENTS.expect,
        FirstPagesRead: partial(
            handlers.extract_first_pages,
            blobs=blobs,
            specialist=fit,
            adapter=settings.extraction_adapter,
            most_bytes=settings.extraction_large_text,
        ),
        DocumentRead: partial(
            handlers.extract_clauses,
            blobs=blobs,
            specialist=fit,
            adapter=settings.extraction_adapter,
            most_characters=settings.extraction_max_characters,
            risks=risks,
            askers=read_escalation_rules(settings.policy),
        ),
        DocumentFailed: handlers.DOCUMENTS.note_failure,
        DocumentReclassified: handlers.withdraw_clauses,
        ReviewDecided: partial(handlers.note_decision, specialist=fit, risks=risks),
        DocumentDeleted: partial(handlers.forget_document, blobs=blobs),
    }
    app = create_app(
        "extraction",
        [
            api.routes(store),
            watches.routes(store, MonitoringStore, "/watch", "Whether stated risks are kept"),
            journal.routes("extraction", store, reacts),
        ],
        [store.ready],
        keys or RemoteKeys(settings.ingest_url, settings.key_cache),
        RateLimit(settings.rate_requests),
        examples=Path(__file__).with_name("examples.json"),
        public_url=settings.public_url,
        store=store,
    )
    return Service(
        name="extraction",
        settings=settings,
        port=settings.extraction_port,
        store=store,
        blobs=blobs,
        bus=open_bus(settings.bus, lease=settings.bus_lease),
        app=app,
        handlers=reacts,
        in_child=(DocumentRead, FirstPagesRead),
        close_parts=metrics.at_scrape(gauge_updater(store, MonitoringStore.tables)),
        large=lambda event: _is_large(event, settings.extraction_large_text),
    )


def _is_large(event: Event, size: int) -> bool:
    return isinstance(event, DocumentRead) and event.kind == "contract" and event.text.size >= size
