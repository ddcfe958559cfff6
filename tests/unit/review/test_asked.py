"""Clauses that a frontier model is asked about: they wait for it, but never for ever, and how far
it is trusted is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.review.domain import ASKED
from services.review.settings import Settings
from services.review.store import Filters
from services.review.trust import Judged, ProposalRate, proposal_rates
from shared.events import EscalationAnswered
from shared.events.questions import Candidate, Proposal, Question, Quote
from shared.settings import load
from shared.web.auth import Actor
from tests.unit.review.house import House, clause

TEXT = "The laws of Utah govern this Agreement. Each party insures itself. Nothing else is said."
LAW, COVER = "The laws of Utah govern this Agreement.", "Each party insures itself."
ADA = Actor(tenant="default", name="ada", key_id="k1")
MEASURED = """
[tenants.default]
max_wrong = 0.5
sample_share = 0.0
trust = "measured"
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Review, whose policy trusts what is measured."""
    policy = tmp_path / "policy.toml"
    policy.write_text(MEASURED, "utf-8")
    made = House(tmp_path, policy=policy)
    yield made
    made.close()


def asked(house: House, document: str = "doc_1", number: int = 1) -> str:
    """A document with a clause that a model is asked about. Returns the clause's id."""
    house.read(document, TEXT)
    found = {**clause(TEXT, LAW, "Governing Law", 0.6, number), "route": "escalate"}
    house.extract(document, [found])
    return str(found["id"])


def answer(
    house: House,
    result: str,
    quote: str | None,
    *,
    document: str = "doc_1",
    subject: Any = "clause",
    reason: str | None = None,
) -> None:
    """The model quotes words, or none; with a reason there is no answer."""
    question = Question(
        subject=subject,
        kind="contract",
        text=house.blobs.put("default", TEXT.encode()),
        start=0,
        end=len(TEXT),
        category="Governing Law",
        definition="Whose law?",
        candidates=(Candidate(start=0, end=len(LAW), confidence=0.4),),
    )
    quotes = () if quote is None else (_quote(quote),)
    proposal = Proposal(
        verdict="present" if quotes else "absent",
        category="Governing Law",
        quotes=quotes,
        provider="stand-in",
        model="m",
        stand_in=True,
        escalation=f"es_{document}_{result}",
    )
    kept = house.blobs.put("default", proposal.model_dump_json().encode())
    house.hear(
        EscalationAnswered(
            document_id=document,
            stage="extraction",
            result_id=result,
            answer=None if reason else kept,
            reason=reason,
            question=house.blobs.put("default", question.model_dump_json().encode()),
        )
    )


def _quote(words: str) -> Quote:
    start = TEXT.index(words)
    return Quote(text=words, start=start, end=start + len(words))


def items(house: House, **wanted: str) -> Any:
    """What the queue answers."""
    return house.client().get("/v1/items", params=wanted).json()["items"]


def test_it_waits_for_the_answer_and_then_for_a_person(house: House) -> None:
    """The queue shows who holds it; nobody is given it before, and everybody may after."""
    result = asked(house)
    (held,) = items(house)
    assert (held["state"], held["lease"]["holder"], held["route"]) == ("claimed", ASKED, "escalate")
    assert house.desk().claim_next(ADA, Filters()) is None
    answer(house, result, LAW)
    (free,) = items(house)
    assert (free["state"], free["proposal"]["verdict"]) == ("waiting", "present")
    claimed = house.desk().claim_next(ADA, Filters())
    assert claimed is not None
    assert claimed.result_id == result


@pytest.mark.parametrize("reason", ["the budget is gone", "no provider answers"])
def test_without_an_answer_it_waits_for_a_person_with_the_reason(house: House, reason: str) -> None:
    """Network or budget gone, or forbidden."""
    answer(house, asked(house), None, reason=reason)
    (item,) = items(house)
    assert (item["state"], item["proposal"]["reason"]) == ("waiting", reason)


def test_nothing_waits_for_ever(house: House) -> None:
    """If no word comes at all, it is given out once the time for an answer is over."""
    asked(house)
    late = datetime.now(UTC) + timedelta(seconds=load(Settings).review_patience + 1)
    desk = house.desk(clock=lambda: late)
    assert desk.claim_next(ADA, Filters()) is not None


def test_a_person_may_take_it_before_and_keeps_it(house: House) -> None:
    """The answer that comes later stands beside it."""
    result = asked(house)
    (item,) = items(house)
    assert house.desk().claim(ADA, item["id"]).holder == "ada"
    answer(house, result, LAW)
    (held,) = items(house)
    assert (held["lease"]["holder"], held["proposal"]["verdict"]) == ("ada", "present")


def test_an_answer_that_comes_before_its_clause_is_not_lost(house: House) -> None:
    """As it may where events are tried again."""
    house.read("doc_1", TEXT)
    found = {**clause(TEXT, LAW, "Governing Law", 0.6), "route": "escalate"}
    answer(house, found["id"], LAW)
    house.extract("doc_1", [found])
    (item,) = items(house)
    assert (item["state"], item["proposal"]["verdict"]) == ("waiting", "present")


def test_a_category_without_a_clause_comes_to_a_person_only_with_a_proposal(house: House) -> None:
    """What nobody was shown stays so where the model finds nothing either, or is not asked."""
    house.read("doc_1", TEXT)
    answer(house, "cl_a", None, subject="category")
    answer(house, "cl_b", None, subject="category", reason="the budget is gone")
    assert items(house) == []
    answer(house, "cl_c", LAW, subject="category")
    (item,) = items(house)
    assert (item["result_id"], item["text"], item["state"]) == ("cl_c", LAW, "waiting")


def decide(house: House, document: str, verdict: str) -> None:
    """A person decides about the clause of a document."""
    client = house.client()
    (item,) = items(house, document=document)
    client.post("/v1/items/claim", json={"item": item["id"]}).raise_for_status()
    wish = {"item": item["id"], "verdict": verdict}
    client.post("/v1/decisions", json=wish).raise_for_status()


def test_trust_is_measured_from_decisions_and_starts_with_a_person(house: House) -> None:
    """Every confirmed clause waits until people have accepted enough; then it waits for nobody,
    until they reject.
    """
    routes = []
    for number in range(1, 31):
        document = f"doc_{number}"
        answer(house, asked(house, document, number), LAW, document=document)
        (item,) = items(house, document=document, state="all")
        routes.append(item["route"])
        if item["route"] != "accept":
            decide(house, document, "accept")
    first = routes.index("accept")
    assert 10 <= first < 30
    assert set(routes[:first]) == {"escalate"}
    assert set(routes[first:]) == {"accept"}
    rates = house.client().get("/v1/decisions/proposal-rates").json()["items"]
    assert rates == [
        {"provider": "stand-in", "model": "m", "about": "clause", "said": "confirmed",
         "looked_at": first, "wrong": 0, "rate": 0.0, "interval": rates[0]["interval"]}
    ]  # fmt: skip
    assert rates[0]["interval"][1] < 0.3
    for number in range(50, 56):
        document = f"doc_{number}"
        asked(house, document, number)
        (item,) = items(house, document=document, state="all")
        house.client().post("/v1/items/claim", json={"item": item["id"]}).raise_for_status()
        answer(house, item["result_id"], LAW, document=document)
        wish = {"item": item["id"], "verdict": "reject"}
        house.client().post("/v1/decisions", json=wish).raise_for_status()
    answer(house, asked(house, "doc_99", 99), LAW, document="doc_99")
    assert items(house, document="doc_99")[0]["route"] == "escalate"


def test_what_a_model_was_the_first_to_name_is_no_evidence(house: House) -> None:
    """Its item has the words of the quote, which would confirm itself; of what the specialist shows
    nothing is known by that.
    """
    for number in range(1, 31):
        document = f"doc_{number}"
        house.read(document, TEXT)
        answer(house, f"cl_{number}", LAW, document=document, subject="category")
        decide(house, document, "accept")
    assert house.client().get("/v1/decisions/proposal-rates").json()["items"] == []
    answer(house, asked(house, "doc_99", 99), LAW, document="doc_99")
    (item,) = items(house, document="doc_99")
    assert (item["route"], item["state"]) == ("escalate", "waiting")


@pytest.mark.parametrize("quote", [COVER, None])
def test_only_the_same_words_confirm(house: House, quote: str | None) -> None:
    """Other words, or none, are looked at however good the model was so far."""
    for number in range(1, 26):
        document = f"doc_{number}"
        answer(house, asked(house, document, number), LAW, document=document)
        (item,) = items(house, document=document, state="all")
        if item["route"] != "accept":
            decide(house, document, "accept")
    answer(house, asked(house, "doc_99", 99), quote, document="doc_99")
    (item,) = items(house, document="doc_99")
    assert (item["route"], item["state"]) == ("escalate", "waiting")


@pytest.mark.parametrize(("always", "route"), [("", "accept"), ("Parties", "escalate")])
def test_what_only_a_person_may_accept_is_no_evidence_for_what_a_model_may(
    tmp_path: Path, always: str, route: str
) -> None:
    """A model that is right about all parties, which people decide about in any case, may be wrong
    about the law, of which it would be trusted to accept all.
    """
    policy = tmp_path / "policy.toml"
    policy.write_text(f"{MEASURED}always_person = {[always] if always else []}\n", "utf-8")
    house = House(tmp_path, policy=policy)
    try:
        for number in range(1, 31):
            document = f"doc_{number}"
            house.read(document, TEXT)
            found = {**clause(TEXT, LAW, "Parties", 0.6, number), "route": "escalate"}
            house.extract(document, [found])
            answer(house, str(found["id"]), LAW, document=document)
            (item,) = items(house, document=document, state="all")
            if item["route"] != "accept":
                decide(house, document, "accept")
        answer(house, asked(house, "doc_99", 99), LAW, document="doc_99")
        (item,) = items(house, document="doc_99", state="all")
        assert item["route"] == route
    finally:
        house.close()


def test_a_denial_is_measured_as_well() -> None:
    """A model that denied what a person accepts was wrong; each model by itself."""
    found = [
        Judged("d1", "clause", "p", "m", "denied", True),
        Judged("d1", "clause", "p", "m", "denied", False),
        Judged("d2", "clause", "q", "m", "confirmed", False),
    ]
    assert proposal_rates(found) == [
        ProposalRate("p", "m", "clause", "denied", 2, 1),
        ProposalRate("q", "m", "clause", "confirmed", 1, 0),
    ]
