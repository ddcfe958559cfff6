"""Features of each candidate for the ranking.

They come from the token probabilities of one pass and from the text. The columns have names, and a
ranking that was trained on other columns is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.extraction.pipeline.candidates import SOURCES, Candidates, Floats, Integers
from services.extraction.pipeline.characters import Characters
from services.extraction.pipeline.decoding import Candidate

Doubles = NDArray[np.float64]

WORDS = (  # their share of a candidate indicates the kind of clause
    *("shall", "will", "may", "not", "any", "if", "upon", "between", "as", "means", "including"),
    *("except", "provided", "notwithstanding", "without", "prior", "written", "only", "sole"),
    *("exclusive", "days", "years", "$", "%", "\u201c", '"'),
)
STOPS = frozenset(".,;:")
MARKS = ("number", "capital", "line", "stop")  # kinds of token that are counted like the words
SURE, LIKELY, POSSIBLE = 0.5, 0.2, 0.1
NEAR, CONTEXT = 8, 30  # tokens next to a candidate
EDGE = 3  # tokens at its ends
EDGES = (1, 3)  # tokens on either side of an end
BEFORE = 12  # tokens before it whose words are counted
HALF = 0.5
DECODED = (
    "decoded_overlap",  # Jaccard index of characters with the decoded one that overlaps it most
    "decoded_same",  # its score, if both are equal
    "decoded_score",
    "decoded_half",  # the best score of those that overlap by half
    "decoded_better",  # how many have a higher score
)
RANKS = (0, 1, 3, 7)  # of the label's sentences whose means are features


@dataclass(frozen=True)
class Passage:
    """A contract as the ranking sees it, with prefix sums over its tokens."""

    text: str
    offsets: Integers  # [T, 2], code points
    probabilities: Floats  # [T, labels]
    cuts: Integers  # [sentences + 1], first tokens, and T
    openings: Floats | None = None  # [T, labels]
    closings: Floats | None = None  # [T, labels]
    decoded: Sequence[Candidate] = ()  # of plain decoding

    @cached_property
    def sums(self) -> Doubles:
        """Prefix sums of the probabilities [T + 1, labels]."""
        return _sums(self.probabilities)

    @cached_property
    def logit_sums(self) -> Doubles:
        """Prefix sums of the logits [T + 1, labels]."""
        return _sums(logit(self.probabilities))

    @cached_property
    def means(self) -> Doubles:
        """Mean probabilities of sentences [sentences, labels]."""
        return np.diff(self.sums[self.cuts], axis=0) / np.diff(self.cuts)[:, None]

    @cached_property
    def highest(self) -> Floats:
        """The highest probability of each label in the contract [labels]."""
        values: Floats = self.probabilities.max(0)
        return values

    @cached_property
    def letters(self) -> Characters:
        """The characters of the text."""
        return Characters(self.text)

    @cached_property
    def words(self) -> Doubles:
        """Prefix sums of the counts of words and marks [T + 1, kinds]."""
        are, (first, end) = self.letters.are, self.offsets.T
        lines = np.append(0, np.cumsum(are("\n".__eq__)))
        flags = np.zeros((len(first), len(MARKS) + len(WORDS) + 1))  # the last for any other word
        flags[:, 0] = are(str.isdigit)[first]
        flags[:, 1] = are(str.isupper)[first]
        flags[:, 2] = lines[first] > lines[np.append(0, end[:-1])]
        flags[:, 3] = are(STOPS.__contains__)[first] & (end - first == 1)
        column = {word: len(MARKS) + i for i, word in enumerate(WORDS)}
        words = [column.get(self.text[a:b].lower(), -1) for a, b in self.offsets.tolist()]
        flags[np.arange(len(first)), words] = 1
        return _sums(flags[:, :-1])


def _sums(values: NDArray[np.floating]) -> Doubles:
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    return total


def logit(probability: NDArray[np.floating]) -> Doubles:
    """Return log(p / (1 - p)), with p kept off 0 and 1."""
    p = np.clip(probability.astype(np.float64), 1e-5, 1 - 1e-5)
    return np.log(p / (1 - p))


Columns = Mapping[str, NDArray[np.generic]]


def describe(passage: Passage, found: Candidates) -> tuple[tuple[str, ...], Floats]:
    """Return the names of the columns, and a row for each candidate [N, columns]."""
    columns: dict[str, NDArray[np.generic]] = {"label": found.label}
    for group in GROUPS:
        columns |= group(passage, found)
    rows = np.empty((len(found), len(columns)), np.float32)
    for i, values in enumerate(columns.values()):
        rows[:, i] = values
    return tuple(columns), rows


def _inside(passage: Passage, found: Candidates) -> Columns:
    mean = _mean(passage, found, found.first, found.end)
    lowest, highest = _extremes(passage.probabilities, found.label, found.first, found.end)
    return {
        "mean": mean,
        "mean_logit": logit(mean),
        "logit_mean": _mean(passage, found, found.first, found.end, logits=True),
        "highest": highest,
        "lowest": lowest,
        "sure": _share(passage, found, SURE),
        "possible": _share(passage, found, POSSIBLE),
    }


def _mean(
    passage: Passage, found: Candidates, first: Integers, end: Integers, logits: bool = False
) -> Doubles:
    """Mean over the tokens [first, end), 0 without any [N]."""
    sums = passage.logit_sums if logits else passage.sums
    count = len(sums) - 1
    a, b = np.clip(first, 0, count), np.clip(end, 0, count)
    mean: Doubles = (sums[b, found.label] - sums[a, found.label]) / np.maximum(b - a, 1)
    return mean


def _share(passage: Passage, found: Candidates, least: float) -> Doubles:
    """Share of the tokens above `least` [N], looked up because they are few."""
    row = len(passage.probabilities) + 1
    label, token = np.nonzero((passage.probabilities > least).T)
    above, before = label * row + token, found.label * row
    inside = np.searchsorted(above, before + found.end) - np.searchsorted(
        above, before + found.first
    )
    share: Doubles = inside / (found.end - found.first)
    return share


def _extremes(
    values: NDArray[np.floating], label: Integers, first: Integers, end: Integers
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Lowest and highest value of one label's column in rows [first, end), each not empty."""
    rows = len(values)
    flat = np.append(values.T.reshape(-1), 0)
    places = np.column_stack([label * rows + first, label * rows + end]).reshape(-1)
    return np.minimum.reduceat(flat, places)[::2], np.maximum.reduceat(flat, places)[::2]


def _around(passage: Passage, found: Candidates) -> Columns:
    first, end = found.first, found.end

    def mean(a: Integers, b: Integers) -> Doubles:
        return _mean(passage, found, a, b)

    return {
        "just_before": mean(first - 1, first),
        "near_before": mean(first - NEAR, first),
        "before": mean(first - CONTEXT, first),
        "just_after": mean(end, end + 1),
        "near_after": mean(end, end + NEAR),
        "after": mean(end, end + CONTEXT),
        "first_tokens": mean(first, np.minimum(first + EDGE, end)),
        "last_tokens": mean(np.maximum(end - EDGE, first), end),
    }


def _edges(passage: Passage, found: Candidates) -> Columns:
    columns: dict[str, NDArray[np.generic]] = {}
    for name, values, edge in (
        ("opening", passage.openings, found.first),
        ("closing", passage.closings, found.end - 1),
    ):
        if values is None:
            continue
        sums = _sums(values)

        def total(a: Integers, b: Integers, sums: Doubles = sums) -> Doubles:
            a, b = np.clip(a, 0, len(sums) - 1), np.clip(b, 0, len(sums) - 1)
            both: Doubles = sums[b, found.label] - sums[a, found.label]
            return both

        columns |= {f"{name}_here": values[edge, found.label]}
        columns |= {f"{name}_within_{n}": total(edge - n, edge + n + 1) for n in EDGES}
        columns |= {f"{name}_inside": total(found.first, found.end)}
    return columns


def _sentences(passage: Passage, found: Candidates) -> Columns:
    lowest, highest = _extremes(passage.means, found.label, found.from_sentence, found.to_sentence)

    def beside(sentence: Integers) -> Doubles:
        inside = (sentence >= 0) & (sentence < len(passage.means))
        clipped = np.clip(sentence, 0, len(passage.means) - 1)
        return np.where(inside, passage.means[clipped, found.label], 0)

    return {
        "lowest_sentence": lowest,
        "highest_sentence": highest,
        "sentence_before": beside(found.from_sentence - 1),
        "sentence_before_that": beside(found.from_sentence - 2),
        "sentence_after": beside(found.to_sentence),
        "sentence_after_that": beside(found.to_sentence + 1),
    }


def _decoded(passage: Passage, found: Candidates) -> Columns:
    """Comparison with plain decoding, which joins neighbouring sentences."""
    decoded = sorted(passage.decoded, key=lambda d: (d.label, d.start))
    label = np.array([d.label for d in decoded], np.int64)
    score = np.array([d.score for d in decoded], np.float64)
    size = len(passage.text) + 1  # offset between labels, so that one search serves all
    a = np.array([d.start for d in decoded], np.int64) + label * size
    b = np.array([d.end for d in decoded], np.int64) + label * size
    start = passage.offsets[found.first, 0] + found.label * size
    end = passage.offsets[found.end - 1, 1] + found.label * size
    first = np.searchsorted(np.maximum.accumulate(b), start, side="right")
    count = np.maximum(np.searchsorted(a, end, side="left") - first, 0)
    own = np.repeat(np.arange(len(found)), count)  # pairs of candidates that may overlap
    other = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
    both = np.minimum(b[other], end[own]) - np.maximum(a[other], start[own])
    either = np.maximum(b[other], end[own]) - np.minimum(a[other], start[own])
    overlap = np.maximum(both, 0) / either
    best = np.lexsort((score[other], overlap, own))
    best = best[np.diff(own[best], append=-1) != 0]  # the last pair of each candidate
    best = best[overlap[best] > 0]
    most, likeliest, half = np.zeros((3, len(found)))
    most[own[best]], likeliest[own[best]] = overlap[best], score[other[best]]
    np.maximum.at(half, own, np.where(overlap > HALF, score[other], 0))
    better = np.zeros(len(found), np.int64)
    for c in np.unique(label):
        mine, scores = found.label == c, np.sort(score[label == c])
        better[mine] = len(scores) - np.searchsorted(scores, likeliest[mine], side="right")
    same = np.where(most >= 1, likeliest, 0)
    return dict(zip(DECODED, (most, same, likeliest, half, better), strict=True))


def _rivals(passage: Passage, found: Candidates) -> Columns:
    label, means = found.label, passage.means
    total = passage.sums[-1]
    mean = _mean(passage, found, found.first, found.end)
    best = np.zeros(means.shape[1])
    np.maximum.at(best, label, mean)
    ordered = np.sort(means, axis=0)
    _, highest = _extremes(means, label, found.from_sentence, found.to_sentence)
    better = np.empty(len(found), np.int64)
    for c in np.unique(label):
        mine = label == c
        better[mine] = len(means) - np.searchsorted(ordered[:, c], highest[mine], side="right")
    at_rank = {
        f"rank_{rank}": (ordered[-1 - rank] if rank < len(ordered) else 0 * total)[label]
        for rank in RANKS
    }
    return {
        "share_of_all": (mean * (found.end - found.first)) / np.maximum(total, 1e-6)[label],
        "share_of_best": mean / np.maximum(best, 1e-9)[label],
        "best": best[label],
        "highest_anywhere": passage.highest[label],
        "total": total[label],
        "better_sentences": better,
        "possible_sentences": (means > POSSIBLE).sum(0)[label],
        "likely_sentences": (means > LIKELY).sum(0)[label],
        "sure_sentences": (means > SURE).sum(0)[label],
        **at_rank,
    }


def _shape(_: Passage, found: Candidates) -> Columns:
    return {
        "log_tokens": np.log(found.end - found.first),
        "sentences": found.to_sentence - found.from_sentence,
        **{f"source_{i}": found.sources[:, i] for i in range(SOURCES)},
    }


def _position(passage: Passage, found: Candidates) -> Columns:
    tokens = len(passage.offsets)
    cut = np.zeros(tokens + 1, bool)
    cut[passage.cuts] = True
    start = passage.offsets[found.first, 0]
    return {
        "place": start / len(passage.text),
        "start": start,
        "tokens_before": found.first,
        "tokens_after": tokens - found.end,
        "log_all_tokens": np.full(len(found), np.log(tokens)),
        "opens_sentence": cut[found.first],
        "closes_sentence": cut[found.end],
    }


def _typography(passage: Passage, found: Candidates) -> Columns:
    """Characters at the ends, and how often the same text is proposed."""
    text, are = passage.text, passage.letters.are
    start, end = passage.offsets[found.first, 0], passage.offsets[found.end - 1, 1]
    spans = zip(start.tolist(), end.tolist(), strict=True)
    same = [text[first:last].lower() for first, last in spans]
    often = Counter(same)
    stops = np.append(are(".;:".__contains__), False)
    return {
        "opens_with_capital": are(str.isupper)[start],
        "opens_with_number": (are(str.isdigit) | are("(".__eq__))[start],
        "closes_with_stop": stops[end - 1],
        "before_stop": stops[end],
        "before_comma": np.append(are(",".__eq__), False)[end],
        "repeated": np.array([often[piece] for piece in same], np.int64),
    }


def _vocabulary(passage: Passage, found: Candidates) -> Columns:
    counts = passage.words
    inside = (counts[found.end] - counts[found.first]) / (found.end - found.first)[:, None]
    ahead = counts[found.first] - counts[np.maximum(found.first - BEFORE, 0)]
    names = (*MARKS, *WORDS)
    return {f"word_{name}": inside[:, i] for i, name in enumerate(names)} | {
        f"ahead_{name}": ahead[:, i] for i, name in enumerate(names)
    }


def _labels(passage: Passage, found: Candidates) -> Columns:
    rows = np.arange(len(found))
    tokens = (found.end - found.first)[:, None]
    all_means = (passage.sums[found.end] - passage.sums[found.first]) / tokens
    other_means = all_means.copy()
    other_means[rows, found.label] = 0
    labels = range(all_means.shape[1])
    return {
        "best_other": other_means.max(1, initial=0),
        "which_other": other_means.argmax(1) if len(labels) else rows,
        **{f"mean_{c}": all_means[:, c] for c in labels},
        **{f"highest_{c}": np.full(len(found), passage.highest[c]) for c in labels},
    }


GROUPS = (
    _inside,
    _around,
    _edges,
    _sentences,
    _decoded,
    _rivals,
    _shape,
    _position,
    _typography,
    _vocabulary,
    _labels,
)
"""Functions that each return different columns."""
