"""From a report that was read to findings that are stored, announced and answered."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect, select

from infra.schemas import openapi_of
from services.triage.domain import Finding
from services.triage.handlers import forget_document
from services.triage.judgement import FLAGGED
from services.triage.pages import page_of
from services.triage.reading.document import read_document
from services.triage.statements import BadFiling
from services.triage.store import findings, reports
from services.triage.together import find_naming
from shared import documents
from shared.documents import FailedPage
from shared.events import (
    CANCELLED,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentRekinded,
    FindingsFound,
    Kind,
)
from shared.inference import Specialists, lazily
from shared.storage import FileBlobs, begin_try
from shared.storage.deletion import is_deleted, mark_cancelled, mark_deleted
from tests.killed import Killed, KilledAfterCommit, KilledAfterPut, blobs_below
from tests.support import ROOT, artefacts
from tests.unit.triage.filings import bent, read, record, verdict
from tests.unit.triage.house import House
from tests.unit.triage.reading import equity_samples, samples

FINDINGS, STATEMENTS = "/v1/documents/{}/findings", "/v1/documents/{}/statements"


def wrong() -> dict[str, object]:
    """A filing with an altered total."""
    return {**bent("balance_sheet", "Total current assets", 1, 4509), "id": "wrong"}


def test_a_report_goes_the_whole_road(house: House) -> None:
    """Findings come with their arithmetic, the sound filing has none, the document is flagged."""
    house.say(house.read("doc_1", record(), wrong()))
    answer = house.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["flagged"], body["filings"], body["warnings"]) == (True, 2, [])
    (finding,) = body["items"]
    assert (finding["filing"], finding["check"]) == ("wrong", "balance_sheet_sums")
    assert (finding["reported"], finding["expected"]) == (4_509_000_000, 4_590_000_000)
    assert finding["confidence"] == body["risk"]
    assert finding["id"].startswith("fd_")
    page = page_of("balance_sheet_sums")
    assert page is not None
    said = {part: finding[part] for part in ("title", "compares", "lawful", "settle", "example")}
    assert said == dataclasses.asdict(page)


def test_what_is_announced_is_what_rest_answers(house: House) -> None:
    """The blob of the event holds the findings in the same form."""
    event = house.read("doc_1", wrong(), actor="ada")
    house.say(event)
    (found,) = house.heard(FindingsFound)
    listed = json.loads(house.service.blobs.get("default", found.findings))
    assert listed == house.client.get(FINDINGS.format("doc_1")).json()["items"]
    assert (found.count, found.flagged, found.cause, found.actor) == (1, True, event.id, "ada")


def test_statements_are_answered_as_they_were_read(house: House) -> None:
    """What comes back is the structured form, page by page."""
    house.say(house.read("doc_1", record(), wrong()))
    first = house.client.get(STATEMENTS.format("doc_1"), params={"limit": 1}).json()
    second = house.client.get(
        STATEMENTS.format("doc_1"), params={"limit": 1, "cursor": first["next"]}
    ).json()
    assert [f["id"] for f in (*first["items"], *second["items"])] == ["f1", "wrong"]
    assert second["next"] is None
    assert read(first["items"][0]) == read(record())


def test_a_bad_line_is_a_warning_and_the_others_count(house: House) -> None:
    """The document ends with findings, and names the line that could not be read."""
    house.say(house.read("doc_1", wrong(), b"{torn", media_type="text/plain"))
    body = house.client.get(FINDINGS.format("doc_1")).json()
    assert len(body["items"]) == 1
    assert body["warnings"][0].startswith("line 2: not JSON")


def test_of_data_in_which_nothing_was_checked_that_is_said_first(house: House) -> None:
    """Before the other warnings, of which there may be more than are kept."""
    unknown = {"id": "u", "statements": [{**record()["statements"][0], "statement": "balance"}]}
    house.say(house.read("doc_1", record(), unknown))
    body = house.client.get(FINDINGS.format("doc_1")).json()
    assert (body["items"], body["filings"]) == ([], 2)
    first, second = body["warnings"]
    assert first.startswith("u: nothing was checked: none of its statements is of a kind")
    assert second == "u: balance: not a kind that is checked"


def test_a_table_of_no_statement_that_is_known_fails(house: House) -> None:
    """It is no report that contradicts itself nowhere."""
    data = "Bilanz (in Tausend),2023\nUmlaufvermögen,100\nSumme Aktiva,310\n".encode()
    house.say(house.page("doc_1", data, "german.csv"))
    (failed,) = house.heard(DocumentFailed)
    assert failed.code == "unreadable_report"
    assert "not a kind of statement" in failed.reason


def test_a_document_without_one_readable_filing_fails(house: House) -> None:
    """The reason names every line, and nothing is buried as a dead letter."""
    house.say(house.read("doc_1", b"{torn", b"[]"))
    (failed,) = house.heard(DocumentFailed)
    assert (failed.stage, failed.code) == ("triage", "unreadable_report")
    assert "line 1" in failed.reason
    assert "line 2" in failed.reason
    assert not house.service.bus.dead_letters()
    answer = house.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "unreadable_report" in answer.json()["detail"]


def test_a_text_that_nothing_can_hold_costs_its_filing_alone(house: House) -> None:
    """A label with half a surrogate pair is a warning; the other filings are judged and stored."""
    odd = json.dumps(record()).replace("Inventories", "\\ud800").encode()
    nul = json.dumps(record()).replace("Inventories", "\\u0000").encode()
    house.say(house.read("doc_1", odd, wrong(), nul))
    body = house.client.get(FINDINGS.format("doc_1")).json()
    assert (len(body["items"]), body["filings"]) == (1, 1)
    assert [w[:6] for w in body["warnings"]] == ["line 1", "line 3"]
    (event,) = house.heard(FindingsFound)
    assert (event.count, event.unreadable) == (1, 2)
    assert not house.service.bus.dead_letters()


def test_a_reason_is_short_enough_to_be_read(house: House) -> None:
    """However many lines can't be read, and whatever is in them, the reason has an end."""
    filing = {"statements": [{"statement": "x" * 100_000}]}
    house.say(house.read("doc_1", *[filing] * 100))
    (failed,) = house.heard(DocumentFailed)
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
def test_a_page_is_read_and_its_finding_has_the_place_of_each_cell(house: House, name: str) -> None:
    """The total that is wrong comes first, then its parts; what is there is what is printed."""
    make, place = PAGES[name]
    event = house.page("doc_1", make(samples.bent()), name)
    house.say(event)

    body = house.client.get(FINDINGS.format("doc_1")).json()
    finding = next(item for item in body["items"] if item["check"] == "income_sums")
    (found,) = house.heard(FindingsFound)
    announced = json.loads(house.service.blobs.get("default", found.findings))

    assert (finding["reported"], finding["expected"]) == (1_590_000_000, 1_500_000_000)
    labels = [cell["label"] for cell in finding["cells"]]
    assert labels == ["Total revenue", "Products", "Services"]
    text = house.service.blobs.get("default", event.text).decode()
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


def test_what_was_read_of_a_page_is_answered_with_the_place_of_every_value(house: House) -> None:
    """Title, unit, headings and footnote marks too; what could not be found is a warning."""
    house.say(house.page("doc_1", samples.html(), "acme.html"))

    (filing,) = house.client.get(STATEMENTS.format("doc_1")).json()["items"]

    (statement,) = filing["statements"]
    rows = {row["label"]: row for row in statement["rows"]}
    assert statement["title"] == "CONSOLIDATED STATEMENTS OF OPERATIONS"
    assert statement["presented_in"] == 1_000_000
    assert statement["columns"][0] == {"end": "20230630", "quarters": 4}
    assert rows["Products"]["path"] == ["Revenue"]
    assert rows["Provision for income taxes"]["notes"] == ["(1)"]
    assert [place["cell"] for place in rows["Net income"]["places"]] == ["C11", "F11"]
    assert filing["warnings"] == ["no balance sheet was found", "no cash flow was found"]
    said = house.client.get(FINDINGS.format("doc_1")).json()["warnings"]
    assert said == [f"acme: {warning}" for warning in filing["warnings"]]
    [event] = house.heard(FindingsFound)
    assert list(event.warnings) == said


def test_lines_of_a_page_are_named_on_the_base_that_was_given(tmp_path: Path) -> None:
    """By both models, and it is asked for once; data of programs ask for none."""
    asked = []
    given = lazily(artefacts(), 1, "int8")

    def specialists() -> Specialists:
        asked.append(1)
        return given()

    house = House(tmp_path, specialists)
    house.say(house.read("doc_1", record()))
    assert asked == []
    house.say(*(house.page(f"doc_{n}", samples.html(), "acme.html") for n in (2, 3)))
    assert asked == [1]

    (filing,) = house.client.get(STATEMENTS.format("doc_2")).json()["items"]
    (statement,) = filing["statements"]
    found = [row["concept"] for row in statement["rows"] if "concept" in row]
    assert len(found) == sum(any(v is not None for v in r["values"]) for r in statement["rows"])
    naming = find_naming(artefacts(), lambda: given().base)
    assert naming is not None
    read_again = documents.read(samples.html(), name="acme.html")
    (one,) = read_document(
        samples.html(), read_again.media_type, "acme.html", reading=lambda: read_again
    )
    assert not isinstance(one, BadFiling)
    both = naming.show(one.filing, one.form)["statements"][0]["rows"]
    alone = naming.quick.show(one.filing, one.form)["statements"][0]["rows"]
    assert found == [row["concept"] for row in both if "concept" in row]
    assert found != [row["concept"] for row in alone if "concept" in row]
    house.close()


def test_a_spreadsheet_s_own_layout_of_a_csv_is_read_as_a_page(house: House) -> None:
    """Titles above and the unit in a line of its own: that is not the documented form."""
    lines = [*samples.HEAD.splitlines(), ',"June 30, 2023","June 30, 2022"']
    lines += [f'{label},"{first}","{second}"' for label, first, second in samples.bent()]
    house.say(house.page("doc_1", "\n".join(lines).encode(), "acme.csv"))

    found = house.client.get(FINDINGS.format("doc_1")).json()["items"]
    finding = next(item for item in found if item["check"] == "income_sums")

    assert finding["reported"] == 1_590_000_000
    assert finding["cells"][0]["place"]["cell"] == "B8"


def test_a_statement_of_equity_is_answered_and_never_judged(house: House) -> None:
    """Its components and periods; one that could not be read is a warning of its report."""
    odd = [(label, *figures[:-1], "1") for label, *figures in equity_samples.MOVEMENTS]
    pages = ((), odd, equity_samples.MOVEMENTS)
    for number, rows in enumerate(pages):
        house.say(house.page(f"doc_{number}", equity_samples.html(rows), "acme.html"))
    house.say(house.page("doc_3", equity_samples.html(heads=False), "acme.html"))

    answers = [house.client.get(FINDINGS.format(f"doc_{n}")).json() for n in range(4)]
    (filing,) = house.client.get(STATEMENTS.format("doc_2")).json()["items"]

    for one in answers:
        assert (one["risk"], one["flagged"]) == (answers[0]["risk"], answers[0]["flagged"])
        assert [f["message"] for f in one["items"]] == [f["message"] for f in answers[0]["items"]]
    assert answers[1]["warnings"] == answers[2]["warnings"] == answers[0]["warnings"]
    (warning,) = set(answers[3]["warnings"]) - set(answers[0]["warnings"])
    assert equity_samples.TITLE in warning
    equity = filing["statements"][-1]
    assert equity["statement"] == "equity"
    assert equity["columns"][0] == {"component": "Common stock Shares", "unit": "shares"}
    assert equity["rows"][1]["period"] == {"end": "20221231", "quarters": 4, "start": "20220101"}
    assert equity["rows"][1]["places"][4]["cell"] == "table 2 F4"


def test_a_csv_in_the_documented_form_has_places_too(house: House) -> None:
    """Offsets and the cell, also behind quotation marks."""
    data = (
        b"Income statement,2023-12-31,2022-12-31\n"
        b'Products,"1,200",1000\nServices,300,250\nTotal revenue,"1,590",1250\n'
    )
    house.say(house.page("doc_1", data, "acme.csv"))

    (filing,) = house.client.get(STATEMENTS.format("doc_1")).json()["items"]

    place = filing["statements"][0]["rows"][2]["places"][0]
    assert (place["cell"], data[place["start"] : place["end"]]) == ("B4", b"1,590")


def test_a_page_without_statements_fails_and_names_what_was_not_read(house: House) -> None:
    """A page that could not be read and a table with the title of a statement are in the reason."""
    table = samples.html(
        [("Alpha", "1", "2"), ("Beta", "3", "4"), ("Gamma", "5", "6")], "BALANCE SHEETS"
    )
    read = documents.read(table, name="a.html")
    lost = FailedPage(2, "no_text", "it is a picture without text")
    reading = replace(read, page_count=2, failed=(lost,))
    house.say(house.page("doc_1", table, "a.html", reading=reading))

    (failed,) = house.heard(DocumentFailed)

    assert (failed.stage, failed.code) == ("triage", "unreadable_report")
    assert "no balance sheet, income statement or cash flow statement was found" in failed.reason
    assert "'BALANCE SHEETS' on page 1 was not read: too few of its lines" in failed.reason
    assert "page 2 could not be read" in failed.reason
    assert not house.service.bus.dead_letters()


def test_a_report_that_is_too_long_is_refused_by_name_of_the_setting(tmp_path: Path) -> None:
    """Nobody waits for hours without a word."""
    house = House(tmp_path, triage_max_characters=100)
    house.say(house.page("doc_1", samples.plain(), "a.txt"), house.read("doc_2", record()))

    (failed,) = house.heard(DocumentFailed)
    house.close()

    assert (failed.document_id, failed.code) == ("doc_1", "document_too_large")
    assert "SMALLPRINT_TRIAGE_MAX_CHARACTERS" in failed.reason


def test_damaged_tags_cost_the_tags_alone(house: House) -> None:
    """The page is read without them, and that is said."""
    page = samples.inline(samples.bent()).replace(b"</body>", b"<p></body>")
    house.say(house.page("doc_1", page, "a.xhtml"))

    body = house.client.get(FINDINGS.format("doc_1")).json()

    assert body["items"][0]["cells"][0]["place"].get("element") is None
    assert any("its tags (inline XBRL) are left out" in warning for warning in body["warnings"])


def test_a_deleted_page_leaves_no_word_of_it(house: House) -> None:
    """Labels and places lie in findings, statements and their blobs: all of them go."""
    event = house.page("doc_1", samples.pdf(samples.bent()), "a.pdf")
    before = blobs_below(house.service.settings.blobs)
    house.say(event)
    assert len(blobs_below(house.service.settings.blobs)) > len(before)
    house.say(DocumentDeleted(document_id="doc_1"))
    assert blobs_below(house.service.settings.blobs) == before
    with house.service.store.read() as session:
        assert not session.execute(select(findings)).all()
        (report,) = session.execute(select(reports)).all()
    assert (report.state, report.warnings, report.statements) == ("deleted", [], None)


def test_a_finding_of_an_older_version_has_no_cells() -> None:
    """What was kept before findings had places is answered all the same."""
    (finding,) = verdict(bent("balance_sheet", "Total current assets", 1, 4509)).findings
    older = {
        key: value
        for key, value in finding.to_json().items()
        if key not in ("cells", "page", "boxes")
    }

    again = Finding.of_json(older)

    assert (again.cells, again.page, again.boxes) == ((), None, ())
    assert again.reported == finding.reported
    assert Finding.of_json(finding.to_json()) == finding


def test_a_finding_names_the_cells_of_other_statements(house: House) -> None:
    """Cash of the cash flow statement is held against that of the balance sheet."""
    house.say(house.read("doc_1", bent("balance_sheet", "Cash and cash equivalents", 0, 1243)))
    (finding, *_) = house.client.get(FINDINGS.format("doc_1")).json()["items"]
    assert {cell["statement"] for cell in finding["cells"]} == {"balance_sheet", "cash_flow"}
    assert finding["cells"][0]["label"] == "Cash and cash equivalents"
    assert {cell["place"] for cell in finding["cells"]} == {None}


def test_a_contract_is_left_to_extraction(house: House) -> None:
    """Only reports are checked; the answer for another kind says so."""
    house.say(house.ingested("doc_1", kind="contract"), house.read("doc_1", kind="contract"))
    assert not house.heard(FindingsFound)
    answer = house.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "of kind contract" in answer.json()["detail"]


def test_a_document_on_its_way_says_so_and_an_unknown_one_is_not_found(house: House) -> None:
    """The two are told apart."""
    house.say(house.ingested("doc_1"))
    for path in (FINDINGS, STATEMENTS):
        assert house.client.get(path.format("doc_1")).status_code == 409
        assert house.client.get(path.format("doc_2")).status_code == 404
    assert "waiting" in house.client.get(FINDINGS.format("doc_1")).json()["detail"]


def test_a_deleted_document_is_forgotten_for_good(house: House) -> None:
    """Findings and blobs go, and news that come late do nothing."""
    house.say(house.read("doc_1", wrong()))
    (found,) = house.heard(FindingsFound)
    house.say(DocumentDeleted(document_id="doc_1"))
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 404
    folder = house.service.settings.blobs / "default" / found.findings.sha256[:2]
    assert not (folder / found.findings.sha256).exists()
    house.say(house.read("doc_1", wrong()))
    assert not house.heard(FindingsFound)


def test_blobs_that_another_document_uses_stay(house: House) -> None:
    """Two documents with the same filing share what was read; deleting one leaves the other."""
    house.say(house.read("doc_1", record()), house.read("doc_2", record()))
    house.say(DocumentDeleted(document_id="doc_1"))
    assert house.client.get(STATEMENTS.format("doc_2")).json()["items"]


def test_findings_are_withdrawn_when_the_kind_changes(house: House) -> None:
    """A person's word about the kind counts, until a new attempt."""
    house.say(house.read("doc_1", wrong()))
    house.say(DocumentRekinded(document_id="doc_1", kind="contract", previous="report"))
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 409
    house.say(house.read("doc_1", wrong()))
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 409
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", wrong(), attempt=2))
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 200


def test_a_new_kind_begins_with_its_attempt(house: House) -> None:
    """What was found is void at once; news of the old kind, late or again, bring nothing back."""

    def rekinded(kind: Kind, previous: Kind, attempt: int) -> DocumentRekinded:
        return DocumentRekinded(document_id="doc_1", kind=kind, previous=previous, attempt=attempt)

    house.say(house.ingested("doc_1"), house.read("doc_1", wrong()))
    house.say(rekinded("contract", "report", 2), house.read("doc_1", wrong()))
    assert "of kind contract" in house.client.get(FINDINGS.format("doc_1")).json()["detail"]
    house.say(rekinded("report", "contract", 3), house.read("doc_1", wrong(), attempt=3))
    house.say(rekinded("contract", "report", 2), rekinded("report", "contract", 3))
    assert house.client.get(FINDINGS.format("doc_1")).json()["items"]


def test_tenants_do_not_see_each_other(house: House) -> None:
    """Another tenant's report is not there, even by its id."""
    house.say(house.read("doc_1", wrong(), tenant="acme"))
    assert house.client_of("acme").get(FINDINGS.format("doc_1")).status_code == 200
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 404


def test_findings_go_on_at_the_cursor(house: House) -> None:
    """Page by page gives every finding once, the surest first."""
    house.say(house.read("doc_1", wrong(), wrong(), bent("income", "Operating income", 1, 1568)))
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        body = house.client.get(FINDINGS.format("doc_1"), params=params).json()
        seen += body["items"]
        cursor = body["next"]
    assert cursor is None
    assert len({item["id"] for item in seen}) == 3
    confidences = [item["confidence"] for item in seen]
    assert confidences == sorted(confidences, reverse=True)
    assert house.client.get(FINDINGS.format("doc_1"), params={"cursor": "-1"}).status_code == 422


def test_the_migration_goes_up_and_down(house: House) -> None:
    """Down to nothing and up again."""
    store = house.service.store
    store.migrate("base")
    assert set(inspect(store.engine).get_table_names()) <= {"alembic_version"}
    store.migrate()
    assert {"reports", "findings", "outbox"} <= set(inspect(store.engine).get_table_names())


def test_a_report_that_was_judged_before_its_judge_was_kept_stays(house: House) -> None:
    """After an upgrade its findings are answered as before, and it is not said what judged it."""
    house.say(house.read("doc_1", wrong()))
    before = house.client.get(FINDINGS.format("doc_1")).json()
    assert before["model"]["name"] == "triage-breaks"
    house.service.store.migrate("0002")
    house.service.store.migrate()
    after = house.client.get(FINDINGS.format("doc_1")).json()
    assert after == before | {"model": None}


def test_the_openapi_file_is_the_application_s() -> None:
    """`make schemas` has been run since the last change."""
    path = ROOT / "services" / "triage" / "openapi.json"
    assert path.read_text("utf-8") == openapi_of("triage")


@pytest.mark.parametrize("odd", ["%00", "doc_%00", "%F0%9F%98%80", "a" * 65])
def test_an_id_that_is_none_is_refused_before_any_database(house: House, odd: str) -> None:
    """A NUL or any other odd character in an id is the caller's mistake on every database."""
    for path in ("/findings", "/statements"):
        answer = house.client.get(f"/v1/documents/{odd}{path}")
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_document_deleted_while_it_waited_is_passed_over(house: House) -> None:
    """The bytes are gone before the news of the deletion come: no failure, no dead letter."""
    event = house.read("doc_1", wrong())
    house.service.blobs.delete("default", event.original)
    mark_deleted(FileBlobs(house.service.settings.blobs), "default", "doc_1")
    house.say(event, DocumentDeleted(document_id="doc_1"))
    assert house.heard(DocumentFailed) == []
    assert not house.service.bus.dead_letters()


@pytest.mark.parametrize("when", ["found", "waiting", "marked"])
def test_what_was_cancelled_has_no_findings_until_a_new_attempt(house: House, when: str) -> None:
    """Whether they were there, would come late, or the mark spared the work; with the reason."""
    stopped = DocumentFailed(
        document_id="doc_1", stage="ingest", code=CANCELLED, reason="ann stopped the work on it"
    )
    first = house.read("doc_1", wrong())
    house.say(house.ingested("doc_1"))
    if when == "marked":
        mark_cancelled(FileBlobs(house.service.settings.blobs), "default", "doc_1", 1)
    if when != "waiting":
        house.say(first)
    house.say(stopped, house.read("doc_1", wrong()))
    answer = house.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "cancelled: ann stopped" in answer.json()["detail"]
    assert len(house.heard(FindingsFound)) == int(when == "found")
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", wrong(), attempt=2))
    house.say(stopped.model_copy(update={"id": "said again"}))
    assert len(house.client.get(FINDINGS.format("doc_1")).json()["items"]) == 1


def test_a_blob_that_is_lost_is_a_failure(house: House) -> None:
    """Without a deletion missing bytes are a fault that somebody has to mend."""
    event = house.read("doc_1", wrong())
    house.service.blobs.delete("default", event.original)
    house.say(event)
    (failed,) = house.heard(DocumentFailed)
    assert failed.code == "missing_blob"


def test_a_deletion_that_is_cut_off_leaves_no_finding(house: House) -> None:
    """Killed right after the commit, nothing is left to be removed."""
    event = house.read("doc_1", wrong())
    before = blobs_below(house.service.settings.blobs)
    house.say(event)
    deleted = DocumentDeleted(document_id="doc_1")
    begin_try(house.service.store, deleted)
    uow = KilledAfterCommit(house.service.store, deleted)
    with pytest.raises(Killed):
        forget_document(deleted, uow, house.service.blobs, FLAGGED)
    assert blobs_below(house.service.settings.blobs) == before
    assert is_deleted(house.service.blobs, "default", "doc_1")


def test_findings_that_were_written_but_never_announced_go_with_the_document(house: House) -> None:
    """Killed between blobs and commit, then deleted: nothing of it stays."""
    event = house.read("doc_1", wrong())
    before = blobs_below(house.service.settings.blobs)
    with pytest.raises(Killed):
        house.service.handlers[DocumentRead](event, KilledAfterPut(house.service.store, event))
    assert len(blobs_below(house.service.settings.blobs)) == len(before) + 3
    house.say(DocumentDeleted(document_id="doc_1"))
    assert blobs_below(house.service.settings.blobs) == before


def test_reports_of_many_bytes_are_checked_beside_the_others(house: House) -> None:
    """By the bytes of the report itself; what triage does not work on holds nobody up."""
    most = house.service.settings.triage_large_bytes  # type: ignore[attr-defined]
    event = house.read("doc_1", record())
    large = event.original.model_copy(update={"size": most})
    is_large = house.service.large
    assert not is_large(event)
    assert is_large(event.model_copy(update={"original": large}))
    assert not is_large(event.model_copy(update={"original": large, "kind": "contract"}))
    assert not is_large(DocumentDeleted(document_id="doc_1"))
