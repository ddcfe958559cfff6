"""What a policy would do with documents that were read before: counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any, Literal, get_args

import pytest

from services.extraction.domain import FoundClause, Pass, Searched
from services.extraction.trying import Past, tried
from shared.asking import SILENT, AskRules
from shared.events import Kind
from shared.inference import Specialist
from shared.policy import RiskRules
from shared.prices import Price
from shared.storage.watches import Drawn
from shared.trial import Tally
from shared.watch.evidence import STEPS
from shared.watch.local import SHIPPED, Local
from tests.unit.extraction_service.house import KeywordSpecialist, reading
from tests.unit.extraction_service.test_routes import KEY, specialist

TEXT = "The law of Utah governs. Records may be audited. Nothing else is said here at all."
STATED = RiskRules(max_wrong=0.05, sample_share=0.0)
"""Of the calibration set all from 0.3 on are right, so 0.3 is the threshold."""


def silent(*rules: RiskRules) -> list[tuple[RiskRules, AskRules]]:
    """Policies that let nobody be asked."""
    return [(one, SILENT) for one in rules]


def found(number: int, category: str, confidence: float, words: str) -> FoundClause:
    """A clause that was stored."""
    start = TEXT.index(words)
    return FoundClause(
        f"cl_{number}", "keywords", category, words, start, start + len(words), 1, confidence
    )


LAW = found(1, "Governing Law", 0.9, "The law of Utah governs.")
DOUBTED = found(2, "Governing Law", 0.2, "Nothing else is said here at all.")
AUDIT = found(3, "Audit Rights", 0.6, "Records may be audited.")


def document(*clauses: FoundClause, warnings: tuple[str, ...] = (), method: str = "text") -> Past:
    """A document that was read."""
    read = reading(TEXT)
    pages = tuple(replace(page, method=method) for page in read.pages)
    name, version = expert().manifest.name, expert().manifest.version
    mine = [replace(clause, adapter=name) for clause in clauses]
    searched = Searched(len(TEXT), 1, (), (), warnings)
    return Past([Pass(name, version, searched)], mine, replace(read, pages=pages))


def expert(_name: str = "") -> KeywordSpecialist:
    """What is installed."""
    return specialist()


def test_two_policies_are_counted_side_by_side() -> None:
    """Without a risk people look at all; with one at what is less sure than the threshold."""
    verdicts = {"cl_1": "accept", "cl_3": "correct", "cl_2": "reject"}
    now, new = tried(
        [document(LAW, DOUBTED, AUDIT)], silent(RiskRules(), STATED), expert, verdicts, KEY
    )
    assert (now.results, now.accepted, now.reviewed, now.expected_errors) == (3, 0, 3, 0)
    assert now.words_reviewed == 5 + 7 + 4
    assert now.why_not == {}
    assert (new.results, new.accepted, new.reviewed) == (3, 2, 1)
    assert new.words_reviewed == 7
    # Belief is confidence itself in this calibration set: 0.1 and 0.4 are left.
    assert new.expected_errors == pytest.approx(0.5)
    # People looked at both that it would have accepted, and corrected one.
    assert (new.decided, new.changed) == (2, 1)


def test_expected_errors_are_told_by_category() -> None:
    """Most first, beside how many are accepted: 0.1 and 0.4 are left of the beliefs."""
    (tally,) = tried([document(LAW, AUDIT)], silent(STATED), expert, {}, KEY)
    found = tally.errors_by_category()
    assert list(found) == ["Audit Rights", "Governing Law"]
    assert found["Audit Rights"] == pytest.approx((0.4, 1))
    assert found["Governing Law"] == pytest.approx((0.1, 1))


@pytest.mark.parametrize("doubts", [[], [0.0] * 9, [1.0] * 3, [0.1, 0.4], [0.02, 0.3, 0.5] * 4])
def test_the_interval_of_errors_is_that_of_all_ways_in_which_they_can_fall(
    doubts: list[float],
) -> None:
    """Held against every outcome, one by one."""
    chance = [0.0] * (len(doubts) + 1)
    for fallen in product((False, True), repeat=len(doubts)):
        ways = zip(fallen, doubts, strict=True)
        chance[sum(fallen)] += prod(doubt if wrong else 1 - doubt for wrong, doubt in ways)
    below = [sum(chance[: n + 1]) for n in range(len(chance))]
    low = next(n for n, share in enumerate(below) if share >= 0.025)
    high = next(n for n, share in enumerate(below) if share >= 0.975)
    assert Tally(doubts={"Audit Rights": doubts}).errors_within() == (low, high)


@pytest.mark.parametrize(
    ("doubts", "within"), [([0.02], (0, 1)), ([0.99], (0, 1)), ([0.001] * 8 + [1.0], (1, 2))]
)
def test_the_interval_of_errors_holds_how_many_are_expected(
    doubts: list[float], within: tuple[int, int]
) -> None:
    """Nobody reads that 0.02 are expected, and between 0 and 0."""
    tally = Tally(doubts={"Audit Rights": doubts})
    assert tally.errors_within() == within
    assert within[0] <= tally.expected_errors <= within[1]


def test_many_clauses_have_about_the_normal_interval() -> None:
    """Five thousand at 5%: 250, and twice the square root of 237.5 to either side."""
    low, high = Tally(doubts={"Audit Rights": [0.05] * 5000}).errors_within()
    assert (low, high) == pytest.approx((250 - 30.2, 250 + 30.2), abs=1.5)


def test_categories_for_a_person_and_the_share_that_is_checked_are_reviewed() -> None:
    """What is checked counts among the reviewed, and never among the accepted."""
    always = RiskRules(max_wrong=0.05, sample_share=0.0, always_person=("Audit Rights",))
    checked = RiskRules(max_wrong=0.05, sample_share=1.0)
    one, all_ = tried([document(LAW, AUDIT)], silent(always, checked), expert, {}, KEY)
    assert (one.accepted, one.reviewed, one.sampled) == (1, 1, 0)
    assert (all_.accepted, all_.reviewed, all_.sampled) == (0, 2, 2)


def test_what_can_not_be_promised_is_reviewed_and_says_why() -> None:
    """Warned texts, recognised pages, what is not installed, of another version, or gone."""
    warned = document(LAW, AUDIT, warnings=("it is in French",))
    recognised = document(LAW, method="tesseract")
    gone = replace(document(LAW), reading=None)
    older = document(LAW)
    older = replace(older, passes=[replace(older.passes[0], version="0.0.9")])
    (tally,) = tried([warned, recognised, gone, older], silent(STATED), expert, {}, KEY)
    assert (tally.accepted, tally.reviewed) == (0, 5)
    reasons = list(tally.why_not)
    assert [tally.why_not[reason] for reason in reasons] == [2, 1, 1]
    for reason, words in zip(reasons, ("French", "not known any more", "read again"), strict=True):
        assert words in reason

    def nothing(_name: str) -> Specialist | None:
        return None

    (tally,) = tried([document(LAW)], silent(STATED), nothing, {}, KEY)
    assert (tally.accepted, tally.reviewed) == (0, 1)
    assert "not installed" in next(iter(tally.why_not))


def test_routes_of_the_past_do_not_count() -> None:
    """What was accepted, or checked, under another policy is routed anew."""
    was = replace(DOUBTED, route="accept"), replace(LAW, sampled=True)
    (tally,) = tried([document(*was)], silent(STATED), expert, {}, KEY)
    assert (tally.accepted, tally.reviewed, tally.sampled) == (1, 1, 0)


def kept(clause: FoundClause, wrong: bool, share: float) -> Drawn:
    """What is kept of a decision about a clause, each of another document."""
    return Drawn(
        clause.id, f"doc of {clause.id}", "keywords", "1", clause.category, clause.confidence,
        0.9, "", share, share < 1, wrong,
    )  # fmt: skip


def test_what_people_decided_says_how_many_errors_are_expected() -> None:
    """Of ten clauses that are accepted or checked two checks stand for five each, and one is wrong;
    one that waited stands for itself. What is not sure enough counts for nothing.
    """
    laws = [replace(LAW, id=f"cl_law_{number}") for number in range(10)]
    known = [kept(laws[0], True, 0.2), kept(laws[1], False, 0.2), kept(laws[2], False, 1.0)]
    decisions = {one.result_id: one for one in (*known, kept(DOUBTED, True, 1.0))}
    half = RiskRules(max_wrong=0.05, sample_share=0.5)
    rules = silent(STATED, half, RiskRules())
    tallies = tried([document(*laws, DOUBTED)], rules, expert, {}, KEY, decisions=decisions)
    for tally in tallies[:2]:
        assert tally.accepted + tally.sampled == 10
        seen = tally.seen()
        assert seen is not None
        assert (seen.decided, seen.wrong) == (3, 1)
        assert seen.share == pytest.approx(5 / 11)
        low, high = seen.interval
        assert low < 0.1 < 0.9 < high
        errors, within = tally.errors_seen(seen)
        assert errors == pytest.approx(tally.accepted * 5 / 11)
        assert within[0] <= 1 < 0.9 * tally.accepted <= within[1] <= tally.accepted
    assert tallies[1].sampled > 0
    assert tallies[2].seen() is None


def test_that_less_is_accepted_than_was_promised_is_kept() -> None:
    """Once for each reason, with the specialist."""
    tight = Local(step=1, doubted=frozenset({"Audit Rights"}))
    (tally,) = tried(
        [document(LAW), document(AUDIT)],
        silent(STATED),
        expert,
        {},
        KEY,
        lambda _name, _version: tight,
    )
    first, second = tally.tightened
    assert first.startswith(f"{expert().manifest.name}: too many checks were wrong: accepted is")
    assert second.endswith("a person looks at Audit Rights")
    (calm,) = tried([document(LAW)], silent(STATED), expert, {}, KEY)
    assert calm.tightened == {}


ASKS = AskRules({"contract": Price(Decimal(1), Decimal(1), "2026-01-31")}, Decimal(100))
"""A prevented mistake is worth so much that all that is unsure is asked about."""
UNSURE = replace(AUDIT, confidence=0.55)


def asked_under(
    trust: str, local: Local = SHIPPED, usual: float = 0.5, method: str = "text"
) -> int:
    """How many questions there would be about one clause that is not sure enough to be accepted."""
    one = expert()
    one.manifest = replace(one.manifest, thresholds={"best_f1": usual})
    rules = RiskRules.model_validate(
        {"max_wrong": 0.05, "trust": trust, "always_person": ("Audit Rights",)}
    )
    (tally,) = tried(
        [document(UNSURE, method=method)],
        [(rules, ASKS)],
        lambda _name: one,
        {},
        KEY,
        lambda _name, _version: local,
    )
    assert (tally.accepted, tally.reviewed) == (0, 1)
    return tally.escalated


@pytest.mark.parametrize(
    "changed",
    [
        {"local": Local(step=STEPS)},
        {"local": Local(doubted=frozenset({"Audit Rights"}))},
        {"usual": 0.6},
        {"method": "tesseract"},
    ],
    ids=["nothing is accepted any more", "checks were wrong", "not usually shown", "recognised"],
)
def test_a_trusted_model_would_not_be_asked_where_only_a_person_may_answer(
    changed: dict[str, Any],
) -> None:
    """The same doubts are left out as when a document is read; where people look, all are asked."""
    assert asked_under("person", **changed) == 1
    assert asked_under("measured", **changed) == 0
    assert asked_under("measured") == 1


def test_a_trusted_model_would_not_be_asked_about_pages_of_which_nothing_is_known() -> None:
    """Whether their words were recognised can't be told any more."""
    gone = replace(document(UNSURE), reading=None)
    ways: tuple[Literal["person", "measured"], ...] = ("person", "measured")
    policies = [(RiskRules(trust=trust), ASKS) for trust in ways]
    assert [one.escalated for one in tried([gone], policies, expert, {}, KEY)] == [1, 0]


def test_more_would_be_checked_where_documents_have_changed() -> None:
    """A fifth, as when a document is read, and nothing where the policy checks nothing."""
    many = [replace(LAW, id=f"cl_{number}") for number in range(400)]
    drifted = Local(drifted=True)
    rules = [RiskRules(max_wrong=0.05, sample_share=share) for share in (0.05, 0.0)]
    some, none = tried(
        [document(*many)], silent(*rules), expert, {}, KEY, lambda _name, _version: drifted
    )
    assert 50 < some.sampled < 115
    assert none.sampled == 0


def test_what_may_be_no_contract_is_not_accepted_under_any_policy() -> None:
    """And asked about only where words of every kind may leave, by a model that is not trusted."""
    plain = document(LAW, UNSURE)
    (one,) = plain.passes
    assert one.searched
    unsure = replace(one, searched=replace(one.searched, kind_unsure=True))
    assert Pass.of_json(json.loads(json.dumps(unsure.to_json()))) == unsure
    asking = replace(ASKS, leaves=frozenset({"contract"}))
    every = replace(asking, prices=dict.fromkeys(get_args(Kind), ASKS.prices["contract"]))
    every = replace(every, leaves=frozenset(get_args(Kind)))
    rules = STATED.model_copy(update={"always_person": ("Audit Rights",)})
    trusting = rules.model_copy(update={"trust": "measured"})
    policies = [(rules, asking), (rules, every), (trusting, every)]
    sure = tried([plain], policies, expert, {}, KEY)
    assert [(tally.accepted, tally.escalated) for tally in sure] == [(1, 1)] * 3
    held = tried([replace(plain, passes=[unsure])], policies, expert, {}, KEY)
    assert [tally.accepted for tally in held] == [0, 0, 0]
    assert held[0].escalated == held[2].escalated == 0 < held[1].escalated
    assert "of what kind" in next(iter(held[0].why_not))
