"""Every database adds up the readings of specialists in the same way."""

from __future__ import annotations

from services.escalation.costs import Reading, Readings, Work, costs_of_tenants
from shared.storage import Store


def reading(number: int, adapter: str, tenant: str = "default") -> Reading:
    return Reading(
        tenant=tenant,
        document_id=f"doc_{number}",
        attempt=1,
        adapter=adapter,
        version="1.0.0",
        kind="contract",
        day=f"2026-01-{number:02}",
        seconds=0.5,
        tokens=3_000_000_000,
        quoted=7,
    )


def test_readings_are_added_up_and_counted_once(database: Store) -> None:
    read = [reading(1, "a"), reading(1, "b"), reading(2, "a"), reading(2, "a")]
    for one in [*read, reading(3, "a", "other")]:
        with database.write() as session:
            Readings(session, one.tenant).note(one)
    with database.read() as session:
        own = Readings(session, "default")
        assert own.all() == Work("", 2, 1.5, 9_000_000_000, 21, 6_000_000_000)
        texts = {w.key: w.text for w in own.by("adapter")}
        assert texts == {"a": 4_500_000_000, "b": 1_500_000_000}, "each has its part of the text"
        assert {w.key: w.documents for w in own.by("adapter")} == {"a": 2, "b": 1}
        assert {w.key: w.seconds for w in own.by("day")} == {"2026-01-01": 1.0, "2026-01-02": 0.5}
        assert [w.key for w in own.by("tenant")] == ["default"]
        assert own.by("provider") == []
        assert [(a, v, w.documents) for a, v, w in own.by_version()] == [
            ("a", "1.0.0", 2),
            ("b", "1.0.0", 1),
        ]
        assert Readings(session, "nobody").all() == Work("", text=0.0)
        assert [(one.tenant, one.work.documents) for one in costs_of_tenants(session)] == [
            ("default", 2),
            ("other", 1),
        ]
