"""What is usual among companies: a small artefact, learned from filings (models/triage/peers.py).

It has what companies call the lines that ratios are made of, and for each ratio the percentiles of
its level and of its change within a year, each company counting as one.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.triage.domain import Model
from services.triage.signals.figures import Length
from shared.artefacts import newest, read_form, require_whole, sha256
from shared.errors import SuiteError

NAME = "triage-peers"
FORMAT = 1
"""The version of the artefact that this code reads."""
MANIFEST_FILE, PEERS_FILE = "peers.json", "peers.json.gz"
PERCENTILES = (1.0, 2.5, 5.0, 25.0, 50.0, 75.0, 95.0, 97.5, 99.0)
"""Of companies, from the least to the largest."""
LOW, MIDDLE, HIGH = 1, 4, 7
"""Where in them the bounds of the usual are, 19 of 20 companies between them, and the median."""
LEAST_COMPANIES = 40
"""With fewer nothing is said of what is usual."""

log = logging.getLogger(__name__)


class PeersError(SuiteError):
    """The artefact of what is usual is damaged or of another format."""

    code = "triage_peers"


@dataclass(frozen=True)
class Spread:
    """How a number is spread over companies: their count, and `PERCENTILES` of them."""

    companies: int
    percentiles: tuple[float, ...]

    @property
    def low(self) -> float:
        """What one company in forty lies below."""
        return self.percentiles[LOW]

    @property
    def median(self) -> float:
        """Half of the companies lie below."""
        return self.percentiles[MIDDLE]

    @property
    def high(self) -> float:
        """What one company in forty lies above."""
        return self.percentiles[HIGH]

    def distance(self, value: float) -> float:
        """How far a number is from the median: 1 at the bound of the usual on its side."""
        side = self.high - self.median if value >= self.median else self.median - self.low
        away = abs(value - self.median)
        return away / side if side > 0 else float(away > 0)


@dataclass(frozen=True)
class Manifest:
    """What the artefact is."""

    format: int
    name: str
    version: str
    sha256: Mapping[str, str]
    strong: float
    """Distance from which on a signal is strong."""
    filings: int
    companies: int
    provenance: str
    licence: str


@dataclass(frozen=True)
class Peers:
    """What is usual, in memory. Safe from several threads."""

    labels: Mapping[str, str]
    """`statement|label` -> figure."""
    spreads: Mapping[str, Spread]
    """`ratio|length|level or change` -> how it is spread."""
    strong: float
    version: str = ""

    @classmethod
    def load(cls, artefacts: Path) -> Peers:
        """Load the newest version among the artefacts.

        Raises NoModel if there is none, PeersError for a damaged one.
        """
        folder = newest(artefacts, NAME, MANIFEST_FILE)
        manifest = _manifest(folder / MANIFEST_FILE)
        require_whole(folder, [PEERS_FILE], manifest.sha256, PeersError)
        known = json.loads(gzip.decompress((folder / PEERS_FILE).read_bytes()))
        spreads = {key: Spread(n, tuple(values)) for key, (n, values) in known["spreads"].items()}
        return cls(known["labels"], spreads, manifest.strong, manifest.version)

    @classmethod
    def found(cls, artefacts: Path) -> Peers | None:
        """Load it; where its folder isn't there no signals are given, and the log says so.

        Raises NoModel for a folder without a version, PeersError for a damaged one.
        """
        folder = artefacts / NAME
        if not folder.is_dir():
            log.warning("triage gives no signals: there is no folder %s", folder)
            return None
        return cls.load(artefacts)

    @property
    def model(self) -> Model:
        """What it is."""
        return Model(NAME, self.version)

    def figure(self, kind: str, label: str) -> str:
        """What figure a label of a statement stands for; empty if none that is looked at."""
        return self.labels.get(f"{kind}|{label}", "")

    def spread(self, ratio: str, length: Length, what: str) -> Spread | None:
        """How a ratio's `level` or `change` is spread; None if too few companies show it."""
        found = self.spreads.get(f"{ratio}|{length}|{what}")
        return found if found and found.companies >= LEAST_COMPANIES else None


def _manifest(path: Path) -> Manifest:
    """Read a manifest. Raises PeersError."""
    return read_form(path, Manifest, FORMAT, PeersError)


def write(folder: Path, peers: Peers, **more: Any) -> Manifest:
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
    manifest = Manifest(FORMAT, NAME, peers.version, digests, peers.strong, **more)
    text = json.dumps(asdict(manifest), indent=1) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return manifest
