"""How likely each doubt is right: a forest, learned from errors put into sound filings.

The filing's risk is that of its likeliest doubt (models/triage says how it is learned, and
models/triage-breaks/CARD.md how well it does on companies that it has not seen).
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.triage.domain import RULES, Model
from services.triage.doubts import COLUMNS, Doubt
from services.triage.experience import Experience
from shared.artefacts import newest, read_form, require_whole, sha256
from shared.errors import SuiteError
from shared.inference.session import Forest

NAME = "triage-breaks"
FORMAT = 2
"""The version of the artefact that this code reads."""
MANIFEST_FILE, FOREST_FILE, EXPERIENCE_FILE = "forest.json", "breaks.onnx", "experience.json.gz"

GUARANTEE_FILE = "guarantee.npz"
"""What is known of its mistakes; an artefact without it promises nothing."""

BELIEVED = 0.5
"""Confidence by hand from which on a rule believes a doubt."""

Floats = NDArray[np.float32]
Trees = Callable[[Floats], Floats]
"""Takes rows [N, COLUMNS]; returns probabilities [N]."""

log = logging.getLogger(__name__)


class RiskError(SuiteError):
    """The artefact of triage is damaged or of another format."""

    code = "triage_model"


@dataclass(frozen=True)
class Manifest:
    """What the artefact is."""

    format: int
    name: str
    version: str
    sha256: Mapping[str, str]
    columns: tuple[str, ...]
    flagged: float
    """Chance from which on a filing is flagged."""
    shown: float
    """Chance from which on a doubt is a finding."""
    unbelieved: float
    """What is kept of the chance of a doubt that no rule believes, where filings are whole."""
    headlines: float
    """Times the odds of a doubt among headlines alone, so that sound ones are flagged as seldom."""
    licence: str


@dataclass(frozen=True)
class Judge:
    """What was learned, in memory. Safe from several threads."""

    experience: Experience
    forest: Trees
    flagged: float
    shown: float
    unbelieved: float = 1.0
    headlines: float = 1.0
    version: str = ""
    guarantee: bytes | None = field(default=None, repr=False)
    """What is known of its mistakes (`guarantee.py`); None if nothing is."""

    @classmethod
    def load(cls, artefacts: Path) -> Judge:
        """Load the newest version among the artefacts.

        Raises NoModel if there is none, RiskError for a damaged one.
        """
        folder = newest(artefacts, NAME, MANIFEST_FILE)
        manifest = read_manifest(folder / MANIFEST_FILE)
        promised = GUARANTEE_FILE in manifest.sha256
        files = [FOREST_FILE, EXPERIENCE_FILE, *([GUARANTEE_FILE] if promised else ())]
        require_whole(folder, files, manifest.sha256, RiskError)
        if manifest.columns != COLUMNS:
            raise RiskError(f"{folder} was learned from other columns: make it again")
        known = json.loads(gzip.decompress((folder / EXPERIENCE_FILE).read_bytes()))
        return cls(
            Experience(**known),
            Forest(folder / FOREST_FILE),
            manifest.flagged,
            manifest.shown,
            manifest.unbelieved,
            manifest.headlines,
            manifest.version,
            (folder / GUARANTEE_FILE).read_bytes() if promised else None,
        )

    @classmethod
    def found(cls, artefacts: Path) -> Judge | None:
        """Load it; where its folder isn't there rules decide alone, and the log says so.

        Raises NoModel for a folder without a version, RiskError for a damaged one.
        """
        folder = artefacts / NAME
        if not folder.is_dir():
            log.warning("triage goes by rules alone: there is no folder %s", folder)
            return None
        return cls.load(artefacts)

    @property
    def model(self) -> Model:
        """What it is."""
        return Model(NAME, self.version)

    def chances(self, doubts: Sequence[Doubt]) -> list[float]:
        """How likely each doubt is right, to four places, the same everywhere."""
        if not doubts:
            return []
        rows = np.array([doubt.vector() for doubt in doubts], np.float32)
        found = weighed(rows, self.forest(rows), self.unbelieved, self.headlines)
        return [round(float(chance), 4) for chance in found]


def model_of(judge: Judge | None) -> Model:
    """What judges: it, or rules."""
    return judge.model if judge else RULES


def weighed(rows: Floats, chances: Floats, unbelieved: float, headlines: float) -> Floats:
    """Chances [N] of doubts [N, COLUMNS]: a little less where no rule believes one about a whole
    filing, and in other odds among headlines alone.
    """
    believed = rows[:, COLUMNS.index("by_rule")] >= BELIEVED
    whole = np.where(believed, chances, unbelieved * chances)
    brief = headlines * chances / (1 - chances + headlines * chances)
    found = np.where(rows[:, COLUMNS.index("brief")] > 0, brief, whole)
    return found.astype(np.float32)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises RiskError."""
    return read_form(path, Manifest, FORMAT, RiskError, ("columns",))


def write(
    folder: Path, forest: bytes, experience: Experience, version: str, **more: Any
) -> Manifest:
    """Write an artefact into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(experience.to_json(), sort_keys=True, separators=(",", ":"))
    files = {FOREST_FILE: forest, EXPERIENCE_FILE: gzip.compress(text.encode(), mtime=0)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    digests = {name: sha256(folder / name) for name in files}
    manifest = Manifest(FORMAT, NAME, version, digests, COLUMNS, **more)
    text = json.dumps(asdict(manifest), indent=1) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return manifest
