"""Names for companies as if they were not known: the models of the folds, each without one fifth.

    python -m models.lines --data FOLDER

writes them beside what it measures (`--unseen`, var/lines/unseen). Whoever learns from names of
lines has to learn from such as unseen companies will get.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.lines.guesses import Linear
from models.triage.filings import FOLDS, fold_of
from services.triage.naming import NAME as MODEL
from services.triage.naming import Named, Namer, write
from services.triage.statements import Statement

FOLDER = Path("var/lines/unseen")
VERSION = "0.0.1"


def keep_model(
    folder: Path, fold: int, linear: Linear, companies: int, labels: Sequence[str], licence: str
) -> Path:
    """Write the model that has not seen the companies of a fold. Its confidences are its chances.

    Args:
        folder: of the models of all folds.
        fold: that it left out.
        linear: the model.
        companies: how many it learned from.
        labels: the concepts.
        licence: of what it learned from.
    """
    place = folder / f"fold{fold}" / MODEL / VERSION
    write(
        place,
        *linear.numbers(),
        version=VERSION,
        labels=tuple(labels),
        offset=0.0,
        slope=1.0,
        companies=companies,
        licence=licence,
    )
    return place


class Unseen:
    """Names lines of a company by the model that has not learned from it."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Load the models of all folds. Raises NoModel where one is missing."""
        self._of = {fold: Namer.load(folder / f"fold{fold}") for fold in range(FOLDS)}

    def namer(self, cik: int) -> Namer:
        """The model that has not learned from a company; `chances` has all of what it says."""
        return self._of[fold_of(cik)]

    def names(self, cik: int, statement: Statement) -> tuple[Named | None, ...]:
        """What each row is; None for headings. A confidence is the chance, without any map."""
        return self.namer(cik).names(statement)
