"""A tenant tries every route of every service with another tenant's ids, and gets nothing.

The routes come from the OpenAPI files, so a new route is tried at once. Each attempt is made by
key and by session. Afterwards the owner makes the same request, which works: otherwise the attempt
would prove nothing. Routes without an id that make or set something have their own attempts in
`nameless.py`. A route that is not tried has its reason in `UNTRIED`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from shared.bus import Message, open_bus
from shared.events import (
    TYPES,
    BlobRef,
    ClausesExtracted,
    DocumentAssigned,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentReclassified,
    EscalationAnswered,
    EscalationRequested,
    Event,
    FindingsFound,
    FirstPagesRead,
    ReviewDecided,
)
from tests.support import ROOT
from tests.support.embedded import Embedded
from tests.system.nameless import NAMELESS
from tests.system.tenants.two_tenants import (
    CONTRACT,
    MARK,
    NOWHERE,
    TUS,
    House,
    Owned,
    client_of,
    ended,
    furnish,
)

UNTRIED = {
    **dict.fromkeys(
        ("GET /livez", "GET /readyz", "GET /metrics", "GET /version"),
        "asks for no key, and says of the process what it says to everybody",
    ),
    "OPTIONS /v1/uploads": "says what the protocol can, and that to everybody",
    **dict.fromkeys(
        ("POST /v1/sign-in", "POST /v1/sign-in/invitation"),
        "asks for a password or an invitation, and for no id",
    ),
}


@dataclass(frozen=True)
class Attempt:
    """A request on what belongs to somebody."""

    method: str
    path: str
    body: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    last: int = 0
    """When the owner makes it: what ends something, after all others."""
    route: str = ""
    """Method and path as OpenAPI has them; without one, as they are."""

    @property
    def operation(self) -> str:
        """Which operation it tries."""
        return self.route or f"{self.method} {self.path.partition('?')[0]}"

    def by(self, client: httpx.Client) -> httpx.Response:
        """Make it. Streams are left after their head."""
        with client.stream(
            self.method,
            self.path,
            json=self.body,
            content=self.content,
            headers=self.headers,
        ) as answer:
            kind = answer.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                answer.read()
            return answer


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two tenants of one embedded edition, of which one has something of everything."""
    embedded = Embedded(
        tmp_path_factory.mktemp("crossing"),
        SMALLPRINT_INGEST_WEBHOOK_PROXY=NOWHERE,
        SMALLPRINT_RATE_REQUESTS="0",
    )
    line = embedded.start()
    url = line["url"]
    command = [sys.executable, "-m", "services.cli", "keys", "new", "eve", "--tenant", "rivals"]
    made_key = subprocess.run(
        [*command, "--data", str(embedded.data)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    with (
        client_of(url, line["key"]) as mine,
        client_of(url, made_key) as rival,
        httpx.Client(base_url=url, timeout=60) as session,
    ):
        signed = session.post("/v1/session", json={"key": made_key}).raise_for_status().json()
        session.headers["x-csrf-token"] = signed["csrf"]
        yield House(embedded, furnish(mine, line["key"]), rival, session)
    embedded.end()


def operations() -> list[tuple[str, str]]:
    """Method and path of every route that is tried."""
    found = [
        (method.upper(), path)
        for document in sorted((ROOT / "services").glob("*/openapi.json"))
        for path, item in json.loads(document.read_text("utf-8"))["paths"].items()
        for method in item
        if method in ("get", "head", "put", "post", "patch", "delete", "options", "trace")
        and f"{method.upper()} {path}" not in UNTRIED
    ]
    assert len(found) > 60
    return found


def attempts(owned: Owned) -> list[Attempt]:
    """Every route with an id in its path or its query, each with ids of the owner."""
    tries = []
    for method, path in operations():
        if "{" in path:
            tries += [attempt(method, place, path, owned) for place in filled(path, owned)]
    tries += [
        Attempt("GET", f"/v1/items/pages?document={owned.contract}"),
        Attempt(
            "POST",
            "/v1/items/claim",
            body={"item": owned.item, "tab": {"id": owned.tab, "generation": 1}},
            last=1,
        ),
        Attempt(
            "POST",
            "/v1/items",
            body={"document": owned.contract, "category": "Insurance", "start": 0, "end": 5},
            last=1,
        ),
        Attempt(
            "PUT", "/v1/items/assignee", body={"items": [owned.item], "assignee": "mine"}, last=1
        ),
        Attempt("POST", "/v1/decisions", body={"item": owned.item, "verdict": "accept"}, last=4),
    ]
    return sorted(tries, key=lambda one: one.last)


def filled(path: str, owned: Owned) -> list[str]:
    """A path with ids of the owner in it; those of documents with a contract and a report."""
    if path.startswith("/v1/documents/"):
        found = re.search(r"/(findings|history|signals|narrative-flags|statements)$", path)
        document = owned.report if found else owned.contract
        return [re.sub(r"{(document_)?id}", document, path).replace("{number}", "1")]
    ids = {
        "/v1/uploads": owned.upload,
        "/v1/webhooks": owned.webhook,
        "/v1/keys/sessions": owned.session,
        "/v1/keys": owned.key,
        "/v1/deletions": owned.deleted,
        "/v1/items": owned.item,
        "/v1/users": owned.user,
    }
    whose = next(value for begin, value in ids.items() if path.startswith(begin))
    return [
        path.replace("{id}", whose)
        .replace("{item_id}", whose)
        .replace("{delivery_id}", owned.delivery)
        .replace("{comment_id}", owned.comment)
    ]


def attempt(method: str, path: str, route: str, owned: Owned) -> Attempt:
    """A request that the owner succeeds with."""
    key = f"{method} {route}"
    bodies: dict[str, Any] = {
        "PUT /v1/documents/{id}/kind": {"kind": "contract"},
        "PUT /v1/documents/{id}/tags": {"tags": ["mine"]},
        "PUT /v1/documents/{id}/assignee": {"assignee": None},
        "PATCH /v1/users/{id}": {"disabled": False},
        "PATCH /v1/webhooks/{id}": {"description": "mine"},
        "POST /v1/items/{item_id}/comments": {"text": "mine"},
        "POST /v1/webhooks/{id}/redeliver": {"since": "2020-01-01T00:00:00Z"},
    }
    if key == "GET /v1/items/{item_id}/boxes":
        return Attempt(method, f"{path}?start=0&end=5", route=key)
    if key == "DELETE /v1/items/{item_id}/comments/{comment_id}":
        return Attempt(method, path, last=2, route=key)  # while there is the item
    if key == "PATCH /v1/uploads/{id}":
        headers = {**TUS, "upload-offset": "0", "content-type": "application/offset+octet-stream"}
        return Attempt(method, path, content=b"1234", headers=headers, last=1, route=key)
    headers = TUS if route.startswith("/v1/uploads") else {}
    order = {"/keep": 2, "/release": 3, "/kind": 5, "/reprocess": 5, "/cancel": 6}
    last = 7 if method == "DELETE" else order.get("/" + route.rpartition("/")[2], 1)
    if method in ("GET", "HEAD"):
        last = 0
    return Attempt(method, path, body=bodies.get(key), headers=headers, last=last, route=key)


def test_every_route_refuses_what_belongs_to_another_tenant(
    house: House, record_property: Any
) -> None:
    """No answer has a word or an id of the owner, and the owner's data stays."""
    owner = house.owner
    tries = attempts(owner)
    before = seen(owner)
    attempted, refused, through = 0, 0, []
    for one in tries:
        for who in (house.rival, house.session):
            attempted += 1
            answer = one.by(who)
            allowed = {404} if who is house.rival else {403, 404}  # some things need a key itself
            came = answer.status_code not in allowed and not nothing_done(one, answer)
            if came or leaks(answer, owner, f"{one.path} {json.dumps(one.body)}"):
                through.append((one.path, answer.status_code, answer.text))
            else:
                refused += 1
    for path in lists(owner):
        for who in (house.rival, house.session):
            attempted += 1
            answer = who.get(path)
            if answer.status_code not in (200, 404) or leaks(answer, owner, path):
                through.append((path, answer.status_code, answer.text))
            else:
                refused += 1
    print(f"{attempted} attempts at what belongs to another tenant, {refused} refused")
    assert not through, "\n".join(map(str, through))
    assert seen(owner) == before
    record_property("attempts", attempted)
    assert attempted == refused > 120
    answers = [(one, one.by(owner.client)) for one in tries]
    failed = [
        (one, answer.status_code, answer.text)
        for one, answer in answers
        if answer.status_code >= 400 and not late(one, answer)
    ]
    assert not failed, "\n".join(map(str, failed))


def nothing_done(one: Attempt, answer: httpx.Response) -> bool:
    """Whether a journal is empty or no item was assigned: without the document no error."""
    if one.path == "/v1/items/assignee":
        return answer.status_code == 200 and answer.json() == {"assigned": 0}
    if "/journal/" not in one.path or answer.status_code != 200:
        return False
    work = answer.json()
    return (work["announced"], work["received"]) == ([], [])


def late(one: Attempt, answer: httpx.Response) -> bool:
    """Whether the owner's request conflicts with an earlier one of the owner."""
    return answer.status_code == 409 and one.last > 0


def lists(owner: Owned) -> list[str]:
    """Every route without an id, as it is and asking for a document of the owner."""
    plain = [
        path
        for method, path in operations()
        if method == "GET" and "{" not in path and not path.endswith("/events")
    ]
    asked = {"/v1/search": f"?q={MARK.replace(' ', '+')}", "/v1/items/pages": None}
    found = []
    for path in plain:
        query = asked.get(path, "")
        if query is None:
            continue
        found.append(path + query)
        join = "&" if query else "?"
        by_document = ("/v1/items", "/v1/items/progress", "/v1/decisions", "/v1/exports")
        if path in (*by_document, "/v1/search"):
            found.append(f"{path}{query}{join}document={owner.contract}")
    return found


def leaks(answer: httpx.Response, owner: Owned, asked: str) -> bool:
    """Whether an answer has data of the owner that the request did not have."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        return True
    leaked = {name for name in owner.ids() if name in answer.text and name not in asked}
    return bool(leaked) or (MARK in answer.text and MARK not in asked.replace("+", " "))


def seen(owner: Owned) -> list[Any]:
    """All lists of the owner, without values that change with time."""
    paths = ["/v1/documents", "/v1/items?state=all&limit=500", "/v1/decisions", "/v1/webhooks"]
    paths += ["/v1/deletions", "/v1/retention", f"/v1/uploads/{owner.upload}", "/v1/keys"]
    paths.append("/v1/users")
    return [steady(owner.client.get(path).raise_for_status().json()) for path in paths]


def steady(value: Any) -> Any:
    """Drop the times of a key's use and of deliveries."""
    moving = {
        "last_used",
        "failing_since",
        "failures",
        "last_failed",
        "disabled",
        "updated",
        "waits",
        "expires",
        "age",
    }
    if isinstance(value, dict):
        return {k: steady(v) for k, v in value.items() if k not in moving}
    return [steady(v) for v in value] if isinstance(value, list) else value


def test_events_that_name_another_tenants_document_and_blobs_do_nothing(house: House) -> None:
    """An event with one tenant's name reads and changes nothing of another. Blobs are looked up
    only in the tenant of the event.
    """
    owner = house.owner
    document = ended(owner.client, "again.txt", CONTRACT + b"\n3. Notices. In writing.\n")
    state = owner.client.get(f"/v1/documents/{document}").json()
    original = owner.client.get(f"/v1/documents/{document}/original").content
    clauses = owner.client.get(f"/v1/documents/{document}/clauses").json()
    blob = BlobRef(sha256=state["sha256"], size=len(original))
    bus = open_bus(f"sqlite:///{house.embedded.data / 'bus.db'}")
    forged = forgeries(document, blob, clauses["items"][0]["id"], owner.item)
    assert {type(event) for event in forged} == set(TYPES.values()), "a type is not tried"
    bus.publish(*(message(event) for event in forged))
    assert ended(house.rival, "probe.txt", CONTRACT.replace(MARK.encode(), b"Rival"))
    assert steady(owner.client.get(f"/v1/documents/{document}").json()) == steady(state)
    assert owner.client.get(f"/v1/documents/{document}/original").content == original
    assert owner.client.get(f"/v1/documents/{document}/clauses").json() == clauses
    for path in ("", "/text", "/original", "/clauses", "/findings"):
        answer = house.rival.get(f"/v1/documents/{document}{path}")
        assert MARK not in answer.text, path
        assert answer.status_code in (404, 409, 503), (path, answer.text)
    items = house.rival.get("/v1/items?state=all").text
    assert MARK not in items
    print(f"{len(forged)} forged events, nothing read and nothing changed")


def forgeries(document: str, blob: BlobRef, result: str, item: str) -> list[Event]:
    """One event of each type in the rival's name, about the owner's document, its bytes, a result
    in it and an item.
    """
    about: dict[str, Any] = {"tenant": "rivals", "document_id": document, "actor": "eve"}
    named: dict[str, Any] = {**about, "name": "forged.txt"}
    read: dict[str, Any] = {"media_type": "text/plain", "kind": "contract", "original": blob}
    return [
        DocumentIngested(**named, **read),
        FirstPagesRead(**about, kind="contract", text=blob, pages=(1,), starts=(0,)),
        DocumentRead(**named, **read, text=blob, layout=blob, pages=1),
        DocumentReclassified(**about, kind="report", previous="contract"),
        DocumentAssigned(**about, assignee="eve"),
        ClausesExtracted(
            **named, clauses=blob, count=1, adapter="contract-clauses", adapter_version="1.0.0"
        ),
        FindingsFound(**named, findings=blob, count=1, flagged=True, risk=0.9),
        EscalationRequested(**about, stage="extraction", result_id=result, question=blob),
        EscalationAnswered(**about, stage="extraction", result_id=result, answer=blob),
        ReviewDecided(
            **about,
            item_id=item,
            stage="extraction",
            result_id=result,
            decision_id="de_" + 32 * "0",
            verdict="reject",
            wrong=True,
        ),
        DocumentFailed(**about, stage="extraction", code="forged", reason="forged"),
        DocumentDeleted(**about),
    ]


def message(event: Event) -> Message:
    """The event as a service would send it."""
    return Message(key=event.key, value=event.to_json("ingest"))


def test_no_operation_is_left_out(house: House) -> None:
    """All of the OpenAPI files are tried by one of these tests, and nothing that is not in them."""
    tried = {one.operation for one in attempts(house.owner)}
    tried |= {f"GET {path.partition('?')[0]}" for path in lists(house.owner)}
    assert tried | NAMELESS.keys() == {f"{method} {path}" for method, path in operations()}


@pytest.mark.parametrize("operation", NAMELESS)
def test_what_names_nothing_reaches_nothing_of_another(house: House, operation: str) -> None:
    NAMELESS[operation](house)
