"""Keys and sessions in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.ingest.keys import KeyRing
from services.ingest.store import MIGRATIONS
from shared.audit.trail import audit
from shared.errors import Conflict
from shared.storage import Store


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[KeyRing]:
    store = Store(f"sqlite:///{tmp_path / 'ingest.db'}", "ingest", MIGRATIONS)
    store.migrate()
    yield KeyRing(store)
    store.close()


def lines(ring: KeyRing) -> list[tuple[str, str, str]]:
    """Actor, action and object of all lines."""
    query = select(audit.c.actor, audit.c.action, audit.c.object).order_by(audit.c.number)
    with ring.store.read() as session:
        return [tuple(row) for row in session.execute(query)]


def details(ring: KeyRing, action: str) -> list[dict[str, Any]]:
    """The details of all lines with an action."""
    query = select(audit.c.details).where(audit.c.tenant == "default", audit.c.action == action)
    with ring.store.read() as session:
        return list(session.execute(query.order_by(audit.c.number)).scalars())


def test_the_life_of_a_key_is_recorded(ring: KeyRing) -> None:
    alice = ring.create("default", "alice")
    holder = ring.check(alice.secret)
    assert holder
    bob = ring.create("default", "bob", by=holder)
    with pytest.raises(Conflict):
        ring.create("default", "bob", by=holder)
    link = ring.open_link(holder)
    session = ring.open_session(holder, "192.0.2.7")
    other = ring.open_session(holder)
    signed_in = ring.check(session.secret)
    assert signed_in
    ring.close_session(signed_in)
    ring.end_session(other.key.id, by=holder)
    ring.rotate(bob.key.id, by=holder)
    ring.end_sessions(bob.key.id)
    ring.revoke(bob.key.id, by=holder)
    assert lines(ring) == [
        ("operator", "key.create", alice.key.id),
        ("alice", "key.create", bob.key.id),
        ("alice", "link.create", link.key.id),
        ("alice", "sign-in", session.key.id),
        ("alice", "sign-in", other.key.id),
        ("alice", "sign-out", session.key.id),
        ("alice", "sign-out", other.key.id),
        ("alice", "key.change", bob.key.id),
        ("operator", "sign-out", bob.key.id),
        ("alice", "key.revoke", bob.key.id),
    ]
    with ring.store.read() as rows:
        query = select(audit.c.address).where(audit.c.object == session.key.id)
        assert set(rows.execute(query).scalars()) == {"192.0.2.7", ""}


def test_a_line_of_a_new_key_has_its_end_and_addresses(ring: KeyRing) -> None:
    end = datetime(2999, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    ring.create("default", "alice", scopes=["review"], expires=end, addresses=["10.1.0.0/16"])
    ring.create("default", "bob", scopes=["review"])
    assert details(ring, "key.create") == [
        {
            "name": "alice",
            "scopes": ["review"],
            "expires": "2999-01-31T10:00:00+00:00",
            "addresses": ["10.1.0.0/16"],
        },
        {"name": "bob", "scopes": ["review"], "expires": None, "addresses": []},
    ]


def test_a_line_of_a_rotated_key_says_how_long_the_old_secret_works(ring: KeyRing) -> None:
    key = ring.create("default", "alice").key.id
    end = datetime(2999, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    until = ring.rotate(key, expires=end).key.old_secret_until
    ring.rotate(key, overlap=timedelta(0))
    assert until
    same = {"what": "rotate", "expires": "2999-01-31T10:00:00+00:00", "addresses": []}
    assert details(ring, "key.change") == [
        {**same, "old_secret_until": until.isoformat()},
        {**same, "old_secret_until": None},
    ]


def test_a_line_of_a_sign_in_says_how(ring: KeyRing) -> None:
    holder = ring.check(ring.create("default", "alice").secret)
    assert holder
    link = ring.check(ring.open_link(holder).secret)
    assert link
    ring.open_session(link)
    ring.open_session(holder)
    with ring.temporary("default"):
        pass
    methods = [one["method"] for one in details(ring, "sign-in")]
    assert methods == ["link", "key", "command"]


def test_a_refused_key_leaves_one_line_for_each_reason(ring: KeyRing) -> None:
    new = ring.create("default", "alice")
    for _ in range(3):
        assert ring.check(f"sp_{new.key.id}_{'x' * 43}") is None
        assert ring.check(f"sp_{'0' * 16}_{'x' * 43}") is None
        assert ring.check("nonsense") is None
    ring.revoke(new.key.id)
    for _ in range(3):
        assert ring.check(new.secret) is None
    assert lines(ring) == [
        ("operator", "key.create", new.key.id),
        ("alice", "refuse", new.key.id),
        ("operator", "key.revoke", new.key.id),
        ("alice", "refuse", new.key.id),
    ]
