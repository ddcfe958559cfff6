"""Builders for tests of webhooks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from fastapi.testclient import TestClient
from sqlalchemy import update

from services.ingest.domain import now_utc
from services.ingest.webhooks.sender import Sender
from services.ingest.webhooks.store import Queue, deliveries, webhooks
from shared.events import ReviewDecided
from tests.unit.ingest.builders import IngestService


class WebhookService(IngestService):
    def __init__(self, folder: Path, **settings: Any) -> None:
        chosen = {"ingest_webhook_networks": "127.0.0.0/8", "ingest_webhook_http": True}
        super().__init__(folder, **{**chosen, **settings})
        self.sender = self.new_sender()

    def new_sender(self, owner: str | None = None) -> Sender:
        return cast("Sender", self.service.jobs[0](owner))

    @property
    def queue(self) -> Queue:
        return self.sender.queue

    def register(self, url: str, *types: str, client: TestClient | None = None) -> dict[str, Any]:
        request_body = {"url": url, "types": list(types)}
        answer = (client or self.client).post("/v1/webhooks", json=request_body)
        assert answer.status_code == 201, answer.text
        return cast("dict[str, Any]", answer.json())

    def webhook(self, webhook_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/webhooks/{webhook_id}")
        assert answer.status_code == 200, answer.text
        return cast("dict[str, Any]", answer.json())

    def log(self, webhook_id: str, **filters: str) -> list[dict[str, Any]]:
        answer = self.client.get(f"/v1/webhooks/{webhook_id}/deliveries", params=filters)
        assert answer.status_code == 200, answer.text
        return cast("list[dict[str, Any]]", answer.json()["items"][::-1])

    def states(self, webhook_id: str) -> list[str]:
        return [delivery["state"] for delivery in self.log(webhook_id)]

    def send(self) -> int:
        turns = 0
        while self.sender.serve_next():
            turns += 1
        return turns

    def let_time_pass(self, days: float = 2.0) -> None:
        now = now_utc()
        with self.service.store.write() as session:
            soon = deliveries.c.due <= now + timedelta(days=days)
            session.execute(update(deliveries).where(soon).values(due=now))
            session.execute(update(webhooks).values(paused_until=None))


NewHooks = Callable[..., WebhookService]


def review_decision(document_id: str, number: int = 1) -> ReviewDecided:
    return ReviewDecided(
        document_id=document_id,
        actor="Ann",
        item_id=f"it_{number}",
        stage="extraction",
        result_id=f"cl_{number}",
        decision_id=f"de_{number}",
        verdict="correct",
        correction={"text": "words of the contract"},
    )
