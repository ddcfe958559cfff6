"""The client report: what it contains, in both forms, and what a blinded reader learns."""

from __future__ import annotations

import html
import io
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from docx import Document

from services.review.report.docx_writer import write_docx
from services.review.report.html_writer import POLICY, write_html
from services.review.report.report import Entry, Group, KeyTerm, Report, Section, Value
from services.review.report.wording import flowing, listed, pages, shortened, value_of
from shared.events import DocumentTitle
from shared.events.searched import SearchedCategory, SearchedContract, Term
from shared.web.auth import Actor
from tests.unit.review.builders import FLAG, SIGNAL, ReviewService, clause

TEXT = (
    "SUPPLY AGREEMENT. It ends after two years. Utah law governs.\f"
    "Liability is limited to US$ 5 <million>. Buyer may audit. Seller insures the goods."
)
NAME, END, LAW = "SUPPLY AGREEMENT", "It ends after two years.", "Utah law governs."
CAP, AUDIT = "Liability is limited to US$ 5 <million>.", "Buyer may audit."
MODEL = {"adapter": "contract-clauses"}
READ = {"kind": "amount", "status": "stated", "value": "5", "currency": "USD", "other_values": []}
FOUND = [
    clause(TEXT, NAME, "Document Name", 0.9, 1, route="accept", **MODEL),
    clause(TEXT, END, "Expiration Date", 0.6, 2, **MODEL),
    clause(TEXT, LAW, "Governing Law", 0.5, 3, **MODEL),
    clause(TEXT, CAP, "Cap On Liability", 0.5, 4, **MODEL, value=READ),
]
ID = {one["category"]: one["id"] for one in FOUND}
SEARCHED = SearchedContract(
    categories=(
        *(SearchedCategory(category=one["category"], probability=0.9, page=1) for one in FOUND),
        SearchedCategory(category="Insurance", probability=0.3, page=2),
        SearchedCategory(category="Rofr/Rofo/Rofn", probability=0.01, page=1),
    ),
    terms=(
        Term(category="Document Name", clause_id=ID["Document Name"], kind="title",
             status="stated", value="Supply Agreement", start=0),
        Term(category="Expiration Date", clause_id=ID["Expiration Date"], kind="duration",
             status="stated", value="P2Y", start=18),
        Term(category="Governing Law", clause_id=ID["Governing Law"], kind="jurisdiction",
             status="stated", value="Utah", start=43),
        Term(category="Cap On Liability", clause_id=ID["Cap On Liability"], kind="amount",
             status="stated", value="5", currency="USD", start=61),
    ),
)  # fmt: skip
FINDING: dict[str, Any] = {
    "id": "fd_1",
    "filing": "f1",
    "check": "balance",
    "title": "Assets are liabilities and equity",
    "confidence": 0.9,
    "statement": "balance_sheet",
    "row": 4,
    "column": 0,
    "label": "Total assets",
    "reported": 1234567.0,
    "expected": 1234667.0,
    "message": "Total assets 1,234,567 are not 1,234,667.",
    "possible_explanation": "Rounding.",
    "page": 3,
}
PATH = "/v1/documents/doc_1/report"
ANALYST = "key-cara"


@pytest.fixture
def contract(review: ReviewService) -> ReviewService:
    """A contract with four clauses, of which the model accepted one."""
    review.keys.actors[ANALYST] = Actor("default", "cara", "k9", scopes=frozenset({"review"}))
    review.read("doc_1", TEXT)
    review.extract("doc_1", FOUND, searched=SEARCHED)
    return review


def html_of(review: ReviewService, key: str = "key-ada") -> str:
    answer = review.client(key).get(PATH)
    assert answer.status_code == 200, answer.text
    return answer.text


def words_of(review: ReviewService, key: str = "key-ada") -> str:
    """The words of the page, without its style."""
    page = html_of(review, key)
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page[page.index("<main>") :]).split()))


def decide(review: ReviewService, category: str, verdict: str, **more: Any) -> None:
    (item,) = (one for one in review.items(state="all") if one["category"] == category)
    review.decide(item["id"], verdict, **more)


def test_an_undecided_report_is_a_draft(contract: ReviewService) -> None:
    shown = words_of(contract)
    assert "Contract summary SUPPLY AGREEMENT" in shown
    assert "Draft, 0 of 3 decided" in shown
    assert "Expiration date 2 years 1 Not decided" in shown
    assert "Cap on liability USD 5 2 Not decided" in shown
    assert "Governing law · page 1 Not decided Utah law governs." in shown
    assert "contract-clauses 1 found the clauses." in shown
    assert "The model accepted 1 result without a person." in shown


def test_decisions_win_over_results_of_the_model(contract: ReviewService) -> None:
    decide(contract, "Expiration Date", "accept", note="a note about it")
    decide(contract, "Governing Law", "reject")
    start = TEXT.index("limited")
    right = {"start": start, "end": TEXT.index(" <million>")}
    decide(contract, "Cap On Liability", "correct", correction=right)
    at = TEXT.index(AUDIT)
    added = {"category": "Audit Rights", "start": at, "end": at + len(AUDIT)}
    client = contract.client()
    assert client.post("/v1/items", json={"document": "doc_1", **added}).status_code == 201
    shown = words_of(contract)
    assert "Draft" not in shown
    assert "Decided 4 of 4" in shown
    assert "Reviewed by ada" in shown
    assert "Accepted It ends after two years. Note: a note about it" in shown
    assert "Utah" not in shown
    assert "Cap on liability limited to US$ 5 2 Corrected" in shown
    assert "Audit rights · page 2 Added Buyer may audit." in shown
    assert "Left out: 1 rejected result." in shown


def test_key_terms_have_the_value_that_a_person_stated(contract: ReviewService) -> None:
    right = {"value": "5000000", "currency": "USD"}
    decide(contract, "Cap On Liability", "correct", correction=right)
    assert "Cap on liability USD 5,000,000 2 Corrected" in words_of(contract)


def test_the_report_says_what_is_missing_and_who_confirmed_it(contract: ReviewService) -> None:
    decide(contract, "Governing Law", "reject")
    body = {"document": "doc_1", "category": "Insurance", "absent": True}
    shown = words_of(contract)
    assert "searched for 6 clause types. No clause was found for 3 of them." in shown
    assert "Passages that come near: Insurance (page 2)." in shown
    assert contract.client().post("/v1/items", json=body).status_code == 201
    shown = words_of(contract)
    assert "A reviewer confirmed that these are absent: Insurance." in shown
    assert "A reviewer rejected the passages that the model proposed: Governing law." in shown
    assert "and not confirmed by a reviewer: Right of first refusal." in shown
    assert "Passages that come near" not in shown


def test_the_title_is_the_one_of_the_document_unless_a_part_is_disputed(
    review: ReviewService,
) -> None:
    title = DocumentTitle(title="Supply Agreement · Acme / Halden", parties=("Acme", "Halden"))
    review.read("doc_1", TEXT)
    review.extract("doc_1", FOUND, title=title)
    assert words_of(review).startswith("Contract summary Supply Agreement Acme / Halden Draft")
    decide(review, "Document Name", "reject")
    assert words_of(review).startswith("Contract summary contract.pdf Draft")


@pytest.mark.parametrize("policy", ["[tenants.default]\nmax_wrong = 0.05"])
def test_the_report_states_the_risk_and_the_error_rate(contract: ReviewService) -> None:
    sampled = clause(TEXT, AUDIT, "Audit Rights", 0.97, 5, **MODEL)
    contract.read("doc_2", TEXT)
    contract.extract("doc_2", [sampled], sampled=[sampled["id"]])
    decide(contract, "Audit Rights", "accept")
    shown = words_of(contract)
    assert "at most 5% of such results may be wrong, at a confidence of 95%." in shown
    assert "checked 1 such result of contract-clauses in all documents: 0% were wrong" in shown


def test_a_reader_without_results_sees_nothing_that_the_model_accepted(
    contract: ReviewService,
) -> None:
    shown = words_of(contract, ANALYST)
    assert "Contract summary contract.pdf" in shown
    assert "Key terms" not in shown
    assert NAME not in shown
    assert "Governing law · page 1 Not decided" in shown
    assert "This copy leaves out key terms" in shown
    assert "No clause was found for 2 of them." in shown


def test_a_reader_without_results_can_not_tell_a_hidden_check(contract: ReviewService) -> None:
    ordinary = words_of(contract, ANALYST)
    contract.read("doc_1", TEXT, attempt=2)
    checked = ID["Governing Law"]
    contract.extract("doc_1", FOUND, searched=SEARCHED, attempt=2, sampled=[checked])
    assert words_of(contract, ANALYST) == ordinary
    decide(contract, "Governing Law", "accept")
    assert "such result" not in words_of(contract, ANALYST)


def test_a_finding_shows_its_amounts_and_its_decision(review: ReviewService) -> None:
    review.read("doc_1", TEXT, kind="report", name="report.pdf")
    review.find("doc_1", [FINDING], signals=[SIGNAL], flags=[FLAG])
    shown = words_of(review)
    assert "Report summary report.pdf" in shown
    assert "Balance sheet Total assets · page 3 Not decided" in shown
    assert "Checked: Assets are liabilities and equity Reported: 1,234,567" in shown
    assert "Expected: 1,234,667 May be lawful: Rounding." in shown
    assert "Unusual ratios Growth of sales" in shown
    assert "Flagged sentences Going-concern doubt" in shown
    assert "12 relations checked, 1 broken." in shown
    decide(review, "balance", "reject", note="rounding")
    shown = words_of(review)
    assert "Findings No findings." in shown
    assert "Draft, 1 of 3 decided" in shown


def test_a_document_without_results_has_no_report(review: ReviewService) -> None:
    assert review.client().get(PATH).status_code == 404
    review.read("doc_1", TEXT)
    answer = review.client().get(PATH)
    assert (answer.status_code, answer.json()["document"]) == (409, "doc_1")
    review.read("doc_1", TEXT, kind="other", attempt=2)
    assert review.client().get(PATH).status_code == 409
    assert review.client("key-eve").get(PATH).status_code == 404


def test_the_page_has_no_scripts_and_allows_only_its_style(contract: ReviewService) -> None:
    answer = contract.client().get(PATH)
    assert answer.headers["content-security-policy"] == POLICY
    assert "script" not in answer.text
    assert "US$ 5 &lt;million&gt;" in answer.text


def test_a_docx_has_the_same_words_as_the_page(contract: ReviewService) -> None:
    answer = contract.client().get(PATH, params={"format": "docx"})
    assert answer.status_code == 200
    assert "contract report.docx" in answer.headers["content-disposition"]
    file = Document(io.BytesIO(answer.content))
    written = {paragraph.text for paragraph in file.paragraphs}
    cells = {cell.text for table in file.tables for row in table.rows for cell in row.cells}
    assert {NAME, "Draft, 0 of 3 decided", "Key terms", "Clauses", CAP} <= written
    assert {"Cap on liability", "USD 5", "0 of 3"} <= cells
    page = words_of(contract).replace("· ", "")
    words = {" ".join(text.replace("· ", "").split()) for text in written | cells}
    assert [text for text in words if text not in page] == []


HARD = "a\x00b \ud800 \x0c <i>&amp; \u202e"
REPORT = Report(
    kind="Contract summary",
    title=flowing(HARD),
    subtitle=flowing(HARD),
    draft="",
    facts=(("Document", flowing(HARD)),),
    sections=(
        Section(
            flowing(HARD),
            terms=(KeyTerm("Parties", (Value("A", "1", "Accepted"), Value("B", "2", "Added"))),),
            groups=(Group("", (Entry("x", "", "Accepted", flowing(HARD)),)),),
        ),
    ),
    about="",
)


def test_both_writers_take_any_text() -> None:
    assert Document(io.BytesIO(write_docx(REPORT))).core_properties.title == REPORT.title
    page = write_html(REPORT, [("/documents/doc_1", "Back")]).decode()
    table = ElementTree.fromstring(page[page.index("<table>") : page.index("</table>") + 8])
    heads = table.findall("tbody/tr/th")
    assert [(head.text, head.get("rowspan")) for head in heads] == [("Parties", "2")]
    assert len(table.findall("tbody/tr")) == 2


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"kind": "duration", "value": "P1Y6M", "repeats": True}, "1 year, 6 months, repeatedly"),
        ({"kind": "amount", "value": "1250000.50", "currency": "USD"}, "USD 1,250,000.50"),
        ({"kind": "party", "value": "Array Inc.", "role": "Licensor"}, "Array Inc. (Licensor)"),
        ({"kind": "party", "role": "Buyer"}, "Buyer"),
        ({"kind": "date", "status": "redacted", "value": "2020"}, "2020, partly redacted"),
        ({"kind": "date", "status": "redacted"}, "Redacted in this copy"),
    ],
)
def test_values_are_shown_in_words(parts: dict[str, Any], expected: str) -> None:
    assert value_of(Term.model_validate({"category": "c", "status": "stated", **parts})) == expected


def test_lists_and_cuts_are_in_whole_words() -> None:
    assert (pages([9, 3, 3]), pages([4]), pages([])) == ("pages 3 and 9", "page 4", "")
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert shortened("one two\nthree", 9) == "one two …"
