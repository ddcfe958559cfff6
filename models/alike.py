"""Find contracts that largely repeat one of another fold: a score on them flatters.

Families keep the contracts of one company in one fold; forms that several companies use do not
stop there. Likeness is the share of a contract's shingles, stretches of eight words, that one
contract of another fold has too (containment, Broder, 1997), on a sixteenth of the shingles, chosen
by their hash.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

WORDS = 8
SHARE = 16  # one of so many shingles is looked at

_WORD = re.compile(r"\w+")


def shingles(text: str) -> frozenset[int]:
    """Return the hashes of a text's shingles that are looked at."""
    words = _WORD.findall(text.lower())
    stretches = (words[i : i + WORDS] for i in range(len(words) - WORDS + 1))
    hashes = (crc32(" ".join(stretch).encode()) for stretch in stretches)
    return frozenset(value for value in hashes if value % SHARE == 0)


def likeness(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return for each contract by its id the share that it has in common with another fold's."""
    found = {record["id"]: shingles(record["text"]) for record in records}
    folds = {record["id"]: record["fold"] for record in records}
    having: defaultdict[int, list[str]] = defaultdict(list)
    for contract, values in found.items():
        for value in values:
            having[value].append(contract)
    shares = {}
    for contract, values in found.items():
        common = Counter(
            other for value in values for other in having[value] if folds[other] != folds[contract]
        )
        most = max(common.values(), default=0)
        shares[contract] = most / len(values) if values else 0.0
    return shares
