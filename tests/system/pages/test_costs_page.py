"""The page of costs in a real browser: charts with their numbers, in both colours, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from services.escalation.costs import Reading, Readings
from services.escalation.ledger import Caps, Ledger
from shared.policy.prices import Usage
from tests.contract.ledger.calls import NOON, call
from tests.system.pages.review_stage import CONTRACT, SHIPPED, Stage, new_stage, pdf_of, until
from tests.system.pages.test_review_pages import Watched, ada, browser

__all__ = ["ada", "browser"]
DAYS = 12
JUDGE = "1.2.0"
"""The version of `triage-breaks`."""
TAUGHT = ("procurement-and-devops", "2026-11-27")
"""Name and version of a user's specialist."""
CUT = """() => [...document.querySelectorAll(".bar-label .version")]
.filter((one) => one.getClientRects().length !== 1 || one.scrollWidth > one.clientWidth + 1
  || one.getBoundingClientRect().right > one.parentElement.getBoundingClientRect().right + 1)
.map((one) => one.textContent)"""
"""Versions that take two lines, or are wider than their label."""
STICKING_OUT = """() => [...document.querySelectorAll(".bars .figure, .bars .bar-label")]
.filter((one) => {
  const mine = one.getBoundingClientRect(), row = one.parentElement.getBoundingClientRect();
  return one.scrollWidth > one.clientWidth + 1 || mine.right > row.right + 1;
}).map((one) => one.textContent)"""
"""Words of charts that are wider than their column."""

MEETING = """() => [...document.querySelectorAll(".power-axis")].flatMap((axis) => {
  const all = [...axis.querySelectorAll("text")].map((one) => one.getBoundingClientRect());
  return all.slice(1).filter((one, at) => one.left < all[at].right + 2).map((one) => one.left);
})"""
"""Figures of a scale that meet the one before."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        stage.contract = stage.upload("Northwind – Halden, distribution.pdf", pdf_of(CONTRACT))
        stage.extract(stage.contract)
        until(lambda: worked(stage)["documents"], "the reading to be counted")
        stage.fail(stage.upload("Torn.pdf", pdf_of(CONTRACT[:1])), "nothing of it could be read")
        seed(stage)
        yield stage


def worked(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = stage.http.get("/v1/costs").json()["specialists"]
    return found


def seed(stage: Stage) -> None:
    store = stage.escalation.store
    book = Ledger(store)
    with store.write() as session:
        for day in range(DAYS):
            for number in range(1 + day % 4):
                Readings(session, "default").note(
                    Reading(
                        tenant="default",
                        document_id=f"doc_{day:02}{number:030}",
                        attempt=1,
                        adapter="unfair-terms" if number % 3 == 2 else "contract-clauses",
                        version="1.0.0" if number % 3 == 2 else SHIPPED,
                        kind="contract",
                        day=f"{NOON + timedelta(days=day):%Y-%m-%d}",
                        seconds=2.0 + number,
                        tokens=12_000 + 900 * day,
                        quoted=1_100,
                    )
                )
            if day % 3 == 0:  # as an annual report of a hundred pages, measured here
                Readings(session, "default").note(
                    Reading(
                        tenant="default",
                        document_id=f"rep_{day:032}",
                        attempt=1,
                        adapter="triage-breaks",
                        version=JUDGE,
                        kind="report",
                        day=f"{NOON + timedelta(days=day):%Y-%m-%d}",
                        seconds=0.9,
                        tokens=84_000,
                        quoted=160,
                    )
                )
    with store.write() as session:  # one that somebody taught, and names as they like
        Readings(session, "default").note(
            Reading(
                tenant="default",
                document_id=f"doc_{0:02}{0:030}",
                attempt=1,
                adapter=TAUGHT[0],
                version=TAUGHT[1],
                kind="contract",
                day=f"{NOON:%Y-%m-%d}",
                seconds=9.0,
                tokens=12_000,
                quoted=90,
            )
        )
    for number in range(3):
        one = call(number, 80_000, document_id=stage.contract)
        book.reserve(one, Caps(10**9, 10**9))
        book.settle(one.id, Usage(4_000, 200), 60_000 + number, {})


def figure(page: Any, name: str) -> Any:
    return page.locator("figure").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_a_key_that_reads_only_results_opens_every_page_of_its_menu(
    browser: Any,
    stage: Stage,
) -> None:
    wish = {"name": "results", "scopes": ["results:read"]}
    stage.keys["results"] = stage.http.post("/v1/keys", json=wish).json()["secret"]
    reader = Watched(browser, stage)
    page = reader.page
    page.goto(stage.address)
    page.get_by_label("Key").fill(stage.keys["results"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("region", name="Today").wait_for()
    assert page.locator("#nav a").all_inner_texts() == ["Insights"]
    for name in ("Decisions", "Error rate", "Costs", "Today"):
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("region", name=name, exact=True).wait_for()
    page.goto(f"{stage.address}/costs?by=document")
    figure(page, "By document").wait_for()
    assert page.get_by_text("(deleted)").count() == 0
    reader.close()


def test_costs_are_read_at_a_glance_and_by_keyboard(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.get_by_role("link", name="Insights").click()
    page.get_by_role("link", name="Costs").click()
    page.get_by_role("region", name="Costs", exact=True).wait_for()
    costs = stage.http.get("/v1/costs").json()
    assert costs["specialists"]["documents"] > DAYS
    glance = page.locator(".numbers").inner_text()
    assert f"{costs['specialists']['documents']} documents" in glance
    assert f"US$ {costs['frontier']['usd']:.2f}" in glance
    assert "for 3 calls" in glance
    assert (
        page.get_by_text("1 document failed. Failed documents count only if their text").count()
        == 1
    )
    charts = ["Actual and alternative costs", "Cost saved per week", "By day"]
    charts += ["Payback of training"]
    for name in [*charts, "A million tokens"]:
        chart = figure(page, name)
        assert chart.locator("svg").count() > 0, name
        assert chart.locator("svg rect, svg circle").count() > 0, name
    columns = figure(page, "By day").locator(".columns")
    assert columns.locator("rect.ours").count() == len(costs["groups"])
    assert columns.locator("rect.theirs").count() == len(costs["groups"])
    assert columns.locator("rect.paid").count() == 1
    summary = figure(page, "By day").locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    rows = figure(page, "By day").get_by_role("row")
    rows.nth(1).wait_for()
    newest = costs["groups"][0]
    assert rows.nth(1).get_by_role("rowheader").inner_text() == newest["key"]
    assert rows.count() == 1 + len(costs["groups"])
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "By day: numbers"
    training = figure(page, "Payback of training").inner_text()
    assert f"contract-clauses {SHIPPED}" in training
    assert "11.38 hours on two processor cores at US$ 0.10 an hour cost US$ 1.14" in training
    assert "“Quoted” figures" in figure(page, "A million tokens").inner_text()


def test_reports_stand_beside_contracts(ada: Watched, stage: Stage) -> None:
    page = ada.sign_in()
    page.goto(f"{stage.address}/costs?by=kind")
    chart = figure(page, "By kind")
    chart.locator("summary").click()
    rows = chart.get_by_role("row")
    rows.nth(2).wait_for()
    costs = stage.http.get("/v1/costs", params={"by": "kind"}).json()
    contract, report = costs["groups"]
    assert (contract["key"], report["key"], report["documents"]) == ("contract", "report", 4)
    names = [rows.nth(place).get_by_role("rowheader").inner_text() for place in (1, 2)]
    assert sorted(names) == ["Contracts", "Reports"]
    shown = chart.inner_text()
    assert f"{report['tokens_read']:,}" in shown
    assert f"{report['frontier_usd']:.2f}" in shown
    million = figure(page, "A million tokens").inner_text()
    assert "Contracts on this machine, measured" in million
    assert "Reports on this machine, measured" in million
    assert "tokens a second of contracts" in million
    assert "93,333 tokens a second of reports" in million
    training = figure(page, "Payback of training").inner_text()
    assert f"triage-breaks {JUDGE}" in training
    assert "its training hours were not recorded. Each document saves US$ 0.42" in training


def test_warnings_of_costs_are_shown(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage, viewport={"width": 1280, "height": 800})
    page = ada.sign_in()
    costs = stage.http.get("/v1/costs").json()
    costs["stand_in_usd"] = costs["usd"]
    costs["frontier"]["usd"] = 0.82 * (costs["usd"] + costs["specialists"]["usd"])
    costs["budgets"] = [{"period": "2026-01-31", "usd": 1.62, "max_usd": 1.0}]
    page.route("**/v1/costs?*", lambda route: route.fulfill(json=costs))
    page.goto(f"{stage.address}/costs")
    figure(page, "Budgets").wait_for()
    glance = page.locator(".numbers")
    assert "all of it simulated by a test stand-in" in glance.inner_text()
    assert "0.8 ×" in glance.inner_text()
    assert "1/1" not in glance.inner_text()
    tops = {round(box["y"]) for box in (n.bounding_box() for n in glance.locator(".number").all())}
    assert len(tops) == 1, "four numbers stand in one row"
    budget = figure(page, "Budgets").inner_text()
    assert "US$ 1.62 of US$ 1.00" in budget
    assert "exceeded by US$ 0.62: a bill was above its estimate, or the budget" in budget
    assert page.evaluate(STICKING_OUT) == []
    ada.draw("costs-passed-1280", ".scroll")
    ada.close()


def test_costs_by_document_lead_to_it(browser: Any, stage: Stage) -> None:
    ada = Watched(browser, stage)
    page = ada.sign_in()
    page.goto(f"{stage.address}/costs")
    page.get_by_label("Add up by").select_option("document")
    chart = figure(page, "By document")
    chart.locator("summary").click()
    chart.get_by_text("(deleted)").first.wait_for()
    costs = stage.http.get("/v1/costs", params={"by": "document"}).json()
    dearest = sorted((one["usd"] + one["machine_usd"] for one in costs["groups"]), reverse=True)
    rows = chart.get_by_role("row").all()[1:]
    cells = [row.get_by_role("cell").all_inner_texts() for row in rows]
    paid = [float(cell[4].replace(",", "")) + float(cell[6].replace(",", "")) for cell in cells]
    assert paid == pytest.approx(dearest[: len(paid)], abs=2e-6)
    assert chart.get_by_text("At frontier prices, US$").count() == 1
    assert page.url.endswith("/insights?tab=costs&by=document")
    chart.get_by_role("link", name="Northwind").click()
    page.get_by_role("heading", name="Northwind").wait_for()
    ada.close(allowed=("404",))


def test_nothing_has_cost_anything_in_a_new_tenant(ada: Watched, stage: Stage) -> None:
    key = stage.ingest.app.state.keys.create("other", "eve").secret
    stage.keys["eve"] = key
    page = ada.sign_in("eve")
    page.goto(f"{stage.address}/costs")
    page.get_by_role("heading", name="No costs yet").wait_for()
    assert page.locator("main svg").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_drawn_without_a_sideways_scroll(
    browser: Any, stage: Stage, scheme: str, width: int
) -> None:
    ada = Watched(browser, stage, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = ada.sign_in()
    for name in ("day", "adapter", "kind"):
        page.goto(f"{stage.address}/costs?by={name}")
        page.locator("figure.chart").first.wait_for()
        page.locator("summary").first.click()
        ada.draw(f"costs-{name}-{width}-{scheme}", ".scroll")
        assert page.evaluate(STICKING_OUT) == [], f"{name}: words stick out of their columns"
        assert TAUGHT[1] in page.locator(".version").all_inner_texts()
        assert page.evaluate(CUT) == [], f"{name}: a version is cut"
        assert page.evaluate(MEETING) == [], f"{name}: figures of a scale meet"
    ada.close()
