"""`smallprint search`: what a running suite finds is a line a place."""

from __future__ import annotations

import json
import socket
from functools import partial
from typing import Any

import httpx
import pytest
import smallprint
from click.testing import CliRunner

from services.cli import cli
from shared.cli import tables
from shared.errors import SuiteError
from shared.web.app import problem

TEXT = "by the laws\nof \x1b[31mDelaware"


def hit(number: int, clause: dict[str, Any] | None = None) -> dict[str, Any]:
    """A place on a page of that number."""
    return {
        "document_id": "doc_1",
        "document": "lease.pdf",
        "kind": "contract",
        "page": number,
        "start": 40,
        "end": 40 + len(TEXT),
        "text": TEXT,
        "highlights": [{"start": 47, "end": 54}],
        "clause": clause,
    }


CLAUSE = {"id": "cl_1", "category": "Governing Law", "start": 40, "end": 60, "confidence": 0.9}


class Suite:
    """Remembers what it was asked, and finds three places on two pages of a list."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer sp_key"
        params = dict(request.url.params)
        self.asked.append(params)
        if params["q"] == "nothing":
            return httpx.Response(200, json={"items": [], "next": None, "parts": ["nothing"]})
        if len(params["q"]) > 400:
            said = problem(422, "invalid_request", "q is too long")
            return httpx.Response(422, content=bytes(said.body), headers=dict(said.headers))
        items = [hit(3)] if "cursor" in params else [hit(1), hit(2, CLAUSE)]
        return httpx.Response(
            200, json={"items": items, "next": None if "cursor" in params else "9", "parts": []}
        )


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Suite:
    """The network is a function."""
    suite = Suite()
    client = partial(smallprint.Client, transport=httpx.MockTransport(suite), retries=0)
    monkeypatch.setattr(smallprint, "Client", client)
    monkeypatch.setenv("SMALLPRINT_KEY", "sp_key")
    return suite


def run(*arguments: str) -> Any:
    """The command, as it is run."""
    return CliRunner().invoke(cli, ["search", *arguments], standalone_mode=False)


def test_each_place_is_a_json_line(suite: Suite) -> None:
    """As the suite answers it; the words and filters go along as they were given."""
    done = run('"laws of"', "delaw*", "--in", "clauses", "--kind", "contract", "--json")
    assert done.return_value == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [hit(1), hit(2, CLAUSE), hit(3)]
    assert suite.asked[0] == {"q": '"laws of" delaw*', "in": "clauses", "kind": "contract"}


def test_for_a_person_it_is_where_and_the_words(suite: Suite) -> None:
    """On one line, and nothing of a document steers the terminal; there is a word if more fits."""
    done = run("laws", "--most", "2")
    assert done.stdout == (
        "lease.pdf  p. 1  (doc_1)\n  by the laws of \ufffd[31mDelaware\n\n"
        "lease.pdf  p. 2  Governing Law  (doc_1)\n  by the laws of \ufffd[31mDelaware\n\n"
    )
    assert "there is more: --most 20" in done.stderr
    assert run("laws", "--most", "3").stderr == ""


def test_on_a_terminal_the_words_are_bold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only there: a file gets no escape sequences."""
    found = smallprint.Hit.of(hit(1))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert list(tables.hit(found))[1] == "  by the \x1b[1mlaws of\x1b[0m \ufffd[31mDelaware"


def test_nothing_found_is_said(suite: Suite) -> None:
    """On standard error: there, nothing is an answer too."""
    done = run("nothing", "--json")
    assert (done.return_value, done.stdout, done.stderr) == (0, "", "nothing was found\n")


def test_a_refusal_is_said(suite: Suite) -> None:
    """With what the suite says."""
    done = run("a" * 401)
    assert isinstance(done.exception, SuiteError)
    assert "answers 422: q is too long" in done.exception.message


def test_where_nothing_listens_it_is_said_so() -> None:
    """With what to do; it is no answer of a suite."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = CliRunner().invoke(cli, ["search", "lease", "--url", url, "--key", "k"])
    assert isinstance(done.exception, SuiteError)
    assert done.exception.message.startswith(f"no suite answers at {url}")
    assert "--url" in done.exception.message
