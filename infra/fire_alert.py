"""Stop a worker on purpose, watch Prometheus raise the alert, follow its runbook, see it end.

    python -m infra.fire_alert

A suite of its own with the processes of ingest and extraction on the SQLite bus, and a real
Prometheus (Debian: apt install prometheus) with the rules of infra/prometheus/alerts.yml. Only
their waiting times (`for`) are shortened; expressions are as they stand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra.ports import free_port
from infra.processes import Program, Supervisor

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "infra" / "prometheus" / "alerts.yml"
ALERT, SERVICE = "EventsNotWorkedOn", "extraction"
WAIT = "3s"
"""In place of every `for`."""
SECONDS = 300.0
"""Far more than a quiet machine needs."""
CONTRACT = b"""SERVICES AGREEMENT between Northwind Mills, Inc. and Contoso Bakeries LLC.
1. Governing Law. This Agreement shall be governed by the laws of the State of New York.
2. Assignment. Neither party may assign this Agreement without the other's written consent.
"""


class NotSeen(Exception):
    """What should have happened did not."""


def missing() -> str | None:
    """What this machine lacks; None if nothing."""
    if shutil.which("prometheus") is None:
        return "prometheus (Debian: apt install prometheus)"
    return None


@dataclass
class Seen:
    """What was seen, in order."""

    lines: list[str] = field(default_factory=list)
    runbook: str = ""
    """Of the alert, as its annotation names it."""
    outcome: str = ""
    """Of the document that waited."""

    def tell(self, line: str) -> None:
        """Keep a line, and print it with the time."""
        self.lines.append(line)
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def show(folder: Path) -> Seen:
    """The whole of it. Raises NotSeen."""
    seen = Seen()
    with _place(folder, seen) as place:
        client = place.client
        place.start(f"{SERVICE}-relay", f"services.{SERVICE}", "relay")
        seen.tell(f"the worker of {SERVICE} is not running, and nobody has noticed")
        sent = client.post("/v1/documents", files={"file": ("lease.txt", CONTRACT)})
        sent.raise_for_status()
        document = sent.json()["id"]
        seen.tell(f"document {document} is uploaded")
        alert = place.until(lambda: place.alert("firing"), "the alert does not fire")
        seen.runbook = alert["annotations"]["runbook_url"]
        seen.tell(f"FIRING {ALERT}: {alert['annotations']['summary']}")
        seen.tell(f"its runbook: {seen.runbook}")
        seen.tell("how to see it: smallprint status")
        place.status(seen)
        seen.tell(f"how to see it: smallprint status {document}")
        place.status(seen, document)
        seen.tell(f"what to do, 1: it does not run, so start {SERVICE}-worker")
        place.start(f"{SERVICE}-worker", f"services.{SERVICE}", "worker")
        place.until(lambda: place.alert() is None, "the alert does not end")
        seen.tell(f"RESOLVED {ALERT}")
        shown = place.until(
            lambda: (d := client.get(f"/v1/documents/{document}").json())["state"] == "ended" and d,
            "the document does not end",
        )
        seen.outcome = shown["outcome"]
        seen.tell(f"document {document} ended: {seen.outcome}")
    return seen


class _Place:
    """Processes on one folder, and the Prometheus that scrapes them."""

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.key = ""
        names = ("ingest", "extraction", "extraction-relay", "extraction-worker", "origin")
        self.ports = {name: free_port() for name in (*names, "prometheus")}
        local = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self.url = local["origin"]
        self.prometheus = httpx.Client(base_url=local["prometheus"], trust_env=False, timeout=10)
        probes = (local["extraction-relay"], local["extraction-worker"])
        self.env = {
            "SMALLPRINT_DATA": str(folder / "data"),
            "SMALLPRINT_INGEST_PORT": str(self.ports["ingest"]),
            "SMALLPRINT_INGEST_URL": local["ingest"],
            "SMALLPRINT_EXTRACTION_PORT": str(self.ports["extraction"]),
            "SMALLPRINT_EXTRACTION_URL": local["extraction"],
            "SMALLPRINT_ORIGIN_PORT": str(self.ports["origin"]),
            "SMALLPRINT_ORIGIN_PROBES": ",".join(probes),
        }

    @property
    def client(self) -> httpx.Client:
        """A client of the suite."""
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)

    def start(self, name: str, module: str, *arguments: str) -> None:
        """One process of ours, which is started again if it dies."""
        env = dict(self.env)
        if "-" in name:
            env["SMALLPRINT_HEALTH_PORT"] = str(self.ports[name])
        command = [sys.executable, "-m", module, *arguments]
        self.supervisor.start(Program(name, command, env, self.folder / f"{name}.log"))

    def begin(self) -> None:
        """Everything but relay and worker of the service that is to be missed; and a key."""
        self.start("ingest", "services.ingest", "all")
        self.start("extraction", "services.extraction", "api")
        self.start("origin", "infra.origin")
        self.until(lambda: self._answers(f"{self.url}/livez"), "the origin does not start")
        self.until(lambda: self._answers(f"{self.url}/v1/keys/self", 401), "ingest does not start")
        self.key = self._smallprint("keys", "new", "watcher").strip()
        self._start_prometheus()

    def alert(self, state: str | None = None) -> Mapping[str, Any] | None:
        """The alert as Prometheus has it now, in this state or in any."""
        try:
            answer = self.prometheus.get("/api/v1/alerts").json()
        except (httpx.TransportError, ValueError):
            raise NotSeen("Prometheus does not answer") from None
        for one in answer["data"]["alerts"]:
            labels = one["labels"]
            about = labels["alertname"] == ALERT and labels.get("service") == SERVICE
            if about and state in (None, one["state"]):
                return dict(one)
        return None

    def status(self, seen: Seen, *arguments: str) -> None:
        """Print what the command says."""
        for line in self._smallprint("status", *arguments, "--url", self.url).splitlines():
            seen.tell(f"  | {line}")

    def until(self, true: Callable[[], Any], otherwise: str) -> Any:
        """Wait for something."""
        end = time.monotonic() + SECONDS
        while not (found := true()):
            if time.monotonic() > end:
                raise NotSeen(f"{otherwise}: see {self.folder}")
            self.supervisor.look()
            time.sleep(0.3)
        return found

    def _start_prometheus(self) -> None:
        rules = self.folder / "alerts.yml"
        rules.write_text(_shortened(RULES.read_text("utf-8")), "utf-8")
        names = ("ingest", "extraction", "extraction-relay", "extraction-worker")
        scraped = [
            {"targets": [f"127.0.0.1:{self.ports[name]}"], "labels": {"process": name}}
            for name in names
        ]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "smallprint", "static_configs": scraped}],
        }
        file = self.folder / "prometheus.json"  # JSON is YAML
        file.write_text(json.dumps(config), "utf-8")
        command = [
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={self.folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
        ]
        log = self.folder / "prometheus.log"
        self.supervisor.start(Program("prometheus", command, {}, log))
        ready = f"http://127.0.0.1:{self.ports['prometheus']}/-/ready"
        self.until(lambda: self._answers(ready), "Prometheus does not start")

    def _smallprint(self, *arguments: str) -> str:
        env = {**os.environ, **self.env, "SMALLPRINT_KEY": self.key}
        command = [sys.executable, "-m", "services.cli", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotSeen(f"smallprint {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    @staticmethod
    def _answers(url: str, status: int = 200) -> bool:
        try:
            return httpx.get(url, trust_env=False, timeout=5).status_code == status
        except httpx.TransportError:
            return False


@contextmanager
def _place(folder: Path, seen: Seen) -> Iterator[_Place]:
    supervisor = Supervisor(seen.tell)
    try:
        place = _Place(folder, supervisor)
        place.begin()
        yield place
    finally:
        supervisor.stop()


def _shortened(rules: str) -> str:
    """The rules with shorter waiting times, and nothing else changed."""
    lines = rules.splitlines()
    changed = [
        f"        for: {WAIT}" if line.startswith("        for: ") else line for line in lines
    ]
    return "\n".join(changed) + "\n"


def main() -> int:
    """Returns the exit code."""
    if lacking := missing():
        print(f"fire_alert: this machine lacks {lacking}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="smallprint-alert-") as folder:
        try:
            show(Path(folder))
        except NotSeen as error:
            print(f"fire_alert: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
