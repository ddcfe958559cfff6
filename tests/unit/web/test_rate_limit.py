"""Rate limits and their headers."""

from __future__ import annotations

import re
import threading

import pytest
from fastapi import APIRouter, Response
from fastapi.testclient import TestClient

from shared.errors import TooManyRequests
from shared.web.admission import RateLimit
from shared.web.app import create_app
from shared.web.auth import Actor, CurrentActor, UncountedActor


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ring:
    def check(self, secret: str) -> Actor | None:
        if secret == "wrong":
            return None
        return Actor("default", secret, key_id=secret.partition("-")[0])


@pytest.fixture
def clock() -> Clock:
    return Clock()


def client(limit: RateLimit | None) -> TestClient:
    router = APIRouter()

    @router.get("/v1/items")
    def me(actor: CurrentActor) -> dict[str, str]:
        return {"name": actor.name}

    @router.get("/v1/decisions")
    def raw(_actor: CurrentActor) -> Response:
        return Response(b"raw")

    @router.get("/v1/keys/self")
    def own(actor: UncountedActor) -> dict[str, str]:
        return {"name": actor.name}

    return TestClient(create_app("review", [router], [], Ring(), limit))


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_requests_above_the_limit_get_429(clock: Clock) -> None:
    requested = client(RateLimit(3, clock))
    for remaining in (2, 1, 0):
        answer = requested.get("/v1/items", headers=bearer("a"))
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60'
        assert answer.headers["ratelimit"] == f'"requests";r={remaining};t={(3 - remaining) * 20}'
    refused = requested.get("/v1/items", headers=bearer("a"))
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:smallprint:problem:too_many_requests"
    assert refused.headers["retry-after"] == "20"
    assert refused.headers["ratelimit"] == '"requests";r=0;t=60'
    clock.now += 19
    assert requested.get("/v1/items", headers=bearer("a")).status_code == 429
    clock.now += 1
    assert requested.get("/v1/items", headers=bearer("a")).status_code == 200
    assert requested.get("/v1/items", headers=bearer("a")).status_code == 429


def test_an_address_without_a_valid_key_is_limited_and_locks_out_nobody(clock: Clock) -> None:
    requested = client(RateLimit(3, clock))
    wrong = [*[bearer("wrong")] * 2, {}]
    for _ in range(2):
        statuses = [requested.get("/v1/items", headers=one).status_code for one in wrong]
        assert statuses == [401, 401, 401]
        refused = requested.get("/v1/items", headers=bearer("wrong"))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "20")
        assert requested.get("/v1/items", headers=bearer("a")).status_code == 200
        other = TestClient(requested.app, client=("192.0.2.7", 1))
        assert other.get("/v1/items", headers=bearer("wrong")).status_code == 401
        clock.now += 60


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.7", "192.0.2.8", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.8", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "unknown", False),
    ],
)
def test_the_addresses_of_a_client_count_together(
    clock: Clock, first: str, second: str, together: bool
) -> None:
    app = client(RateLimit(1, clock)).app
    statuses = [
        TestClient(app, client=(address, 1)).get("/v1/items").status_code
        for address in (first, second)
    ]
    assert statuses == [401, 429 if together else 401]


def test_refused_requests_are_not_counted(clock: Clock) -> None:
    limit = RateLimit(1, clock)
    limit.take("a")
    for _ in range(100):
        with pytest.raises(TooManyRequests):
            limit.take("a")
    clock.now += 60
    assert limit.take("a") is not None


def test_sessions_count_for_their_key(clock: Clock) -> None:
    requested = client(RateLimit(1, clock))
    assert requested.get("/v1/items", headers=bearer("a")).status_code == 200
    assert requested.get("/v1/items", headers=bearer("b")).status_code == 200
    assert requested.get("/v1/items", headers=bearer("a-session")).status_code == 429


def test_responses_have_ratelimit_headers(clock: Clock) -> None:
    requested = client(RateLimit(1, clock))
    for _ in range(3):
        answer = requested.get("/v1/keys/self", headers=bearer("a"))
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
    assert (
        requested.get("/v1/decisions", headers=bearer("a")).headers["ratelimit"]
        == '"requests";r=0;t=60'
    )
    assert requested.get("/v1/decisions", headers=bearer("a")).status_code == 429


def test_without_a_limit_there_are_no_headers(clock: Clock) -> None:
    for limit in (None, RateLimit(0, clock)):
        requested = client(limit)
        answers = [requested.get("/v1/items", headers=bearer("a")) for _ in range(50)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any(re.match("ratelimit", name) for name in answers[-1].headers)


def test_parallel_requests_share_a_bucket(clock: Clock) -> None:
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


def test_full_buckets_are_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.web.admission.MAX_BUCKETS", 10)
    limit = RateLimit(60, clock)
    for number in range(10):
        limit.take(f"k{number}")
    clock.now += 5
    limit.take("late")
    assert set(limit._used) == {"late"}
