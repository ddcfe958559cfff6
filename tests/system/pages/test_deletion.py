"""A deletion removes a document from all stores and files."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import httpx
from reportlab.pdfgen.canvas import Canvas

from tests.support.embedded import Embedded

PATIENCE = 300.0
WORDS = "Quokkaville"
"""A word of the document's text, which nothing may have after the deletion."""
NAME = "wombatfile"
"""A word of the document's name. Only events on the bus may have it after the deletion."""
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def contract() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True, pageCompression=0)
    for number, line in enumerate(
        [
            "LICENSE AGREEMENT",
            f"This License Agreement is made between Alpha {WORDS} Inc. and Beta Ltd.",
            "1. Governing Law. This Agreement is governed by the laws of the State of Delaware,",
            f"and the courts of {WORDS} have jurisdiction.",
        ]
    ):
        canvas.drawString(72, 700 - 20 * number, line)
    canvas.save()
    return out.getvalue()


def where(folder: Path, marker: str) -> list[str]:
    """Every file below a folder that has a marker in its name or content, in any encoding.

    Case is ignored, since the index has words in lower case.
    """
    forms = [marker.lower().encode(encoding) for encoding in ENCODINGS]
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
        and (marker in path.name or any(form in path.read_bytes().lower() for form in forms))
    )


def hits(client: httpx.Client, q: str, within: str = "text") -> list[str]:
    answer = client.get("/v1/search", params={"q": q, "in": within}).raise_for_status()
    return [hit["document"] for hit in answer.json()["items"]]


def until(what: str, check: Any) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := check()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def test_nothing_of_a_deleted_document_is_found(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path, SMALLPRINT_INGEST_WEBHOOK_PROXY="http://127.0.0.1:9")
    line = embedded.start()
    headers = {"authorization": f"Bearer {line['key']}"}
    with httpx.Client(base_url=line["url"], headers=headers, timeout=60) as client:
        client.post("/v1/webhooks", json={"url": "https://hooks.example.com/"}).raise_for_status()
        stays = {"file": ("stays.txt", b"The courts of another place have jurisdiction.")}
        client.post("/v1/documents", files=stays, data={"kind": "report"}).raise_for_status()
        files = {"file": (f"{NAME}.pdf", contract())}
        once = {"idempotency-key": f"{WORDS}-{NAME}"}
        first = client.post("/v1/documents", files=files, headers=once).raise_for_status().json()
        again = client.post("/v1/documents", files=files, headers=once).raise_for_status().json()
        assert again == first
        document = first["id"]
        at = f"/v1/documents/{document}"
        until("its end", lambda: client.get(f"{at}?wait=20").json()["state"] == "ended")
        items = {"document": document, "state": "open"}
        [item, *_] = until(
            "its items", lambda: client.get("/v1/items", params=items).json()["items"]
        )
        claimed = client.post("/v1/items/claim", json={"item": item["id"]}).raise_for_status()
        decision = {"item": claimed.json()["id"], "verdict": "accept", "note": f"in {WORDS}"}
        client.post("/v1/decisions", json=decision).raise_for_status()
        assert client.get(f"{at}/pages/1.png").raise_for_status().content
        data = tmp_path / "data"
        sha256 = client.get(at).json()["sha256"]
        full = where(data, WORDS)
        assert hits(client, WORDS) == hits(client, f"{WORDS} jurisdiction") == [f"{NAME}.pdf"]
        assert set(hits(client, WORDS, "clauses")) == {f"{NAME}.pdf"}
        for store in ("ingest.db", "extraction.db", "review.db", "blobs"):
            assert any(path.startswith(store) for path in full), (store, full)
        assert where(data, sha256)
        assert (data / "blobs" / "default" / "pages" / sha256 / "1.png").is_file()

        client.delete(at).raise_for_status()
        assert hits(client, WORDS) == hits(client, WORDS, "clauses") == []
        stone = until(
            "its removal",
            lambda: (s := client.get(f"/v1/deletions/{document}").json())["removed"] and s,
        )
        assert stone["deleted_by"] == client.get("/v1/keys/self").json()["name"]
        everywhere = {"params": {"document": document, "state": "all"}}
        until(
            "that review forgets it",
            lambda: not client.get("/v1/items", **everywhere).json()["items"],  # type: ignore[arg-type]
        )
        until(
            "that extraction forgets it",
            lambda: client.get(f"{at}/clauses").status_code == 404,
        )
        assert hits(client, "jurisdiction") == ["stays.txt"], "the index goes on beside it"
        [kept] = client.get("/v1/decisions", params={"document": document}).json()["items"]
        assert (kept["verdict"], kept["text"], kept["note"]) == ("accept", "", "")
    embedded.end()
    assert where(tmp_path, WORDS) == []
    assert set(where(data, sha256)) <= {"bus.db"}
    assert set(where(data, NAME)) <= {"bus.db"}
