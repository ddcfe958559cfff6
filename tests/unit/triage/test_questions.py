"""Which findings are asked about, and what leaves the house for that: lines of tables alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.triage.guarantee import Calibration, Line
from services.triage.questions import TOGETHER
from services.triage.risk import NAME, Judge
from services.triage.watch.calibrating import complete
from services.triage.watch.store import Watches
from shared.asking import ASSUMED
from shared.events import DocumentDeleted, EscalationRequested, FindingsFound
from shared.events.questions import Question
from shared.events.tables import as_text, found
from shared.storage import MissingBlob
from tests.support import artefacts
from tests.unit.triage.filings import bent, record
from tests.unit.triage.house import House
from tests.unit.triage.test_dismissing import decided

FINDINGS = "/v1/documents/{}/findings"
POLICY = """
[providers.p]
protocol = "own"
model = "m"
url = "http://localhost:9"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}

[tenants.default]
providers = ["p"]
leaves = [{leaves}]
mask = [{mask}]
day_usd = "5"
month_usd = "5"
mistake_usd = "{mistake}"
sample_share = 0.0
trust = "{trust}"

[tenants.default.findings]
{rules}
"""
HALF = "broken = 0.01"
"""So rare are broken filings that the finding below is right in about every second case."""


def wrong(name: str = "wrong") -> dict[str, object]:
    """A filing with an altered total."""
    return {**bent("balance_sheet", "Total current assets", 1, 4509), "id": name}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where triage keeps what it has."""
    return tmp_path


def house_with(
    folder: Path,
    rules: str = HALF,
    leaves: str = '"report"',
    mask: str = "",
    mistake: str = "100",
    trust: str = "person",
    **settings: Any,
) -> House:
    """Triage with a policy."""
    policy = folder / "policy.toml"
    policy.write_text(
        POLICY.format(rules=rules, leaves=leaves, mask=mask, mistake=mistake, trust=trust)
    )
    return House(folder, policy=policy, **settings)


@pytest.fixture
def asking(folder: Path) -> Iterator[House]:
    """Triage that may ask."""
    house = house_with(folder)
    yield house
    house.close()


def questions(house: House, events: list[EscalationRequested]) -> dict[str, Question]:
    """What is asked, by the result."""
    refs = {event.result_id: event.question for event in events}
    refs |= {more.result_id: more.question for event in events for more in event.further}
    blobs = house.service.blobs
    return {
        name: Question.model_validate_json(blobs.get("default", ref)) for name, ref in refs.items()
    }


def test_a_finding_that_an_answer_may_settle_is_asked_about(asking: House) -> None:
    """With the lines that take part, and with nothing else of the document."""
    asking.say(asking.read("doc_1", record(), wrong()))
    (item,) = asking.client.get(FINDINGS.format("doc_1")).json()["items"]
    assert item["route"] == "escalate"
    heard = asking.heard(EscalationRequested)
    asked = questions(asking, heard)[item["id"]]
    (event,) = heard
    assert (event.stage, event.attempt, event.further) == ("triage", 1, ())
    assert (asked.subject, asked.kind, asked.category) == ("finding", "report", item["check"])
    text = asking.service.blobs.get("default", asked.text).decode()
    assert text[asked.start : asked.end] == as_text(asked.tables)
    assert text[asked.end :].strip() == asked.result == item["id"], "no other document has it"
    assert asked.cell is not None
    label, value = found(asked.tables, asked.cell) or ("", Decimal(0))
    assert (label, value) == (item["label"], item["reported"]) == (
        "Total current assets", 4_509_000_000
    )  # fmt: skip
    assert asked.expected == item["expected"]
    rows = {row.row for row in asked.tables[0].rows}
    assert set(item["rows"]) <= rows
    whole = next(s for s in record()["statements"] if s["statement"] == "balance_sheet")
    assert len(rows) < len(whole["rows"])
    assert asked.tables[0].unit == 1_000_000


def test_the_event_of_findings_says_the_same(asking: House) -> None:
    """Review is told which wait for an answer first."""
    asking.say(asking.read("doc_1", wrong()))
    (event,) = asking.heard(FindingsFound)
    (told,) = json.loads(asking.service.blobs.get("default", event.findings))
    assert (told["route"], event.accepted, event.sampled) == ("escalate", 0, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"leaves": '"contract"'},
        {"leaves": ""},
        {"mask": '"amounts"'},
        {"mistake": "0"},
        {"mistake": "0.001"},
        {"rules": "broken = 0.9"},
        {"rules": "broken = 0.0001"},
        {"rules": "max_wrong = 0.2\nbroken = 0.5"},
    ],
)
def test_what_does_not_pay_or_may_not_leave_is_not_asked(
    folder: Path, changed: dict[str, Any]
) -> None:
    """Sure and hopeless findings, those that are accepted, and all where reports stay."""
    house = house_with(folder, **changed)
    house.say(house.read("doc_1", wrong()))
    assert house.heard(EscalationRequested) == []
    (item,) = house.client.get(FINDINGS.format("doc_1")).json()["items"]
    assert item["route"] == ("accept" if "max_wrong" in changed.get("rules", "") else "review")
    house.close()


def test_nothing_is_asked_about_a_filing_of_which_nothing_is_known_where_a_model_is_trusted(
    folder: Path,
) -> None:
    """A model's word could accept it; a person's word alone may."""
    rules = f"max_wrong = 0.01\n{HALF}"
    house = house_with(folder, rules=rules, trust="measured")
    house.say(house.read("doc_1", wrong()))
    assert len(house.heard(EscalationRequested)) == 1
    odd = wrong()
    odd["statements"][0]["rows"][1]["values"] = ["a word", 1]  # type: ignore[index]
    house.say(house.read("doc_2", odd))
    assert house.client.get(FINDINGS.format("doc_2")).json()["warnings"]
    assert house.heard(EscalationRequested) == []
    house.close()


@pytest.mark.parametrize(
    ("leaves", "trust", "asked"),
    [
        ('"report"', "person", False),
        ('"contract", "report", "other"', "person", True),
        ('"contract", "report", "other"', "measured", False),
    ],
)
def test_of_what_may_be_no_report_words_leave_only_where_those_of_every_kind_may(
    folder: Path, leaves: str, trust: str, asked: bool
) -> None:
    """The door refuses it by the same list. A trusted model is not asked: its word could accept."""
    house = house_with(folder, rules=f"max_wrong = 0.01\n{HALF}", leaves=leaves, trust=trust)
    house.say(house.read("doc_1", wrong(), kind_confidence=0.4, kind_unsure=True))
    known = questions(house, house.heard(EscalationRequested))
    assert [(one.kind, one.may_be) for one in known.values()] == (
        [("report", ("contract", "other"))] if asked else []
    )
    house.say(house.read("doc_1", wrong(), attempt=2))
    known = questions(house, house.heard(EscalationRequested))
    assert [(one.kind, one.may_be) for one in known.values()] == [("report", ())]
    house.close()


def test_many_filings_ask_about_the_worthiest_alone(asking: House) -> None:
    """So many at most, in several events."""
    asking.say(asking.read("doc_1", *(wrong(f"w{number}") for number in range(30))))
    events = asking.heard(EscalationRequested)
    assert [1 + len(event.further) for event in events] == [TOGETHER, TOGETHER]
    items = asking.client.get(FINDINGS.format("doc_1")).json()["items"]
    ways = [item["route"] for item in items]
    assert (ways.count("escalate"), ways.count("review")) == (2 * TOGETHER, 10)


def test_what_a_trusted_answer_accepts_is_not_decided_until_a_person_decides_it(
    folder: Path,
) -> None:
    """People were asked about it as well, and a calibration is made of what they decide."""
    house = house_with(folder, rules=f"max_wrong = 0.01\n{HALF}", trust="measured")
    house.say(house.read("doc_1", wrong()))
    (item,) = house.client.get(FINDINGS.format("doc_1")).json()["items"]
    (asks,) = house.heard(EscalationRequested)
    assert (item["route"], asks.result_id) == ("escalate", item["id"])

    def counted() -> tuple[int, int, int, int]:
        with house.service.store.read() as session:
            asked = Watches(session, "default").asked(NAME, Judge.load(artefacts()).version)
        answered, whole, begun, waiting = complete(asked, {"doc_1"})
        return len(answered), whole, begun, waiting

    assert counted() == (0, 0, 0, 1)
    house.say(decided(item, "accept", None, "doc_1"))
    assert counted() == (1, 1, 0, 0)
    house.close()


def test_questions_go_with_their_document(asking: House) -> None:
    """And so do the texts of their tables."""
    asking.say(asking.read("doc_1", wrong()))
    (event,) = asking.heard(EscalationRequested)
    (asked,) = questions(asking, [event]).values()
    asking.say(DocumentDeleted(document_id="doc_1"))
    for ref in (event.question, asked.text):
        with pytest.raises(MissingBlob):
            asking.service.blobs.get("default", ref)


def test_how_likely_a_finding_is_right_hangs_on_the_share_of_broken_filings() -> None:
    """By Bayes, from the odds among those that it was learned from."""
    broken = np.arange(100) < 80
    known = Calibration(np.arange(100), broken, broken, np.full(100, 0.5))
    assert Line.shipped(known, 0.8).belief_of(0.9) == pytest.approx(0.9)
    assert Line.shipped(known, 0.5).belief_of(0.9) == pytest.approx(9 / 4 / (1 + 9 / 4))
    for line in (Line.shipped(known, None), Line.shipped(None, 0.5)):
        assert line.belief_of(0.9) == pytest.approx(0.9)
    low, high = (Line.shipped(known, one).belief_of(0.9) for one in (0.01, 0.99))
    assert low < 0.1 < 0.99 < high
    unsure = np.array([0.5])
    assert ASSUMED.gain(unsure, np.array([True]))[0] > 0
