"""The only file of ingest that builds real parts."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

from services.ingest.api import Parts, routes
from services.ingest.commands import Intake
from services.ingest.domain import DocumentReader
from services.ingest.handlers import PROJECTED, forget_document, note_progress, read_document
from services.ingest.keys import KeyRing
from services.ingest.pages import PageImages
from services.ingest.settings import Settings
from services.ingest.store import MIGRATIONS
from shared.bus import Bus, open_bus
from shared.documents.sandbox import Reader
from shared.events import DocumentDeleted, DocumentIngested, Event
from shared.runtime import Handler, Service
from shared.settings import load
from shared.storage import FileBlobs, Store
from shared.web.app import create_app

STALE = timedelta(hours=1)
"""Age at which a half-written blob belongs to a process that is no more."""


def build(
    settings: Settings | None = None,
    *,
    bus: Bus | None = None,
    reader: DocumentReader | None = None,
) -> Service:
    """Ingest: takes documents in, reads them, says where each one stands, and owns the keys."""
    settings = settings or load(Settings)
    store = Store(settings.database("ingest", settings.ingest_database_url), "ingest", MIGRATIONS)
    blobs = FileBlobs(settings.blobs)
    blobs.sweep(STALE)
    # Two children: nobody who looks at a page waits for a long document to be read.
    reading, showing = Reader(settings.limits), Reader(settings.limits)
    images = PageImages(
        settings.blobs,
        blobs,
        reader or showing,
        settings.ingest_renders,
        settings.ingest_page_cache,
    )
    keys = KeyRing(store, settings.ingest_session)
    parts = Parts(
        store=store,
        blobs=blobs,
        intake=Intake(store, blobs, reader or showing, settings.limits, settings.ingest_renders),
        images=images,
        keys=keys,
        waiters=threading.Semaphore(settings.ingest_waiters),
    )
    handlers: dict[type[Event], Handler] = dict.fromkeys(PROJECTED, note_progress)
    handlers[DocumentIngested] = partial(
        read_document, blobs=blobs, reader=reader or reading, limits=settings.limits
    )
    handlers[DocumentDeleted] = partial(forget_document, blobs=blobs, images=images)

    def close_parts() -> None:
        reading.close()
        showing.close()

    return Service(
        name="ingest",
        settings=settings,
        port=settings.ingest_port,
        store=store,
        blobs=blobs,
        bus=bus or open_bus(settings.bus, lease=settings.bus_lease),
        app=create_app("ingest", routes(parts), [store.ready], keys, settings=settings),
        handlers=handlers,
        close_parts=close_parts,
    )
