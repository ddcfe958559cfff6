"""The page `/docs` in a real browser: routes are tried with a session, and with a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.pages.review_stage import Stage, new_stage
from tests.system.pages.test_review_pages import Watched, browser

__all__ = ["browser"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        yield stage


@pytest.fixture
def watched(browser: Any, stage: Stage) -> Iterator[Watched]:
    watched = Watched(browser, stage)
    yield watched
    watched.close()


def _try(page: Any, name: str) -> str:
    """Send the example of an operation. Returns the status of the answer."""
    operation = page.locator(f"#operations-{name}")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    return str(operation.locator(".live-responses-table .response td").first.inner_text())


def test_a_signed_in_browser_tries_a_change_without_a_key(watched: Watched) -> None:
    page = watched.sign_in()
    page.get_by_role("link", name="HTTP interface").click()
    page.get_by_text("Signed in as ada").wait_for()
    assert _try(page, "queue-claim_items") == "204"  # no item waits


def test_a_pasted_key_opens_the_routes(watched: Watched, stage: Stage) -> None:
    page = watched.page
    page.goto(f"{stage.address}/docs")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill(stage.keys["ada"])
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    assert _try(page, "documents-get_documents") == "200"
    watched.draw("docs", scrolling="pre, textarea")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_routes_are_accessible(browser: Any, stage: Stage, width: int, scheme: str) -> None:
    watched = Watched(browser, stage, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = watched.page
    page.goto(f"{stage.address}/docs")
    operation = page.locator("#operations-documents-get_documents")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").wait_for()
    watched.draw(f"docs-{width}-{scheme}", ".opblock-body")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    watched.check_access(f"docs-{width}-{scheme}")
    watched.close()
