"""How often a key may ask, and how it learns that."""

from __future__ import annotations

import re
import threading

import pytest
from fastapi import APIRouter, Response
from fastapi.testclient import TestClient

from shared.errors import TooManyRequests
from shared.web.app import create_app
from shared.web.auth import Actor, CurrentActor, KnownActor
from shared.web.limits import RateLimit


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ring:
    """Every secret is a key of its own; a session of it begins with its name."""

    def check(self, secret: str) -> Actor | None:
        """See `Keys.check`."""
        return Actor("default", secret, key_id=secret.partition("-")[0])


@pytest.fixture
def clock() -> Clock:
    """Time stands still until a test says otherwise."""
    return Clock()


def client(limit: RateLimit | None) -> TestClient:
    """A service with a counted route, one of our own, and one that answers by itself."""
    router = APIRouter()

    @router.get("/v1/items")
    def me(actor: CurrentActor) -> dict[str, str]:
        return {"name": actor.name}

    @router.get("/v1/decisions")
    def raw(_actor: CurrentActor) -> Response:
        return Response(b"raw")

    @router.get("/v1/keys/self")
    def own(actor: KnownActor) -> dict[str, str]:
        return {"name": actor.name}

    return TestClient(create_app("review", [router], [], Ring(), limit))


def bearer(secret: str) -> dict[str, str]:
    """The header of a key."""
    return {"authorization": f"Bearer {secret}"}


def test_a_key_gets_its_requests_and_then_waits(clock: Clock) -> None:
    """All of a minute's requests at once, then 429 that says when the next one is taken."""
    asked = client(RateLimit(3, clock))
    for left in (2, 1, 0):
        answer = asked.get("/v1/items", headers=bearer("a"))
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60'
        assert answer.headers["ratelimit"] == f'"requests";r={left};t={(3 - left) * 20}'
    refused = asked.get("/v1/items", headers=bearer("a"))
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:smallprint:problem:too_many_requests"
    assert refused.headers["retry-after"] == "20"
    assert refused.headers["ratelimit"] == '"requests";r=0;t=60'
    clock.now += 19
    assert asked.get("/v1/items", headers=bearer("a")).status_code == 429
    clock.now += 1
    assert asked.get("/v1/items", headers=bearer("a")).status_code == 200
    assert asked.get("/v1/items", headers=bearer("a")).status_code == 429


def test_what_is_refused_is_not_counted(clock: Clock) -> None:
    """Somebody who keeps asking is not kept out for ever."""
    limit = RateLimit(1, clock)
    limit.take("a")
    for _ in range(100):
        with pytest.raises(TooManyRequests):
            limit.take("a")
    clock.now += 60
    assert limit.take("a") is not None


def test_keys_are_counted_apart_and_sessions_with_their_key(clock: Clock) -> None:
    """One key's haste is not another's, and a session does not double it."""
    asked = client(RateLimit(1, clock))
    assert asked.get("/v1/items", headers=bearer("a")).status_code == 200
    assert asked.get("/v1/items", headers=bearer("b")).status_code == 200
    assert asked.get("/v1/items", headers=bearer("a-session")).status_code == 429


def test_every_answer_says_the_limit_and_our_own_requests_are_free(clock: Clock) -> None:
    """Also one that a route makes by itself; what services ask for a key does not count."""
    asked = client(RateLimit(1, clock))
    for _ in range(3):
        answer = asked.get("/v1/keys/self", headers=bearer("a"))
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
    assert (
        asked.get("/v1/decisions", headers=bearer("a")).headers["ratelimit"]
        == '"requests";r=0;t=60'
    )
    assert asked.get("/v1/decisions", headers=bearer("a")).status_code == 429


def test_without_a_limit_nothing_is_said(clock: Clock) -> None:
    """Zero is as many as one likes."""
    for limit in (None, RateLimit(0, clock)):
        asked = client(limit)
        answers = [asked.get("/v1/items", headers=bearer("a")) for _ in range(50)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any(re.match("ratelimit", name) for name in answers[-1].headers)


def test_many_at_once_get_no_more_than_one_after_the_other(clock: Clock) -> None:
    """Threads that ask at the same time share one bucket."""
    limit = RateLimit(100, clock)
    taken = []

    def ask() -> None:
        for _ in range(50):
            try:
                taken.append(limit.take("a"))
            except TooManyRequests:
                continue

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 100


def test_keys_that_have_rested_are_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with every key that ever asked."""
    monkeypatch.setattr("shared.web.limits._REMEMBERED", 10)
    limit = RateLimit(60, clock)
    for number in range(10):
        limit.take(f"k{number}")
    clock.now += 5
    limit.take("late")
    assert set(limit._used) == {"late"}
