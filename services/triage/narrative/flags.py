"""Find the narrative flags of a report: the sentence, its position and its confidence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.triage.domain import box_json
from services.triage.narrative.features import ENDED, SELF
from services.triage.narrative.keywords import (
    BY_NAME,
    MOST_SENTENCES,
    FlagFamily,
    candidates,
    single_spaced,
)
from services.triage.narrative.model import FamilyThresholds, FlagModel
from shared.documents.model.formats import CSV, XBRL
from shared.documents.model.parsed_document import Box, ParsedDocument

Level = Literal["likely", "strong"]

DATA = frozenset({XBRL, CSV})  # types of data that are read like pages; JSON is not
MOST_FLAGS = 200  # flags per report, the surest
FEWEST_WORDS = 200  # words that a text needs to be judged
LEAST_LITTLE = 0.02  # share of function words from which a text is English
STRETCHES, STRETCH = 20, 5_000  # samples of a long text, and characters of each

_LITTLE = frozenset(("the", "and", "of", "with", "by", "our", "are", "were", "from", "that",
                     "which", "has", "this", "its", "been", "their"))  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
WARNING_PREFIX = "narrative flags: "  # the beginning of warnings about sentences


@dataclass(frozen=True)
class Flag:
    """One sentence with a statement about the company. It sets neither `flagged` nor `risk`."""

    family: str
    title: str
    text: str  # the sentence with single spaces; offsets are into the page's text
    start: int
    end: int
    page: int
    boxes: tuple[Box, ...]
    confidence: float
    level: Level
    filer: str | None  # the word that names the company; None without one

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "boxes": [box_json(box) for box in self.boxes]}


@dataclass(frozen=True)
class NarrativeResult:
    """The flags of a report, and warnings about sentences that were not read."""

    flags: tuple[Flag, ...] = ()  # the surest first
    warnings: tuple[str, ...] = ()


def read_narrative(reading: ParsedDocument, narrative: FlagModel) -> NarrativeResult:
    """Read the sentences of a report; repeated sentences count once.

    The same report always gets the same flags. Data has none: its texts are labels and values of
    tags.
    """
    if reading.media_type in DATA:
        return NarrativeResult()
    cut: list[FlagFamily] = []
    flags: dict[tuple[str, str], Flag] = {}
    for candidate in candidates(reading.text, reading.furniture, cut):
        thresholds = narrative.families.get(candidate.family)
        if thresholds is None or (candidate.family, candidate.text) in flags:
            continue
        probability = narrative.probability(candidate.text, candidate.family)
        if probability < thresholds.shown:
            continue
        named = SELF.search(candidate.text)
        flags[candidate.family, candidate.text] = Flag(
            family=candidate.family,
            title=BY_NAME[candidate.family].title,
            text=candidate.text,
            start=candidate.start,
            end=candidate.end,
            page=reading.page_at(candidate.start),
            boxes=tuple(reading.boxes_of(candidate.start, candidate.end))
            if reading.has_boxes
            else (),
            confidence=probability,
            level=_level(candidate.text, probability, thresholds),
            filer=single_spaced(named.group()) if named else None,
        )
    ordered = sorted(flags.values(), key=lambda flag: (-flag.confidence, flag.start, flag.family))
    return NarrativeResult(tuple(ordered[:MOST_FLAGS]), tuple(_unread(reading.text, cut)))


def flags_of(reading: ParsedDocument, narrative: FlagModel) -> tuple[Flag, ...]:
    """The flags of a report, the surest first."""
    return read_narrative(reading, narrative).flags


def _unread(text: str, cut: Sequence[FlagFamily]) -> Iterator[str]:
    """Warnings about sentences that were not read."""
    if not is_english(text):
        yield (
            f"{WARNING_PREFIX}the text does not seem to be English, so its sentences were not "
            "understood. A person should read it"
        )
    for family in cut:
        yield (
            f"{WARNING_PREFIX}only the first {MOST_SENTENCES:,} sentences that may be about "
            f"{family.title!r} were read"
        )


def _level(sentence: str, probability: float, thresholds: FamilyThresholds) -> Level:
    if thresholds.strong is None or probability < thresholds.strong or ENDED.search(sentence):
        return "likely"
    return "strong"


def flags_for_review(flags: Sequence[Flag]) -> tuple[Flag, ...]:
    """The flags for a person: the surest strong one of each family."""
    first: dict[str, Flag] = {}
    for flag in flags:
        if flag.level == "strong":
            first.setdefault(flag.family, flag)
    return tuple(first.values())


def flag_id(tenant: str, document_id: str, flag: Flag) -> str:
    """A stable id: the same flag of the same document always has the same."""
    parts = (tenant, document_id, flag.family, str(flag.start), str(flag.end))
    return "nf_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def is_english(text: str) -> bool:
    """Whether a text is English, by its function words (Ingle, 1976). Short texts count as English.

    Function words that other languages share ("for", "in", "was") are not used.
    """
    words = [word.lower() for word in _WORD.findall(_some_of(text))]
    little = sum(word in _LITTLE for word in words)
    return len(words) < FEWEST_WORDS or little >= LEAST_LITTLE * len(words)


def _some_of(text: str) -> str:
    if len(text) <= STRETCHES * STRETCH:
        return text
    step = len(text) // STRETCHES
    return "\n".join(text[at * step : at * step + STRETCH] for at in range(STRETCHES))
