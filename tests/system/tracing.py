"""A document passes through a running suite, and its trace has every step.

The steps are upload, clauses, a question to a stand-in for a frontier model, a webhook and a
decision.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.servers.ports import free_port
from tests.fakes.provider import ENTRY, Labels, StandIn
from tests.fakes.trace_collector import Collector, Received
from tests.support.local_server import Receiver
from tests.support.suite_process import SuiteProcess

SECONDS = 600.0
"""Far more than a quiet machine needs."""
FRONTIER_KEY = "frontier-key-that-nobody-may-see"
PASSWORD = "a-password-that-nobody-may-see"
NAME = "northwind-and-contoso.txt"
WORDS = "governed by the laws of the State of New York"
"""Words of the document that no log and no trace may have."""
DOCUMENT = """SERVICES AGREEMENT
This Services Agreement is made as of March 4, 2024 (the "Effective Date") by and between
Northwind Mills, Inc., a Delaware corporation, and Contoso Bakeries LLC ("Client").
1. Term. This Agreement begins on the Effective Date and continues for two (2) years.
2. Assignment. Neither party may assign this Agreement without the other's written consent.
3. Governing Law. This Agreement shall be governed by the laws of the State of New York.
4. Insurance. Northwind shall maintain commercial general liability insurance of $1,000,000.
5. Audit. Client may audit the books of Northwind once a year on ten days' notice.
6. Liability. Except for breach of confidence, neither party is liable for more than the fees
that were paid in the year before.
7. Licence. Northwind grants Client a licence to use the recipes, which Client may not pass on.
8. Exclusivity. During the term Client buys its flour from Northwind so far as it needs any.
9. End. Client may end this Agreement at any time with sixty days' notice.
10. Change. If Northwind is sold, Client may look for another mill.
11. Price. No other bakery pays less than Client for the same flour.
12. People. For a year nobody hires those who work for the other.
"""
POLICY = """{entry}key_env = "TRACED_FRONTIER_KEY"
seconds = 20

[tenants.default]
providers = ["stand-in"]
external_kinds = ["contract"]
day_usd = "5"
month_usd = "50"
mistake_usd = "100"
mask = ["parties"]
"""
WAY = (
    ("ingest", "POST /v1/documents"),
    ("ingest", "document.ingested.v1"),
    ("ingest", "read pages"),
    ("ingest", "infer document-kind"),
    ("extraction", "document.read.v1"),
    ("extraction", "infer contract-clauses"),
    ("triage", "document.read.v1"),
    ("review", "clauses.extracted.v1"),
    ("escalation", "escalation.requested.v1"),
    ("escalation", "ask frontier"),
    ("review", "escalation.answered.v1"),
    ("ingest", "webhook document.ended"),
    ("review", "decide"),
    ("ingest", "review.decided.v1"),
    ("extraction", "review.decided.v1"),
)
"""Spans that a contract leaves on its way, by service and name."""


class RoadError(Exception):
    """The suite did not do what a healthy one does."""


@dataclass
class Traced:
    """A suite that is at work, and its collector."""

    client: httpx.Client
    key: str
    collector: Collector
    log: Callable[[], str]
    """All that its processes have logged so far."""

    def travel(self) -> str:
        """Send the document, decide about its first clause, wait for its trace. Returns its id."""
        answer = self.client.post(
            "/v1/documents",
            files={"file": (NAME, DOCUMENT.encode())},
            data={"password": PASSWORD},
        )
        answer.raise_for_status()
        document = str(answer.json()["id"])
        self._until(
            lambda: self.client.get(f"/v1/documents/{document}").json()["state"] == "ended",
            "the document did not end",
        )
        path = f"/v1/items?document={document}"
        self._until(lambda: self.client.get(path).json()["items"], "nothing came to the queue")
        self._until(
            lambda: ("review", "escalation.answered.v1") in self.passed(document),
            "no answer of the stand-in came to the queue",
        )
        for item in self.client.get(path).json()["items"]:
            if item["kind"] == "clause":
                self.client.post("/v1/items/claim", json={"item": item["id"]}).raise_for_status()
                wish = {"item": item["id"], "verdict": "accept"}
                self.client.post("/v1/decisions", json=wish).raise_for_status()
                break
        self._until(
            lambda: not set(WAY) - self.passed(document),
            lambda: f"the trace lacks {sorted(set(WAY) - self.passed(document))}",
        )
        return document

    def passed(self, document: str) -> set[tuple[str, str]]:
        """The service and name of each span of the document so far."""
        return {(one.service, one.name) for one in self.trace(document)}

    def trace(self, document: str) -> list[Received]:
        """The trace of the document so far."""
        trace = self.collector.trace_of(document)
        return self.collector.of_trace(trace) if trace else []

    def _until(self, true: Callable[[], object], otherwise: str | Callable[[], str]) -> None:
        end = time.monotonic() + SECONDS
        while not true():
            if time.monotonic() > end:
                raise RoadError(otherwise if isinstance(otherwise, str) else otherwise())
            time.sleep(0.2)


@contextmanager
def traced(folder: Path, *, kafka: bool = False, **settings: str) -> Iterator[Traced]:
    """Run a suite below `folder`: the embedded edition, or separate processes on Kafka.

    It sends its spans to a collector, asks a stand-in, and has a webhook.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        collector = stack.enter_context(Collector())
        hook = stack.enter_context(Receiver())
        found = [("Governing Law", "the laws of the State of New York")]
        stand_in = stack.enter_context(StandIn(Labels(found)))
        policy = folder / "policy.toml"
        policy.write_text(POLICY.format(entry=ENTRY.format(url=stand_in.url)), "utf-8")
        env = {
            "SMALLPRINT_TRACES": collector.url,
            "SMALLPRINT_POLICY": str(policy),
            "SMALLPRINT_INGEST_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "SMALLPRINT_INGEST_WEBHOOK_HTTP": "true",
            "TRACED_FRONTIER_KEY": FRONTIER_KEY,
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "NO_PROXY": "127.0.0.1",
            **settings,
        }
        start = _on_kafka if kafka else _embedded
        url, key, log = stack.enter_context(start(folder, env))
        client = stack.enter_context(
            httpx.Client(
                base_url=url,
                headers={"authorization": f"Bearer {key}"},
                timeout=120,
                trust_env=False,
            )
        )
        wish = {"url": hook.url("/hook"), "types": ["document.ended", "review.decided"]}
        client.post("/v1/webhooks", json=wish).raise_for_status()
        yield Traced(client, key, collector, log)


Started = tuple[str, str, Callable[[], str]]


@contextmanager
def _embedded(folder: Path, env: Mapping[str, str]) -> Iterator[Started]:
    port, log = free_port(), folder / "embedded.log"
    command = ["services.cli", "serve", "--port", str(port), "--data", str(folder / "data")]
    with _process(log, command, env) as suite:
        yield f"http://127.0.0.1:{port}", suite.key(), lambda: _logged(suite.text())


@contextmanager
def _on_kafka(folder: Path, env: Mapping[str, str]) -> Iterator[Started]:
    port = free_port()
    command = ["infra.run_kafka", "--port", str(port), "--data", str(folder / "data")]
    with _process(folder / "run.log", command, env) as suite:

        def log() -> str:
            found = sorted((folder / "data" / "logs").glob("*.log"))
            kept = (path for path in found if path.stem != "kafka")
            return "\n".join(path.read_text("utf-8", "replace") for path in kept)

        yield f"http://127.0.0.1:{port}", suite.key(), log


def _logged(text: str) -> str:
    """The log's lines of JSON, without the lines that are printed at the start."""
    return "\n".join(line for line in text.splitlines() if line.startswith("{"))


@contextmanager
def _process(log: Path, command: list[str], env: Mapping[str, str]) -> Iterator[SuiteProcess]:
    suite = SuiteProcess(log, command, env)
    try:
        yield suite
    finally:
        suite.stop()
