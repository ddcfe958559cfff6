"""The reverse proxy in front of separate processes, over real connections on loopback."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from infra.servers.ports import free_port
from services.ingest.progress_stream import LONGEST_WAIT
from services.proxy.probes import add_up
from services.proxy.proxy import ENDING_SECONDS, create_app
from services.proxy.settings import OriginSettings
from shared.web.app import health_app
from shared.web.server import DRAIN_SECONDS
from tests.support import ROOT

SERVICES = ("ingest", "extraction", "triage", "review", "escalation")
FIRST_EVENT_CAME = threading.Event()
METRICS = """\
# HELP smallprint_documents_total Documents that ended.
# TYPE smallprint_documents_total counter
smallprint_documents_total{kind="contract",outcome="complete"} 2.0
# HELP smallprint_bus_lag Events not acknowledged.
# TYPE smallprint_bus_lag gauge
smallprint_bus_lag{service="NAME"} 3.0
# HELP process_open_fds Number of open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 9.0
"""


class Background:
    """An ASGI application on a port of loopback, in a thread."""

    def __init__(self, app: object) -> None:
        self.port = free_port()
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            port=self.port,
            log_level="error",
            lifespan="auto",
            proxy_headers=False,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join(10)


def _service(name: str) -> Starlette:
    async def ready(_request: Request) -> Response:
        return JSONResponse({"status": "ok"}, status_code=503 if name == "triage" else 200)

    async def measured(_request: Request) -> Response:
        return PlainTextResponse(METRICS.replace("NAME", name))

    async def version(_request: Request) -> Response:
        return JSONResponse({"service": name, "version": "0"})

    async def events(_request: Request) -> Response:
        def lines() -> Iterator[bytes]:
            yield b"data: first\n\n"
            came = FIRST_EVENT_CAME.wait(30)
            yield b"data: second\n\n" if came else b"data: too late\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def upload(request: Request) -> Response:
        sizes = [len(chunk) async for chunk in request.stream()]
        return JSONResponse({"bytes": sum(sizes), "largest": max(sizes)}, status_code=202)

    async def echo(request: Request) -> Response:
        response = JSONResponse(
            {
                "service": name,
                "method": request.method,
                "raw": request.scope["raw_path"].decode(),
                "query": request.scope["query_string"].decode(),
                "headers": [[k.decode(), v.decode()] for k, v in request.headers.raw],
                "body": (await request.body()).decode(),
            }
        )
        response.headers["location"] = "/v1/documents/1"
        response.headers.append("set-cookie", "a=1")
        response.headers.append("set-cookie", "b=2")
        return response

    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/readyz", ready),
            Route("/metrics", measured),
            Route("/version", version),
            Route("/v1/documents/{id}/events", events),
            Route("/v1/documents", upload, methods=["POST"]),
            Route("/{path:path}", echo, methods=every),
        ]
    )


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The address of an origin before four services that answer; escalation is off."""
    running = {name: Background(_service(name)) for name in SERVICES if name != "escalation"}
    urls = {f"{name}_url": server.url for name, server in running.items()}
    settings = OriginSettings(
        **urls,  # type: ignore[arg-type]
        escalation_url=f"http://127.0.0.1:{free_port()}",
        public_url="http://papers.example",
    )
    front = Background(create_app(settings))
    yield front.url
    for server in (front, *running.values()):
        server.stop()


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/v1/documents/7", "ingest"),
        ("/v1/documents/7/original", "ingest"),
        ("/v1/documents/7/clauses", "extraction"),
        ("/v1/documents/7/findings", "triage"),
        ("/v1/items", "review"),
        ("/v1/keys/self", "ingest"),
        ("/", "review"),
        ("/static/app.js", "review"),
    ],
)
def test_a_path_reaches_the_service_that_owns_it(origin: str, path: str, service: str) -> None:
    assert httpx.get(origin + path).json()["service"] == service


def test_a_request_arrives_as_it_was_sent(origin: str) -> None:
    sent = [
        ("x-one", "1"),
        ("authorization", "Bearer k"),
        ("te", "trailers"),
        ("host", "papers.example"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-for", "192.0.2.8"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=192.0.2.9;proto=https"),
    ]
    raw = b"/v1/items/a%2Fb%20c?x=%26&y="
    with httpx.Client(headers={}) as client:
        client.headers.clear()
        answer = client.request(
            "PATCH", httpx.URL(origin).copy_with(raw_path=raw), headers=sent, content=b"{}"
        )
    got = answer.json()
    assert (got["method"], got["body"]) == ("PATCH", "{}")
    assert f"{got['raw']}?{got['query']}".encode() == raw
    headers = dict(got["headers"])
    assert headers == {
        "x-one": "1",
        "authorization": "Bearer k",
        "host": "papers.example",
        "content-length": "2",
        "x-forwarded-proto": "http",
        "x-forwarded-for": "127.0.0.1",
    }
    assert len(got["headers"]) == len(headers)


def test_a_request_for_another_host_is_refused(origin: str) -> None:
    foreign = {"host": "site.example"}
    assert httpx.get(origin + "/v1/items", headers=foreign).status_code == 421
    assert httpx.get(origin + "/livez", headers=foreign).status_code == 200


def test_an_answer_arrives_as_it_was_given(origin: str) -> None:
    answer = httpx.get(origin + "/v1/items")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["location"] == "/v1/documents/1"
    assert len(answer.headers.get_list("date")) == 1
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = httpx.head(origin + "/v1/items")
    assert head.status_code == 200
    assert not head.content


def test_cookies_of_one_user_never_reach_another(origin: str) -> None:
    assert httpx.get(origin + "/v1/items").headers.get_list("set-cookie")
    later = dict(httpx.get(origin + "/v1/items").json()["headers"])
    assert "cookie" not in later


def test_events_arrive_while_the_stream_is_open(origin: str) -> None:
    seen = b""
    with httpx.stream("GET", origin + "/v1/documents/7/events", timeout=60) as answer:
        for chunk in answer.iter_raw():
            seen += chunk
            FIRST_EVENT_CAME.set()
    assert seen == b"data: first\n\ndata: second\n\n"


def test_an_upload_streams_through(origin: str) -> None:
    piece = b"x" * 1_000_000
    for content in (iter([piece] * 30), piece * 30):
        answer = httpx.post(origin + "/v1/documents", content=content, timeout=60)
        assert answer.status_code == 202
        assert answer.json()["bytes"] == 30_000_000
        assert answer.json()["largest"] < 1_000_001


def test_a_service_that_is_off_is_a_problem_to_retry(origin: str) -> None:
    answer = httpx.get(origin + "/v1/costs", timeout=30)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert "escalation" in answer.json()["detail"]


def test_the_origin_survives_clients_that_go_away(origin: str) -> None:
    host, port = origin.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(
                b"POST /v1/documents HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Length: 1000000\r\n\r\nabc"
            )
    assert httpx.get(origin + "/v1/items").status_code == 200


def test_the_origin_is_ready_when_all_are(origin: str) -> None:
    assert httpx.get(origin + "/livez").json() == {"status": "ok"}
    answer = httpx.get(origin + "/readyz", timeout=30)
    assert answer.status_code == 503
    assert answer.json()["detail"].count("http://") == 2
    version = httpx.get(origin + "/version", timeout=30).json()
    assert version["service"] == "origin"
    assert [s["service"] for s in version["services"]] == [
        "ingest",
        "extraction",
        "triage",
        "review",
    ]


def test_a_full_origin_is_ready_and_measured_all_the_same() -> None:
    release, waiting = threading.Event(), threading.Semaphore(0)

    def wait(_request: Request) -> Response:
        waiting.release()
        release.wait(60)
        return PlainTextResponse("done")

    routes = [*_service("ingest").routes[:2], Route("/v1/documents/{id}", wait)]
    service = Background(Starlette(routes=routes))
    urls = {f"{name}_url": service.url for name in SERVICES}
    front = Background(create_app(OriginSettings(**urls, http_connections=10)))  # type: ignore[arg-type]
    ask = partial(httpx.get, f"{front.url}/v1/documents/7", timeout=60, trust_env=False)
    try:
        with ThreadPoolExecutor(10) as pool:
            asked = [pool.submit(ask) for _ in range(10)]
            try:
                assert all(waiting.acquire(timeout=30) for _ in asked)
                ready = httpx.get(front.url + "/readyz", timeout=30, trust_env=False)
                assert ready.json() == {"status": "ok"}
                measured = httpx.get(front.url + "/metrics", timeout=30, trust_env=False)
                assert "smallprint_documents_total" in measured.text
            finally:
                release.set()
            assert [one.result().text for one in asked] == ["done"] * 10
    finally:
        front.stop()
        service.stop()


def test_metrics_are_added_up(origin: str) -> None:
    lines = httpx.get(origin + "/metrics", timeout=30).text.splitlines()
    assert 'smallprint_documents_total{kind="contract",outcome="complete"} 8.0' in lines
    assert 'smallprint_bus_lag{service="review"} 3.0' in lines
    assert not [line for line in lines if "process_" in line]
    assert len(lines) == len(set(lines))


def test_the_highest_of_a_gauge_counts() -> None:
    low = METRICS.replace("3.0", "1.0")
    assert 'smallprint_bus_lag{service="NAME"} 3.0' in add_up([low, METRICS, low]).splitlines()


def test_what_every_worker_has_in_hand_is_added_up() -> None:
    mine = METRICS.replace("bus_lag", "events_in_work")
    assert 'smallprint_events_in_work{service="NAME"} 6.0' in add_up([mine, mine]).splitlines()


def test_a_stream_of_events_ends_when_the_origin_is_to_end() -> None:
    silent = threading.Event()

    async def events(_request: Request) -> Response:
        def lines() -> Iterator[bytes]:
            yield b"data: first\n\n"
            silent.wait(60)

        return StreamingResponse(lines(), media_type="text/event-stream")

    leaving = threading.Event()
    service = Background(Starlette(routes=[Route("/v1/documents/events", events)]))
    front = Background(create_app(OriginSettings(ingest_url=service.url), leaving))
    try:
        address = f"{front.url}/v1/documents/events"
        with httpx.stream("GET", address, timeout=30, trust_env=False) as answer:
            chunks = answer.iter_bytes()
            assert next(chunks) == b"data: first\n\n"
            leaving.set()
            assert list(chunks) == []
            assert not silent.is_set()
    finally:
        silent.set()
        front.stop()
        service.stop()


def test_the_openapi_document_has_all_services() -> None:
    running = {f"{name}_url": Background(health_app(name, [])) for name in SERVICES}
    urls = {name: server.url for name, server in running.items()}
    front = Background(create_app(OriginSettings(**urls)))  # type: ignore[arg-type]
    try:
        address = f"{front.url}/openapi.json"
        described = httpx.get(address, timeout=30, trust_env=False).raise_for_status().json()
        assert described["info"]["title"] == "smallprint"
        assert set(described["paths"]) == {"/livez", "/readyz", "/version", "/metrics"}
        running["triage_url"].stop()
        assert httpx.get(address, timeout=30, trust_env=False).status_code == 503
    finally:
        for server in (front, *running.values()):
            server.stop()


def test_whoever_waits_for_a_document_is_answered_before_the_origin_ends() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    given = float(compose["services"]["origin"]["stop_grace_period"].removesuffix("s"))
    assert LONGEST_WAIT < ENDING_SECONDS < given - DRAIN_SECONDS
