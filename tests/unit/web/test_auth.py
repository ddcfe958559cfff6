"""Keys, sessions and CSRF."""

import traceback
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from shared.errors import TooManyRequests, Unavailable
from shared.web import auth
from shared.web.app import create_app
from shared.web.auth import COOKIE, CSRF_HEADER, Actor, CurrentActor, RemoteKeys, csrf_token
from shared.web.current_request import request_from
from shared.web.scopes import ALL

GOOD = f"sp_{'0' * 16}_{'g' * 43}"
ANOTHER = f"sp_{'0' * 16}_{'a' * 43}"
ALICE = Actor(tenant="default", name="alice", key_id="k1")
SESSION = replace(ALICE, session_id="s1")


class Ring:
    def __init__(self, **known: Actor) -> None:
        self.known = known

    def check(self, secret: str) -> Actor | None:
        return self.known.get(secret)


def _client(cookie: str | None = None) -> TestClient:
    router = APIRouter()

    @router.get("/v1/items")
    def me(actor: CurrentActor) -> dict[str, str]:
        return {"tenant": actor.tenant, "name": actor.name}

    @router.post("/v1/items")
    def change(actor: CurrentActor) -> dict[str, str]:
        return {"name": actor.name}

    client = TestClient(create_app("review", [router], [], Ring(good=ALICE, open=SESSION)))
    if cookie:
        client.cookies.set(COOKIE, cookie)
    return client


def test_a_key_names_tenant_and_actor() -> None:
    for scheme in ("Bearer", "bearer"):
        answer = _client().get("/v1/items", headers={"authorization": f"{scheme} good"})
        assert answer.json() == {"tenant": "default", "name": "alice"}


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer bad", "Basic good", "good"]
)
def test_an_invalid_key_is_refused(header: str | None) -> None:
    answer = _client().get(
        "/v1/items", headers={"authorization": header} if header is not None else {}
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_session_cookie_can_read() -> None:
    assert _client("open").get("/v1/items").status_code == 200
    assert _client("bad").get("/v1/items").status_code == 401


@pytest.mark.parametrize("token", [None, "", "wrong", csrf_token("other")])
def test_a_session_without_its_token_changes_nothing(token: str | None) -> None:
    headers = {CSRF_HEADER: token} if token is not None else {}
    answer = _client("open").post("/v1/items", headers=headers)
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


def test_a_session_with_its_token_can_change() -> None:
    answer = _client("open").post("/v1/items", headers={CSRF_HEADER: csrf_token("open")})
    assert answer.status_code == 200


def test_a_key_needs_no_token() -> None:
    answer = _client().post("/v1/items", headers={"authorization": "Bearer good"})
    assert answer.status_code == 200


def test_an_invalid_key_outweighs_a_cookie() -> None:
    answer = _client("open").get("/v1/items", headers={"authorization": "Bearer bad"})
    assert answer.status_code == 401


def test_a_key_in_the_cookie_is_refused() -> None:
    assert _client("good").get("/v1/items").status_code == 401
    token = {CSRF_HEADER: csrf_token("good")}
    assert _client("good").post("/v1/items", headers=token).status_code == 401


class Ingest:
    def __init__(self) -> None:
        self.requested = 0
        self.answer: Callable[[httpx.Request], httpx.Response] = self.good

    @staticmethod
    def good(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/keys/self"
        assert request.headers["authorization"] == f"Bearer {GOOD}"
        return httpx.Response(
            200, json={"tenant": "default", "name": "alice", "id": "k1", "scopes": [*ALL]}
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requested += 1
        return self.answer(request)


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("shared.web.auth.time.monotonic", lambda: now[0])
    return now


def _remote(ingest: Ingest, seconds: float = 60.0) -> RemoteKeys:
    client = httpx.Client(base_url="http://ingest", transport=httpx.MockTransport(ingest))
    return RemoteKeys("http://ingest", seconds, client)


def test_a_valid_key_is_cached(ingest: Ingest, clock: list[float]) -> None:
    keys = _remote(ingest)
    assert keys.check(GOOD) == ALICE
    clock[0] += 59
    assert keys.check(GOOD) == ALICE
    assert ingest.requested == 1


@pytest.mark.parametrize("seconds", [60.0, 3600.0])
def test_the_cache_lasts_a_minute_at_most(
    ingest: Ingest, clock: list[float], seconds: float
) -> None:
    keys = _remote(ingest, seconds)
    assert keys.check(GOOD) == ALICE
    ingest.answer = lambda _request: httpx.Response(401)
    clock[0] += 61
    assert keys.check(GOOD) is None
    assert keys.check(GOOD) is None


def test_an_invalid_key_is_not_cached(ingest: Ingest, clock: list[float]) -> None:
    keys = _remote(ingest)
    ingest.answer = lambda _request: httpx.Response(401)
    assert keys.check(GOOD) is None
    ingest.answer = ingest.good
    assert keys.check(GOOD) == ALICE


@pytest.mark.parametrize("status", [500, 503, 302, 404])
def test_an_error_of_ingest_is_unavailable(ingest: Ingest, clock: list[float], status: int) -> None:
    ingest.answer = lambda _request: httpx.Response(status)
    with pytest.raises(Unavailable, match="ingest answers"):
        _remote(ingest).check(GOOD)


def test_a_key_above_its_limit_is_not_refused_for_good(ingest: Ingest, clock: list[float]) -> None:
    ingest.answer = lambda _request: httpx.Response(429, headers={"retry-after": "7"})
    with pytest.raises(TooManyRequests) as error:
        _remote(ingest).check(GOOD)
    assert error.value.headers["retry-after"] == "7"


def test_cached_keys_work_while_ingest_is_down(ingest: Ingest, clock: list[float]) -> None:
    keys = _remote(ingest)
    keys.check(GOOD)

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    ingest.answer = refuse
    assert keys.check(GOOD) == ALICE
    with pytest.raises(Unavailable, match="does not answer"):
        keys.check(ANOTHER)


def test_the_cache_is_bounded(
    ingest: Ingest, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "CACHE_SIZE", 10)
    ingest.answer = lambda _request: httpx.Response(
        200, json={"tenant": "default", "name": "alice", "id": "k1", "scopes": [*ALL]}
    )
    keys = _remote(ingest)
    for number in range(100):
        keys.check(f"sp_{number:016}_{'k' * 43}")
    assert len(keys._cache) <= 10


def test_the_cache_stores_hashes(ingest: Ingest, clock: list[float]) -> None:
    keys = _remote(ingest)
    keys.check(GOOD)
    assert GOOD not in repr(keys._cache)


@pytest.mark.parametrize(
    "odd", ["good", "schlüssel", "sp_\udcff", f"{GOOD}\n", f"{GOOD}\r\nx: y", f"{GOOD}ü", "", "\0"]
)
def test_an_invalid_form_is_not_sent_to_ingest(
    ingest: Ingest, clock: list[float], odd: str
) -> None:
    assert _remote(ingest).check(odd) is None
    assert ingest.requested == 0


def test_transport_errors_do_not_leak_secrets(ingest: Ingest, clock: list[float]) -> None:
    def break_off(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError(f"illegal header {request.headers['authorization']}")

    ingest.answer = break_off
    with pytest.raises(Unavailable, match="LocalProtocolError") as caught:
        _remote(ingest).check(GOOD)
    assert GOOD not in "".join(traceback.format_exception(caught.value))


def test_sessions_share_the_key_id(ingest: Ingest, clock: list[float]) -> None:
    body = {"tenant": "default", "name": "alice", "id": "s1", "parent": "k1", "scopes": [*ALL]}
    for kind, expected in (("session", SESSION), ("link", replace(ALICE, key_id="s1"))):
        answer = httpx.Response(200, json={**body, "kind": kind})
        ingest.answer = lambda _request, answer=answer: answer  # type: ignore[misc]
        assert _remote(ingest).check(GOOD) == expected


def test_ingest_learns_the_address_of_the_client(ingest: Ingest) -> None:
    """It records from where a refused key was sent."""
    asked: list[str | None] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("x-forwarded-for"))
        return httpx.Response(401)

    ingest.answer = refuse
    with request_from("192.0.2.7"):
        _remote(ingest).check(GOOD)
    assert asked == ["192.0.2.7"]
