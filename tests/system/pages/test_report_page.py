"""The client report, as a browser opens it from the page of a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.review.report.html_writer import write_html
from services.review.report.report import KeyTerm, Report, Section, Value
from shared.events.searched import SearchedCategory, SearchedContract
from tests.system.pages.review_stage import CONTRACT, Stage, new_stage, pdf_of
from tests.system.pages.test_review_pages import Watched, browser

__all__ = ["browser"]


SEARCHED = (
    SearchedCategory(category="Insurance", probability=0.2, page=1),
    SearchedCategory(category="Audit Rights", probability=0.7, page=1),
    SearchedCategory(category="Non-Compete", probability=0.01, page=1),
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        stage.contract = stage.upload("Northwind.pdf", pdf_of(CONTRACT))
        found = [("Insurance", "product liability insurance", 0.6)]
        stage.extract(stage.contract, found, searched=SearchedContract(categories=SEARCHED))
        yield stage


def test_a_report_is_opened_and_downloaded(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage)
    page = ada.sign_in()
    page.goto(f"{stage.address}/documents/{stage.contract}")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Client report").click()
    report = opened.value
    report.get_by_text("Draft, 0 of 1 decided").wait_for()
    assert "product liability insurance" in report.locator("blockquote").inner_text()
    assert report.locator(".draft").evaluate("it => getComputedStyle(it).borderRadius") == "8px"
    assert report.locator("script").count() == 0
    with report.expect_download() as download:
        report.get_by_role("link", name="DOCX").click()
    assert download.value.suggested_filename == "Northwind report.docx"
    ada.close()


def test_the_tab_missing_counts_as_the_report(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage)
    page = ada.sign_in()
    lines = [
        {**one.model_dump(), "present": one.probability > 0.5, "nearest": None} for one in SEARCHED
    ]
    searched: dict[str, list[str]] = {"failed_pages": [], "warnings": []}
    page.route(
        f"{stage.address}/v1/documents/{stage.contract}/presence",
        lambda route: route.fulfill(json={"items": lines, "searched": searched}),
    )
    page.goto(f"{stage.address}/documents/{stage.contract}")
    page.get_by_role("tab", name="Missing 2").click()
    names = page.locator(".missing h2").all_inner_texts()
    assert names == ["Audit rights", "Non-compete"]
    assert "3 clause types. 2 of them have no clause." in report_of(stage)
    (item,) = stage.http.get(f"/v1/items?document={stage.contract}&state=all").json()["items"]
    assert stage.http.post("/v1/items/claim", json={"item": item["id"]}).is_success
    rejected = {"item": item["id"], "verdict": "reject"}
    assert stage.http.post("/v1/decisions", json=rejected).is_success
    page.reload()
    page.get_by_role("tab", name="Missing 3").wait_for()
    assert "3 clause types. 3 of them have no clause." in report_of(stage)
    ada.close()


def report_of(stage: Stage) -> str:
    return stage.http.get(f"/v1/documents/{stage.contract}/report").text


def test_a_decision_is_not_broken_within_a_word(browser: Any) -> None:
    value = Value("word " * 80 + "x" * 300, "12", "Accepted by the model")
    terms = (KeyTerm("Notice to stop renewal", (value,)),)
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    report = Report("", "", "", "", (), (Section("Key terms", terms=terms),), "")
    for media in ("screen", "print"):
        page.emulate_media(media=media)
        page.set_content(write_html(report).decode())
        box = page.locator("td").last.bounding_box()
        assert box["width"] > 80
        assert page.evaluate("document.documentElement.scrollWidth") <= 1000
    page.close()
