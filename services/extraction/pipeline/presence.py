"""Features of the presence of each label in a contract, from all candidates."""

from __future__ import annotations

import numpy as np

from services.extraction.pipeline.candidates import Floats
from services.extraction.pipeline.ranking import RankingFeatures

TOP = 4  # best candidates of a label whose scores are features
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


def presence_rows(seen: RankingFeatures, scores: Floats, labels: int) -> Floats:
    """Return the features of each label in a contract [labels, columns].

    Args:
        scores: of the candidates [N], as ranked.
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
