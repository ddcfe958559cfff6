"""`smallprint upload`: documents go to a running suite, and each file's fate is a line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import smallprint
from click.testing import CliRunner

from services.cli import cli
from shared.web.app import problem

DOCUMENT: dict[str, Any] = {
    "id": "doc_1",
    "name": "a.txt",
    "sha256": "0" * 64,
    "size": 3,
    "media_type": "text/plain",
    "kind": "contract",
    "kind_source": "type",
    "state": "received",
    "outcome": None,
    "reasons": [],
    "pages": None,
    "failed_pages": [],
    "warnings": [],
    "attempt": 1,
    "actor": "ann",
    "created": "2026-01-02T03:04:05Z",
    "updated": "2026-01-02T03:04:06Z",
    "ended": None,
}


def answer(request: httpx.Request) -> httpx.Response:
    """A suite that reads no pictures, and knows one key."""
    assert request.headers["authorization"] == "Bearer sp_key"
    if b"nobody" in request.read():
        refusal = problem(422, "unknown_adapter", "there is: contract-clauses, unfair-terms")
        return httpx.Response(422, content=bytes(refusal.body), headers=dict(refusal.headers))
    if b"picture" in request.read():
        refusal = problem(415, "unsupported_type", "this is a picture")
        return httpx.Response(415, content=bytes(refusal.body), headers=dict(refusal.headers))
    return httpx.Response(202, json=DOCUMENT)


@pytest.fixture(autouse=True)
def _suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is a function."""
    client = partial(smallprint.Client, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(smallprint, "Client", client)
    monkeypatch.setenv("SMALLPRINT_KEY", "sp_key")


def test_each_file_is_a_line(tmp_path: Path) -> None:
    """What was taken has its id, what was not its reason; the exit code says that some failed."""
    good, bad = tmp_path / "a.txt", tmp_path / "b.png"
    good.write_bytes(b"An agreement.")
    bad.write_bytes(b"picture")
    missing = str(tmp_path / "c.txt")
    arguments = ["upload", "--json", str(good), str(bad), missing]
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.return_value == 1, done.output
    taken, refused, lost = (json.loads(line) for line in done.stdout.splitlines())
    assert taken == {"source": str(good), "id": "doc_1", "state": "received"}
    assert refused["error"] == {"type": "unsupported_type", "detail": "this is a picture"}
    assert lost["error"]["type"] == "unreadable_file"
    assert "No such file" in lost["error"]["detail"]


def test_a_suite_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its address, and how another is named, as the other commands that ask one say it."""

    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused", request=request)

    client = partial(smallprint.Client, transport=httpx.MockTransport(gone), retries=0)
    monkeypatch.setattr(smallprint, "Client", client)
    (tmp_path / "a.txt").write_bytes(b"An agreement.")
    arguments = ["upload", "--json", str(tmp_path / "a.txt"), "--url", "http://127.0.0.1:8799"]
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    (line,) = map(json.loads, done.stdout.splitlines())
    assert line["error"]["type"] == "no_answer"
    assert line["error"]["detail"] == (
        "no suite answers at http://127.0.0.1:8799: start it there, or name its address with "
        "--url, or its folder with --data"
    )


def test_for_a_person_it_is_a_line_too(tmp_path: Path) -> None:
    """The name, the id and the state."""
    good = tmp_path / "a.txt"
    good.write_bytes(b"An agreement.")
    done = CliRunner().invoke(cli, ["upload", str(good)], standalone_mode=False)
    assert done.return_value == 0
    assert f"{good}  doc_1  (received)\n" in done.output


def test_an_unknown_adapter_is_refused_with_the_names_of_those_there_are(tmp_path: Path) -> None:
    """Every adapter that is named reaches the suite, and its refusal the person."""
    good = tmp_path / "a.txt"
    good.write_bytes(b"An agreement.")
    names = ["--adapter", "unfair-terms", "--adapter", "nobody"]
    done = CliRunner().invoke(cli, ["upload", "--json", str(good), *names], standalone_mode=False)
    (line,) = map(json.loads, done.stdout.splitlines())
    assert line["error"]["type"] == "unknown_adapter"
    assert "contract-clauses, unfair-terms" in line["error"]["detail"]
