"""What each line is, by two models together: the linear one, and an adapter on the shared base.

The adapter reads a statement whole (services/triage/pieces.py), the linear model knows words that
stand together; where one errs the other often does not. What both say is the geometric mean of
their chances over the labels that either finds likeliest: a label that only one of them lists has,
with the other, the chance of the last that it lists. models/line-concepts/CARD.md says how much
better that is.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from services.triage.naming import LEAST, Named, Namer, Naming, Said, likeliest, named
from services.triage.pieces import PieceReader, softmax, written
from services.triage.statements import Statement
from shared.inference import AdapterError, Base, BaseError

log = logging.getLogger(__name__)


class Together(Naming):
    """The linear model and its adapter. Safe from several threads.

    The base is asked for with the first statement. Where it can't be had, or fails over a
    statement, the linear model names alone, and the log says so: no report waits for its names.
    """

    def __init__(self, linear: Namer, folder: Path, base: Callable[[], Base]) -> None:
        """Take the linear model, the folder of the adapter, and where the base is."""
        self._linear = linear
        self._folder, self._base = folder, base
        self._lock = threading.Lock()
        self._tried = False
        self._known: PieceReader | None = None

    @property
    def quick(self) -> Naming:
        """The linear model alone."""
        return self._linear

    def names(self, statement: Statement) -> tuple[Named | None, ...]:
        """See Naming."""
        first = self._linear.said(statement)
        reader = self._reader() if any(first) else None
        if reader is None:
            return self._linear.names(statement)
        labels = [row.label for row in statement.rows]
        try:
            chances = softmax(reader.logits(written(statement.statement, labels, reader.cut)))
        except Exception:
            log.exception("a statement is named by the linear model alone: its adapter failed")
            return self._linear.names(statement)
        manifest = self._linear.manifest
        return tuple(
            named(
                together(said, likeliest(reader.labels, chances[row])),
                manifest.both_offset,
                manifest.both_slope,
            )
            if said
            else None
            for row, said in enumerate(first)
        )

    def _reader(self) -> PieceReader | None:
        with self._lock:
            if not self._tried:
                self._tried = True
                try:
                    self._known = read_with(self._linear, self._folder, self._base())
                except (AdapterError, BaseError) as error:
                    log.warning("lines are named by the linear model alone: %s", error.message)
                except Exception:
                    log.exception("lines are named by the linear model alone")
            return self._known


def read_with(linear: Namer, folder: Path, base: Base) -> PieceReader:
    """The adapter of a linear model. Raises AdapterError for another one's, or a damaged one."""
    reader = PieceReader.load(folder, base)
    if reader.labels != linear.manifest.labels:
        raise AdapterError(f"{folder} has other labels than its model; restore it from the release")
    return reader


def together(one: Said, other: Said) -> Said:
    """What two models say together, the likeliest label first; the chances are one in sum."""
    of_one, of_other = dict(one), dict(other)
    labels = [*of_one, *(label for label in of_other if label not in of_one)]
    odds = [math.sqrt(_chance(of_one, label) * _chance(of_other, label)) for label in labels]
    shares = [(label, odd / sum(odds)) for label, odd in zip(labels, odds, strict=True)]
    return sorted(shares, key=lambda share: -share[1])


def _chance(said: Mapping[str, float], label: str) -> float:
    return max(said.get(label, min(said.values())), LEAST)


def find_naming(artefacts: Path, base: Callable[[], Base]) -> Naming | None:
    """What names lines: both models, the linear one where no adapter came with it, or nothing.

    Raises NoModel for a folder without a version, NamesError for a damaged one.
    """
    linear = Namer.found(artefacts)
    if linear is None or linear.reader is None:
        return linear
    return Together(linear, linear.reader, base)
