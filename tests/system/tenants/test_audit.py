"""Every operation that changes something or reads content leaves a line in the audit trail.

The operations come from the OpenAPI files, so a new one is tried at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cli.deployment.stores import SERVICES
from tests.support.embedded import Embedded
from tests.system.nameless import PASSWORD, sign_up
from tests.system.tenants.test_crossing import attempts, lists, operations
from tests.system.tenants.two_tenants import CONTRACT, NOWHERE, TUS, Owned, client_of, furnish

UNRECORDED = {
    "GET /v1/keys/self": "who a key is; services ask it to check keys",
    "GET /v1/session": "who a session is; each page asks it",
    "GET /v1/uploads/{id}": "how many bytes of an upload have arrived",
    "HEAD /v1/uploads/{id}": "the same",
    "GET /v1/sign-in": "which ways to sign in there are; needs no key",
    "GET /v1/sign-in/openid": "begins to sign in; here is no provider",
    "GET /v1/sign-in/openid/callback": "ends it; here is no provider",
}
"""Operations without a line, besides those without a key (`UNTRIED`), and why."""

Call = Callable[[httpx.Client], httpx.Response]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Embedded, Owned]]:
    """An embedded edition with one of everything."""
    settings = {"SMALLPRINT_INGEST_WEBHOOK_PROXY": NOWHERE, "SMALLPRINT_RATE_REQUESTS": "0"}
    embedded = Embedded(tmp_path_factory.mktemp("audited"), **settings)
    line = embedded.start()
    with client_of(line["url"], line["key"]) as client:
        yield embedded, furnish(client, line["key"])
    embedded.end()


def calls(owned: Owned, user: httpx.Client) -> dict[str, Call]:
    """A call of every operation, in an order in which all of them work."""
    found: dict[str, Call] = {}
    for path in lists(owned):
        found[f"GET {path.partition('?')[0]}"] = gets(path)
    found |= {
        "POST /v1/documents": lambda client: client.post(
            "/v1/documents", files={"file": ("new.txt", CONTRACT + b"3. Notices.")}
        ),
        "POST /v1/uploads": lambda client: client.post(
            "/v1/uploads", headers={**TUS, "upload-length": "9"}
        ),
        "POST /v1/keys": lambda client: client.post("/v1/keys", json={"name": "one more"}),
        "POST /v1/keys/sessions": lambda client: client.post("/v1/keys/sessions"),
        "POST /v1/keys/links": lambda client: client.post("/v1/keys/links"),
        "POST /v1/session": signs_in,
        "DELETE /v1/session": signs_out,
        "DELETE /v1/keys/sessions": ends_its_session,
        "PUT /v1/retention": lambda client: client.put("/v1/retention", json={"items": []}),
        "POST /v1/webhooks": lambda client: client.post(
            "/v1/webhooks", json={"url": "https://hooks.example.com/y", "types": ["document.ended"]}
        ),
        "POST /v1/items/release": lambda client: client.post(
            "/v1/items/release", json={"tab": {"id": "tab_" + 32 * "1", "generation": 1}}
        ),
        "GET /v1/documents/events": begins_a_stream,
        "POST /v1/decisions": lambda client: decides(client, owned),
        "DELETE /v1/items/{item_id}/comments/{comment_id}": lambda client: takes_back(
            client, owned
        ),
        "POST /v1/users": lambda client: client.post(
            "/v1/users", json={"name": "ann", "email": "ann@example.com", "role": "analyst"}
        ),
        "GET /v1/users/self": lambda _client: user.get("/v1/users/self"),
        "POST /v1/sign-in/password": lambda _client: user.post(
            "/v1/sign-in/password", json={"current": PASSWORD, "new": f"{PASSWORD} more"}
        ),
    }
    found |= {one.operation: one.by for one in attempts(owned) if one.operation not in found}
    return found


def gets(path: str) -> Call:
    return lambda client: client.get(path)


def signs_in(client: httpx.Client) -> httpx.Response:
    """Sign in with the key of the client; its cookie stays."""
    secret = client.headers["authorization"].removeprefix("Bearer ")
    return client.post("/v1/session", json={"key": secret})


def signs_out(client: httpx.Client) -> httpx.Response:
    """Sign in and out by cookie alone."""
    with httpx.Client(base_url=client.base_url) as browser:
        browser.headers["authorization"] = client.headers["authorization"]
        csrf = signs_in(browser).raise_for_status().json()["csrf"]
        del browser.headers["authorization"]
        return browser.delete("/v1/session", headers={"x-csrf-token": csrf})


def ends_its_session(client: httpx.Client) -> httpx.Response:
    """Open a session, and end it with its own secret."""
    secret = client.post("/v1/keys/sessions").raise_for_status().json()["secret"]
    headers = {"authorization": f"Bearer {secret}"}
    return client.delete("/v1/keys/sessions", headers=headers)


def decides(client: httpx.Client, owned: Owned) -> httpx.Response:
    """Claim another item and accept it."""
    items = client.get("/v1/items").raise_for_status().json()["items"]
    item = next(one["id"] for one in items if one["id"] != owned.item)
    client.post("/v1/items/claim", json={"item": item}).raise_for_status()
    return client.post("/v1/decisions", json={"item": item, "verdict": "accept"})


def takes_back(client: httpx.Client, owned: Owned) -> httpx.Response:
    """Comment on an item and delete the comment."""
    at = f"/v1/items/{owned.item}/comments"
    new = client.post(at, json={"text": "mine"}).raise_for_status().json()["id"]
    return client.delete(f"{at}/{new}")


def begins_a_stream(client: httpx.Client) -> httpx.Response:
    with client.stream("GET", "/v1/documents/events") as answer:
        return answer


def lines(data: Path) -> list[dict[str, Any]]:
    """The lines of all services, except those of the owner."""
    found: list[dict[str, Any]] = []
    for service in SERVICES:
        with closing(sqlite3.connect(data / f"{service}.db")) as database:
            database.row_factory = sqlite3.Row
            rows = database.execute("SELECT * FROM audit WHERE actor NOT IN ('owner', 'operator')")
            found += [{**row, "service": service} for row in rows]
    return found


def test_every_operation_leaves_a_line_with_key_and_address(
    suite: tuple[Embedded, Owned],
) -> None:
    embedded, owned = suite
    made = owned.client.post("/v1/keys", json={"name": "walker"}).raise_for_status().json()
    wrong = []
    with (
        client_of(embedded.url, made["secret"]) as client,
        httpx.Client(base_url=embedded.url) as user,
    ):
        user_id = sign_up(owned.client, user, "wanda")
        every = calls(owned, user)
        assert every.keys() == {f"{method} {path}" for method, path in operations()}
        for operation, call in every.items():
            before = len(lines(embedded.data))
            status = call(client).status_code
            new = len(lines(embedded.data)) - before
            silent = operation in UNRECORDED
            if (new == 0) != silent or (status >= 400 and not silent):
                wrong.append((operation, status, new))
            client.cookies.clear()
    assert not wrong, "\n".join(map(str, wrong))
    found = lines(embedded.data)
    assert {line["key_id"] for line in found} == {made["id"], user_id}
    assert {line["address"] for line in found} == {"127.0.0.1"}
