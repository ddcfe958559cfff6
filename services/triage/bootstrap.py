"""Builds the parts of triage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from services.triage import handlers
from services.triage.analysis import TriageModels
from services.triage.api import findings, history, reports, signals
from services.triage.checks.verdict import FLAGGED
from services.triage.monitoring.monitor import confidence_of
from services.triage.monitoring.store import MonitoringStore
from services.triage.settings import Settings
from services.triage.store import MIGRATIONS
from shared import metrics
from shared.blobs import open_blobs
from shared.bus import open_bus
from shared.documents.sandbox import Reader
from shared.events import (
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentReclassified,
    Event,
    ReviewDecided,
)
from shared.inference import Specialists, TokenCounter, lazy_specialists
from shared.messaging import UnitOfWork
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
    """Build triage."""
    settings = settings or load(Settings)
    # Two readers, so that small documents do not wait for a large one.
    reader, large_reader = (Reader(required=settings.require_confinement) for _ in range(2))
    url = settings.database("triage", settings.triage_database_url)
    store = Store(url, "triage", MIGRATIONS, settings.database_connections)
    blobs = open_blobs(settings.blobs_url, settings.blobs, "triage")
    shared_models = specialists or lazy_specialists(
        settings.artefacts_folder, settings.threads, settings.arithmetic, settings.adapters_folder
    )
    models = TriageModels.load(settings.artefacts_folder, lambda: shared_models().base)
    classifier = models.classifier
    flagged_from = classifier.flagged if classifier else FLAGGED
    checks = handlers.ReportChecks(
        blobs,
        settings.triage_max_characters,
        models,
        read_risk_policy(settings.policy),
        read_escalation_rules(settings.policy),
        TokenCounter(settings.artefacts_folder),
    )

    def is_large(event: Event) -> bool:
        if not isinstance(event, DocumentRead) or event.kind != "report":
            return False
        return max(event.original.size, event.text.size) >= settings.triage_large_bytes

    def check(event: DocumentRead, uow: UnitOfWork) -> None:
        chosen = large_reader if uow.large else reader
        handlers.triage_report(event, uow, checks, chosen.facts)

    stop_measuring = metrics.at_scrape(gauge_updater(store, MonitoringStore.tables))

    def close_parts() -> None:
        stop_measuring()
        reader.close()
        large_reader.close()

    reacts: dict[type[Event], Handler] = {
        DocumentIngested: handlers.DOCUMENTS.expect,
        DocumentRead: check,
        DocumentFailed: handlers.DOCUMENTS.note_failure,
        ReviewDecided: partial(
            handlers.note_decision, blobs=blobs, flagged_from=flagged_from, classifier=classifier
        ),
        DocumentReclassified: partial(handlers.withdraw_findings, classifier=classifier),
        DocumentDeleted: partial(handlers.forget_document, blobs=blobs, flagged_from=flagged_from),
    }
    app = create_app(
        "triage",
        [
            findings.routes(store, blobs),
            signals.routes(store, blobs),
            history.routes(store, blobs),
            reports.routes(store),
            watches.routes(
                store,
                MonitoringStore,
                "/watch/findings",
                "Whether risks of findings are kept",
                partial(confidence_of, classifier=classifier),
            ),
            journal.routes("triage", store, reacts),
        ],
        [store.ready],
        keys or RemoteKeys(settings.ingest_url, settings.key_cache),
        RateLimit(settings.rate_requests),
        examples=Path(__file__).with_name("examples.json"),
        public_url=settings.public_url,
        store=store,
    )
    return Service(
        name="triage",
        settings=settings,
        port=settings.triage_port,
        store=store,
        blobs=blobs,
        bus=open_bus(settings.bus, lease=settings.bus_lease),
        app=app,
        handlers=reacts,
        in_child=(DocumentRead,),
        close_parts=close_parts,
        large=is_large,
    )
