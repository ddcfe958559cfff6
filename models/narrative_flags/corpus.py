"""The labelled sentences and their folds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.files import folder_of, read_lines
from services.triage.narrative.keywords import BY_NAME, FAMILIES, is_meant, single_spaced

FOLDER = folder_of("narrative-flags")
FOLDS = 5
SENTENCES = "finance/text_flags.jsonl"
FEWEST, FEWEST_COMPANIES = 30, 10
"""Positives, and companies with one, that a family needs to be learned."""

Label = Literal["positive", "negative", "ambiguous"]


@dataclass(frozen=True)
class Sentence:
    """One sentence with the keyword of a family, and its label."""

    id: str
    text: str
    family: str
    label: Label
    company: str

    @property
    def fold(self) -> int:
        return crc32(self.company.encode()) % FOLDS


def read(data: Path) -> list[Sentence]:
    """Every labelled sentence of every family."""
    return [
        Sentence(
            record["id"],
            single_spaced(record["text"]),
            record["family"],
            record["label"],
            str(record["cik"] or record["company"]),
        )
        for record in read_lines(data / SENTENCES)
    ]


def learned(sentences: list[Sentence]) -> list[str]:
    """Return the families with enough positives, in the order of the gate."""
    return [family.name for family in FAMILIES if _enough(sentences, family.name)]


def _enough(sentences: list[Sentence], family: str) -> bool:
    companies = [s.company for s in sentences if s.family == family and s.label == "positive"]
    return len(companies) >= FEWEST and len(set(companies)) >= FEWEST_COMPANIES


def scored(sentences: list[Sentence], family: str) -> list[Sentence]:
    """Return the sentences of a family that are not ambiguous."""
    return [s for s in sentences if s.family == family and s.label != "ambiguous"]


def truth(sentences: list[Sentence]) -> NDArray[np.int64]:
    """Return 1 for a statement about the filer [sentences]."""
    return np.array([sentence.label == "positive" for sentence in sentences], np.int64)


def has_keyword(sentence: Sentence) -> bool:
    """Return whether a sentence has a keyword of its family."""
    return bool(BY_NAME[sentence.family].keyword.search(sentence.text))


def gated(sentence: Sentence) -> bool:
    """Return whether the gate passes the sentence to the specialist."""
    return has_keyword(sentence) and is_meant(BY_NAME[sentence.family], sentence.text)
