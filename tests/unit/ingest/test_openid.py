"""Sign-in at an OpenID provider that lies: each wrong ID token is refused."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from services.ingest.users.openid import OpenIdProvider
from shared.errors import NotSignedIn, Unavailable

ISSUER, CLIENT, KEY = "https://id.example", "smallprint", b"k" * 32
OURS, OTHERS = (RSAKey.generate_key(2048, parameters={"kid": "one"}) for _ in range(2))


class Lying:
    """A provider in memory, whose next token has other claims or another signature."""

    def __init__(self) -> None:
        self.nonce = ""
        self.claims: dict[str, Any] = {}
        self.key: RSAKey | OctKey = OURS
        self.algorithm = "RS256"
        self.status = 200
        self.issuer = ISSUER

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("openid-configuration"):
            paths = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            return httpx2.Response(
                self.status,
                json={"issuer": self.issuer, **{path: f"{ISSUER}/{path}" for path in paths}},
            )
        if request.url.path == "/jwks_uri":
            return httpx2.Response(200, json={"keys": [OURS.as_dict(private=False)]})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "one",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "nonce": self.nonce,
            "email": "a@b.example",
            "email_verified": True,
            **self.claims,
        }
        header = {"alg": self.algorithm, "kid": "one"}
        token = jwt.encode(header, claims, self.key, algorithms=[self.algorithm])
        return httpx2.Response(
            200, json={"access_token": "x", "token_type": "Bearer", "id_token": token}
        )


@pytest.fixture
def lying() -> Lying:
    return Lying()


@pytest.fixture
def browser(lying: Lying) -> TestClient:
    provider = OpenIdProvider(ISSUER, CLIENT, "secret", "/back")
    transport = httpx2.MockTransport(lying.answer)
    provider._client.client_kwargs["transport"] = transport
    app = FastAPI()

    @app.get("/begin")
    async def begin(request: Request) -> Response:
        return await provider.begin(request, "http://testserver", KEY, secure=False)

    @app.get("/back")
    async def back(request: Request) -> dict[str, Any]:
        return vars(await provider.finish(request, KEY))

    return TestClient(app, follow_redirects=False)


def came_back(browser: TestClient, lying: Lying, **changed: str) -> dict[str, Any]:
    """Go to the provider and back. Returns the identity."""
    sent = parse_qs(urlsplit(browser.get("/begin").headers["location"]).query)
    assert sent["code_challenge_method"] == ["S256"]
    lying.nonce = sent["nonce"][0]
    answer = {"code": "c", "state": sent["state"][0], **changed}
    return dict(browser.get("/back", params=answer).json())


def test_a_right_token_names_the_person(browser: TestClient, lying: Lying) -> None:
    assert came_back(browser, lying) == {"issuer": ISSUER, "subject": "one", "email": "a@b.example"}


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_an_address_that_is_not_verified_does_not_count(
    browser: TestClient, lying: Lying, verified: object
) -> None:
    lying.claims = {"email_verified": verified}
    assert came_back(browser, lying)["email"] is None


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"]},
        {"exp": 1},
        {"nonce": "another sign-in"},
        {"sub": None},
    ],
)
def test_a_token_for_somebody_else_is_refused(
    browser: TestClient, lying: Lying, claims: dict[str, Any]
) -> None:
    lying.claims = claims
    with pytest.raises(NotSignedIn):
        came_back(browser, lying)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(OTHERS, "RS256"), (OctKey.import_key("a guess of a secret of 32 bytes.."), "HS256")],
)
def test_a_token_of_another_key_is_refused(
    browser: TestClient, lying: Lying, key: RSAKey | OctKey, algorithm: str
) -> None:
    lying.key, lying.algorithm = key, algorithm
    with pytest.raises(NotSignedIn):
        came_back(browser, lying)


def test_another_state_or_browser_is_refused(browser: TestClient, lying: Lying) -> None:
    with pytest.raises(NotSignedIn):
        came_back(browser, lying, state="another")
    browser.cookies.clear()
    with pytest.raises(NotSignedIn):
        browser.get("/back", params={"code": "c", "state": "s"})


def test_a_provider_of_another_name_is_refused_before_it_is_asked(
    browser: TestClient, lying: Lying, caplog: pytest.LogCaptureFixture
) -> None:
    lying.issuer = f"{ISSUER}/"
    with pytest.raises(Unavailable):
        browser.get("/begin")
    reasons = [getattr(record, "reason", "") for record in caplog.records]
    assert any(f"calls itself '{ISSUER}/'" in reason for reason in reasons)


def test_a_provider_that_is_down_is_unavailable(browser: TestClient, lying: Lying) -> None:
    lying.status = 500
    with pytest.raises(Unavailable):
        browser.get("/begin")
