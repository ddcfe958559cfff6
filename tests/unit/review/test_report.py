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
from services.review.report.report import Entry, Group, KeyTerm, NameList, Report, Section, Value
from services.review.report.wording import dated, flowing, listed, pages, shortened, value_of
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


def add(review: ReviewService, category: str, quote: str, text: str = TEXT) -> None:
    at = text.index(quote)
    body = {"document": "doc_1", "category": category, "start": at, "end": at + len(quote)}
    assert review.client().post("/v1/items", json=body).status_code == 201


def confirm_absent(review: ReviewService, category: str) -> None:
    body = {"document": "doc_1", "category": category, "absent": True}
    assert review.client().post("/v1/items", json=body).status_code == 201


def test_the_report_says_what_is_missing_and_who_confirmed_it(contract: ReviewService) -> None:
    decide(contract, "Governing Law", "reject")
    shown = words_of(contract)
    assert "searched for 6 clause types. 3 of them have no clause." in shown
    assert "1 rejected by a reviewer and 2 not confirmed." in shown
    assert "Insurance · nearest passage on page 2" in shown
    confirm_absent(contract, "Insurance")
    shown = words_of(contract)
    assert (
        "1 confirmed absent, 1 rejected by a reviewer and 1 not confirmed. "
        "Basics Governing law · rejected by a reviewer Restrictions Right of first refusal "
        "Liability and disputes Insurance · confirmed absent How this was made"
    ) in shown


def test_a_type_is_missing_unless_a_clause_of_it_stands(contract: ReviewService) -> None:
    second = clause(TEXT, "Utah", "Governing Law", 0.5, 5, **MODEL)
    contract.extract("doc_1", [*FOUND, second], searched=SEARCHED)
    first, *_others = [
        one for one in contract.items(state="all") if one["category"] == "Governing Law"
    ]
    contract.decide(first["id"], "reject")
    add(contract, "Insurance", "Seller insures the goods.")
    right = {"category": "Uncapped Liability"}
    decide(contract, "Cap On Liability", "correct", correction=right)
    shown = words_of(contract)
    assert "2 of them have no clause. 1 corrected by a reviewer and 1 not confirmed." in shown
    assert "Cap on liability · corrected by a reviewer" in shown
    assert shown.endswith("1.")


def test_a_confirmed_absence_shows_beside_a_clause_and_without_a_search(
    review: ReviewService,
) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", FOUND)
    assert "Not found" not in words_of(review)
    confirm_absent(review, "Insurance")
    confirm_absent(review, "Governing Law")
    shown = words_of(review)
    assert "Not found 1 confirmed absent. " in shown
    assert "Confirmed absent, but there is a clause: Governing law." in shown
    assert "Insurance · confirmed absent" in shown


LONG = (
    "AGREEMENT of July 1, 2020. Either party may end it, and Supplier shall deliver all goods that "
    "are in its stores at that time, or on their way, and "
    "that Buyer has ordered and paid for, in no event for more than a total of USD 2,500,000."
)
WORDS = LONG.partition(". ")[2]


def test_words_of_a_person_are_whole_in_the_key_terms(review: ReviewService) -> None:
    terms = SearchedContract(
        terms=(Term(category="Cap On Liability", kind="amount", status="not_stated"),)
    )
    review.read("doc_1", LONG)
    review.extract("doc_1", [], searched=terms)
    add(review, "Cap On Liability", WORDS, LONG)
    assert f"Cap on liability {WORDS} 1 Added" in words_of(review)


def test_a_clause_without_a_value_is_a_key_term_with_its_words(review: ReviewService) -> None:
    found = clause(LONG, WORDS, "Cap On Liability", 0.6, 1, **MODEL)
    term = Term(
        category="Cap On Liability", clause_id=found["id"], kind="amount", status="not_stated"
    )
    review.read("doc_1", LONG)
    review.extract("doc_1", [found], searched=SearchedContract(terms=(term,)))
    shown = words_of(review)
    row = r"Clause found on page 1, no value read: “Either party may .{100,150} …” 1 Not decided"
    assert re.search(row, shown)
    decide(review, "Cap On Liability", "reject")
    assert "no value read" not in words_of(review)


def test_a_corrected_date_has_the_form_of_the_others(review: ReviewService) -> None:
    found = clause(LONG, "of July 1, 2020", "Agreement Date", 0.9, 1, **MODEL)
    term = Term(
        category="Agreement Date", clause_id=found["id"], kind="date", status="stated", start=0
    )
    review.read("doc_1", LONG)
    title = DocumentTitle(title="Agreement · 2020-07-02")
    review.extract("doc_1", [found], searched=SearchedContract(terms=(term,)), title=title)
    start = LONG.index("July")
    right = {"start": start, "end": LONG.index(". Either")}
    decide(review, "Agreement Date", "correct", correction=right)
    shown = words_of(review)
    assert "Agreement date 2020-07-01 1 Corrected" in shown
    assert shown.startswith("Contract summary Agreement 2020-07-01")


PARTIES = "This agreement is between Acme Inc. (the Buyer) and Halden AS (the Seller)."


def test_the_other_parties_stay_after_a_rejection(review: ReviewService) -> None:
    quotes = ["Acme Inc. (the Buyer) and Halden AS", "Acme Inc.", "Halden AS", "Buyer"]
    found = [clause(PARTIES, one, "Parties", 0.9, n, **MODEL) for n, one in enumerate(quotes, 1)]
    terms = tuple(
        Term(category="Parties", clause_id=found[number]["id"], kind="party", status="stated",
             value=name, text=name, start=PARTIES.index(name))
        for number, name in ((1, "Acme Inc."), (2, "Halden AS"))
    )  # fmt: skip
    title = DocumentTitle(title="Agreement · Acme / Halden · 2020", parties=("Acme", "Halden"))
    review.read("doc_1", PARTIES)
    review.extract("doc_1", found, searched=SearchedContract(terms=terms), title=title)
    items = {one["text"]: one["id"] for one in review.items(state="all")}
    review.decide(items["Buyer"], "reject")
    shown = words_of(review)
    assert shown.startswith("Contract summary Agreement Acme / Halden · 2020 Draft")
    review.decide(items["Acme Inc."], "reject")
    assert "Parties Acme Inc. 1 Not decided Halden AS 1 Not decided" in words_of(review)
    review.decide(items[quotes[0]], "reject")
    shown = words_of(review)
    assert shown.startswith("Contract summary Agreement Halden · 2020 Draft")
    assert "Parties Halden AS 1 Not decided" in shown


def test_the_owner_key_names_no_person(contract: ReviewService) -> None:
    contract.keys.actors["key-owner"] = Actor("default", "owner", "k8")
    decide(contract, "Governing Law", "accept")
    body = {"document": "doc_1", "category": "Insurance", "absent": True}
    assert contract.client("key-owner").post("/v1/items", json=body).status_code == 201
    assert "Reviewed by a person with the owner's key (name unknown) and ada" in words_of(contract)


def test_the_title_is_the_one_of_the_document_unless_a_part_is_disputed(
    review: ReviewService,
) -> None:
    title = DocumentTitle(title="Supply Agreement · Acme / Halden", parties=("Acme", "Halden"))
    review.read("doc_1", TEXT)
    review.extract("doc_1", FOUND, title=title)
    assert words_of(review).startswith("Contract summary Supply Agreement Acme / Halden Draft")
    decide(review, "Document Name", "reject")
    assert words_of(review).startswith("Contract summary contract.pdf Acme / Halden Draft")


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
    assert "2 of them have no clause." in shown


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
    footer = file.sections[0].footer._element.xml
    assert re.findall(r'w:instr="(\w+)"', footer) == ["PAGE", "NUMPAGES"]
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
            lists=(NameList(flowing(HARD), ((flowing(HARD), flowing(HARD)),)),),
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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("JULY 15, 2005", "2005-07-15"),
        ("the 15th day of July, 2005", "2005-07-15"),
        ("15 Sept. 2005.", "2005-09-15"),
        ("February 30, 2005", "February 30, 2005"),
        ("2005-07-15", "2005-07-15"),
        ("5/7/2005", "5/7/2005"),
        ("two years after July 15, 2005", "two years after July 15, 2005"),
    ],
)
def test_only_a_date_in_words_becomes_iso(words: str, expected: str) -> None:
    assert dated(words) == expected
