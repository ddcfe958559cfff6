"""The proxy asks all processes with the same name, over real connections on loopback."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from infra.servers.ports import free_port
from services.cli.output.document_status import queues, read_metrics, silent_processes
from services.proxy.proxy import create_app
from services.proxy.settings import OriginSettings
from tests.support.local_server import Receiver, Reply, Request

NAME, NOBODY = "ingest-worker.test", "ingest-relay.test"
METRICS = """\
# HELP smallprint_processes Processes.
# TYPE smallprint_processes gauge
smallprint_processes{role="worker",service="ingest"} 1.0
# HELP smallprint_dead_letters_total Events given up.
# TYPE smallprint_dead_letters_total counter
smallprint_dead_letters_total{service="ingest"} 3.0
"""

Resolve = Callable[..., Any]


def _worker(host: str, port: int, *, ready: bool = True) -> Receiver:
    """A process that answers there."""

    def answer(request: Request) -> Reply:
        body = METRICS if request.path == "/metrics" else json.dumps({"service": host})
        return Reply(200 if ready or request.path != "/readyz" else 503, body=body.encode())

    return Receiver(answer, host=host, port=port)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> int:
    """A port of a name with two IPv4 addresses, as of two containers, and an IPv6 one."""
    real: Resolve = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **more: Any) -> Any:
        if host == NOBODY:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host != NAME:
            return real(host, port, *args, **more)
        four = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2)]
        six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [six, *four]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return free_port()


def _origin(port: int, *names: str, **more: Any) -> TestClient:
    """An origin whose services are all one process, and which asks these names beside."""
    service = f"http://127.0.0.1:{port}"
    urls = {f"{name}_url": service for name in ("ingest", "extraction", "triage", "review")}
    probes = ",".join(f"http://{name}:{port}" for name in names)
    settings = OriginSettings(**urls, escalation_url=service, origin_probes=probes, **more)  # type: ignore[arg-type]
    return TestClient(create_app(settings), base_url="http://localhost")


def _dead(text: str) -> list[tuple[dict[str, str], float]]:
    return read_metrics(text)["dead_letters_total"]


def test_metrics_are_limited_by_address(two: int) -> None:
    with _worker("127.0.0.1", two) as worker, _origin(two, rate_requests=1) as it:
        assert [it.get("/metrics").status_code for _ in range(3)] == [200, 429, 429]
        assert it.get("/readyz").status_code == 200
    assert len([one for one in worker.requests if one.path == "/metrics"]) == 5


def test_every_address_of_a_name_is_asked(two: int) -> None:
    with _worker("127.0.0.1", two), _worker("127.0.0.2", two) as second, _origin(two, NAME) as it:
        measured = it.get("/metrics")
        versions = [one["service"] for one in it.get("/version").json()["services"]]
        assert it.get("/readyz").status_code == 200
    assert _dead(measured.text) == [({"service": "ingest"}, 3.0 * (5 + 2))]
    assert versions == [*["127.0.0.1"] * 5, "127.0.0.1", "127.0.0.2"]
    assert {one.headers["host"] for one in second.requests} == {f"{NAME}:{two}"}
    [(labels, count)] = read_metrics(measured.text)["processes"]
    assert (labels, count) == ({"role": "worker", "service": "ingest"}, 7.0)
    assert "silent" not in measured.text


def test_one_of_two_that_is_away_is_counted_and_named(two: int) -> None:
    with _worker("127.0.0.1", two), _origin(two, NAME) as it:
        silent = silent_processes(read_metrics(it.get("/metrics").text))
        missing = it.get("/readyz").json()["detail"]
    assert silent.addresses == {f"http://{NAME}:{two}": 1}
    assert missing == f"not ready: http://{NAME}:{two} at 127.0.0.2"


def test_one_of_two_that_is_not_ready_is_named(two: int) -> None:
    with (
        _worker("127.0.0.1", two),
        _worker("127.0.0.2", two, ready=False),
        _origin(two, NAME) as it,
    ):
        assert it.get("/readyz").json()["detail"].endswith("at 127.0.0.2")
        assert _dead(it.get("/metrics").text)[0][1] == 3.0 * 7


def test_a_name_that_leads_nowhere_is_named(two: int) -> None:
    with _worker("127.0.0.1", two), _origin(two, NOBODY) as it:
        samples = read_metrics(it.get("/metrics").text)
        missing = it.get("/readyz").json()["detail"]
    assert missing == f"not ready: http://{NOBODY}:{two}"
    assert silent_processes(samples).addresses == {f"http://{NOBODY}:{two}": 1}
    assert "ingest" in silent_processes(samples).relays
    assert [(one.service, one.lag) for one in queues(samples)] == [("ingest", None)]
