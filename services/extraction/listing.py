"""The surest candidates of a contract are judged once more, each beside all the others.

The ranking looks at one label at a time. A list of what it takes for likely says more: the same
words under another label, a neighbour of the same section, how many of a label there are at all. A
forest that is told these, how sure the ranking was and what its words say (wording.py) gives the
last score; models/listing.py learns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.extraction.candidates import Floats, Integers
from services.extraction.wording import Wording, places_of
from shared.listed import COLUMNS, rows_of

LEAST_LISTED = 0.03
"""Candidates that the ranking gives a higher score are judged again."""

MOST_LISTED = 500
"""So many of them at most, the surest: each is compared with the others of its label."""

LIST_COLUMNS = tuple(f"list: {name}" for name in (*COLUMNS, "words"))
"""What the forest is told, as the manifest names it."""


@dataclass(frozen=True)
class Listed:
    """A candidate as it stands in the list."""

    category: str
    text: str
    start: int
    end: int
    confidence: float
    value: None = None  # it is read of clauses alone


def listed(scores: Floats) -> Integers:
    """Return the places of the candidates that are judged again, in their order [L].

    Args:
        scores: of the ranking [N].
    """
    surest = np.argsort(-scores, kind="stable")[:MOST_LISTED]
    places: Integers = np.sort(surest[scores[surest] > LEAST_LISTED])
    return places


def list_rows(
    text: str,
    names: Sequence[str],
    label: Sequence[int],
    spans: Sequence[tuple[int, int]],
    scores: Sequence[float],
    wording: Wording,
) -> Floats:
    """Describe the candidates of a list [L, LIST_COLUMNS].

    Args:
        text: of the contract.
        names: of the labels.
        label: of each candidate [L].
        spans: of each, in code points [L].
        scores: of each, from the ranking [L].
        wording: what words say of a label.
    """
    some = [
        Listed(names[c], text[start:end], start, end, float(score))
        for c, (start, end), score in zip(label, spans, scores, strict=True)
    ]
    rows = rows_of(text, some, {name: i for i, name in enumerate(names)})
    return np.column_stack([rows, wording.said(label, [places_of(one.text) for one in some])])


def relisted(scores: Floats, places: Integers, chances: Floats) -> Floats:
    """Put the last scores in place; what was not judged again keeps that of the ranking [N].

    Args:
        scores: of the ranking [N].
        places: of those that were judged again [L].
        chances: of these [L].
    """
    last = scores.copy()
    last[places] = chances
    return last
