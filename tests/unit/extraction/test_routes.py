"""Which clauses are accepted for a stated risk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.extraction.pipeline.search import ClauseSpan, Search
from services.extraction.routing.routes import (
    StatedMissed,
    StatedRisk,
    is_sampled,
    route_clauses,
    stated_missed,
    stated_missed_for,
    stated_risk,
)
from shared.documents import ParsedDocument
from shared.documents.pages.tesseract import METHOD
from shared.errors import SettingsError
from shared.events import ClausesExtracted
from shared.inference.adapters import GUARANTEE_FILE, AdapterManifest, newest_version
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.policy.risk_control import control_risk, read_calibration
from shared.policy.rules import RiskRules
from shared.storage.secret import draw_key
from tests.support import ROOT
from tests.unit.extraction.builders import (
    LABELS,
    PAGES,
    TEXT,
    ExtractionService,
    KeywordSpecialist,
    calibration,
    of_two,
    reading,
)
from tests.unit.extraction.conftest import Start

SHIPPED = calibration()
FEW = calibration(families=5)
WARNED = ("it is in another language",)
KEY = b"the secret of this installation."


def specialist(guarantee: bytes | None = SHIPPED, threshold: float = 0.5) -> KeywordSpecialist:
    one = KeywordSpecialist()
    one.guarantee = guarantee
    one.manifest = replace(one.manifest, thresholds={"best_f1": threshold})
    return one


def clause(category: str, confidence: float, start: int = 0) -> ClauseSpan:
    return ClauseSpan(category, TEXT[start : start + 9], start, start + 9, confidence)


SURE, UNSURE = clause("Governing Law", 0.8), clause("Governing Law", 0.2)
FOUND = Search([SURE, UNSURE], [])
READ = reading(*PAGES)
STATED = RiskRules(max_wrong=0.05)
MISSED = RiskRules(max_missed=0.3)


def risk_of(expert: KeywordSpecialist, *more: Any, found: Search = FOUND) -> StatedRisk:
    """State the risk for 5% wrong clauses, unless other rules are given."""
    rules, *local = more or (STATED,)
    stated = stated_risk(expert, found, rules, *local)
    assert stated is not None
    return stated


def missed_of(expert: KeywordSpecialist) -> StatedMissed:
    stated = stated_missed(expert, MISSED)
    assert stated is not None
    return stated


def test_clauses_above_the_threshold_are_accepted() -> None:
    stated = risk_of(specialist())
    assert stated.thresholds == pytest.approx(dict.fromkeys(LABELS, 0.5))  # as is usually shown
    assert (stated.max_wrong, stated.level, stated.families) == (0.05, 0.95, 400)
    assert route_clauses(FOUND.clauses, READ, stated) == ["accept", "review"]


def test_without_a_stated_risk_everything_is_reviewed() -> None:
    stated = stated_risk(specialist(), FOUND, RiskRules())
    assert stated is None
    assert route_clauses(FOUND.clauses, READ, stated) == ["review", "review"]


def test_a_category_that_always_needs_a_person_has_one() -> None:
    rules = RiskRules(max_wrong=0.05, always_person=("Governing Law",))
    stated = risk_of(specialist(), rules)
    found = [SURE, clause("Audit Rights", 0.9), clause("Poetry", 0.99)]
    assert route_clauses(found, READ, stated) == ["review", "accept", "review"]


@pytest.mark.parametrize(
    ("guarantee", "warnings", "why"),
    [
        (None, (), "no calibration data"),
        (SHIPPED, WARNED, "documents with warnings"),
        (FEW, (), "too few"),
    ],
)
def test_without_fitting_data_nothing_is_accepted_with_a_reason(
    guarantee: bytes | None, warnings: tuple[str, ...], why: str
) -> None:
    stated = risk_of(specialist(guarantee), found=replace(FOUND, warnings=warnings))
    assert stated.thresholds == {}
    assert why in stated.no_guarantee_reason
    assert route_clauses(FOUND.clauses, READ, stated) == ["review", "review"]


def test_clauses_not_usually_shown_are_not_accepted() -> None:
    stated = risk_of(specialist(threshold=0.6))
    found = [clause("Governing Law", 0.59), clause("Governing Law", 0.61)]
    assert route_clauses(found, READ, stated) == ["review", "accept"]


@pytest.mark.parametrize(
    ("expert", "above", "why"),
    [
        (specialist(threshold=0.98), 0.97, ""),
        (specialist(threshold=0.5), 0.5, ""),
        (specialist(FEW), 0.002, "State a larger share"),
    ],
)
def test_a_limit_of_missed_clauses_shows_more(
    expert: KeywordSpecialist, above: float, why: str
) -> None:
    stated = missed_of(expert)
    assert stated.above == above
    assert why in stated.no_guarantee_reason
    assert bool(stated.no_guarantee_reason) == bool(why)
    assert stated_missed(expert, RiskRules()) is None


SCANNED = replace(READ, pages=tuple(replace(page, method=METHOD) for page in READ.pages))


@pytest.mark.parametrize(
    ("guarantee", "found", "read", "unsure", "why"),
    [
        (None, FOUND, READ, False, "calibration data"),
        (SHIPPED, replace(FOUND, warnings=WARNED), READ, False, "documents with warnings"),
        (SHIPPED, FOUND, SCANNED, False, "OCR"),
        (SHIPPED, FOUND, READ, True, "unconfirmed kind"),
    ],
)
def test_missed_clauses_have_no_limit_without_fitting_data(
    guarantee: bytes | None, found: Search, read: ParsedDocument, unsure: bool, why: str
) -> None:
    stated = stated_missed_for(missed_of(specialist(guarantee)), found, read, kind_unsure=unsure)
    assert stated is not None
    assert why in stated.no_guarantee_reason


def test_a_clause_on_a_page_read_by_ocr_is_reviewed() -> None:
    stated = risk_of(specialist())
    read = READ
    scanned = replace(read, pages=(read.pages[0], replace(read.pages[1], method="tesseract")))
    border = read.pages[1].start
    found = [clause("Governing Law", 0.9, at) for at in (0, border - 5, border + 5)]
    assert route_clauses(found, scanned, stated) == ["accept", "review", "review"]


@pytest.mark.parametrize("method", ["text", "pypdfium2", "pypdf", "docx", "html"])
def test_a_clause_of_embedded_text_can_be_accepted(method: str) -> None:
    read = READ
    held = replace(read, pages=tuple(replace(page, method=method) for page in read.pages))
    stated = risk_of(specialist())
    assert route_clauses([clause("Governing Law", 0.9, 0)], held, stated) == ["accept"]


def test_the_sample_is_drawn_by_clause_id_with_the_stated_share() -> None:
    ids = [f"cl_{number:032x}" for number in range(4000)]
    drawn = [name for name in ids if is_sampled(name, 0.05, KEY)]
    assert drawn == [name for name in ids if is_sampled(name, 0.05, KEY)]
    assert 140 <= len(drawn) <= 260
    assert not any(is_sampled(name, 0.0, KEY) for name in ids)
    assert all(is_sampled(name, 1.0, KEY) for name in ids)


def test_the_sample_can_not_be_guessed_without_the_secret() -> None:
    ids = [f"cl_{number:032x}" for number in range(4000)]
    ours, theirs = ({i for i in ids if is_sampled(i, 0.05, key)} for key in (KEY, bytes(32)))
    assert len(ours & theirs) < 25


def test_each_installation_has_its_own_secret(tmp_path: Path) -> None:
    keys = []
    for name in ("one", "two", "one"):
        extraction = ExtractionService(tmp_path / name)
        with extraction.service.store.read() as session:
            keys.append(draw_key(session))
        extraction.close()
    assert keys[0] == keys[2] != keys[1]
    assert {len(key) for key in keys} == {32}


@pytest.mark.parametrize("step", [1, 4])
def test_a_tightened_guarantee_accepts_less(step: int) -> None:
    local = TenantCalibration(step=step, suspended=frozenset({"Audit Rights"}))
    stated = risk_of(specialist(), STATED, local)
    assert stated.belief == pytest.approx(0.3)
    assert stated.thresholds == (pytest.approx({"Governing Law": 0.65}) if step == 1 else {})
    assert ("loosen" in stated.no_guarantee_reason) == (step == 4)
    assert [("nothing" in line, "Audit Rights" in line) for line in stated.tightened] == [
        (step == 4, False),
        (False, True),
    ]


FIRST_IN_DOUBT = TenantCalibration(suspended=frozenset(LABELS[:1]))


def test_the_other_categories_keep_the_risk_without_a_suspended_one() -> None:
    """The second category is wrong in 7% of cases at the common threshold, with a risk of 5%."""
    guarantee = of_two(600, 0.01, 0.02, 0.12)
    expert, known = specialist(guarantee), read_calibration(guarantee)
    both = risk_of(expert)
    alone = risk_of(expert, STATED, FIRST_IN_DOUBT)
    second = known.label == 1

    def wrong(stated: StatedRisk) -> float:
        return float(
            known.wrong[second & (known.belief >= stated.thresholds["Audit Rights"])].mean()
        )

    assert both.belief == alone.belief == pytest.approx(0.3)
    assert set(alone.thresholds) == {"Audit Rights"}
    assert wrong(both) > 0.06
    assert wrong(alone) < 0.03
    own = control_risk(known, 0.05, 0.95, LABELS[:1]).belief
    assert alone.thresholds["Audit Rights"] == pytest.approx(own)
    more, looked_at = alone.tightened
    assert f"raised from 30.0% to {own:.1%}, because without Governing Law" in more
    assert looked_at.endswith("a person decides Governing Law")
    assert both.tightened == ()
    assert alone.guarantee == both.guarantee  # its checks still count


def test_nothing_is_accepted_if_the_other_categories_miss_the_risk() -> None:
    expert = specialist(of_two(600, 0.01, 0.11))
    both = risk_of(expert)
    alone = risk_of(expert, STATED, FIRST_IN_DOUBT)
    assert both.thresholds["Audit Rights"] < 0.9
    assert alone.thresholds == {}
    assert alone.no_guarantee_reason.startswith("Checks put Governing Law in doubt.")
    assert "State a larger risk" in alone.no_guarantee_reason
    assert (
        "nothing is accepted, because without Governing Law nothing is shown" in alone.tightened[0]
    )


def test_suspending_a_category_never_accepts_more_of_the_others() -> None:
    guarantee = of_two(600, 0.09, 0.02)
    expert = specialist(guarantee)
    both = risk_of(expert)
    alone = risk_of(expert, STATED, FIRST_IN_DOUBT)
    own = control_risk(read_calibration(guarantee), 0.05, 0.95, LABELS[:1]).belief
    assert own == pytest.approx(0.3)
    assert alone.thresholds["Audit Rights"] == both.thresholds["Audit Rights"] > 0.9
    assert alone.tightened == ("too many checks were wrong: a person decides Governing Law",)


SUREST = [
    *("Agreement Date", "Anti-Assignment", "Document Name"),
    *("Governing Law", "License Grant", "Parties"),
]
"""Without the surest categories no guarantee is possible."""


@pytest.mark.parametrize(
    ("risk", "doubted", "promised", "now"),
    [
        (0.2, ["Parties"], 0.490, 0.547),
        (0.05, ["Governing Law", "Parties"], 0.924, 0.940),
        (0.05, SUREST, 0.924, None),
        (0.05, ["Parties"], 0.924, 0.930),
    ],
)
def test_the_shipped_calibration_set_covers_the_remaining_categories(
    risk: float, doubted: list[str], promised: float, now: float | None
) -> None:
    folder = newest_version(ROOT / "models" / "artefacts", "contract-clauses")
    expert = specialist()
    expert.guarantee = (folder / GUARANTEE_FILE).read_bytes()
    expert.manifest = replace(AdapterManifest.read(folder), thresholds={"best_f1": 0.01})
    local = TenantCalibration(suspended=frozenset(doubted))
    stated = risk_of(expert, RiskRules(max_wrong=risk), local)
    assert stated.belief == pytest.approx(promised, abs=0.001)
    known = read_calibration(expert.guarantee)
    assert set(doubted).isdisjoint(stated.thresholds)
    assert len(stated.thresholds) == (len(known.labels) - len(doubted) if now else 0)
    assert bool(stated.no_guarantee_reason) == (now is None)
    for name, confidence in stated.thresholds.items():
        if confidence > 0.01:
            assert known.belief_of(name, confidence) == pytest.approx(now, abs=0.001)


def test_a_local_calibration_replaces_the_shipped_one() -> None:
    taught = KeywordSpecialist()
    stated = risk_of(taught, STATED, TenantCalibration(data=calibration(), number=2))
    assert stated.thresholds
    assert stated.guarantee.startswith("0.0.1+2 0.05 0.95 ")


def extracted(start: Start, **rules: Any) -> tuple[ExtractionService, ClausesExtracted]:
    extraction = start(calibration(), **rules)
    extraction.extract()
    (event,) = extraction.announced(ClausesExtracted)
    return extraction, event


def test_the_policy_of_the_tenant_decides_and_rest_says_why(start: Start) -> None:
    extraction, event = extracted(start, max_wrong=0.05, sample_share=0.0)
    answer = extraction.get().json()
    by_category = {item["category"]: item["route"] for item in answer["items"]}
    assert by_category == {"Governing Law": "accept", "Audit Rights": "accept"}
    (risk,) = answer["risks"]
    assert (risk["adapter"], risk["max_wrong"], risk["no_guarantee_reason"]) == (
        "contract-clauses",
        0.05,
        "",
    )
    assert (event.accepted, event.sampled) == (2, ())
    announced = json.loads(extraction.service.blobs.get("default", event.clauses))
    assert {one["route"] for one in announced} == {"accept"}


def test_another_tenant_has_its_own_rules(start: Start) -> None:
    extraction, _ = extracted(start, max_wrong=0.05, sample_share=0.0)
    extraction.handle(
        extraction.ingested("doc_2", tenant="rivals"), extraction.read("doc_2", tenant="rivals")
    )
    answer = extraction.client_of("rivals").get("/v1/documents/doc_2/clauses").json()
    assert {item["route"] for item in answer["items"]} == {"review"}
    assert answer["risks"] == []


def test_an_audit_sample_is_reviewed_unmarked(start: Start) -> None:
    extraction, event = extracted(start, max_wrong=0.05, sample_share=1.0)
    items = extraction.clauses()
    assert {item["route"] for item in items} == {"review"}
    assert not any("sampled" in item for item in items)
    assert (event.accepted, set(event.sampled)) == (0, {item["id"] for item in items})


def test_an_unknown_category_in_the_policy_stops_the_start(start: Start) -> None:
    with pytest.raises(SettingsError, match="'Uncaped Liability'"):
        extracted(start, max_wrong=0.05, always_person=["Uncaped Liability"])
    extracted(start, max_wrong=0.05, always_person=["Uncapped Liability"])


def test_nothing_is_accepted_while_the_kind_is_unsure(start: Start) -> None:
    extraction, _ = extracted(start, max_wrong=0.05, max_missed=0.2, sample_share=1.0)
    extraction.extract("doc_2", kind_confidence=0.4, kind_unsure=True)
    answer = extraction.get(document="doc_2").json()
    assert {item["route"] for item in answer["items"]} == {"review"}
    event = extraction.announced(ClausesExtracted)[-1]
    assert (event.document_id, event.accepted, event.sampled) == ("doc_2", 0, ())
    assert "unconfirmed kind" in answer["risks"][0]["no_guarantee_reason"]
    extraction.handle(extraction.read("doc_2", attempt=2))
    answer = extraction.get(document="doc_2").json()
    assert answer["risks"][0]["no_guarantee_reason"] == ""
    assert len(extraction.announced(ClausesExtracted)[-1].sampled) == 2
