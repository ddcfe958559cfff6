"""What each line of a statement is: its us-gaap concept, from its label and its neighbours.

A linear model on hashed words: those of the label and of the lines around it, and the heading
above, each crossed with the statement, fall into places by their CRC-32 (Weinberger et al., 2009).
The mean of the places goes through a matrix of low rank to one softmax over the concepts (fastText;
Joulin et al., 2017). Values are not read. models/lines says how it is learned, and
models/line-concepts/CARD.md how well it does. An adapter that reads statements whole may come with
it (services/triage/together.py).
"""

from __future__ import annotations

import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.triage.domain import Model
from services.triage.statements import EQUITY, Filing, Row, Statement
from shared.artefacts import newest, read_form, require_whole, sha256
from shared.errors import SuiteError
from shared.linear import place_of, with_pairs, words_of

NAME = "line-concepts"
FORMAT = 1
"""The version of the artefact that this code reads."""
MANIFEST_FILE, DATA_FILE = "names.json", "names.npz"
KINDS = ("balance_sheet", "income", "cash_flow")
"""Statements whose lines are named."""
PLACES = 1 << 15
AROUND = (-2, -1, 1, 2)
"""Lines around a line that are looked at."""
MOST_LINES = 1_000
"""Lines of one statement; no company files one with more."""
MOST_WORDS = 200
"""Words of a label that are read: each line is told of those around it and of the heading above."""
OWN = "own"
"""The label of lines that are the company's own, or that few companies have."""
LEAST, MOST = 1e-4, 1 - 1e-4
"""Chances are kept from 0 and 1 before they are mapped to confidences."""
TOP = 5
"""Likeliest labels that are looked at."""
READER = "reader"
"""The adapter that comes with the model lies in `<version>/reader/<version>/`."""

Floats = NDArray[np.float32]
Said = Sequence[tuple[str, float]]
"""The likeliest labels with their chances, the first first."""

log = logging.getLogger(__name__)


class NamesError(SuiteError):
    """The artefact of names is damaged or of another format."""

    code = "triage_names"


@dataclass(frozen=True)
class Manifest:
    """What the artefact is."""

    format: int
    name: str
    version: str
    data_sha256: str
    labels: tuple[str, ...]
    offset: float
    """Platt's map from the log odds of a chance to those of a confidence: offset and slope."""
    slope: float
    companies: int
    """Whose filings were learned from."""
    licence: str
    reader: Mapping[str, str] = field(default_factory=dict)
    """Files of the adapter that came with it, with their hashes; none if there is none."""
    both_offset: float = 0.0
    """Platt's map for what the model and its adapter say together: offset and slope."""
    both_slope: float = 1.0


@dataclass(frozen=True, slots=True)
class Named:
    """What a line is taken for, and how likely that is right."""

    name: str
    confidence: float

    def to_json(self) -> dict[str, Any]:
        """As the command line and REST have it."""
        return {"name": self.name, "confidence": self.confidence}


class Naming(ABC):
    """Says what the lines of a statement are."""

    @abstractmethod
    def names(self, statement: Statement) -> tuple[Named | None, ...]:
        """What each row is; None for headings, and for all rows of a statement of another kind."""

    @property
    @abstractmethod
    def quick(self) -> Naming:
        """What names thousands of filings in minutes."""

    def show(self, filing: Filing, form: dict[str, Any]) -> dict[str, Any]:
        """The form of a filing with the concept of every line; it may show more than is checked."""
        read = iter([one for one in filing.statements if one.statement != EQUITY])
        shown = [
            statement if statement["statement"] == EQUITY else self._shown(statement, next(read))
            for statement in form["statements"]
        ]
        return {**form, "statements": shown}

    def _shown(self, statement: dict[str, Any], read: Statement) -> dict[str, Any]:
        names = zip(statement["rows"], self.names(read), strict=True)
        rows = [{**row, "concept": name.to_json()} if name else row for row, name in names]
        return {**statement, "rows": rows}


class Namer(Naming):
    """The model in memory. Safe from several threads."""

    def __init__(
        self,
        manifest: Manifest,
        bag: Floats,
        head: Floats,
        bias: Floats,
        folder: Path | None = None,
    ) -> None:
        """Take the numbers: `bag` [places, rank], `head` [rank, labels], `bias` [labels]; and the
        folder that they came from.
        """
        self.manifest = manifest
        self.reader = folder / READER / manifest.version if folder and manifest.reader else None
        """The folder of the adapter that came with it."""
        self._bag, self._head, self._bias = bag, head, bias

    @classmethod
    def load(cls, artefacts: Path) -> Namer:
        """Load the newest version.

        Raises NoModel if there is none, NamesError for a damaged one.
        """
        folder = newest(artefacts, NAME, MANIFEST_FILE)
        manifest = read_form(folder / MANIFEST_FILE, Manifest, FORMAT, NamesError, ("labels",))
        digests = {**manifest.reader, DATA_FILE: manifest.data_sha256}
        require_whole(folder, digests, digests, NamesError)
        with np.load(folder / DATA_FILE, allow_pickle=False) as data:
            bag, head, bias = (data[key].astype(np.float32) for key in ("bag", "head", "bias"))
        return cls(manifest, bag, head, bias, folder)

    @classmethod
    def found(cls, artefacts: Path) -> Namer | None:
        """Load it; where its folder isn't there no line is named, and the log says so.

        Raises NoModel for a folder without a version, NamesError for a damaged one.
        """
        folder = artefacts / NAME
        if not folder.is_dir():
            log.warning("lines of statements are not named: there is no folder %s", folder)
            return None
        return cls.load(artefacts)

    @property
    def model(self) -> Model:
        """What it is."""
        return Model(NAME, self.manifest.version)

    @property
    def quick(self) -> Naming:
        """Itself."""
        return self

    def names(self, statement: Statement) -> tuple[Named | None, ...]:
        """See Naming."""
        return tuple(
            named(said, self.manifest.offset, self.manifest.slope) if said else None
            for said in self.said(statement)
        )

    def said(self, statement: Statement) -> tuple[Said | None, ...]:
        """The likeliest labels of each row; None where `names` has None."""
        rows = statement.rows
        if statement.statement not in KINDS or len(rows) > MOST_LINES:
            return (None,) * len(rows)
        headings = [_is_heading(row) for row in rows]
        sheet = Lines(statement.statement, [row.label for row in rows], headings)
        return tuple(
            None
            if headings[row]
            else likeliest(self.manifest.labels, self.chances(sheet.places(row)))
            for row in range(len(rows))
        )

    def chances(self, places: NDArray[np.int64]) -> Floats:
        """How likely each label is [labels] for a line with its places."""
        logits = self._bag[places].mean(0) @ self._head + self._bias
        odds = np.exp(logits - logits.max())
        shares: Floats = odds / odds.sum()
        return shares


def likeliest(labels: Sequence[str], chances: Floats) -> Said:
    """The labels with the highest chances [labels], of equal ones the first."""
    best = (-chances).argsort(kind="stable")[:TOP]
    return [(labels[i], float(chances[i])) for i in best]


def named(said: Said, offset: float, slope: float) -> Named:
    """The likeliest label, and what was learned of such chances on companies not seen."""
    label, chance = said[0]
    chance = min(max(chance, LEAST), MOST)
    odds = offset + slope * math.log(chance / (1 - chance))
    return Named(label, round(1 / (1 + math.exp(-odds)), 2))


class Lines:
    """The labels of a statement in words, for what is said of each line."""

    def __init__(self, kind: str, labels: Sequence[str], headings: Sequence[bool]) -> None:
        """Take the statement's kind, the labels of its rows, and which of them have no values."""
        self._kind = kind
        self._words = [words_of(label)[:MOST_WORDS] for label in labels]
        self._above: list[list[str]] = []
        above: list[str] = []
        for words, heading in zip(self._words, headings, strict=True):
            self._above.append(above)
            above = words if heading else above

    def places(self, row: int) -> NDArray[np.int64]:
        """Where what is said of a row falls, each place once."""
        return np.unique([place_of(piece, PLACES) for piece in self._said(row)])

    def _said(self, row: int) -> Iterator[str]:
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


def write(folder: Path, bag: Floats, head: Floats, bias: Floats, **more: Any) -> Manifest:
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
    manifest = Manifest(format=FORMAT, name=NAME, data_sha256=digest, **more)
    text = json.dumps(asdict(manifest), indent=1) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return manifest
