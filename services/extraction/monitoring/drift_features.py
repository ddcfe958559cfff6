"""Figures of a contract for the drift test (`shared/monitoring/drift.py`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.policy.intervals import Floats
from shared.policy.risk_control import Calibration, log_odds

FIGURES = ("sureness", "mix", "size")
"""Over the clauses of a document: the mean log-odds of their beliefs, the mean logarithm of their
categories' shares of the calibration set, and the logarithm of their number."""


def figures(known: Calibration, clauses: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the figures of a document from (category, confidence) of its clauses, if any."""
    mine = [(known.labels.index(c), known.belief_of(c, s)) for c, s in clauses if c in known.labels]
    if not mine:
        return {}
    label, belief = np.array([one for one, _ in mine]), np.array([two for _, two in mine])
    return _figures(label, belief, _usual(known))


def reference(known: Calibration) -> dict[str, Floats]:
    """Return each figure of all contracts in a calibration set, sorted; none without contracts."""
    if known.document is None:
        return {}
    usual = _usual(known)
    rows = [
        _figures(known.label[mine], known.belief[mine], usual)
        for document in np.unique(known.document)
        if (mine := known.document == document).any()
    ]
    return {name: np.sort(np.array([row[name] for row in rows])) for name in FIGURES}


def _usual(known: Calibration) -> Floats:
    counts = np.bincount(known.label, minlength=len(known.labels)) + 1.0
    result: Floats = np.log(counts / counts.sum())
    return result


def _figures(label: Any, belief: Floats, usual: Floats) -> dict[str, float]:
    inside = np.clip(belief, 1e-6, 1.0 - 1e-6)
    return {
        "sureness": float(log_odds(inside).mean()),
        "mix": float(usual[label].mean()),
        "size": math.log(len(label)),
    }
