"""Is there such a clause in the contract at all? One answer for each label, from all candidates."""

from __future__ import annotations

import numpy as np

from services.extraction.candidates import Floats
from services.extraction.ranking import Seen

TOP = 4  # scores of a label's best candidates that are told
POSSIBLE, LIKELY = 0.1, 0.3


def presence_columns(labels: int) -> tuple[str, ...]:
    """Return the names of the columns of `presence_rows`."""
    return (
        "label",
        *(f"score_{rank}" for rank in range(TOP)),
        "sum_of_scores",
        "possible",  # candidates
        "likely",
        "highest_token",
        "log_tokens",
        *(f"best_{label}" for label in range(labels)),
    )


def presence_rows(seen: Seen, scores: Floats, labels: int) -> Floats:
    """Return what is known of each label in a contract [labels, columns].

    Args:
        seen: the candidates, with the columns of the ranking.
        scores: of the candidates [N], as ranked.
        labels: how many there are.
    """
    label = seen.found.label
    order = np.lexsort((-scores, label))
    rank = np.arange(len(order)) - np.searchsorted(label[order], label[order])
    best = np.zeros((labels, TOP), np.float32)
    top = order[rank < TOP]
    best[label[top], rank[rank < TOP]] = scores[top]
    highest = np.zeros(labels, np.float32)
    np.maximum.at(highest, label, seen.rows[:, seen.columns.index("highest")])

    def count(weights: Floats) -> Floats:
        return np.bincount(label, weights, labels).astype(np.float32)

    return np.column_stack(
        [
            np.arange(labels, dtype=np.float32),
            best,
            count(scores),
            count((scores > POSSIBLE).astype(np.float32)),
            count((scores > LIKELY).astype(np.float32)),
            highest,
            np.full(labels, np.log(max(seen.tokens, 1)), np.float32),
            np.tile(best[:, 0], (labels, 1)),
        ]
    ).astype(np.float32)
