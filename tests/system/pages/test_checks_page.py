"""The error rates of Insights in a real browser show guarantees and their state in plain words.

Functions of extraction make its answers from the checks and documents of a test. The error rates
are review's own, from decisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.extraction.monitoring.drift_features import FIGURES
from services.triage.routing.risk_control import BeliefLine
from shared.monitoring import monitor
from shared.monitoring.api import MonitorOut, NoticeOut
from shared.monitoring.drift import Drift
from shared.monitoring.sequential_test import Check, replay
from shared.monitoring.store import MonitoringNotice, MonitoringState
from shared.monitoring.tenant_calibration import guarantee_name
from shared.policy.risk_control import NEVER
from shared.policy.rules import RiskRules
from tests.system.pages.review_stage import CONTRACT, Stage, new_stage, pdf_of
from tests.system.pages.test_review_pages import Watched, ada, browser

__all__ = ["ada", "browser"]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULES = RiskRules(max_wrong=0.05)
BELIEF = 0.875
LINE = BeliefLine(-1.4)
"""Gives a finding with a confidence of 83.2% a probability of 55%."""
TERMS = {"risk": 0.05, "belief": BELIEF, "categories": 41, "tolerated": {}}
PROMISED = MonitoringState(
    "contract-clauses",
    guarantee=guarantee_name("1.4.0+0", 0.05, RULES.level, BELIEF),
    terms=TERMS,
    documents=0,
)
SURE = ("Insurance", "product liability insurance", 0.95)
LESS = ("Audit Rights", "inspect the", 0.9)
DECIDED = {"few": (3, 0), "some": (39, 1), "begun": (20, 4), "tightened": (4, 8), "drift": (3, 0)}
"""Checks that were right and wrong, by state."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("data")) as stage:
        yield stage


def checked(right: int, wrong: int) -> tuple[MonitoringState, list[MonitoringNotice]]:
    """After a check a document, the wrong ones last, and what was noticed of them."""
    sure, less = Check("Insurance", 0.95, False), Check("Audit Rights", 0.9, True)
    checks = [[less if at >= right else sure] for at in range(right + wrong)]
    start = PROMISED.test
    assert start is not None
    watch = replay(start, checks)
    kept = replace(PROMISED, evidence=watch.to_json(), documents=len(checks))
    return monitor.tighten(kept, watch)


def seen(kept: MonitoringState, ranks: list[float]) -> MonitoringState:
    """After documents whose figures have such ranks among those known."""
    drift = Drift.none(FIGURES)
    for rank in ranks:
        drift = drift.after(dict.fromkeys(FIGURES, rank))
    index = 0.31 if drift.detected else 0.04
    return replace(kept, drift=drift.to_json(), drifted=drift.detected, stability=index)


def states() -> dict[str, tuple[MonitoringState | None, list[MonitoringNotice], int]]:
    """By name: the state of monitoring, its notices, and the number of accepted clauses."""
    few, _ = checked(3, 0)
    some, _ = checked(39, 1)
    begun, _ = checked(20, 4)
    tight, notices = checked(4, 8)
    changed = seen(few, [0.999] * 12)
    drifted = MonitoringNotice(
        "contract-clauses", "drift", "", "the documents that come in are unlike those"
    )
    usual = [0.1, 0.6, 0.4, 0.9, 0.3, 0.7, 0.2, 0.8, 0.5] * 5
    return {
        "nothing": (None, [], 0),
        "promised": (PROMISED, [], 0),
        "few": (seen(few, usual[:3]), [], 61),
        "some": (seen(some, usual), [], 812),
        "begun": (seen(begun, usual), [], 500),
        "tightened": (seen(tight, usual), notices, 240),
        "drift": (changed, [drifted], 61),
        "category": (replace(some, suspended=("Parties",)).with_remaining_belief(0.96), [], 700),
        "alone": (replace(some, suspended=("Parties",)).with_remaining_belief(NEVER), [], 700),
    }


def put(stage: Stage, name: str) -> dict[str, Any] | None:
    """Let extraction answer a state; the item of it, if there is one."""
    kept, events, accepted = states()[name]
    if kept is None:
        stage.watched = {"items": [], "notices": []}
        return None
    item = MonitorOut.model_validate(monitor.describe(kept, None, accepted)).model_dump(mode="json")
    notices = [
        NoticeOut.model_validate(replace(one, time=NOON)).model_dump(mode="json") for one in events
    ]
    stage.watched = {"items": [item], "notices": notices}
    return item


def decide(stage: Stage, name: str) -> None:
    """Have the checks of a state decided, by a person in a tenant of that name, once."""
    if name in stage.keys:
        return
    stage.move_to(name)
    right, wrong = DECIDED.get(name, (0, 0))
    if right + wrong:
        document = stage.upload("checked.pdf", pdf_of(CONTRACT))
        wanted = [SURE] * right + [LESS] * wrong
        stage.extract(document, wanted, adapter="contract-clauses", sampled=True)
    for item in stage.open_items():
        stage.decide(item, {"verdict": "accept" if item["category"] == SURE[0] else "reject"})


@pytest.mark.parametrize(
    ("name", "pill", "phrases"),
    [
        (
            "promised",
            "Not checked yet",
            [
                "A clause is accepted if its probability of being right is 87.5% or more.",
                "Until then the guarantee relies on the calibration data.",
            ],
        ),
        (
            "few",
            "No sign of errors",
            [
                "3 checks, none wrong",
                "between 0% and 70.8% by these checks (95% interval)",
                "72 checks without an error would show that at most 5% are wrong.",
                "too few to rule out a change",
            ],
        ),
        (
            "some",
            "No sign of errors",
            [
                "40 checks, 1 wrong",
                "That is 2.5%",
                "More checks are needed to compare it with 5%.",
                "The new documents resemble the calibration data.",
            ],
        ),
        (
            "begun",
            "Early signs of errors",
            ["There are early signs of errors.", "Nothing is tightened yet."],
        ),
        (
            "tightened",
            "In doubt",
            ["tightened once from a probability of 87.5% to 93.8%", "were wrong"],
        ),
        ("drift", "Documents changed", ["The new documents differ from the calibration data."]),
        (
            "category",
            "In doubt",
            [
                "Too many checks of Parties were wrong, so people review all of it.",
                "was raised from a probability of 87.5% to 96% to keep the guarantee.",
                "A clause is accepted if its probability of being right is 96% or more.",
            ],
        ),
        ("alone", "In doubt", ["No threshold keeps the guarantee", "Nothing more is accepted"]),
    ],
)
def test_a_guarantee_is_in_plain_words(
    ada: Watched, stage: Stage, name: str, pill: str, phrases: list[str]
) -> None:
    item = put(stage, name)
    assert item is not None
    page = ada.sign_in()
    page.goto(f"{stage.address}/insights?tab=error-rate")
    card = page.get_by_role("region", name="contract-clauses")
    card.wait_for()
    words = card.inner_text()
    assert "at most 5% of accepted clauses are wrong, with 95% confidence" in words
    assert "version 1.4.0" in words
    assert f"{item['accepted']} clauses" in words
    assert card.locator(".pill").inner_text() == pill
    for part in phrases:
        assert part in words, words
    assert "Evidence" not in words
    card.get_by_text("Exact figures").focus()
    page.keyboard.press("Enter")
    card.get_by_text("Population stability index").wait_for()
    assert f"{round(item['evidence'], 1):g}; alarm at 40" in card.inner_text()


def test_a_live_error_rate_has_its_interval(browser: Any, stage: Stage) -> None:
    for name, counted, rate in (
        ("few", "3 checks, none wrong", "Up to 70.8% could be wrong"),
        ("some", "40 checks, 1 wrong", "2.5% wrong (0.1% to 13.2% of all)"),
    ):
        put(stage, name)
        decide(stage, name)
        person = Watched(browser, stage)
        page = person.sign_in(name)
        page.goto(f"{stage.address}/insights?tab=error-rate")
        row = page.get_by_role("row", name="contract-clauses All")
        row.wait_for()
        assert rate in row.inner_text()
        assert counted in row.inner_text()
        person.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_drawn_without_a_sideways_scroll(
    browser: Any, stage: Stage, scheme: str, width: int
) -> None:
    for name in states():
        item = put(stage, name)
        decide(stage, name)
        person = Watched(
            browser, stage, color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        page = person.sign_in(name)
        page.goto(f"{stage.address}/insights?tab=error-rate")
        page.get_by_role("region", name="Error rate", exact=True).wait_for()
        if item is None:
            page.get_by_role("heading", name="No guarantee yet").wait_for()
        elif name == "some":
            page.get_by_text("Exact figures").click()
        elif name in DECIDED:
            page.get_by_role("heading", name="Error rates").wait_for()
        person.draw(f"checks-{name}-{width}-{scheme}", ".scroll")
        person.close()


PHONE = {"width": 390, "height": 844}


def on_a_phone(browser: Any, stage: Stage, name: str) -> tuple[Watched, Any]:
    put(stage, name)
    decide(stage, name)
    person = Watched(browser, stage, viewport=PHONE)
    page = person.sign_in(name)
    page.goto(f"{stage.address}/insights?tab=error-rate")
    page.get_by_role("region", name="contract-clauses").wait_for()
    return person, page


@pytest.mark.parametrize("name", ["tightened", "drift"])
def test_an_alarm_is_on_the_first_screen_of_a_phone(browser: Any, stage: Stage, name: str) -> None:
    person, page = on_a_phone(browser, stage, name)
    alarm = page.get_by_role("alert").bounding_box()
    assert alarm["y"] + alarm["height"] <= PHONE["height"] / 2
    pill = page.locator(".watch .pill").bounding_box()
    assert pill["y"] + pill["height"] <= PHONE["height"]
    card = page.get_by_role("region", name="contract-clauses").inner_text()
    if name == "tightened":
        assert "8 of 12 checks in 12 documents were wrong" in card
        assert "4 checks, none wrong, at the current threshold" in card
        assert (
            "8 checks, 8 wrong"
            in page.get_by_role("row", name="Category: Audit Rights").inner_text()
        )
        assert page.get_by_text("8 of 8 checks of Audit Rights were wrong").is_visible()
    else:
        assert "The new documents differ" in card
    person.draw(f"checks-alarm-{name}-390", ".scroll")
    person.close()


def test_a_promise_that_is_kept_is_short_on_a_phone(browser: Any, stage: Stage) -> None:
    person, page = on_a_phone(browser, stage, "some")
    card = page.get_by_role("region", name="contract-clauses")
    box = card.bounding_box()
    assert box["y"] + box["height"] <= PHONE["height"]
    counts = card.get_by_text("812 clauses accepted; 40 checks, 1 wrong")
    assert counts.is_visible()
    behind = card.get_by_text("between 0.1% and 13.2%")
    assert not behind.is_visible()
    counts.focus()
    page.keyboard.press("Enter")
    behind.wait_for()
    page.keyboard.press("Enter")
    behind.wait_for(state="hidden")
    page.set_viewport_size({"width": 1280, "height": 800})
    behind.wait_for()
    assert not counts.is_visible()
    person.close()


def test_history_is_folded_and_the_reason_of_an_alarm_is_not(browser: Any, stage: Stage) -> None:
    put(stage, "tightened")
    decide(stage, "tightened")
    first = stage.watched["notices"]
    later = {"adapter": "other", "kind": "calibrated", "about": "", "actor": "ada"}
    stage.watched["notices"] = [
        *({**later, "text": f"No. {n}", "time": f"2026-04-0{n}T12:00:00Z"} for n in (5, 4, 3, 2)),
        *first,
        {**first[0], "text": "an older reason", "time": "2026-01-01T12:00:00Z"},
    ]
    person = Watched(browser, stage, viewport=PHONE)
    page = person.sign_in("tightened")
    page.goto(f"{stage.address}/insights?tab=error-rate")
    page.get_by_text("7 notices, newest first.").wait_for()
    rows = page.locator(".insight > .list").last.locator("tbody .words")
    shown = rows.all_inner_texts()
    assert shown[:3] == ["No. 5", "No. 4", "No. 3"]
    assert shown[3:] == [one["text"] for one in first]
    page.get_by_text("2 older").click()
    page.get_by_text("an older reason").wait_for()
    insurance = page.get_by_text("Category: Insurance")
    assert not insurance.is_visible()
    page.get_by_text("3 more without errors, or equal to the total").click()
    insurance.wait_for()
    person.draw("checks-history-390", ".scroll")
    person.close()


def test_what_is_promised_about_findings_stands_beside_it(browser: Any, stage: Stage) -> None:
    put(stage, "nothing")
    terms = {"risk": 0.2, "belief": 0.55, "categories": 0, "most": 1.0}
    name = guarantee_name("1.2.0+0/0.5", 0.2, 0.95, 0.55)
    kept = MonitoringState("triage-breaks", guarantee=name, terms=terms, documents=3)
    start = kept.test
    assert start is not None
    watch = replay(start, [[Check("totals", 0.9, True)]] * 3)
    after = replace(kept, evidence=watch.to_json())
    tight, events = monitor.tighten(after, watch, "filings", LINE.confidence_of)
    shown = monitor.describe(tight, None, 41, LINE.confidence_of)
    item = MonitorOut.model_validate(shown).model_dump(mode="json")
    notices = [
        NoticeOut.model_validate(replace(one, time=NOON)).model_dump(mode="json") for one in events
    ]
    stage.watched_findings = {"items": [item], "notices": notices}
    try:
        ada = Watched(browser, stage)
        page = ada.sign_in()
        page.goto(f"{stage.address}/insights?tab=error-rate")
        card = page.get_by_role("region", name="triage-breaks")
        card.wait_for()
        words = card.inner_text()
        assert "41 findings" in words
        assert "version 1.2.0" in words
        assert "Guarantee: at most 20% of accepted findings are wrong" in words
        assert "3 of 3 checks in 3 filings were wrong" in words
        assert "tightened 3 times from a confidence of 83.2% to 98.6%" in words
        assert "raised from a confidence of 83.2% to 98.6%" in words
        assert "A finding is accepted at a confidence of 98.6% or more." in words
        assert "probability" not in words
        card.get_by_text("Exact figures").click()
        assert "98.6%; 83.2% at first" in card.inner_text()
        ada.draw("checks-findings", ".scroll")
        assert page.get_by_role("alert").first.inner_text().startswith("triage-breaks: ")
        ada.close()
    finally:
        stage.watched_findings = {"items": [], "notices": []}
