"""What a check looks like while it waits: like others in the queue, whatever it is itself.

A result that was drawn as a check is surer than what people are asked about. By its own confidence
it would come last and be known; and of all checks the least sure would come first, which are wrong
most often, so that who does not get through the queue would doubt a promise that is kept. So what
it shows, and waits by, is made of other results of the same specialist in the same tenant that
people are asked about, in whichever document, decided or not. Which ones, the secret says; nothing
of its own confidence goes into it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from services.review.domain import Item
from shared.events import Route
from shared.storage.secret import draw, pseudonym

NEAR = 500
"""Results of other documents that are looked at for one document and specialist, at the most."""
MOST = 64
"""Of these and of the document's own, those among which each check of a sort finds one: so what a
check costs does not grow with its document."""
MADE_UP = {"clause": (0.4, 0.5), "finding": (0.82, 0.84)}
"""Between which confidences one is drawn where nothing else waits or waited, and nothing was
accepted, by hand: above what is shown at all (0.34 and 0.81, in the manifests of
`contract-clauses` and `triage-breaks`), and below what a promise of 10% accepts (0.54, of one
category, and 0.84). Where something was accepted, the least sure of it is the upper end."""
APART = 0.1
"""So far on the way from one result to a second one a check is, at the most: two results that have
the same confidence to the last digit would tell that one of them is a check."""


class Look(NamedTuple):
    """What is known of a result in the queue, of those that a check may look like."""

    result_id: str
    kind: str
    adapter: str
    category: str
    confidence: float
    chance: float | None
    ordered_by: str
    route: Route
    sampled: bool
    answered: bool
    """Whether a model said something of it."""

    @classmethod
    def of(cls, item: Item) -> Look:
        """That of an item."""
        return cls(
            item.result_id,
            item.kind,
            item.adapter,
            item.category,
            item.confidence,
            item.chance,
            item.ordered_by,
            item.route,
            item.sampled,
            answered=item.proposal is not None,
        )

    @property
    def sure(self) -> bool:
        """Whether its own confidence was enough to be accepted."""
        return self.sampled or (self.route == "accept" and not self.answered)

    @property
    def for_people(self) -> bool:
        """Whether no model is, or was, asked about it."""
        return self.route == "review" and not self.answered


class Shown(NamedTuple):
    """What a check showed, and what it was of itself then."""

    result_id: str
    ordered_by: str
    confidence: float
    chance: float | None
    shown_confidence: float | None
    shown_chance: float | None

    @classmethod
    def of(cls, item: Item) -> Shown:
        """That of an item."""
        return cls._make(getattr(item, name) for name in cls._fields)


def as_before(
    items: Sequence[Item], before: Mapping[str, Shown], others: Sequence[Look] = ()
) -> list[Item]:
    """Let a check that is what it was show what it showed: read again, an ordinary result has the
    same confidence to the last digit. Where that of the check is another one, since another version
    of the specialist found it, others move as well, and so does what it shows. Where as much is
    accepted by now, since the policy was loosened, whatever else showed it is out of the queue.

    Args:
        items: of one document, as they would be shown.
        before: what its checks showed, by the id of the result.
        others: see `among_others`.
    """
    known = defaultdict[tuple[str, str], list[Look]](list)
    for one in (*others, *(Look.of(item) for item in items if not item.sampled)):
        known[one.kind, one.adapter].append(one)
    least = {finder: _least(some) for finder, some in known.items()}
    kept = []
    for item in items:
        old = before.get(item.result_id) if item.sampled else None
        below = _below(item, least.get((item.kind, item.adapter), {}))
        if old and old.confidence == item.confidence and not _is_sure_now(old, item, below):
            item = replace(item, shown_confidence=old.shown_confidence)
            if (old.chance, old.ordered_by) == (item.chance, item.ordered_by):
                item = replace(item, shown_chance=old.shown_chance)
        kept.append(item)
    return kept


def _is_sure_now(old: Shown, fresh: Item, below: float | None) -> bool:
    """Whether what a check showed is accepted by now, and what it would show is not."""
    if below is None or old.shown_confidence is None or fresh.shown_confidence is None:
        return False
    return old.shown_confidence >= below > fresh.shown_confidence


def start_of(document_id: str, key: bytes) -> str:
    """From which document on a document's checks look for others: another one for each."""
    return f"doc_{pseudonym(key, 'place', document_id)}"


class Choice(NamedTuple):
    """What checks of one sort may look like."""

    patterns: Sequence[Look]
    """At most `MOST`."""
    below: float | None
    """The confidence of the least sure of what was accepted; None if nothing was."""


def among_others(items: Sequence[Item], others: Sequence[Look], key: bytes) -> list[Item]:
    """Let each result that was drawn look like another one while it waits.

    Args:
        items: of one document.
        others: results of other documents of the tenant, with the least sure of what was accepted.
        key: the secret of the draws.
    """
    mine = [Look.of(item) for item in items if not item.sampled]
    purpose = f"among {items[0].document_id}" if items else ""
    known = defaultdict[tuple[str, str], list[Look]](list)
    for one in sorted((*others, *mine), key=lambda one: draw(key, purpose, one.result_id)):
        known[one.kind, one.adapter].append(one)
    least = {finder: _least(some) for finder, some in known.items()}
    choices: dict[tuple[str, ...], Choice] = {}
    shown = []
    for item in items:
        if item.sampled:
            finder = (item.kind, item.adapter)
            sort = (*finder, item.category, item.ordered_by)
            if sort not in choices:
                choices[sort] = _choice(item, known[finder], least.get(finder, {}))
            item = _like(item, choices[sort], key)
        shown.append(item)
    return shown


def _like(item: Item, choice: Choice, key: bytes) -> Item:
    """The check as it is shown: between two others, near the first."""
    found = sorted(
        choice.patterns, key=lambda one: draw(key, f"like {item.result_id}", one.result_id)
    )
    one, other = [*found[:2], *[_made_up(item, choice.below, key)] * 2][:2]
    part = APART * draw(key, "apart", item.result_id)
    confidence = _between(one.confidence, other.confidence, part)
    return replace(
        item,
        shown_confidence=round(confidence, 4) if item.kind == "finding" else confidence,
        shown_chance=None
        if item.chance is None
        else round(_between(_chance(one), _chance(other), part), 4),
    )


def _group(one: Look | Item) -> str:
    """Of what its line of belief is: of clauses each category has one of its own."""
    return one.category if one.kind == "clause" else ""


def _least(known: Sequence[Look]) -> dict[str, float]:
    """The confidence of the least sure of what was accepted, by what a line of belief is of."""
    least: dict[str, float] = {}
    for one in known:
        if one.sure:
            least[_group(one)] = min(one.confidence, least.get(_group(one), 1.0))
    return least


def _choice(item: Item, known: Sequence[Look], least: Mapping[str, float]) -> Choice:
    """What a check may look like: results that are less sure than what is accepted, or it would be
    known by that, and of which nobody but people is asked, for a check has no answer beside it; if
    there are none, such as there are.

    What is accepted is told by category of clauses, each of which has a line of belief of its own,
    and a clause looks like those of any category of which something is accepted. A finding looks
    like others of its own check alone: not of each check those that are unlikely are told.

    Args:
        item: the check.
        known: results of its specialist, in an order that is drawn.
        least: see `_least`.
    """
    clauses = item.kind == "clause"
    unsure = [
        one
        for one in known
        if one.route != "accept"
        and not one.sampled
        and one.ordered_by == item.ordered_by
        and (one.category == item.category or (clauses and one.category in least))
    ]
    mine = least.get(_group(item), 1.0)
    less = [one for one in unsure if one.confidence < min(mine, least.get(_group(one), 1.0))]
    some = less or unsure
    patterns = [one for one in some if one.for_people] or some
    return Choice(patterns[:MOST], _below(item, least))


def _below(item: Item, least: Mapping[str, float]) -> float | None:
    """The confidence of the least sure of what was accepted of its group, else of any."""
    return least.get(_group(item), min(least.values(), default=None))


def _made_up(item: Item, below: float | None, key: bytes) -> Look:
    """A result that is not there, less sure than what is accepted."""
    low, high = MADE_UP.get(item.kind, MADE_UP["clause"])
    if below is not None:
        low, high = (low, below) if below > low else (max(0.0, below - (high - low)), below)
    confidence = _between(low, high, draw(key, "place", item.result_id))
    return Look.of(item)._replace(confidence=confidence, chance=None)


def _chance(one: Look) -> float:
    return 1.0 - one.confidence if one.chance is None else one.chance


def _between(one: float, other: float, part: float) -> float:
    return one + part * (other - one)
