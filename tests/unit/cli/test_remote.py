"""`smallprint search`, `reports` and `open`: requests to a running suite, and their lines."""

from __future__ import annotations

import socket
import tempfile
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import httpx
import pytest
import smallprint

from services.cli import main
from services.cli.commands import remote
from services.cli.output import tables
from shared.errors import SuiteError
from tests.unit.cli.builders import invoke, lines, put_suite, refusal

SECRET = "sp_link"
TEXT = "by the laws\nof \x1b[31mDelaware"
CLAUSE = {"id": "cl_1", "category": "Governing Law", "start": 40, "end": 60, "confidence": 0.9}


def hit(page: int, clause: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "document_id": "doc_1",
        "document": "lease.pdf",
        "kind": "contract",
        "page": page,
        "start": 40,
        "end": 40 + len(TEXT),
        "text": TEXT,
        "clause": clause,
        "highlights": [{"start": 47, "end": 54}],
        "more": 0,
        "title": None,
        "parties": [],
    }


def report(number: int, risk: float, **more: Any) -> dict[str, Any]:
    return {
        "document_id": f"doc_{number}",
        "name": f"10-k \x1b[31m{number}.pdf",
        "risk": risk,
        "flagged": risk > 0.5,
        "filings": 1,
        "findings": number,
        "warnings": 0,
        "model": {"name": "triage-breaks", "version": "1.0.0"},
        "updated": "2026-03-01T12:00:00+00:00",
        "narrative_flags": 0,
        "dismissed": 0,
        "decided": 0,
        "title": None,
        **more,
    }


class Suite:
    """Remembers what it was asked. Lists come on two pages."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer sp_key"
        params = dict(request.url.params)
        self.asked.append(params)
        answer: Callable[[dict[str, str], bytes], httpx.Response] = {
            "/v1/search": self.search,
            "/v1/reports": self.reports,
            "/v1/keys/links": lambda *_: httpx.Response(201, json={"secret": SECRET}),
        }[request.url.path]
        return answer(params, request.read())

    def search(self, params: dict[str, str], _body: bytes) -> httpx.Response:
        if "q" not in params:
            return self.page(params, [hit(2, CLAUSE)], [])
        if len(params["q"]) > 400:
            return refusal(422, "invalid_request", "q is too long")
        if params["q"] == "nothing":
            return self.page(params)
        return self.page(params, [hit(1), hit(2, CLAUSE)], [hit(3)])

    def reports(self, params: dict[str, str], _body: bytes) -> httpx.Response:
        if params.get("min_risk") == "0.99":
            return self.page(params)
        return self.page(params, [report(1, 0.9)], [report(2, 0.1)])

    def page(self, params: dict[str, str], *pages: list[dict[str, Any]]) -> httpx.Response:
        last = "cursor" in params or not pages
        items = pages[last] if pages else []
        return httpx.Response(200, json={"items": items, "next": None if last else "9"})


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Suite:
    suite = Suite()
    put_suite(monkeypatch, suite)
    return suite


def test_a_suite_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smallprint.client._FIRST_DELAY", 0.001)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = invoke("search", "lease", "--url", url, "--key", "k")
    assert isinstance(done.exception, SuiteError)
    assert done.exception.message.startswith(f"no suite answers at {url}: start it there")


def test_each_hit_is_a_json_line(suite: Suite) -> None:
    options = ("--in", "clauses", "--kind", "contract", "--json")
    done = invoke("search", '"laws of"', "delaw*", *options)
    assert done.return_value == 0, done.output
    assert lines(done.stdout) == [hit(1), hit(2, CLAUSE), hit(3)]
    assert suite.asked[0] == {"q": '"laws of" delaw*', "in": "clauses", "kind": "contract"}


def test_for_a_person_a_hit_is_where_and_the_words(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = invoke("search", "laws", "--most", "2")
    assert done.stdout == (
        "lease.pdf  p. 1  (doc_1)\n  by the laws of \ufffd[31mDelaware\n\n"
        "lease.pdf  p. 2  Governing Law  (doc_1)\n  by the laws of \ufffd[31mDelaware\n\n"
    )
    assert "there are more hits: use --most 20" in done.stderr
    assert invoke("search", "laws", "--most", "3").stderr == ""
    found = smallprint.Hit.of(hit(1))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert list(tables.hit(found))[1] == "  by the \x1b[1mlaws of\x1b[0m \ufffd[31mDelaware"


def test_all_clauses_of_a_category_are_listed(suite: Suite) -> None:
    (line,) = lines(invoke("search", "--category", "governing law", "--json").stdout)
    assert line["clause"] == CLAUSE
    assert suite.asked[0] == {"in": "text", "category": "governing law"}
    assert isinstance(invoke("search", "--in", "clauses").exception, click.UsageError)


def test_a_refused_search_is_reported(suite: Suite) -> None:
    done = invoke("search", "a" * 401)
    assert isinstance(done.exception, SuiteError)
    assert done.exception.message == "q is too long"


def test_a_value_that_the_suite_refuses_is_wrong_usage(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["smallprint", "search", "a" * 401])
    assert main() == 64
    assert capsys.readouterr().err == "smallprint: q is too long\n"


def test_each_report_is_a_json_line(suite: Suite) -> None:
    done = invoke("reports", "--json", "--flagged", "--least", "0.05")
    assert done.return_value == 0, done.output
    assert lines(done.stdout) == [report(1, 0.9), report(2, 0.1)]
    assert suite.asked[0] == {"flagged": "true", "min_risk": "0.05", "order": "-risk"}


@pytest.mark.parametrize(
    ("became", "ending"),
    [
        ({"findings": 2, "decided": 2}, " 2  all decided  doc_1  a"),
        ({"findings": 2, "decided": 1}, " 2  1 decided  doc_1  a"),
        ({"findings": 0, "dismissed": 1}, " 0  1 hidden  doc_1  a"),
        ({"findings": 1, "decided": 1, "dismissed": 2},
         " 1  all decided, 2 hidden  doc_1  a"),
    ],
)  # fmt: skip
def test_a_report_says_what_became_of_its_findings(became: dict[str, int], ending: str) -> None:
    *_, line = tables.reports([smallprint.Report.of(report(1, 0.9, name="a", **became))])
    assert line.endswith(ending)


def test_for_a_person_reports_are_a_table_by_risk(suite: Suite) -> None:
    done = invoke("reports", "--most", "1")
    assert done.stdout.splitlines()[-1] == "0.90  flagged         1  doc_1  10-k \ufffd[31m1.pdf"
    assert "there are more reports: use --most 10" in done.stderr
    assert "no legal or audit advice" in done.stderr
    assert "flagged" not in suite.asked[0]


@pytest.mark.parametrize(
    ("command", "notice"),
    [
        (["search", "nothing"], "nothing found\n"),
        (["reports", "--least", "0.99"], "no reports found\n"),
    ],
)
def test_an_empty_list_is_reported(suite: Suite, command: list[str], notice: str) -> None:
    done = invoke(*command, "--json")
    assert (done.return_value, done.stdout, done.stderr) == (0, "", notice)


@pytest.mark.parametrize("writable", [True, False])
def test_only_the_user_can_read_the_link_that_opens(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, writable: bool
) -> None:
    """Other users see the command line of the browser."""
    data, temporary = tmp_path / "data", tmp_path / "temporary"
    for folder in (data, temporary) if writable else (temporary,):
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(remote, "FILE_SECONDS", 1)
    shown: list[tuple[Path, str]] = []

    def browse(address: str) -> bool:
        page = Path(unquote(urlsplit(address).path))
        assert [one.stat().st_mode & 0o077 for one in (page, page.parent)] == [0, 0]
        shown.append((page, page.read_text()))
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    done = invoke("open", "--url", "http://papers.test", "--data", data)
    [(page, text)] = shown
    assert page.parent.parent == (data if writable else temporary)
    link = f"http://papers.test/#sign-in={SECRET}"
    assert f'content="0;url={link}"' in text
    assert done.stdout.split() == [link], "some browsers can't read the file"
    until = time.monotonic() + 30
    while page.parent.exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_printed_link_opens_no_browser(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(webbrowser, "open")
    done = invoke("open", "--url", "http://papers.test", "--print")
    assert done.stdout.endswith(f"#sign-in={SECRET}\n")
