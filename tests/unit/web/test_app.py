"""The application that every service starts from."""

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
from shared.web.app import MAX_BODY, PROBING, PROBLEM, create_app, health_app

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
    """Each error of the tree answers with its own status, code and sentence."""
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


def test_a_bug_is_a_problem_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What went wrong is in the log with its trace, and not in the answer."""
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
def test_what_the_framework_refuses_is_a_problem_too(path: str, method: str, status: int) -> None:
    """Unknown paths, wrong methods and wrong parameters look like every other error."""
    answer = _client().request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_a_wrong_parameter_is_named() -> None:
    """The detail says which parameter is wrong and why."""
    assert "query.n" in _client().get("/v1/number?n=x").json()["detail"]


@pytest.mark.parametrize("type_", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_said_to_be_json_is_told_so(type_: str | None) -> None:
    """As it comes from a client that sends none by itself, or its own."""
    head = {"content-type": type_} if type_ else {}
    answer = _client().post("/v1/echo", content=b'["x"]', headers=head)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("body: ")
    assert answer.json()["detail"].endswith(": send Content-Type: application/json")


@pytest.mark.parametrize("type_", ["application/json", "Application/JSON; charset=utf-8"])
def test_what_is_wrong_with_json_is_told(type_: str) -> None:
    """It is none from a character on, or another thing than is wanted; its type is right."""

    def told(body: bytes) -> str:
        answer = _client().post("/v1/echo", content=body, headers={"content-type": type_})
        assert answer.status_code == 422
        return str(answer.json()["detail"])

    assert told(b"[broken") == "the body is no JSON (at character 1)"
    assert told(b"[1]").startswith("body.0: ")
    assert "Content-Type" not in told(b"{}")
    assert told(b"") == "body: Field required"


WORDS = b'["' + b"x" * (MAX_BODY - 4) + b'"]'


def _pieces(body: bytes) -> Iterator[bytes]:
    """Without a length in the head: httpx sends it in chunks."""
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_bounded(chunked: bool) -> None:
    """The largest is read; a byte more is refused by its length, or when it has come."""
    client, head = _client(), {"content-type": "application/json"}
    for body, status in [(WORDS, 200), (WORDS + b" ", 413), (WORDS * 5, 413)]:
        content = _pieces(body) if chunked else body
        answer = client.post("/v1/echo", content=content, headers=head)
        assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["type"] == "urn:smallprint:problem:request_too_large"
    assert "1048576 bytes" in answer.json()["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_that_is_announced_too_large_is_not_read() -> None:
    """The answer comes before the first byte, so nothing is spent on it; nor on a false length."""
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


def test_uploads_are_not_bounded_here() -> None:
    """They have a guard of their own; another method at their path has not."""
    client, body = _client(), b"x" * (2 * MAX_BODY)
    assert client.post("/v1/documents", content=body).json() == len(body)
    assert client.put("/v1/documents", content=body).status_code == 413


def test_a_check_that_is_added_later_counts() -> None:
    """A process that starts threads beside its routes is ready only while these are."""

    def ended() -> None:
        raise Unavailable("the relay ended")

    app = create_app("ingest", [], [], None)
    assert TestClient(app).get("/readyz").status_code == 200
    app.state.checks += (ended,)
    assert TestClient(app).get("/readyz").status_code == 503


def test_a_stream_that_breaks_is_seen_as_broken() -> None:
    """After the first bytes no second answer is sent: the connection breaks instead."""
    client = TestClient(create_app("ingest", [_routes(lambda: None)], [], None))
    with pytest.raises(ValueError, match="second part"):
        client.get("/v1/half")


def test_a_given_trace_is_kept_and_a_missing_one_is_made() -> None:
    """A request is followed under the caller's trace, or under a new one of the right form."""
    client = _client()
    assert client.get("/v1/trace", headers={"traceparent": TRACE}).json() == {"trace": TRACE}
    made = client.get("/v1/trace").json()["trace"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
    forged = client.get("/v1/trace", headers={"traceparent": 'x"}\n{"level": "error'}).json()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", forged["trace"])


@pytest.mark.parametrize("path", ["/livez", "/v1/fail", "/nowhere", "/v1/number?n=0"])
def test_every_answer_has_safe_headers(path: str) -> None:
    """Errors included, nothing is sniffed, framed, cached or sent on."""
    headers = _client(NotFound("no")).get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_a_page_may_say_its_own_policy() -> None:
    """What a route sets is left alone, once."""
    answer = _client().get("/v1/own")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]


def test_probes_say_alive_and_not_ready() -> None:
    """A service that waits for something is alive, but not ready, and says for what."""

    def check() -> None:
        raise Unavailable("the database of ingest does not answer")

    client = TestClient(health_app("ingest-worker", [check]))
    assert client.get("/livez").json() == {"status": "ok"}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
    assert "database of ingest" in answer.json()["detail"]


def test_probes_of_a_ready_service() -> None:
    """Ready, with its version and its metrics in Prometheus's format."""
    client = TestClient(health_app("ingest-worker", [lambda: None]))
    assert client.get("/readyz").json() == {"status": "ok"}
    assert client.get("/version").json() == {"service": "ingest-worker", "version": VERSION}
    measured = client.get("/metrics")
    assert measured.headers["content-type"].startswith("text/plain")
    assert "# TYPE smallprint_documents_total counter" in measured.text


def test_a_request_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    """One line a request, and none for the probes that come every few seconds."""
    with caplog.at_level(logging.INFO, logger="shared.web.app"):
        _client().get("/v1/trace?key=secret")
        _client().get("/livez")
    (record,) = [r for r in caplog.records if r.message == "request"]
    assert record.__dict__["path"] == "/v1/trace"
    assert record.__dict__["status"] == 200


def test_probes_that_hang_for_a_database_leave_the_one_that_says_it_is_alive() -> None:
    """Whoever asks `/readyz` gives up and comes again, while each of its threads waits on."""
    hang, hanging = threading.Event(), threading.Semaphore(0)

    def ready() -> None:
        hanging.release()
        hang.wait(60)

    transport = httpx.ASGITransport(app=health_app("a-worker", [ready], [lambda: None]))

    async def asked() -> list[int]:
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            waiting = [asyncio.create_task(client.get("/readyz")) for _ in range(2 * PROBING)]
            try:
                await asyncio.to_thread(lambda: [hanging.acquire() for _ in range(PROBING)])
                answers = (client.get(path) for path in ("/livez", "/metrics"))
                return [(await asyncio.wait_for(one, 30)).status_code for one in answers]
            finally:
                hang.set()
                await asyncio.gather(*waiting)

    assert asyncio.run(asked()) == [200, 200]
