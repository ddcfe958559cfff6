"""Real processes of the kernel, killed with SIGKILL at the points where it hurts most."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, select

from shared.bus import Bus, Message, open_bus
from shared.events import DocumentDeleted
from shared.messaging import Relay, UnitOfWork
from shared.settings import CommonSettings
from shared.storage import Store
from tests.support import ROOT
from tests.support.queue import HandWorker

MIGRATIONS = ROOT / "tests" / "contract" / "store" / "migrations"
NOTE = Table("note", MetaData(), Column("id", Integer, primary_key=True), Column("text", String))

PROGRAM = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import insert, table, column
from shared.bus import open_bus
from shared.bus.sqlite import SqliteBus
from shared.events import DocumentDeleted
from shared.settings import CommonSettings
from shared.messaging import Inbox, Relay
from shared.storage import Store
from tests.support.queue import HandWorker

folder, point = Path(sys.argv[1]), sys.argv[2]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store = Store(f"sqlite:///{folder / 'store.db'}", "extraction", Path(sys.argv[3]))
bus = open_bus(f"sqlite:///{folder / 'bus.db'}")
note = table("note", column("text"))

def keep(event, uow):
    if point == "before the commit":
        with uow:
            uow.session.execute(insert(note).values(text=event.document_id))
            die()
    with uow:
        uow.session.execute(insert(note).values(text=event.document_id))
        uow.publish(DocumentDeleted(document_id=event.document_id + "-answer"))

publish = SqliteBus.publish
if point == "before the publish":
    SqliteBus.publish = die
if point == "between publish and mark":
    SqliteBus.publish = lambda self, *messages: (publish(self, *messages), die())
insert_entries = Inbox.insert
if point == "before the inbox":
    Inbox.insert = die
if point == "after the inbox":
    Inbox.insert = lambda self, *what: (insert_entries(self, *what), die())

HandWorker("extraction", store, bus, {DocumentDeleted: keep}, CommonSettings()).run_until_idle()
Relay(store, bus, owner="only").run_once()
sys.exit("was not killed")
"""

POINTS = [
    "before the commit",
    "before the inbox",
    "after the inbox",
    "before the publish",
    "between publish and mark",
]


def _count(store: Store, what: Table) -> int:
    with store.read() as session:
        return int(session.execute(select(func.count()).select_from(what)).scalar_one())


def _keep(event: DocumentDeleted, uow: UnitOfWork) -> None:
    with uow:
        uow.session.execute(NOTE.insert().values(text=event.document_id))
        uow.publish(DocumentDeleted(document_id=event.document_id + "-answer"))


def _answers(bus: Bus) -> list[bytes]:
    reader, found = bus.reader("listener"), []
    while records := reader.read(0.0):
        found += [record.message for record in records]
    return [message.value for message in found if message.key.endswith("-answer")]


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_there_is_made_up_for(tmp_path: Path, point: str) -> None:
    """The next process finds the work or its result: one row, one answer, whatever came twice."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", "extraction", MIGRATIONS)
    store.migrate()
    bus = open_bus(f"sqlite:///{tmp_path / 'bus.db'}")
    event = DocumentDeleted(document_id="a")
    bus.publish(Message(event.key, event.to_json("ingest")))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), point, str(MIGRATIONS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr

    def pass_over(_event: DocumentDeleted, _uow: UnitOfWork) -> None:
        """Ignore the answer to the event."""

    def handle(event: DocumentDeleted, uow: UnitOfWork) -> None:
        (pass_over if event.document_id.endswith("-answer") else _keep)(event, uow)

    worker = HandWorker("extraction", store, bus, {DocumentDeleted: handle}, CommonSettings())
    worker.inbox.release()
    worker.run_until_idle()
    Relay(store, bus, owner="only").run_once()
    assert _count(store, NOTE) == 1
    assert len(set(_answers(bus))) == 1
    assert Relay(store, bus, owner="only").waiting() == 0
    bus.close()
    store.close()
