"""An analyst sees an item's proposal, its words in the text, and the decision without scrolling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.events.questions import Proposal, Quote
from tests.system.pages.review_stage import CONTRACT, FINDING, STATEMENT, Stage, new_stage, pdf_of
from tests.system.pages.test_review_pages import (
    Watched,
    _nobody_holds_anything,
    ada,
    browser,
    heading,
)

__all__ = ["_nobody_holds_anything", "ada", "browser"]
SENTENCE = (
    "Nothing in this Section limits what either party owes for death or personal injury, for "
    "fraud, or for whatever else the governing law does not let the parties limit. "
)
CONTEXT = SENTENCE * 15
CAP = "Neither party owes more than what was paid in the twelve months before the claim. "
CLAUSE = (CAP + SENTENCE * 12).strip()
LATER = "This Section survives the end of the Agreement"
REASON = "The passage caps what one party may owe, which is what the category asks for. " * 15

SCREENS = [(1280, 800), (1366, 768), (390, 844)]
SEEN = """(selector) => [...document.querySelectorAll(selector)].map((one) => {
  const all = one.getClientRects()[0];
  let { left, top, right, bottom } = all;
  const within = (box) => {
    [left, top] = [Math.max(left, box.left), Math.max(top, box.top)];
    [right, bottom] = [Math.min(right, box.right), Math.min(bottom, box.bottom)];
  };
  within({ left: 0, top: 0, right: innerWidth, bottom: innerHeight });
  for (let up = one.parentElement; up; up = up.parentElement) {
    if (getComputedStyle(up).overflowY !== "visible") within(up.getBoundingClientRect());
  }
  const area = Math.max(0, right - left) * Math.max(0, bottom - top);
  return Math.round(100 * area / (all.width * all.height));
})"""
"""The visible share of each element in percent; of a paragraph, that of its first line."""


def proposed(category: str, *quotes: str, why: str) -> Proposal:
    named = tuple(Quote(text=words, start=0, end=len(words)) for words in quotes)
    return Proposal(
        verdict="present",
        category=category,
        quotes=named,
        why=why,
        provider="claude",
        model="a-model-whose-name-is-long-2026-03-02",
    )


def summed(item: dict[str, Any]) -> Proposal:
    finding = item["finding"]
    place = {"table": 1, "statement": finding["statement"], "column": finding["column"]}
    rows = STATEMENT["rows"]
    assert isinstance(rows, list)
    terms = [
        {**place, "row": at, "label": rows[at]["label"], "value": rows[at]["values"][0], "sign": 1}
        for at in [*finding["rows"]] * 4
    ]
    proposal = {
        "subject": "finding",
        "verdict": "error",
        "category": item["category"],
        "cell": {**place, "row": 4, "label": finding["label"], "value": finding["reported"]},
        "expected": finding["expected"],
        "arithmetic": terms,
        "total": finding["expected"],
        "tolerance": 1,
        "why": REASON,
        "provider": "claude",
        "model": "m-1",
    }
    return Proposal.model_validate(proposal)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        short = stage.upload("Northwind – Halden, distribution.pdf", pdf_of(CONTRACT))
        stage.extract(short, [("Insurance", "product liability insurance", 0.6)])
        long = stage.upload("long.txt", f"{CONTEXT}\n\n{CLAUSE}\n\n{CONTEXT}\n{LATER}.".encode())
        stage.extract(long, [("Cap On Liability", CLAUSE, 0.5), ("Post-Termination", LATER, 0.7)])
        report = stage.upload("q4-2023.json", b'{"q4": 2023}', "report")
        message = f"{FINDING['message']} " * 4
        title = "A total is the sum of the rows above it"
        stage.find(report, [{**FINDING, "title": title, "message": message}])
        for item in stage.open_items():
            if item["kind"] == "finding":
                stage.answer(item, summed(item))
            elif item["category"] == "Insurance":
                quote = "Distributor shall hold, at its own expense, product liability insurance"
                stage.answer(item, proposed("Insurance", quote, why="It must be held."))
            elif item["category"] == "Cap On Liability":
                quotes = (CLAUSE[:1500], SENTENCE * 4)
                stage.answer(item, proposed("Cap On Liability", *quotes, why=REASON))
        yield stage


def is_seen(page: Any, selector: str) -> None:
    found = page.evaluate(SEEN, selector)
    assert found, f"{selector} is not there"
    assert min(found) >= 99, f"{selector}: {found}% seen"


@pytest.mark.parametrize(("width", "height"), SCREENS, ids=str)
def test_the_proposal_and_the_decision_are_seen_when_an_item_opens(
    browser: Any, stage: Stage, width: int, height: int
) -> None:
    ada = Watched(browser, stage, viewport={"width": width, "height": height})
    page = ada.sign_in()
    for category, name in (
        ("Insurance", "short"),
        ("Cap On Liability", "long"),
        ("sum_of_rows", "finding"),
    ):
        (item,) = [one for one in stage.open_items() if one["category"] == category]
        page.goto(f"{stage.address}/review?item={item['id']}")
        lit = page.locator(".desk mark, .desk .mark, .desk .lit").first
        lit.wait_for()
        ada.draw(f"first-screen-{name}-{width}", ".desk, .panel-body", whole=False)
        for part in (".proposal", ".proposal .says", ".proposal .why", ".decide button"):
            is_seen(page, part)
        if name == "finding":
            is_seen(page, ".panel-body .message")
            is_seen(page, ".sum tfoot tr")
        else:
            is_seen(page, ".proposal .quotes")
            is_seen(page, ".passage mark")
        is_seen(page, ".desk mark:first-of-type, .desk .mark:first-of-type, .desk .lit")
    ada.close()


def test_the_next_item_opens_at_its_words_too(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    (long,) = [one for one in stage.open_items() if one["category"] == "Cap On Liability"]
    page.goto(f"{stage.address}/review?document={long['document_id']}")
    heading(page, "Cap On Liability")
    page.locator(".passage[tabindex='0']").focus()
    before = page.locator(".passage").evaluate("(one) => one.scrollTop")
    page.keyboard.press("End")
    page.wait_for_function(
        "(before) => document.querySelector('.passage').scrollTop > before", arg=before
    )
    page.keyboard.press("s")
    heading(page, "Post-Termination")
    page.locator(".desk mark", has_text=LATER).wait_for()
    is_seen(page, ".passage mark")
    is_seen(page, ".desk mark")
    assert page.locator(".proposal").count() == 0


def test_a_correction_begins_where_one_looks(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    (long,) = [one for one in stage.open_items() if one["category"] == "Cap On Liability"]
    page.goto(f"{stage.address}/review?item={long['id']}")
    heading(page, "Cap On Liability")
    page.keyboard.press("c")
    page.get_by_role("button", name="Save the correction").wait_for()
    is_seen(page, ".correction")
    is_seen(page, ".proposal .says")
    assert not page.locator(".passage").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator(".passage").wait_for()
    is_seen(page, ".passage mark")
