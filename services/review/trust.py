"""How often a frontier model was right by what people decided, and how far it is trusted for that.

A person looks at every answer, unless the policy says `trust = "measured"`. Then a clause that a
model confirmed in the same words is accepted without one, as soon as decisions show, at the level
of the policy, that at most `max_wrong` of what that model confirmed is wrong. The test is that of
stated risks (`shared/risk.py`), with documents as groups, and holds however often it is looked at.
Items that are made of a model's own quote, of a category of which the specialist shows nothing, are
another population: they are no evidence, and always wait for a person.
A share goes on to people unmarked, so that it goes on being measured. What a model denies is never
dropped without a person.
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
COUNTED = 4.0
"""A document counts with at most so many clauses; one of more is scaled down to that."""


@dataclass(frozen=True)
class Judged:
    """What a person decided about a clause that a model had an opinion of."""

    document_id: str
    provider: str
    model: str
    said: Said
    wrong: bool
    """Of the model, by what the person decided."""


@dataclass(frozen=True)
class ProposalRate:
    """How often a model was wrong."""

    provider: str
    model: str
    said: Said
    looked_at: int
    wrong: int

    @property
    def rate(self) -> float:
        """The share that was wrong."""
        return self.wrong / self.looked_at

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of all lies, with 95% confidence."""
        return interval(self.wrong, self.looked_at)


def confirms(proposal: Mapping[str, Any] | None, text: str) -> bool:
    """Whether a model quoted the same clause; what is made of its own quote confirms nothing."""
    if not proposal or proposal["verdict"] != "present" or proposal.get("own_words"):
        return False
    return any(alike(text, quote["text"]) for quote in proposal["quotes"])


def judged(decided: Iterable[store.DecidedProposal]) -> list[Judged]:
    """Hold what models said against what people decided; what a model neither confirmed nor denied
    (other words of the same category), or was the first to name, is left out.
    """
    found = []
    for one in decided:
        kept = one.verdict == "accept" or (
            one.verdict == "correct"
            and one.correction is not None
            and one.correction["category"] == one.category
            and alike(one.text, str(one.correction["text"]))
        )
        confirmed = confirms(one.proposal, one.text)
        if confirmed or one.proposal["verdict"] == "absent":
            said: Said = "confirmed" if confirmed else "denied"
            who = one.proposal["provider"], one.proposal["model"]
            found.append(Judged(one.document_id, *who, said, kept != confirmed))
    return found


def proposal_rates(found: Iterable[Judged]) -> list[ProposalRate]:
    """The error rate of each model, for what it confirmed and what it denied."""
    counts: dict[tuple[str, str, Said], list[bool]] = defaultdict(list)
    for one in found:
        counts[one.provider, one.model, one.said].append(one.wrong)
    return [ProposalRate(*key, len(wrong), sum(wrong)) for key, wrong in sorted(counts.items())]


def is_trusted(
    item: Item,
    proposal: Mapping[str, Any],
    rules: RiskRules,
    found: Iterable[Judged],
    key: bytes,
) -> bool:
    """Whether a clause is accepted without a person because a model confirmed it; `key` draws those
    that a person checks all the same.
    """
    if rules.trust != "measured" or rules.max_wrong is None or item.sampled:
        return False
    if item.category in rules.always_person or not confirms(proposal, item.text):
        return False
    if draw(key, "trusted", item.result_id) < rules.sample_share:
        return False
    groups: dict[str, list[bool]] = defaultdict(list)
    who = proposal["provider"], proposal["model"]
    for one in found:
        if one.said == "confirmed" and (one.provider, one.model) == who:
            groups[one.document_id].append(one.wrong)
    return _keeps(list(groups.values()), rules.max_wrong, rules.level)


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
    said: Annotated[Said, Field(description="`confirmed`: it quoted the clause; `denied`: none")]
    looked_at: int
    wrong: int
    rate: float
    interval: tuple[float, float] = Field(
        description="where the rate of all lies, with 95% confidence (Clopper, Pearson)"
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
        summary="How often frontier models were wrong about clauses",
        responses=problems(),
    )
    def rates(actor: CurrentActor) -> ProposalRatesOut:
        with database.read() as session:
            found = judged(store.decided_proposals(session, actor.tenant))
        return ProposalRatesOut.model_validate({"items": proposal_rates(found)})

    return router
