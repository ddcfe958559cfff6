"""`smallprint documents`, `export`, `delete` and `webhooks`: requests to a running suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from services.cli.commands.webhooks import EVENT_TYPES
from services.cli.output.documents import kind
from services.ingest.webhooks.domain import EventType
from shared.client import Document
from shared.sheet_files import csv_file, xlsx_file
from tests.support.samples import document_json
from tests.unit.cli.builders import invoke, lines, put_suite, refusal

ENDED = document_json(
    name="a \x1b[31m[red]x[/red].pdf", warnings=["page 2 is a scan"], reasons=["blank page"]
)
REGISTERED = "https://hooks.example.com/"
WEBHOOK = {
    "id": "wh_1",
    "url": REGISTERED,
    "types": ["document.ended"],
    "description": "",
    "enabled": True,
    "created": "2026-03-01T12:00:00+00:00",
    "created_by": "ann",
    "updated": "2026-03-01T12:00:00+00:00",
}
ATTEMPT = {"time": "2026-03-01T12:00:00+00:00", "seconds": 0.1, "status": 204, "error": None}


def delivery(state: str, *attempts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "dl_1",
        "message_id": "msg_1",
        "type": "webhook.test",
        "document_id": None,
        "state": state,
        "created": "2026-03-01T12:00:00+00:00",
        "attempts": [{**one, "excerpt": None} for one in attempts],
    }


class Suite:
    """Remembers requests; has one document, and one webhook with these deliveries."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.deliveries = [delivery("delivered", ATTEMPT)]
        self.document = ENDED
        self.documents = [ENDED]
        self.export = b"document_id\n"
        self.deletions: dict[str, dict[str, Any]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path
        self.requests.append((method, path, dict(request.url.params)))
        if method == "DELETE":
            return httpx.Response(204)
        if b"10.0.0.1" in request.read():
            return refusal(422, "address_not_allowed", "SMALLPRINT_INGEST_WEBHOOK_NETWORKS")
        if path == "/v1/documents":
            return httpx.Response(200, json={"items": self.documents, "next": None})
        if path == "/v1/documents/doc_1":
            return httpx.Response(200, json=self.document)
        if deletion := self.deletions.get(path.removeprefix("/v1/deletions/")):
            return httpx.Response(200, json=deletion)
        if path == "/v1/exports":
            return httpx.Response(200, content=self.export)
        if path == "/v1/webhooks":
            one = {**WEBHOOK, "secret": "whsec_1"}
            items = {"items": [WEBHOOK], "next": None}
            return httpx.Response(200, json=items if method == "GET" else one)
        if path == "/v1/webhooks/wh_1/test":
            return httpx.Response(202, json=delivery("pending"))
        if path.startswith("/v1/webhooks/wh_1/deliveries/"):
            return httpx.Response(200, json=self.deliveries.pop(0))
        return refusal(404, "not_found", f"there is no {path}")


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Suite:
    suite = Suite()
    put_suite(monkeypatch, suite)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return suite


def test_documents_are_listed_with_a_mark_for_warnings(suite: Suite) -> None:
    done = invoke("documents", "list", "lease", "--outcome", "complete", "--kind", "contract")
    assert suite.requests[0][2] == {"name": "lease", "outcome": "complete", "kind": "contract"}
    assert "complete !" in done.stdout
    assert "smallprint documents show ID`" in done.stderr
    assert "[red]x[/red].pdf" in done.stdout
    assert "\x1b" not in done.stdout
    (line,) = lines(invoke("documents", "list", "--json").stdout)
    assert (line["id"], line["warnings"]) == ("doc_1", ["page 2 is a scan"])
    suite.documents = []
    assert "smallprint upload FILE" in invoke("documents", "list").stderr


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ({"outcome": "complete"}, "contract"),
        ({"outcome": "complete", "kind_unsure": True}, "contract ?"),
        ({"outcome": "failed", "pages": None}, ""),
        ({"outcome": "failed", "pages": None, "kind_source": "uploader"}, "contract"),
        ({"media_type": "message/rfc822", "kind_source": "type"}, "mail"),
        ({"media_type": "application/zip", "kind_source": "type"}, "archive"),
        ({"media_type": "message/rfc822", "kind_source": "uploader"}, "contract"),
        ({"outcome": "failed", "pages": 3}, "contract"),
    ],
)
def test_a_kind_is_shown_as_far_as_it_is_known(state: dict[str, Any], shown: str) -> None:
    assert kind(Document.of(document_json(**state))) == shown


def test_a_document_is_shown_with_reasons_and_warnings(suite: Suite) -> None:
    shown = invoke("documents", "show", "doc_1").stdout
    for text in ("[red]x[/red].pdf", "blank page", "page 2 is a scan", ENDED["sha256"]):
        assert text in shown
    (line,) = lines(invoke("documents", "show", "x.pdf", "--json").stdout)
    assert ("GET", "/v1/documents", {"name": "x.pdf"}) in suite.requests
    assert line["reasons"] == ["blank page"]
    assert "there is no" in str(invoke("documents", "show", "doc_2").exception)


@pytest.mark.parametrize(
    ("number", "message", "shown"), [(0, "no document is named", 0), (2, "2 ", 2), (11, "10 ", 10)]
)
def test_a_name_has_to_identify_one_document(
    suite: Suite, number: int, message: str, shown: int
) -> None:
    suite.documents = [ENDED] * number
    done = invoke("documents", "show", "lease 1")
    assert message in str(done.exception)
    assert done.stderr.count("doc_1") == shown


@pytest.mark.parametrize(
    ("removed", "end"),
    [("2026-12-01T02:54:00+00:00", "by ann"), (None, "have not removed it yet")],
)
@pytest.mark.parametrize("command", [["documents", "show"], ["delete", "--yes"]])
def test_a_deleted_document_is_shown_with_its_deletion(
    suite: Suite, command: list[str], removed: str | None, end: str
) -> None:
    times = {"deleted": "2026-12-01T02:53:10+00:00", "removed": removed}
    suite.deletions["doc_2"] = {"id": "doc_2", "deleted_by": "ann", **times}
    message = str(invoke(*command, "doc_2").exception)
    assert "doc_2 was deleted 2026-12-01 02:53 UTC by ann" in message
    assert message.endswith(end)


def test_an_export_has_the_chosen_results(suite: Suite, tmp_path: Path) -> None:
    done = invoke("export", "--format", "jsonl", "--category", "Parties")
    assert done.stdout == "document_id\n"
    chosen = {"format": "jsonl", "state": "all", "columns": "short", "category": "Parties"}
    assert suite.requests[0][2] == chosen
    invoke("export", "--out", tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b"document_id\n"


@pytest.mark.parametrize("form", ["csv", "xlsx", "jsonl"])
@pytest.mark.parametrize("number", [0, 2])
def test_a_written_export_is_counted(suite: Suite, tmp_path: Path, form: Any, number: int) -> None:
    rows = [{"document": "a.pdf", "text": "two\nlines"}] * number
    files = {
        "csv": lambda: b"".join(csv_file(rows, ["document", "text"])),
        "xlsx": lambda: b"".join(xlsx_file(rows, ["document"], widths={}, about=[])),
        "jsonl": lambda: b"{}\n" * number,
    }
    suite.export = files[form]()
    done = invoke("export", "--format", form, "--out", tmp_path / "results")
    assert f"results: {number} results" in done.stderr


@pytest.mark.parametrize(("options", "deleted"), [(["--yes"], True), ([], False)])
def test_a_document_is_deleted_after_a_confirmation(
    suite: Suite, options: list[str], deleted: bool
) -> None:
    suite.document = {**ENDED, "parts": [{"name": "nda.docx", "id": "doc_9"}]}
    done = invoke("delete", "doc_1", *options, stdin=b"n\n")
    assert "1 part (nda.docx)" in done.stderr
    assert ("nothing was deleted" in done.stderr) is not deleted
    assert (("DELETE", "/v1/documents/doc_1", {}) in suite.requests) is deleted


def test_nothing_is_deleted_if_one_id_is_unknown(suite: Suite) -> None:
    assert "is not the id" in str(invoke("delete", "doc_1", "lease.pdf", "--yes").exception)
    assert "there is no" in str(invoke("delete", "doc_1", "doc_2", "--yes").exception)
    assert "DELETE" not in [method for method, _, _ in suite.requests]


def test_all_types_of_events_can_be_chosen() -> None:
    assert get_args(EventType) == EVENT_TYPES


def test_a_webhook_is_added_listed_and_removed(suite: Suite) -> None:
    assert "whsec_1" in invoke("webhooks", "add", "https://hooks.example.com/").stdout
    listed = invoke("webhooks", "list").stdout
    assert "document.ended" in listed
    assert "whsec" not in listed
    assert invoke("webhooks", "remove", "wh_2").exception
    assert "DELETE" not in [method for method, _, _ in suite.requests]


@pytest.mark.parametrize(
    ("answers", "code", "shown"),
    [
        ([delivery("pending"), delivery("delivered", ATTEMPT)], 0, "204 in 0.10 s"),
        ([delivery("failed", {**ATTEMPT, "error": "it answers 500"})], 2, "it answers 500"),
    ],
)
def test_an_example_is_sent_and_nothing_stays_registered(
    suite: Suite, answers: list[dict[str, Any]], code: int, shown: str
) -> None:
    for address, is_removed in (("https://new.example.com/", True), (REGISTERED, False)):
        suite.requests.clear()
        suite.deliveries = list(answers)
        done = invoke("webhooks", "try", address)
        assert done.return_value == code
        assert shown in done.output
        assert (suite.requests[-1][:2] == ("DELETE", "/v1/webhooks/wh_1")) is is_removed


def test_the_refusal_of_a_private_address_names_its_setting(suite: Suite) -> None:
    done = invoke("webhooks", "try", "http://10.0.0.1/")
    assert "SMALLPRINT_INGEST_WEBHOOK_NETWORKS" in str(done.exception)
