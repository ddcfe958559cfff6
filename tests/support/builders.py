"""Builders for tests of a whole service."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from shared.events import Event
from shared.messaging import Relay, UnitOfWork
from shared.runtime import Service
from shared.web.auth import Actor
from tests.support.queue import HandWorker, Listener


class AnyKey:
    """Accepts every key as the name of its tenant."""

    def check(self, secret: str) -> Actor | None:
        return Actor(tenant=secret, name="tester", key_id="k1")


class RunningService:
    """A real service whose relay and worker run only when called.

    The `specialists` that it was built with may be fakes.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.service.store.migrate()
        self.relay = Relay(service.store, service.bus)
        self.worker = HandWorker(
            service.name, service.store, service.bus, service.handlers, service.settings
        )
        self.client = self.client_of("default")
        self.listener = Listener(service.bus)

    def client_of(self, tenant: str) -> TestClient:
        return TestClient(self.service.app, headers={"authorization": f"Bearer {tenant}"})

    def work(self) -> None:
        """Send and handle events until none is left."""
        while self.relay.run_once() + self.worker.run_until_idle():
            pass

    def handle(self, *events: Event) -> None:
        """Publish events of other services, and handle them."""
        with UnitOfWork(self.service.store) as uow:
            for event in events:
                uow.publish(event)
        self.work()

    def announced(self, kind: type[Event]) -> list[Any]:
        """Every event of a type since the last call."""
        return [event for event in self.listener.events() if isinstance(event, kind)]

    def close(self) -> None:
        self.service.close()


class Chain:
    """Services on one bus and one blob folder, run only when called; ingest comes first."""

    def __init__(self, *services: Service) -> None:
        self.services = services
        for service in services:
            service.store.migrate()
        secret = services[0].app.state.keys.create("default", "tester").secret
        headers = {"authorization": f"Bearer {secret}"}
        self.clients: dict[str, Any] = {
            service.name: TestClient(service.app, headers=headers) for service in services
        }
        self.loops = [
            (Relay(service.store, service.bus), HandWorker.of(service)) for service in services
        ]

    def upload(self, name: str, data: bytes, **fields: Any) -> str:
        """Send one document. Returns its id."""
        answer = self.clients["ingest"].post(
            "/v1/documents", files={"file": (name, data)}, data=fields
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def document(self, document_id: str) -> dict[str, Any]:
        state: dict[str, Any] = self.clients["ingest"].get(f"/v1/documents/{document_id}").json()
        return state

    def work(self) -> None:
        """Send and handle events until none is ready."""
        while sum(relay.run_once() + worker.run_until_idle() for relay, worker in self.loops):
            pass

    def close(self) -> None:
        for service in self.services:
            service.close()
