"""The only file of ingest that builds real parts."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from services.ingest.api import Parts, routes
from services.ingest.arriving import Arriving
from services.ingest.commands import Intake
from services.ingest.domain import DocumentReader
from services.ingest.handlers import (
    PROJECTED,
    forget_document,
    note_clauses,
    note_decision,
    note_failure,
    note_kind,
    note_progress,
    read_document,
)
from services.ingest.idempotency.commands import Once
from services.ingest.idempotency.commands import Sweeper as KeySweeper
from services.ingest.judging import Judge
from services.ingest.keys import KeyRing
from services.ingest.pages import PageImages
from services.ingest.resumable.api import routes as upload_routes
from services.ingest.resumable.commands import Resumables, Sweeper
from services.ingest.resumable.files import PartialFiles
from services.ingest.retention.api import routes as retention_routes
from services.ingest.retention.commands import STALE, HalfBlobs, Keeper
from services.ingest.room import Room
from services.ingest.search.api import routes as search_routes
from services.ingest.search.backlog import Backlog
from services.ingest.search.finding import Finder
from services.ingest.settings import Settings
from services.ingest.store import MIGRATIONS
from services.ingest.watching import Watch
from services.ingest.webhooks.addresses import Policy, read_networks, read_ports
from services.ingest.webhooks.api import describe_messages
from services.ingest.webhooks.api import routes as webhook_routes
from services.ingest.webhooks.commands import Desk
from services.ingest.webhooks.domain import Plan, read_delays
from services.ingest.webhooks.post import Poster, trust
from services.ingest.webhooks.sender import Sender
from services.ingest.webhooks.store import Queue
from shared.artefacts import adapter_names
from shared.asking import read_askers
from shared.bus import Bus, open_bus
from shared.documents.sandbox import Reader
from shared.errors import SettingsError
from shared.events import (
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRekinded,
    Event,
    ReviewDecided,
)
from shared.runtime import Handler, Service
from shared.settings import load
from shared.storage import Store, UnitOfWork, open_blobs
from shared.web import journal
from shared.web.app import create_app
from shared.web.limits import RateLimit

LEASE = 6.0
"""A webhook is held for so many times what one attempt may take: the system's resolver has a time
of its own for names, which comes on top.
"""


def build(
    settings: Settings | None = None,
    *,
    bus: Bus | None = None,
    reader: DocumentReader | None = None,
) -> Service:
    """Ingest: takes documents in, reads them, says where each one stands, and owns the keys."""
    settings = settings or load(Settings)
    url = settings.database("ingest", settings.ingest_database_url)
    store = Store(url, "ingest", MIGRATIONS, settings.database_connections)
    blobs = open_blobs(settings.blobs_url, settings.blobs)
    blobs.sweep(STALE)
    # Three children: nobody who looks at a page waits for a document to be read, and no document
    # for a large one.
    reading, large_reading, showing = (Reader(settings.limits) for _ in range(3))
    images = PageImages(
        settings.blobs,
        blobs,
        reader or showing,
        settings.ingest_renders,
        settings.ingest_page_cache,
    )
    keys = KeyRing(store, settings.ingest_session)
    watch = Watch(store, waiting=settings.ingest_waiters, streams=settings.ingest_streams)
    once = Once(store, settings.ingest_idempotency_hours)
    parts = Parts(
        store=store,
        blobs=blobs,
        intake=Intake(
            store,
            blobs,
            reader or showing,
            settings.limits,
            Room(settings.ingest_max_in_work, settings.ingest_max_in_work_together),
            settings.ingest_renders,
            partial(adapter_names, settings.artefacts_folder, settings.adapters_folder),
        ),
        images=images,
        keys=keys,
        watch=watch,
        once=once,
    )
    handlers: dict[type[Event], Handler] = dict.fromkeys(PROJECTED, note_progress)
    judge, askers = Judge.load(settings.artefacts_folder), read_askers(settings.policy_file)

    def is_large(event: Event) -> bool:
        size = event.original.size if isinstance(event, DocumentIngested) else 0
        return size >= settings.ingest_large_bytes

    def read(event: DocumentIngested, uow: UnitOfWork) -> None:
        chosen = reader or (large_reading if is_large(event) else reading)
        read_document(event, uow, blobs, chosen, settings.limits, judge, askers)

    handlers[DocumentIngested] = read
    handlers[ClausesExtracted] = partial(note_clauses, blobs=blobs)
    handlers[DocumentFailed] = partial(note_failure, blobs=blobs)
    handlers[DocumentRekinded] = partial(note_kind, blobs=blobs)
    handlers[DocumentDeleted] = partial(forget_document, blobs=blobs, images=images)
    handlers[ReviewDecided] = partial(note_decision, blobs=blobs)
    policy = _policy(settings)
    desk = Desk(store, policy, settings.ingest_webhook_most)
    resumables = Resumables(
        store,
        PartialFiles(settings.blobs),
        parts.intake,
        hours=settings.ingest_upload_hours,
        most_bytes=settings.ingest_max_partial,
    )
    app_routes = [
        *routes(parts),
        upload_routes(resumables, once),
        retention_routes(store),
        search_routes(Finder(store, blobs)),
        *webhook_routes(desk, once),
        journal.routes("ingest", store, handlers),
    ]
    limit = RateLimit(settings.rate_requests)
    app = create_app(
        "ingest",
        app_routes,
        [store.ready],
        keys,
        limit,
        settings=settings,
        watch=watch,
        resumables=resumables,
        arriving=Arriving(settings.ingest_max_arriving, settings.ingest_max_upload),
    )
    describe_messages(app)

    def close_parts() -> None:
        watch.close()
        reading.close()
        large_reading.close()
        showing.close()

    return Service(
        name="ingest",
        settings=settings,
        port=settings.ingest_port,
        store=store,
        blobs=blobs,
        bus=bus or open_bus(settings.bus, lease=settings.bus_lease),
        app=app,
        handlers=handlers,
        large=is_large,
        jobs=(
            partial(_sender, settings, store, _poster(settings, policy)),
            lambda _owner: Sweeper(resumables),
            lambda _owner: KeySweeper(once),
            lambda _owner: Keeper(store, settings.ingest_retention_interval),
            lambda _owner: HalfBlobs(blobs),
            lambda _owner: Backlog(store, blobs),
        ),
        let_go=watch.close,
        close_parts=close_parts,
    )


def _policy(settings: Settings) -> Policy:
    return Policy(
        networks=read_networks(settings.ingest_webhook_networks),
        plain_http=settings.ingest_webhook_http,
        ports=read_ports(settings.ingest_webhook_ports),
    )


def _poster(settings: Settings, policy: Policy) -> Poster:
    try:
        tls = trust(settings.ingest_webhook_certificates)
    except OSError as error:
        raise SettingsError(
            f"SMALLPRINT_INGEST_WEBHOOK_CERTIFICATES can't be used as a PEM file: {error}"
        ) from None
    return Poster(
        policy,
        seconds=settings.ingest_webhook_seconds,
        connect_seconds=settings.ingest_webhook_connect_seconds,
        tls=tls,
        proxy=settings.ingest_webhook_proxy,
    )


def _sender(settings: Settings, store: Store, poster: Poster, owner: str | None) -> Sender:
    plan = Plan(
        delays=read_delays(settings.ingest_webhook_retries),
        rest=settings.ingest_webhook_rest,
        disable_after=timedelta(days=settings.ingest_webhook_disable_days),
    )
    return Sender(
        Queue(store, timedelta(seconds=LEASE * settings.ingest_webhook_seconds)),
        poster,
        plan,
        threads=settings.ingest_webhook_threads,
        interval=settings.ingest_webhook_interval,
        origin=settings.public_url.rstrip("/"),
        kept=timedelta(days=settings.ingest_webhook_log_days),
        owner=owner,
    )
