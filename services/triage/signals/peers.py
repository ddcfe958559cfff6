"""The usual ranges of ratios among companies, learned from filings (models/triage_peers).

The artefact has the labels of lines that ratios need, and percentiles of each ratio's level and
yearly change, each company counting as one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.triage.domain import Model
from services.triage.signals.figures import Length
from shared.artefacts.loader import DigestManifest, OptionalModel, sha256
from shared.errors import SuiteError

NAME = "triage-peers"
PEERS_FILE = "peers.json.gz"
PERCENTILES = (1.0, 2.5, 5.0, 25.0, 50.0, 75.0, 95.0, 97.5, 99.0)  # percentiles over companies
LOW, MIDDLE, HIGH = 1, 4, 7  # of the usual range: 19 of 20 companies
LEAST_COMPANIES = 40  # companies that a usual range needs


class PeersError(SuiteError):
    """The triage-peers artefact is damaged or of another format."""

    code = "triage_peers"


@dataclass(frozen=True)
class Distribution:
    """The distribution of a number over companies: their count, and `PERCENTILES`."""

    companies: int
    percentiles: tuple[float, ...]

    @property
    def low(self) -> float:
        """Lower end of the usual range."""
        return self.percentiles[LOW]

    @property
    def median(self) -> float:
        return self.percentiles[MIDDLE]

    @property
    def high(self) -> float:
        """Upper end of the usual range."""
        return self.percentiles[HIGH]

    def distance(self, value: float) -> float:
        """The distance from the median: 1 at the end of the usual range."""
        side = self.high - self.median if value >= self.median else self.median - self.low
        away = abs(value - self.median)
        return away / side if side > 0 else float(away > 0)


@dataclass(frozen=True)
class PeersManifest(DigestManifest):
    """Description of the model."""

    FILE = "peers.json"
    ERROR = PeersError
    REQUIRED = (PEERS_FILE,)

    strong: float  # distance at which a signal becomes strong
    filings: int
    companies: int
    provenance: str
    licence: str


@dataclass(frozen=True)
class Peers(OptionalModel):
    """The usual ranges in memory. Thread-safe."""

    NAME = NAME
    FALLBACK = "triage gives no signals"

    labels: Mapping[str, str]  # `statement|label` -> figure
    spreads: Mapping[str, Distribution]  # `ratio|length|level or change` -> distribution
    strong: float
    version: str = ""

    @classmethod
    def load(cls, artefacts: Path) -> Peers:
        folder, manifest = PeersManifest.open_newest(artefacts, NAME)
        content = json.loads(gzip.decompress((folder / PEERS_FILE).read_bytes()))
        spreads = {
            key: Distribution(n, tuple(values)) for key, (n, values) in content["spreads"].items()
        }
        return cls(content["labels"], spreads, manifest.strong, manifest.version)

    @property
    def model(self) -> Model:
        return Model(NAME, self.version)

    def figure(self, kind: str, label: str) -> str:
        """The figure of a label; empty if no ratio uses it."""
        return self.labels.get(f"{kind}|{label}", "")

    def spread(self, ratio: str, length: Length, what: str) -> Distribution | None:
        """The distribution of a ratio's `level` or `change`; None with too few companies."""
        spread = self.spreads.get(f"{ratio}|{length}|{what}")
        return spread if spread and spread.companies >= LEAST_COMPANIES else None


def write(folder: Path, peers: Peers, **more: Any) -> PeersManifest:
    """Write an artefact into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "labels": dict(sorted(peers.labels.items())),
        "spreads": {
            key: [spread.companies, [round(value, 5) for value in spread.percentiles]]
            for key, spread in sorted(peers.spreads.items())
        },
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    (folder / PEERS_FILE).write_bytes(gzip.compress(text.encode(), mtime=0))
    digests = {PEERS_FILE: sha256(folder / PEERS_FILE)}
    manifest = PeersManifest(
        PeersManifest.FORMAT, NAME, peers.version, digests, peers.strong, **more
    )
    manifest.write(folder)
    return manifest
