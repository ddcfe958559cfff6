"""The application of every service."""

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient

from shared.errors import DocumentTooLarge, NotFound, SettingsError, SuiteError, Unavailable
from shared.logs import current_trace
from shared.version import VERSION
from shared.web.app import MAX_BODY, PROBE_THREADS, PROBLEM, create_app, health_app

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def _routes(fail: Callable[[], Any]) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/fail")
    def fails() -> None:
        fail()

    @router.get("/v1/trace")
    def trace() -> dict[str, str | None]:
        return {"trace": current_trace()}

    @router.get("/v1/number")
    def number(n: Annotated[int, Query(ge=1)]) -> dict[str, int]:
        return {"n": n}

    @router.get("/v1/own", response_class=PlainTextResponse)
    def own() -> PlainTextResponse:
        return PlainTextResponse("x", headers={"content-security-policy": "default-src 'self'"})

    @router.post("/v1/echo")
    def echo(words: list[str]) -> int:
        return sum(map(len, words))

    @router.post("/v1/documents")
    async def upload(request: Request) -> int:
        return len(await request.body())

    @router.get("/v1/half")
    def half() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"first"
            raise ValueError("the second part failed")

        return StreamingResponse(parts())

    return router


def _client(error: Exception | None = None) -> TestClient:
    def fail() -> None:
        if error:
            raise error

    return TestClient(
        create_app("ingest", [_routes(fail)], [], None), raise_server_exceptions=False
    )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("there is no document x"), 404, "not_found"),
        (DocumentTooLarge("2001 pages, 2000 are allowed"), 413, "document_too_large"),
        (Unavailable("the database does not answer"), 503, "unavailable"),
        (SettingsError("no"), 500, "settings"),
    ],
)
def test_an_error_is_a_problem(error: SuiteError, status: int, code: str) -> None:
    error.document = "doc_1"
    answer = _client(error).get("/v1/fail", headers={"traceparent": TRACE})
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json() == {
        "type": f"urn:smallprint:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": error.message,
        "document": "doc_1",
        "trace": TRACE,
    }
    assert ("retry-after" in answer.headers) == error.retryable


def test_an_unexpected_error_reveals_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = _client(ValueError("the secret of the house")).get("/v1/fail")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == PROBLEM
    assert "secret" not in answer.text
    assert "trace" in answer.json()
    assert "the secret of the house" in caplog.text


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/nowhere", "GET", 404), ("/v1/trace", "POST", 405), ("/v1/number?n=0", "GET", 422)],
)
def test_errors_of_the_framework_are_problems(path: str, method: str, status: int) -> None:
    answer = _client().request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_a_wrong_parameter_is_named() -> None:
    assert "query.n" in _client().get("/v1/number?n=x").json()["detail"]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/number?n=1&m=2", "There is no query parameter 'm' here; known: n."),
        ("/v1/trace?n=1", "There is no query parameter 'n' here; known: none."),
    ],
)
def test_an_unknown_query_parameter_is_refused(path: str, detail: str) -> None:
    answer = _client().get(path)
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)


def test_a_probe_may_have_any_query_parameter() -> None:
    assert _client().get("/livez?at=1700000000").status_code == 200


@pytest.mark.parametrize("type_", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_without_json_type_is_explained(type_: str | None) -> None:
    head = {"content-type": type_} if type_ else {}
    answer = _client().post("/v1/echo", content=b'["x"]', headers=head)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("body: ")
    assert answer.json()["detail"].endswith(": send Content-Type: application/json")


@pytest.mark.parametrize("type_", ["application/json", "Application/JSON; charset=utf-8"])
def test_invalid_json_is_explained(type_: str) -> None:
    def reported(body: bytes) -> str:
        answer = _client().post("/v1/echo", content=body, headers={"content-type": type_})
        assert answer.status_code == 422
        return str(answer.json()["detail"])

    assert reported(b"[broken") == "the body is not JSON (at character 1)"
    assert reported(b"[1]").startswith("body.0: ")
    assert "Content-Type" not in reported(b"{}")
    assert reported(b"") == "body: Field required"
    for number in (b"9" * 5000, b"-" + b"9" * 5000):
        expected = "a number in the body has more than 4,300 digits"
        assert reported(b"[" + number + b"]") == expected


WORDS = b'["' + b"x" * (MAX_BODY - 4) + b'"]'


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_a_limit(chunked: bool) -> None:
    client, head = _client(), {"content-type": "application/json"}
    for body, status in [(WORDS, 200), (WORDS + b" ", 413), (WORDS * 5, 413)]:
        content = _pieces(body) if chunked else body
        answer = client.post("/v1/echo", content=content, headers=head)
        assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["type"] == "urn:smallprint:problem:request_too_large"
    assert "1,048,576 bytes" in answer.json()["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_announced_too_large_is_not_read() -> None:
    app = create_app("ingest", [_routes(lambda: None)], [], None)
    for length in (str(MAX_BODY + 1).encode(), b"9" * 5000, b"-1", b"many"):
        sent: list[Any] = []

        async def receive() -> Any:
            raise AssertionError("the body was read")

        async def send(message: Any) -> None:
            sent.append(message)  # noqa: B023 - called within this turn of the loop

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/echo",
            "raw_path": b"/v1/echo",
            "query_string": b"",
            "headers": [(b"content-length", length), (b"content-type", b"application/json")],
        }
        asyncio.run(app(scope, receive, send))
        assert sent[0]["status"] == 413


def test_uploads_have_their_own_limit() -> None:
    client, body = _client(), b"x" * (2 * MAX_BODY)
    assert client.post("/v1/documents", content=body).json() == len(body)
    assert client.put("/v1/documents", content=body).status_code == 413


def test_checks_can_be_added_later() -> None:
    def ended() -> None:
        raise Unavailable("the relay ended")

    app = create_app("ingest", [], [], None)
    assert TestClient(app).get("/readyz").status_code == 200
    app.state.checks += (ended,)
    assert TestClient(app).get("/readyz").status_code == 503


def test_a_broken_stream_breaks_the_connection() -> None:
    client = TestClient(create_app("ingest", [_routes(lambda: None)], [], None))
    with pytest.raises(ValueError, match="second part"):
        client.get("/v1/half")


def test_a_missing_trace_is_created() -> None:
    client = _client()
    assert client.get("/v1/trace", headers={"traceparent": TRACE}).json() == {"trace": TRACE}
    made = client.get("/v1/trace").json()["trace"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
    forged = client.get("/v1/trace", headers={"traceparent": 'x"}\n{"level": "error'}).json()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", forged["trace"])


@pytest.mark.parametrize("path", ["/livez", "/v1/fail", "/nowhere", "/v1/number?n=0"])
def test_every_answer_has_safe_headers(path: str) -> None:
    headers = _client(NotFound("no")).get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_a_route_can_set_its_own_policy() -> None:
    answer = _client().get("/v1/own")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]


def test_a_waiting_service_is_alive_but_not_ready() -> None:
    def check() -> None:
        raise Unavailable("the database of ingest does not answer")

    client = TestClient(health_app("ingest-worker", [check]))
    assert client.get("/livez").json() == {"status": "ok"}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
    assert "database of ingest" in answer.json()["detail"]


def test_probes_of_a_ready_service() -> None:
    client = TestClient(health_app("ingest-worker", [lambda: None]))
    assert client.get("/readyz").json() == {"status": "ok"}
    assert client.get("/version").json() == {"service": "ingest-worker", "version": VERSION}
    measured = client.get("/metrics")
    assert measured.headers["content-type"].startswith("text/plain")
    assert "# TYPE smallprint_documents_total counter" in measured.text


def test_a_request_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="shared.web.app"):
        _client().get("/v1/trace?key=secret")
        _client().get("/livez")
    (record,) = [r for r in caplog.records if r.message == "request"]
    assert record.__dict__["path"] == "/v1/trace"
    assert record.__dict__["status"] == 422
    assert "secret" not in str(record.__dict__)


def test_hanging_readyz_does_not_block_livez() -> None:
    hang, hanging = threading.Event(), threading.Semaphore(0)

    def ready() -> None:
        hanging.release()
        hang.wait(60)

    transport = httpx.ASGITransport(app=health_app("a-worker", [ready], [lambda: None]))

    async def attributes() -> list[int]:
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            waiting = [asyncio.create_task(client.get("/readyz")) for _ in range(2 * PROBE_THREADS)]
            try:
                await asyncio.to_thread(lambda: [hanging.acquire() for _ in range(PROBE_THREADS)])
                answers = (client.get(path) for path in ("/livez", "/metrics"))
                return [(await asyncio.wait_for(fault, 30)).status_code for fault in answers]
            finally:
                hang.set()
                await asyncio.gather(*waiting)

    assert asyncio.run(attributes()) == [200, 200]
