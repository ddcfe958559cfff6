"""Builders for tests of escalation: a policy, questions, a gateway and the service."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from operator import getitem
from pathlib import Path
from typing import Any

from services.escalation.bootstrap import build
from services.escalation.domain import Outcome
from services.escalation.gateway import Asker, Gateway
from services.escalation.ledger import Ledger
from services.escalation.policy.policy import Policies, read_policies
from services.escalation.providers.circuit_breaker import Breaker
from services.escalation.settings import Settings
from services.escalation.store import MIGRATIONS
from shared.blobs import FileBlobs
from shared.events import (
    BlobRef,
    DocumentDeleted,
    EscalationAnswered,
    EscalationRequested,
    Event,
    FurtherQuestion,
)
from shared.events.questions import Question
from shared.messaging import Inbox, UnitOfWork
from shared.settings import load
from shared.storage import Store
from tests.contract.ledger.calls import Clock
from tests.fakes.provider import Fault, Labels, StandIn
from tests.fakes.provider.protocols import ModelRequest
from tests.support.builders import AnyKey, RunningService
from tests.support.killed import Killed
from tests.support.queue import begin

KEY = "sk-9d2e5b10-never-to-be-seen"
TEXT = (
    "1. Term. It lasts for two years.\n2. Law. This Agreement shall be governed by the laws of the"
    "\nState of Delaware.\n3. Fees. Acme Widgets, Inc. pays US$ 1,200 a year to Jane Roe.\n"
)
FOUND = "This Agreement shall be governed by the laws of the\nState of Delaware."
OTHER = "The courts of Texas decide, and Texas law applies to it."
LABELS = [("Governing Law", FOUND), ("Governing Law", OTHER)]


def policy_text(
    url: str,
    day: str = "10",
    external_kinds: Sequence[str] = ("contract",),
    mask: Sequence[str] = (),
    name: str = "stand-in",
) -> str:
    """A policy with one provider. The tenant `strict` sends nothing out."""
    return f"""
[providers.{name}]
protocol = "own"
model = "stand-in"
url = "{url}"
key_env = "TEST_FRONTIER_KEY"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}
seconds = 2
most_tokens = 400

[tenants.default]
providers = ["{name}"]
external_kinds = {json.dumps(list(external_kinds))}
day_usd = "{day}"
month_usd = "100"
mask = {json.dumps(list(mask))}

[tenants.strict]
providers = ["{name}"]
day_usd = "10"
month_usd = "100"
"""


def question(text: str = TEXT, **changed: Any) -> Question:
    """Whether a contract says its governing law."""
    values: dict[str, Any] = {
        "kind": "contract",
        "text": BlobRef(sha256="0" * 64, size=len(text)),
        "start": 0,
        "end": len(text),
        "category": "Governing Law",
        "definition": "Which state's law governs the contract?",
    }
    return Question(**{**values, **changed})


@dataclass
class Rig:
    """A gateway with a stand-in before it."""

    gateway: Gateway
    stand_in: StandIn
    database: Store
    clock: Clock
    wanted: list[Fault] = field(default_factory=list)
    """Faults of the next calls."""
    spoken: list[str] = field(default_factory=list)
    """Answers of the next calls, instead of the labels'."""
    number: int = 0

    @classmethod
    def open(
        cls, folder: Path, labels: Labels | Sequence[tuple[str, str]] = LABELS, **policy: Any
    ) -> Rig:
        folder.mkdir()
        known = labels if isinstance(labels, Labels) else Labels(list(labels))
        stand_in = StandIn(known, hang_seconds=30)
        stand_in.__enter__()
        path = folder / "policy.toml"
        path.write_text(policy_text(stand_in.url, **policy))
        database = Store(f"sqlite:///{folder / 'e.db'}", "escalation", MIGRATIONS)
        database.migrate()
        clock = Clock()
        gateway = Gateway(
            read_policies(path), Ledger(database, clock), timedelta(minutes=10), clock
        )
        rig = cls(gateway, stand_in, database, clock)
        speak = stand_in.speak
        stand_in.choose = lambda _request: rig.wanted.pop(0) if rig.wanted else "none"
        stand_in.speak = lambda request, fault: (
            rig.spoken.pop(0) if rig.spoken else speak(request, fault)
        )
        return rig

    def close(self) -> None:
        self.stand_in.__exit__(None, None, None)
        self.database.close()

    def ask(self, asked: Question | None = None, text: str = TEXT, **asker: Any) -> Outcome:
        """Ask one question, for a new escalation unless `escalation_id` names one."""
        return self.ask_all([asked or question(text)], text, **asker)[0]

    def ask_all(
        self,
        asked: Sequence[Question],
        text: str = TEXT,
        request: str = "",
        decided: Sequence[bool] = (),
        **asker: Any,
    ) -> list[Outcome]:
        """Ask the questions of one request, of which people have `decided` some."""
        self.number += 1
        request = request or f"es_{self.number}"
        pairs = []
        for number, one in enumerate(asked):
            values: dict[str, Any] = {
                "tenant": "default",
                "document_id": "doc_1",
                "escalation_id": f"{request}_{number}",
                "since": self.clock(),
                **({"decided": partial(getitem, decided, number)} if decided else {}),
            }
            pairs.append((Asker(**{**values, **asker}), one))
        return self.gateway.ask_all(pairs, text)

    def let_rest(self) -> None:
        """Every provider has rested from its failures."""
        tenants = {
            name: replace(
                policy, providers=tuple(replace(p, breaker=Breaker()) for p in policy.providers)
            )
            for name, policy in self.gateway.policies.tenants.items()
        }
        self.gateway.policies = Policies(tenants)

    def sent(self) -> list[ModelRequest]:
        """The requests to the provider."""
        return self.stand_in.requests


Make = Callable[..., Rig]


class EscalationService(RunningService):
    """Escalation with a stand-in as its provider, and what the other services would tell it."""

    def __init__(self, folder: Path, stand_in: StandIn) -> None:
        policy = folder / "policy.toml"
        policy.write_text(policy_text(stand_in.url, day="1"))
        delay = {"retry_delay": 0.01, "retry_delay_most": 0.01}
        settings = load(Settings, data=folder, bus_url="memory:", policy=policy, **delay)
        super().__init__(build(settings, keys=AnyKey()))
        self.stand_in = stand_in
        self.faults: list[Fault] = []
        self.originals = FileBlobs(settings.blobs)
        self.asked = FileBlobs(settings.blobs, "extraction")
        stand_in.choose = lambda _request: self.faults.pop(0) if self.faults else "none"

    def request(self, number: int = 1, text: str = TEXT, **changed: Any) -> EscalationRequested:
        """A request of extraction. Fields of the question and of the event may be changed."""
        own = {name: changed.pop(name) for name in Question.model_fields.keys() & changed.keys()}
        asked = question(text, **{"definition": f"Which law governs? ({number})", **own})
        kept = self.originals.put("default", text.encode())
        written = asked.model_copy(update={"text": kept}).model_dump_json()
        blob = self.asked.put("default", written.encode())
        event: dict[str, Any] = {
            "document_id": f"doc_{number}",
            "stage": "extraction",
            "result_id": f"cl_{number}",
            "question": blob,
        }
        return EscalationRequested(**{**event, **changed})

    def request_all(self, categories: Sequence[str], text: str = TEXT) -> EscalationRequested:
        """A request with one question for each category."""
        first, *others = [self.request(1, text, category=name) for name in categories]
        further = tuple(
            FurtherQuestion(result_id=f"cl_{n}", question=one.question)
            for n, one in enumerate(others, 2)
        )
        return first.model_copy(update={"further": further})

    def say(self, *events: Event) -> list[EscalationAnswered]:
        """Handle events until nothing waits; return the answers."""
        self.handle(*events)
        return self.announced(EscalationAnswered)

    def call_handler(self, event: EscalationRequested | DocumentDeleted, uow: UnitOfWork) -> None:
        """Call the handler, as a worker does that may be killed in it."""
        begin(self.service.store, event)
        try:
            self.service.handlers[type(event)](event, uow)
        except Killed:
            Inbox(self.service.store).release()  # the next start does that
            raise

    def rows(self, table: Any) -> Sequence[Any]:
        with self.service.store.read() as session:
            return session.execute(table.select()).all()

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()
