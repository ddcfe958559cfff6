"""Upload documents with Locust, and follow each until it has ended.

`tests.load` runs this in an environment with Locust and without the suite. Environment variables:

LOAD_DOCUMENTS  folder of PDFs, sent repeatedly as new bytes
LOAD_KEY        API key
LOAD_RECORDS    file for JSON lines: one for each answer to an upload, one for each ended document
LOAD_RATE       documents a second (Poisson); 0: always LOAD_USERS documents in work
LOAD_DRAIN      seconds to wait for unfinished documents after the last upload
"""

from __future__ import annotations

import json
import os
import random
import secrets
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, events, task

DOCUMENTS = [path.read_bytes() for path in sorted(Path(os.environ["LOAD_DOCUMENTS"]).iterdir())]
HEADERS = {"authorization": f"Bearer {os.environ['LOAD_KEY']}"}
RECORDS = Path(os.environ["LOAD_RECORDS"])
RATE = float(os.environ["LOAD_RATE"])
DRAIN = float(os.environ["LOAD_DRAIN"])
ASK_AGAIN = 1.0  # seconds between two requests for a document, as after a 429
_IN_PROGRESS: set[Any] = set()  # running `follow` calls


def record(fields: dict[str, Any]) -> None:
    """Write the state of a document to LOAD_RECORDS."""
    with RECORDS.open("a") as file:
        file.write(json.dumps(fields) + "\n")


class Sender(FastHttpUser):  # type: ignore[misc]
    """A Locust user. With a rate there is one, who does not wait for documents to end."""

    connection_timeout = 60.0
    network_timeout = 60.0
    concurrency = 1000

    def wait_time(self) -> float:
        """Seconds until the next document."""
        return random.expovariate(RATE) if RATE else 0.0

    @task  # type: ignore[untyped-decorator]
    def send(self) -> None:
        """Send one document."""
        if not RATE:
            self.follow()
            return
        one = gevent.spawn(self.follow)
        _IN_PROGRESS.add(one)
        one.link(_IN_PROGRESS.discard)

    def follow(self) -> None:
        """Upload a document once, and poll until it has ended."""
        data = random.choice(DOCUMENTS) + f"\n% {secrets.token_hex(8)}\n".encode()
        began = time.time()
        files = {"file": ("contract.pdf", data, "application/pdf")}
        kind = {"kind": "contract"}
        answer = self.client.post("/v1/documents", files=files, data=kind, headers=HEADERS)
        upload = {"began": began, "answered": time.time(), "status": answer.status_code}
        if again := (answer.headers or {}).get("retry-after"):
            upload["retry-after"] = again
        if answer.status_code == 202:
            upload["id"] = answer.json()["id"]
        record(upload)
        if answer.status_code == 429 and not RATE:
            gevent.sleep(float(again or 1))
        document = self._ended(upload["id"]) if "id" in upload else None
        if document is not None:
            outcome = {name: document[name] for name in ("outcome", "reasons")}
            record({"id": upload["id"], "ended": time.time(), **outcome})

    def _ended(self, document: str) -> dict[str, Any] | None:
        path = f"/v1/documents/{document}?wait=20"
        until = time.time() + 600
        while time.time() < until:
            asked = time.time()
            answer = self.client.get(path, headers=HEADERS, name="/v1/documents/{id}?wait=20")
            if answer.status_code == 200:
                body: dict[str, Any] = answer.json()
                if body["state"] == "ended":
                    return body
            # The server lets only some requests wait; it answers the others at once.
            gevent.sleep(max(0.0, ASK_AGAIN - (time.time() - asked)))
        return None


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def drain(**_: Any) -> None:
    """Wait for all documents in work."""
    gevent.joinall(list(_IN_PROGRESS), timeout=DRAIN)
