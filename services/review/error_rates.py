"""Error rates of accepted results, from the hidden audit sample.

A share of the acceptable clauses and findings goes to people unmarked. The share of errors among
them is the live error rate, by specialist, category, kind of document and media type.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.review.domain import Item
from shared.events import Verdict
from shared.policy.intervals import interval

OVERLAP = 0.5
"""The Jaccard index from which two passages are the same clause (CUAD, Hendrycks et al., 2021)."""

DROPPED = str.maketrans({".": "", ",": "", ";": "", ":": "", "/": " "})
"""Replacements of the metric before it compares words."""


@dataclass(frozen=True)
class SampleDecision:
    """A decision about an audit sample, or its undo."""

    item_id: str
    adapter: str
    category: str
    wrong: bool | None  # None: undone
    kind: str = ""
    source: str = ""


class Rate:
    """A share of errors."""

    checked: int
    wrong: int

    @property
    def rate(self) -> float:
        return self.wrong / self.checked

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the rate, for independent decisions."""
        return interval(self.wrong, self.checked)


@dataclass(frozen=True)
class ErrorRate(Rate):
    """The error rate of a specialist, in total or of one category, kind or source."""

    adapter: str
    category: str | None
    checked: int
    wrong: int
    kind: str | None = None
    source: str | None = None


def was_wrong(item: Item, verdict: Verdict, right: Mapping[str, Any] | None) -> bool | None:
    """Return whether a clause or sampled finding was wrong.

    None for an undo, and for other results: a clause that a person added is no error of a
    specialist, and no success either.

    Args:
        item: the decided item.
        verdict: of the reviewer.
        right: the correction. A clause with slightly moved ends was not wrong.
    """
    if verdict == "undo" or item.origin == "person":
        return None
    if not (item.about == "clause" or item.sampled):
        return None
    if verdict != "correct" or right is None:
        return verdict == "reject"
    return right["category"] != item.category or not same_clause(item.text, str(right["text"]))


def same_clause(first: str, second: str) -> bool:
    """Whether two passages are the same clause, by the legal metric."""
    a, b = _words(first), _words(second)
    return len(a & b) >= OVERLAP * len(a | b)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.translate(DROPPED).lower().split())


def error_rates(decisions: Iterable[SampleDecision]) -> list[ErrorRate]:
    """Return the error rate of each specialist and of its categories, kinds and sources.

    Args:
        decisions: oldest first; the last one about an item counts.
    """
    last: dict[str, SampleDecision] = {}
    for decision in decisions:
        if decision.wrong is None:
            last.pop(decision.item_id, None)
        else:
            last[decision.item_id] = decision
    counts: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for decision in last.values():
        for by in ("", "category", "kind", "source"):
            value = getattr(decision, by) if by else ""
            if value or not by:
                counts[decision.adapter, by, value].append(bool(decision.wrong))
    return [
        _rate(adapter, by, value, wrong) for (adapter, by, value), wrong in sorted(counts.items())
    ]


def _rate(adapter: str, by: str, value: str, wrong: Sequence[bool]) -> ErrorRate:
    part = {by: value}
    category, kind, source = (part.get(name) for name in ("category", "kind", "source"))
    return ErrorRate(adapter, category, len(wrong), sum(wrong), kind, source)
