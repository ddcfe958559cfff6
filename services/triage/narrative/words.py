"""What the specialist is told of a sentence: its words, those around the keyword, and its cues.

Pieces fall into a fixed number of places by their CRC-32 (Weinberger et al., 2009), weighted by how
rare they are (Salton and Buckley, 1988). What stands beside the keyword is told apart from what
stands elsewhere: "our material weakness" and "any material weakness" are two different things.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from services.triage.narrative.gate import BY_NAME
from shared.linear import place_of, with_pairs, words_of

Floats = NDArray[np.float32]

PLACES = 1 << 15
NEAR = 4
"""Words to each side of a keyword that are told with their distance."""
AROUND = 0.5
"""What the words around the keyword weigh, where all words together weigh 1."""

SELF = re.compile(
    r"\b(?:we|our|ours|us|the\s+(?:company|registrant|partnership|trust|bank|corporation|firm)"
    r"(?:['’]s)?)\b",  # noqa: RUF001
    re.IGNORECASE,
)
"""Words by which a filer names itself."""

ENDED = re.compile(
    r"\b(?:(?:was|were|been|are|is|subsequently|fully)\s+(?:\w+\s+)?remediated|remediation\s+of|"
    r"alleviated|resolv\w+|settle\w*|clos(?:ed|ing)|dismissed|declined|no\s+longer)\b",
    re.IGNORECASE,
)
"""Words by which a thing is over, or may be: nobody is asked about it."""

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
    """Every word of a sentence, and every two neighbours, with how often they stand there."""
    return Counter(with_pairs(words_of(sentence)))


def around(sentence: str, family: str) -> Counter[str]:
    """The words beside each keyword, with their side and their distance."""
    found: Counter[str] = Counter()
    for keyword in BY_NAME[family].keyword.finditer(sentence):
        before = words_of(sentence[: keyword.start()])[-NEAR:][::-1]
        after = words_of(sentence[keyword.end() :])[:NEAR]
        found[f"@ {' '.join(keyword.group().lower().split())}"] += 1
        for side, words in (("<", before), (">", after)):
            found.update(f"{side} {word}" for word in words)
            found.update(f"{side}{place} {word}" for place, word in enumerate(words, 1))
            if words:
                found[f"{side}{side} {' '.join(words[:2])}"] += 1
    return found


def cues(sentence: str) -> list[str]:
    """The names of the cues that a sentence has."""
    return [name for name, pattern in CUES.items() if pattern.search(sentence)]


def vector(
    sentence: str, family: str, rarity: Floats, cued: float
) -> tuple[NDArray[np.int64], Floats]:
    """Return the places of a sentence's pieces and their values.

    Args:
        sentence: with single blanks.
        family: whose keyword it has.
        rarity: what a piece of each place weighs [PLACES].
        cued: what a cue weighs.
    """
    sums: defaultdict[int, float] = defaultdict(float)
    for weight, pieces in ((1.0, pieces_of(sentence)), (AROUND, around(sentence, family))):
        for place, value in _block(pieces, rarity).items():
            sums[place] += weight * value
    for name in cues(sentence) if cued else ():
        sums[place_of(f"# {name}", PLACES)] += cued
    at = np.fromiter(sorted(sums), np.int64, len(sums))
    return at, np.array([sums[place] for place in at.tolist()], np.float32)


def _block(pieces: Counter[str], rarity: Floats) -> dict[int, float]:
    """Pieces by place, as a vector of length one."""
    values: defaultdict[int, float] = defaultdict(float)
    for piece, count in pieces.items():
        place = place_of(piece, PLACES)
        values[place] += (1.0 + float(np.log(count))) * float(rarity[place])
    length = float(np.sqrt(sum(value * value for value in values.values())))
    return {place: value / length for place, value in values.items()} if length else {}


def rarity_of(sentences: Iterable[tuple[str, str]]) -> Floats:
    """How rare the pieces of each place are among sentences with their families [PLACES]."""
    seen: Counter[int] = Counter()
    total = 0
    for sentence, family in sentences:
        total += 1
        pieces = [*pieces_of(sentence), *around(sentence, family)]
        seen.update({place_of(piece, PLACES) for piece in pieces})
    counts = np.zeros(PLACES, np.float32)
    counts[list(seen)] = list(seen.values())
    rarity: Floats = (np.log((1.0 + total) / (1.0 + counts)) + 1.0).astype(np.float32)
    return rarity
