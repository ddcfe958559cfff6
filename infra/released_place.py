"""Fill a data folder by the program of a release, for the test that the next one opens it.

`python -m infra.released_place FOLDER` takes a checkout of the release in FOLDER, starts its
embedded edition on an empty data folder, sends it documents, decides, deletes, and kills it (-9) in
the middle of work. What is left is `place.tar.xz` in `infra/released/place`; what was done with it,
and what revision each database is at, is `place.json` there. Run it when a release is made, beside
`python -m infra.compatibility --release`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

RELEASED = Path(__file__).resolve().parent / "released"
ARCHIVE, FACTS = RELEASED / "place" / "place.tar.xz", RELEASED / "place" / "place.json"
SERVICES = ("ingest", "extraction", "triage", "review", "escalation")
PATIENCE = 300.0

CONTRACT = """SERVICES AGREEMENT No. {number}
This Agreement is made between Northwind Mills {number}, Inc., and Contoso Bakeries LLC.
1. Term. This Agreement begins on March 1, 2024 and continues for two (2) years.
2. Assignment. Neither party may assign this Agreement without the other's written consent.
3. Governing Law. This Agreement shall be governed by the laws of the State of New York.
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
                {"label": "Cash and cash equivalents", "values": [600123], "unit": "USD"},
                {"label": "Inventories", "values": [400456], "unit": "USD"},
                {"label": "Total assets", "values": [1009579], "unit": "USD"},
                {"label": "Total liabilities", "values": [601333], "unit": "USD"},
                {"label": "Total stockholders' equity", "values": [399246], "unit": "USD"},
                {"label": "Total liabilities and equity", "values": [1000579], "unit": "USD"},
            ],
        }
    ],
}


class Filling:
    """The program of a release at work on a folder.

    Args:
        checkout: where its source lies.
        data: an empty data folder.
    """

    def __init__(self, checkout: Path, data: Path) -> None:
        command = [sys.executable, "-m", "services.cli", "up", "--json", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--data", str(data)],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline())
        headers = {"authorization": f"Bearer {line['key']}"}
        self.client = httpx.Client(
            base_url=line["url"], headers=headers, timeout=60, trust_env=False
        )

    def send(self, name: str, data: bytes, kind: str) -> str:
        """Upload a document. Returns its id."""
        answer = self.client.post(
            "/v1/documents", files={"file": (name, data)}, data={"kind": kind}
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

    def get(self, path: str) -> Any:
        """What is answered there."""
        return self.client.get(path).raise_for_status().json()

    def fill(self) -> dict[str, Any]:
        """Do everything. Returns the facts, but for the revisions."""
        one, two, gone = (
            self.send(f"{number}.txt", CONTRACT.format(number=number).encode(), "contract")
            for number in (1, 2, 3)
        )
        report = self.send("acme.json", json.dumps(REPORT).encode(), "report")
        for document in (one, two, gone, report):
            _until(lambda document=document: self._ended(document))  # type: ignore[misc]
        clauses = self.get(f"/v1/documents/{one}/clauses")["items"]
        findings = self.get(f"/v1/documents/{report}/findings")["items"]
        path = f"/v1/items?state=all&document={one}"
        _until(lambda: len(self.get(path)["items"]) == len(clauses))
        item = self.get(path)["items"][0]["id"]
        self.client.post("/v1/items/claim", json={"item": item}).raise_for_status()
        decision = {"item": item, "verdict": "accept"}
        self.client.post("/v1/decisions", json=decision).raise_for_status()
        self.client.put("/v1/retention", json={"items": [{"kind": "other", "days": 3650}]})
        self.client.delete(f"/v1/documents/{gone}").raise_for_status()
        _until(lambda: self.get(f"/v1/deletions/{gone}")["removed"] is not None)
        time.sleep(2)  # the others hear of it
        waiting = self.send("4.txt", CONTRACT.format(number=4).encode(), "contract")
        return {
            "version": self.get("/version")["version"],
            "ended": [one, two, report],
            "clauses": {one: len(clauses)},
            "findings": {report: len(findings)},
            "decided": item,
            "deleted": gone,
            "waiting": waiting,
        }

    def _ended(self, document: str) -> bool:
        return bool(self.get(f"/v1/documents/{document}")["state"] == "ended")

    def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.2)


def _tidied(data: Path) -> dict[str, str]:
    """Make each database one file, and take this machine's name out. Returns the revisions."""
    with closing(sqlite3.connect(data / "bus.db", isolation_level=None)) as bus:
        bus.execute("UPDATE lane SET holder = 'elsewhere|1|0|0' WHERE holder IS NOT NULL")
        bus.execute("VACUUM")
    revisions = {}
    for path in sorted(data.glob("*.db")):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
            if path.stem in SERVICES:
                query = "SELECT version_num FROM alembic_version"
                (revisions[path.stem],) = connection.execute(query).fetchone()
    (data / "lock").unlink(missing_ok=True)
    return revisions


def main(arguments: list[str] | None = None) -> int:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description="Fill a place by the program of a release")
    parser.add_argument("checkout", type=Path, help="folder with the source of the release")
    checkout: Path = parser.parse_args(arguments).checkout.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        filling = Filling(checkout, data)
        try:
            facts = filling.fill()
        finally:
            filling.kill()
        facts["revisions"] = _tidied(data)
        with tarfile.open(ARCHIVE, "w:xz") as archive:
            archive.add(data, "data", filter=_nobodys)
    FACTS.write_text(json.dumps(facts, indent=2) + "\n")
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size} bytes, revisions {facts['revisions']}")
    return 0


def _nobodys(one: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file without the name of who made it."""
    one.uid = one.gid = 0
    one.uname = one.gname = ""
    return one


if __name__ == "__main__":
    raise SystemExit(main())
