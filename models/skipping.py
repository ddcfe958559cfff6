"""Would a cheap first look pay? Windows that surely hold nothing could be left out.

    python -m models.skipping models/contract-clauses --data FOLDER --artefacts FOLDER

A linear model over hashed pieces of a window's text learns whether any labelled token lies in it,
on four folds. It skips windows of the fifth below a threshold at which at most the allowed share of
the labelled tokens of the four was lost, by models that had not seen them either. A token is lost
if every window that it lies in is skipped. Printed are for each look and each allowed share the
windows skipped, the labelled tokens and passages lost, and the processor's time for a window beside
that of the specialist; and how many windows hold nothing, which none can exceed without a loss.
"""

from __future__ import annotations

import argparse
import itertools
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from models.corpus import FOLDS, read_records
from shared.inference import Specialists
from shared.inference.tokeniser import Tokeniser
from shared.inference.windows import window_starts
from shared.linear import vector, words_of

PLACES = 1 << 16
ALLOWED = (0.002, 0.005, 0.01)  # shares of the labelled tokens that may be lost
C = 3.0  # how little the weights are held back
STEPS = 100
TIMED = 300  # windows whose look is timed

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Look = Callable[[Sequence[str]], csr_matrix]
"""Takes the texts of windows; returns their pieces [windows, PLACES]."""


def by_words(texts: Sequence[str]) -> csr_matrix:
    """Words and pairs of neighbours, as the linear specialists have them."""
    rows = [vector(words_of(text), PLACES) for text in texts]
    ends = np.cumsum([0, *(len(at) for at, _ in rows)])
    places, values = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return csr_matrix((values, places, ends), (len(rows), PLACES))


def by_characters(texts: Sequence[str]) -> csr_matrix:
    """Three to five neighbouring characters within words."""
    hashed = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=PLACES, alternate_sign=False
    )
    return csr_matrix(hashed.transform(texts))


LOOKS: Mapping[str, Look] = {"words and pairs": by_words, "3 to 5 characters": by_characters}


@dataclass(frozen=True)
class Contract:
    """A contract cut into the windows that are served."""

    fold: int
    texts: list[str]
    windows: list[tuple[int, int]]  # tokens, half open
    labelled: Bools  # [tokens]: in a passage of any label
    passages: list[tuple[int, int]]  # tokens, half open

    @property
    def held(self) -> Bools:
        """Whether each window holds a labelled token [windows]."""
        return np.array([self.labelled[start:end].any() for start, end in self.windows])

    def kept(self, skipped: Bools) -> Bools:
        """Whether each token lies in a window that is not skipped [tokens]."""
        kept = np.zeros(len(self.labelled), bool)
        for (start, end), skip in zip(self.windows, skipped, strict=True):
            kept[start:end] |= not skip
        return kept


def cut(record: Mapping[str, Any], tokenise: Tokeniser, length: int, stride: int) -> Contract:
    """Cut a contract into windows of `length` tokens, the two special ones included."""
    text = record["text"]
    offsets = tokenise(text).offsets
    labelled = np.zeros(len(offsets), bool)
    passages = []
    for note in record["annotations"]:
        first = int(np.searchsorted(offsets[:, 1], note["start"], side="right"))
        end = int(np.searchsorted(offsets[:, 0], note["end"], side="left"))
        labelled[first:end] = True
        passages.append((first, end))
    content = length - 2
    starts = window_starts(len(offsets), content, stride)
    windows = [(start, min(start + content, len(offsets))) for start in starts]
    texts = [text[offsets[start, 0] : offsets[end - 1, 1]] for start, end in windows]
    return Contract(record["fold"], texts, windows, labelled, sorted(set(passages)))


def fitted(rows: csr_matrix, held: Bools) -> LogisticRegression:
    """Learn whether a window holds anything."""
    return LogisticRegression(C=C, max_iter=STEPS, class_weight="balanced").fit(rows, held)


def scores_of(
    contracts: Sequence[Contract], rows: csr_matrix, wanted: frozenset[int]
) -> dict[int, Floats]:
    """Score the windows of the folds `wanted` by a model of all others; by place of the contract,
    each [windows].
    """
    folds = np.repeat([c.fold for c in contracts], [len(c.windows) for c in contracts])
    held = np.concatenate([c.held for c in contracts])
    unseen = np.isin(folds, list(wanted))
    said = np.full(len(folds), np.nan)
    said[unseen] = fitted(rows[~unseen], held[~unseen]).decision_function(rows[unseen])
    ends = np.cumsum([len(c.windows) for c in contracts])[:-1]
    parts = np.split(said, ends)
    return {i: parts[i] for i, c in enumerate(contracts) if c.fold in wanted}


def best_score(contract: Contract, scores: Floats) -> Floats:
    """Return for each labelled token the best score of a window that it lies in: it is lost as soon
    as the threshold is above.
    """
    best = np.full(len(contract.labelled), -np.inf)
    for (start, end), score in zip(contract.windows, scores, strict=True):
        best[start:end] = np.maximum(best[start:end], score)
    return best[contract.labelled]


def threshold(bests: Floats, allowed: float) -> float:
    """Return the highest threshold that loses at most a share `allowed` of the tokens."""
    ordered = np.sort(bests)
    return float(ordered[int(allowed * len(ordered))])


def judged(contracts: Sequence[Contract], rows: csr_matrix) -> dict[float, dict[str, float]]:
    """Return what a look skips and loses over all folds, by the share that it may lose."""
    pairs = {
        pair: scores_of(contracts, rows, frozenset(pair))
        for pair in itertools.combinations(FOLDS, 2)
    }
    counts = {allowed: np.zeros(4, int) for allowed in ALLOWED}
    aucs = []
    for fold in FOLDS:
        own = scores_of(contracts, rows, frozenset({fold}))
        others = [
            best_score(contracts[i], scores)
            for pair, found in pairs.items()
            if fold in pair
            for i, scores in found.items()
            if contracts[i].fold != fold
        ]
        everything = np.concatenate(others)
        truth = np.concatenate([contracts[i].held for i in own])
        aucs.append(roc_auc_score(truth, np.concatenate(list(own.values()))))
        for allowed in ALLOWED:
            least = threshold(everything, allowed)
            for i, scores in own.items():
                counts[allowed] += lost(contracts[i], scores < least)
    windows, tokens, passages = totals(contracts)
    return {
        allowed: {
            "skipped": found[0] / windows,
            "tokens": found[1] / tokens,
            "passages": found[2] / passages,
            "parts": found[3] / passages,
            "auc": float(np.mean(aucs)),
        }
        for allowed, found in counts.items()
    }


def lost(contract: Contract, skipped: Bools) -> NDArray[np.int64]:
    """Count windows skipped, labelled tokens lost, passages lost as a whole, and in part."""
    kept = contract.kept(skipped)
    alive = [kept[start:end] for start, end in contract.passages]
    whole = sum(not some.any() for some in alive)
    part = sum(bool(some.any()) and not some.all() for some in alive)
    return np.array([skipped.sum(), (contract.labelled & ~kept).sum(), whole, part])


def totals(contracts: Sequence[Contract]) -> tuple[int, int, int]:
    """Count windows, labelled tokens and passages."""
    return (
        sum(len(c.windows) for c in contracts),
        sum(int(c.labelled.sum()) for c in contracts),
        sum(len(c.passages) for c in contracts),
    )


def seconds_a_look(look: Look, texts: Sequence[str]) -> float:
    """Return the processor's seconds for a look at one window, multiplication included."""
    weight = np.zeros(PLACES)
    began = time.process_time()
    for text in texts:
        look([text]) @ weight
    return (time.process_time() - began) / len(texts)


def seconds_a_window(specialists: Specialists, name: str, record: Mapping[str, Any]) -> float:
    """Return the processor's seconds of the specialist for a window of a contract."""
    specialist, counted = specialists.get(name), []
    specialist.token_probabilities(record["text"][:5000])
    began = time.process_time()
    specialist.token_probabilities(
        record["text"], progress=lambda _done, windows: counted.append(windows)
    )
    return (time.process_time() - began) / counted[-1]


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--artefacts", type=Path, required=True, help="base and adapter")
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    records = list(read_records(arguments.data, config["data"]))
    specialists = Specialists(arguments.artefacts)
    length, stride = config["windows"]["length"], config["windows"]["stride"]
    tokenise = specialists.base.tokeniser
    contracts = [cut(record, tokenise, length, stride) for record in records]
    windows, tokens, passages = totals(contracts)
    empty = 1 - sum(int(c.held.sum()) for c in contracts) / windows
    print(f"{len(contracts)} contracts, {windows:,} windows of {length} tokens every {stride}")
    print(
        f"{tokens:,} labelled tokens in {passages:,} passages; {empty:.1%} of windows hold nothing"
    )
    usual = sorted(records, key=lambda record: len(record["text"]))[len(records) // 2]
    served = seconds_a_window(specialists, arguments.specialist.name, usual)
    print(
        "\n| look | may lose | windows skipped | tokens lost | passages lost, in part | AUC | µs |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    some = [text for c in contracts for text in c.texts][:: max(1, windows // TIMED)]
    for name, look in LOOKS.items():
        seconds = seconds_a_look(look, some)
        rows = vstack([look(c.texts) for c in contracts], format="csr")
        for allowed, row in judged(contracts, rows).items():
            print(
                f"| {name} | {allowed:.1%} | {row['skipped']:.1%} | {row['tokens']:.2%} | "
                f"{row['passages']:.2%}, {row['parts']:.2%} | {row['auc']:.3f} | "
                f"{seconds * 1e6:.0f} |",
                flush=True,
            )
    print(f"\nthe specialist takes {served * 1e3:.1f} ms of a processor for a window")


if __name__ == "__main__":
    main()
