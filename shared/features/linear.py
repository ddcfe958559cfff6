"""Small linear models on hashed text: numpy only, a few hundred kilobytes, microseconds.

Words and pairs of neighbours fall into buckets by their CRC-32; a matrix maps buckets to labels
(Weinberger et al., 2009). The folder `<name>/<version>` has `linear.npz` and `linear.json`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from shared.artefacts.loader import Manifest, sha256
from shared.errors import SuiteError

DATA_FILE = "linear.npz"

Floats = NDArray[np.float32]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d[\d.,]*|[$£€%]")  # noqa: RUF001


class LinearError(SuiteError):
    """A linear model is damaged or of another format."""

    code = "linear_model"


@dataclass(frozen=True)
class LinearManifest(Manifest):
    """Description of a linear model."""

    FILE = "linear.json"
    ERROR = LinearError

    data_sha256: str
    places: int  # a power of two
    reads: int  # characters from the start of a text
    labels: tuple[str, ...]
    licence: str
    thresholds: Mapping[str, float] = field(default_factory=dict)
    telling: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # typical words

    @property
    def digests(self) -> Mapping[str, str]:
        return {DATA_FILE: self.data_sha256}


@dataclass(frozen=True)
class Prediction:
    """The result for one text."""

    chances: Mapping[str, float]  # of each label, 1 in sum
    known: float  # share of the text's words that are known
    words: int  # of the text
    telling: Mapping[str, float]  # for some labels, the share of words typical of them

    @property
    def label(self) -> str:
        """The likeliest label."""
        return max(self.chances, key=lambda label: self.chances[label])


class Linear:
    """A linear model in memory. Safe to use from several threads."""

    def __init__(self, manifest: LinearManifest, weight: Floats, bias: Floats, met: Any) -> None:
        """Take `weight` [places, labels], `bias` [labels], and `met`, bits of known words."""
        self.manifest, self._weight, self._bias = manifest, weight, bias
        self._met = np.unpackbits(np.asarray(met, np.uint8)).astype(bool)

    @classmethod
    def load(cls, folder: Path) -> Linear:
        """Load the model in a folder. Raises LinearError."""
        manifest = LinearManifest.read(folder)
        manifest.check_files(folder)
        with np.load(folder / DATA_FILE, allow_pickle=False) as data:
            weight = data["weight"].astype(np.float32)
            return cls(manifest, weight, data["bias"].astype(np.float32), data["met"])

    def __call__(self, text: str) -> Prediction:
        """Classify a text by its first `reads` characters."""
        manifest = self.manifest
        words = words_of(text[: manifest.reads])
        places, values = vector(words, manifest.places)
        logits = values @ self._weight[places] + self._bias
        odds = np.exp(logits - logits.max())
        chances = dict(zip(manifest.labels, (odds / odds.sum()).tolist(), strict=True))
        spelled = [word for word in words if word[0].isalpha()]
        met = sum(bool(self._met[place_of(word, len(self._met))]) for word in spelled)
        telling = {label: share_of(spelled, some) for label, some in manifest.telling.items()}
        return Prediction(chances, met / len(spelled) if spelled else 0.0, len(spelled), telling)


def words_of(text: str) -> list[str]:
    """Return lower-case words, figures as `#` and their length, and currency signs."""
    return [_shown(word) for word in _WORD.findall(text)]


def _shown(word: str) -> str:
    return word.lower() if not word[0].isdigit() else f"#{min(len(word), 9)}"


def vector(words: list[str], places: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the buckets of a text's words and pairs, and their values: a vector of length one."""
    counts: Counter[int] = Counter(place_of(piece, places) for piece in with_pairs(words))
    at = np.fromiter(counts, np.int64, len(counts))
    values = np.log1p(np.fromiter(counts.values(), np.float32, len(counts)))
    length = float(np.linalg.norm(values))
    return at, (values / length if length else values).astype(np.float32)


def with_pairs(words: list[str]) -> Iterator[str]:
    """Yield every word, and every pair of neighbours."""
    yield from words
    for first, second in pairwise(words):
        yield f"{first} {second}"


def place_of(piece: str, places: int) -> int:
    """Return the bucket of a string, from 0."""
    return crc32(piece.encode("utf-8", "replace")) % places


def share_of(words: list[str], some: Iterable[str]) -> float:
    """Return the share of `words` that are in `some`; 0 if there are no words."""
    among = frozenset(some)
    return sum(word in among for word in words) / len(words) if words else 0.0


def met_bits(words: Iterable[str], bits: int) -> NDArray[np.uint8]:
    """Return a bitmap of known words."""
    met = np.zeros(bits, bool)
    for word in words:
        met[place_of(word, bits)] = True
    return np.packbits(met)


def write(
    folder: Path, manifest: Mapping[str, Any], weight: Floats, bias: Floats, met: Any
) -> None:
    """Write a model into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DATA_FILE
    numbers = {"weight": weight.astype(np.float16), "bias": bias.astype(np.float32), "met": met}
    with path.open("wb") as file:
        np.savez_compressed(file, **numbers)
    description = {"format": LinearManifest.FORMAT, **manifest, "data_sha256": sha256(path)}
    LinearManifest(**description).write(folder)
