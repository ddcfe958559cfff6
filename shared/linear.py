"""Small linear models on hashed pieces of text: numpy alone, a few hundred kilobytes, microseconds.

A text is cut into words and pairs of neighbours; each falls into one of a fixed number of places
by its CRC-32, and a matrix maps the places to labels (Weinberger et al., 2009). A model lies in a
folder `<name>/<version>` as `linear.npz` with `linear.json` beside it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from shared.artefacts import sha256
from shared.errors import SuiteError

FORMAT = 1
"""The version of `linear.json` that this code reads."""
DATA_FILE, MANIFEST_FILE = "linear.npz", "linear.json"

Floats = NDArray[np.float32]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d[\d.,]*|[$£€%]")  # noqa: RUF001


class LinearError(SuiteError):
    """A linear model is damaged or of another format."""

    code = "linear_model"


@dataclass(frozen=True)
class LinearManifest:
    """What a linear model is, and how its numbers are to be read."""

    format: int
    name: str
    version: str
    data_sha256: str
    places: int  # a power of two
    reads: int  # characters from the beginning of a text
    labels: tuple[str, ...]
    licence: str
    thresholds: Mapping[str, float] = field(default_factory=dict)
    telling: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # words of some labels


@dataclass(frozen=True)
class Said:
    """What a model says of one text."""

    chances: Mapping[str, float]  # of each label, 1 in sum
    known: float  # share of the text's words that the model has met
    words: int  # that it was judged by
    telling: Mapping[str, float]  # for some labels, the share of words that are telling of them

    @property
    def label(self) -> str:
        """The likeliest label."""
        return max(self.chances, key=lambda label: self.chances[label])


class Linear:
    """A linear model in memory. Safe from several threads."""

    def __init__(self, manifest: LinearManifest, weight: Floats, bias: Floats, met: Any) -> None:
        """Take the numbers: `weight` [places, labels], `bias` [labels], `met` bits of the words."""
        self.manifest = manifest
        self._weight = weight
        self._bias = bias
        self._met = np.unpackbits(np.asarray(met, np.uint8)).astype(bool)

    @classmethod
    def load(cls, folder: Path) -> Linear:
        """Load the model in a folder. Raises LinearError."""
        manifest = read_manifest(folder / MANIFEST_FILE)
        path = folder / DATA_FILE
        if not path.is_file() or sha256(path) != manifest.data_sha256:
            raise LinearError(f"{path} is missing or damaged; restore it from the release")
        with np.load(path, allow_pickle=False) as data:
            weight = data["weight"].astype(np.float32)
            return cls(manifest, weight, data["bias"].astype(np.float32), data["met"])

    def __call__(self, text: str) -> Said:
        """Judge a text, by its first `reads` characters."""
        manifest = self.manifest
        words = words_of(text[: manifest.reads])
        places, values = vector(words, manifest.places)
        logits = values @ self._weight[places] + self._bias
        odds = np.exp(logits - logits.max())
        chances = dict(zip(manifest.labels, (odds / odds.sum()).tolist(), strict=True))
        spelled = [word for word in words if word[0].isalpha()]
        bits = len(self._met)
        met = sum(bool(self._met[place_of(word, bits)]) for word in spelled)
        telling = {label: share_of(spelled, some) for label, some in manifest.telling.items()}
        return Said(chances, met / len(spelled) if spelled else 0.0, len(spelled), telling)


def words_of(text: str) -> list[str]:
    """Cut a text into words in lower case, figures as `#` and their length, and signs of money."""
    return [_shown(word) for word in _WORD.findall(text)]


def _shown(word: str) -> str:
    return word.lower() if not word[0].isdigit() else f"#{min(len(word), 9)}"


def vector(words: list[str], places: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the places of a text's words and pairs, and their values: a vector of length one."""
    counts: Counter[int] = Counter(place_of(piece, places) for piece in with_pairs(words))
    at = np.fromiter(counts, np.int64, len(counts))
    values = np.log1p(np.fromiter(counts.values(), np.float32, len(counts)))
    length = float(np.linalg.norm(values))
    return at, (values / length if length else values).astype(np.float32)


def with_pairs(words: list[str]) -> Iterator[str]:
    """Yield every word, and every two neighbours."""
    yield from words
    for first, second in pairwise(words):
        yield f"{first} {second}"


def place_of(piece: str, places: int) -> int:
    """Return where a piece falls, from 0."""
    return crc32(piece.encode("utf-8", "replace")) % places


def share_of(words: list[str], some: Iterable[str]) -> float:
    """Return the share of words that are among some, 0 of none."""
    among = frozenset(some)
    return sum(word in among for word in words) / len(words) if words else 0.0


def met_bits(words: Iterable[str], bits: int) -> NDArray[np.uint8]:
    """Return the bits that say which words were met."""
    met = np.zeros(bits, bool)
    for word in words:
        met[place_of(word, bits)] = True
    return np.packbits(met)


def read_manifest(path: Path) -> LinearManifest:
    """Read a manifest. Raises LinearError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise LinearError(
                f"{path} has format {values['format']!r}, this version reads {FORMAT}: "
                "install the release that it came with"
            )
        telling = {label: tuple(some) for label, some in values.get("telling", {}).items()}
        return LinearManifest(**{**values, "labels": tuple(values["labels"]), "telling": telling})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LinearError(f"{path} can't be read ({error}); restore it from the release") from error


def write(
    folder: Path, manifest: Mapping[str, Any], weight: Floats, bias: Floats, met: Any
) -> None:
    """Write a model into a folder, its manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DATA_FILE
    with path.open("wb") as file:
        np.savez_compressed(
            file, weight=weight.astype(np.float16), bias=bias.astype(np.float32), met=met
        )
    known = LinearManifest(format=FORMAT, data_sha256=sha256(path), **manifest)
    text = json.dumps(asdict(known), indent=1) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
