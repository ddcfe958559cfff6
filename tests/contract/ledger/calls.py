"""Calls as tests want them, and a clock that they turn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.escalation.ledger import Call
from services.escalation.ledger.store import disagreements, ledger
from shared.storage import Store

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def call(number: int, worst: int = 100, clock: Clock | None = None, **changed: Any) -> Call:
    now = clock() if clock else NOON
    values: dict[str, Any] = {
        "tenant": "default",
        "escalation_id": f"es_{number}",
        "document_id": f"doc_{number}",
        "kind": "contract",
        "provider": "acme",
        "model": "m-1",
        "content": f"{number:064x}",
        "worst": worst,
        "price_as_of": "2026-01-31",
        "time": now,
        "until": now + timedelta(seconds=90),
        **changed,
    }
    return Call(**values)


def states(database: Store) -> dict[str, tuple[str, int]]:
    """State and money of each call; the sums are held against them."""
    with database.read() as session:
        assert disagreements(session) == []
        rows = session.execute(ledger.select()).all()
    return {row.call_id: (row.state, row.micro_usd) for row in rows}
