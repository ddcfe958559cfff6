"""Responses of the embedded edition match openapi.json, tested with schemathesis.

`SMALLPRINT_TEST_EXAMPLES` sets the number of generated requests per operation.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import ROOT, library
from tests.support.embedded import Embedded

library("schemathesis", made_by="make setup-dev")

EXAMPLES = int(os.environ.get("SMALLPRINT_TEST_EXAMPLES", "5"))
PATIENCE = 300.0
HOOKS = Path(__file__).with_name("serializers.py")
NOWHERE = "http://127.0.0.1:9"
LEAST = {"ingest": 500, "review": 400, "extraction": 80, "triage": 60, "escalation": 60}
"""Requests that make a run: with fewer, something went wrong before they were made."""

CONTRACT = b"""LICENSE AGREEMENT

This License Agreement is made as of March 1, 2021 between Alpha Inc. and Beta Ltd.

1. Governing Law. This Agreement is governed by the laws of the State of Delaware.
2. Term. This Agreement lasts for three (3) years from the date above.
"""
REPORT = {
    "id": "acme-2023",
    "company": "Acme",
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


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    embedded = Embedded(tmp_path_factory.mktemp("openapi"), SMALLPRINT_INGEST_WEBHOOK_PROXY=NOWHERE)
    line = embedded.start()
    headers = {"authorization": f"Bearer {line['key']}"}
    with httpx.Client(base_url=line["url"], headers=headers, timeout=60) as client:
        document = ended(client, "a.txt", CONTRACT)
        report = ended(client, "a.json", json.dumps(REPORT).encode())
        hook = {"url": "https://hooks.example.com/x", "types": ["document.deleted"]}
        webhook, other = (made(client, "/v1/webhooks", hook) for _ in range(2))
        key = made(client, "/v1/keys", {"name": "soon gone"})
        files = {"file": ("b.txt", b"Another agreement.")}
        deleted = client.post("/v1/documents", files=files).raise_for_status().json()["id"]
        tus = {"tus-resumable": "1.0.0", "upload-length": "1000000"}
        begun = [client.post("/v1/uploads", headers=tus).raise_for_status() for _ in range(2)]
        item = client.get("/v1/items").raise_for_status().json()["items"][0]
    yield {
        "URL": line["url"],
        "KEY": line["key"],
        "DOCUMENT": document,
        "REPORT": report,
        "WEBHOOK": webhook,
        "DELETED_DOCUMENT": deleted,
        "UPLOAD": begun[0].headers["location"].rpartition("/")[2],
        "DELETED_UPLOAD": begun[1].headers["location"].rpartition("/")[2],
        "DELETED_WEBHOOK": other,
        "DELETED_KEY": key,
        "ITEM": item["id"],
    }
    embedded.end()


def made(client: httpx.Client, path: str, wish: dict[str, Any]) -> str:
    return str(client.post(path, json=wish).raise_for_status().json()["id"])


def ended(client: httpx.Client, name: str, data: bytes) -> str:
    answer = client.post("/v1/documents", files={"file": (name, data)}).raise_for_status()
    document = str(answer.json()["id"])
    until = time.monotonic() + PATIENCE
    while True:
        state: dict[str, Any] = client.get(f"/v1/documents/{document}?wait=20").json()
        waits = client.get("/v1/items", params={"document": document, "state": "all"}).json()
        if state["state"] == "ended" and waits["items"]:
            return document
        assert time.monotonic() < until, state
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("service", sorted(LEAST))
def test_every_response_matches_openapi(
    suite: dict[str, str], service: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color"]
    command += ["--config-file", str(ROOT / "tests" / "contract" / "rest" / "schemathesis.toml")]
    command += ["run", str(ROOT / "services" / service / "openapi.json"), "--url", suite["URL"]]
    command += ["--seed", "1", "--max-examples", str(EXAMPLES)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **suite, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    made = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert made is not None, done.stdout[-20_000:]
    assert int(made[1]) >= LEAST[service]
