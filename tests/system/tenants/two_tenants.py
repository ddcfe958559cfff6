"""Two tenants of one edition, of which one has something of everything."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.embedded import Embedded
from tests.system.pages.review_stage import pdf_of

MARK = "Quibblesome Widgets"
CONTRACT = f"""LICENSE AGREEMENT

This License Agreement is made as of March 1, 2021 between {MARK} Inc. and Beta Ltd.

1. Governing Law. This Agreement is governed by the laws of the State of Delaware.
2. Term. This Agreement lasts for three (3) years from the date above.
""".encode()
REPORT = {
    "id": "quibblesome-2023",
    "company": MARK,
    "form": "10-K",
    "statements": [
        {
            "statement": "balance_sheet",
            "columns": [{"end": "20231231"}],
            "rows": [
                {"label": "Total assets", "values": [1210], "unit": "USD"},
                {"label": "Total liabilities", "values": [700], "unit": "USD"},
                {"label": "Total stockholders' equity", "values": [501], "unit": "USD"},
                {"label": "Total liabilities and stockholders' equity", "values": [1201]},
            ],
        }
    ],
}
NOWHERE = "http://127.0.0.1:9"
PATIENCE = 300.0
TUS = {"tus-resumable": "1.0.0"}


@dataclass
class Owned:
    """The ids of a tenant's data, by their names in routes."""

    client: httpx.Client
    secret: str
    contract: str
    report: str
    upload: str
    webhook: str
    delivery: str
    key: str
    session: str
    item: str
    comment: str
    deleted: str
    user: str
    tab: str = "tab_" + 32 * "0"

    def ids(self) -> set[str]:
        """Everything that may not be seen elsewhere."""
        names = ("contract", "report", "upload", "webhook", "delivery", "key", "session", "item")
        return {getattr(self, name) for name in (*names, "comment", "deleted", "user")}


@dataclass
class House:
    """The suite with two tenants."""

    embedded: Embedded
    owner: Owned
    rival: httpx.Client
    session: httpx.Client

    def client(self, secret: str = "") -> httpx.Client:
        """One more client, with a key or without one."""
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        return httpx.Client(base_url=self.embedded.url, headers=headers, timeout=60)


def client_of(url: str, secret: str) -> httpx.Client:
    """A client with a key."""
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {secret}"}, timeout=60)


def furnish(client: httpx.Client, secret: str) -> Owned:
    """Make one of everything."""
    hook = {"url": "https://hooks.example.com/x", "types": ["document.ended", "document.deleted"]}
    webhook = made(client, "/v1/webhooks", hook)
    person = {"name": "pat", "email": "pat@example.com", "role": "viewer"}
    contract = ended(client, "quibblesome.pdf", pdf_of([CONTRACT.decode().split("\n\n")]))
    report = ended(client, "quibblesome.json", json.dumps(REPORT).encode())
    files = {"file": ("gone.txt", b"An agreement that is deleted.")}
    deleted = client.post("/v1/documents", files=files).raise_for_status().json()["id"]
    client.delete(f"/v1/documents/{deleted}").raise_for_status()
    begun = client.post("/v1/uploads", headers={**TUS, "upload-length": "1000"})
    upload = begun.raise_for_status().headers["location"].rpartition("/")[2]
    deliveries = waited(lambda: client.get(f"/v1/webhooks/{webhook}/deliveries").json()["items"])
    item = client.get("/v1/items", params={"document": contract}).json()["items"][0]
    return Owned(
        client=client,
        secret=secret,
        contract=contract,
        report=report,
        upload=upload,
        webhook=webhook,
        delivery=deliveries[0]["id"],
        key=made(client, "/v1/keys", {"name": "another"}),
        session=made(client, "/v1/keys/sessions", {}),
        item=item["id"],
        comment=made(client, f"/v1/items/{item['id']}/comments", {"text": f"Ask {MARK}."}),
        deleted=deleted,
        user=made(client, "/v1/users", person),
    )


def made(client: httpx.Client, path: str, wish: dict[str, Any]) -> str:
    """The id of something that was asked for."""
    return str(client.post(path, json=wish).raise_for_status().json()["id"])


def ended(client: httpx.Client, name: str, data: bytes) -> str:
    """The id of a document whose results are there, and wait for a person."""
    answer = client.post("/v1/documents", files={"file": (name, data)}).raise_for_status()
    document = str(answer.json()["id"])

    def there() -> bool:
        state = client.get(f"/v1/documents/{document}?wait=20").json()["state"]
        items = client.get("/v1/items", params={"document": document, "state": "all"}).json()
        return state == "ended" and bool(items["items"])

    waited(there)
    return document


def waited(look: Any) -> Any:
    """The result of a look, once it is not empty."""
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.2)
    return found
