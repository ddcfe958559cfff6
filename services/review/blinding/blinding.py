"""Blinding of audit samples: until it is decided, a sample looks like other items.

A sample has a higher confidence than other items. It would come last in the queue and be
recognised, and the least certain samples would be reviewed first, which would bias the error rate.
So its shown confidence is made from other items of the same specialist and tenant. A secret chooses
them. The confidence of the sample itself does not matter.
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
"""Results of other documents to choose from, at most."""
MOST = 64
"""Patterns for the samples of one sort, at most. This limits the work for large documents."""
MADE_UP = {"clause": (0.4, 0.5), "finding": (0.82, 0.84)}
"""The range of an invented confidence, without other items to copy.

It is above the lowest shown confidence (0.34 and 0.80 in the manifests of `contract-clauses` and
`triage-breaks`), and below the threshold for a risk of 10% (0.54 for one category, and 0.84). The
lowest accepted confidence replaces the upper end."""
APART = 0.1
"""Largest interpolation from one result to a second one. An exact copy would reveal the sample."""


class Appearance(NamedTuple):
    """A result that a sample may look like."""

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
    """Whether a frontier model answered about it."""

    @classmethod
    def of(cls, item: Item) -> Appearance:
        shared = (getattr(item, name) for name in cls._fields if name != "answered")
        return cls._make((*shared, item.proposal is not None))

    @property
    def sure(self) -> bool:
        """Whether its confidence was acceptable."""
        return self.sampled or (self.route == "accept" and not self.answered)

    @property
    def for_people(self) -> bool:
        """Whether no model is asked about it."""
        return self.route == "review" and not self.answered


class Shown(NamedTuple):
    """The shown values of a sample, with its own confidence and chance."""

    result_id: str
    ordered_by: str
    confidence: float
    chance: float | None
    shown_confidence: float | None
    shown_chance: float | None

    @classmethod
    def of(cls, item: Item) -> Shown:
        return cls._make(getattr(item, name) for name in cls._fields)


def as_before(
    items: Sequence[Item], before: Mapping[str, Shown], others: Sequence[Appearance] = ()
) -> list[Item]:
    """Keep the shown values of unchanged samples.

    An ordinary result that is processed again keeps its confidence, so a sample must too. The shown
    confidence changes if its own one does, or if the shown one would be accepted now.

    Args:
        items: of one document, as they would be shown.
        before: the shown values of its samples, by result id.
        others: see `among_others`.
    """
    known = defaultdict[tuple[str, str], list[Appearance]](list)
    for one in (*others, *(Appearance.of(item) for item in items if not item.sampled)):
        known[one.kind, one.adapter].append(one)
    least = {finder: _least(some) for finder, some in known.items()}
    result = []
    for item in items:
        old = before.get(item.result_id) if item.sampled else None
        below = _below(item, least.get((item.kind, item.adapter), {}))
        if old and old.confidence == item.confidence and not _is_sure_now(old, item, below):
            item = replace(item, shown_confidence=old.shown_confidence)
            if (old.chance, old.ordered_by) == (item.chance, item.ordered_by):
                item = replace(item, shown_chance=old.shown_chance)
        result.append(item)
    return result


def _is_sure_now(old: Shown, fresh: Item, below: float | None) -> bool:
    """Whether the old shown confidence is accepted now, but the new one is not."""
    if below is None or old.shown_confidence is None or fresh.shown_confidence is None:
        return False
    return old.shown_confidence >= below > fresh.shown_confidence


def start_of(document_id: str, key: bytes) -> str:
    """Return the document id from which the search for other results starts."""
    return f"doc_{pseudonym(key, 'place', document_id)}"


class Choice(NamedTuple):
    """The patterns for samples of one sort."""

    patterns: Sequence[Appearance]
    """At most `MOST`."""
    below: float | None
    """The lowest accepted confidence; None without one."""


def among_others(items: Sequence[Item], others: Sequence[Appearance], key: bytes) -> list[Item]:
    """Let each sample look like another result.

    Args:
        items: of one document.
        others: results of other documents of the tenant, with the lowest accepted ones.
        key: the secret for random choices.
    """
    mine = [Appearance.of(item) for item in items if not item.sampled]
    purpose = f"among {items[0].document_id}" if items else ""
    known = defaultdict[tuple[str, str], list[Appearance]](list)
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
    """The sample as shown: between two patterns, near the first."""
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


def _group(one: Appearance | Item) -> str:
    """The group with a common line of belief: for clauses the category."""
    return one.category if one.kind == "clause" else ""


def _least(known: Sequence[Appearance]) -> dict[str, float]:
    least: dict[str, float] = {}
    for one in known:
        if one.sure:
            least[_group(one)] = min(one.confidence, least.get(_group(one), 1.0))
    return least


def _choice(item: Item, known: Sequence[Appearance], least: Mapping[str, float]) -> Choice:
    """Choose patterns: results below the lowest accepted confidence that no model answered about.

    Without any, other results serve. A clause may look like clauses of other categories with
    accepted results. A finding looks like findings of its own check only.

    Args:
        item: the sample.
        known: results of its specialist, in random order.
        least: the lowest accepted confidence by group.
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
    """The lowest accepted confidence of its group, or of any group."""
    return least.get(_group(item), min(least.values(), default=None))


def _made_up(item: Item, below: float | None, key: bytes) -> Appearance:
    low, high = MADE_UP.get(item.kind, MADE_UP["clause"])
    if below is not None:
        low, high = (low, below) if below > low else (max(0.0, below - (high - low)), below)
    confidence = _between(low, high, draw(key, "place", item.result_id))
    return Appearance.of(item)._replace(confidence=confidence, chance=None)


def _chance(one: Appearance) -> float:
    return 1.0 - one.confidence if one.chance is None else one.chance


def _between(one: float, other: float, part: float) -> float:
    return one + part * (other - one)
