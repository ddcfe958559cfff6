"""Specialists on one base: text in, a probability for every token and label out."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.artefacts.loader import adapter_names, sha256
from shared.inference.adapters import (
    GRAPH_FILE,
    GUARANTEE_FILE,
    INTEGER_FILE,
    PROVENANCE_FILE,
    TOKENISER_FILE,
    AdapterManifest,
    base_folder,
    find_adapter,
    load_adapter,
)
from shared.inference.engines import ENGINES, Arithmetic, Engine, Run
from shared.inference.errors import BaseError
from shared.inference.session import Forest
from shared.inference.tokeniser import CLS, SEP, Tokeniser, Tokens
from shared.inference.windows import WindowAverage, window_starts

Floats = NDArray[np.float32]
Span = tuple[int, int]

MOST_TOKENS = 200_000
"""Tokens of a text that should be processed at once: ranking its clauses takes about 500 MB."""
LONGEST_LINE = 10_000
"""Characters in which a line end is looked for."""
BATCH = 8
"""Windows in one run of the base; about 60 MB of activations at 256 tokens a window."""


@dataclass(frozen=True)
class TokenScores:
    """The scores of each token of a text."""

    offsets: NDArray[np.int64]  # [T, 2], code points, half open
    probabilities: Floats  # [T, labels]: is the token inside a passage of the label?
    hidden: Floats | None = None  # [T, width], on request
    openings: Floats | None = None  # [T, labels]: is it the first? If the adapter has this view
    closings: Floats | None = None  # [T, labels]: is it the last?


@dataclass(frozen=True)
class Base:
    """The base model in memory, shared by all specialists and threads."""

    sha256: str
    engine: Engine
    tokeniser: Tokeniser

    @classmethod
    def load(cls, folder: Path, threads: int = 2, arithmetic: Arithmetic = "int8") -> Base:
        """Load the base in a folder named `base-<first 12 hex digits of its sha256>`.

        Raises BaseError if the graph or the tokeniser is missing or damaged.
        """
        graph = folder / GRAPH_FILE
        if not graph.is_file():
            raise BaseError(f"{graph} is missing; restore it from the release")
        digest = sha256(graph)
        if folder.name != f"base-{digest[:12]}":
            raise BaseError(f"{graph} is damaged (sha256 {digest}); restore it from the release")
        tokeniser = load_tokeniser(folder)
        provenance = _provenance(folder)
        integer = folder / INTEGER_FILE
        if arithmetic == "int8" and (
            not integer.is_file() or sha256(integer) != provenance.get("int8_sha256")
        ):
            raise BaseError(
                f"{integer} is missing or damaged; restore it from the release, write it with "
                f"`python -m models.base.build --int8 {folder}`, or set "
                "SMALLPRINT_ARITHMETIC to int4"
            )
        return cls(digest, ENGINES[arithmetic](folder, threads), tokeniser)


def load_tokeniser(folder: Path) -> Tokeniser:
    """Load the tokeniser of a base without its graph. Raises BaseError."""
    path = folder / TOKENISER_FILE
    if not path.is_file() or sha256(path) != _provenance(folder).get("tokenizer_sha256"):
        raise BaseError(f"{path} is missing or damaged; restore it from the release")
    return Tokeniser(path)


class TokenCounter:
    """Counts tokens as specialists do. Safe from several threads; loads the tokeniser at first
    use.
    """

    def __init__(self, artefacts: Path) -> None:
        self._artefacts = artefacts
        self._lock = threading.Lock()
        self._loaded: Tokeniser | None = None

    def __call__(self, text: str) -> int:
        """Return the number of tokens of a text. Raises BaseError."""
        with self._lock:
            if self._loaded is None:
                self._loaded = load_tokeniser(base_folder(self._artefacts))
            tokeniser = self._loaded
        return tokeniser.count(text)


def _provenance(folder: Path) -> dict[str, object]:
    """Return the base's description of its other files."""
    path = folder / PROVENANCE_FILE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BaseError(f"{path} can't be read ({error}); restore it from the release") from error


class Specialist:
    """One adapter on the base. Immutable; safe to use from several threads."""

    guarantee: bytes | None = None
    """The verified calibration set of the adapter; None if there is none."""

    def __init__(
        self,
        manifest: AdapterManifest,
        tokeniser: Tokeniser,
        run: Run,
        forests: Mapping[str, Forest] | None = None,
        guarantee: bytes | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.manifest = manifest
        self.guarantee = guarantee
        self.forests: Mapping[str, Forest] = forests or {}
        """Decision trees of the adapter, by name."""
        self.files: Mapping[str, bytes] = files or {}
        """Other verified files of the adapter, by name."""
        self._tokeniser = tokeniser
        self._run = run

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""
        return self.manifest.labels

    def parts(self, text: str) -> list[Span]:
        """Cut a text into parts of about MOST_TOKENS or fewer, at blank lines or line ends.

        Returns the start and end of each, in code points.
        """
        starts = self._tokeniser(text).offsets[:, 0]
        number = math.ceil(len(starts) / MOST_TOKENS)
        cuts = {0, len(text)}
        for part in range(1, number):
            place = int(starts[len(starts) * part // number])
            near = max(0, place - LONGEST_LINE), place
            cuts.add(text.rfind("\n\n", *near) + 1 or text.rfind("\n", *near) + 1 or place)
        return list(pairwise(sorted(cuts))) or [(0, 0)]

    def token_probabilities(
        self,
        text: str,
        skip: Sequence[Span] = (),
        with_hidden: bool = False,
    ) -> TokenScores:
        """Return the probability of every label for every token of a text.

        Args:
            text: of any length; it is processed in batches of windows.
            skip: spans of code points whose tokens are left out, such as running headers.
            with_hidden: whether to return the base's last hidden states too.
        """
        tokens = _without(self._tokeniser(text), skip)
        content = self.manifest.window_length - 2
        starts = window_starts(len(tokens.ids), content, self.manifest.window_stride)
        outputs = ["logits", "hidden"] if with_hidden else ["logits"]
        averages: list[WindowAverage] = []
        for first in range(0, len(starts), BATCH):
            batch = starts[first : first + BATCH]
            results = self._run(outputs, _windows(tokens, batch, content))
            results[0] = _sigmoid(results[0])
            averages = averages or [WindowAverage(len(tokens.ids), r.shape[2]) for r in results]
            for average, result in zip(averages, results, strict=True):
                for start, values in zip(batch, result[:, 1:-1], strict=True):
                    average.add(start, values)
        if not averages:
            return TokenScores(tokens.offsets, np.zeros((0, len(self.labels)), np.float32))
        scores, *hidden = [average.mean() for average in averages]
        names = self.manifest.views
        views = dict(zip(names, np.split(scores, len(names), axis=1), strict=True))
        return TokenScores(
            tokens.offsets,
            np.ascontiguousarray(views["inside"]),
            hidden[0] if hidden else None,
            views.get("opening"),
            views.get("closing"),
        )


class Specialists:
    """All specialists of some folders, on one base. Safe from several threads.

    An adapter is loaded at first use, and again if its manifest changed or there is a newer
    version, so a retrained specialist needs no restart.
    """

    def __init__(
        self,
        artefacts: Path,
        threads: int = 2,
        arithmetic: Arithmetic = "int8",
        taught: Path | None = None,
    ) -> None:
        """Load the base.

        Args:
            artefacts: folder of the shipped base and adapters.
            threads: for one inference.
            arithmetic: INT8, or the slower INT4.
            taught: folder of the adapters taught here, which may be missing.

        Raises:
            BaseError: there is no base, more than one, or a damaged one.
        """
        self.artefacts = artefacts
        self.folders = (artefacts, taught) if taught else (artefacts,)
        self.base = Base.load(base_folder(artefacts), threads, arithmetic)
        self._pool, self._threads = ThreadPoolExecutor(threads, "forests"), threads
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[object, Specialist]] = {}

    def names(self) -> list[str]:
        """Return the names of the installed adapters."""
        return adapter_names(*self.folders)

    def get(self, name: str) -> Specialist:
        """Return the newest version of a specialist.

        Raises AdapterError if it is missing, damaged or made for another base.
        """
        folder = find_adapter(self.folders, name)
        stat = (folder / AdapterManifest.FILE).stat()
        mark = (folder, stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if name not in self._loaded or self._loaded[name][0] != mark:
                manifest, adapter = load_adapter(
                    folder, self.base.sha256, self.base.engine.adapter_inputs
                )
                run = self.base.engine.specialise(adapter)
                forests = {
                    key: Forest(folder / f"{key}.onnx", self._pool, self._threads)
                    for key in manifest.forests
                }
                guarantee_path = folder / GUARANTEE_FILE
                guarantee = guarantee_path.read_bytes() if manifest.guarantee_sha256 else None
                files = {name: (folder / name).read_bytes() for name in manifest.files}
                specialist = Specialist(
                    manifest, self.base.tokeniser, run, forests, guarantee, files
                )
                self._loaded[name] = (mark, specialist)
            return self._loaded[name][1]

    def reload(self) -> None:
        """Drop all adapters, so each is verified and loaded again at its next use."""
        with self._lock:
            self._loaded.clear()


def lazy_specialists(
    artefacts: Path, threads: int, arithmetic: Arithmetic, taught: Path | None = None
) -> Callable[[], Specialists]:
    """Return a function that loads the specialists at its first call and then returns them.

    It raises BaseError as `Specialists` does, and tries again at the next call.
    """
    lock = threading.Lock()
    loaded: list[Specialists] = []

    def get() -> Specialists:
        with lock:
            if not loaded:
                loaded.append(Specialists(artefacts, threads, arithmetic, taught))
            return loaded[0]

    return get


def _without(tokens: Tokens, skip: Sequence[Span]) -> Tokens:
    """Remove the tokens that touch a skipped span."""
    if not skip:
        return tokens
    keep = np.ones(len(tokens.ids), bool)
    starts, ends = tokens.offsets[:, 0], tokens.offsets[:, 1]
    for start, end in skip:
        first = np.searchsorted(ends, start, side="right")
        keep[first : np.searchsorted(starts, end, side="left")] = False
    return Tokens(tokens.ids[keep], tokens.offsets[keep])


def _windows(tokens: Tokens, starts: Sequence[int], content: int) -> NDArray[np.int64]:
    """Return the ids [windows, length] of some windows, with special tokens."""
    rows = [tokens.ids[start : start + content] for start in starts]
    ids = np.empty((len(rows), len(rows[0]) + 2), np.int64)
    ids[:, 0], ids[:, 1:-1], ids[:, -1] = CLS, rows, SEP
    return ids


def _sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow."""
    values: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return values
