"""What is accepted without a person: only for a stated risk, and only where data speak for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.extraction.pipeline import Clause, Search
from services.extraction.routing import (
    StatedRisk,
    is_sampled,
    missed_in,
    routes,
    stated_missed,
    stated_risk,
)
from shared.documents.ocr import METHOD
from shared.errors import SettingsError
from shared.events import ClausesExtracted
from shared.guarantee import Calibration, promise, read_calibration
from shared.inference.adapters import (
    GUARANTEE_FILE,
    MANIFEST_FILE,
    newest_version,
    read_manifest,
)
from shared.policy import RiskRules
from shared.storage.secret import draw_key
from shared.watch.local import Local
from tests.support import ROOT
from tests.unit.extraction_service.house import PAGES, TEXT, House, KeywordSpecialist, reading

LABELS = ("Governing Law", "Audit Rights")
KEY = b"the secret of this installation."


def calibration(families: int = 400, by_contract: bool = False) -> bytes:
    """Four hundred companies with two sure clauses each, all of them right; if contracts are told
    apart, one in each.
    """
    count = 2 * families
    return Calibration(
        LABELS,
        families,
        np.array([[0.0, 1.0], [0.0, 1.0]]),
        np.arange(count) // 2,
        np.arange(count) % 2,
        np.full(count, 0.97),
        np.zeros(count),
        np.arange(count) // 2,
        np.full(count, 0.97),
        np.arange(count) if by_contract else None,
    ).to_bytes()


def specialist(**changed: Any) -> KeywordSpecialist:
    """One that came with a calibration set."""
    one = KeywordSpecialist()
    one.guarantee = calibration(**changed)
    return one


def clause(category: str, confidence: float, start: int = 0) -> Clause:
    """A passage of the text."""
    return Clause(category, TEXT[start : start + 9], start, start + 9, confidence)


SURE, UNSURE = clause("Governing Law", 0.8), clause("Governing Law", 0.2)
FOUND = Search([SURE, UNSURE], [])
STATED = RiskRules(max_wrong=0.05)


def test_what_is_sure_enough_is_accepted_and_the_rest_goes_to_a_person() -> None:
    """All that were surer than the lowest threshold were right, so that is the one."""
    stated = stated_risk(specialist(), FOUND, STATED)
    assert stated is not None
    assert stated.thresholds == pytest.approx(dict.fromkeys(LABELS, 0.5))  # as is usually shown
    assert (stated.max_wrong, stated.level, stated.families) == (0.05, 0.95, 400)
    assert routes(FOUND.clauses, reading(*PAGES), stated) == ["accept", "review"]


def test_without_a_stated_risk_a_person_looks_at_everything() -> None:
    """As it was before."""
    stated = stated_risk(specialist(), FOUND, RiskRules())
    assert stated is None
    assert routes(FOUND.clauses, reading(*PAGES), stated) == ["review", "review"]


def test_a_category_that_always_needs_a_person_has_one() -> None:
    """And so has a category of which the calibration set knows nothing."""
    rules = RiskRules(max_wrong=0.05, always_person=("Governing Law",))
    stated = stated_risk(specialist(), FOUND, rules)
    found = [SURE, clause("Audit Rights", 0.9), clause("Poetry", 0.99)]
    assert routes(found, reading(*PAGES), stated) == ["review", "accept", "review"]


@pytest.mark.parametrize("why", ["no calibration data", "a warning", "too few companies"])
def test_where_no_data_speak_for_it_nothing_is_accepted_and_that_is_said(why: str) -> None:
    """A taught specialist, a document in another language, a set that is too small."""
    expert, found = specialist(families=5 if why.startswith("too") else 400), FOUND
    if why.startswith("no"):
        expert.guarantee = None
    if why.startswith("a warning"):
        found = replace(FOUND, warnings=("it is in another language",))
    stated = stated_risk(expert, found, STATED)
    assert stated is not None
    assert stated.thresholds == {}
    assert {"n": "not guaranteed", "a": "another language", "t": "not attainable"}[
        why[0]
    ] in stated.why_not
    assert routes(found.clauses, reading(*PAGES), stated) == ["review", "review"]


def test_what_is_not_usually_shown_is_not_accepted() -> None:
    """The calibration set is of shown clauses; with `--all` or `max_missed` there are others."""
    expert = specialist()
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.6})
    stated = stated_risk(expert, FOUND, STATED)
    assert stated is not None
    found = [clause("Governing Law", 0.59), clause("Governing Law", 0.61)]
    assert routes(found, reading(*PAGES), stated) == ["review", "accept"]


def test_for_a_stated_share_of_missed_clauses_more_is_shown() -> None:
    """No more than usual where that misses little enough; all where nothing can be promised."""
    expert = specialist()
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.98})
    more = stated_missed(expert, RiskRules(max_missed=0.3))
    assert more is not None
    assert (more.above, more.families, more.why_not) == (0.97, 400, "")
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.5})
    usual = stated_missed(expert, RiskRules(max_missed=0.3))
    assert usual is not None
    assert usual.above == 0.5
    few = specialist(families=5)
    nothing = stated_missed(few, RiskRules(max_missed=0.3))
    assert nothing is not None
    assert nothing.above == 0.002
    assert "not attainable" in nothing.why_not
    assert stated_missed(expert, RiskRules()) is None


@pytest.mark.parametrize("why", ["calibration data of its own", "another language", "recognised"])
def test_of_what_is_missed_nothing_is_promised_where_no_data_speak_for_it(why: str) -> None:
    """A taught specialist, a document in another language, a scan."""
    expert, found, read = specialist(), FOUND, reading(*PAGES)
    if why.startswith("calibration"):
        expert.guarantee = None
    if why.startswith("another"):
        found = replace(FOUND, warnings=("it is in another language",))
    if why == "recognised":
        read = replace(read, pages=tuple(replace(page, method=METHOD) for page in read.pages))
    stated = missed_in(stated_missed(expert, RiskRules(max_missed=0.3)), found, read)
    assert stated is not None
    assert why in stated.why_not


def test_a_clause_on_a_page_that_was_recognised_goes_to_a_person() -> None:
    """Also one that only ends there."""
    stated = stated_risk(specialist(), FOUND, STATED)
    read = reading(*PAGES)
    scanned = replace(read, pages=(read.pages[0], replace(read.pages[1], method="tesseract")))
    border = read.pages[1].start
    found = [clause("Governing Law", 0.9, at) for at in (0, border - 5, border + 5)]
    assert routes(found, scanned, stated) == ["accept", "review", "review"]


@pytest.mark.parametrize("method", ["text", "pypdfium2", "pypdf", "docx", "html"])
def test_a_clause_of_text_that_the_file_holds_can_be_accepted(method: str) -> None:
    """Whatever the format: what reads PDF and office files recognises nothing."""
    read = reading(*PAGES)
    held = replace(read, pages=tuple(replace(page, method=method) for page in read.pages))
    stated = stated_risk(specialist(), FOUND, STATED)
    assert routes([clause("Governing Law", 0.9, 0)], held, stated) == ["accept"]


def test_the_sample_is_drawn_by_the_clause_and_as_large_as_was_said() -> None:
    """The same clause is drawn every time; of many about the share."""
    ids = [f"cl_{number:032x}" for number in range(4000)]
    drawn = [name for name in ids if is_sampled(name, 0.05, KEY)]
    assert drawn == [name for name in ids if is_sampled(name, 0.05, KEY)]
    assert 140 <= len(drawn) <= 260
    assert not any(is_sampled(name, 0.0, KEY) for name in ids)
    assert all(is_sampled(name, 1.0, KEY) for name in ids)


def test_who_knows_the_clauses_but_not_the_secret_can_not_tell_which_are_checks() -> None:
    """Another secret draws others: only as many are in both as chance would have."""
    ids = [f"cl_{number:032x}" for number in range(4000)]
    ours, theirs = ({i for i in ids if is_sampled(i, 0.05, key)} for key in (KEY, bytes(32)))
    assert len(ours & theirs) < 25


def test_each_installation_draws_with_a_secret_of_its_own(tmp_path: Path) -> None:
    """It is made with the tables, is long enough, and stays."""
    keys = []
    for name in ("one", "two", "one"):
        house = House(tmp_path / name)
        with house.service.store.read() as session:
            keys.append(draw_key(session))
        house.close()
    assert keys[0] == keys[2] != keys[1]
    assert {len(key) for key in keys} == {32}


@pytest.mark.parametrize("step", [1, 4])
def test_what_was_tightened_accepts_less_than_was_promised_for(step: int) -> None:
    """A stricter threshold, or nothing at all; and nothing of a category in doubt."""
    local = Local(step=step, doubted=frozenset({"Audit Rights"}))
    stated = stated_risk(specialist(), FOUND, STATED, local)
    assert stated is not None
    assert stated.belief == pytest.approx(0.3)
    assert stated.thresholds == (pytest.approx({"Governing Law": 0.65}) if step == 1 else {})
    assert ("loosens" in stated.why_not) == (step == 4)
    assert [("nothing" in line, "Audit Rights" in line) for line in stated.tightened] == [
        (step == 4, False),
        (False, True),
    ]
    assert StatedRisk.of_json(json.loads(json.dumps(stated.to_json()))) == stated


def of_two(families: int, first: float, *others: float) -> bytes:
    """Companies with eight clauses of the first category, of which a share is wrong and which is
    believed so much, and four of the second for each of some further shares.
    """
    shares = [first] * 8 + [share for share in others for _ in range(4)]
    each = len(shares)
    number = np.arange(families * each)
    share = np.tile(shares, families)
    of_group = np.tile([0] * 8 + [1] * 4 * len(others), families)
    at = number // each * np.where(of_group == 0, 8, 4) + number % each % 4
    return Calibration(
        LABELS,
        families,
        np.array([[0.0, 1.0], [0.0, 1.0]]),
        number // each,
        of_group,
        1.0 - share,
        (np.floor((at + 1) * share) > np.floor(at * share)).astype(float),
        np.zeros(0, np.int64),
        np.zeros(0),
    ).to_bytes()


FIRST_IN_DOUBT = Local(doubted=frozenset(LABELS[:1]))


def test_what_is_left_without_a_category_in_doubt_keeps_the_risk_by_itself() -> None:
    """The second category is wrong in 7% of cases from the threshold on that holds for both, at a
    risk of 5%: without the first, which is right, its surer half alone is accepted.
    """
    expert = specialist()
    expert.guarantee = of_two(600, 0.01, 0.02, 0.12)
    both = stated_risk(expert, FOUND, STATED)
    alone = stated_risk(expert, FOUND, STATED, FIRST_IN_DOUBT)
    assert both is not None
    assert alone is not None
    known = read_calibration(expert.guarantee)
    second = known.label == 1

    def wrong(stated: StatedRisk) -> float:
        return float(
            known.wrong[second & (known.belief >= stated.thresholds["Audit Rights"])].mean()
        )

    assert both.belief == alone.belief == pytest.approx(0.3)
    assert set(alone.thresholds) == {"Audit Rights"}
    assert wrong(both) > 0.06
    assert wrong(alone) < 0.03
    own = promise(known, 0.05, 0.95, LABELS[:1]).belief
    assert alone.thresholds["Audit Rights"] == pytest.approx(own)
    more, looked_at = alone.tightened
    assert f"believed to {own:.1%} and not to 30.0%, for without Governing Law" in more
    assert looked_at.endswith("a person looks at Governing Law")
    assert both.tightened == ()
    assert alone.promise == both.promise  # what is known of it by checks counts on


def test_where_what_is_left_can_not_keep_the_risk_nothing_of_it_is_accepted() -> None:
    """And that is said, where there was a promise for all together."""
    expert = specialist()
    expert.guarantee = of_two(600, 0.01, 0.11)
    both = stated_risk(expert, FOUND, STATED)
    alone = stated_risk(expert, FOUND, STATED, FIRST_IN_DOUBT)
    assert both is not None
    assert alone is not None
    assert both.thresholds["Audit Rights"] < 0.9
    assert alone.thresholds == {}
    assert alone.why_not.startswith(
        "without Governing Law, which checks put in doubt until a person"
    )
    assert "not attainable" in alone.why_not
    assert "nothing is accepted, for without Governing Law nothing is shown" in alone.tightened[0]


def test_no_doubt_about_a_category_accepts_more_of_the_others() -> None:
    """Where it was the worse one, the others would keep the risk from a lower belief on."""
    expert = specialist()
    expert.guarantee = of_two(600, 0.09, 0.02)
    both = stated_risk(expert, FOUND, STATED)
    alone = stated_risk(expert, FOUND, STATED, FIRST_IN_DOUBT)
    assert both is not None
    assert alone is not None
    own = promise(read_calibration(expert.guarantee), 0.05, 0.95, LABELS[:1]).belief
    assert own == pytest.approx(0.3)
    assert alone.thresholds["Audit Rights"] == both.thresholds["Audit Rights"] > 0.9
    assert alone.tightened == ("too many checks were wrong: a person looks at Governing Law",)


@pytest.mark.parametrize(
    ("risk", "doubted", "promised", "now"),
    [
        (0.2, ["Parties"], 0.506, 0.558),
        (0.05, ["Governing Law", "Parties"], 0.920, 0.960),
        (0.05, ["Governing Law", "License Grant", "Parties"], 0.920, None),
        (0.05, ["Parties"], 0.920, 0.920),
    ],
)
def test_the_set_that_ships_speaks_for_what_is_left_without_categories_in_doubt(
    risk: float, doubted: list[str], promised: float, now: float | None
) -> None:
    """Some of those that are right most often are what the others' threshold rests on."""
    folder = newest_version(ROOT / "models" / "artefacts", "contract-clauses")
    expert = specialist()
    expert.guarantee = (folder / GUARANTEE_FILE).read_bytes()
    expert.manifest = replace(read_manifest(folder / MANIFEST_FILE), thresholds={"best_f1": 0.01})
    local = Local(doubted=frozenset(doubted))
    stated = stated_risk(expert, FOUND, RiskRules(max_wrong=risk), local)
    assert stated is not None
    assert stated.belief == pytest.approx(promised, abs=0.001)
    known = read_calibration(expert.guarantee)
    assert set(doubted).isdisjoint(stated.thresholds)
    assert len(stated.thresholds) == (len(known.labels) - len(doubted) if now else 0)
    assert bool(stated.why_not) == (now is None)
    for name, confidence in stated.thresholds.items():
        if confidence > 0.01:
            assert known.belief_of(name, confidence) == pytest.approx(now, abs=0.001)


def test_a_calibration_that_was_made_here_holds_in_place_of_the_one_that_came() -> None:
    """Also for a specialist that came with none."""
    taught = KeywordSpecialist()
    stated = stated_risk(taught, FOUND, STATED, Local(data=calibration(), number=2))
    assert stated is not None
    assert stated.thresholds
    assert stated.promise.startswith("0.0.1+2 0.05 0.95 ")


def policy(folder: Path, **rules: Any) -> Path:
    """A policy file of one tenant."""
    path = folder / "policy.toml"
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in rules.items())
    path.write_text(f"[tenants.default]\n{lines}\n", "utf-8")
    return path


@pytest.fixture
def made() -> Iterator[list[House]]:
    """Houses, to be closed."""
    houses: list[House] = []
    yield houses
    for house in houses:
        house.close()


def extracted(folder: Path, made: list[House], **rules: Any) -> tuple[House, ClausesExtracted]:
    """A document was read in a house with such a policy, by a specialist with calibration data."""
    house = House(folder, policy=policy(folder, **rules))
    made.append(house)
    house.specialists.specialist.guarantee = calibration()
    house.say(house.ingested("doc_1"), house.read("doc_1"))
    (event,) = house.heard(ClausesExtracted)
    return house, event


def test_the_policy_of_the_tenant_decides_and_rest_says_why(
    tmp_path: Path, made: list[House]
) -> None:
    """Routes and what was promised are kept, answered and announced."""
    house, event = extracted(tmp_path, made, max_wrong=0.05, sample_share=0.0)
    answer = house.client.get("/v1/documents/doc_1/clauses").json()
    by_category = {item["category"]: item["route"] for item in answer["items"]}
    assert by_category == {"Governing Law": "accept", "Audit Rights": "accept"}
    (risk,) = answer["risks"]
    assert (risk["adapter"], risk["max_wrong"], risk["why_not"]) == ("contract-clauses", 0.05, "")
    assert (event.accepted, event.sampled) == (2, ())
    announced = json.loads(house.service.blobs.get("default", event.clauses))
    assert {one["route"] for one in announced} == {"accept"}


def test_another_tenant_has_its_own_rules(tmp_path: Path, made: list[House]) -> None:
    """One that the policy does not name has a person look at everything."""
    house, _ = extracted(tmp_path, made, max_wrong=0.05, sample_share=0.0)
    house.say(house.ingested("doc_2", tenant="rivals"), house.read("doc_2", tenant="rivals"))
    answer = house.client_of("rivals").get("/v1/documents/doc_2/clauses").json()
    assert {item["route"] for item in answer["items"]} == {"review"}
    assert answer["risks"] == []


def test_what_is_drawn_for_a_check_goes_to_a_person_unmarked(
    tmp_path: Path, made: list[House]
) -> None:
    """REST says nothing of it; the event, which no reviewer sees, does."""
    house, event = extracted(tmp_path, made, max_wrong=0.05, sample_share=1.0)
    items = house.client.get("/v1/documents/doc_1/clauses").json()["items"]
    assert {item["route"] for item in items} == {"review"}
    assert not any("sampled" in item for item in items)
    assert (event.accepted, set(event.sampled)) == (0, {item["id"] for item in items})


def test_a_category_that_nobody_looks_for_stops_the_start(
    tmp_path: Path, made: list[House]
) -> None:
    """A misspelt one would be accepted by the machine."""
    with pytest.raises(SettingsError, match="'Uncaped Liability'"):
        extracted(tmp_path, made, max_wrong=0.05, always_person=["Uncaped Liability"])
    extracted(tmp_path, made, max_wrong=0.05, always_person=["Uncapped Liability"])


def test_nothing_is_accepted_while_it_is_not_sure_that_it_is_a_contract(
    tmp_path: Path, made: list[House]
) -> None:
    """It is once a person has said so, and the document was read again; REST says why."""
    house, _ = extracted(tmp_path, made, max_wrong=0.05, max_missed=0.2, sample_share=1.0)
    house.say(house.ingested("doc_2"), house.read("doc_2", kind_confidence=0.4, kind_unsure=True))
    answer = house.client.get("/v1/documents/doc_2/clauses").json()
    assert {item["route"] for item in answer["items"]} == {"review"}
    event = house.heard(ClausesExtracted)[-1]
    assert (event.document_id, event.accepted, event.sampled) == ("doc_2", 0, ())
    assert "of what kind the document is, is not sure" in answer["risks"][0]["why_not"]
    house.say(house.read("doc_2", attempt=2))
    answer = house.client.get("/v1/documents/doc_2/clauses").json()
    assert answer["risks"][0]["why_not"] == ""
    assert len(house.heard(ClausesExtracted)[-1].sampled) == 2


def test_no_share_of_missed_ones_is_promised_while_the_kind_is_unsure() -> None:
    """Contracts are what it is known of."""
    expert = specialist()
    stated = missed_in(
        stated_missed(expert, RiskRules(max_missed=0.3)), FOUND, reading(*PAGES), kind_unsure=True
    )
    assert stated is not None
    assert "of what kind" in stated.why_not
