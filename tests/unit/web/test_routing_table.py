"""The routing table."""

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from shared.events import Stage
from shared.web.app import health_app
from shared.web.routing_table import Dispatcher, service_for

SERVICES: tuple[Stage, ...] = ("ingest", "extraction", "triage", "review", "escalation")
PATHS: list[tuple[str, Stage]] = [
    ("/v1/documents", "ingest"),
    ("/v1/documents/doc_1", "ingest"),
    ("/v1/documents/doc_1/text", "ingest"),
    ("/v1/documents/doc_1/pages/3.png", "ingest"),
    ("/v1/documents/doc_1/events", "ingest"),
    ("/v1/documents/events", "ingest"),
    ("/v1/uploads/up_1", "ingest"),
    ("/v1/retention", "ingest"),
    ("/v1/deletions/doc_1", "ingest"),
    ("/v1/documents/doc_1/clauses", "extraction"),
    ("/v1/documents/doc_1/presence", "extraction"),
    ("/v1/documents/doc_1/values", "extraction"),
    ("/v1/documents/doc_1/findings", "triage"),
    ("/v1/documents/doc_1/statements", "triage"),
    ("/v1/documents/doc_1/signals", "triage"),
    ("/v1/documents/doc_1/history", "triage"),
    ("/v1/documents/clauses", "ingest"),
    ("/v1/uploads/1", "ingest"),
    ("/v1/search", "ingest"),
    ("/v1/webhooks", "ingest"),
    ("/v1/keys/self", "ingest"),
    ("/v1/escalations/1", "escalation"),
    ("/v1/costs", "escalation"),
    ("/v1/policy", "escalation"),
    ("/v1/watch", "extraction"),
    ("/v1/watch/findings", "triage"),
    ("/v1/items/it_1/claim", "review"),
    ("/v1/decisions", "review"),
    ("/v1/exports", "review"),
    ("/v1/session", "review"),
    ("/", "review"),
    ("/static/page.js", "review"),
    ("/v1/keysmith", "review"),
    ("/nothing/at/all", "review"),
]


def _echo(name: str) -> ASGIApp:
    def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{name} {request.method} {request.url.path}")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


@pytest.fixture
def client() -> TestClient:
    return TestClient(
        Dispatcher({name: _echo(name) for name in SERVICES}, health_app("origin", []))
    )


@pytest.mark.parametrize(("path", "service"), PATHS)
def test_a_path_reaches_its_service(client: TestClient, path: str, service: Stage) -> None:
    assert service_for(path) == service
    assert client.get(path).text == f"{service} GET {path}"
    assert client.post(path).text == f"{service} POST {path}"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version", "/metrics", "/openapi.json"])
def test_probes_are_answered_by_the_front(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "GET" not in answer.text or path == "/metrics"


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_serves_its_schema(client: TestClient, service: Stage) -> None:
    assert client.get(f"/openapi/{service}.json").text == f"{service} GET /openapi.json"


@pytest.mark.parametrize("path", ["/v1/documents/../keys", "/v1/documents/a%2Fclauses"])
def test_dots_and_escapes_reach_one_service(path: str) -> None:
    assert service_for(path) in SERVICES
