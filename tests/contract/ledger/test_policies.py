"""The history of policies on both databases: two processes add the same policy only once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from services.escalation.policy import PolicyHistory, Version, note_policies, version_of
from shared.storage import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIRST, SECOND, CLOSED = (version_of({"max_wrong": share}) for share in (0.05, 0.1, None))


def note(database: Store, version: Version, seconds: int = 0) -> None:
    named = {"acme": version}
    time = NOW + timedelta(seconds=seconds)
    note_policies(database, named, lambda tenant: named.get(tenant, CLOSED), time)


def held(database: Store, tenant: str = "acme") -> list[tuple[Version, datetime]]:
    with database.read() as session:
        found = PolicyHistory(session, tenant).newest()
    return [(one.version, one.since) for one in reversed(found)]


def test_each_change_is_kept_with_its_moment(database: Store) -> None:
    for seconds, version in enumerate((FIRST, FIRST, SECOND, FIRST)):
        note(database, version, seconds)
    times = [NOW, NOW + timedelta(seconds=2), NOW + timedelta(seconds=3)]
    assert held(database) == list(zip((FIRST, SECOND, FIRST), times, strict=True))
    assert held(database, "other") == []


def test_a_tenant_that_is_named_no_more_has_what_holds_by_default(database: Store) -> None:
    note(database, FIRST)
    note_policies(database, {}, lambda _tenant: CLOSED, NOW + timedelta(seconds=1))
    assert [version for version, _ in held(database)] == [FIRST, CLOSED]


def test_processes_that_start_at_once_note_it_once(database: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: note(database, FIRST), range(8)))
    assert held(database) == [(FIRST, NOW)]
