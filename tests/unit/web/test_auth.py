"""Who may come in: keys, sessions, and what a foreign page can't do."""

import traceback
from collections.abc import Callable

import httpx
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from shared.errors import Unavailable
from shared.web import auth
from shared.web.app import create_app
from shared.web.auth import COOKIE, CSRF_HEADER, Actor, CurrentActor, RemoteKeys, csrf_token

GOOD = f"sp_{'0' * 16}_{'g' * 43}"
ANOTHER = f"sp_{'0' * 16}_{'a' * 43}"
ALICE = Actor(tenant="default", name="alice", key_id="k1")


class Ring:
    """Keys in a dictionary."""

    def __init__(self, **known: Actor) -> None:
        self.known = known

    def check(self, secret: str) -> Actor | None:
        """See `Keys.check`."""
        return self.known.get(secret)


def _client(cookie: str | None = None) -> TestClient:
    router = APIRouter()

    @router.get("/v1/items")
    def me(actor: CurrentActor) -> dict[str, str]:
        return {"tenant": actor.tenant, "name": actor.name}

    @router.post("/v1/items")
    def change(actor: CurrentActor) -> dict[str, str]:
        return {"name": actor.name}

    client = TestClient(create_app("review", [router], [], Ring(good=ALICE)))
    if cookie:
        client.cookies.set(COOKIE, cookie)
    return client


def test_a_key_names_tenant_and_actor() -> None:
    """A good key gives the request its tenant and its name."""
    for scheme in ("Bearer", "bearer"):
        answer = _client().get("/v1/items", headers={"authorization": f"{scheme} good"})
        assert answer.json() == {"tenant": "default", "name": "alice"}


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer bad", "Basic good", "good"]
)
def test_without_a_good_key_nobody_comes_in(header: str | None) -> None:
    """No key, an unknown one, or another scheme: 401 that says how to sign in."""
    answer = _client().get(
        "/v1/items", headers={"authorization": header} if header is not None else {}
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_session_cookie_may_look() -> None:
    """In the browser the cookie is enough to read."""
    assert _client("good").get("/v1/items").status_code == 200
    assert _client("bad").get("/v1/items").status_code == 401


@pytest.mark.parametrize("token", [None, "", "wrong", csrf_token("other")])
def test_a_session_without_the_right_token_changes_nothing(token: str | None) -> None:
    """A foreign page can make the browser send the cookie, but not the token."""
    headers = {CSRF_HEADER: token} if token is not None else {}
    answer = _client("good").post("/v1/items", headers=headers)
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


def test_a_session_with_its_token_may_change() -> None:
    """Cookie and token together are as good as a key."""
    answer = _client("good").post("/v1/items", headers={CSRF_HEADER: csrf_token("good")})
    assert answer.status_code == 200


def test_a_key_needs_no_token() -> None:
    """No browser sends an Authorization header by itself, so keys are free of the token."""
    answer = _client().post("/v1/items", headers={"authorization": "Bearer good"})
    assert answer.status_code == 200


def test_a_bad_key_is_not_made_good_by_a_cookie() -> None:
    """A key that is given is the one that counts."""
    answer = _client("good").get("/v1/items", headers={"authorization": "Bearer bad"})
    assert answer.status_code == 401


class Ingest:
    """Answers what keys ask, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[httpx.Request], httpx.Response] = self.good

    @staticmethod
    def good(request: httpx.Request) -> httpx.Response:
        """The key is known."""
        assert request.url.path == "/v1/keys/self"
        assert request.headers["authorization"] == f"Bearer {GOOD}"
        return httpx.Response(200, json={"tenant": "default", "name": "alice", "id": "k1"})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """One answer."""
        self.asked += 1
        return self.answer(request)


@pytest.fixture
def ingest() -> Ingest:
    """A service that knows one key."""
    return Ingest()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by hand."""
    now = [1000.0]
    monkeypatch.setattr("shared.web.auth.time.monotonic", lambda: now[0])
    return now


def _remote(ingest: Ingest, seconds: float = 60.0) -> RemoteKeys:
    client = httpx.Client(base_url="http://ingest", transport=httpx.MockTransport(ingest))
    return RemoteKeys("http://ingest", seconds, client)


def test_a_checked_key_is_remembered(ingest: Ingest, clock: list[float]) -> None:
    """Within the time that is set, ingest is asked once."""
    keys = _remote(ingest)
    assert keys.check(GOOD) == ALICE
    clock[0] += 59
    assert keys.check(GOOD) == ALICE
    assert ingest.asked == 1


@pytest.mark.parametrize("seconds", [60.0, 3600.0])
def test_a_revoked_key_dies_within_a_minute(
    ingest: Ingest, clock: list[float], seconds: float
) -> None:
    """Whatever is set, an answer is not trusted for longer than a minute."""
    keys = _remote(ingest, seconds)
    assert keys.check(GOOD) == ALICE
    ingest.answer = lambda _request: httpx.Response(401)
    clock[0] += 61
    assert keys.check(GOOD) is None
    assert keys.check(GOOD) is None


def test_a_bad_key_is_not_remembered(ingest: Ingest, clock: list[float]) -> None:
    """A key that is made a moment later works at once."""
    keys = _remote(ingest)
    ingest.answer = lambda _request: httpx.Response(401)
    assert keys.check(GOOD) is None
    ingest.answer = ingest.good
    assert keys.check(GOOD) == ALICE


@pytest.mark.parametrize("status", [500, 503, 302, 404])
def test_an_ingest_in_trouble_is_not_a_bad_key(
    ingest: Ingest, clock: list[float], status: int
) -> None:
    """Trouble at ingest is 503, to be tried again, never a 401."""
    ingest.answer = lambda _request: httpx.Response(status)
    with pytest.raises(Unavailable, match="ingest answers"):
        _remote(ingest).check(GOOD)


def test_an_ingest_that_is_away_is_unavailable(ingest: Ingest, clock: list[float]) -> None:
    """Known keys go on for their minute; unknown ones wait."""
    keys = _remote(ingest)
    keys.check(GOOD)

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    ingest.answer = refuse
    assert keys.check(GOOD) == ALICE
    with pytest.raises(Unavailable, match="does not answer"):
        keys.check(ANOTHER)


def test_remembered_keys_are_bounded(
    ingest: Ingest, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many keys come by, the memory for them stays small."""
    monkeypatch.setattr(auth, "REMEMBERED", 10)
    ingest.answer = lambda _request: httpx.Response(
        200, json={"tenant": "default", "name": "alice", "id": "k1"}
    )
    keys = _remote(ingest)
    for number in range(100):
        keys.check(f"sp_{number:016}_{'k' * 43}")
    assert len(keys._known) <= 10


def test_secrets_are_not_kept_in_the_clear(ingest: Ingest, clock: list[float]) -> None:
    """What is remembered is a hash of the key."""
    keys = _remote(ingest)
    keys.check(GOOD)
    assert GOOD not in repr(keys._known)


@pytest.mark.parametrize(
    "odd", ["good", "schlüssel", "sp_\udcff", f"{GOOD}\n", f"{GOOD}\r\nx: y", f"{GOOD}ü", "", "\0"]
)
def test_what_is_no_key_is_not_asked_about(ingest: Ingest, clock: list[float], odd: str) -> None:
    """Only the form of a key goes over the wire: anything else is nobody's, not an error."""
    assert _remote(ingest).check(odd) is None
    assert ingest.asked == 0


def test_the_words_of_a_broken_transport_stay_inside(ingest: Ingest, clock: list[float]) -> None:
    """A transport may quote what it was to send; neither the answer nor the log does."""

    def break_off(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError(f"illegal header {request.headers['authorization']}")

    ingest.answer = break_off
    with pytest.raises(Unavailable, match="LocalProtocolError") as caught:
        _remote(ingest).check(GOOD)
    assert GOOD not in "".join(traceback.format_exception(caught.value))


def test_a_session_keeps_the_key_it_acts_for(ingest: Ingest, clock: list[float]) -> None:
    """All sessions of a key have one identity, and each has its own id beside it."""
    body = {"tenant": "default", "name": "alice", "id": "s1", "parent": "k1"}
    ingest.answer = lambda _request: httpx.Response(200, json=body)
    assert _remote(ingest).check(GOOD) == Actor("default", "alice", "k1", session_id="s1")
