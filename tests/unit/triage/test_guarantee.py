"""Which findings need no person: only for a stated risk and a stated share of broken filings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.triage.guarantee import (
    FOREIGN,
    LEFT_OUT,
    SCANNED,
    UNKNOWN,
    WARNED,
    Calibration,
    Promise,
    promise,
    read_calibration,
    routed,
    seen_right,
)
from services.triage.guarantee import calibration as calibration_of
from services.triage.judgement import triage_filing
from services.triage.risk import Judge
from services.triage.settings import Settings
from shared.documents import Reading
from shared.documents.ocr import METHOD
from shared.documents.reading import Page
from shared.settings import load
from tests.unit.triage.filings import bent, read


def calibration(companies: int = 300, alarms: float = 0.0) -> Calibration:
    """Companies with a sound filing and a broken one each; all errors are found surely, and a share
    of the sound filings has as sure a finding.
    """
    count = 2 * companies
    broken = np.arange(count) % 2 == 1
    sure = broken | (np.arange(count) % 2000 < 2 * 1000 * alarms)
    return Calibration(np.arange(count) // 2, broken, broken, np.where(sure, 0.995, 0.1))


def test_a_promise_hangs_on_the_share_of_broken_filings() -> None:
    """With one false alarm in a hundred sound filings: half of them broken, or one in a hundred."""
    known = calibration(1_000, alarms=0.01)
    half = promise(known, 0.05, 0.95, 0.5)
    assert half.threshold == pytest.approx(0.5)
    assert (half.companies, half.why_not) == (1_000, "")
    few = promise(known, 0.05, 0.95, 0.01)
    assert few.threshold is None
    assert "not attainable with this data" in few.why_not
    assert "49.7% of the surest findings are wrong" in few.why_not


def test_what_is_not_known_is_said() -> None:
    """No data, no share, too few companies."""
    assert "no calibration data" in promise(None, 0.05, 0.95, 0.5).why_not
    assert promise(calibration(), 0.05, 0.95, None).why_not == UNKNOWN
    few = promise(calibration(60), 0.05, 0.95, 0.5)
    assert "0.0% of the surest findings are wrong, but 60 companies are too few" in few.why_not
    assert "too few to show at 95% that at most 5.0% are" in few.why_not
    assert "further companies would do" in few.why_not


@pytest.mark.parametrize("companies", [2, 7])
def test_few_without_a_mistake_need_more_however_many(companies: int) -> None:
    """More than ten times as many are needed, which is said, and with these it can be promised."""
    why = promise(calibration(companies), 0.05, 0.95, 0.5).why_not
    assert "0.0% of the surest findings are wrong" in why
    assert "hardly" not in why
    further = int(why.split("about ")[1].split()[0])
    assert further > 10 * companies - companies
    assert f"about {further} further companies would do" in why
    assert promise(calibration(companies + further), 0.05, 0.95, 0.5).threshold is not None


def test_where_mistakes_were_seen_many_more_are_no_advice() -> None:
    """As many wrong findings as the risk allows: no number of companies shows it."""
    why = promise(calibration(20, alarms=0.3), 0.05, 0.95, 0.5).why_not
    assert "more companies would hardly show it: state a larger risk" in why


def test_where_no_finding_is_sure_that_is_said() -> None:
    """There is no share of wrong ones among none."""
    known = calibration(40)
    unsure = replace(known, risk=np.full(len(known.risk), 0.6))
    why = promise(unsure, 0.05, 0.95, 0.5).why_not
    assert why.endswith("no finding of 40 companies was surer than 99%")


def test_an_error_that_is_named_wrongly_is_a_wrong_finding() -> None:
    """It is there, but elsewhere."""
    known = calibration()
    elsewhere = replace(known, right=np.zeros(len(known.right), bool))
    assert promise(elsewhere, 0.2, 0.95, 0.5).threshold is None


def test_how_often_as_sure_a_finding_was_right_is_counted_and_never_falls() -> None:
    """By hand: what is no surer than a wrong one is one pool with it, above the surest stands one
    more that is wrong, and sound filings weigh what their share is.
    """
    broken = np.array([True, True, True, True, False])
    right = np.array([False, True, False, True, False])
    sure = np.array([0.2, 0.5, 0.6, 0.9, 0.9])
    data = Calibration(np.arange(5), broken, right, sure).to_bytes()
    told = [seen_right(one, data, 0.8) for one in (0.1, 0.2, 0.55, 0.6, 0.9, 0.99)]
    assert told == pytest.approx([0.0, 0.0, *[2 / 5] * 4])  # of four from 0.5 on, and one unseen
    found, sound = 0.99 / 0.8, 0.01 / 0.2
    rare = found / (found + sound + 1)
    assert seen_right(0.9, data, 0.99) == pytest.approx(rare)
    assert seen_right(0.6, data, 0.99) == pytest.approx(0.5)


@pytest.mark.parametrize(("stated", "broken"), [(0.05, 0.5), (0.1, 0.5), (0.2, 0.5)])
def test_what_is_expected_of_the_accepted_is_what_the_set_itself_shows(
    stated: float, broken: float
) -> None:
    """With the set that ships: less than the stated risk, and about as many as were wrong."""
    data = Judge.load(load(Settings).artefacts_folder).guarantee
    assert data
    known = calibration_of(data)
    made = promise(known, stated, 0.95, broken)
    assert made.threshold is not None
    part = known.broken.mean()
    weight = np.where(known.broken, broken / part, (1 - broken) / (1 - part))
    chosen = known.risk >= made.threshold
    wrong = ~(known.broken & known.right)
    counted = float((weight * wrong)[chosen].sum())
    expected = sum(
        w * (1 - seen_right(float(sure), data, broken))
        for w, sure in zip(weight[chosen], known.risk[chosen], strict=True)
    )
    assert expected == pytest.approx(counted, rel=0.15)  # a threshold may divide a pool
    assert expected < stated * weight[chosen].sum()


def test_a_set_comes_back_as_it_was_written() -> None:
    """Companies by number alone."""
    known = calibration(40, alarms=0.5)
    again = read_calibration(known.to_bytes())
    assert again.companies == 40
    for mine, theirs in zip(again.counts(0.3), known.counts(0.3), strict=True):
        assert mine == pytest.approx(theirs)


def test_only_the_surest_finding_is_accepted_and_only_where_data_speak_for_it() -> None:
    """Not in a filing of which lines are left out, nor in one that was not read as a whole."""
    filing = read(bent("balance_sheet", "Total current assets", 1, 4509))
    verdict = triage_filing(filing)
    assert verdict.findings
    lax = Promise(0.2, 0.95, 0.5, threshold=0.01, companies=300)
    routes = [one["route"] for one in routed(verdict, filing, lax, None)["findings"]]
    assert routes == ["accept", *["review"] * (len(verdict.findings) - 1)]
    strict = replace(lax, threshold=0.9999)
    assert routed(verdict, filing, strict, None)["findings"][0]["route"] == "review"
    for other, why in (
        (replace(filing, whole=False), LEFT_OUT),
        (replace(filing, warnings=("a page could not be read",)), WARNED),
    ):
        said = routed(verdict, other, lax, None)
        assert {one["route"] for one in said["findings"]} == {"review"}
        assert said["risks"]["why_not"] == why


GERMAN = {
    "Cash and cash equivalents": "Zahlungsmittel",
    "Accounts receivable, net": "Forderungen aus Lieferungen und Leistungen",
    "Inventories": "Vorräte",
    "Property, plant and equipment, net": "Sachanlagen",
    "Accounts payable": "Verbindlichkeiten aus Lieferungen und Leistungen",
}


def test_a_source_without_calibration_data_is_not_guaranteed() -> None:
    """A page that was recognised, beside one that was not; lines in another language."""
    filing = read(bent("balance_sheet", "Total current assets", 1, 4509))
    verdict, lax = triage_filing(filing), Promise(0.2, 0.95, 0.5, threshold=0.01, companies=300)
    typed = Page(1, 0, 1, 612.0, 792.0)
    for pages, why in (
        ((typed,), ""),
        ((typed, Page(2, 1, 2, 612.0, 792.0, method=METHOD)), SCANNED),
    ):
        text = "x" * len(pages)
        page = Reading(text, pages, np.full((len(text), 4), np.nan, np.float32), len(pages))
        said = routed(verdict, filing, lax, page)
        assert (said["risks"]["why_not"], said["findings"][0]["route"]) == (
            why,
            "review" if why else "accept",
        )
    others = tuple(
        replace(
            one,
            rows=tuple(replace(row, label=GERMAN.get(row.label, "Summe")) for row in one.rows),
        )
        for one in filing.statements
    )
    said = routed(verdict, replace(filing, statements=others), lax, None)
    assert said["risks"]["why_not"] == FOREIGN
    assert {one["route"] for one in said["findings"]} == {"review"}
