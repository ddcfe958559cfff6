"""How often what could be accepted without a person is wrong: what people said of a share of it.

Some clauses that were sure enough to be accepted wait for a person unmarked, as a check. Of those
that were decided the share of wrong ones, with its interval, is the live error rate of what the
machine accepts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
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
    """One decision about a clause that was drawn, or the undoing of one."""

    item_id: str
    adapter: str
    category: str
    wrong: bool | None  # None: undone


@dataclass(frozen=True)
class ErrorRate:
    """What is known of an adapter's accepted clauses, of one category or of all (None)."""

    adapter: str
    category: str | None
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


def was_wrong(item: Item, verdict: Verdict, right: Mapping[str, Any] | None) -> bool | None:
    """Whether a drawn clause is wrong by what a person said; None if it was not drawn, or undone.

    Args:
        item: what was decided.
        verdict: of the person.
        right: with `correct`, what holds instead: of another category, or with too few of the same
            words, it was wrong; a clause whose ends were moved a little was not.
    """
    if not item.sampled or verdict == "undo":
        return None
    if verdict != "correct" or right is None:
        return verdict == "reject"
    ours, theirs = _words(item.text), _words(str(right["text"]))
    alike = len(ours & theirs) >= OVERLAP * len(ours | theirs)
    return right["category"] != item.category or not alike


def _words(text: str) -> frozenset[str]:
    return frozenset(text.translate(DROPPED).lower().split())


def error_rates(judgements: Iterable[Judgement]) -> list[ErrorRate]:
    """The error rate of each adapter, and of each of its categories; the last word on each counts.

    Args:
        judgements: the oldest first.
    """
    last: dict[str, Judgement] = {}
    for one in judgements:
        if one.wrong is None:
            last.pop(one.item_id, None)
        else:
            last[one.item_id] = one
    counts: dict[tuple[str, str | None], list[bool]] = defaultdict(list)
    for one in last.values():
        for category in (None, one.category):
            counts[one.adapter, category].append(bool(one.wrong))
    order = sorted(counts.items(), key=lambda entry: (entry[0][0], entry[0][1] or ""))
    return [
        ErrorRate(adapter, category, len(wrong), sum(wrong)) for (adapter, category), wrong in order
    ]


def among_others(items: Sequence[Item]) -> list[Item]:
    """Let each clause that was drawn wait as urgently as another one of its document: by its own
    sureness it would come last, where nobody looks, and its place would tell what it is.
    """
    others = sorted(item.urgency for item in items if item.route == "review" and not item.sampled)
    return [_at(item, others) if item.sampled and others else item for item in items]


def _at(item: Item, urgencies: Sequence[float]) -> Item:
    digest = sha256(f"place\0{item.result_id}".encode()).digest()
    wanted = urgencies[int.from_bytes(digest[:8]) % len(urgencies)]
    own = item.urgency / item.weight
    return replace(item, weight=wanted / own) if own > 0 else item
