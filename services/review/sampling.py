"""How often what could be accepted without a person is wrong: what people said of a share of it.

Some clauses and findings that were sure enough to be accepted wait for a person unmarked, as a
check. Of those that were decided the share of wrong ones, with its interval, is the live error rate
of what the machine accepts: by specialist, and of each by category, by the kind of document, and by
what the document was read from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.review.domain import Item
from shared.events import Verdict
from shared.risk import interval

OVERLAP = 0.5
"""Words that two passages need in common, of those in either, to count as the same clause: as the
legal metric has it (CUAD, Hendrycks et al., 2021)."""

DROPPED = str.maketrans({".": "", ",": "", ";": "", ":": "", "/": " "})
"""What the metric does to a text before it compares words."""


@dataclass(frozen=True)
class Judgement:
    """One decision about a result that was drawn, or the undoing of one."""

    item_id: str
    adapter: str
    category: str
    wrong: bool | None  # None: undone
    kind: str = ""
    source: str = ""


@dataclass(frozen=True)
class ErrorRate:
    """What is known of an adapter's accepted results: of all, or of one category, one kind of
    document, or one source; the others are None.
    """

    adapter: str
    category: str | None
    looked_at: int
    wrong: int
    kind: str | None = None
    source: str | None = None

    @property
    def rate(self) -> float:
        """The share that was wrong."""
        return self.wrong / self.looked_at

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of all lies, with 95% confidence."""
        return interval(self.wrong, self.looked_at)


def was_wrong(item: Item, verdict: Verdict, right: Mapping[str, Any] | None) -> bool | None:
    """Whether a clause is wrong by what a person said, or a finding that was drawn as a check;
    None for other results, and if undone.

    Args:
        item: what was decided.
        verdict: of the person.
        right: with `correct`, what holds instead: of another category, or with too few of the same
            words, it was wrong; a clause whose ends were moved a little was not.
    """
    if verdict == "undo" or not (item.about == "clause" or item.sampled):
        return None
    if verdict != "correct" or right is None:
        return verdict == "reject"
    return right["category"] != item.category or not alike(item.text, str(right["text"]))


def alike(one: str, other: str) -> bool:
    """Whether two passages are the same clause, by the legal metric."""
    ours, theirs = _words(one), _words(other)
    return len(ours & theirs) >= OVERLAP * len(ours | theirs)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.translate(DROPPED).lower().split())


def error_rates(judgements: Iterable[Judgement]) -> list[ErrorRate]:
    """The error rate of each adapter, and of each of its categories, kinds and sources; the last
    word on each clause counts.

    Args:
        judgements: the oldest first.
    """
    last: dict[str, Judgement] = {}
    for one in judgements:
        if one.wrong is None:
            last.pop(one.item_id, None)
        else:
            last[one.item_id] = one
    counts: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for one in last.values():
        parts = ("", ""), ("category", one.category), ("kind", one.kind), ("source", one.source)
        for by, value in parts:
            if value or not by:
                counts[one.adapter, by, value].append(bool(one.wrong))
    return [
        _rate(adapter, by, value, wrong) for (adapter, by, value), wrong in sorted(counts.items())
    ]


def _rate(adapter: str, by: str, value: str, wrong: Sequence[bool]) -> ErrorRate:
    told = {by: value}
    category, kind, source = (told.get(name) for name in ("category", "kind", "source"))
    return ErrorRate(adapter, category, len(wrong), sum(wrong), kind, source)
