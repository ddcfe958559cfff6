"""Attempts across tenants at routes without an id that are no lists.

These routes make, set, end or stream something of the tenant that calls them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from typing import Any

import httpx

from tests.system.tenants.two_tenants import CONTRACT, PATIENCE, TUS, House

PASSWORD = "seven green umbrellas"
Try = Callable[[House], None]


def reads_the_stream(house: House) -> None:
    """Read from the start, it has only the documents of the tenant that reads."""
    own = house.rival.post("/v1/documents", files={"file": ("stream.txt", b"Ours, by stream.")})
    mine = own.raise_for_status().json()["id"]
    for who in (house.rival, house.session):
        output = streamed(who, until=mine)
        assert mine in output
        assert not [name for name in house.owner.ids() if name in output]
        assert "quibblesome" not in output
    assert house.owner.report in streamed(house.owner.client, until=house.owner.report)


def streamed(client: httpx.Client, until: str) -> str:
    """The stream of all changes from its start until it is silent, once it has sent a word.

    Args:
        until: the word.
    """
    output, end = "", time.monotonic() + PATIENCE
    while until not in output and time.monotonic() < end:
        output = ""
        with (
            suppress(httpx.ReadTimeout),
            client.stream("GET", "/v1/documents/events?after=0", timeout=3.0) as stream,
        ):
            assert stream.status_code == 200
            for chunk in stream.iter_text():
                output += chunk
    return output


def leaves_a_tab(house: House) -> None:
    """The owner's tab releases its items, but the same id used by another tenant releases none."""
    tab = {"tab": {"id": house.owner.tab, "generation": 7}}
    item = house.owner.client.post("/v1/items/claim", json=tab).raise_for_status().json()["id"]
    with house.client(namesake(house)) as other:
        for who in (house.rival, house.session, other):
            assert who.post("/v1/items/release", json=tab).json() == {"released": 0}
    assert house.owner.client.get(f"/v1/items/{item}").json()["state"] == "claimed"
    assert house.owner.client.post("/v1/items/release", json=tab).json() == {"released": 1}


def namesake(house: House) -> str:
    """The secret of a key of the rival's that has the name of the owner's."""
    name = house.owner.client.get("/v1/keys/self").raise_for_status().json()["name"]
    keys = house.rival.get("/v1/keys").json()["items"]
    for old in (key["id"] for key in keys if key["name"] == name):
        house.rival.delete(f"/v1/keys/{old}")
    return str(
        house.rival.post("/v1/keys", json={"name": name}).raise_for_status().json()["secret"]
    )


def makes_a_key(house: House) -> None:
    """It opens only the rival's tenant, although it has the name of the owner's key."""
    with house.client(namesake(house)) as other:
        assert_foreign(house, other)


def opens_and_ends_sessions(house: House) -> None:
    """A session opens the tenant of its key, and its end ends no other session."""
    owned = house.owner.client.post("/v1/keys/sessions").raise_for_status().json()["secret"]
    other = house.rival.post("/v1/keys/sessions").raise_for_status().json()["secret"]
    with house.client(owned) as mine, house.client(other) as theirs:
        assert_foreign(house, theirs)
        assert theirs.delete("/v1/keys/sessions").is_success
        assert theirs.get("/v1/documents").status_code == 401
        assert mine.get("/v1/documents").is_success


def signs_in_by_a_link(house: House) -> None:
    """A link opens one session, which is the rival's, and reads nothing by itself."""
    link = house.rival.post("/v1/keys/links").raise_for_status().json()["secret"]
    with house.client(link) as by_link:
        assert by_link.get("/v1/documents").status_code == 403
    with house.client() as theirs:
        theirs.post("/v1/session", json={"key": link}).raise_for_status()
        assert_foreign(house, theirs)
        assert theirs.post("/v1/session", json={"key": link}).status_code == 401


def signs_in_and_out(house: House) -> None:
    """A session by cookie is the rival's, and its end ends no other."""
    with house.client() as mine, house.client() as theirs:
        mine.post("/v1/session", json={"key": house.owner.secret}).raise_for_status()
        secret = house.rival.headers["authorization"].removeprefix("Bearer ")
        signed = theirs.post("/v1/session", json={"key": secret}).raise_for_status().json()
        assert_foreign(house, theirs)
        theirs.headers["x-csrf-token"] = signed["csrf"]
        assert theirs.delete("/v1/session").is_success
        assert theirs.get("/v1/documents").status_code == 401
        assert mine.get("/v1/documents").is_success


def assert_foreign(house: House, client: httpx.Client) -> None:
    """A client of the rival's gets nothing of the owner."""
    assert client.get("/v1/documents").is_success
    assert client.get(f"/v1/documents/{house.owner.report}").status_code == 404
    assert client.get(f"/v1/webhooks/{house.owner.webhook}").status_code == 404


def adds_a_user(house: House) -> None:
    """A user of the rival's reaches only the rival's tenant. Their password is their own."""
    before = house.owner.client.get("/v1/users").json()
    with house.client() as theirs:
        person = sign_up(house.rival, theirs, f"mallory-{token_hex(4)}")
        assert_foreign(house, theirs)
        wish = {"current": PASSWORD, "new": f"{PASSWORD} more"}
        assert theirs.post("/v1/sign-in/password", json=wish).is_success
        assert_foreign(house, theirs)
    assert person in house.rival.get("/v1/users").text
    assert house.owner.client.get("/v1/users").json() == before


def sign_up(admin: httpx.Client, browser: httpx.Client, name: str) -> str:
    """Add a user, and sign them in with a browser. Returns the id."""
    wish = {"name": name, "email": f"{name}@example.com", "role": "admin"}
    added = admin.post("/v1/users", json=wish).raise_for_status().json()
    answer = {"invitation": added["invitation"], "password": PASSWORD}
    browser.post("/v1/sign-in/invitation", json=answer).raise_for_status()
    browser.headers["x-csrf-token"] = browser.get("/v1/session").json()["csrf"]
    return str(added["id"])


def sets_retention(house: House) -> None:
    """The rival sets one day, and the owner's rule stays."""
    rules = {"items": [{"kind": None, "days": 1}]}
    before = house.owner.client.get("/v1/retention").json()
    assert house.session.put("/v1/retention", json=rules).status_code == 403
    assert house.rival.put("/v1/retention", json=rules).is_success
    for who in (house.rival, house.session):
        assert who.get("/v1/retention").json()["items"] == rules["items"] != before["items"]
    assert house.owner.client.get("/v1/retention").json() == before
    assert house.rival.put("/v1/retention", json={"items": []}).is_success


def sends_the_same_document(house: House) -> None:
    """The owner's bytes and idempotency key make another document, which the owner does not see."""
    wish: dict[str, Any] = {
        "files": {"file": ("same.txt", CONTRACT + b"4. Notices. By post.\n")},
        "headers": {"idempotency-key": "the-same-request-of-a-document"},
    }
    mine, theirs = both_ask(house, "/v1/documents", wish)
    assert [one.json()["state"] for one in (mine, theirs)] == ["received"] * 2
    apart(house, "/v1/documents", mine.json()["id"], theirs.json()["id"])


def begins_the_same_upload(house: House) -> None:
    """The owner's idempotency key makes another upload."""
    headers = {**TUS, "upload-length": "9", "idempotency-key": "the-same-request-of-an-upload"}
    mine, theirs = both_ask(house, "/v1/uploads", {"headers": headers})
    names = [one.headers["location"].rpartition("/")[2] for one in (mine, theirs)]
    apart(house, "/v1/uploads", *names)


def registers_the_same_webhook(house: House) -> None:
    """The owner's idempotency key makes another webhook with another secret."""
    wish = {
        "json": {"url": "https://hooks.example.com/same"},
        "headers": {"idempotency-key": "the-same-request-of-a-webhook"},
    }
    mine, theirs = both_ask(house, "/v1/webhooks", wish)
    assert mine.json()["secret"] != theirs.json()["secret"]
    apart(house, "/v1/webhooks", mine.json()["id"], theirs.json()["id"])


def both_ask(house: House, path: str, wish: dict[str, Any]) -> list[httpx.Response]:
    """Send the same request as the owner and then as the rival. Both succeed."""
    clients = (house.owner.client, house.rival)
    return [one.post(path, **wish).raise_for_status() for one in clients]


def apart(house: House, path: str, mine: str, theirs: str) -> None:
    """Two resources with different ids. Each tenant sees only its own."""
    assert mine != theirs
    for who, own, foreign in (
        (house.owner.client, mine, theirs),
        (house.rival, theirs, mine),
    ):
        assert who.get(f"{path}/{own}", headers=TUS).is_success
        assert who.get(f"{path}/{foreign}", headers=TUS).status_code == 404


NAMELESS: dict[str, Try] = {
    "GET /v1/documents/events": reads_the_stream,
    "POST /v1/items/release": leaves_a_tab,
    "POST /v1/keys": makes_a_key,
    "POST /v1/keys/sessions": opens_and_ends_sessions,
    "DELETE /v1/keys/sessions": opens_and_ends_sessions,
    "POST /v1/keys/links": signs_in_by_a_link,
    "POST /v1/session": signs_in_and_out,
    "DELETE /v1/session": signs_in_and_out,
    "POST /v1/users": adds_a_user,
    "POST /v1/sign-in/password": adds_a_user,
    "PUT /v1/retention": sets_retention,
    "POST /v1/documents": sends_the_same_document,
    "POST /v1/uploads": begins_the_same_upload,
    "POST /v1/webhooks": registers_the_same_webhook,
}
"""How a route is tried that has no id in it and is no list."""
