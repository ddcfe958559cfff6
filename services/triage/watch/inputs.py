"""Figures of a filing, by which it is told whether filings are like those that were known and like
those before (`shared/watch/drift.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from services.triage.domain import ReportFinding
from services.triage.guarantee import Calibration, calibration, english_share
from services.triage.statements import Filing
from shared.risk import Floats

FIGURES = ("doubt", "lines", "words")
"""Of a filing: how sure its surest doubt is, how many of its lines have an amount, and which share
of the words of its lines names of common concepts have. For the first there is a reference, the
calibration set; the others are compared with the filings before alone.
"""
SEED = 17


@dataclass(frozen=True)
class Judged:
    """A filing of which something could be promised, as far as that hangs on it."""

    id: str
    """The same for the same filing of the same document."""
    filer: str
    """Empty if it isn't named."""
    surest: ReportFinding | None
    """The finding that may be accepted, if it is sure enough."""
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
    ) -> Judged:
        """A filing after it was judged.

        Args:
            document_id: that it stands in.
            named: its number and name in it.
            filer: whose it is.
            risk: how sure its surest doubt is.
            filing: as it was checked.
            surest: its finding that may be accepted.
        """
        key = hashlib.sha256(f"{document_id}\0{named}".encode()).hexdigest()
        rows = (row for statement in filing.statements for row in statement.rows)
        lines = sum(any(value is not None for value in row.values) for row in rows)
        found = (risk, float(lines), english_share(filing))
        return cls(f"fi_{key[:32]}", filer, surest, dict(zip(FIGURES, found, strict=True)))


def reference(known: Calibration, broken: float) -> Mapping[str, Floats]:
    """Return the figures of filings that were known, rising, where a share of them is broken.

    The calibration set has more broken filings than sound ones, or fewer than are stated: of those
    there are too many of some are left out, drawn, the same at every time.

    Args:
        known: the calibration set that came with the judge.
        broken: share of the filings that have an error.
    """
    bad, sound = np.flatnonzero(known.broken), np.flatnonzero(~known.broken)
    size = min(len(bad) / broken, len(sound) / (1.0 - broken))
    draw = np.random.default_rng(SEED)
    taken = [
        draw.permutation(some)[: round(size * share)]
        for some, share in ((bad, broken), (sound, 1.0 - broken))
    ]
    return {"doubt": np.sort(known.risk[np.concatenate(taken)])}


@lru_cache(maxsize=8)
def shipped(data: bytes, broken: float) -> Mapping[str, Floats]:
    """Return the figures of the set that came with a judge; the last few are kept."""
    return reference(calibration(data), broken)
