"""A service that is built again in a child process, with handlers that misbehave there."""

import os
import re
import signal
from pathlib import Path

from sqlalchemy import insert

from shared.blobs import FileBlobs
from shared.bus import open_bus
from shared.errors import UnreadableDocument
from shared.events import DocumentDeleted, DocumentFailed, Stage
from shared.messaging import UnitOfWork
from shared.runtime import Service
from shared.settings import CommonSettings
from shared.storage import Store
from shared.web.app import create_app
from tests.unit.runtime.working import NOTE

MIGRATIONS = Path(__file__).parents[2] / "contract" / "store" / "migrations"
SLOW = re.compile(r"(?:a|a)*b")
"""Takes twice as long with each further letter."""


def build_all(folder: Path) -> list[Service]:
    """Two services on the files of a folder."""
    return [build(folder, "extraction"), build(folder, "triage")]


def build(folder: Path, name: Stage) -> Service:
    store = Store(f"sqlite:///{folder / name}.db", name, MIGRATIONS)
    return Service(
        name=name,
        settings=CommonSettings(
            attempts=2, retry_delay=0.01, retry_delay_most=0.02, quick_seconds=2, text_seconds=3
        ),
        port=0,
        store=store,
        blobs=FileBlobs(folder / "blobs"),
        bus=open_bus("memory:"),
        app=create_app(name, [], [store.ready], None),
        handlers={DocumentDeleted: misbehave},
        large=lambda event: event.document_id.startswith("large"),
        in_child=(DocumentDeleted,),
    )


def misbehave(event: DocumentDeleted, uow: UnitOfWork) -> None:
    """Note the process in which a document is handled, or fail as its id says."""
    match event.document_id:
        case "slow":
            SLOW.match("a" * 60)
        case "dies":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "torn":
            raise UnreadableDocument("it is torn")
    with uow:
        uow.session.execute(insert(NOTE).values(text=f"{event.document_id} {os.getpid()}"))
        uow.publish(
            DocumentFailed(
                tenant=event.tenant, document_id="a", stage="extraction", code="a", reason="a"
            )
        )
