"""Behaviour that only PostgreSQL has: notifications of events, and limits of connections."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.orm import Session

from shared.bus.memory import MemoryBus
from shared.errors import Unavailable
from shared.events import DocumentDeleted
from shared.messaging import Relay, UnitOfWork
from shared.storage import Store, engine, notifications
from shared.storage.notifications import CHANNEL, Notifications
from tests.support.postgres import Servers

MIGRATIONS = Path(__file__).parent / "migrations"
LONG = 600.0
"""Longer than any test waits, in seconds: an event that came earlier was notified."""


@pytest.fixture
def url(servers: Servers) -> str:
    return servers.database()


@contextmanager
def store_of(url: str, connections: int = 10) -> Iterator[Store]:
    store = Store(url, "extraction", MIGRATIONS, connections)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def here(url: str) -> Iterator[Store]:
    with store_of(url) as store:
        yield store


@pytest.fixture
def there(url: str, here: Store) -> Iterator[Store]:
    with store_of(url) as store:
        yield store


def publish(store: Store, document: str = "d") -> None:
    with UnitOfWork(store) as uow:
        uow.publish(DocumentDeleted(document_id=document))


def pid(session: Session) -> object:
    return session.execute(text("SELECT pg_backend_pid()")).scalar_one()


def eventually(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.02)


@contextmanager
def at_work(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Notifications]]:
    """A relay that would not look again for a long time; yields what it hears by."""
    made: list[Notifications] = []
    make = store.listening

    def remembered() -> Notifications:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(store, "listening", remembered)
    stop = threading.Event()
    thread = threading.Thread(
        target=Relay(store, MemoryBus(), interval=LONG).run, args=(stop,), daemon=True
    )
    thread.start()
    try:
        eventually(lambda: bool(made) and made[0].is_listening, "it listens")
        yield made
    finally:
        stop.set()
        store.outbox_filled.set()
        thread.join(60)
        assert not thread.is_alive()


def test_a_relay_hears_what_another_process_commits(
    here: Store, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with at_work(here, monkeypatch):
        for number in range(3):
            publish(there, f"d{number}")
            eventually(lambda: Relay(there, MemoryBus()).waiting() == 0, "it is sent")


def test_what_is_rolled_back_is_not_heard(here: Store, there: Store) -> None:
    heard: list[float] = []
    ears = Notifications(here.engine, lambda: heard.append(time.monotonic()))
    ears.start()
    try:
        eventually(lambda: len(heard) == 1, "hearing begins with a look")

        def fail() -> None:
            with UnitOfWork(there) as uow:
                uow.publish(DocumentDeleted(document_id="no"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with UnitOfWork(there):
            pass  # nothing to say
        with UnitOfWork(there) as uow:
            uow.publish(DocumentDeleted(document_id="a"))
            uow.publish(DocumentDeleted(document_id="b"))
        eventually(lambda: len(heard) == 2, "the commit is heard")
        time.sleep(0.3)
        assert len(heard) == 2
    finally:
        ears.stop()


def test_a_connection_that_is_lost_is_made_again(
    here: Store, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "AGAIN_SECONDS", 0.1)
    with at_work(here, monkeypatch) as (ears,):
        with there.write() as session:
            ended = session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND query = :statement"
                ),
                {"statement": f"LISTEN {CHANNEL}"},
            ).all()
        assert len(ended) == 1
        eventually(lambda: ears.is_listening, "it listens again")
        publish(there)
        eventually(lambda: Relay(there, MemoryBus()).waiting() == 0, "it is sent")


def test_on_sqlite_nobody_listens(tmp_path: Path) -> None:
    with store_of(f"sqlite:///{tmp_path / 'store.db'}") as store:
        before = threading.active_count()
        ears = store.listening()
        ears.start()
        assert threading.active_count() == before
        assert not ears.is_listening
        ears.stop()


def test_a_process_has_no_more_connections_than_it_may(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT", 0.3)
    with store_of(url, connections=3) as store:
        with store.read() as one, store.read() as two, store.read() as three:
            assert len({pid(session) for session in (one, two, three)}) == 3
            refused = pytest.raises(Unavailable, match="SMALLPRINT_DATABASE_CONNECTIONS")
            with refused, store.read() as four:
                pid(four)
        with store.read() as session:
            count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            assert session.execute(text(count)).scalar_one() == 3


def test_a_server_without_a_free_connection_is_waited_for(url: str) -> None:
    with store_of(url) as store:
        name = url.rpartition("/")[2]
        with store.write() as session:
            session.execute(text(f'ALTER DATABASE "{name}" CONNECTION LIMIT 2'))
        other = Store(url, "extraction", MIGRATIONS)
        with other.read() as first:
            pid(first)
            refused = pytest.raises(Unavailable, match="too many connections")
            with refused, other.read() as second:
                pid(second)
        other.close()


def waits(connection: Any) -> tuple[int, int, int]:
    """The timeouts of a connection, for a server that is gone.

    Returns the seconds until a keepalive, the milliseconds until sent data is given up, and the
    longest seconds to connect.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as peer:
        idle = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        sent = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return idle, sent, int(connection.info.get_parameters()["connect_timeout"])


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("", (30, 30_000, 10)),
        ("?keepalives_idle=50&tcp_user_timeout=70000&connect_timeout=4", (50, 70_000, 4)),
    ],
)
def test_a_server_that_is_gone_is_not_waited_for_long(
    url: str, stated: str, found: tuple[int, int, int]
) -> None:
    with store_of(url + stated) as store:
        with store.read() as session:
            assert waits(session.connection().connection.driver_connection) == found
        heard = store.listening()._connect()
        try:
            assert waits(heard) == found
        finally:
            heard.close()


def test_a_database_that_takes_no_writes_is_waited_for(here: Store, url: str, note: Table) -> None:
    other = Store(f"{url}?options=-c%20default_transaction_read_only%3Don", "triage", MIGRATIONS)
    refused = pytest.raises(Unavailable, match="database of triage is read-only now")
    with refused as caught, other.write() as session:
        session.execute(insert(note).values(text="no"))
    assert "read-only" in caught.value.message
    with other.read() as session:
        assert session.execute(select(func.count()).select_from(note)).scalar_one() == 0
    other.close()


def test_a_server_that_has_become_a_copy_is_asked_for_by_name_again(url: str, note: Table) -> None:
    """Its connections stay good, and would read for ever: they are left, all of them."""
    with store_of(url, connections=2) as store:
        with store.write() as one, store.write() as two:
            for session in (one, two):
                only = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
                session.execute(text(only))
        with pytest.raises(Unavailable, match="is read-only now"), store.write() as session:
            session.execute(insert(note).values(text="no"))
        for _ in range(2):
            with store.write() as session:
                session.execute(insert(note).values(text="yes"))


@pytest.mark.parametrize(
    "state",
    [
        *("08000", "08006", "53000", "53100", "53200", "53300", "58030", "25006"),
        *("57P01", "57P02", "57P03", "57P04", "57P05"),
    ],
)
def test_what_is_wrong_with_the_server_is_no_error_of_ours(here: Store, state: str) -> None:
    raised = f"DO $$ BEGIN RAISE EXCEPTION 'it is so' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(Unavailable, match="database of extraction"), here.write() as session:
        session.execute(text(raised))
    here.ready()
