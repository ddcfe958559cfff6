"""The specialist `narrative-flags`: whether a sentence makes a statement about the company, now.

A linear model on hashed words for each family. See models/narrative_flags/CARD.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.triage.domain import Model
from services.triage.narrative.features import PLACES, vector
from services.triage.narrative.keywords import BY_NAME
from shared.artefacts.loader import DigestManifest, OptionalModel, sha256
from shared.errors import SuiteError

NAME = "narrative-flags"
DATA_FILE = "flags.npz"

Floats = NDArray[np.float32]


class FlagsError(SuiteError):
    """The narrative-flags artefact is damaged or of another format."""

    code = "narrative_flags"


@dataclass(frozen=True)
class FamilyThresholds:
    """Calibration and thresholds of one family."""

    scale: float
    shift: float  # a score s has probability 1 / (1 + exp(-(scale * s + shift))) (Platt, 1999)
    shown: float  # probability from which a sentence is a flag
    strong: float | None  # probability from which a person is asked; None for never
    cued: float  # weight of a cue, relative to all words


@dataclass(frozen=True)
class FlagsManifest(DigestManifest):
    """Description of the model."""

    FILE = "flags.json"
    ERROR = FlagsError
    REQUIRED = (DATA_FILE,)

    families: Mapping[str, Mapping[str, float | None]]
    sentences: int
    companies: int
    licence: str


@dataclass(frozen=True)
class FlagModel(OptionalModel):
    """The learned model in memory. Thread-safe."""

    NAME = NAME
    FALLBACK = "triage reads no sentences"

    weight: Floats  # [PLACES, families]
    bias: Floats  # [families]
    rarity: Floats  # [PLACES]
    families: Mapping[str, FamilyThresholds]  # in the order of the columns
    version: str = ""

    @classmethod
    def load(cls, artefacts: Path) -> FlagModel:
        folder, manifest = FlagsManifest.open_newest(artefacts, NAME)
        families = {
            name: FamilyThresholds(**numbers)  # type: ignore[arg-type]
            for name, numbers in manifest.families.items()
        }
        with np.load(folder / DATA_FILE, allow_pickle=False) as data:
            arrays = (data[name].astype(np.float32) for name in ("weight", "bias", "rarity"))
            weight, bias, rarity = arrays
        if weight.shape != (PLACES, len(families)) or not set(families) <= set(BY_NAME):
            raise FlagsError(f"{folder} was trained for other families: train it again")
        return cls(weight, bias, rarity, families, manifest.version)

    @property
    def model(self) -> Model:
        return Model(NAME, self.version)

    def probability(self, sentence: str, family: str) -> float:
        """Probability that a sentence with a keyword of a family states it about the company,
        rounded to four digits."""
        column = list(self.families).index(family)
        thresholds = self.families[family]
        buckets, values = vector(sentence, family, self.rarity, thresholds.cued)
        score = float(values @ self.weight[buckets, column]) + float(self.bias[column])
        return round(1.0 / (1.0 + math.exp(-(thresholds.scale * score + thresholds.shift))), 4)


def write(folder: Path, narrative: FlagModel, **more: Any) -> FlagsManifest:
    """Write an artefact into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / DATA_FILE).open("wb") as file:
        np.savez_compressed(
            file,
            weight=narrative.weight.astype(np.float16),
            bias=narrative.bias.astype(np.float32),
            rarity=narrative.rarity.astype(np.float16),
        )
    digests = {DATA_FILE: sha256(folder / DATA_FILE)}
    families = {name: asdict(found) for name, found in narrative.families.items()}
    manifest = FlagsManifest(
        FlagsManifest.FORMAT, NAME, narrative.version, digests, families, **more
    )
    manifest.write(folder)
    return manifest
