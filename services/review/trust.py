"""How often a frontier model was right by what people decided, and how far it is trusted for that.

A person looks at every answer, unless the policy says `trust = "measured"`. Then a clause that a
model confirmed in the same words is accepted without one, as soon as decisions show, at the level
of the policy, that at most `max_wrong` of what that model confirmed is wrong; so is a finding of
which it named the same cell and the same amount, for the `max_wrong` of findings. The test is that
of stated risks (`shared/risk.py`), with documents as groups, and holds however often it is looked
at. Each kind of question is measured by itself. Of what kind a document is, and whether a page was
read badly, is measured too, and a person says it always: no risk is stated for that.
Items that are made of a model's own quote, of a category of which the specialist shows nothing, are
another population: they are no evidence, and always wait for a person. So do those of a category of
`always_person`, which are none either.
A share goes on to people unmarked, so that it goes on being measured. What a model denies is never
dropped without a person.
What checks put in doubt (`shared/watch`) extraction knows, and review doesn't: of such a category
nothing is asked any more, but an answer to what was asked before, a day ago where it came by a
batch, is accepted as any other, for the risk that is measured here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.review import store
from services.review.domain import Item
from services.review.sampling import alike
from shared.policy import RiskRules
from shared.risk import BETS, interval, log_capital
from shared.storage import Store
from shared.storage.secret import draw
from shared.web.auth import CurrentActor
from shared.web.openapi import problems

Said = Literal["confirmed", "denied"]
About = Literal["clause", "finding", "kind", "page"]
COUNTED = 4.0
"""A document counts with at most so many clauses; one of more is scaled down to that."""


@dataclass(frozen=True)
class Judged:
    """What a person decided about a result that a model had an opinion of."""

    document_id: str
    about: About
    provider: str
    model: str
    said: Said
    wrong: bool
    """Of the model, by what the person decided."""
    category: str = ""


@dataclass(frozen=True)
class ProposalRate:
    """How often a model was wrong."""

    provider: str
    model: str
    about: About
    said: Said
    looked_at: int
    wrong: int

    @property
    def rate(self) -> float:
        """The share that was wrong."""
        return self.wrong / self.looked_at

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of all lies, with 95% confidence if each was wrong by itself."""
        return interval(self.wrong, self.looked_at)


def confirms(proposal: Mapping[str, Any] | None, text: str) -> bool:
    """Whether a model quoted the same clause; what is made of its own quote confirms nothing."""
    if not proposal or proposal["verdict"] != "present" or proposal.get("own_words"):
        return False
    return any(alike(text, quote["text"]) for quote in proposal["quotes"])


def about(proposal: Mapping[str, Any]) -> About:
    """What a model was asked about; answers from before it was kept are about clauses."""
    subject = proposal.get("subject", "clause")
    known: dict[str, About] = {"finding": "finding", "kind": "kind", "page": "page"}
    return known.get(subject, "clause")


def opinion(
    proposal: Mapping[str, Any] | None, text: str, finding: Mapping[str, Any] | None
) -> Said | None:
    """Whether a model confirmed a result or denied it; None if it did neither, as with other words
    of the same category, or an error in another cell.

    Args:
        text: of the item.
        finding: what a finding says of itself, or the question of a kind.
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
    """Whether an answer is about the cell of a finding and, of an error, expects the same amount
    there, within the rounding of the page.
    """
    cell, expected = proposal["cell"], finding.get("expected")
    if any(cell[name] != finding.get(name) for name in ("statement", "row", "column")):
        return False
    if proposal["verdict"] != "error" or expected is None:
        return True
    apart = abs(float(proposal["expected"]) - float(expected))
    return bool(apart <= float(proposal["tolerance"]) + 1e-9 * abs(float(expected)))


def judged(decided: Iterable[store.DecidedProposal]) -> list[Judged]:
    """Hold what models said against what people decided; what a model neither confirmed nor denied,
    or was the first to name, is left out.
    """
    found = []
    for one in decided:
        said = opinion(one.proposal, one.text, one.finding)
        if said is not None:
            who = one.proposal["provider"], one.proposal["model"]
            wrong = _was_wrong(one, said)
            what = about(one.proposal)
            found.append(Judged(one.document_id, what, *who, said, wrong, one.category))
    return found


def _was_wrong(one: store.DecidedProposal, said: Said) -> bool:
    """Whether a model was wrong, by what a person decided."""
    right = one.correction or {}
    if about(one.proposal) == "kind" and one.verdict == "correct":
        return bool(right.get("category") != one.proposal["verdict"])
    kept = one.verdict == "accept" or (
        one.verdict == "correct"
        and right.get("category") == one.category
        and alike(one.text, str(right.get("text")))
    )
    return kept != (said == "confirmed")


def proposal_rates(found: Iterable[Judged]) -> list[ProposalRate]:
    """The error rate of each model by what it was asked about, for what it confirmed and what it
    denied.
    """
    counts: dict[tuple[str, str, About, Said], list[bool]] = defaultdict(list)
    for one in found:
        counts[one.provider, one.model, one.about, one.said].append(one.wrong)
    return [ProposalRate(*key, len(wrong), sum(wrong)) for key, wrong in sorted(counts.items())]


def is_trusted(
    item: Item,
    proposal: Mapping[str, Any],
    rules: RiskRules,
    found: Iterable[Judged],
    key: bytes,
) -> bool:
    """Whether a clause or finding is accepted without a person because a model confirmed it; `key`
    draws those that a person checks all the same.
    """
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
    for one in found:
        counts = one.said == "confirmed" and one.category not in rules.always_person
        if counts and (one.about, one.provider, one.model) == who:
            groups[one.document_id].append(one.wrong)
    return _keeps(list(groups.values()), risk, rules.level)


def _keeps(groups: Sequence[Sequence[bool]], risk: float, level: float) -> bool:
    """Whether it is shown at a level that at most a share `risk` is wrong, by group."""
    accepted = np.array([len(wrong) for wrong in groups], float)
    wrong = np.array([sum(wrong) for wrong in groups], float)
    gained = (risk * accepted - wrong) * np.minimum(1.0, COUNTED / np.maximum(accepted, 1.0))
    most = (1.0 - risk) * COUNTED
    by_bet = np.array([np.log1p(bet / most * gained).sum() for bet in BETS])
    return bool(log_capital(by_bet) >= -np.log1p(-level))


class ProposalRateOut(BaseModel):
    """How often a model was wrong, by what people decided."""

    model_config = ConfigDict(from_attributes=True)

    provider: str
    model: str
    about: About = Field(description="what it was asked about: each is measured by itself")
    said: Annotated[
        Said,
        Field(
            description="`confirmed`: it quoted the clause, named the cell and amount of the "
            "finding, or the kind that the document was taken for, or found the page unsound; "
            "`denied`: none, or not"
        ),
    ]
    looked_at: int
    wrong: int
    rate: float
    interval: tuple[float, float] = Field(
        description="where the rate of all lies, with 95% confidence (Clopper, Pearson), as if "
        "each were wrong by itself: results of one document hang together, and may share an "
        "answer, so it is wider in truth"
    )


class ProposalRatesOut(BaseModel):
    """One line for each model and what it said."""

    model_config = ConfigDict(from_attributes=True)

    items: list[ProposalRateOut]
    next: str | None = None


def routes(database: Store) -> APIRouter:
    """What is known of the models that were asked."""
    router = APIRouter(prefix="/v1/decisions", tags=["decisions"])

    @router.get(
        "/proposal-rates",
        summary="How often frontier models were wrong",
        responses=problems(),
    )
    def rates(actor: CurrentActor) -> ProposalRatesOut:
        with database.read() as session:
            found = judged(store.decided_proposals(session, actor.tenant))
        return ProposalRatesOut.model_validate({"items": proposal_rates(found)})

    return router
