"""The specialist `narrative-flags`: whether a sentence asserts a thing of the filer, now.

A linear model on hashed words for each family, numpy alone; models/flags says how it is learned,
and models/narrative-flags/CARD.md how well it does on companies that it has not seen.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.triage.domain import Model
from services.triage.narrative.gate import BY_NAME
from services.triage.narrative.words import PLACES, vector
from shared.artefacts import newest, read_form, require_whole, sha256
from shared.errors import SuiteError

NAME = "narrative-flags"
FORMAT = 1
"""The version of the artefact that this code reads."""
MANIFEST_FILE, DATA_FILE = "flags.json", "flags.npz"

Floats = NDArray[np.float32]

log = logging.getLogger(__name__)


class FlagsError(SuiteError):
    """The artefact of narrative flags is damaged or of another format."""

    code = "narrative_flags"


@dataclass(frozen=True)
class Reads:
    """How the score of one family is read."""

    scale: float
    shift: float
    """A score s is the chance 1 / (1 + exp(-(scale * s + shift))) (Platt, 1999)."""
    shown: float
    """Chance from which on a sentence is a flag."""
    strong: float | None
    """Chance from which on a person is asked; None where that is never done."""
    cued: float
    """What a cue weighs, where all words of a sentence together weigh 1."""


@dataclass(frozen=True)
class Manifest:
    """What the artefact is."""

    format: int
    name: str
    version: str
    sha256: Mapping[str, str]
    families: Mapping[str, Mapping[str, float | None]]
    sentences: int
    companies: int
    licence: str


@dataclass(frozen=True)
class Narrative:
    """What was learned, in memory. Safe from several threads."""

    weight: Floats  # [PLACES, families]
    bias: Floats  # [families]
    rarity: Floats  # [PLACES]
    families: Mapping[str, Reads]
    """In the order of the columns."""
    version: str = ""

    @classmethod
    def load(cls, artefacts: Path) -> Narrative:
        """Load the newest version among the artefacts.

        Raises NoModel if there is none, FlagsError for a damaged one.
        """
        folder = newest(artefacts, NAME, MANIFEST_FILE)
        manifest = read_form(folder / MANIFEST_FILE, Manifest, FORMAT, FlagsError)
        require_whole(folder, [DATA_FILE], manifest.sha256, FlagsError)
        try:
            families = {name: Reads(**found) for name, found in manifest.families.items()}  # type: ignore[arg-type]
            with np.load(folder / DATA_FILE, allow_pickle=False) as data:
                kept = (data[name].astype(np.float32) for name in ("weight", "bias", "rarity"))
                weight, bias, rarity = kept
        except (KeyError, TypeError, ValueError) as error:
            raise FlagsError(f"{folder} can't be read ({error}): restore it") from error
        if weight.shape != (PLACES, len(families)) or not set(families) <= set(BY_NAME):
            raise FlagsError(f"{folder} was learned for other families: make it again")
        return cls(weight, bias, rarity, families, manifest.version)

    @classmethod
    def found(cls, artefacts: Path) -> Narrative | None:
        """Load it; where its folder isn't there no sentence is flagged, and the log says so.

        Raises NoModel for a folder without a version, FlagsError for a damaged one.
        """
        folder = artefacts / NAME
        if not folder.is_dir():
            log.warning("triage reads no sentences: there is no folder %s", folder)
            return None
        return cls.load(artefacts)

    @property
    def model(self) -> Model:
        """What it is."""
        return Model(NAME, self.version)

    def chance(self, sentence: str, family: str) -> float:
        """How likely a sentence asserts it of the filer, to four places, the same everywhere.

        Args:
            sentence: with single blanks.
            family: one of `families`, whose keyword it has.
        """
        column = list(self.families).index(family)
        reads = self.families[family]
        at, values = vector(sentence, family, self.rarity, reads.cued)
        score = float(values @ self.weight[at, column]) + float(self.bias[column])
        return round(1.0 / (1.0 + math.exp(-(reads.scale * score + reads.shift))), 4)


def write(folder: Path, narrative: Narrative, **more: Any) -> Manifest:
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
    manifest = Manifest(FORMAT, NAME, narrative.version, digests, families, **more)
    text = json.dumps(asdict(manifest), indent=1) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return manifest
