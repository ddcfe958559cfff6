"""From a report that was read to findings that are stored, announced and answered."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from services.triage.check_pages import page_of
from services.triage.checks.verdict import FLAGGED
from services.triage.concepts.ensemble import load_labeller
from services.triage.handlers import forget_document
from services.triage.reading.document import read_document
from services.triage.statements.model import BadFiling, Filing
from services.triage.statements.titles import report_title
from services.triage.store import findings, reports
from shared import documents
from shared.blobs import FileBlobs
from shared.blobs.markers import is_deleted, mark_cancelled, mark_deleted
from shared.documents import FailedPage
from shared.events import (
    CANCELLED,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentReclassified,
    DocumentTitle,
    FindingsFound,
)
from shared.inference import Specialists, lazy_specialists
from shared.titles import title_in
from tests.support import artefacts
from tests.support.killed import Killed, KilledAfterCommit, KilledAfterPut, blobs_below
from tests.support.queue import begin, dead_letters
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import bent, read, record, wrong
from tests.unit.triage.reading import equity_samples, samples

FINDINGS, STATEMENTS = "/v1/documents/{}/findings", "/v1/documents/{}/statements"


def test_a_report_goes_the_whole_road(triage: Triage) -> None:
    event = triage.read("doc_1", record(), wrong(), actor="ada")
    triage.handle(event)
    body = triage.findings()
    assert (body["flagged"], body["filings"], body["warnings"]) == (True, 2, [])
    (finding,) = body["items"]
    assert (finding["filing"], finding["check"]) == ("wrong", "balance_sheet_sums")
    assert (finding["reported"], finding["expected"]) == (4_509_000_000, 4_590_000_000)
    assert finding["confidence"] == body["risk"]
    assert finding["id"].startswith("fd_")
    page = page_of("balance_sheet_sums")
    assert page is not None
    texts = {
        part: finding[part]
        for part in ("title", "compares", "possible_explanation", "how_to_verify", "example")
    }
    assert texts == dataclasses.asdict(page)
    (found,) = triage.announced(FindingsFound)
    assert json.loads(triage.service.blobs.get("default", found.findings)) == body["items"]
    assert (found.count, found.flagged, found.cause, found.actor) == (1, True, event.id, "ada")


def test_a_report_of_one_filing_has_a_title(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", record()))
    triage.handle(triage.read("doc_2", record(), wrong()))
    titles = [title_in(event, triage.service.blobs) for event in triage.announced(FindingsFound)]
    title = DocumentTitle(title="Example · 10-K · December 2023", parties=("Example",))
    assert titles == [title, None]
    listed = triage.client.get("/v1/reports").json()["items"]
    assert {one["document_id"]: one["title"] for one in listed} == {
        "doc_1": title.title,
        "doc_2": None,
    }
    triage.handle(DocumentDeleted(document_id="doc_1"))
    with triage.service.store.read() as session:
        assert session.execute(select(reports.c.title)).scalars().all() == [None, None]


@pytest.mark.parametrize(
    ("company", "form", "period", "title"),
    [
        (None, "10-Q", "20230701", "10-Q · July 2023"),
        ("WALMART INC.", None, "2023", "Walmart"),
        (None, None, "20230701", None),
    ],
)
def test_a_title_has_the_known_parts(
    company: str | None, form: str | None, period: str, title: str | None
) -> None:
    found = report_title(Filing("f1", company, form, period, ()))
    assert (found and found.title) == title


def test_statements_are_answered_as_they_were_read(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", record(), wrong()))
    first = triage.answer("doc_1", "statements", limit=1)
    second = triage.answer("doc_1", "statements", limit=1, cursor=first["next"])
    assert [f["id"] for f in (*first["items"], *second["items"])] == ["f1", "wrong"]
    assert second["next"] is None
    assert read(first["items"][0]) == read(record())


def test_a_filing_in_which_nothing_was_checked_is_the_first_warning(triage: Triage) -> None:
    unknown = {"id": "u", "statements": [{**record()["statements"][0], "statement": "balance"}]}
    triage.handle(triage.read("doc_1", record(), unknown))
    body = triage.findings("doc_1")
    assert (body["items"], body["filings"]) == ([], 2)
    first, second = body["warnings"]
    assert first.startswith("u: nothing was checked: it has no statement of a supported kind")
    assert second == "u: balance: this kind is not checked"


def test_a_table_of_no_statement_that_is_known_fails(triage: Triage) -> None:
    data = "Bilanz (in Tausend),2023\nUmlaufvermögen,100\nSumme Aktiva,310\n".encode()
    triage.handle(triage.page("doc_1", data, "german.csv"))
    (failed,) = triage.announced(DocumentFailed)
    assert failed.code == "unreadable_report"
    assert "unknown kind of statement" in failed.reason


def test_a_document_without_one_readable_filing_fails(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", b"{torn", b"[]"))
    (failed,) = triage.announced(DocumentFailed)
    assert (failed.stage, failed.code) == ("triage", "unreadable_report")
    assert "line 1" in failed.reason
    assert "line 2" in failed.reason
    assert not dead_letters(triage.service)
    answer = triage.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "unreadable_report" in answer.json()["detail"]


def test_a_reason_is_short_enough_to_be_read(triage: Triage) -> None:
    filing = {"statements": [{"statement": "x" * 100_000}]}
    triage.handle(triage.read("doc_1", *[filing] * 100))
    (failed,) = triage.announced(DocumentFailed)
    assert len(failed.reason) <= 2_000
    assert failed.reason.startswith("line 1: the statement 'xxx")


PAGES = {
    "a.html": (samples.html, {"cell": "C6"}),
    "a.xhtml": (samples.inline, {"cell": "C6", "element": "f3-0"}),
    "a.xlsx": (samples.workbook, {"cell": "'S1'!B6"}),
    "a.pdf": (samples.pdf, {"box": [427.47, 139.5, 450.0, 150.03]}),
    "a.txt": (samples.plain, {}),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_finding_has_the_place_of_each_cell(triage: Triage, name: str) -> None:
    make, place = PAGES[name]
    event = triage.page("doc_1", make(samples.bent()), name)
    triage.handle(event)

    body = triage.findings("doc_1")
    finding = next(item for item in body["items"] if item["check"] == "income_sums")
    (found,) = triage.announced(FindingsFound)
    announced = json.loads(triage.service.blobs.get("default", found.findings))

    assert (finding["reported"], finding["expected"]) == (1_590_000_000, 1_500_000_000)
    labels = [cell["label"] for cell in finding["cells"]]
    assert labels == ["Total revenue", "Products", "Services"]
    text = triage.service.blobs.get("default", event.text).decode()
    printed = [
        text[cell["place"]["start"] : cell["place"]["end"]].replace(",", "").strip("$ ")
        for cell in finding["cells"]
    ]
    assert printed == ["1590", "1200", "300"]
    first = finding["cells"][0]["place"]
    assert {key: first[key] for key in first if key not in ("page", "start", "end")} == place
    assert finding["page"] == first["page"] == 1
    assert [[box["x0"], box["y0"]] for box in finding["boxes"][:1]] == (
        [place["box"][:2]] if "box" in place else []
    )
    assert len(finding["boxes"]) == (3 if "box" in place else 0)
    assert finding in announced


def test_what_was_read_of_a_page_is_answered_with_the_place_of_every_value(triage: Triage) -> None:
    triage.handle(triage.page("doc_1", samples.html(), "acme.html"))

    (filing,) = triage.answer("doc_1", "statements")["items"]

    (statement,) = filing["statements"]
    rows = {row["label"]: row for row in statement["rows"]}
    assert statement["title"] == "CONSOLIDATED STATEMENTS OF OPERATIONS"
    assert statement["presented_in"] == 1_000_000
    assert statement["columns"][0] == {"end": "20230630", "quarters": 4}
    assert rows["Products"]["path"] == ["Revenue"]
    assert rows["Provision for income taxes"]["notes"] == ["(1)"]
    assert [place["cell"] for place in rows["Net income"]["places"]] == ["C11", "F11"]
    assert filing["warnings"] == []
    warnings = triage.findings("doc_1")["warnings"]
    assert warnings == [f"acme: {warning}" for warning in filing["warnings"]]
    [event] = triage.announced(FindingsFound)
    assert list(event.warnings) == warnings


def test_lines_of_a_page_are_named_on_the_base_that_was_given(tmp_path: Path) -> None:
    asked = []
    given = lazy_specialists(artefacts(), 1, "int8")

    def specialists() -> Specialists:
        asked.append(1)
        return given()

    triage = Triage(tmp_path, specialists)
    triage.handle(triage.read("doc_1", record()))
    assert asked == []
    triage.handle(*(triage.page(f"doc_{n}", samples.html(), "acme.html") for n in (2, 3)))
    assert asked == [1]

    (filing,) = triage.answer("doc_2", "statements")["items"]
    (statement,) = filing["statements"]
    found = [row["concept"] for row in statement["rows"] if "concept" in row]
    assert len(found) == sum(any(v is not None for v in r["values"]) for r in statement["rows"])
    labeller = load_labeller(artefacts(), lambda: given().base)
    assert labeller is not None
    html = samples.html()
    again = documents.read(html, name="acme.html")
    (one,) = read_document(html, again.media_type, "acme.html", reading=lambda: again)
    assert not isinstance(one, BadFiling)
    both = labeller.add_concepts(one.filing, one.form)["statements"][0]["rows"]
    alone = labeller.fast.add_concepts(one.filing, one.form)["statements"][0]["rows"]
    assert found == [row["concept"] for row in both if "concept" in row]
    assert found != [row["concept"] for row in alone if "concept" in row]
    triage.close()


def test_a_spreadsheet_s_own_layout_of_a_csv_is_read_as_a_page(triage: Triage) -> None:
    lines = [*samples.HEAD.splitlines(), ',"June 30, 2023","June 30, 2022"']
    lines += [f'{label},"{first}","{second}"' for label, first, second in samples.bent()]
    triage.handle(triage.page("doc_1", "\n".join(lines).encode(), "acme.csv"))
    found = triage.findings("doc_1")["items"]
    finding = next(item for item in found if item["check"] == "income_sums")
    assert finding["reported"] == 1_590_000_000
    assert finding["cells"][0]["place"]["cell"] == "B8"


def test_a_statement_of_equity_is_answered(triage: Triage) -> None:
    triage.handle(triage.page("doc_1", equity_samples.html(), "acme.html"))
    triage.handle(triage.page("doc_2", equity_samples.html(heads=False), "acme.html"))

    (filing,) = triage.answer("doc_1", "statements")["items"]

    (warning,) = set(triage.findings("doc_2")["warnings"]) - set(triage.findings()["warnings"])
    assert equity_samples.TITLE in warning
    equity = filing["statements"][-1]
    assert equity["statement"] == "equity"
    assert equity["columns"][0] == {"component": "Common stock Shares", "unit": "shares"}
    assert equity["rows"][1]["period"] == {"end": "20221231", "quarters": 4, "start": "20220101"}
    assert equity["rows"][1]["places"][4]["cell"] == "table 2 F4"


def test_a_csv_in_the_documented_form_has_places_too(triage: Triage) -> None:
    data = (
        b"Income statement,2023-12-31,2022-12-31\n"
        b'Products,"1,200",1000\nServices,300,250\nTotal revenue,"1,590",1250\n'
    )
    triage.handle(triage.page("doc_1", data, "acme.csv"))
    (filing,) = triage.answer("doc_1", "statements")["items"]
    place = filing["statements"][0]["rows"][2]["places"][0]
    assert (place["cell"], data[place["start"] : place["end"]]) == ("B4", b"1,590")


def test_a_page_without_statements_names_what_was_not_read(triage: Triage) -> None:
    lines = [("Alpha", "1", "2"), ("Beta", "3", "4"), ("Gamma", "5", "6")]
    table = samples.html(lines, "BALANCE SHEETS")
    read = documents.read(table, name="a.html")
    lost = FailedPage(2, "no_text", "it is a picture without text")
    reading = replace(read, failed=(lost,))
    triage.handle(triage.page("doc_1", table, "a.html", reading=reading))

    (failed,) = triage.announced(DocumentFailed)

    assert (failed.stage, failed.code) == ("triage", "unreadable_report")
    assert "No financial statements found." in failed.reason
    assert "'BALANCE SHEETS' on page 1 was not read: it has " in failed.reason
    assert "page 2 could not be read" in failed.reason
    assert not dead_letters(triage.service)


def test_a_report_that_is_too_long_is_refused_by_name_of_the_setting(tmp_path: Path) -> None:
    triage = Triage(tmp_path, triage_max_characters=100)
    triage.handle(triage.page("doc_1", samples.plain(), "a.txt"), triage.read("doc_2", record()))
    (failed,) = triage.announced(DocumentFailed)
    triage.close()
    assert (failed.document_id, failed.code) == ("doc_1", "document_too_large")
    assert "SMALLPRINT_TRIAGE_MAX_CHARACTERS" in failed.reason


def test_a_deleted_page_leaves_no_word_of_it(triage: Triage) -> None:
    event = triage.page("doc_1", samples.pdf(samples.bent()), "a.pdf")
    before = blobs_below(triage.service.settings.blobs)
    triage.handle(event)
    assert len(blobs_below(triage.service.settings.blobs)) > len(before)
    triage.handle(DocumentDeleted(document_id="doc_1"))
    assert blobs_below(triage.service.settings.blobs) == before
    with triage.service.store.read() as session:
        assert not session.execute(select(findings)).all()
        (report,) = session.execute(select(reports)).all()
    assert (report.state, report.warnings, report.statements) == ("deleted", [], None)
    assert triage.client.get(FINDINGS.format("doc_1")).status_code == 404
    triage.announced(FindingsFound)
    triage.handle(triage.read("doc_1", wrong()))
    assert not triage.announced(FindingsFound)


def test_a_finding_names_the_cells_of_other_statements(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", bent("balance_sheet", "Cash and cash equivalents", 0, 1243)))
    (finding, *_) = triage.findings("doc_1")["items"]
    assert {cell["statement"] for cell in finding["cells"]} == {"balance_sheet", "cash_flow"}
    assert finding["cells"][0]["label"] == "Cash and cash equivalents"
    assert {cell["place"] for cell in finding["cells"]} == {None}


def test_a_contract_is_left_to_extraction(triage: Triage) -> None:
    triage.handle(triage.ingested("doc_1", kind="contract"), triage.read("doc_1", kind="contract"))
    assert not triage.announced(FindingsFound)
    answer = triage.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "of kind contract" in answer.json()["detail"]


def test_a_document_on_its_way_says_so_and_an_unknown_one_is_not_found(triage: Triage) -> None:
    triage.handle(triage.ingested("doc_1"))
    for path in (FINDINGS, STATEMENTS):
        assert triage.client.get(path.format("doc_1")).status_code == 409
        assert triage.client.get(path.format("doc_2")).status_code == 404
    assert "/doc_1?wait=" in triage.client.get(FINDINGS.format("doc_1")).json()["detail"]


def test_findings_are_withdrawn_when_the_kind_changes(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wrong()))
    triage.handle(DocumentReclassified(document_id="doc_1", kind="contract", previous="report"))
    assert triage.client.get(FINDINGS.format("doc_1")).status_code == 409
    triage.handle(triage.read("doc_1", wrong()))
    assert triage.client.get(FINDINGS.format("doc_1")).status_code == 409
    triage.handle(triage.ingested("doc_1", attempt=2), triage.read("doc_1", wrong(), attempt=2))
    assert triage.client.get(FINDINGS.format("doc_1")).status_code == 200


def test_findings_go_on_at_the_cursor(triage: Triage) -> None:
    other = bent("income", "Operating income", 1, 1568)
    triage.handle(triage.read("doc_1", wrong(), wrong(), other))
    seen, cursor = [], None
    for _ in range(3):
        body = triage.findings(limit=1, **({"cursor": cursor} if cursor else {}))
        seen += body["items"]
        cursor = body["next"]
    assert cursor is None
    assert len({item["id"] for item in seen}) == 3
    confidences = [item["confidence"] for item in seen]
    assert confidences == sorted(confidences, reverse=True)
    assert triage.client.get(FINDINGS.format("doc_1"), params={"cursor": "-1"}).status_code == 422


@pytest.mark.parametrize("odd", ["%00", "doc_%00", "%F0%9F%98%80", "a" * 65])
def test_an_id_that_is_none_is_refused_before_any_database(triage: Triage, odd: str) -> None:
    for path in ("/findings", "/statements"):
        answer = triage.client.get(f"/v1/documents/{odd}{path}")
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_document_deleted_while_it_waited_is_passed_over(triage: Triage) -> None:
    event = triage.read("doc_1", wrong())
    triage.service.blobs.delete("default", event.original)
    mark_deleted(FileBlobs(triage.service.settings.blobs), "default", "doc_1")
    triage.handle(event, DocumentDeleted(document_id="doc_1"))
    assert triage.announced(DocumentFailed) == []
    assert not dead_letters(triage.service)


@pytest.mark.parametrize("when", ["found", "waiting", "marked"])
def test_what_was_cancelled_has_no_findings_until_a_new_attempt(triage: Triage, when: str) -> None:
    stopped = DocumentFailed(
        document_id="doc_1", stage="ingest", code=CANCELLED, reason="ann stopped the work on it"
    )
    first = triage.read("doc_1", wrong())
    triage.handle(triage.ingested("doc_1"))
    if when == "marked":
        mark_cancelled(FileBlobs(triage.service.settings.blobs), "default", "doc_1", 1)
    if when != "waiting":
        triage.handle(first)
    triage.handle(stopped, triage.read("doc_1", wrong()))
    answer = triage.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "cancelled: ann stopped" in answer.json()["detail"]
    assert len(triage.announced(FindingsFound)) == int(when == "found")
    triage.handle(triage.ingested("doc_1", attempt=2), triage.read("doc_1", wrong(), attempt=2))
    triage.handle(stopped.model_copy(update={"id": "said again"}))
    assert len(triage.findings("doc_1")["items"]) == 1


def test_a_blob_that_is_lost_is_a_failure(triage: Triage) -> None:
    event = triage.read("doc_1", wrong())
    triage.service.blobs.delete("default", event.original)
    triage.handle(event)
    (failed,) = triage.announced(DocumentFailed)
    assert failed.code == "missing_blob"


def test_a_deletion_that_is_cut_off_leaves_no_finding(triage: Triage) -> None:
    event = triage.read("doc_1", wrong())
    before = blobs_below(triage.service.settings.blobs)
    triage.handle(event)
    deleted = DocumentDeleted(document_id="doc_1")
    begin(triage.service.store, deleted)
    uow = KilledAfterCommit(triage.service.store, deleted)
    with pytest.raises(Killed):
        forget_document(deleted, uow, triage.service.blobs, FLAGGED)
    assert blobs_below(triage.service.settings.blobs) == before
    assert is_deleted(triage.service.blobs, "default", "doc_1")


def test_unannounced_findings_go_with_the_document(triage: Triage) -> None:
    event = triage.read("doc_1", wrong())
    before = blobs_below(triage.service.settings.blobs)
    with pytest.raises(Killed):
        triage.service.handlers[DocumentRead](event, KilledAfterPut(triage.service.store, event))
    assert len(blobs_below(triage.service.settings.blobs)) == len(before) + 4
    triage.handle(DocumentDeleted(document_id="doc_1"))
    assert blobs_below(triage.service.settings.blobs) == before


def test_reports_of_many_bytes_are_checked_beside_the_others(triage: Triage) -> None:
    most = triage.service.settings.triage_large_bytes  # type: ignore[attr-defined]
    event = triage.read("doc_1", record())
    large = event.original.model_copy(update={"size": most})
    is_large = triage.service.large
    assert not is_large(event)
    assert is_large(event.model_copy(update={"original": large}))
    assert not is_large(event.model_copy(update={"original": large, "kind": "contract"}))
    assert not is_large(DocumentDeleted(document_id="doc_1"))
