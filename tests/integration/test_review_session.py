"""A browser's session with the real keys of ingest: by a call in one process, over HTTP in two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from services.ingest.bootstrap import build as build_ingest
from services.ingest.keys import KeyRing
from services.ingest.settings import Settings as IngestSettings
from services.review.bootstrap import build as build_review
from services.review.session import RemoteSessions
from services.review.settings import Settings as ReviewSettings
from shared.errors import NotSignedIn, Unavailable
from shared.runtime import Service
from shared.web.auth import COOKIE, Keys, RemoteKeys


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Service]:
    ingest = build_ingest(IngestSettings(data=tmp_path, bus_url="memory:"))
    ingest.store.migrate()
    yield ingest
    ingest.close()


@pytest.fixture
def keys(ingest: Service) -> KeyRing:
    ring: KeyRing = ingest.app.state.keys
    return ring


@pytest.fixture(params=["one process", "two processes"])
def signed(
    request: pytest.FixtureRequest, ingest: Service, tmp_path: Path
) -> Iterator[tuple[TestClient, str, str]]:
    """A browser at review, a good key, and that key's id."""
    made = ingest.app.state.keys.create("default", "ada")
    keys: Keys = ingest.app.state.keys
    sessions = None
    if request.param == "two processes":
        app: Any = ingest.app
        behind: Any = ProxyHeadersMiddleware(app, "*")  # as the settings of containers say
        wire = cast("httpx.Client", TestClient(behind))  # the same methods, without a socket
        keys, sessions = RemoteKeys("", 0, wire), RemoteSessions("", wire)
    settings = ReviewSettings(data=tmp_path, bus_url="memory:")
    review = build_review(settings, keys=keys, sessions=sessions)
    review.store.migrate()
    browser = TestClient(review.app, base_url="http://papers.test", client=("192.0.2.7", 1))
    browser.headers["user-agent"] = "Firefox"
    yield browser, made.secret, made.key.id
    review.close()


def test_a_key_becomes_a_session_that_ends(signed: tuple[TestClient, str, str]) -> None:
    browser, key, _ = signed
    answer = browser.post("/v1/session", json={"key": key})
    actor = answer.json()["actor"]
    assert (actor["name"], actor["tenant"]) == ("ada", "default")
    secret = browser.cookies[COOKIE]
    assert secret != key
    assert browser.get("/v1/items").status_code == 200
    token = {"x-csrf-token": answer.json()["csrf"]}
    assert browser.delete("/v1/session", headers=token).status_code == 204
    browser.cookies.clear()
    stolen = {"authorization": f"Bearer {secret}"}
    assert browser.get("/v1/items", headers=stolen).status_code == 401


def test_a_session_knows_its_browser(signed: tuple[TestClient, str, str], keys: KeyRing) -> None:
    browser, key, key_id = signed
    assert browser.post("/v1/session", json={"key": key}).status_code == 200
    [session] = keys.sessions("default", key_id)
    assert session.address == "192.0.2.7"
    assert session.user_agent == "Firefox"


@pytest.mark.parametrize("network", ["192.0.2.0/24", "192.0.3.0/24"])
def test_a_limited_key_signs_in_only_at_its_addresses(
    signed: tuple[TestClient, str, str], keys: KeyRing, network: str
) -> None:
    browser, _, _ = signed
    limited = keys.create("default", "limited", addresses=[network]).secret
    answer = browser.post("/v1/session", json={"key": limited})
    bearer = {"authorization": f"Bearer {limited}"}
    if network == "192.0.2.0/24":
        assert answer.status_code == 200
        assert browser.get("/v1/items").status_code == 200
        token = {"x-csrf-token": answer.json()["csrf"]}
        assert browser.delete("/v1/session", headers=token).status_code == 204
        assert keys.sessions("default") == []
        assert browser.get("/v1/items", headers=bearer).status_code == 200
    else:
        assert answer.status_code == 403
        assert "192.0.2.7" in answer.json()["detail"]
        assert browser.get("/v1/items", headers=bearer).status_code == 403
        assert keys.sessions("default") == []


def test_neither_a_wrong_key_nor_a_session_opens_a_session(
    signed: tuple[TestClient, str, str],
) -> None:
    browser, key, key_id = signed
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    assert browser.post("/v1/session", json={"key": wrong}).status_code == 401
    browser.post("/v1/session", json={"key": key})
    again = browser.post("/v1/session", json={"key": browser.cookies[COOKIE]})
    assert again.status_code in (401, 403)
    assert key_id in key


def test_a_silent_ingest_differs_from_a_bad_key() -> None:

    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    def answer(status: int) -> RemoteSessions:
        transport = httpx.MockTransport(lambda _request: httpx.Response(status))
        return RemoteSessions("", httpx.Client(transport=transport, base_url="http://ingest.test"))

    silent = httpx.Client(transport=httpx.MockTransport(refused), base_url="http://ingest.test")
    with pytest.raises(Unavailable, match="does not answer"):
        RemoteSessions("", silent).open_session(f"sp_{'0' * 16}_{'x' * 43}")
    with pytest.raises(Unavailable, match="500"):
        answer(500).open_session(f"sp_{'0' * 16}_{'x' * 43}")
    with pytest.raises(NotSignedIn):
        answer(401).open_session(f"sp_{'0' * 16}_{'x' * 43}")


@pytest.mark.parametrize("odd", ["schl\u00fcssel", "sp_\n", "sp_\r\nx: y", "\0"])
def test_what_is_no_key_opens_no_session(signed: tuple[TestClient, str, str], odd: str) -> None:
    browser, key, _ = signed
    for typed in (odd, key + odd):
        answer = browser.post("/v1/session", json={"key": typed})
        assert answer.status_code in (401, 422), answer.text
        assert key not in answer.text
