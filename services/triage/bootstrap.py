"""The only file that builds real parts of triage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from services.triage import api, comparing, handlers, reports
from services.triage.judgement import FLAGGED
from services.triage.leftovers.sweeping import Sweeper
from services.triage.narrative import rest as narrative_rest
from services.triage.narrative.model import Narrative
from services.triage.risk import Judge
from services.triage.settings import Settings
from services.triage.signals import rest
from services.triage.signals.peers import Peers
from services.triage.store import MIGRATIONS
from services.triage.together import find_naming
from services.triage.watch.confidences import confidence_of
from services.triage.watch.store import Watches
from shared import metrics
from shared.asking import read_askers
from shared.bus import open_bus
from shared.documents.sandbox import Reader
from shared.events import (
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentRekinded,
    Event,
    ReviewDecided,
)
from shared.inference import Specialists, TokenCounter, lazily
from shared.policy import read_risks
from shared.runtime import Handler, Service
from shared.settings import load
from shared.storage import Store, UnitOfWork, open_blobs
from shared.watch.watching import measuring
from shared.web import journal, watches
from shared.web.app import create_app
from shared.web.auth import Keys, RemoteKeys
from shared.web.limits import RateLimit


def build(
    settings: Settings | None = None,
    *,
    keys: Keys | None = None,
    specialists: Callable[[], Specialists] | None = None,
) -> Service:
    """Triage: finds what does not add up in financial reports."""
    settings = settings or load(Settings)
    url = settings.database("triage", settings.triage_database_url)
    store = Store(url, "triage", MIGRATIONS, settings.database_connections)
    blobs = open_blobs(settings.blobs_url, settings.blobs, "triage")
    # Two children, for each reads one document at a time: none waits for a large one.
    reader, large_reader = Reader(), Reader()
    judge, peers = Judge.found(settings.artefacts_folder), Peers.found(settings.artefacts_folder)
    narrative = Narrative.found(settings.artefacts_folder)
    models = specialists or lazily(
        settings.artefacts_folder,
        settings.threads,
        settings.arithmetic,
        settings.adapters_folder,
    )
    namer = find_naming(settings.artefacts_folder, lambda: models().base)

    risks, askers = read_risks(settings.policy_file), read_askers(settings.policy_file)
    flagged_from = judge.flagged if judge else FLAGGED
    count = TokenCounter(settings.artefacts_folder)

    def is_large(event: Event) -> bool:
        if not isinstance(event, DocumentRead) or event.kind != "report":
            return False
        return event.original.size >= settings.triage_large_bytes

    def check(event: DocumentRead, uow: UnitOfWork) -> None:
        chosen = large_reader if is_large(event) else reader
        most = settings.triage_max_characters
        parts = judge, peers, narrative, namer
        handlers.triage_report(event, uow, blobs, chosen.facts, most, *parts, risks, askers, count)

    stop_measuring = metrics.at_scrape(measuring(store, Watches.tables))

    def close_parts() -> None:
        stop_measuring()
        reader.close()
        large_reader.close()

    reacts: dict[type[Event], Handler] = {
        DocumentIngested: handlers.expect_document,
        DocumentRead: check,
        DocumentFailed: handlers.note_failure,
        ReviewDecided: partial(
            handlers.note_decision, blobs=blobs, flagged_from=flagged_from, judge=judge
        ),
        DocumentRekinded: partial(handlers.withdraw_findings, judge=judge),
        DocumentDeleted: partial(handlers.forget_document, blobs=blobs, flagged_from=flagged_from),
    }
    app = create_app(
        "triage",
        [
            api.routes(store, blobs),
            rest.routes(store, blobs),
            narrative_rest.routes(store, blobs),
            comparing.routes(store, blobs),
            reports.routes(store),
            watches.routes(
                store,
                Watches,
                "/watch/findings",
                "Whether risks of findings are kept",
                partial(confidence_of, judge=judge),
            ),
            journal.routes("triage", store, reacts),
        ],
        [store.ready],
        keys or RemoteKeys(settings.ingest_url, settings.key_cache),
        RateLimit(settings.rate_requests),
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
        close_parts=close_parts,
        large=is_large,
        jobs=(lambda _owner: Sweeper(store, judge),),
    )
