"""A rule that never ends stops neither the embedded edition nor documents of others."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from services.cli.commands.up import build_services
from shared.runtime.child import Children
from shared.runtime.embedded import at_work, migrate_all
from tests.integration import planted
from tests.support.samples import contract

SECONDS = 240.0


@pytest.mark.slow
def test_a_slow_rule_fails_its_document_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLPRINT_QUICK_SECONDS", "5")
    monkeypatch.setenv("SMALLPRINT_TEXT_SECONDS", "60")
    services = build_services(tmp_path)
    migrate_all(services)
    readers = [service for service in services if service.children]
    children = Children(partial(planted.build, tmp_path), [service.name for service in readers])
    services[: len(readers)] = [replace(service, children=children) for service in readers]
    ring = services[0].app.state.keys

    with at_work(services) as (application, _):

        def client(tenant: str) -> TestClient:
            secret = ring.create(tenant, "key").secret
            return TestClient(application, headers={"authorization": f"Bearer {secret}"})

        hostile, other = client("acme"), client("other")
        slow = _upload(hostile, contract(1) + planted.MARK.encode())
        small = _upload(other, contract(2))
        assert _ended(other, small)["outcome"] == "complete"
        assert _state(hostile, slow)["state"] != "ended"
        ended = _ended(hostile, slow)
    assert ended["outcome"] == "failed"
    (reason,) = ended["reasons"]
    assert reason.startswith("took_too_long: the work on its text took more than 60 seconds")


def _upload(client: TestClient, data: bytes) -> str:
    answer = client.post(
        "/v1/documents", files={"file": ("a.txt", data)}, data={"kind": "contract"}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _state(client: TestClient, document: str) -> dict[str, Any]:
    return dict(client.get(f"/v1/documents/{document}").json())


def _ended(client: TestClient, document: str) -> dict[str, Any]:
    """Wait for the end of a document, while the suite says that it is alive."""
    until = time.monotonic() + SECONDS
    while (state := _state(client, document))["state"] != "ended":
        assert time.monotonic() < until, "waited in vain"
        assert client.get("/livez").status_code == 200
        time.sleep(0.2)
    return state
