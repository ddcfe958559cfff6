"""Which findings need no person: only for a stated risk and a stated share of broken filings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.verdict import triage_filing
from services.triage.routing.risk_control import (
    FOREIGN,
    LEFT_OUT,
    SCANNED,
    UNKNOWN,
    WARNED,
    Calibration,
    RiskGuarantee,
    make_guarantee,
    observed_accuracy,
    read_calibration,
    route_verdict,
)
from services.triage.settings import Settings
from shared.documents import ParsedDocument
from shared.documents.model.parsed_document import Page
from shared.documents.pages.tesseract import METHOD
from shared.settings import load
from tests.unit.triage.filings import bent, read


def calibration(companies: int = 300, alarms: float = 0.0) -> Calibration:
    """Companies with a sound filing and a broken one each.

    All errors are found with high confidence. A share of the sound filings, `alarms`, has such a
    finding too.
    """
    count = 2 * companies
    broken = np.arange(count) % 2 == 1
    sure = broken | (np.arange(count) % 2000 < 2 * 1000 * alarms)
    return Calibration(np.arange(count) // 2, broken, broken, np.where(sure, 0.995, 0.1))


def test_a_guarantee_depends_on_the_share_of_broken_filings() -> None:
    known = calibration(1_000, alarms=0.01)
    half = make_guarantee(known, 0.05, 0.95, 0.5)
    assert half.threshold == pytest.approx(0.5)
    assert (half.companies, half.no_guarantee_reason) == (1_000, "")
    few = make_guarantee(known, 0.05, 0.95, 0.01)
    assert few.threshold is None
    assert "Too many of the surest findings" in few.no_guarantee_reason


def test_a_missing_guarantee_has_a_reason() -> None:
    assert "no calibration data" in make_guarantee(None, 0.05, 0.95, 0.5).no_guarantee_reason
    assert make_guarantee(calibration(), 0.05, 0.95, None).no_guarantee_reason == UNKNOWN
    few = make_guarantee(calibration(60), 0.05, 0.95, 0.5)
    assert few.no_guarantee_reason.startswith("60 companies are too few to guarantee 5%")
    assert few.no_guarantee_reason.endswith(" more are needed.")


@pytest.mark.parametrize("companies", [2, 7])
def test_few_without_a_mistake_need_more_however_many(companies: int) -> None:
    why = make_guarantee(calibration(companies), 0.05, 0.95, 0.5).no_guarantee_reason
    assert why.startswith(f"{companies} companies are too few")
    further = int(why.split("about ")[1].split()[0])
    assert further > 10 * companies - companies
    assert f"about {further} more are needed" in why
    assert make_guarantee(calibration(companies + further), 0.05, 0.95, 0.5).threshold is not None


def test_where_mistakes_were_seen_many_more_are_no_advice() -> None:
    why = make_guarantee(calibration(20, alarms=0.3), 0.05, 0.95, 0.5).no_guarantee_reason
    assert "Too many of the surest findings" in why


def test_a_set_without_sure_findings_says_so() -> None:
    known = calibration(40)
    unsure = replace(known, risk=np.full(len(known.risk), 0.6))
    why = make_guarantee(unsure, 0.05, 0.95, 0.5).no_guarantee_reason
    assert why.endswith("No finding of 40 companies was surer than 99%.")


def test_an_error_that_is_named_wrongly_is_a_wrong_finding() -> None:
    known = calibration()
    elsewhere = replace(known, right=np.zeros(len(known.right), bool))
    assert make_guarantee(elsewhere, 0.2, 0.95, 0.5).threshold is None


def test_how_often_as_sure_a_finding_was_right_is_counted_and_never_falls() -> None:
    broken = np.array([True, True, True, True, False])
    right = np.array([False, True, False, True, False])
    sure = np.array([0.2, 0.5, 0.6, 0.9, 0.9])
    data = Calibration(np.arange(5), broken, right, sure).to_bytes()
    shares = [observed_accuracy(one, data, 0.8) for one in (0.1, 0.2, 0.55, 0.6, 0.9, 0.99)]
    assert shares == pytest.approx([0.0, 0.0, *[2 / 5] * 4])  # of four from 0.5 on, and one unseen
    found, sound = 0.99 / 0.8, 0.01 / 0.2
    rare = found / (found + sound + 1)
    assert observed_accuracy(0.9, data, 0.99) == pytest.approx(rare)
    assert observed_accuracy(0.6, data, 0.99) == pytest.approx(0.5)


@pytest.mark.parametrize(("stated", "broken"), [(0.05, 0.5), (0.1, 0.5), (0.2, 0.5)])
def test_expected_errors_are_those_of_the_set(stated: float, broken: float) -> None:
    data = BreakClassifier.load(load(Settings).artefacts_folder).guarantee
    assert data
    known = read_calibration(data)
    made = make_guarantee(known, stated, 0.95, broken)
    assert made.threshold is not None
    part = known.broken.mean()
    weight = np.where(known.broken, broken / part, (1 - broken) / (1 - part))
    chosen = known.risk >= made.threshold
    wrong = ~(known.broken & known.right)
    counted = float((weight * wrong)[chosen].sum())
    expected = sum(
        w * (1 - observed_accuracy(float(sure), data, broken))
        for w, sure in zip(weight[chosen], known.risk[chosen], strict=True)
    )
    assert expected == pytest.approx(counted, rel=0.15)  # a threshold may divide a pool
    assert expected < stated * weight[chosen].sum()


def test_a_set_comes_back_as_it_was_written() -> None:
    known = calibration(40, alarms=0.5)
    again = read_calibration(known.to_bytes())
    assert again.companies == 40
    for mine, theirs in zip(again.counts(0.3), known.counts(0.3), strict=True):
        assert mine == pytest.approx(theirs)


def test_only_the_surest_finding_is_accepted_and_only_where_data_speak_for_it() -> None:
    filing = read(bent("balance_sheet", "Total current assets", 1, 4509))
    verdict = triage_filing(filing)
    assert verdict.findings
    lax = RiskGuarantee(0.2, 0.95, 0.5, threshold=0.01, companies=300)
    routes = [one["route"] for one in route_verdict(verdict, filing, lax, None)["findings"]]
    assert routes == ["accept", *["review"] * (len(verdict.findings) - 1)]
    strict = replace(lax, threshold=0.9999)
    assert route_verdict(verdict, filing, strict, None)["findings"][0]["route"] == "review"
    for other, why in (
        (replace(filing, complete=False), LEFT_OUT),
        (replace(filing, warnings=("a page could not be read",)), WARNED),
    ):
        routed = route_verdict(verdict, other, lax, None)
        assert {one["route"] for one in routed["findings"]} == {"review"}
        assert routed["risks"]["no_guarantee_reason"] == why


GERMAN = {
    "Cash and cash equivalents": "Zahlungsmittel",
    "Accounts receivable, net": "Forderungen aus Lieferungen und Leistungen",
    "Inventories": "Vorräte",
    "Property, plant and equipment, net": "Sachanlagen",
    "Accounts payable": "Verbindlichkeiten aus Lieferungen und Leistungen",
}


def test_a_source_without_calibration_data_is_not_guaranteed() -> None:
    filing = read(bent("balance_sheet", "Total current assets", 1, 4509))
    verdict = triage_filing(filing)
    lax = RiskGuarantee(0.2, 0.95, 0.5, threshold=0.01, companies=300)
    typed, scan = Page(1, 0, 1, 612.0, 792.0), Page(2, 1, 2, 612.0, 792.0, method=METHOD)
    for pages, why in (((typed,), ""), ((typed, scan), SCANNED)):
        text = "x" * len(pages)
        page = ParsedDocument(text, pages)
        routed = route_verdict(verdict, filing, lax, page)
        assert routed["risks"]["no_guarantee_reason"] == why
        assert routed["findings"][0]["route"] == ("review" if why else "accept")
    german = [
        replace(one, rows=tuple(replace(r, label=GERMAN.get(r.label, "Summe")) for r in one.rows))
        for one in filing.statements
    ]
    routed = route_verdict(verdict, replace(filing, statements=tuple(german)), lax, None)
    assert routed["risks"]["no_guarantee_reason"] == FOREIGN
    assert {one["route"] for one in routed["findings"]} == {"review"}
