"""Label lines with two models: the linear one, and an adapter on the shared base.

The adapter reads a statement as a sequence (`segments.py`). The result is the geometric mean of
both probabilities over the labels that either finds likely. A label that one model does not list
gets that model's lowest listed probability. See models/line_concepts/CARD.md.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.triage.concepts.linear import (
    LEAST,
    Candidates,
    ConceptLabel,
    ConceptLabeller,
    LinearLabeller,
    calibrated_label,
    top_labels,
)
from services.triage.concepts.segments import SegmentModel, softmax, tokenise_lines
from services.triage.statements.model import Statement
from shared.inference import AdapterError, Base, BaseError

log = logging.getLogger(__name__)


class EnsembleLabeller(ConceptLabeller):
    """The linear model and its adapter. Thread-safe.

    The base is loaded with the first statement. If that fails, the linear model labels alone, and
    the log says so.
    """

    def __init__(self, linear: LinearLabeller, folder: Path, base: Callable[[], Base]) -> None:
        self._linear = linear
        self._folder, self._base = folder, base
        self._lock = threading.Lock()
        self._tried = False
        self._known: SegmentModel | None = None

    @property
    def fast(self) -> ConceptLabeller:
        return self._linear

    def names(self, statement: Statement) -> tuple[ConceptLabel | None, ...]:
        linear = self._linear.candidates(statement)
        reader = self._reader() if any(linear) else None
        if reader is None:
            return self._linear.names(statement)
        labels = [row.label for row in statement.rows]
        try:
            lines = tokenise_lines(statement.statement, labels, reader.cut)
            probabilities = softmax(reader.logits(lines))
        except Exception:
            log.exception("the adapter failed: the linear model alone names this statement's lines")
            return self._linear.names(statement)
        manifest = self._linear.manifest
        both = (
            candidates and combine(candidates, top_labels(reader.labels, probabilities[row]))
            for row, candidates in enumerate(linear)
        )
        offset, slope = manifest.both_offset, manifest.both_slope
        return tuple(calibrated_label(candidates, offset, slope) for candidates in both)

    def usual_lines(self, statement: Statement) -> Sequence[bool]:
        return self._linear.usual_lines(statement)

    def _reader(self) -> SegmentModel | None:
        with self._lock:
            if not self._tried:
                self._tried = True
                try:
                    self._known = load_segment_model(self._linear, self._folder, self._base())
                except (AdapterError, BaseError) as error:
                    log.warning(
                        "the adapter is unusable: only the linear model names lines: %s",
                        error.message,
                    )
                except Exception:
                    log.exception("the adapter is unusable: only the linear model names lines")
            return self._known


def load_segment_model(linear: LinearLabeller, folder: Path, base: Base) -> SegmentModel:
    """Load the adapter of a linear model. Raises AdapterError for damage or other labels."""
    reader = SegmentModel.load(folder, base)
    if reader.labels != linear.manifest.labels:
        raise AdapterError(f"{folder} has other labels than its model; restore it from the release")
    return reader


def combine(first: Candidates, second: Candidates) -> Candidates:
    """Combine the candidates of two models, the likeliest first; the probabilities sum to one."""
    firsts, seconds = dict(first), dict(second)
    labels = [*firsts, *(label for label in seconds if label not in firsts)]
    odds = [math.sqrt(_chance(firsts, label) * _chance(seconds, label)) for label in labels]
    shares = [(label, odd / sum(odds)) for label, odd in zip(labels, odds, strict=True)]
    return sorted(shares, key=lambda share: -share[1])


def _chance(candidates: Mapping[str, float], label: str) -> float:
    return max(candidates.get(label, min(candidates.values())), LEAST)


def load_labeller(artefacts: Path, base: Callable[[], Base]) -> ConceptLabeller | None:
    """Load both models, the linear one without an adapter, or None. Raises NoModel, or NamesError
    for a damaged model."""
    linear = LinearLabeller.load_if_installed(artefacts)
    if linear is None or linear.reader is None:
        return linear
    return EnsembleLabeller(linear, linear.reader, base)
