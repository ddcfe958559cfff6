"""Label each line with its us-gaap concept, from its words and its neighbours'.

A linear model on hashed words. The words are those of the label, of the lines around it and of the
heading above, each crossed with the statement. CRC-32 hashes them (Weinberger et al., 2009). Their
mean goes through a matrix of low rank to a softmax over the concepts (fastText; Joulin et al.,
2017). Values are not read. See models/line_concepts/CARD.md.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.triage.domain import Model
from services.triage.statements.model import CHECKED, EQUITY, Filing, Row, Statement
from shared.artefacts.loader import Manifest, OptionalModel, sha256
from shared.errors import SuiteError
from shared.features.linear import place_of, with_pairs, words_of

NAME = "line-concepts"
DATA_FILE = "names.npz"
PLACES = 1 << 15
AROUND = (-2, -1, 1, 2)  # neighbouring lines that are read
MOST_LINES = 1_000  # lines of one statement that are labelled
MOST_WORDS = 200  # words of a label that are read
OWN = "own"  # the label of a company's own lines and of rare ones
LEAST, MOST = 1e-4, 1 - 1e-4  # probabilities are clipped to these before calibration
EVEN = 0.5  # probability of `OWN` from which a line is unusual
TOP = 5  # candidates per line
READER = "reader"  # folder of the adapter: `<version>/reader/<version>/`

Floats = NDArray[np.float32]
Candidates = Sequence[tuple[str, float]]  # the likeliest labels with their probabilities, in order


class NamesError(SuiteError):
    """The line-concepts artefact is damaged or of another format."""

    code = "triage_names"


@dataclass(frozen=True)
class ConceptsManifest(Manifest):
    """The manifest of the artefact."""

    FILE = "names.json"
    ERROR = NamesError

    data_sha256: str
    labels: tuple[str, ...]
    offset: float  # Platt calibration of log odds: offset and slope
    slope: float
    companies: int  # companies in the training data
    licence: str
    reader: Mapping[str, str] = field(default_factory=dict)  # files of the adapter and their hashes
    both_offset: float = 0.0  # Platt calibration of the ensemble: offset and slope
    both_slope: float = 1.0

    @property
    def digests(self) -> Mapping[str, str]:
        return {**self.reader, DATA_FILE: self.data_sha256}


@dataclass(frozen=True, slots=True)
class ConceptLabel:
    """The concept of a line and its confidence."""

    name: str
    confidence: float

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "confidence": self.confidence}


class ConceptLabeller(ABC):
    """Labels the lines of a statement."""

    @abstractmethod
    def names(self, statement: Statement) -> tuple[ConceptLabel | None, ...]:
        """The concept of each row; None for headings and unsupported statements."""

    @property
    @abstractmethod
    def fast(self) -> ConceptLabeller:
        """A labeller that can label thousands of filings in minutes."""

    @abstractmethod
    def usual_lines(self, statement: Statement) -> Sequence[bool]:
        """Whether each row is likelier a us-gaap concept than a line of the company's own.

        Its neighbours may tell, or its words alone. Headings are unusual.
        """

    def add_concepts(self, filing: Filing, form: dict[str, Any]) -> dict[str, Any]:
        """Add the concepts to a filing's JSON, which may show more statements than are checked."""
        read = iter([statement for statement in filing.statements if statement.statement != EQUITY])
        statements = [
            statement if statement["statement"] == EQUITY else self._shown(statement, next(read))
            for statement in form["statements"]
        ]
        return {**form, "statements": statements}

    def _shown(self, statement: dict[str, Any], read: Statement) -> dict[str, Any]:
        names = zip(statement["rows"], self.names(read), strict=True)
        rows = [{**row, "concept": name.to_json()} if name else row for row, name in names]
        return {**statement, "rows": rows}


class LinearLabeller(ConceptLabeller, OptionalModel):
    """The linear model in memory. Thread-safe."""

    NAME = NAME
    FALLBACK = "lines of statements are not named"

    def __init__(
        self,
        manifest: ConceptsManifest,
        bag: Floats,
        head: Floats,
        bias: Floats,
        folder: Path | None = None,
    ) -> None:
        """Store the weights: `bag` [buckets, rank], `head` [rank, labels], `bias` [labels]."""
        self.manifest = manifest
        self.reader = folder / READER / manifest.version if folder and manifest.reader else None
        """The folder of the adapter that came with it."""
        self._bag, self._head, self._bias = bag, head, bias

    @classmethod
    def load(cls, artefacts: Path) -> LinearLabeller:
        """Load the newest version. Raises NoModel without one, NamesError for a damaged one."""
        folder, manifest = ConceptsManifest.open_newest(artefacts, NAME)
        with np.load(folder / DATA_FILE, allow_pickle=False) as data:
            bag, head, bias = (data[key].astype(np.float32) for key in ("bag", "head", "bias"))
        return cls(manifest, bag, head, bias, folder)

    @property
    def model(self) -> Model:
        return Model(NAME, self.manifest.version)

    @property
    def fast(self) -> ConceptLabeller:
        return self

    def names(self, statement: Statement) -> tuple[ConceptLabel | None, ...]:
        offset, slope = self.manifest.offset, self.manifest.slope
        return tuple(calibrated_label(top, offset, slope) for top in self.candidates(statement))

    def candidates(self, statement: Statement) -> tuple[Candidates | None, ...]:
        """The candidates of each row; None where `names` has None."""
        rows = statement.rows
        if statement.statement not in CHECKED or len(rows) > MOST_LINES:
            return (None,) * len(rows)
        headings = [_is_heading(row) for row in rows]
        features = LineFeatures(statement.statement, [row.label for row in rows], headings)
        labels = self.manifest.labels
        return tuple(
            None if heading else top_labels(labels, self.probabilities(features.places(row)))
            for row, heading in enumerate(headings)
        )

    def usual_lines(self, statement: Statement) -> Sequence[bool]:
        if len(statement.rows) > MOST_LINES:
            return [False] * len(statement.rows)
        return [
            _is_usual(among) or _is_usual(*self.candidates(replace(statement, rows=(row,))))
            for row, among in zip(statement.rows, self.candidates(statement), strict=True)
        ]

    def probabilities(self, places: NDArray[np.int64]) -> Floats:
        """The probability of each label [labels] for the buckets of a line."""
        logits = self._bag[places].mean(0) @ self._head + self._bias
        odds = np.exp(logits - logits.max())
        shares: Floats = odds / odds.sum()
        return shares


def _is_usual(candidates: Candidates | None) -> bool:
    return bool(candidates) and dict(candidates or ()).get(OWN, 0.0) < EVEN


def top_labels(labels: Sequence[str], probabilities: Floats) -> Candidates:
    """The labels with the highest probabilities [labels]; ties in label order."""
    best = (-probabilities).argsort(kind="stable")[:TOP]
    return [(labels[i], float(probabilities[i])) for i in best]


def calibrated_label(
    candidates: Candidates | None, offset: float, slope: float
) -> ConceptLabel | None:
    """The likeliest label with its calibrated confidence; None without candidates."""
    if not candidates:
        return None
    label, probability = candidates[0]
    probability = min(max(probability, LEAST), MOST)
    odds = offset + slope * math.log(probability / (1 - probability))
    return ConceptLabel(label, round(1 / (1 + math.exp(-odds)), 2))


class LineFeatures:
    """The hashed features of the lines of a statement."""

    def __init__(self, kind: str, labels: Sequence[str], headings: Sequence[bool]) -> None:
        self._kind = kind
        self._words = [words_of(label)[:MOST_WORDS] for label in labels]
        self._above: list[list[str]] = []
        above: list[str] = []
        for words, heading in zip(self._words, headings, strict=True):
            self._above.append(above)
            above = words if heading else above

    def places(self, row: int) -> NDArray[np.int64]:
        """The distinct buckets of a row's features."""
        return np.unique([place_of(piece, PLACES) for piece in self._features(row)])

    def _features(self, row: int) -> Iterator[str]:
        kind, own = self._kind, self._words[row]
        yield kind
        yield f"{kind} is {' '.join(own)}"
        for piece in with_pairs(own):
            yield piece
            yield f"{kind} {piece}"
        for apart in AROUND:
            if 0 <= row + apart < len(self._words):
                for word in self._words[row + apart]:
                    yield f"{kind} {apart} {word}"
        for word in self._above[row]:
            yield f"{kind} under {word}"
        yield f"{kind} at {min(9, 10 * row // len(self._words))}"


def _is_heading(row: Row) -> bool:
    return row.heading or all(value is None for value in row.values)


def write(folder: Path, bag: Floats, head: Floats, bias: Floats, **more: Any) -> ConceptsManifest:
    """Write an artefact into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / DATA_FILE).open("wb") as file:
        np.savez_compressed(
            file,
            bag=bag.astype(np.float16),
            head=head.astype(np.float16),
            bias=bias.astype(np.float32),
        )
    digest = sha256(folder / DATA_FILE)
    more = {"format": ConceptsManifest.FORMAT, "name": NAME, "data_sha256": digest, **more}
    manifest = ConceptsManifest(**more)
    manifest.write(folder)
    return manifest
