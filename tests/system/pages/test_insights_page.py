"""The page of insights in a real browser: what waits, decisions, and error rates over time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.review import store
from tests.system.pages import test_checks_page as checks
from tests.system.pages.review_stage import CONTRACT, Stage, new_stage, pdf_of, until
from tests.system.pages.test_costs_page import STICKING_OUT, figure
from tests.system.pages.test_review_pages import Watched, ada, browser

__all__ = ["ada", "browser"]
DAYS = 25
TYPES = ("Governing Law", "Exclusivity", "Post-Termination Services", "Audit Rights")
REJECTED = {"Exclusivity": 3, "Post-Termination Services": 2}
"""Every which decision of a clause type is a rejection."""
TABS = ("Today", "Decisions", "Error rate", "Costs")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        checks.put(stage, "some")
        stage.extract(stage.upload("Northwind – Halden, distribution.pdf", pdf_of(CONTRACT)))
        with stage.review.store.write() as session:
            session.execute(store.decisions.insert(), list(decisions()))
        yield stage


def decisions() -> Iterator[dict[str, Any]]:
    """Some decisions of each day before today, 20 seconds apart, all about hidden checks."""
    now = datetime.now(UTC)
    for day in range(1, DAYS):
        for number in range(3 + day % 9):
            category = TYPES[(day + number) % len(TYPES)]
            wrong = number % REJECTED.get(category, 99) == 0
            name = f"{day}-{number}"
            yield {
                **dict.fromkeys(("document_name", "text", "note", "source"), ""),
                **dict.fromkeys(("id", "item_id", "result_id"), name),
                "tenant": "default",
                "document_id": f"doc_{day}",
                "kind": "clause",
                "stage": "extraction",
                "category": category,
                "confidence": 0.9,
                "verdict": "reject" if wrong else "correct" if number == 4 else "accept",
                "actor": "ben",
                "time": now - timedelta(days=day, seconds=-20 * number),
                "adapter": "contract-clauses",
                "sampled": True,
                "wrong": wrong,
                "document_kind": "contract",
            }


def choose(page: Any, tab: str) -> None:
    page.get_by_label("Insights").get_by_role("link", name=tab, exact=True).click()
    page.get_by_role("region", name=tab, exact=True).wait_for()


def test_what_waits_and_was_decided_today(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.get_by_role("link", name="Insights", exact=True).click()
    page.get_by_role("region", name="Today").wait_for()
    item = stage.open_items()[0]
    stage.decide(item, {"verdict": "accept"})
    page.reload()
    page.locator(".tiles").wait_for()
    waiting = stage.http.get("/v1/items/counts").json()["waiting"]
    tiles = page.locator(".tiles .number").all_inner_texts()
    assert tiles[0].split("\n")[:2] == ["Waiting", str(waiting)]
    assert tiles[1].split("\n")[:2] == ["Decided today", "1"]
    assert "20 s in the last 30 days" in tiles[2]
    assert "contract-clauses" in tiles[3]
    chart = figure(page, "Age of waiting items")
    chart.locator("summary").click()
    assert chart.get_by_role("row", name="under 1 day").inner_text().split() == [
        "under",
        "1",
        "day",
        str(waiting),
    ]


def test_decisions_by_day_and_clause_type(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.goto(f"{stage.address}/insights")
    choose(page, "Decisions")
    found = stage.http.get("/v1/insights").json()
    chart = figure(page, "Decisions per day")
    chart.locator("summary").click()
    rows = chart.get_by_role("row")
    assert rows.count() == 1 + len(found["days"])
    newest = found["days"][-1]
    counts = [newest[name] for name in ("accept", "correct", "reject")]
    assert rows.nth(1).inner_text().split() == [newest["day"], *map(str, [*counts, sum(counts)])]
    assert chart.locator("rect.c-reject").count() > 1
    assert (
        "Post-termination services is changed most often."
        in figure(page, "Clause types").inner_text()
    )
    page.get_by_label("Period").select_option("7")
    page.wait_for_url("**days=7")
    hidden = figure(page, "Decisions per day").get_by_role("row", include_hidden=True)
    until(lambda: hidden.count() <= 9, "the days of a week")


def test_error_rates_over_time_stand_beside_the_stated_risk(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.goto(f"{stage.address}/watch")
    chart = figure(page, "Error rate of contract-clauses")
    chart.wait_for()
    assert page.url.endswith("/insights?tab=error-rate")
    assert chart.get_by_text("stated: at most 5%").count() == 1
    points = chart.locator("circle.dot").count()
    assert points == chart.locator("line.band").count() == 4
    chart.locator("summary").click()
    total = stage.http.get("/v1/decisions/error-rates").json()["items"][0]
    cells = chart.get_by_role("row").nth(1).get_by_role("cell").all_inner_texts()
    assert cells[:2] == [str(total["checked"]), str(total["wrong"])]
    assert chart.get_by_role("row").count() == 1 + points


def test_an_analyst_has_no_insights(browser: Any, stage: Stage) -> None:
    wish = {"name": "analyst", "scopes": ["documents:read", "review"]}
    stage.keys["analyst"] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    analyst = Watched(browser, stage)
    page = analyst.sign_in("analyst")
    assert page.get_by_role("link", name="Insights").count() == 0
    analyst.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 820, 390])
def test_the_page_is_drawn_without_a_sideways_scroll(
    browser: Any, stage: Stage, scheme: str, width: int
) -> None:
    ada = Watched(browser, stage, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = ada.sign_in()
    page.goto(f"{stage.address}/insights")
    for tab in TABS:
        choose(page, tab)
        name = f"insights-{tab.lower().replace(' ', '-')}-{width}-{scheme}"
        ada.draw(name, ".scroll")
        ada.check_access(name)
        assert page.evaluate(STICKING_OUT) == [], f"{tab}: words stick out of their columns"
    ada.close()
