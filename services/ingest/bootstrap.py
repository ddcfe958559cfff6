"""Builds ingest from its real parts."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from services.ingest import handlers
from services.ingest.api.documents import RouteParts, routes
from services.ingest.classifier import DocumentClassifier
from services.ingest.commands import DocumentCommands
from services.ingest.domain import DocumentReader
from services.ingest.idempotency.commands import IdempotentRequests
from services.ingest.keys import KeyRing
from services.ingest.limits import QueueLimit
from services.ingest.page_images import PageImages
from services.ingest.progress_stream import ProgressStream
from services.ingest.resumable.api import routes as upload_routes
from services.ingest.resumable.commands import Resumables
from services.ingest.resumable.files import PartialFiles
from services.ingest.retention.api import routes as retention_routes
from services.ingest.retention.commands import DAY, STALE, Cleanup, RetentionJob
from services.ingest.search.api import routes as search_routes
from services.ingest.search.results import SearchService
from services.ingest.settings import Settings
from services.ingest.store import MIGRATIONS
from services.ingest.users import api as users_api
from services.ingest.users.commands import UserCommands
from services.ingest.webhooks.addresses import Policy, read_networks, read_ports
from services.ingest.webhooks.api import describe_messages
from services.ingest.webhooks.api import routes as webhook_routes
from services.ingest.webhooks.commands import WebhookCommands
from services.ingest.webhooks.domain import Plan, read_delays
from services.ingest.webhooks.post import Poster, trust
from services.ingest.webhooks.sender import Sender
from services.ingest.webhooks.store import Queue
from shared.artefacts.loader import adapter_names
from shared.blobs import open_blobs
from shared.bus import Bus, open_bus
from shared.documents.sandbox import Reader
from shared.errors import SettingsError
from shared.events import (
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentReclassified,
    Event,
    FindingsFound,
    ReviewDecided,
)
from shared.messaging import UnitOfWork
from shared.policy.escalation_value import read_escalation_rules
from shared.runtime import Handler, Service
from shared.settings import load
from shared.storage import Store
from shared.web import journal
from shared.web.admission import ByteBudget, ConcurrencyLimit, RateLimit
from shared.web.app import create_app

if TYPE_CHECKING:
    from services.ingest.users.openid import OpenIdProvider

LEASE = 6.0
"""Length of a webhook lease, in time limits of one attempt: resolving names takes time, too."""


def build(
    settings: Settings | None = None,
    *,
    bus: Bus | None = None,
    reader: DocumentReader | None = None,
) -> Service:
    """Build the service: uploads, reading, document state and keys."""
    settings = settings or load(Settings)
    # Separate children: page images need not wait for reading, nor small documents for large.
    reading, large_reading, showing = (
        Reader(settings.limits, required=settings.require_confinement, children=children)
        for children in (1, 1, settings.ingest_renders)
    )
    drawing = ConcurrencyLimit(settings.ingest_renders, "a page image or a password")
    url = settings.database("ingest", settings.ingest_database_url)
    store = Store(url, "ingest", MIGRATIONS, settings.database_connections)
    blobs = open_blobs(settings.blobs_url, settings.blobs)
    blobs.sweep(STALE)
    images = PageImages(
        settings.blobs,
        blobs,
        reader or showing,
        drawing,
        settings.ingest_page_cache,
    )
    keys = KeyRing(store, settings.ingest_session)
    progress = ProgressStream(
        store, waiting=settings.ingest_waiters, streams=settings.ingest_streams
    )
    idempotent = IdempotentRequests(store, settings.ingest_idempotency_hours)
    parts = RouteParts(
        store=store,
        blobs=blobs,
        commands=DocumentCommands(
            store,
            blobs,
            reader or showing,
            settings.limits,
            QueueLimit(settings.ingest_max_in_work, settings.ingest_max_in_work_together),
            drawing,
            partial(adapter_names, settings.artefacts_folder, settings.adapters_folder),
        ),
        images=images,
        keys=keys,
        progress=progress,
        idempotent=idempotent,
    )
    classifier = DocumentClassifier.load(settings.artefacts_folder)
    escalation_rules = read_escalation_rules(settings.policy)

    def is_large(event: Event) -> bool:
        size = event.original.size if isinstance(event, DocumentIngested) else 0
        return size >= settings.ingest_large_bytes

    def read(event: DocumentIngested, uow: UnitOfWork) -> None:
        chosen = reader or (large_reading if uow.large else reading)
        handlers.read_document(
            event,
            uow,
            blobs,
            chosen,
            settings.limits,
            classifier,
            escalation_rules,
            settings.large_unpacked,
        )

    reacts: dict[type[Event], Handler] = {
        DocumentIngested: read,
        DocumentRead: handlers.note_progress,
        ClausesExtracted: partial(handlers.note_clauses, blobs=blobs),
        FindingsFound: partial(handlers.note_findings, blobs=blobs),
        DocumentFailed: partial(handlers.note_failure, blobs=blobs),
        DocumentReclassified: partial(handlers.note_kind, blobs=blobs),
        DocumentDeleted: partial(handlers.forget_document, blobs=blobs, images=images),
        ReviewDecided: partial(handlers.note_decision, blobs=blobs),
    }
    policy = Policy(
        networks=read_networks(settings.ingest_webhook_networks),
        plain_http=settings.ingest_webhook_http,
        ports=read_ports(settings.ingest_webhook_ports),
    )
    commands = WebhookCommands(store, policy, settings.ingest_webhook_most)
    resumables = Resumables(
        store,
        PartialFiles(settings.blobs),
        parts.commands,
        hours=settings.ingest_upload_hours,
        max_bytes=settings.ingest_max_partial,
    )
    users = UserCommands(store, keys)
    app_routes = [
        *routes(parts),
        upload_routes(resumables, idempotent),
        retention_routes(store),
        search_routes(SearchService(store, blobs)),
        users_api.users(users),
        users_api.sign_in(
            users, _provider(settings), settings.ingest_openid_name, settings.public_url
        ),
        *webhook_routes(commands, idempotent),
        journal.routes("ingest", store, reacts),
    ]
    limit = RateLimit(settings.rate_requests)
    app = create_app(
        "ingest",
        app_routes,
        [store.ready],
        keys,
        limit,
        examples=Path(__file__).with_name("examples.json"),
        public_url=settings.public_url,
        store=store,
        settings=settings,
        progress=progress,
        resumables=resumables,
        upload_bytes=ByteBudget(settings.ingest_max_arriving, settings.ingest_max_upload),
    )
    describe_messages(app)

    def close_parts() -> None:
        for part in (progress, reading, large_reading, showing):
            part.close()

    return Service(
        name="ingest",
        settings=settings,
        port=settings.ingest_port,
        store=store,
        blobs=blobs,
        bus=bus or open_bus(settings.bus, lease=settings.bus_lease),
        app=app,
        handlers=reacts,
        in_child=(DocumentIngested, ClausesExtracted),
        large=is_large,
        jobs=(
            partial(_sender, settings, store, _poster(settings, policy)),
            lambda _owner: Cleanup("uploads", resumables.sweep),
            lambda _owner: Cleanup("idempotency", idempotent.sweep),
            lambda _owner: RetentionJob(store, settings.ingest_retention_interval),
            lambda _owner: Cleanup("partial-blobs", partial(blobs.sweep, STALE), DAY),
        ),
        let_go=progress.close,
        close_parts=close_parts,
    )


def _provider(settings: Settings) -> OpenIdProvider | None:
    if not settings.ingest_openid_issuer:
        return None
    if not (settings.ingest_openid_client and settings.public_url):
        raise SettingsError(
            "SMALLPRINT_INGEST_OPENID_ISSUER needs SMALLPRINT_INGEST_OPENID_CLIENT and "
            "SMALLPRINT_PUBLIC_URL, the address to which the provider sends browsers back"
        )
    from services.ingest.users.openid import OpenIdProvider  # Authlib takes a while to import

    return OpenIdProvider(
        settings.ingest_openid_issuer,
        settings.ingest_openid_client,
        settings.ingest_openid_secret.get_secret_value(),
        users_api.CALLBACK,
    )


def _poster(settings: Settings, policy: Policy) -> Poster:
    try:
        tls = trust(settings.ingest_webhook_certificates)
    except OSError as error:
        raise SettingsError(
            f"SMALLPRINT_INGEST_WEBHOOK_CERTIFICATES is not a readable PEM file: {error}"
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
        pause=settings.ingest_webhook_rest,
        disable_after=timedelta(days=settings.ingest_webhook_disable_days),
    )
    return Sender(
        Queue(store, timedelta(seconds=LEASE * settings.ingest_webhook_seconds)),
        poster,
        plan,
        threads=settings.ingest_webhook_threads,
        interval=settings.ingest_webhook_interval,
        origin=settings.public_url.rstrip("/"),
        log_age=timedelta(days=settings.ingest_webhook_log_days),
        owner=owner,
    )
