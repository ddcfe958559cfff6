"""The order of the queue: a forest predicts changes by reviewers.

It is trained in models/review_priority; its CARD.md has the scores. Without it, or for unknown
items, confidence decides the order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.review.domain import Item
from services.review.results import ClauseItem
from shared.artefacts.loader import DigestManifest, OptionalModel, sha256
from shared.errors import SuiteError
from shared.features.clause_list import COLUMNS, Floats, rows_of
from shared.inference.session import Forest

NAME = "review-priority"
FOREST_FILE = "priority.onnx"
MOST = 1000
"""Documents with more clauses are ordered by confidence."""
SECONDS, WORDS_A_MINUTE = 10.0, 238.0
"""Seconds for a decision, and reading speed."""

Trees = Callable[[Floats], Floats]
"""Takes rows [N, COLUMNS]; returns probabilities [N]."""


class PriorityError(SuiteError):
    """The artefact of review is damaged or of another format."""

    code = "review_model"


@dataclass(frozen=True)
class PriorityManifest(DigestManifest):
    """Description of the model."""

    FILE = "priority.json"
    ERROR = PriorityError
    REQUIRED = (FOREST_FILE,)

    columns: tuple[str, ...]
    adapter: str
    """The specialist whose clauses it learned from; it knows those of no other."""
    adapter_version: str
    categories: tuple[str, ...]
    """In the order of their numbers."""
    licence: str


@dataclass(frozen=True)
class Priority(OptionalModel):
    """The learned model in memory. Safe from several threads."""

    NAME = NAME
    FALLBACK = "confidence alone orders the queue"

    forest: Trees
    adapter: str
    categories: Mapping[str, int]
    version: str = ""

    @classmethod
    def load(cls, artefacts: Path) -> Priority:
        folder, manifest = PriorityManifest.open_newest(artefacts, NAME)
        if manifest.columns != COLUMNS:
            raise PriorityError(f"{folder} was trained with other columns: train it again")
        numbers = {category: i for i, category in enumerate(manifest.categories)}
        return cls(Forest(folder / FOREST_FILE), manifest.adapter, numbers, manifest.version)

    @property
    def title(self) -> str:
        return f"{NAME} {self.version}"

    def chances(self, text: str, clauses: Sequence[ClauseItem]) -> list[float | None]:
        """Return the probability that a reviewer changes each clause, rounded to four places.

        None for clauses of other specialists, and for all of more than `MOST`.

        Args:
            text: of the document.
            clauses: all clauses of the document.
        """
        chances: list[float | None] = [None] * len(clauses)
        known = [
            i
            for i, clause in enumerate(clauses)
            if clause.adapter == self.adapter and clause.category in self.categories
        ]
        if 0 < len(known) <= MOST:
            rows = rows_of(text, [clauses[i] for i in known], self.categories)
            for i, chance in zip(known, self.forest(rows), strict=True):
                chances[i] = round(float(chance), 4)
        return chances


@dataclass(frozen=True)
class Order:
    """The order of items: probability of a change, and cost of a mistake."""

    priority: Priority | None = None
    """The learned model; None: confidence is used."""
    weights: Callable[[str], Mapping[str, float]] = lambda _tenant: {}
    """A tenant's weights by category; default 1."""
    by_time: bool = False
    """Whether the cost counts per second of review."""

    def place_clauses(
        self, items: Sequence[Item], clauses: Sequence[ClauseItem], text: str | None
    ) -> list[Item]:
        chances: Sequence[float | None] = [None] * len(items)
        if self.priority and text is not None:
            chances = self.priority.chances(text, clauses)
        return [
            self.place(self._with_chance(item, chance))
            for item, chance in zip(items, chances, strict=True)
        ]

    def _with_chance(self, item: Item, chance: float | None) -> Item:
        if self.priority is None or chance is None:
            return item
        return replace(item, chance=chance, ordered_by=self.priority.title)

    def place(self, item: Item) -> Item:
        weight = self.weights(item.tenant).get(item.category, 1.0)
        return replace(item, weight=weight / seconds_of(item) if self.by_time else weight)


def seconds_of(item: Item) -> float:
    """Return the expected seconds of review.

    Source of the reading speed: Brysbaert, "How many words do we read per minute?", 2019. The time
    of a decision is assumed.
    """
    return SECONDS + len(item.text.split()) / WORDS_A_MINUTE * 60


def write(folder: Path, forest: bytes, version: str, **more: Any) -> PriorityManifest:
    """Write an artefact into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FOREST_FILE).write_bytes(forest)
    digests = {FOREST_FILE: sha256(folder / FOREST_FILE)}
    manifest = PriorityManifest(PriorityManifest.FORMAT, NAME, version, digests, COLUMNS, **more)
    manifest.write(folder)
    return manifest
