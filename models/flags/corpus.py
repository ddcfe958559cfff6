"""The labelled sentences, their folds, and what else was labelled by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from services.triage.narrative.gate import BY_NAME, FAMILIES, even, is_meant

FOLDS = 5
SENTENCES = "finance/text_flags.jsonl"
FEWEST = 30
"""Positives of a family, in companies enough, from which on it is learned."""
FEWEST_COMPANIES = 10

Label = Literal["positive", "negative", "ambiguous"]


@dataclass(frozen=True)
class Sentence:
    """One sentence with the keyword of a family, and what a reader said of it."""

    id: str
    text: str
    family: str
    label: Label
    company: str

    @property
    def fold(self) -> int:
        """Of its company: nobody is judged by its own sentences."""
        return crc32(self.company.encode()) % FOLDS


def read(data: Path) -> list[Sentence]:
    """Every labelled sentence of every family."""
    lines = (data / SENTENCES).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return [
        Sentence(
            record["id"],
            even(record["text"]),
            record["family"],
            record["label"],
            str(record["cik"] or record["company"]),
        )
        for record in records
    ]


def learned(sentences: list[Sentence]) -> list[str]:
    """The families that have positives enough, in the order of the gate."""
    return [family.name for family in FAMILIES if _enough(sentences, family.name)]


def _enough(sentences: list[Sentence], family: str) -> bool:
    having = [one for one in sentences if one.family == family and one.label == "positive"]
    return len(having) >= FEWEST and len({one.company for one in having}) >= FEWEST_COMPANIES


def scored(sentences: list[Sentence], family: str) -> list[Sentence]:
    """Those of a family that can be told from the sentence alone."""
    return [one for one in sentences if one.family == family and one.label != "ambiguous"]


def truth(sentences: list[Sentence]) -> NDArray[np.int64]:
    """1 for what is asserted of the filer [sentences]."""
    return np.array([one.label == "positive" for one in sentences], np.int64)


def has_keyword(sentence: Sentence) -> bool:
    """Whether it has a keyword of its family: what is flagged without a specialist."""
    return bool(BY_NAME[sentence.family].keyword.search(sentence.text))


def gated(sentence: Sentence) -> bool:
    """Whether the gate lets the sentence through to the specialist."""
    return has_keyword(sentence) and is_meant(BY_NAME[sentence.family], sentence.text)
