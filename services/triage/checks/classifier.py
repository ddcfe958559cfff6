"""Estimate how likely each suspect is right, with a forest.

It is learned from errors injected into sound filings. A filing's risk is that of its likeliest
suspect. See models/triage_breaks/CARD.md.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.triage.checks.suspects import COLUMNS, Suspect
from services.triage.domain import RULES, Model
from services.triage.relations.learned_sums import LearnedPatterns
from shared.artefacts.loader import DigestManifest, OptionalModel, sha256
from shared.errors import SuiteError
from shared.inference.session import Forest

NAME = "triage-breaks"
FOREST_FILE, EXPERIENCE_FILE = "breaks.onnx", "experience.json.gz"

GUARANTEE_FILE = "guarantee.npz"  # calibration data; without it there is no guarantee

BELIEVED = 0.5  # confidence from which a rule believes a suspect

Floats = NDArray[np.float32]
Trees = Callable[[Floats], Floats]  # takes rows [N, COLUMNS]; returns probabilities [N]


class RiskError(SuiteError):
    """The triage-breaks artefact is damaged or of another format."""

    code = "triage_model"


@dataclass(frozen=True)
class BreaksManifest(DigestManifest):
    """Description of the model."""

    FILE = "forest.json"
    FORMAT = 2
    ERROR = RiskError
    REQUIRED = (FOREST_FILE, EXPERIENCE_FILE)

    columns: tuple[str, ...]
    flagged: float  # probability from which a filing is flagged
    shown: float  # probability from which a suspect is a finding
    unbelieved: float  # factor on suspects that no rule believes, in complete filings
    headlines: float  # factor on the odds of suspects in filings of headlines
    licence: str


@dataclass(frozen=True)
class BreakClassifier(OptionalModel):
    """The learned model in memory. Thread-safe."""

    NAME = NAME
    FALLBACK = "triage uses rules alone"

    patterns: LearnedPatterns
    forest: Trees
    flagged: float
    shown: float
    unbelieved: float = 1.0
    headlines: float = 1.0
    version: str = ""
    guarantee: bytes | None = field(default=None, repr=False)  # calibration data

    @classmethod
    def load(cls, artefacts: Path) -> BreakClassifier:
        folder, manifest = BreaksManifest.open_newest(artefacts, NAME)
        promised = GUARANTEE_FILE in manifest.sha256
        if manifest.columns != COLUMNS:
            raise RiskError(f"{folder} was trained with other columns: train it again")
        patterns = json.loads(gzip.decompress((folder / EXPERIENCE_FILE).read_bytes()))
        return cls(
            LearnedPatterns(**patterns),
            Forest(folder / FOREST_FILE),
            manifest.flagged,
            manifest.shown,
            manifest.unbelieved,
            manifest.headlines,
            manifest.version,
            (folder / GUARANTEE_FILE).read_bytes() if promised else None,
        )

    @property
    def model(self) -> Model:
        return Model(NAME, self.version)

    def probabilities(self, suspects: Sequence[Suspect]) -> list[float]:
        """How likely each suspect is right, rounded to four digits."""
        if not suspects:
            return []
        rows = np.array([suspect.vector() for suspect in suspects], np.float32)
        raw = self.forest(rows)
        probabilities = adjust_probabilities(rows, raw, self.unbelieved, self.headlines)
        return [round(float(probability), 4) for probability in probabilities]


def model_of(classifier: BreakClassifier | None) -> Model:
    """The model that judges: the classifier, or the rules."""
    return classifier.model if classifier else RULES


def adjust_probabilities(
    rows: Floats, probabilities: Floats, unbelieved: float, headlines: float
) -> Floats:
    """Probabilities [N], lowered where no rule agrees, and with other odds for headlines."""
    believed = rows[:, COLUMNS.index("by_rule")] >= BELIEVED
    complete = np.where(believed, probabilities, unbelieved * probabilities)
    brief = headlines * probabilities / (1 - probabilities + headlines * probabilities)
    adjusted = np.where(rows[:, COLUMNS.index("brief")] > 0, brief, complete)
    return adjusted.astype(np.float32)


def write(
    folder: Path, forest: bytes, patterns: LearnedPatterns, version: str, **more: Any
) -> BreaksManifest:
    """Write an artefact into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(patterns.to_json(), sort_keys=True, separators=(",", ":"))
    files = {FOREST_FILE: forest, EXPERIENCE_FILE: gzip.compress(text.encode(), mtime=0)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    digests = {name: sha256(folder / name) for name in files}
    manifest = BreaksManifest(BreaksManifest.FORMAT, NAME, version, digests, COLUMNS, **more)
    manifest.write(folder)
    return manifest
