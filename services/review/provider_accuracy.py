"""How often frontier models are wrong, by people's decisions, and when their answers are trusted.

People review every answer, unless the policy says `trust = "measured"`. Then a clause is accepted
if a model confirmed it in the same words. Decisions have to show first that at most `max_wrong` of
the confirmed clauses are wrong. A finding is accepted if the model named the same cell and amount,
by the `max_wrong` of findings. The test is in `shared/policy/intervals.py`, with documents as
groups.

These always go to people:

* questions about the kind of a document or the quality of a page, which have no stated risk,
* items made of a model's own quote, which are no evidence either,
* categories of `always_person`,
* denied results, and an unmarked share of the confirmed ones.

Suspended categories (`shared/monitoring`) are not asked about any more. An earlier answer to such a
question still counts, by the risk measured here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.review import store
from services.review.domain import Item
from services.review.error_rates import Rate, same_clause
from shared.policy.intervals import BETS, log_capital
from shared.policy.rules import RiskRules
from shared.storage import Store
from shared.storage.secret import draw
from shared.web.auth import CurrentActor
from shared.web.openapi import problems

Answer = Literal["confirmed", "denied"]
About = Literal["clause", "finding", "kind", "page"]
COUNTED = 4.0
"""Most clauses of one document that count."""


@dataclass(frozen=True)
class ProposalDecision:
    """A decision about a result that a model answered about."""

    document_id: str
    about: About
    provider: str
    model: str
    answer: Answer
    wrong: bool
    """Whether the model was wrong."""
    category: str = ""


@dataclass(frozen=True)
class ProposalRate(Rate):
    """How often a model was wrong."""

    provider: str
    model: str
    about: About
    answer: Answer
    checked: int
    wrong: int


def confirms(proposal: Mapping[str, Any] | None, text: str) -> bool:
    """Whether a model quoted the same clause. An item made from its own quote does not count."""
    if not proposal or proposal["verdict"] != "present" or proposal.get("own_words"):
        return False
    return any(same_clause(text, quote["text"]) for quote in proposal["quotes"])


def about(proposal: Mapping[str, Any]) -> About:
    """Return the subject of a proposal."""
    known: dict[str, About] = {"finding": "finding", "kind": "kind", "page": "page"}
    return known.get(proposal["subject"], "clause")


def opinion(
    proposal: Mapping[str, Any] | None, text: str, finding: Mapping[str, Any] | None
) -> Answer | None:
    """Return whether a model confirmed or denied a result; None if it answered something else.

    Args:
        proposal: the answer of the model.
        text: of the item.
        finding: the details of a finding, or the question about a kind.
    """
    if not proposal or not proposal["verdict"]:
        return None
    verdict, subject = proposal["verdict"], about(proposal)
    if subject == "page":
        return "confirmed" if verdict == "unsound" else "denied"
    if subject == "kind":
        return "confirmed" if verdict == (finding or {}).get("kind") else "denied"
    if subject == "finding":
        if not _same_cell(proposal, finding or {}):
            return None
        return "confirmed" if verdict == "error" else "denied"
    if confirms(proposal, text):
        return "confirmed"
    return "denied" if verdict == "absent" else None


def _same_cell(proposal: Mapping[str, Any], finding: Mapping[str, Any]) -> bool:
    """Whether an answer names the cell of a finding and, for an error, the same amount.

    Amounts are compared within the rounding of the page.
    """
    cell, expected = proposal["cell"], finding.get("expected")
    if any(cell[name] != finding.get(name) for name in ("statement", "row", "column")):
        return False
    if proposal["verdict"] != "error" or expected is None:
        return True
    difference = abs(float(proposal["expected"]) - float(expected))
    return bool(difference <= float(proposal["tolerance"]) + 1e-9 * abs(float(expected)))


def compare_decisions(decided: Iterable[store.DecidedProposal]) -> list[ProposalDecision]:
    """Compare answers that confirmed or denied a result with people's decisions."""
    compared = []
    for item in decided:
        answer = opinion(item.proposal, item.text, item.finding)
        if answer is not None:
            who = item.proposal["provider"], item.proposal["model"]
            subject, wrong = about(item.proposal), _was_wrong(item, answer)
            compared.append(
                ProposalDecision(item.document_id, subject, *who, answer, wrong, item.category)
            )
    return compared


def _was_wrong(item: store.DecidedProposal, answer: Answer) -> bool:
    right = item.correction or {}
    if about(item.proposal) == "kind" and item.verdict == "correct":
        return bool(right.get("category") != item.proposal["verdict"])
    accepted = item.verdict == "accept" or (
        item.verdict == "correct"
        and right.get("category") == item.category
        and same_clause(item.text, str(right.get("text")))
    )
    return accepted != (answer == "confirmed")


def proposal_rates(decisions: Iterable[ProposalDecision]) -> list[ProposalRate]:
    """Return the error rates of each model, by subject and answer."""
    counts: dict[tuple[str, str, About, Answer], list[bool]] = defaultdict(list)
    for one in decisions:
        counts[one.provider, one.model, one.about, one.answer].append(one.wrong)
    return [ProposalRate(*key, len(wrong), sum(wrong)) for key, wrong in sorted(counts.items())]


def is_trusted(
    item: Item,
    proposal: Mapping[str, Any],
    rules: RiskRules,
    decisions: Iterable[ProposalDecision],
    key: bytes,
) -> bool:
    """Whether an item is accepted because a model confirmed it. `key` draws the audit sample."""
    subject = about(proposal)
    risks = {"clause": rules.max_wrong, "finding": rules.findings.max_wrong}
    risk = risks.get(subject)
    if rules.trust != "measured" or risk is None or item.sampled or item.is_of_reading:
        return False
    if item.category in rules.always_person:
        return False
    if opinion(proposal, item.text, item.finding) != "confirmed":
        return False
    if draw(key, "trusted", item.result_id) < rules.sample_share:
        return False
    groups: dict[str, list[bool]] = defaultdict(list)
    who = subject, proposal["provider"], proposal["model"]
    for one in decisions:
        counts = one.answer == "confirmed" and one.category not in rules.always_person
        if counts and (one.about, one.provider, one.model) == who:
            groups[one.document_id].append(one.wrong)
    return _keeps(list(groups.values()), risk, rules.level)


def _keeps(groups: Sequence[Sequence[bool]], risk: float, level: float) -> bool:
    """Whether the groups show, at a level, that at most a share `risk` is wrong."""
    accepted = np.array([len(wrong) for wrong in groups], float)
    wrong = np.array([sum(wrong) for wrong in groups], float)
    gained = (risk * accepted - wrong) * np.minimum(1.0, COUNTED / np.maximum(accepted, 1.0))
    worst = (1.0 - risk) * COUNTED
    by_bet = np.array([np.log1p(bet / worst * gained).sum() for bet in BETS])
    return bool(log_capital(by_bet) >= -np.log1p(-level))


class ProposalRateOut(BaseModel):
    """The error rate of a model, by people's decisions."""

    model_config = ConfigDict(from_attributes=True)

    provider: str
    model: str
    about: About = Field(description="the subject of the questions")
    answer: Answer = Field(
        description="`confirmed`: it quoted the clause, named the cell and amount of the finding, "
        "named the kind of the document, or found the page unreadable; `denied`: it did not"
    )
    checked: int
    wrong: int
    rate: float
    interval: tuple[float, float] = Field(
        description="95% interval of the rate (Clopper, Pearson) for independent answers; the true "
        "one is wider"
    )


class ProposalRatesOut(BaseModel):
    """The error rates of all models."""

    model_config = ConfigDict(from_attributes=True)

    items: list[ProposalRateOut]
    next: str | None = None


def routes(database: Store) -> APIRouter:
    """Return the router for the error rates of models."""
    router = APIRouter(prefix="/v1/decisions", tags=["decisions"])

    @router.get(
        "/proposal-rates",
        summary="How often frontier models were wrong",
        responses=problems(),
    )
    def rates(actor: CurrentActor) -> ProposalRatesOut:
        """Compares the answers of each frontier model with the decisions of people. Each rate has
        its 95% interval.
        """
        with database.read() as session:
            decisions = compare_decisions(store.decided_proposals(session, actor.tenant))
        return ProposalRatesOut.model_validate({"items": proposal_rates(decisions)})

    return router
