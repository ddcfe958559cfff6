"""Features of a sentence: its words, those around the keyword, and its cues.

Features are hashed by CRC-32 (Weinberger et al., 2009) and weighted by rarity (Salton and Buckley,
1988). Words next to the keyword are separate features: "our material weakness" and "any material
weakness" differ.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from services.triage.narrative.keywords import BY_NAME
from shared.features.linear import place_of, with_pairs, words_of

Floats = NDArray[np.float32]

PLACES = 1 << 15
NEAR = 4  # words on each side of a keyword that keep their distance
AROUND = 0.5  # weight of the words around the keyword, relative to all words

SELF = re.compile(
    r"\b(?:we|our|ours|us|the\s+(?:company|registrant|partnership|trust|bank|corporation|firm)"
    r"(?:['’]s)?)\b",  # noqa: RUF001
    re.IGNORECASE,
)
"""Words by which a company names itself."""

ENDED = re.compile(
    r"\b(?:(?:was|were|been|are|is|subsequently|fully)\s+(?:\w+\s+)?remediated|remediation\s+of|"
    r"alleviated|resolv\w+|settle\w*|clos(?:ed|ing)|dismissed|declined|no\s+longer)\b",
    re.IGNORECASE,
)
"""Words for a matter that is or may be over. Such sentences go to no person."""

_CUES = {
    "self": SELF.pattern,
    "condition": r"\b(?:if|should|unless|in\s+the\s+event|whether|were\s+to|to\s+the\s+extent)\b",
    "modal": r"\b(?:may|might|could|would|can|will)\b",
    "denial": r"\b(?:no|not|never|neither|nor|without|none)\b",
    "over": r"\b(?:previously|remediated|alleviated|resolved|no\s+longer|formerly"
    r"|in\s+the\s+past)\b",
    "found": r"\b(?:identified|concluded|determined|raises?|received|entered|issued|expressed"
    r"|casts?|exists?)\b",
    "year": r"\b(?:19|20)\d\d\b",
    "money": r"\$|\bmillion\b",
    "definition": r"\b(?:is\s+defined\s+as|is\s+a\s+deficiency|standards?\s+update|fasb|asu|pcaob"
    r"|means)\b",
    "reference": r"\b(?:incorporated\s+(?:herein\s+)?by\s+reference|see|proxy\s+statement)\b",
    "future": r"\b(?:future|subsequent|any)\b",
    "other": r"\b(?:partners?|customers?|suppliers?|entity['’]s|acquired|agent)\b",  # noqa: RUF001
    "policy": r"\b(?:polic(?:y|ies)|audit\s+committee|review|approv\w+|agreement|covenants?)\b",
    "risk": r"\b(?:fail|failure|difficult\w*|risk|adversely)\b",
}
CUES = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _CUES.items()}


def pieces_of(sentence: str) -> Counter[str]:
    """Counts of the words and word pairs of a sentence."""
    return Counter(with_pairs(words_of(sentence)))


def context_words(sentence: str, family: str) -> Counter[str]:
    """The words next to each keyword, with side and distance."""
    counts: Counter[str] = Counter()
    for keyword in BY_NAME[family].keyword.finditer(sentence):
        before = words_of(sentence[: keyword.start()])[-NEAR:][::-1]
        after = words_of(sentence[keyword.end() :])[:NEAR]
        counts[f"@ {' '.join(keyword.group().lower().split())}"] += 1
        for side, words in (("<", before), (">", after)):
            counts.update(f"{side} {word}" for word in words)
            counts.update(f"{side}{distance} {word}" for distance, word in enumerate(words, 1))
            if words:
                counts[f"{side}{side} {' '.join(words[:2])}"] += 1
    return counts


def cues(sentence: str) -> list[str]:
    """The names of the cues in a sentence."""
    return [name for name, pattern in CUES.items() if pattern.search(sentence)]


def vector(
    sentence: str, family: str, rarity: Floats, cued: float
) -> tuple[NDArray[np.int64], Floats]:
    """The buckets of a sentence's features and their values. `rarity` has the weight of each bucket
    [PLACES], `cued` is that of a cue."""
    sums: defaultdict[int, float] = defaultdict(float)
    for weight, pieces in ((1.0, pieces_of(sentence)), (AROUND, context_words(sentence, family))):
        for bucket, value in _block(pieces, rarity).items():
            sums[bucket] += weight * value
    for name in cues(sentence) if cued else ():
        sums[place_of(f"# {name}", PLACES)] += cued
    buckets = np.fromiter(sorted(sums), np.int64, len(sums))
    return buckets, np.array([sums[bucket] for bucket in buckets.tolist()], np.float32)


def _block(pieces: Counter[str], rarity: Floats) -> dict[int, float]:
    """Features by bucket, as a vector of length one."""
    values: defaultdict[int, float] = defaultdict(float)
    for piece, count in pieces.items():
        bucket = place_of(piece, PLACES)
        values[bucket] += (1.0 + float(np.log(count))) * float(rarity[bucket])
    length = float(np.sqrt(sum(value * value for value in values.values())))
    return {bucket: value / length for bucket, value in values.items()} if length else {}
