"""Obstacles for a new user, also on a phone: overlapping words, unnamed numbers, dead addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.pages.review_stage import CONTRACT, Stage, new_stage, pdf_of
from tests.system.pages.test_review_pages import Watched, _nobody_holds_anything, browser

__all__ = ["_nobody_holds_anything", "browser"]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
LINES = [f"Bilanz row {n} column 1, 'Summe {n}': '1.910,50' is not an amount" for n in range(14)]
REASON = "; ".join(["'Bilanz': unknown kind of statement", *LINES])
MEETS = """() => {
  const foot = document.querySelector(".foot").getBoundingClientRect();
  return [...document.querySelectorAll(".panel *")].filter((one) => {
    let { top, bottom } = one.getBoundingClientRect();
    for (let up = one.parentElement; up; up = up.parentElement) {
      if (getComputedStyle(up).overflowY === "visible") continue;
      top = Math.max(top, up.getBoundingClientRect().top);
      bottom = Math.min(bottom, up.getBoundingClientRect().bottom);
    }
    return bottom > top && bottom > foot.top + 1;
  }).map((one) => one.textContent.slice(0, 60));
}"""
"""Elements of the panel that are drawn over the footer."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        stage.contract = stage.upload("Northwind – Halden, distribution.pdf", pdf_of(CONTRACT))
        stage.extract(stage.contract, [("Insurance", "product liability insurance", 0.6)])
        stage.report = stage.upload("quiet.json", b'{"quiet": 1}', "report")
        stage.find(stage.report, [])
        yield stage


@pytest.fixture(scope="module")
def failed(stage: Stage) -> str:
    """The document that failed for many reasons: a contract, for the stage fails no others."""
    document = stage.upload("semi.pdf", pdf_of([("Bilanz 2023", "Kasse 1.210,50")]))
    stage.fail(document, REASON)
    return document


def on(browser: Any, stage: Stage, screen: dict[str, int]) -> tuple[Watched, Any]:
    ada = Watched(browser, stage, viewport=screen)
    return ada, ada.sign_in()


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_many_reasons_stay_off_the_footer(
    browser: Any, stage: Stage, failed: str, screen: dict[str, int]
) -> None:
    ada, page = on(browser, stage, screen)
    page.goto(f"{stage.address}/documents/{failed}")
    page.get_by_text("Processing failed.").wait_for()
    assert page.evaluate(MEETS) == []
    reasons = page.locator(".panel .reasons li")
    assert reasons.count() == len(LINES) + 1
    assert reasons.last.inner_text() == LINES[-1]
    ada.draw(f"first-visit-failed-{screen['width']}", ".desk", whole=False)
    reasons.last.scroll_into_view_if_needed()
    assert page.evaluate(MEETS) == []
    page.get_by_role("link", name="Download the original").click(trial=True)
    ada.draw(f"first-visit-failed-end-{screen['width']}", ".desk", whole=False)
    ada.close()


@pytest.mark.parametrize(("risk", "warned"), [(0.7034, True), (0.02, False)])
def test_a_risk_without_a_finding_is_explained(
    browser: Any, stage: Stage, risk: float, warned: bool
) -> None:

    def risky(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "risk": risk})

    ada, page = on(browser, stage, DESK)
    page.route("**/findings?*limit=1", risky)
    page.goto(f"{stage.address}/documents/{stage.report}")
    page.get_by_text("No errors found.").wait_for()
    words = page.get_by_text(f"The risk is still {round(risk * 100)}%")
    assert words.count() == int(warned)
    if warned:
        assert "No suspicion was strong enough to be a finding" in words.inner_text()
        ada.draw("first-visit-risk", ".desk", whole=False)
    page.unroute_all()
    ada.close()


def test_an_address_that_leads_nowhere_leads_on(browser: Any, stage: Stage) -> None:
    ada, page = on(browser, stage, PHONE)
    answer = page.goto(f"{stage.address}/nonsense")
    assert answer.status == 404
    page.get_by_role("heading", name="Page not found").wait_for()
    ada.draw("first-visit-nowhere-390", whole=False)
    page.locator("#view").get_by_role("link", name="Queue").click()
    page.get_by_role("heading", name="Queue").wait_for()
    page.goto(f"{stage.address}/documents/doc_x")
    page.get_by_role("heading", name="Not found").wait_for()
    ada.draw("first-visit-no-document-390", whole=False)
    page.locator("#view").get_by_role("link", name="Documents").click()
    page.get_by_role("heading", name="Documents").wait_for()
    ada.close(allowed=("404",))


def test_what_was_checked_and_what_does_not_close_is_shown(browser: Any, stage: Stage) -> None:
    item = {"check": "cash_agrees", "title": "Cash agrees", "message": "Cash is 7, but cash is 5.",
            "possible_explanation": "Restricted cash.", "page": 4, "filing": "f1"}  # fmt: skip
    coverage = {"summary": "Balance sheet only; 12 relations checked.", "not_closing": 2,
                "items": [item]}  # fmt: skip

    def covered(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "coverage": coverage})

    ada, page = on(browser, stage, DESK)
    page.route("**/findings?*limit=1", covered)
    page.goto(f"{stage.address}/documents/{stage.report}")
    page.get_by_text("No errors found, but 2 relations do not close.").wait_for()
    page.get_by_text(coverage["summary"]).wait_for()
    group = page.locator("section.lines", has_text="Does not close")
    for text in ("Cash agrees", item["message"], "May be lawful: Restricted cash.", "page 4 · f1",
                 "Not shown: 1 more."):  # fmt: skip
        assert group.get_by_text(text).is_visible()
    ada.draw("first-visit-coverage", ".desk", whole=False)
    page.unroute_all()
    ada.close()


def test_a_link_signs_in_once_on_the_page_that_it_names(browser: Any, stage: Stage) -> None:
    secret = stage.http.post("/v1/keys/links").json()["secret"]
    link = f"{stage.address}/documents/{stage.report}#sign-in={secret}"
    for used in (False, True):
        visitor = Watched(browser, stage)
        visitor.page.goto(link)
        if used:
            visitor.page.get_by_text("This link has been used").wait_for()
            visitor.draw("first-visit-used-link", whole=False)
        else:
            visitor.page.get_by_text("quiet.json").first.wait_for()
        assert "sign-in" not in visitor.page.url
        visitor.close(allowed=("401",) if used else ())
