"""Two models of line names: exact lookup of the label, and the linear model that ships.

services/triage/concepts/linear.py has the features of the linear model and its arithmetic.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import EmbeddingBag
from torch.nn.functional import cross_entropy

from models.line_concepts.corpus import Sheet
from services.triage.concepts.linear import OWN, PLACES, TOP, LineFeatures
from services.triage.relations.learned_sums import label_words

RANK, BATCH = 96, 128

Floats = NDArray[np.float32]
Line = tuple[Sheet, int]
"""A row of a statement."""


@dataclass(frozen=True)
class Lookup:
    """The concept for which most companies use a label of a statement."""

    votes: Mapping[tuple[str, str], Counter[str]]

    @classmethod
    def learn(cls, sheets: Iterable[Sheet], labels: Sequence[str]) -> Lookup:
        """Count each company once for a label and concept."""
        allowed = frozenset(labels)
        users: dict[tuple[str, str], set[tuple[int, str]]] = defaultdict(set)
        for sheet in sheets:
            for label, concept in zip(sheet.labels, sheet.concepts, strict=True):
                if concept is not None:
                    name = concept if concept in allowed else OWN
                    users[sheet.kind, label_words(label)].add((sheet.company, name))
        return cls({key: Counter(name for _, name in sorted(some)) for key, some in users.items()})

    def of(self, kind: str, label: str) -> tuple[str | None, int]:
        """Return the concept of a label, and how many companies use the label.

        None and 0 if the label is unknown.
        """
        result = self.votes.get((kind, label_words(label)))
        return (result.most_common(1)[0][0], result.total()) if result else (None, 0)


class Linear:
    """The linear model, for training and prediction."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = list(labels)
        self._bag = EmbeddingBag(PLACES, RANK, mode="mean", sparse=True)
        self._head = torch.nn.Linear(RANK, len(labels))
        torch.nn.init.zeros_(self._head.weight)

    def fit(self, lines: Sequence[Line], settings: Mapping[str, Any]) -> None:
        """Train on rows with concepts by `epochs`, `learning_rate` of Adam and `seed`."""
        number = {label: i for i, label in enumerate(self.labels)}
        rows = [_places(sheet, row) for sheet, row in lines]
        targets = torch.tensor(
            [number.get(str(sheet.concepts[row]), number[OWN]) for sheet, row in lines]
        )
        torch.manual_seed(settings["seed"])
        torch.nn.init.normal_(self._bag.weight)
        rate = settings["learning_rate"]
        sparse = torch.optim.SparseAdam(list(self._bag.parameters()), lr=rate)
        both = sparse, torch.optim.Adam(self._head.parameters(), lr=rate)
        draw = np.random.default_rng(settings["seed"])
        for _ in range(settings["epochs"]):
            order = draw.permutation(len(rows))
            for first in range(0, len(rows), BATCH):
                some = order[first : first + BATCH]
                loss = cross_entropy(self._logits([rows[i] for i in some]), targets[some])
                loss.backward()
                for optimizer in both:
                    optimizer.step()
                    optimizer.zero_grad()

    def __call__(self, lines: Sequence[Line]) -> Iterator[list[list[Any]]]:
        """Yield the likeliest labels of each row with their probabilities, the likeliest first."""
        for first in range(0, len(lines), BATCH):
            some = [_places(sheet, row) for sheet, row in lines[first : first + BATCH]]
            with torch.no_grad():
                best = self._logits(some).softmax(1).topk(min(TOP, len(self.labels)), 1)
            for result, at in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                yield [[self.labels[i], round(c, 4)] for i, c in zip(at, result, strict=True)]

    def numbers(self) -> tuple[Floats, Floats, Floats]:
        """Return the content of the artefact: bag, head [rank, labels], bias."""
        head = self._head.weight.detach().numpy().T
        return self._bag.weight.detach().numpy(), head, self._head.bias.detach().numpy()

    def _logits(self, rows: Sequence[NDArray[np.int64]]) -> torch.Tensor:
        offsets = np.cumsum([0, *(len(row) for row in rows[:-1])])
        places = torch.from_numpy(np.concatenate(rows))
        logits: torch.Tensor = self._head(self._bag(places, torch.from_numpy(offsets)))
        return logits


@lru_cache(maxsize=16)
def _lines(sheet: Sheet) -> LineFeatures:
    return LineFeatures(sheet.kind, sheet.labels, [concept is None for concept in sheet.concepts])


def _places(sheet: Sheet, row: int) -> NDArray[np.int64]:
    return _lines(sheet).places(row)
