"""Figures of a filing that detect drift (`shared/monitoring/drift.py`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from services.triage.domain import ReportFinding
from services.triage.routing.risk_control import Calibration, english_share, read_calibration
from services.triage.statements.model import Filing
from shared.policy.intervals import Floats

FIGURES = ("doubt", "lines", "words")
"""Of a filing: the probability of its surest suspect, its lines with an amount, and its share of
English words. The calibration set is the reference of the first; the others are compared with
earlier filings."""
SEED = 17


@dataclass(frozen=True)
class MonitoredFiling:
    """A filing for which a guarantee is possible."""

    id: str  # the same for the same filing of the same document
    filer: str  # empty if unnamed
    surest: ReportFinding | None  # the finding that may be accepted
    figures: Mapping[str, float]

    @classmethod
    def of(
        cls,
        document_id: str,
        named: str,
        filer: str,
        risk: float,
        filing: Filing,
        surest: ReportFinding | None,
    ) -> MonitoredFiling:
        """A filing after it was judged. `named` is its number and name in the document, `risk` the
        probability of its surest suspect."""
        key = hashlib.sha256(f"{document_id}\0{named}".encode()).hexdigest()
        rows = (row for statement in filing.statements for row in statement.rows)
        lines = sum(any(value is not None for value in row.values) for row in rows)
        values = (risk, float(lines), english_share(filing))
        return cls(f"fi_{key[:32]}", filer, surest, dict(zip(FIGURES, values, strict=True)))


def reference(data: Calibration, broken: float) -> Mapping[str, Floats]:
    """Figures of the calibration set, ascending, if a share of the filings is broken. Surplus
    filings are left out by a fixed draw."""
    bad, sound = np.flatnonzero(data.broken), np.flatnonzero(~data.broken)
    size = min(len(bad) / broken, len(sound) / (1.0 - broken))
    draw = np.random.default_rng(SEED)
    taken = [
        draw.permutation(some)[: round(size * share)]
        for some, share in ((bad, broken), (sound, 1.0 - broken))
    ]
    return {"doubt": np.sort(data.risk[np.concatenate(taken)])}


@lru_cache(maxsize=8)
def shipped_reference(data: bytes, broken: float) -> Mapping[str, Floats]:
    """The figures of a shipped calibration set; recent ones are cached."""
    return reference(read_calibration(data), broken)
