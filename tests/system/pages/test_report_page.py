"""The client report, as a browser opens it from the page of a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.pages.review_stage import CONTRACT, Stage, new_stage, pdf_of
from tests.system.pages.test_review_pages import Watched, browser

__all__ = ["browser"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        stage.contract = stage.upload("Northwind.pdf", pdf_of(CONTRACT))
        stage.extract(stage.contract, [("Insurance", "product liability insurance", 0.6)])
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
