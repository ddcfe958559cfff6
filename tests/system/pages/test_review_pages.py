"""The pages in a real browser: an analyst's day, and what an attacker puts into documents."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from pypdf import PdfWriter

from services.ingest.limits import QueueLimit
from services.triage.checks.verdict import triage_filing
from services.triage.domain import ReportFinding
from services.triage.reading.document import ReadFiling, read_document
from services.triage.reading.reader import find_statements
from shared import documents
from shared.events import DocumentTitle
from shared.events.questions import Proposal, Quote
from shared.web.scopes import ROLES, Role
from tests.support import ROOT, library, require
from tests.support.samples import mail
from tests.system.pages.review_stage import (
    CLAUSES,
    CONTRACT,
    FINDING,
    SCRIPT,
    STATEMENT,
    Stage,
    new_stage,
    pdf_of,
    until,
)
from tests.unit.documents.word import docx, p
from tests.unit.review.builders import FLAG, SIGNAL
from tests.unit.triage.reading import equity_samples, samples

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-sync", "--disable-background-networking", "--disable-component-update"),
]
EVIL = "<img src=x onerror=alert(1)>.pdf"
BROKEN = "broken <b>scan</b>.pdf"
REASON = "the page <img src=x onerror=alert(2)> can't be read"
WIDEST = """(scrolling) => Math.ceil(Math.max(...[...document.querySelectorAll("body, main *")]
  .filter((one) => !one.closest(`${scrolling}, .unseen`))
  .map((one) => one.getBoundingClientRect().right)))"""
AXE_RULES = {
    "runOnly": [
        *(f"wcag{version}{level}" for version in ("2", "21", "22") for level in ("a", "aa")),
        "best-practice",
    ],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
    "resultTypes": ["violations"],
}
ON_TOP = """(one) => {
  const { left, top, width, height } = one.getBoundingClientRect();
  return one.contains(document.elementFromPoint(left + width / 2, top + height - 2));
}"""
PATIENCE = 90_000  # milliseconds: machines that run tests are busy
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`);
});
window.alert = () => { window.alerted = true; };
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        stage.contract = stage.upload("Northwind – Halden, distribution.pdf", pdf_of(CONTRACT))
        stage.extract(stage.contract)
        other = stage.upload("Halden – Ostwald, supply.pdf", pdf_of(CONTRACT[1:]))
        stage.decide_some(other)
        report = stage.report = stage.upload(
            "q4-2023.json", repr(STATEMENT).replace("'", '"').encode(), "report"
        )
        stage.find(report)
        evil = stage.upload("evil.pdf", pdf_of([*CONTRACT[1:], ("The end.",)]))
        stage.extract(evil, [("Parties", SCRIPT, 0.97)])
        stage.rename(evil, EVIL)
        failed = stage.upload("broken scan.pdf", pdf_of([("A scan.", "Of nothing.")]))
        stage.rename(failed, BROKEN)
        stage.fail(failed, REASON)
        yield stage


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    require(CHROMIUM.exists(), "a browser: install chromium")
    sync_api = library("playwright.sync_api", "make setup-dev")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """A page that may have no error, violate no content policy, and ask no other host."""

    def __init__(self, browser: Any, stage: Stage, **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options}
        self.context = browser.new_context(**options)
        self.context.add_init_script(WATCH)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.stage = stage
        self.errors: list[str] = []
        self.ran: list[object] = []
        self.hosts: set[str] = set()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def sign_in(self, name: str = "ada") -> Any:
        self.page.goto(self.stage.address)
        self.page.get_by_label("Key").fill(self.stage.keys[name])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Queue").wait_for()
        return self.page

    def draw(self, name: str, scrolling: str = ".desk", *, whole: bool = True) -> None:
        """Take a screenshot for people of a page, which is no wider than its window.

        Args:
            scrolling: parts with their own scroll bar.
            whole: take also the part below the window.
        """
        picture(self.page, name, whole=whole)
        assert self.page.viewport_size is not None
        wide = self.page.evaluate(WIDEST, scrolling) - self.page.viewport_size["width"]
        assert wide <= 0, f"{name} is {wide} pixels too wide"

    def check_access(self, name: str) -> None:
        """Axe, run by the debugger under the policy of the page, finds no violation."""
        axe = library("axe_playwright_python.sync_playwright", "make setup-dev").Axe()
        found = axe.run(self.page, options=AXE_RULES)
        assert not found.violations_count, f"{name}: {found.generate_report()}"

    def close_tab(self) -> None:
        if not self.page.is_closed():
            self.ran = self.page.evaluate("[...window.violations, window.alerted ?? []].flat()")
            self.context.new_page()
            with self.page.expect_event("close"):
                self.page.close(run_before_unload=True)

    def close(self, allowed: tuple[str, ...] = ()) -> None:
        self.close_tab()
        self.context.close()
        errors = [e for e in self.errors if not any(part in e for part in allowed)]
        assert (self.ran, errors) == ([], [])
        assert self.hosts <= {self.stage.address.split("/")[2]}


@pytest.fixture
def ada(browser: Any, stage: Stage) -> Iterator[Watched]:
    watched = Watched(browser, stage)
    yield watched
    watched.close()


@pytest.fixture(autouse=True)
def _nobody_holds_anything(stage: Stage) -> Iterator[None]:
    """Release the items that a test left claimed, so that its failure stops no other test."""
    yield
    stage.road.open()
    for item in stage.open_items():
        if item["lease"]:
            key = stage.keys[item["lease"]["holder"]]
            headers = {"authorization": f"Bearer {key}"}
            stage.http.post(f"/v1/items/{item['id']}/release", headers=headers)


def until_given_back(stage: Stage) -> None:
    until(lambda: not held(stage), "items given back", 30)


def held(stage: Stage) -> set[str]:
    return {item["id"] for item in stage.open_items() if item["lease"]}


def heading(page: Any, text: str) -> Any:
    place = page.locator(".panel h1", has_text=text)
    place.wait_for()
    return place


def wait_for_picture(page: Any) -> None:
    drawn = "document.querySelector('.sheet img')?.naturalWidth > 0"
    until(lambda: page.evaluate(drawn), "the picture of the page", PATIENCE / 1000)


def decisions(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.http.get("/v1/decisions").json()["items"]
    return found


def sent(page: Any) -> None:
    """Wait until the server has all decisions. The next item is shown before."""
    kept = "Object.keys(localStorage).some((key) => key.startsWith('smallprint.undelivered.'))"
    until(lambda: not page.evaluate(kept), "the decisions sent")


def test_an_analyst_accepts_corrects_and_undoes(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.get_by_text("The least certain items come first.").wait_for()
    page.get_by_role("button", name="Start reviewing").click()
    heading(page, "Right of first refusal")
    shown = page.locator(".quote").text_content()
    assert CONTRACT[0][2].partition("During")[2] in shown, "the page's lines end in the sentence"
    ends = re.fullmatch(r"… (\S+)\s.*\s(\S+) …", shown, re.DOTALL)
    assert ends, shown
    assert {*ends.groups()} <= set(" ".join(CONTRACT[0]).split()), "the context cuts a word"
    page.locator(".sheet .mark").first.wait_for()
    page.keyboard.press("a")
    heading(page, "Change of control")
    sent(page)
    assert decisions(stage)[0]["verdict"] == "accept"

    page.keyboard.press("u")
    heading(page, "Right of first refusal")
    assert [d["verdict"] for d in decisions(stage)[:2]] == ["undo", "accept"]

    page.get_by_role("button", name="Correct").click()
    page.get_by_role("combobox", name="Clause type").fill("exclus")
    page.keyboard.press("Enter")
    words = select_words(page, "Distributor shall order Products")
    assert page.locator(".quote.new").inner_text() == words
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Correct").click()
    page.get_by_role("combobox", name="Clause type").fill("exclus")
    page.keyboard.press("Enter")
    page.locator(".viewer").get_by_role("button", name="Text").click()
    assert select_words(page, "Distributor shall order Products").split() == words.split()
    page.get_by_role("button", name="Save the correction").click()
    heading(page, "Change of control")
    sent(page)
    corrected = decisions(stage)[0]
    assert corrected["verdict"] == "correct"
    assert corrected["correction"]["category"] == "Exclusivity"
    assert corrected["correction"]["text"].replace("\n", " ") == words.replace("\n", " ")
    page.keyboard.press("u")
    heading(page, "Right of first refusal")
    page.get_by_role("link", name="Queue").click()
    page.get_by_role("heading", name="Queue").wait_for()
    until_given_back(stage)


def test_a_missed_clause_is_added_and_taken_back(ada: Watched, stage: Stage) -> None:
    document = stage.upload("short.pdf", pdf_of([("It is governed by the laws of Aalst.",)]))
    stage.extract(document, [("Governing Law", "laws of Aalst", 0.6)])
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_text("0 of 1 decided").wait_for()
    drag_over(page, "It is governed")
    page.get_by_role("button", name="Add clause").wait_for()
    ada.draw("add-clause-words", whole=False)
    page.keyboard.press("i")
    dialog = page.get_by_role("dialog", name="Add a clause")
    assert dialog.locator("blockquote").inner_text() == "It is governed"
    page.keyboard.type("warr")
    page.keyboard.press("Enter")
    ada.draw("add-clause", whole=False)
    page.keyboard.press("Enter")
    page.get_by_text("1 of 2 decided").wait_for()
    page.get_by_role("button", name="Warranty duration , added").wait_for()
    heading(page, "Warranty duration")
    assert page.locator(".panel .pill").inner_text() == "added · ada"
    assert decisions(stage)[0]["origin"] == "person"

    page.get_by_text("You added this on").wait_for()
    page.keyboard.press("u")
    page.get_by_text("0 of 1 decided").wait_for()
    items = stage.http.get(f"/v1/items?document={document}&state=all").json()["items"]
    assert [item["category"] for item in items] == ["Governing Law"]


def test_a_clause_is_added_once_if_its_answer_is_lost(browser: Any, stage: Stage) -> None:
    document = stage.upload("lost.pdf", pdf_of([("It is governed by the laws of Bruges.",)]))
    stage.extract(document, [("Governing Law", "laws of Bruges", 0.6)])
    ada = Watched(browser, stage)
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_text("0 of 1 decided").wait_for()
    drag_over(page, "It is governed")
    page.get_by_role("button", name="Add clause").wait_for()
    page.keyboard.press("i")
    dialog = page.get_by_role("dialog", name="Add a clause")
    dialog.get_by_role("combobox").wait_for()
    page.keyboard.type("warr")
    page.keyboard.press("Enter")

    def lose(route: Any) -> None:
        assert route.fetch().status == 201
        route.abort()

    page.route("**/v1/items", lose)
    page.keyboard.press("Enter")
    page.get_by_text("No connection. Add again").wait_for()
    assert dialog.get_by_role("combobox").is_disabled()
    page.unroute("**/v1/items")
    dialog.get_by_role("button", name="Add").click()
    page.get_by_text("1 of 2 decided").wait_for()
    items = stage.http.get(f"/v1/items?document={document}&state=all").json()["items"]
    assert sorted(item["category"] for item in items) == ["Governing Law", "Warranty Duration"]
    stage.http.delete(f"/v1/documents/{document}")
    ada.close(allowed=("ERR_FAILED",))


def test_keys_reach_the_last_row_of_a_list_that_is_longer_than_the_window(
    ada: Watched, stage: Stage
) -> None:
    page = ada.sign_in()
    page.set_viewport_size({"width": 1280, "height": 400})
    page.goto(f"{stage.address}/documents/{stage.contract}")
    rows = page.locator(".results [role=tabpanel]:not([hidden]) .entry")
    rows.first.wait_for()
    is_seen = """(row) => {
      const [own, list] = [row, row.closest(".results")].map((one) => one.getBoundingClientRect());
      return own.top >= list.top && own.bottom <= list.bottom + 1;
    }"""
    assert not rows.last.evaluate(is_seen)
    keys = rows.evaluate_all("(rows) => rows.map((row) => row.dataset.key)")
    clauses = stage.http.get(f"/v1/documents/{stage.contract}/clauses?limit=500").json()["items"]
    assert {clause["id"] for clause in clauses} <= set(keys)
    for key in keys:
        page.keyboard.press("j")
        page.locator(f".entry[aria-current][data-key='{key}']").wait_for()
    assert rows.last.get_attribute("aria-current") == "true"
    assert rows.last.evaluate(is_seen)


def test_a_selection_over_pages_keeps_its_start(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents/{stage.contract}")
    page.get_by_role("tab", name="Clauses").wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('.tick')].some((one) => one.offsetTop > 20)"
    )
    first = page.locator(".text-layer span", has_text="APPOINTMENT").first.bounding_box()
    page.mouse.move(first["x"] + 1, first["y"] + first["height"] / 2)
    page.mouse.down()
    page.mouse.move(first["x"] + 40, first["y"] + first["height"] / 2)
    page.mouse.wheel(0, 9_000)
    last = page.locator(".paper[data-page='3'] .text-layer span").last
    last.wait_for()
    page.wait_for_timeout(500)  # pages out of sight would be taken away now
    box = last.bounding_box()
    page.mouse.move(box["x"] + box["width"], box["y"] + box["height"] / 2)
    page.mouse.up()
    assert "Supplier appoints Distributor" in page.evaluate("String(document.getSelection())")
    page.get_by_role("button", name="Add clause").wait_for()
    page.keyboard.press("i")
    words = page.get_by_role("dialog", name="Add a clause").locator("blockquote").text_content()
    assert words.startswith("APPOINTMENT. Supplier appoints")
    page.keyboard.press("Escape")


def test_documents_are_selected_processed_again_and_deleted(ada: Watched, stage: Stage) -> None:
    names = ["one of them.pdf", "two of them.pdf"]
    for name in names:
        stage.upload(name, pdf_of([(f"It is {name}.",)]))
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents")
    for name in names:
        page.get_by_role("checkbox", name=f"Select {name}").check()
    bar = page.get_by_role("region", name="Selected documents")
    bar.get_by_text("2 selected").wait_for()
    ada.draw("documents-selected", whole=False)
    bar.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Question")
    assert {*question.locator("li").all_text_contents()} == {*names}
    page.keyboard.press("Escape")
    assert page.get_by_role("link", name=names[0]).is_visible()

    page.locator("tr", has_text=names[1]).locator(".menu summary").click()
    ada.draw("documents-menu", whole=False)
    page.locator("tr", has_text=names[1]).get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    bar.get_by_text("1 document deleted.").wait_for()
    page.get_by_role("link", name=names[1]).wait_for(state="detached")
    bar.get_by_text("1 selected").wait_for()
    bar.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    page.get_by_role("link", name=names[0]).wait_for(state="detached")
    listed = [one["name"] for one in stage.http.get("/v1/documents").json()["items"]]
    assert not set(names) & set(listed)


def test_keys_lead_to_pages_rows_and_documents_and_can_be_turned_off(
    ada: Watched, stage: Stage
) -> None:
    page = ada.sign_in()
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.get_by_role("heading", name="Documents").wait_for()
    page.locator("table.documents tbody tr").first.wait_for()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 1
    page.keyboard.press("x")
    page.get_by_text("1 selected").wait_for()
    with page.expect_file_chooser():
        page.evaluate("0")  # after its answer, Chromium tells of the dialog; a key may be faster
        page.keyboard.press("u")
    page.keyboard.press("Control+k")
    page.get_by_role("option", name="Upload").wait_for()
    ada.check_access("commands")
    page.keyboard.type("decis")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Decisions").wait_for()
    page.keyboard.press("Control+k")
    page.keyboard.type("northwind")
    page.get_by_role("option", name="Northwind").first.wait_for()
    page.keyboard.press("Enter")
    page.locator("h1.document-title", has_text="Northwind").wait_for()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    dialog.get_by_text("Skip this item for now").wait_for()
    single = dialog.get_by_label("Single keys")
    single.uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.keyboard.press("g")
    page.keyboard.press("q")
    assert not dialog.count()
    assert f"/documents/{stage.contract}" in page.url
    page.get_by_role("contentinfo").get_by_role("button", name="Keys").click()
    single.check()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("q")
    page.get_by_role("heading", name="Queue").wait_for()


def tab_to(page: Any, name: str) -> None:
    """Press Tab until an element with this text or label has the focus."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate(
            """(name) => {
              const at = document.activeElement;
              return [at.textContent.trim(), at.getAttribute("aria-label")].includes(name);
            }""",
            name,
        ):
            return
    raise AssertionError(f"Tab never reaches {name!r}")


def test_documents_are_found_sorted_and_tagged_by_keyboard(ada: Watched, stage: Stage) -> None:
    for party in ("Aster", "Birch"):
        document = stage.upload(f"EX-{party}.txt", f"An agreement with {party}.".encode())
        title = DocumentTitle(title=f"Quillon Lease · {party}", parties=(party,))
        stage.extract(document, [("Insurance", party, 0.6)], title=title)
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents")
    page.get_by_role("link", name=BROKEN).wait_for()
    page.keyboard.press("/")
    page.keyboard.type("quillon lease")
    page.get_by_role("link", name=BROKEN).wait_for(state="detached")
    links = page.locator("td.document > a")
    assert links.all_inner_texts() == ["Quillon Lease"] * 2
    tab_to(page, "Name")
    page.keyboard.press("Enter")
    page.locator("th[aria-sort=ascending]").wait_for()
    first = page.locator("tbody tr").first
    first.get_by_text("Aster · EX-Aster.txt").wait_for()
    assert parse_qs(urlsplit(page.url).query) == {"q": ["quillon lease"], "sort": ["name"]}
    tab_to(page, "Select Quillon Lease · Aster")
    page.keyboard.press("Space")
    tab_to(page, "Tag")
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Question").get_by_label("Tag").wait_for()
    page.keyboard.type("diligence")
    page.keyboard.press("Enter")
    bar = page.get_by_role("region", name="Selected documents")
    bar.get_by_text("1 document tagged.").wait_for()
    first.get_by_role("button", name="diligence").wait_for()
    ada.draw("documents-found", whole=False)
    page.goto(f"{stage.address}/documents")
    first.get_by_text("Aster · EX-Aster.txt").wait_for()
    tab_to(page, "diligence")
    page.keyboard.press("Enter")
    page.get_by_text("Birch · EX-Birch.txt").wait_for(state="detached")
    tab_to(page, "Select all")
    page.keyboard.press("Space")
    tab_to(page, "Assign")
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Question").get_by_label("Assign to").wait_for()
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    bar.get_by_text("1 document assigned.").wait_for()
    first.get_by_role("cell", name="ada", exact=True).wait_for()
    page.goto(f"{stage.address}/?q=quillon&assignee=me")
    until(lambda: page.locator("tr[data-item] .words").all_inner_texts() == ["Aster"], "mine")


def test_documents_are_sorted_on_a_phone(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents")
    page.get_by_role("link", name=BROKEN).wait_for()
    assert not page.get_by_label("Sort").is_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label("Sort").select_option("Name, A to Z")
    until(lambda: parse_qs(urlsplit(page.url).query) == {"sort": ["name"]}, "the order")
    ada.draw("documents-phone", whole=False)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 820, "height": 1100})
    ada.draw("documents-820", whole=False)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label("Sort").select_option("Newest first")
    until(lambda: not urlsplit(page.url).query, "the order of before")


def test_an_analyst_without_results_adds_a_clause(browser: Any, stage: Stage) -> None:
    wish = {"name": "noor", "scopes": sorted(ROLES["analyst"])}
    stage.keys["noor"] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    document = stage.upload("short too.pdf", pdf_of([("It is governed by the laws of Lier.",)]))
    stage.extract(document, [("Governing Law", "laws of Lier", 0.99)], accepted=0.9)
    analyst = Watched(browser, stage)
    page = analyst.sign_in("noor")
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_role("tab", name="Clauses 0").wait_for()
    drag_over(page, "It is governed")
    page.get_by_role("button", name="Add clause").click()
    page.get_by_role("combobox", name="Clause type").fill("parties")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.get_by_text("added · noor").wait_for()
    assert page.get_by_text("Governing law").count() == 0
    assert page.get_by_role("tab").count() == 1
    page.get_by_text("Your role shows only clauses to review").wait_for()
    analyst.draw("document-analyst")
    analyst.close()


def test_an_analyst_takes_and_tags_a_document(browser: Any, stage: Stage) -> None:
    wish = {"name": "nour", "scopes": sorted(ROLES["analyst"])}
    stage.keys["nour"] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    document = stage.upload("taken.txt", b"It is governed by the laws of Veurne.")
    stage.extract(document, [("Governing Law", "laws of Veurne", 0.6)])
    analyst = Watched(browser, stage)
    page = analyst.sign_in("nour")
    page.goto(f"{stage.address}/documents?q=taken")
    menu = page.get_by_label("Actions for taken.txt")
    menu.click()
    offered = page.locator(".menu[open] .menu-list > *").all_inner_texts()
    assert offered == ["Download", "Assign to me", "Assign", "Tag"]
    page.get_by_role("button", name="Assign to me").click()
    bar = page.get_by_role("region", name="Selected documents")
    bar.get_by_text("1 document assigned to you.").wait_for()
    page.get_by_role("cell", name="decided 0 of 1").wait_for()
    page.get_by_role("cell", name="nour", exact=True).wait_for()
    menu.click()
    page.get_by_role("button", name="Tag").click()
    page.get_by_role("dialog", name="Question").get_by_label("Tag").fill("mine")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="mine").wait_for()
    page.goto(f"{stage.address}/?assignee=me")
    until(
        lambda: page.locator("tr[data-item] .words").all_inner_texts() == ["laws of Veurne"], "mine"
    )
    analyst.close()


def test_terms_are_a_sheet_and_an_absence_is_confirmed(ada: Watched, stage: Stage) -> None:
    address = f"{stage.address}/v1/documents/{stage.contract}"
    text = stage.http.get(f"/v1/documents/{stage.contract}/text").text
    start = text.index("March 3, 2021")
    nearest = {"text": text[start : start + 13], "start": start, "end": start + 13, "page": 1}
    value = {"kind": "date", "status": "stated", "value": "2021-03-03", "start": start}
    value |= {"end": start + 13, "text": "March 3, 2021", "category": "Agreement Date"}
    absent = {"category": "Warranty Duration", "present": False, "probability": 0.07}
    searched = {"failed_pages": [2], "warnings": []}
    page = ada.sign_in()
    page.route(f"{address}/values*", lambda route: route.fulfill(json={"items": [value]}))
    found = {"items": [{**absent, "nearest": nearest}], "searched": searched}
    page.route(f"{address}/presence", lambda route: route.fulfill(json=found))
    page.goto(f"{stage.address}/documents/{stage.contract}")
    page.get_by_role("tab", name="Terms 1").click()
    page.get_by_role("button", name="2021-03-03").click()
    page.locator(".mark:not(.other)").first.wait_for()
    ada.draw("terms", whole=False)
    page.keyboard.press("3")
    page.get_by_text("Not searched: page 2.").wait_for()
    page.get_by_text("7% likely to be there").wait_for()
    page.get_by_role("button", name="Confirm absent: Warranty duration").click()
    page.get_by_text("confirmed absent · ada").wait_for()
    ada.draw("missing", whole=False)
    assert decisions(stage)[0]["absent"]
    page.goto(f"{stage.address}/decisions")
    page.get_by_role("button", name="Undo: confirmed absent, Warranty duration").click()
    page.get_by_role("link", name="Open the document").wait_for()
    items = stage.http.get(f"/v1/items?document={stage.contract}&state=all&limit=200").json()
    assert not [item for item in items["items"] if item["origin"] == "person"]


def select_words(page: Any, words: str, *, whole: str = "") -> str:
    """Select words while a correction goes on. `whole` is its text, if that is longer."""
    selected = drag_over(page, words)
    page.locator(".quote.new", has_text=whole or selected.split()[0]).wait_for()
    return selected


def drag_over(page: Any, words: str) -> str:
    """Select words of a document with the mouse, on its pages or in its text, and return them."""
    page.locator(".prose-text, .text-layer").first.wait_for()
    boxes = page.evaluate(
        """(words) => {
          const desk = document.querySelector(".desk");
          const walker = document.createTreeWalker(desk, NodeFilter.SHOW_TEXT);
          const nodes = [];
          while (walker.nextNode()) nodes.push(walker.currentNode);
          const all = nodes.map((node) => node.data).join("");
          const found = new RegExp(words.replaceAll(" ", "\\\\s+")).exec(all);
          if (!found) return null;
          const place = (at) => {
            for (const node of nodes) {
              if (at <= node.length) return [node, at];
              at -= node.length;
            }
          };
          const range = document.createRange();
          const [first, from] = place(found.index + 1);
          range.setStart(first, from - 1);
          range.setEnd(...place(found.index + found[0].length));
          const top = range.getBoundingClientRect().top;
          desk.scrollTop += top - desk.getBoundingClientRect().top - 200;
          const rects = [...range.getClientRects()].filter((one) => one.width > 1);
          return { first: rects[0].toJSON(), last: rects.at(-1).toJSON(), text: found[0] };
        }""",
        words,
    )
    assert boxes, f"{words!r} is not in the text that is shown"
    first, last = boxes["first"], boxes["last"]
    page.mouse.move(first["left"] + 1, (first["top"] + first["bottom"]) / 2)
    page.mouse.down()
    page.mouse.move(last["right"] - 12, (last["top"] + last["bottom"]) / 2)
    page.mouse.move(last["right"], (last["top"] + last["bottom"]) / 2)
    page.mouse.up()
    return str(boxes["text"])


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
def test_offsets_survive_letters_beyond_the_first_plane(
    ada: Watched, stage: Stage, mark: str
) -> None:
    """Browsers count UTF-16 units and the suite counts code points; a corrected span fits both."""
    words = f"{mark}🖋🖋 Signed in Ulm 🖋. The fee is five per cent of all sales. The end."
    document = stage.upload("fee.txt", words.encode())
    stage.extract(document, [("Price Restrictions", "fee is five", 0.99)])
    page = ada.sign_in()
    page.goto(f"{stage.address}/review?document={document}")
    heading(page, "Price restrictions")
    page.locator(".prose-text mark", has_text="fee is five").wait_for()
    assert page.locator(".prose-text mark").text_content() == "fee is five"
    page.keyboard.press("c")
    page.get_by_role("button", name="Begin a word earlier").click()
    page.locator(".quote.new", has_text="The fee is five").wait_for()
    page.get_by_role("button", name="End a word later").click()
    page.locator(".quote.new", has_text="The fee is five per").wait_for()
    page.get_by_role("button", name="Save the correction").click()
    page.get_by_text("No items left for you").wait_for()
    sent(page)
    right = decisions(stage)[0]["correction"]
    assert (right["start"], right["text"]) == (words.index("The fee"), "The fee is five per")
    page.keyboard.press("u")
    heading(page, "Price restrictions")
    page.keyboard.press("c")
    assert select_words(page, "Signed in Ulm 🖋") == "Signed in Ulm 🖋"
    page.get_by_role("button", name="Save the correction").click()
    page.get_by_text("No items left for you").wait_for()
    sent(page)
    right = decisions(stage)[0]["correction"]
    assert (right["start"], right["text"]) == (words.index("Signed"), "Signed in Ulm 🖋")


WRAPPED = """\
     🖋 THIS AGREEMENT is made by Northwind Instruments, a company organised under
the laws of Delaware, and Halden Trading, which is named in Section
2.1 below. It has no end.

1.1  Term. The term of this Agreement begins on the Effective Date and goes on
     for five years, unless a party ends it by notice under Section 9, or
     (a)  a party ends it at any time within thirty days after the first day.

IN NO EVENT SHALL EITHER PARTY BE LIABLE FOR THE
LOSS OF PROFITS.
The prices of all products are listed in the schedule below and hold all year.
Scales of the first class, as made in Ulm       100,000 dollars        40,000
Scales of the second class, as made in Ulm       80,000 dollars        20,000

                                        By: Ann Smith, President of Northwind
                                        Name: Ann Smith, of Northwind Ulm
1.   Term . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . .  1
"""
JOINED = ("under\nthe laws", "Section\n2.1", "goes on\n     for", "FOR THE\nLOSS")


def test_lines_of_a_paragraph_are_joined_and_offsets_stay(ada: Watched, stage: Stage) -> None:
    document = stage.upload("wrapped.txt", WRAPPED.encode())
    law = "organised under the laws of Delaware"
    stage.extract(document, [("Governing Law", law, 0.99)])
    page = ada.sign_in()
    page.goto(f"{stage.address}/review?document={document}")
    heading(page, "Governing law")
    page.locator(".prose-text mark", has_text="the laws of Delaware").wait_for()
    assert page.locator(".prose-text mark").text_content() == law
    read = WRAPPED
    for lines in JOINED:
        read = read.replace(lines, " ".join(lines.split()))
    assert page.locator(".prose-text").inner_text() == read
    picture(page, "wrapped")
    page.keyboard.press("c")
    assert select_words(page, "five years, unless") == "five years, unless"
    page.get_by_role("button", name="Save the correction").click()
    page.get_by_text("No items left for you").wait_for()
    sent(page)
    right = decisions(stage)[0]["correction"]
    assert (right["start"], right["text"]) == (WRAPPED.index("five years"), "five years, unless")


def test_lines_that_are_paragraphs_are_not_joined(ada: Watched) -> None:
    page = ada.sign_in()
    joined = """async (text) => (await import("/pages/text.js")).joinLines(text)"""
    clause = "Each party shall keep the information of the other party secret. "
    for text in ("", "One line.", "Ann\nBen\nCleo\n", f"{clause * 5}\n{clause * 6}\n{clause * 5}"):
        assert page.evaluate(joined, text) == text


def test_a_page_number_within_a_clause_is_not_marked(ada: Watched, stage: Stage) -> None:
    document = stage.upload("law.txt", "🖋 It is Utah\n\n7\n\nlaw. The end.".encode())
    clause = ("Governing Law", "It is Utah  7  law.", 0.99)
    stage.extract(document, [clause], omitted="7")
    page = ada.sign_in()
    page.goto(f"{stage.address}/review?document={document}")
    heading(page, "Governing law")
    page.locator(".prose-text mark", has_text="It is Utah").wait_for()
    marked = page.locator(".prose-text mark").all_text_contents()
    assert [words.strip() for words in marked] == ["It is Utah", "law."]
    assert page.locator(".passage mark").text_content() == "It is Utah law."


def test_a_word_file_is_shown_as_text_page_by_page(ada: Watched, stage: Stage) -> None:
    long = "Filler that makes the first page longer than what is shown at once. " * 300
    law = "This Agreement is governed by the laws of Norway."
    body = p("Opening words. " + long) + p(law, "<w:pageBreakBefore/>")
    document = stage.upload("lease.docx", docx(body))
    stage.extract(document, [("Governing Law", "the laws of Norway", 0.99)])
    page = ada.sign_in()
    page.goto(f"{stage.address}/review?document={document}")
    heading(page, "Governing law")
    page.locator(".prose-text mark", has_text="the laws of Norway").wait_for()
    assert page.locator(".prose-text").text_content() == law
    page.get_by_text("of 2").wait_for()
    page.get_by_role("button", name="Previous page (left arrow)").click()
    page.locator(".prose-text", has_text="Opening words.").wait_for()
    page.get_by_role("button", name="Next page (right arrow)").click()
    page.locator(".prose-text mark", has_text="the laws of Norway").wait_for()


FEE = "The Distributor shall pay a non-refundable fee of 400,000 dollars. It is due in May."
FEES = (
    ("Price Restrictions", "a non-refundable fee", 0.991),
    ("Minimum Commitment", "400,000 dollars", 0.992),
    ("Expiration Date", "due in May", 0.993),
)
RIGHT = {
    "category": "Exclusivity",
    "text": "in May",
    "start": FEE.index("in May"),
    "end": FEE.index("in May") + len("in May"),
}


def decide(stage: Stage, document: str, category: str, verdict: str, **more: Any) -> str:
    """Have Ada decide about one clause, and answer the id of its item."""
    params = {"document": document, "category": category}
    (item,) = stage.http.get("/v1/items", params=params).json()["items"]
    stage.http.post("/v1/items/claim", json={"item": item["id"]})
    wish = {"item": item["id"], "verdict": verdict, **more}
    answer = stage.http.post("/v1/decisions", json=wish)
    assert answer.status_code == 201, answer.text
    return str(item["id"])


def decided_fees(stage: Stage, name: str) -> tuple[str, list[str]]:
    document = stage.upload(name, f"{FEE} {name}".encode())
    stage.extract(document, FEES)
    return document, [
        decide(stage, document, "Price Restrictions", "reject"),
        decide(stage, document, "Expiration Date", "correct", correction=RIGHT),
    ]


def not_read_yet(route: Any) -> None:
    """Answer for a document as if one of its three pages were still to be read."""
    answer = route.fetch()
    so_far = {"state": "received", "outcome": None, "pages": None}
    progress = {"pages_done": 2, "pages": 3}
    route.fulfill(response=answer, json={**answer.json(), **so_far, "progress": progress})


def test_the_first_pages_are_shown_while_the_others_are_read(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    address = f"**/v1/documents/{stage.contract}"
    clause = {"category": "Audit Rights", "text": "inspect the books", "page": 2}
    found = {"items": [{**clause, "confidence": 0.78}], "provisional": True, "pages": 2}
    page.route(f"{address}/clauses?provisional=true*", lambda route: route.fulfill(json=found))
    page.route(address, not_read_yet)
    page.goto(f"{stage.address}/documents/{stage.contract}")
    early = page.get_by_role("region", name="Pages read so far")
    early.get_by_text("2 of 3 pages read").wait_for()
    early.get_by_text("Northwind Instruments, Inc.").wait_for()
    page.keyboard.press("ArrowRight")
    early.get_by_text("6. AUDIT.").wait_for()
    page.keyboard.press("ArrowRight")
    assert early.get_by_text("page 2", exact=True).is_visible()
    page.get_by_text("Preliminary results from 2 pages.").wait_for()
    assert page.get_by_role("heading", name="Audit rights").is_visible()
    page.unroute(address)
    page.locator(".overlay").first.wait_for()
    assert not early.is_visible()


def test_who_may_not_read_results_sees_the_first_pages_without_them(
    browser: Any, stage: Stage
) -> None:
    wish = {"name": "early", "scopes": sorted(ROLES["analyst"])}
    stage.keys["early"] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    analyst = Watched(browser, stage)
    page = analyst.sign_in("early")
    address = f"{stage.address}/v1/documents/{stage.contract}"
    page.route(address, not_read_yet)
    page.goto(f"{stage.address}/documents/{stage.contract}")
    page.get_by_text("2 of 3 pages read").wait_for()
    with page.expect_response(address):
        pass  # it asks for the document again, and had asked for nothing that it may not read
    analyst.close()


def test_a_page_that_is_not_drawn_at_once_is_shown_when_it_is(browser: Any, stage: Stage) -> None:
    watched = Watched(browser, stage)
    page = watched.sign_in()
    refused: list[str] = []

    def busy_at_first(route: Any) -> None:
        if len(refused) == 3:
            route.fallback()
            return
        refused.append(route.request.url)
        route.fulfill(status=429, headers={"retry-after": "1"}, json={"status": 429})

    page.route("**/pages/*.png", busy_at_first)
    page.goto(f"{stage.address}/documents/{stage.contract}")
    wait_for_picture(page)
    assert len(refused) == 3
    assert not page.get_by_text("This page can't be drawn now").is_visible()
    watched.close(allowed=("429",))


def test_a_finding_is_shown_on_the_page_where_it_stands(ada: Watched, stage: Stage) -> None:
    data = samples.pdf(samples.bent())
    reading = documents.read(data, name="annual.pdf")
    (found,) = read_document(data, reading.media_type, "annual.pdf", reading=lambda: reading)
    assert isinstance(found, ReadFiling)
    made = triage_filing(found.filing).findings[:1]
    findings = [ReportFinding("fd_1", "annual", f).to_json() for f in made]
    with stage.passing_report("annual.pdf", data) as report:
        stage.find(report, findings, found.form)
        items = stage.open_items()
        item = next(one["id"] for one in items if one["document_id"] == report)
        page = ada.sign_in()
        page.goto(f"{stage.address}/review?item={item}")
        page.get_by_text("Position").wait_for()
        assert page.locator("dl.facts div", has_text="Position").inner_text().endswith("page 1")
        lit = page.locator(".statement .lit")
        assert (lit.inner_text(), lit.get_attribute("title")) == ("1,590,000,000", "page 1")
        page.keyboard.press("t")
        page.locator(".mark").first.wait_for()
        assert (page.locator(".mark").count(), page.locator(".mark.part").count()) == (3, 2)
        sheet = page.locator(".desk .sheet").first.bounding_box()
        mark = page.locator(".mark:not(.part)").bounding_box()
        x0, y0, *_ = findings[0]["cells"][0]["place"]["box"]
        assert abs((mark["x"] - sheet["x"]) / sheet["width"] - x0 / 612) < 0.01
        assert abs((mark["y"] - sheet["y"]) / sheet["height"] - y0 / 792) < 0.01
        page.locator(".desk .sheet img").first.evaluate("(image) => image.decode()")
        picture(page, "finding-on-page")
        page.get_by_text("About this check").click()
        page.get_by_text(findings[0]["compares"]).wait_for()
        page.get_by_text(findings[0]["example"]).scroll_into_view_if_needed()
        picture(page, "finding-check")
        page.keyboard.press("t")
        assert page.locator("mark").inner_text() == "1,590"
        page.goto(f"{stage.address}/documents/{report}")
        page.get_by_role("tab", name="Findings 1").wait_for()
        page.locator(".statement").first.wait_for()
        page.keyboard.press("j")
        page.locator(".statement .lit").wait_for()
        page.keyboard.press("t")
        page.locator(".mark.part").first.wait_for()
        page.goto("about:blank")  # before the report is deleted


def test_a_finding_is_a_ledger_whose_lines_lead_to_their_cells(ada: Watched, stage: Stage) -> None:
    data = samples.pdf(samples.bent())
    reading = documents.read(data, name="sums.pdf")
    (found,) = read_document(data, reading.media_type, "sums.pdf", reading=lambda: reading)
    assert isinstance(found, ReadFiling)
    (made, *_) = triage_filing(found.filing).findings
    ledger = made.explanation.ledger
    assert ledger
    finding = ReportFinding("fd_sums", "sums", made).to_json()
    signal = {**SIGNAL, "filing": "sums", "inputs": [], "page": 1, "boxes": []}
    signal["explained_by"] = "fd_sums"
    with stage.passing_report("sums.pdf", data) as report:
        stage.find(report, [finding], found.form, signals=[signal])
        prior = {"document_id": "doc_0", "filing": "f", "end": "20221231", "risk": 0.12}
        stage.results[report]["history"] = [{"compared": [{**prior, "flagged": False}]}]
        page = ada.sign_in()
        page.goto(f"{stage.address}/documents/{report}")
        page.get_by_text("Earlier reports").click()
        page.get_by_role("link", name="2022-12-31").wait_for()
        page.get_by_text("risk 12%").wait_for()
        page.get_by_role("tab", name="Signals 1").click()
        page.locator(".entry:visible").click()
        page.get_by_role("button", name="See the finding").click()
        table = page.locator("table.ledger")
        lines = table.locator("tbody tr")
        lines.first.wait_for()
        assert lines.count() == len(ledger.rows)
        assert lines.first.locator("th").inner_text() == ledger.rows[0].cell.label
        difference = table.locator("tr.difference td.figure").inner_text()
        assert difference == f"{ledger.difference:,}"
        page.locator(".holds b").wait_for()
        page.locator(".statement .lit").wait_for()
        lines.first.hover()
        pointed = page.locator(".statement td.pointed")
        assert pointed.inner_text() == f"{ledger.rows[0].value:,}"
        picture(page, "ledger")
        lines.first.get_by_role("button").click()
        page.locator(".mark:not(.part):not(.other)").first.wait_for()
        sheet = page.locator(".desk .sheet").first.bounding_box()
        mark = page.locator(".mark:not(.part):not(.other)").first.bounding_box()
        position = ledger.rows[0].cell.position
        assert position
        assert position.box
        assert abs((mark["y"] - sheet["y"]) / sheet["height"] - position.box.y0 / 792) < 0.01
        page.goto(stage.address)


def test_the_keyboard_moves_between_the_cells_of_a_statement(ada: Watched, stage: Stage) -> None:
    both = PdfWriter()
    for part in (samples.pdf(samples.bent()), pdf_of([("The end.",)])):
        both.append(io.BytesIO(part))
    both.write(out := io.BytesIO())
    data = out.getvalue()
    reading = documents.read(data, name="cells.pdf")
    (found,) = read_document(data, reading.media_type, "cells.pdf", reading=lambda: reading)
    assert isinstance(found, ReadFiling)
    (made, *_) = triage_filing(found.filing).findings
    finding = ReportFinding("fd_cells", "cells", made).to_json()
    with stage.passing_report("cells.pdf", data) as report:
        stage.find(report, [finding], found.form)
        page = ada.sign_in()
        page.set_viewport_size({"width": 1280, "height": 400})
        page.goto(f"{stage.address}/documents/{report}")
        page.locator(".entry:visible").first.click()
        page.locator(".statement .lit").wait_for()
        grid, bar = page.locator(".statement table"), page.get_by_role("group", name="Cell")
        bar.get_by_text("As read 1,590").wait_for()
        assert bar.inner_text().split("\n")[0] == "Cell Total revenue, 2023-06-30 (12 months)"
        assert bar.get_by_text("Unit in millions").is_visible()
        assert grid.locator("td[tabindex='0']").count() == 1
        page.locator(".desk").focus()
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        assert focus.inner_text() == "1,590,000,000"
        assert focus.evaluate("(cell) => cell.ariaDescribedByElements[0].innerText").startswith(
            "As read 1,590"
        )
        for keys, text in MOVES.items():
            for key in keys.split():
                page.keyboard.press(key)
            assert focus.inner_text() == text, keys
            assert focus.evaluate(COVERED) is False, keys
        bar.get_by_text("As read $ 1,200").wait_for()
        grid.get_by_text("2.2", exact=True).click()
        bar.get_by_text("As read $ 2.20").wait_for()
        assert bar.get_by_text("From page 1").is_visible()
        assert not bar.get_by_text("in millions").count()
        ada.draw("statement-cells")
        ada.check_access("statement-cells")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("t")
        page.locator(".mark").first.wait_for()
        assert (
            page.get_by_label("Page", exact=True).input_value() == "1"
        )  # the arrow did not turn it
        page.goto(stage.address)


MOVES = {
    "ArrowRight": "1,250,000,000",
    "ArrowRight ArrowUp": "250,000,000",
    "Home": "300,000,000",
    "ArrowLeft End ArrowDown": "1,250,000,000",
    "Control+End": "200,000,000",
    "ArrowDown": "200,000,000",
    "Control+Home ArrowDown": "1,200,000,000",
}
COVERED = """(cell) => {
  const [own, desk] = [cell.getBoundingClientRect(), cell.closest(".desk").getBoundingClientRect()];
  const head = cell.closest("table").tHead.getBoundingClientRect();
  const label = cell.parentElement.cells[0].getBoundingClientRect();
  return own.top < head.bottom || own.bottom > desk.bottom
    || own.left < label.right || own.right > desk.right;
}"""


def noted(asked: list[str], request: Any) -> None:
    asked.append(request.url)


SHARP = "document.querySelector('.sheet.paper img')?.naturalWidth > 2000"


def test_pages_are_sharp_on_dense_screens_and_when_enlarged(browser: Any, stage: Stage) -> None:
    for density in (1, 2):
        window = {"width": 1800, "height": 900}
        watched = Watched(browser, stage, device_scale_factor=density, viewport=window)
        asked: list[str] = []
        watched.page.on("request", partial(noted, asked))
        page = watched.sign_in()
        page.goto(f"{stage.address}/documents/{stage.contract}")
        wait_for_picture(page)
        if density == 1:
            page.locator(".sheet .text-layer").first.wait_for()
            assert not [url for url in asked if "scale=2" in url]
            page.get_by_role("button", name="Larger (plus)").click(click_count=4)
        until(partial(page.evaluate, SHARP), "a sharp page", 30)
        page.goto(stage.address)
        watched.close()


def test_a_sentence_about_the_filer_is_shown_on_its_page(ada: Watched, stage: Stage) -> None:
    start = len("Annual report.\n\n")
    place = {"start": start, "end": start + len(FLAG["text"]), "page": 1, "boxes": []}
    with stage.passing_report(
        "going-on.txt", f"Annual report.\n\n{FLAG['text']}\n".encode()
    ) as report:
        stage.find(report, [], flags=[{**FLAG, **place}])
        (item,) = [one for one in stage.open_items() if one["document_id"] == report]
        page = ada.sign_in()
        page.locator(".filter-row select").first.select_option("flag")
        page.locator("tr[data-item]").get_by_text("Going-concern doubt").wait_for()
        page.goto(f"{stage.address}/review?item={item['id']}")
        heading(page, "Going-concern doubt")
        page.get_by_text("Does the report say this about the company").wait_for()
        assert page.locator(".panel-body mark").inner_text() == FLAG["text"]
        page.get_by_title("The report says this about its company").wait_for()
        picture(page, "sentence")
        page.goto(f"{stage.address}/documents/{report}")
        page.get_by_role("tab", name="Sentences 1").click()
        page.locator(".entry:visible").click()
        page.locator(".viewer mark").get_by_text("substantial doubt").wait_for()


def test_a_report_without_statements_shows_its_sentences(ada: Watched, stage: Stage) -> None:
    start = len("Risk factors.\n\n")
    place = {"start": start, "end": start + len(FLAG["text"]), "page": 1, "boxes": []}
    with stage.passing_report("risks.txt", f"Risk factors.\n\n{FLAG['text']}\n".encode()) as report:
        stage.find(
            report, [], flags=[{**FLAG, **place}], missing="no balance sheet was found in it"
        )
        page = ada.sign_in()
        page.goto(f"{stage.address}/documents/{report}")
        page.get_by_text("so no figures were checked").wait_for()
        page.get_by_role("tab", name="Sentences 1", selected=True).wait_for()
        assert page.get_by_text("no balance sheet was found in it").is_visible()
        assert not page.get_by_text("No errors found").count()
        page.get_by_role("button", name="Review this document").wait_for()
        picture(page, "words-alone")


def test_a_report_is_not_called_clean_where_it_may_not_be(ada: Watched, stage: Stage) -> None:
    word = {"reason": "Rounded.", "by": "bob", "time": "2026-01-02T10:00:00Z"}
    dismissed = {**FINDING, "dismissed": {**word, "document_id": "d", "finding_id": "f"}}
    with (
        stage.passing_report("bilanz.json", b'{"bilanz": 1}') as unknown,
        stage.passing_report("folded.json", b'{"folded": 1}') as folded,
    ):
        stage.find(unknown, [], warnings=["q4: nothing was checked: no line is known"])
        stage.find(folded, [dismissed])
        page = ada.sign_in()
        page.goto(f"{stage.address}/documents/{unknown}")
        page.get_by_text("Nothing was checked. See the notes").wait_for()
        page.get_by_text("Partly unread (1 note)").click()
        page.get_by_text("no line is known").wait_for()
        assert not page.get_by_text("No errors found").count()
        page.goto(f"{stage.address}/documents/{folded}")
        page.get_by_text("findings were dismissed before").wait_for()
        page.get_by_text("1 finding dismissed in an earlier report").wait_for()
        assert not page.get_by_text("No errors found").count()


def test_a_statement_of_equity_is_shown_by_component(ada: Watched, stage: Stage) -> None:
    reading = documents.read(equity_samples.html(), name="a.html")
    (equity,) = find_statements(reading).equity
    with stage.passing_report("equity.json", b'{"equity": 1}') as report:
        stage.find(report, filing={"id": "q4", "statements": [STATEMENT, equity.to_json()]})
        page = ada.sign_in()
        page.goto(f"{stage.address}/documents/{report}")
        table = page.get_by_role("grid", name="equity")
        table.get_by_role("columnheader").first.wait_for()
        heads = table.get_by_role("columnheader").all_inner_texts()
        assert [head.lower() for head in heads[1:4]] == [
            "period",
            "common stock shares",
            "common stock amount",
        ]
        row = table.get_by_role("row").filter(has_text="Issuance of common stock")
        assert row.get_by_role("gridcell").first.inner_text() == "2023-12-31 (12 months)"
        assert row.get_by_role("gridcell").last.inner_text() == "15,000,000"
        picture(page, "equity")


DRAW = """async (names) => {
  const { statementTable } = await import("/pages/statement.js");
  const ends = ["20230930", "20220930", "20230930", "20220930"];
  const columns = ends.map((end, place) => ({ end, quarters: place < 2 ? 1 : 3 }));
  const values = columns.map((_, place) => -123456789000 * (place + 1));
  const rows = names.map((label) => ({ label, values }));
  const desk = document.createElement("div");
  desk.className = "desk";
  desk.style.blockSize = "120px";
  document.body.replaceChildren(desk);
  document.body.style.display = "block";
  desk.append(statementTable({ statement: "income", columns, rows }, { row: 1, column: 3 }));
  desk.scrollLeft = desk.scrollWidth;
  desk.scrollTop = desk.scrollHeight;
  const [pane, sheet] = [desk.getBoundingClientRect(), desk.firstChild.getBoundingClientRect()];
  const label = desk.querySelector("tbody th").getBoundingClientRect();
  const figure = desk.querySelector("tbody tr:last-child td:last-child").getBoundingClientRect();
  return {
    page: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    scrolled: desk.scrollLeft,
    figure: [figure.right - pane.right, figure.right - sheet.right],
    head: desk.querySelector("thead th").getBoundingClientRect().top - pane.top,
    label: [label.left - pane.left, label.width],
  };
}"""


@pytest.mark.parametrize("width", [1280, 390])
def test_the_figures_and_the_head_of_four_columns_stay_in_sight(ada: Watched, width: int) -> None:
    page = ada.sign_in()
    page.set_viewport_size({"width": width, "height": 700})
    found = page.evaluate(DRAW, ["Net sales of products and services", "Cost of products sold"])
    picture(page, f"four-columns-{width}")
    assert found["page"] <= 0
    assert found["scrolled"] > 0 or width > 390
    assert max(found["figure"]) <= 0
    assert abs(found["head"]) < 20
    left, across = found["label"]
    assert 0 <= left < 60 or not found["scrolled"]
    assert across >= 120


def test_a_signal_is_shown_with_what_it_is_made_of(ada: Watched, stage: Stage) -> None:
    place = {"statement": "balance_sheet", "row": 4, "label": "Total current assets", "place": None}
    signal = {
        **SIGNAL,
        "filing": "q4",
        "inputs": [{**place, "figure": "current_assets", "value": 83_280, "column": 0}],
    }
    with stage.passing_report("growth.json", b'{"growth": 1}') as report:
        stage.find(report, [], signals=[signal])
        (item,) = [one for one in stage.open_items() if one["document_id"] == report]
        page = ada.sign_in()
        page.locator(".filter-row select").first.select_option("signal")
        page.locator("tr[data-item]").get_by_text("9.50 × usual range").wait_for()
        page.goto(f"{stage.address}/review?item={item['id']}")
        heading(page, "Growth of sales")
        page.get_by_text("This ratio is unusual.").wait_for()
        inputs = page.locator("table.inputs")
        assert inputs.locator("caption").inner_text() == signal["formula"]
        assert inputs.locator("td.figure").first.inner_text() == "83,280"
        assert page.locator(".statement .lit").inner_text() == "83,280"
        page.get_by_text("-40% to 50%, half below 0%").wait_for()
        picture(page, "signal")
        page.goto(f"{stage.address}/documents/{report}")
        page.get_by_text("No errors found").wait_for()
        page.get_by_role("tab", name="Signals 1").click()
        page.get_by_role("heading", name="Unusual ratios").wait_for()


def test_reports_are_listed_by_risk_and_lead_to_their_document(ada: Watched, stage: Stage) -> None:
    shared = {"filings": 1, "warnings": 0, "model": None, "updated": "2026-03-01T12:00:00Z"}
    stage.reports = [
        {"document_id": stage.report, "name": EVIL, "risk": 0.997, "flagged": True, "findings": 2,
         "decided": 2, "dismissed": 3, **shared},
        {"document_id": "doc_2", "name": "quiet.pdf", "risk": 0.02, "flagged": False, "findings": 0,
         **shared, "warnings": 3, "title": "Walmart · 10-Q · July 2023"},
    ]  # fmt: skip
    page = ada.sign_in()
    page.get_by_role("link", name="Documents", exact=True).click()
    page.get_by_role("link", name="Reports by risk").click()
    page.get_by_role("heading", name="Reports").wait_for()
    assert page.locator("#nav [aria-current]").inner_text() == "Documents"
    rows = page.locator("table.reports tbody tr")
    assert [text.split("\n")[0].split("\t")[0] for text in rows.all_inner_texts()] == ["99%", "2%"]
    assert rows.nth(0).get_by_text("flagged").is_visible()
    assert rows.nth(0).get_by_text("decided", exact=True).is_visible()
    assert rows.nth(0).get_by_text("3 dismissed before").is_visible()
    assert rows.nth(1).get_by_text("(3 notes)").is_visible()
    assert rows.nth(1).get_by_role("link").inner_text() == "Walmart"
    assert rows.nth(1).get_by_text("10-Q · July 2023 · quiet.pdf").is_visible()
    assert not rows.nth(1).get_by_text("decided").count()
    picture(page, "reports")
    page.get_by_label("Show").select_option("false")
    until(lambda: rows.count() == 1, "the filter")
    assert page.url.endswith("/reports?flagged=false")
    page.locator(".filters select").nth(1).select_option("0.5")
    page.get_by_role("button", name="Show all reports").click()
    page.get_by_role("link", name=EVIL).click()
    page.get_by_role("heading", name="q4-2023.json").wait_for()
    stage.reports = []


def test_the_last_decision_of_a_document_leads_to_the_next(ada: Watched, stage: Stage) -> None:
    document = stage.upload(
        "two terms.txt", b"It ends in May. It is governed by the laws of Diest."
    )
    names = [("Expiration Date", "in May", 0.6), ("Parties", "It ends", 0.99)]
    stage.extract(document, [*names, ("Governing Law", "laws of Diest", 0.5)], accepted=0.9)
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_text("0 of 2 decided").wait_for()
    page.keyboard.press("Shift+J")
    accept = page.locator(".decide").get_by_role("button", name="Accept")
    accept.click()
    page.get_by_text("1 of 2 decided").wait_for()
    assert not page.get_by_role("heading", name="All decided").count()
    accept.click()
    page.get_by_role("heading", name="All decided").wait_for()
    page.get_by_text("2 of 2 decided").wait_for()
    following = page.get_by_role("link", name="Next document")
    until(lambda: following.evaluate("one => one === document.activeElement"), "the focus")
    ada.draw("all-decided")
    ada.check_access("all-decided")
    page.keyboard.press("Enter")
    page.wait_for_url("**/review?item=*")


def test_the_document_shows_what_was_decided(ada: Watched, stage: Stage) -> None:
    document, _ = decided_fees(stage, "fees decided.txt")
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_text("2 of 3 decided").wait_for()
    panel = page.locator(".panel")
    page.get_by_role("button", name="Price restrictions , rejected").click()
    panel.locator(".pill", has_text="rejected · ada").wait_for()
    assert panel.locator("del").inner_text() == "a non-refundable fee"
    page.get_by_role("button", name="Expiration date , corrected").click()
    panel.locator(".pill", has_text="corrected · ada").wait_for()
    assert panel.locator("del").all_inner_texts() == ["Expiration date", "due in May"]
    assert panel.locator("ins").all_inner_texts() == ["Exclusivity", "in May"]
    page.get_by_role("button", name="Minimum commitment , open").wait_for()
    picture(page, "document-decided")
    page.get_by_role("button", name="Undo").wait_for()


def test_what_the_machine_accepted_is_marked_and_waits_for_nobody(
    ada: Watched, stage: Stage
) -> None:
    document = stage.upload("accepted.txt", f"{FEE} accepted.txt".encode())
    stage.extract(document, [(name, words, 0.9) for name, words, _ in FEES], accepted=0.9)
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_text("3 accepted automatically").wait_for()
    assert page.get_by_role("button", name=", accepted automatically").count() == 3
    assert page.get_by_role("button", name="Review this document").count() == 0
    picture(page, "document-accepted")
    page.goto(f"{stage.address}/?state=accepted&document={document}")
    page.locator("tr .pill.machine").first.wait_for()
    assert page.locator("tr .pill.machine").count() == 3
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_role("button", name=", accepted automatically").first.click()
    page.get_by_role("button", name="Review anyway").click()
    page.get_by_role("button", name="Reject").wait_for()


def test_an_old_decision_is_undone_by_whoever_made_it(browser: Any, stage: Stage) -> None:
    _, (rejected, corrected) = decided_fees(stage, "fees undone.txt")
    ben = Watched(browser, stage)
    page = ben.sign_in("ben")
    page.goto(f"{stage.address}/review?item={rejected}")
    page.get_by_text("Only Ada can undo it").wait_for()
    assert page.get_by_role("button", name="Undo").count() == 0
    page.goto(f"{stage.address}/decisions?by=ada")
    page.get_by_role("heading", name="Decisions").wait_for()
    assert page.get_by_role("button", name="Undo").count() == 0
    ben.close()
    ada = Watched(browser, stage)
    page = ada.sign_in("ada")
    page.goto(f"{stage.address}/review?item={rejected}")
    page.get_by_role("button", name="Undo").wait_for()
    page.locator(".quote del", has_text="a non-refundable fee").wait_for()
    picture(page, "decided")
    page.keyboard.press("u")
    page.get_by_role("button", name="Accept").wait_for()
    assert (decisions(stage)[0]["verdict"], decisions(stage)[0]["item_id"]) == ("undo", rejected)
    page.goto(f"{stage.address}/decisions")
    rows = page.get_by_role("row", name="fees undone.txt").filter(has_text="due in May")
    rows.get_by_role("button", name="Undo").click()
    page.get_by_role("link", name="Review it again").wait_for()
    assert (decisions(stage)[0]["verdict"], decisions(stage)[0]["item_id"]) == ("undo", corrected)
    lease = f"/v1/items/{corrected}"
    until(lambda: stage.http.get(lease).json()["state"] == "waiting", "the item given back")
    assert rows.get_by_role("button", name="Undo").count() == 0, "an undone decision has no Undo"
    picture(page, "decisions-undone")
    ada.close()


def test_enter_saves_a_correction_of_whole_words(ada: Watched, stage: Stage) -> None:
    document = stage.upload("fees corrected.txt", f"{FEE} By hand.".encode())
    stage.extract(document, FEES[2:])
    page = ada.sign_in()
    page.goto(f"{stage.address}/review?document={document}")
    heading(page, "Expiration date")
    page.keyboard.press("c")
    for name in ("Accept", "Reject", "Skip", "Undo"):
        assert page.get_by_role("button", name=name).is_disabled(), name
    select_words(page, "fundable fee of 400,0", whole="non-refundable fee of 400,000")
    picture(page, "correct-selected")
    page.keyboard.press("Enter")
    page.get_by_text("No items left for you").wait_for()
    sent(page)
    made = decisions(stage)[0]
    assert (made["verdict"], made["correction"]["text"]) == (
        "correct",
        "non-refundable fee of 400,000",
    )


def test_a_value_is_shown_and_corrected(ada: Watched, stage: Stage) -> None:
    text = b"It shall renew for periods of six (6) months each. Seller insures the goods."
    document = stage.upload("renewal.txt", text)
    found = [("Renewal Term", "renew for periods of six (6) months each", 0.4)]
    stage.extract(document, [*found, ("Insurance", "Seller insures the goods", 0.5)])
    page = ada.sign_in()
    page.goto(f"{stage.address}/review?document={document}")
    heading(page, "Renewal term")
    page.get_by_text("Value 6 months").wait_for()
    page.keyboard.press("c")
    field = page.get_by_label("Value")
    field.fill("every year")
    field.press("Enter")
    page.get_by_text("Write the value like this: 2017-05-31, 6 months, or perpetual.").wait_for()
    field.fill("2020-02-31")
    field.press("Enter")
    page.locator(".panel-foot .status.wrong", has_text="Write the value").wait_for()
    field.fill("1 year, 6 months")
    ada.draw("correct-value", whole=False)
    page.set_viewport_size({"width": 390, "height": 844})
    save = page.get_by_role("button", name="Save the correction")
    until(lambda: save.evaluate(ON_TOP), "the button to save on a phone")
    ada.draw("correct-value-phone", whole=False)
    page.set_viewport_size({"width": 1280, "height": 800})
    field.press("Enter")
    heading(page, "Insurance")
    page.locator(".passage mark", has_text="Seller insures the goods").wait_for()
    page.keyboard.press("a")
    page.get_by_text("No items left for you").wait_for()
    sent(page)
    made = decisions(stage)[1]
    assert (made["verdict"], made["correction"]["value"]) == ("correct", "P1Y6M")
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_role("tab", name="Terms 1").click()
    row = page.locator(".terms dd", has_text="corrected")
    assert row.inner_text().split(maxsplit=4) == ["1", "year,", "6", "months", "corrected"]
    row.get_by_role("button").click()
    page.locator(".panel ins", has_text="1 year, 6 months").wait_for()
    ada.draw("corrected-value", whole=False)
    page.goto(f"{stage.address}/decisions")
    page.locator(".words ins", has_text="1 year, 6 months").first.wait_for()


def test_an_amount_is_corrected_in_a_browser_of_another_language(
    browser: Any, stage: Stage
) -> None:
    document = stage.upload("cap.txt", b"Liability is limited to US$ 1,400,000 in total.")
    stage.extract(document, [("Cap On Liability", "limited to US$ 1,400,000", 0.4)])
    ada = Watched(browser, stage, locale="de-DE")
    page = ada.sign_in()
    page.goto(f"{stage.address}/review?document={document}")
    page.get_by_text("Value USD 1.400.000").wait_for()
    page.keyboard.press("c")
    field = page.get_by_label("Value")
    assert field.input_value() == "USD 1,400,000"
    field.fill("1,500,000")
    field.press("Enter")
    page.get_by_text("No items left for you").wait_for()
    sent(page)
    right = decisions(stage)[0]["correction"]
    assert (right["value"], right["currency"]) == ("1500000", "USD"), "it keeps its currency"
    ada.close()


def test_a_failed_document_offers_only_what_is_possible(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage)
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents")
    page.get_by_role("link", name=BROKEN).click()
    page.get_by_text("Processing failed.").wait_for()
    page.locator(".panel .reasons", has_text="can't be read").wait_for()
    page.get_by_role("link", name="Download the original").wait_for()
    assert page.get_by_role("button", name="Review this document").count() == 0
    picture(page, "document-failed")
    torn = {"file": ("torn.pdf", b"%PDF-1.7 torn in two")}
    document = stage.http.post("/v1/documents", files=torn, data={"kind": "contract"}).json()["id"]
    path = f"/v1/documents/{document}"
    until(lambda: stage.http.get(path).json()["state"] == "ended", "the end of torn.pdf")
    page.goto(f"{stage.address}/documents/{document}")
    page.get_by_text("This document could not be read, so there is nothing to show.").wait_for()
    page.get_by_role("link", name="Download the original").wait_for()
    assert page.get_by_role("button", name="Review this document").count() == 0
    picture(page, "document-unreadable")
    ada.close(allowed=("404",))  # review knows no pages of what was never read


def test_a_mail_and_its_parts_lead_to_each_other(ada: Watched, stage: Stage) -> None:
    attached = {"Side letter.txt": b"A side letter.", "scan.gif": b"GIF89a" + bytes(30)}
    data = mail("The side letter", attached)
    files = {"file": ("Side letter.eml", data)}
    document = stage.http.post("/v1/documents", files=files, data={"kind": "report"}).json()["id"]
    path = f"/v1/documents/{document}"
    until(lambda: stage.http.get(path).json()["state"] == "ended", "the end of the mail")
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents")
    row = page.get_by_role("row", name="Side letter.eml").filter(has_text="2 parts")
    row.get_by_role("cell", name="Mail", exact=True).wait_for()
    row.get_by_text("Part scan.gif: this is a GIF image").wait_for()
    part = page.get_by_role("row", name="Side letter.txt").filter(has_text="in Side letter.eml")
    part.get_by_role("link", name="Side letter.txt").click()
    page.get_by_text("Part of").get_by_role("link", name="Side letter.eml").click()
    page.get_by_text("2 parts", exact=True).wait_for()
    page.get_by_text("scan.gif (refused)").wait_for()
    page.get_by_text("This file itself is not analysed").wait_for()
    picture(page, "document-mail")
    page.get_by_role("link", name="Side letter.txt").click()
    page.get_by_role("heading", name="Side letter.txt").wait_for()


def test_an_item_of_a_filtered_queue_is_followed_by_others_that_match(
    ada: Watched, stage: Stage
) -> None:
    page = ada.sign_in()
    item = stage.open_items()[0]
    page.goto(f"{stage.address}/?category={quote(item['category'])}&document={item['document_id']}")
    page.locator("a.open").first.click()
    page.locator(".panel h1").wait_for()
    kept = parse_qs(urlsplit(page.url).query)
    assert kept["category"] == [item["category"]]
    assert kept["document"] == [item["document_id"]]


def test_the_review_page_counts_what_is_in_other_tabs(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    held = [item["id"] for item in stage.open_items()[-2:]]
    for item in held:
        stage.http.post("/v1/items/claim", json={"item": item})
    page.goto(f"{stage.address}/review?category=Nothing")
    page.get_by_text("being reviewed in other tabs or by colleagues").wait_for()
    page.get_by_text("2 items are being reviewed").wait_for()
    page.goto(f"{stage.address}/review")
    counts = "/v1/items/counts"
    until(lambda: stage.http.get(counts).json()["claimed"] == 4, "the claim in advance")
    page.locator(".tally", has_text="3 being reviewed").wait_for()
    page.get_by_role("link", name="Queue").click()
    page.get_by_text(re.compile("· 2 open now")).wait_for()


def picture(page: Any, name: str, *, whole: bool = False) -> None:
    folder = ROOT / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(250)
    page.screenshot(path=folder / f"{name}.png", full_page=whole)


def test_what_is_in_a_document_is_only_ever_text(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.locator("tbody").get_by_text(EVIL).first.wait_for()
    page.get_by_text(SCRIPT).first.wait_for()
    row = page.locator("tr[data-item]", has_text=SCRIPT)
    row.get_by_role("link", name="Parties").click()
    heading(page, "Parties")
    page.locator(".quote", has_text=SCRIPT).wait_for()
    page.get_by_role("button", name="Text", exact=True).click()
    page.locator(".prose-text", has_text=SCRIPT).wait_for()
    page.get_by_role("link", name="Documents").click()
    page.get_by_role("link", name=EVIL).wait_for()
    page.get_by_text("<img src=x onerror=alert(2)>").wait_for()
    page.get_by_role("link", name=BROKEN).click()
    page.get_by_role("heading", name=BROKEN).wait_for()
    assert page.title() == f"{BROKEN} · smallprint"
    assert page.locator("img[src=x], main script, main b").count() == 0


def test_a_model_s_proposal_is_shown_as_one(ada: Watched, stage: Stage) -> None:
    words = "1. Law. The laws of Ulm govern. The end."
    document = stage.upload("law.txt", words.encode())
    stage.extract(document, [("Governing Law", "laws of Ulm", 0.99)])
    (item,) = (one for one in stage.open_items() if one["document_id"] == document)
    quote = "The laws of Ulm govern."
    start = words.index(quote)
    stage.propose(item, Quote(text=quote, start=start, end=start + len(quote)), EVIL)
    page = ada.sign_in()
    page.goto(f"{stage.address}/review?document={document}")
    heading(page, "Governing law")
    shown = page.get_by_role("complementary", name="Proposal of a model")
    shown.get_by_text("claude (m-1) proposes these words:").wait_for()
    assert shown.locator(".quote").text_content() == quote
    shown.get_by_text("(not verified)").wait_for()
    assert EVIL in (shown.text_content() or "")
    assert page.locator("main script, main b").count() == 0


def test_what_a_model_says_of_a_finding_is_shown_with_its_sum(ada: Watched, stage: Stage) -> None:
    with stage.passing_report("answered.json", b'{"answered": 1}') as report:
        stage.find(report)
        (item,) = (one for one in stage.open_items() if one["document_id"] == report)
        finding = item["finding"]
        cell = {"table": 1, "statement": finding["statement"], "column": finding["column"]}
        doubted = {**cell, "row": finding["row"], "label": "Total", "value": 8_000_000}
        terms = [
            {**cell, "row": 0, "label": EVIL, "value": 9_500_000, "sign": 1},
            {**cell, "row": 1, "label": "Returns", "value": 250_000, "sign": -1},
        ]
        proposal = {
            "subject": "finding",
            "verdict": "error",
            "category": item["category"],
            "cell": doubted,
            "expected": 9_250_000,
            "arithmetic": terms,
            "total": 9_250_000,
            "tolerance": 1_000,
            "why": "so",
            "provider": "claude",
            "model": "m-1",
        }
        stage.answer(item, Proposal.model_validate(proposal))
        page = ada.sign_in()
        page.goto(f"{stage.address}/review?document={report}")
        shown = page.get_by_role("complementary", name="Proposal of a model")
        shown.get_by_text("claude (m-1) finds an error, by this sum:").wait_for()
        rows = [row.text_content() for row in shown.locator("tr").all()]
        assert rows == [
            f"{EVIL}+ 9,500,000",
            "Returns− 250,000",
            "Sum9,250,000",
            "Total, as reported8,000,000",
        ]
        assert page.locator("main script, main b").count() == 0
        picture(page, "finding-answered")


def test_words_are_searched_by_keyboard(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    hint = page.locator("#find kbd")
    assert not hint.is_visible()  # the queue has its own box
    page.keyboard.press("?")
    page.get_by_text("Search this page").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.get_by_label("Search the queue").evaluate("one => one === document.activeElement")
    page.get_by_role("link", name="Decisions").click()
    page.get_by_role("heading", name="Decisions").wait_for()
    assert hint.is_visible()
    page.keyboard.press("/")
    page.wait_for_function("document.activeElement.type === 'search'")
    page.keyboard.type('"laws of the state" york')
    page.keyboard.press("Enter")
    page.locator(".hit").nth(2).wait_for()
    marks = page.locator(".hit").first.locator("mark").all_text_contents()
    assert marks == ["laws of the State", "York"]
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    first = page.locator(".hit").first
    assert first.evaluate("one => one === document.activeElement")
    page.keyboard.press("Enter")
    page.locator(".paper .mark:not(.other)").first.wait_for()
    page.keyboard.press("t")
    page.locator(".prose-text mark").wait_for()
    assert page.locator(".prose-text mark").text_content() == "laws of the State of New York"
    page.go_back()
    page.locator(".hit").nth(2).wait_for()
    assert page.get_by_role("searchbox").input_value() == '"laws of the state" york'

    page.get_by_role("searchbox").fill("taken title")
    page.keyboard.press("Enter")
    page.locator(".hit", has_text=EVIL).locator("mark", has_text="title").wait_for()
    page.locator(".hit-text", has_text=SCRIPT).first.wait_for()
    page.get_by_label("Where").select_option("clauses")
    page.locator(".hit", has_text="Parties").wait_for()
    page.get_by_label("Clause type").select_option("Insurance")
    page.get_by_role("heading", name="No results").wait_for()
    page.get_by_text("Searched for “taken” and “title”.").wait_for()
    assert page.title() == "Search: taken title · smallprint"


def test_two_analysts_never_see_the_same_item(browser: Any, stage: Stage) -> None:
    ada, ben = Watched(browser, stage), Watched(browser, stage)
    first, second = ada.sign_in("ada"), ben.sign_in("ben")
    first.get_by_role("button", name="Start reviewing").click()
    heading(first, "Right of first refusal")
    until(lambda: sum(bool(i["lease"]) for i in stage.open_items()) == 2, "the item ahead")
    second.goto(f"{stage.address}/review")
    heading(second, "Anti-assignment")
    taken = first.url.split("item=")[1]
    second.goto(f"{stage.address}/review?item={taken}")
    second.get_by_text("Ada is reviewing this item").wait_for()
    second.get_by_role("button", name="Review the next item").click()
    heading(second, "Anti-assignment")
    ada.close_tab()
    ben.close_tab()
    until_given_back(stage)
    ada.close()
    ben.close(allowed=("409",))


def test_a_reload_keeps_the_item_and_a_closed_tab_gives_it_back(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.keyboard.press("Enter")
    heading(page, "Right of first refusal")
    page.keyboard.press("s")
    heading(page, "Change of control")
    page.reload()
    heading(page, "Change of control")
    until(
        lambda: "ada" in {(i["lease"] or {}).get("holder") for i in stage.open_items()}, "a claim"
    )
    assert stage.http.get("/v1/items/counts").json()["claimed"] >= 1
    ada.close_tab()
    until_given_back(stage)


def begin(watched: Watched, stage: Stage) -> Any:
    """Sign in as Ada, begin to review, and wait until the next item is claimed as well."""
    page = watched.sign_in()
    page.keyboard.press("Enter")
    heading(page, "Right of first refusal")
    until(lambda: len(held(stage)) == 2, "the item ahead")
    return page


def skip_with_the_road_shut(page: Any, way: threading.Event) -> None:
    """Skip the item: the next one is on the table, and a claim for one more is on its way."""
    way.clear()
    page.keyboard.press("s")
    heading(page, "Change of control")


def test_a_claim_that_arrives_after_its_tab_was_closed_holds_nothing(
    ada: Watched, stage: Stage
) -> None:
    page = begin(ada, stage)
    skip_with_the_road_shut(page, stage.road.there)
    until(lambda: stage.road.waiting == 1, "the claim on its way")
    ada.close_tab()
    until_given_back(stage)
    answered = len(stage.road.answers)
    stage.road.open()
    until(lambda: stage.road.answers[answered:] == [409], "the refusal")
    assert held(stage) == set()


def test_a_claim_whose_answer_never_arrived_is_given_back(ada: Watched, stage: Stage) -> None:
    page = begin(ada, stage)
    skip_with_the_road_shut(page, stage.road.back)
    until(lambda: len(held(stage)) == 2, "the claim granted")
    ada.close_tab()
    until_given_back(stage)


def test_a_claim_under_way_when_one_signs_out_holds_nothing(ada: Watched, stage: Stage) -> None:
    page = begin(ada, stage)
    skip_with_the_road_shut(page, stage.road.back)
    until(lambda: len(held(stage)) == 2, "the claim granted")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Key").wait_for()
    assert held(stage) == set()


def test_a_tab_is_the_same_after_a_reload_and_its_copy_is_another(
    ada: Watched, stage: Stage
) -> None:
    """A copy begins with the session storage of its original, and closing it takes nothing away."""
    named = stage.road.tabs
    named.clear()
    page = begin(ada, stage)
    page.reload()
    heading(page, "Right of first refusal")
    until(lambda: len({one["generation"] for one in named}) == 2, "a claim after the reload")
    (mine,) = {one["id"] for one in named}
    until(lambda: len(held(stage)) == 2, "the item ahead")
    before = held(stage)
    with page.expect_popup() as opened:
        page.evaluate("window.open('/review')")
    copy = opened.value
    assert copy.evaluate("sessionStorage.getItem('smallprint.who')"), "nothing was copied"
    heading(copy, "Anti-assignment")
    until(lambda: len(held(stage)) == 4, "the items of the copy")
    assert len({one["id"] for one in named}) == 2
    with copy.expect_event("close"):
        copy.close(run_before_unload=True)
    until(lambda: held(stage) == before, "the copy's items given back")
    page.keyboard.press("s")
    heading(page, "Change of control")
    until(lambda: len(held(stage)) == 2, "the item ahead")
    assert named[-1]["id"] == mine


def test_a_page_that_comes_back_from_the_browsers_cache_is_the_same_tab(
    ada: Watched, stage: Stage
) -> None:
    """It was left when it was hidden, and what it claims afterwards is a new stay's."""
    named = stage.road.tabs
    named.clear()
    page = begin(ada, stage)
    page.get_by_role("link", name="Queue").click()
    page.get_by_role("heading", name="Queue").wait_for()
    until_given_back(stage)
    for event in ("pagehide", "pageshow"):
        page.evaluate(
            "(name) => dispatchEvent(new PageTransitionEvent(name, { persisted: true }))", event
        )
    page.keyboard.press("Enter")
    heading(page, "Right of first refusal")
    until(lambda: len(held(stage)) == 2, "the item ahead")
    assert len({one["id"] for one in named}) == 1
    assert named[-1]["generation"] > named[0]["generation"]


def test_no_connection_loses_no_decision(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage)
    page = ada.sign_in()
    page.goto(f"{stage.address}/review")
    heading(page, "Right of first refusal")
    before = len(decisions(stage))
    ada.context.set_offline(True)
    page.keyboard.press("r")
    page.get_by_text("No connection to the server").wait_for()
    ada.context.set_offline(False)
    heading(page, "Change of control")
    until(lambda: len(decisions(stage)) == before + 1, "the decision")
    page.keyboard.press("u")
    heading(page, "Right of first refusal")
    ada.close(allowed=("ERR_INTERNET_DISCONNECTED",))


def undo(stage: Stage, item: str) -> None:
    answer = stage.http.post("/v1/decisions", json={"item": item, "verdict": "undo"})
    assert answer.status_code == 201, answer.text
    stage.http.post(f"/v1/items/{item}/release")


def test_signing_out_leaves_nothing_for_the_next_person_to_undo(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in("ada")
    page.keyboard.press("Enter")
    heading(page, "Right of first refusal")
    page.keyboard.press("a")
    heading(page, "Change of control")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Key").wait_for()
    assert page.evaluate("sessionStorage.length") == 0
    ada.sign_in("ben")
    page.keyboard.press("Enter")
    page.locator(".panel h1").wait_for()
    page.keyboard.press("u")
    page.get_by_text("Nothing to undo here").wait_for()
    made = decisions(stage)[0]
    assert (made["verdict"], made["actor"]) == ("accept", "ada")
    undo(stage, made["item_id"])


def test_another_person_at_the_renewed_sign_in_starts_afresh(browser: Any, stage: Stage) -> None:
    watched = Watched(browser, stage)
    page = watched.sign_in("ada")
    page.goto(f"{stage.address}/review")
    heading(page, "Right of first refusal")
    page.keyboard.press("r")
    heading(page, "Change of control")
    sent(page)
    rejected = decisions(stage)[0]
    watched.context.clear_cookies()
    page.keyboard.press("a")
    page.get_by_role("dialog").get_by_label("Key").fill(stage.keys["ben"])
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Queue").wait_for()
    page.locator("#who", has_text="ben").wait_for()
    assert decisions(stage)[0] == rejected
    kept = page.evaluate("Object.keys(sessionStorage).filter((key) => !key.endsWith('.who'))")
    assert kept == []
    watched.close(allowed=("401",))
    undo(stage, rejected["item_id"])


def test_an_ended_session_is_renewed_over_the_work(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage)
    page = ada.sign_in()
    page.goto(f"{stage.address}/review")
    heading(page, "Right of first refusal")
    page.locator(".entry[aria-current]").wait_for()
    ada.context.clear_cookies()
    page.keyboard.press("a")
    page.get_by_role("heading", name="Your session has ended").wait_for()
    page.get_by_role("dialog").get_by_label("Key").fill(stage.keys["ada"])
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    heading(page, "Change of control")
    sent(page)
    assert decisions(stage)[0]["verdict"] == "accept"
    page.keyboard.press("u")
    heading(page, "Right of first refusal")
    ada.close(allowed=("401",))


def test_a_wrong_key_is_an_error(browser: Any, stage: Stage) -> None:
    somebody = Watched(browser, stage)
    somebody.page.goto(stage.address)
    somebody.page.get_by_label("Key").fill("sp_wrong")
    somebody.page.get_by_role("button", name="Sign in").click()
    somebody.page.get_by_text("This key is unknown, expired or revoked").wait_for()
    somebody.close(allowed=("401",))


def test_files_are_uploaded_with_their_errors(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.get_by_role("link", name="Documents").click()
    again = {
        "name": "the same.pdf",
        "mimeType": "application/pdf",
        "buffer": pdf_of(CONTRACT),
    }
    fresh = {"name": "fresh.txt", "mimeType": "text/plain", "buffer": b"A short contract, dated."}
    page.locator("#files").set_input_files([again, fresh])
    page.locator(".uploads .good", has_text="Already uploaded").wait_for()
    page.locator(".uploads .good", has_text="fresh.txt").wait_for()
    page.get_by_role("link", name="fresh.txt").wait_for()
    dropped = page.evaluate_handle(
        """() => {
          const dropped = new DataTransfer();
          dropped.items.add(new File(["Dropped by hand."], "dropped.txt", { type: "text/plain" }));
          return dropped;
        }"""
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
    page.get_by_role("link", name="dropped.txt").wait_for()


def test_a_refused_file_says_why(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage)
    page = ada.sign_in()
    page.get_by_role("link", name="Documents").click()
    page.locator("#files").set_input_files(
        [{"name": "empty.pdf", "mimeType": "application/pdf", "buffer": b""}]
    )
    page.locator(".uploads .wrong", has_text="empty.pdf").wait_for()
    page.get_by_role("button", name="Try again").wait_for()
    ada.close(allowed=("status of 4",))


def test_a_file_waits_for_room_and_goes_by_itself(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage)
    page = ada.sign_in()
    page.get_by_role("link", name="Documents").click()
    intake = stage.ingest.app.state.resumables.commands
    limit = intake.limit
    intake.limit = QueueLimit(0, 0)
    try:
        late = {"name": "late.txt", "mimeType": "text/plain", "buffer": b"A late contract."}
        page.locator("#files").set_input_files([late])
        page.locator(".uploads li", has_text="late.txt").get_by_text("waiting: too many").wait_for()
    finally:
        intake.limit = limit
    page.locator(".uploads .good", has_text="late.txt").wait_for()
    page.get_by_role("link", name="late.txt").wait_for()
    ada.close(allowed=("status of 429",))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_is_drawn_without_a_sideways_scroll(
    browser: Any, stage: Stage, scheme: str, width: int
) -> None:
    height = 800 if width == 1440 else 844
    ada = Watched(browser, stage, color_scheme=scheme, viewport={"width": width, "height": height})
    page = ada.page

    def shot(name: str) -> None:
        ada.draw(f"{name}-{width}-{scheme}", whole=False)
        ada.check_access(f"{name}-{width}-{scheme}")

    page.goto(stage.address)
    page.get_by_label("Key").wait_for()
    shot("sign-in")
    ada.sign_in()
    shot("queue")
    page.goto(f"{stage.address}/review?document={stage.contract}")
    heading(page, "Right of first refusal")
    wait_for_picture(page)
    shot("review")
    page.keyboard.press("c")
    page.locator(".text-layer").first.wait_for()
    page.keyboard.press("ArrowDown")
    shot("correct-list")
    page.keyboard.type("minimum")
    page.keyboard.press("Enter")
    shot("correct")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    shot("keys")
    page.keyboard.press("Escape")
    page.goto(f"{stage.address}/findings")
    page.get_by_role("link", name="Findings").and_(page.locator("[aria-current]")).wait_for()
    shot("findings")
    page.locator("a.open").first.click()
    page.locator(".statement .lit").wait_for()
    shot("finding")
    page.goto(f"{stage.address}/reports")
    page.get_by_role("heading", name="Reports").first.wait_for()
    shot("reports")
    page.goto(f"{stage.address}/documents")
    page.get_by_role("link", name=EVIL).wait_for()
    shot("documents")
    page.goto(f"{stage.address}/documents/{stage.contract}")
    if width < 1200:
        page.get_by_role("button", name="Results").click()
        shot("document-results")
    page.get_by_role("button", name="Change of control").click()
    page.locator(".sheet .mark").first.wait_for()
    wait_for_picture(page)
    shot("document")
    page.goto(f"{stage.address}/decisions")
    page.get_by_role("heading", name="Decisions").wait_for()
    shot("decisions")
    page.goto(f"{stage.address}/search?q=party+agreement")
    page.locator(".hit").first.wait_for()
    shot("search")
    page.goto(f"{stage.address}/search?q=agreement&in=clauses")
    page.locator(".hit").first.wait_for()
    shot("search-clauses")
    page.goto(f"{stage.address}/search")
    page.get_by_role("searchbox").wait_for()
    shot("search-empty")
    page.goto(f"{stage.address}/review?category=Nothing")
    page.get_by_text("No items left for you").wait_for()
    shot("nothing")
    taken = stage.open_items()[0]["id"]
    headers = {"authorization": f"Bearer {stage.keys['ben']}"}
    stage.http.post("/v1/items/claim", json={"item": taken}, headers=headers)
    page.goto(f"{stage.address}/review?item={taken}")
    page.get_by_role("button", name="Review the next item").wait_for()
    shot("taken")
    for tab in ("users", "keys", "sessions", "webhooks"):
        page.goto(f"{stage.address}/people?tab={tab}")
        page.get_by_role("region", name=tab.title()).wait_for()
        shot(f"people-{tab}")
    page.goto(f"{stage.address}/people?tab=keys")
    page.get_by_role("button", name="Create key").click()
    shot("people-create-key")
    page.goto(f"{stage.address}/nowhere")
    page.get_by_role("heading", name="Page not found").wait_for()
    shot("not-found")
    page.goto(f"{stage.address}/v1/documents/{stage.contract}/report")
    ada.check_access(f"report-{width}-{scheme}")
    ada.close(allowed=("status of 404", "status of 409"))


@pytest.mark.parametrize("width", [737, 820, 901])
def test_no_list_is_too_wide_between_a_phone_and_a_desk(
    browser: Any, stage: Stage, width: int
) -> None:
    ada = Watched(browser, stage, viewport={"width": width, "height": 900})
    page = ada.sign_in()
    for path in ("/", "/decisions", f"/review?document={stage.contract}"):
        page.goto(f"{stage.address}{path}")
        page.locator("table.list tbody tr, .decide").first.wait_for()
        ada.draw(f"{path.split('?')[0].strip('/') or 'queue'}-{width}", whole=False)
    ada.close()


def test_the_queue_says_by_what_it_is_ordered(ada: Watched, stage: Stage) -> None:
    document = stage.upload("ordered.pdf", pdf_of([("It is governed by the laws of Ghent.",)]))
    wanted = [("Governing Law", "laws of Ghent", 0.6)]
    stage.extract(document, wanted, adapter="contract-clauses")
    page = ada.sign_in()
    page.goto(f"{stage.address}/?document={document}")
    page.get_by_text("laws of Ghent").first.wait_for()
    page.get_by_text(
        re.compile(r"The items you are most likely to change come first .review-priority")
    ).wait_for()
    page.goto(stage.address)
    page.get_by_text("The least certain of the others come first.").wait_for()


def test_items_are_found_shared_and_accepted_together(ada: Watched, stage: Stage) -> None:
    words = "It is governed by the laws of Genk. The fee is 7 euros. It is due in June."
    document = stage.upload("shared.txt", words.encode())
    wanted = [("Governing Law", "laws of Genk", 0.97), ("Price Restrictions", "7 euros", 0.6)]
    stage.extract(document, [*wanted, ("Renewal Term", "due in June", 0.95)])
    page = ada.sign_in()
    rows = page.locator("tr[data-item]")
    page.get_by_role("searchbox", name="Search the queue").fill("shared.txt")
    until(lambda: rows.count() == 3, "the words")
    page.get_by_role("button", name="Save view").click()
    page.keyboard.type("Shared ones")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Shared ones").wait_for()
    page.get_by_role("heading", name="Queue").click()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("m")
    page.get_by_text("1 item assigned to ada.").wait_for()
    page.keyboard.press("2")
    mine = rows.filter(has_text="shared.txt")  # other tests leave others
    until(lambda: mine.count() == 1, "mine")
    assert mine.locator(".assignee").inner_text() == "ada"
    page.keyboard.press("5")
    until(lambda: rows.count() == 3, "the saved view")
    page.get_by_role("checkbox", name="Select all in the list").check()
    ada.draw("queue-selected", whole=False)
    page.keyboard.press("Shift+A")
    page.get_by_text("2 clauses of 3 items will be accepted.").wait_for()
    ada.draw("queue-accept", whole=False)
    page.get_by_role("button", name="Accept", exact=True).click()
    page.get_by_text("2 items accepted.").wait_for()
    made = decisions(stage)[:2]
    assert [(one["verdict"], one["bulk"]) for one in made] == [("accept", True)] * 2
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("2 decisions undone.").wait_for()
    until(lambda: rows.count() == 3, "the items")


@pytest.mark.parametrize("width", [1440, 992, 820, 737, 390])
def test_the_queue_is_no_wider_than_its_window(ada: Watched, stage: Stage, width: int) -> None:
    name = f"exclusive-distribution-agreement_{width}_with_all_amendments_and_schedules.txt"
    text = f"{width}: each party indemnifies the other."
    document = stage.upload(name, text.encode())
    title = DocumentTitle(title="Exclusive Distribution Agreement · Array / Ono · 2017-05-31")
    found = [("Rofr/Rofo/Rofn", "each party", 0.6), ("Cap On Liability", "the other", 0.5)]
    stage.extract(document, found, title=title)
    page = ada.sign_in()
    page.set_viewport_size({"width": width, "height": 900})
    ids = [one["id"] for one in stage.open_items() if one["document_id"] == document]
    body = {"items": ids, "assignee": "Wilhelmina Featherstonehaugh-Cholmondeley"}
    stage.http.put("/v1/items/assignee", json=body).raise_for_status()
    stage.http.post("/v1/items/claim", json={"item": ids[0]}).raise_for_status()
    page.goto(f"{stage.address}/?document={document}")
    page.get_by_text("reviewing this").wait_for(timeout=15_000)
    ada.draw(f"queue-{width}", whole=False)
    stage.http.post(f"/v1/items/{ids[0]}/release").raise_for_status()


def test_views_of_one_person_are_hidden_from_another(browser: Any, stage: Stage) -> None:
    names = ("zoe", "yan")
    for name in names:
        wish = {"name": name, "scopes": ["documents:read", "review"]}
        stage.keys[name] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    shared = Watched(browser, stage)
    page = shared.sign_in("zoe")

    def change_to(name: str) -> None:
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Key").fill(stage.keys[name])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Queue").wait_for()

    page.goto(f"{stage.address}/?q=ghent")
    page.get_by_role("button", name="Save view").click()
    page.keyboard.type("Secret deal")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Secret deal").wait_for()
    page.goto(f"{stage.address}/documents")
    page.get_by_role("button", name="Contracts").click()
    page.wait_for_url("**/documents?kind=contract")
    change_to("yan")
    assert "Secret deal" not in page.content()
    page.get_by_role("link", name="Documents").click()
    page.get_by_role("heading", name="Documents").wait_for()
    assert urlsplit(page.url).query == ""
    page.get_by_role("button", name="Failed").click()
    page.wait_for_url("**/documents?outcome=failed")
    change_to("zoe")
    page.get_by_role("link", name="Secret deal").wait_for()
    page.get_by_role("link", name="Documents").click()
    page.wait_for_url("**/documents?kind=contract")
    shared.close()


def test_a_key_with_few_scopes_sees_what_they_open_and_nothing_that_fails(
    browser: Any, stage: Stage
) -> None:
    wish = {"name": "analyst", "scopes": ["documents:read", "review"]}
    stage.keys["analyst"] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    analyst = Watched(browser, stage)
    page = analyst.sign_in("analyst")
    page.get_by_role("link", name="Documents").wait_for()
    links = page.locator("#nav a").all_inner_texts()
    assert links == ["Queue", "Documents", "Decisions"]
    page.goto(f"{stage.address}/documents/{stage.contract}")
    page.get_by_role("tab", name="Clauses").wait_for()
    assert page.get_by_role("tab").count() == 1
    wait_for_picture(page)
    assert page.get_by_label("Kind").count() == 0
    page.goto(f"{stage.address}/?state=accepted")
    page.get_by_role("heading", name="Queue").wait_for()
    states = page.get_by_label("Status").locator("option").all_inner_texts()
    assert states == ["Open", "Waiting", "Open now", "Decided"]
    wish = {"name": "uploads", "scopes": ["documents:read", "documents:write"]}
    stage.keys["uploads"] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Key").fill(stage.keys["uploads"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Documents").wait_for()
    assert page.locator("#nav a").all_inner_texts() == ["Documents"]
    analyst.close()


BAR = """() => {
  const nav = document.getElementById("nav"), top = document.querySelector(".top");
  return [nav.scrollWidth - nav.clientWidth, top.scrollWidth - top.clientWidth];
}"""
"""How many pixels the links and the bar are too wide."""


def test_the_bar_has_five_links_and_a_search(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    links = ["Queue", "Documents", "Decisions", "Insights", "People"]
    assert page.locator("#nav a").all_inner_texts() == links
    for width in (1440, 901, 820, 737, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(BAR) == [0, 0], f"the bar overflows at {width} pixels"
        assert page.locator("#find").is_visible() == (width > 980)
        picture(page, f"bar-{width}")
    page.get_by_role("link", name="Search all documents").click()
    page.get_by_role("heading", name="Search").wait_for()
    page.set_viewport_size({"width": 1440, "height": 800})
    assert not page.locator("#find").is_visible()
    page.goto(f"{stage.address}/insights")
    page.get_by_role("region", name="Today").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("exclusive customers")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=exclusive+customers")


@pytest.mark.parametrize("role", ["viewer", "uploader"])
def test_who_may_not_review_opens_every_page_of_the_menu(
    browser: Any, stage: Stage, role: Role
) -> None:
    wish = {"name": role, "scopes": sorted(ROLES[role])}
    stage.keys[role] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    person = Watched(browser, stage)
    page = person.page
    page.goto(stage.address)
    page.get_by_label("Key").fill(stage.keys[role])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Northwind – Halden, distribution.pdf").click()
    page.get_by_role("tab", name=f"Clauses {len(CLAUSES)}").wait_for()
    wait_for_picture(page)
    page.get_by_role("button", name="Right of first refusal").click()
    page.locator(".mark").first.wait_for()
    person.draw(f"document-{role}")
    page.keyboard.press("t")
    page.locator(".prose-text mark", has_text="save to the customers").wait_for()
    page.get_by_role("button", name="Details").click()
    uploads = role == "uploader"
    assert page.get_by_label("Kind").count() == int(uploads)
    assert page.get_by_role("button", name="Review this document").count() == 0
    assert page.get_by_role("group", name="Export").count() == 0
    page.get_by_role("link", name="Download the original").wait_for()
    page.goto(f"{stage.address}/documents/{stage.report}")
    page.locator(".entry:visible").first.click()
    page.locator(".panel dd", has_text="83,280").wait_for()
    page.goto(f"{stage.address}/search?q=exclusive&in=clauses")
    page.get_by_label("Clause type").select_option("Exclusivity")
    page.wait_for_url("**category=Exclusivity*")
    page.goto(f"{stage.address}/search?q=customers")
    page.locator("a.hit").first.click()
    page.locator(".mark:not(.other)").first.wait_for()
    page.get_by_role("link", name="Insights", exact=True).click()
    page.get_by_role("region", name="Today").wait_for()
    page.get_by_role("link", name="Documents", exact=True).click()
    page.get_by_role("heading", name="Documents", exact=True).wait_for()
    person.draw(f"documents-{role}")
    assert page.get_by_role("region", name="Upload").count() == int(uploads)
    page.get_by_role("link", name="Reports by risk").click()
    page.get_by_role("heading", name="Reports", exact=True).wait_for()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{stage.address}/documents/{stage.contract}")
    page.get_by_role("button", name="Results").click()
    page.get_by_role("tab", name=f"Clauses {len(CLAUSES)}").wait_for()
    person.draw(f"document-{role}-phone")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("tab", name="Clauses").wait_for(state="hidden")
    person.close()
