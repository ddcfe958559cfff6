"""What a reviewer will change: a forest, learned from decisions that labels make.

models/priority says how it is learned, and models/review-priority/CARD.md how well it orders the
queue of documents that it has not seen, beside confidence alone. Where it is not installed, or
knows nothing of an item, confidence orders.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from services.review.domain import Clause, Item
from shared.artefacts import newest, read_form, require_whole, sha256
from shared.errors import SuiteError
from shared.inference.session import Forest
from shared.listed import COLUMNS, Floats, rows_of

NAME = "review-priority"
FORMAT = 1
"""The version of the artefact that this code reads."""
MANIFEST_FILE, FOREST_FILE = "priority.json", "priority.onnx"
MOST = 1000
"""Clauses of one document that are compared with each other; of more, confidence orders."""
SECONDS, WORDS_A_MINUTE = 10.0, 238.0
"""What an item takes: to look and decide, and to be read."""

Trees = Callable[[Floats], Floats]
"""Takes rows [N, COLUMNS]; returns probabilities [N]."""

log = logging.getLogger(__name__)


class PriorityError(SuiteError):
    """The artefact of review is damaged or of another format."""

    code = "review_model"


@dataclass(frozen=True)
class Manifest:
    """What the artefact is."""

    format: int
    name: str
    version: str
    sha256: Mapping[str, str]
    columns: tuple[str, ...]
    adapter: str
    """The specialist whose clauses it learned from; it knows those of no other."""
    adapter_version: str
    categories: tuple[str, ...]
    """In the order of their numbers."""
    licence: str


@dataclass(frozen=True)
class Priority:
    """What was learned, in memory. Safe from several threads."""

    forest: Trees
    adapter: str
    categories: Mapping[str, int]
    version: str = ""

    @classmethod
    def load(cls, artefacts: Path) -> Priority:
        """Load the newest version among the artefacts.

        Raises NoModel if there is none, PriorityError for a damaged one.
        """
        folder = newest(artefacts, NAME, MANIFEST_FILE)
        manifest = read_manifest(folder / MANIFEST_FILE)
        require_whole(folder, [FOREST_FILE], manifest.sha256, PriorityError)
        if manifest.columns != COLUMNS:
            raise PriorityError(f"{folder} was learned from other columns: make it again")
        numbers = {category: i for i, category in enumerate(manifest.categories)}
        return cls(Forest(folder / FOREST_FILE), manifest.adapter, numbers, manifest.version)

    @classmethod
    def found(cls, artefacts: Path) -> Priority | None:
        """Load it; where its folder isn't there confidence orders alone, and the log says so.

        Raises NoModel for a folder without a version, PriorityError for a damaged one.
        """
        folder = artefacts / NAME
        if not folder.is_dir():
            log.warning("confidence alone orders the queue: there is no folder %s", folder)
            return None
        return cls.load(artefacts)

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{NAME} {self.version}"

    def chances(self, text: str, clauses: Sequence[Clause]) -> list[float | None]:
        """How likely a reviewer rejects or corrects each clause, to four places, the same
        everywhere; None for what it knows nothing of, and for all of more than `MOST`.

        Args:
            text: of the document.
            clauses: all of it, of whichever specialists.
        """
        found: list[float | None] = [None] * len(clauses)
        known = [
            i
            for i, clause in enumerate(clauses)
            if clause.adapter == self.adapter and clause.category in self.categories
        ]
        if 0 < len(known) <= MOST:
            rows = rows_of(text, [clauses[i] for i in known], self.categories)
            for i, chance in zip(known, self.forest(rows), strict=True):
                found[i] = round(float(chance), 4)
        return found


@dataclass(frozen=True)
class Order:
    """By what items wait: how likely a person changes each, and what a mistake in it costs."""

    priority: Priority | None = None
    """What was learned; without it confidence alone tells how likely."""
    weights: Callable[[str], Mapping[str, float]] = lambda _tenant: {}
    """A tenant's weights by category; what is not among them weighs 1."""
    by_time: bool = False
    """Whether a second of review counts, and not an item."""

    def of_clauses(
        self, items: Sequence[Item], clauses: Sequence[Clause], text: str | None
    ) -> list[Item]:
        """Place the items of a document's clauses, one for each, by what was learned of those."""
        chances: Sequence[float | None] = [None] * len(items)
        if self.priority and text is not None:
            chances = self.priority.chances(text, clauses)
        return [
            self.placed(self._told(item, chance))
            for item, chance in zip(items, chances, strict=True)
        ]

    def _told(self, item: Item, chance: float | None) -> Item:
        if self.priority is None or chance is None:
            return item
        return replace(item, chance=chance, ordered_by=self.priority.title)

    def placed(self, item: Item) -> Item:
        """An item with the weight of its category, for each second if time counts."""
        weight = self.weights(item.tenant).get(item.category, 1.0)
        return replace(item, weight=weight / seconds_of(item) if self.by_time else weight)


def seconds_of(item: Item) -> float:
    """How long a person takes for an item: to look and decide, and to read its text.

    Source of the pace: Brysbaert, "How many words do we read per minute?", 2019 (silent reading of
    English non-fiction). The time to decide is assumed.
    """
    return SECONDS + len(item.text.split()) / WORDS_A_MINUTE * 60


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises PriorityError."""
    lists = ("columns", "categories")
    return read_form(path, Manifest, FORMAT, PriorityError, lists)


def write(folder: Path, forest: bytes, version: str, **more: Any) -> Manifest:
    """Write an artefact into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FOREST_FILE).write_bytes(forest)
    digests = {FOREST_FILE: sha256(folder / FOREST_FILE)}
    manifest = Manifest(FORMAT, NAME, version, digests, COLUMNS, **more)
    text = json.dumps(asdict(manifest), indent=1) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return manifest
