"""From the text of a report to its narrative flags: the sentence, where it stands, how sure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.triage.domain import box_json
from services.triage.narrative.gate import BY_NAME, MOST_SENTENCES, Family, candidates, even
from services.triage.narrative.language import is_english
from services.triage.narrative.model import Narrative, Reads
from services.triage.narrative.words import ENDED, SELF
from shared.documents.delimited import CSV
from shared.documents.reading import Box, Reading
from shared.documents.xbrl import XBRL

Level = Literal["likely", "strong"]

DATA = frozenset({XBRL, CSV})
"""Types of data that are read as pages are; JSON never is."""
MOST_FLAGS = 200
"""Of one report: the surest; a report of a holding may name related parties on every page."""
ABOUT = "narrative flags: "
"""What a warning begins with that is about the sentences of a report."""


@dataclass(frozen=True)
class Flag:
    """One sentence that says a thing of the filer. It sets neither `flagged` nor `risk`."""

    family: str
    title: str
    text: str
    """As it reads, with single blanks; offsets are those of the page's own text."""
    start: int
    end: int
    page: int
    boxes: tuple[Box, ...]
    confidence: float
    level: Level
    filer: str | None
    """The word by which the sentence names the filer; None where it doesn't."""

    def to_json(self) -> dict[str, Any]:
        """The flag as the command line, REST and events have it."""
        return {
            "family": self.family,
            "title": self.title,
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "page": self.page,
            "boxes": [box_json(box) for box in self.boxes],
            "confidence": self.confidence,
            "level": self.level,
            "filer": self.filer,
        }


@dataclass(frozen=True)
class Words:
    """What the sentences of a report say of its filer, and what of them was not read."""

    flags: tuple[Flag, ...] = ()
    """The surest first."""
    warnings: tuple[str, ...] = ()


def words_of(reading: Reading, narrative: Narrative) -> Words:
    """Read the sentences of a report; the same sentence twice counts once.

    The same report always gives the same flags. Data has none: what is text in it are labels and
    the values of tags, torn from where they stand.
    """
    if reading.media_type in DATA:
        return Words()
    cut: list[Family] = []
    found: dict[tuple[str, str], Flag] = {}
    for one in candidates(reading.text, reading.furniture, cut):
        reads = narrative.families.get(one.family)
        if reads is None or (one.family, one.text) in found:
            continue
        chance = narrative.chance(one.text, one.family)
        if chance < reads.shown:
            continue
        named = SELF.search(one.text)
        found[one.family, one.text] = Flag(
            family=one.family,
            title=BY_NAME[one.family].title,
            text=one.text,
            start=one.start,
            end=one.end,
            page=reading.page_at(one.start),
            boxes=tuple(reading.boxes_of(one.start, one.end)) if reading.has_boxes else (),
            confidence=chance,
            level=_level(one.text, chance, reads),
            filer=even(named.group()) if named else None,
        )
    ordered = sorted(found.values(), key=lambda flag: (-flag.confidence, flag.start, flag.family))
    return Words(tuple(ordered[:MOST_FLAGS]), tuple(_unread(reading.text, cut)))


def flags_of(reading: Reading, narrative: Narrative) -> tuple[Flag, ...]:
    """The flags of a report, the surest first."""
    return words_of(reading, narrative).flags


def _unread(text: str, cut: Sequence[Family]) -> Iterator[str]:
    """What of the sentences was not read, and why."""
    if not is_english(text):
        yield (
            f"{ABOUT}the text seems to be in another language than English: what it says of the "
            "filer in words is missed, so let a person read it"
        )
    for family in cut:
        yield (
            f"{ABOUT}of the sentences that may be about {family.title!r} the first "
            f"{MOST_SENTENCES:,} are read, and there are more"
        )


def _level(sentence: str, chance: float, reads: Reads) -> Level:
    if reads.strong is None or chance < reads.strong or ENDED.search(sentence):
        return "likely"
    return "strong"


def asked(flags: Sequence[Flag]) -> tuple[Flag, ...]:
    """Those that a person is to look at: of each family the surest strong one."""
    first: dict[str, Flag] = {}
    for flag in flags:
        if flag.level == "strong":
            first.setdefault(flag.family, flag)
    return tuple(first.values())


def flag_id(tenant: str, document_id: str, flag: Flag) -> str:
    """The same flag about the same document always has the same id."""
    parts = (tenant, document_id, flag.family, str(flag.start), str(flag.end))
    return "nf_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
