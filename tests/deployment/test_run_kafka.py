"""`make run-kafka`: every service as its own processes on a real broker, started and ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra import run_kafka
from infra.run_kafka import StartError, Suite
from infra.servers.kafka import missing
from infra.servers.ports import free_port
from tests.support import ROOT, require
from tests.support.suite_process import SuiteProcess

SECONDS = 600.0
"""Far more than a quiet machine needs."""
LATE = ("review", "extraction-worker")


class Runner(SuiteProcess):
    """The running suite, and how to ask it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        command = ["infra.run_kafka", "--port", str(self.port), "--data", str(data)]
        super().__init__(data.parent / "output", command, {})
        self.first_key = self.key()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"authorization": f"Bearer {self.first_key}"},
            timeout=60,
        )

    def command(self, *words: str, with_key: bool = False) -> subprocess.CompletedProcess[str]:
        others = {k: v for k, v in os.environ.items() if k != "SMALLPRINT_KEY"}
        return subprocess.run(
            [sys.executable, "-m", "services.cli", *words, "--data", str(self.data)],
            cwd=ROOT,
            env={**others, **({"SMALLPRINT_KEY": self.first_key} if with_key else {})},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    """The suite on a real broker; whatever happens, it is ended."""
    lacking = missing()
    require(not lacking, lacking or "")
    running = Runner(tmp_path / "data")
    yield running
    running.stop()


def _assert_found_by_its_folder(runner: Runner) -> None:
    """The commands of operators need no port, and a second suite is refused."""
    for words in (["dead-letters", "list"], ["verify", "--quick"], ["status"]):
        done = runner.command(*words)
        assert done.returncode == 0, (words, done.stderr)
    for words in (["status"], ["search", "lease"], ["upload", str(runner.log)]):
        done = runner.command(*words, with_key=True)
        assert done.returncode == 0, (words, done.stderr)
    again = [sys.executable, "-m", "infra.run_kafka", "--port", str(free_port())]
    done = subprocess.run(
        [*again, "--data", str(runner.data)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"process {runner.process.pid} uses the data folder" in done.stderr


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
@pytest.mark.kafka
def test_a_document_ends_although_processes_are_killed_and_ctrl_c_ends_all(runner: Runner) -> None:
    assert len(runner.started()) == 17
    worker = runner.pids["ingest-worker"]
    Path(f"/proc/{worker}").stat()
    lease = b"This lease ends on 31 December 2024.\n"
    answer = runner.client.post("/v1/documents", files={"file": ("a.txt", lease)})
    assert answer.status_code == 202, answer.text
    os.kill(worker, signal.SIGKILL)

    document: dict[str, object] = {}
    until = time.monotonic() + SECONDS
    while document.get("state") != "ended" and time.monotonic() < until:
        time.sleep(0.5)
        got = runner.client.get(answer.headers["location"])
        document = got.json() if got.is_success else {}
    assert document["outcome"] == "complete", document
    assert [name for name, _ in runner.started()].count("ingest-worker") == 2
    _assert_found_by_its_folder(runner)

    runner.process.send_signal(signal.SIGINT)
    assert runner.process.wait(120) == 0
    start = f"-m infra.run_kafka --data {runner.data} --port {runner.port})"
    for words in (
        ["verify"],
        ["backup", str(runner.data.parent / "to")],
        ["status"],
    ):
        assert start in runner.command(*words).stderr, words
    where = runner.command("status", str(document["id"]), "--json")
    assert json.loads(where.stdout)["outcome"] == "complete", where.stderr
    assert not [name for name, pid in runner.started() if not _gone(pid)]


def _with_databases_of(patch: pytest.MonkeyPatch, data: Path, *services: str) -> Suite:
    """A suite of some services, whose bus is a file: none needs a broker to make its tables."""
    patch.setattr(run_kafka, "SERVICES", services)
    suite = Suite(data, free_port())
    suite.env["SMALLPRINT_BUS_URL"] = ""
    return suite


def test_every_database_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_databases_of(monkeypatch, tmp_path, "triage", "escalation")._migrate()
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "making or updating the databases of triage, escalation"
    assert {"database of triage ready", "database of escalation ready"} <= set(lines[1:-1])
    assert lines[-1] == "databases ready"


def test_a_database_that_cannot_be_made_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "triage.db").mkdir()
    with pytest.raises(StartError, match=r"the database of triage can't be prepared: .+"):
        _with_databases_of(monkeypatch, tmp_path, "triage")._migrate()


def test_a_long_wait_is_printed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = Suite(tmp_path, free_port())
    late = f"not ready: {', '.join(f'http://127.0.0.1:{suite.ports[one]}' for one in LATE)}"
    answers = [None, httpx.Response(503, text=late), httpx.Response(200)]

    def get(*_: object, **__: object) -> httpx.Response:
        if answers[0] is None:
            raise httpx.ConnectError("nobody listens")
        return answers[0]

    class Looked:
        def look(self) -> None:
            answers.pop(0)

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setattr(run_kafka, "SAY_SECONDS", 0.0)
    looked: Any = Looked()
    suite._wait(looked, "the suite", suite._is_ready, suite._unready)
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["still waiting for origin (0 s)", f"still waiting for {', '.join(LATE)} (0 s)"]


def test_of_many_that_are_waited_for_some_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = Suite(tmp_path, free_port())
    late = ", ".join(f"http://127.0.0.1:{port}" for port in suite.ports.values())
    monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(503, text=late))
    addresses = suite._unready()
    assert (len(addresses), addresses[-1]) == (6, f"{len(suite.ports) - 5} more")
