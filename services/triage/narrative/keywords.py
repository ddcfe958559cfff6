"""Find the sentences of a report with a keyword of a family.

A family is one statement that a company may make about itself. Most sentences with its keyword say
something else: a definition, a risk, a denial, another company's trouble
(models/narrative_flags/CARD.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Span = tuple[int, int]

MOST_CHARACTERS = 700  # characters of a sentence; longer ones are cut around the keyword
LEAST_WORDS = 6  # words of a sentence; shorter ones are headings or labels
WHOLE = 15  # words from which a sentence needs no full stop
MOST_SENTENCES = 2_000  # sentences per family and text that are read
SHORT_LINE = 45  # characters from which a line is no heading


@dataclass(frozen=True)
class FlagFamily:
    """One statement that a company may make about itself."""

    name: str
    title: str
    keyword: re.Pattern[str]


def _family(name: str, title: str, *keywords: str) -> FlagFamily:
    return FlagFamily(
        name, title, re.compile("|".join(rf"\b{keyword}" for keyword in keywords), re.IGNORECASE)
    )


FAMILIES = (
    _family("going_concern", "Going-concern doubt", r"going\s*concern\b", r"substantial\s*doubt"),
    _family(
        "material_weakness",
        "Material weakness",
        r"material\s*weakness",
        r"(?:not\s+|in)effective\b",
    ),
    _family(
        "investigation",
        "Investigation",
        r"subpoena",
        r"whistle-?\s?blower(?!s?\s+(?:directive|polic|protection|hotline|program))",
        r"civil\s+investigative",
        r"grand\s+jury",
        r"Department\s+of\s+Justice",
        r"(?:formal|internal|government\w*|criminal|SEC)\s+(?:\w+\s+)?(?:investigation|inquir)",
    ),
    _family("related_party", "Related parties", r"(?<!non-)related[-\u2013\s]\s*part(?:y|ies)\b"),
)
BY_NAME = {family.name: family for family in FAMILIES}

_BREAK = re.compile(
    r"\n[ \t\r]*\n\s*"  # a blank line
    r"|\n[ \t]*(?=[•·▪●○][ \t])"  # a list
    r"|(?<=[.?!])(?:[\"”’')\]]*)\s+(?=[\"“‘(\[]*[A-Z0-9•])"  # noqa: RUF001
    r"|(?<=;)\s*\n\s*"
)
_ABBREVIATED = re.compile(
    r"(?:\b(?:Inc|Corp|Co|Ltd|No|Nos|Mr|Mrs|Ms|Dr|Jr|Sr|St|vs|v|U\.S|U\.K|e\.g|i\.e|approx|Sec|"
    r"[A-Z])\.)[\"”’')\]]*\s*$"  # noqa: RUF001
)
_CONTROLS = re.compile(r"\b(?:disclosure|internal)\s+controls?\b", re.IGNORECASE)
_NOT_YET = re.compile(r"\bnot\s+effective\s+until\b", re.IGNORECASE)
_ASKING = re.compile(r"investigat|inquir|subpoena|\bdemand|\brequest|\bprobe", re.IGNORECASE)
_NONE = re.compile(
    r"\b(?:no|(?:do|does|did)\s+not\s+have(?:\s+any)?|not\s+identified\s+any|without)"
    r"(?:\s+(?!long)[\w-]+){0,8}?\s+$",
    re.IGNORECASE,
)
"""The words before a denied keyword."""
_IMMATERIAL = re.compile(r"\b(?:are|is|was|were|been)\s+(?:not|im)\s?-?material\b", re.IGNORECASE)
_TABLE = re.compile(r"(?:\. ?){5}|_{5}|\t|\d[)%]?\s+[($]*\s?\d")  # leaders, or two figures
_ENDS = re.compile(r"[.;:!?][\"”’')\]]*$")  # noqa: RUF001
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Candidate:
    """A sentence of one family: offsets into the text, half open, trimmed."""

    family: str
    start: int
    end: int
    text: str  # the sentence with single spaces, without running headers


def candidates(
    text: str, furniture: Sequence[Span] = (), cut: list[FlagFamily] | None = None
) -> Iterator[Candidate]:
    """Yield the sentences with a keyword, family by family in text order, each once.

    Sentences continue after `furniture`, offsets of running headers and footers. `cut` receives the
    families with more than MOST_SENTENCES sentences.
    """
    flat = _without(text, furniture)
    for family in FAMILIES:
        end_before, looked_at = -1, 0
        for match in family.keyword.finditer(flat):
            if match.start() < end_before:
                continue
            if looked_at == MOST_SENTENCES:
                if cut is not None:
                    cut.append(family)
                break
            looked_at += 1
            start, end = _sentence(flat, match.start(), match.end())
            end_before = end
            sentence = single_spaced(flat[start:end])
            if is_prose(sentence) and is_meant(family, sentence):
                yield Candidate(family.name, start, end, sentence)


def single_spaced(text: str) -> str:
    """The text with each run of whitespace as one space."""
    return " ".join(text.split())


def is_prose(sentence: str) -> bool:
    """Whether it is a sentence, not a heading, a table line or a contents entry."""
    words = _WORD.findall(sentence)
    small = sum(word[0].islower() for word in words)
    if len(words) < LEAST_WORDS or 3 * small < len(words) or _TABLE.search(sentence):
        return False
    return len(words) >= WHOLE or bool(_ENDS.search(sentence))


def is_meant(family: FlagFamily, sentence: str) -> bool:
    """Whether a sentence may be about the company, by simple rules.

    "Not effective" must be about controls, and a department of justice must ask for something.
    Denied or immaterial matters do not count.
    """
    if _is_denied(family, sentence):
        return False
    if family.name == "investigation":
        return bool(_ASKING.search(sentence)) or "whistle" in sentence.lower()
    if family.name == "material_weakness" and "weakness" not in sentence.lower():
        return bool(_CONTROLS.search(sentence)) and not _NOT_YET.search(sentence)
    return True


def _is_denied(family: FlagFamily, sentence: str) -> bool:
    """Whether every keyword is denied just before it, or dealings are called immaterial."""
    if family.name == "related_party" and _IMMATERIAL.search(sentence):
        return True
    starts = [match.start() for match in family.keyword.finditer(sentence)]
    return bool(starts) and all(_NONE.search(sentence[:start]) for start in starts)


def _without(text: str, furniture: Sequence[Span]) -> str:
    """The text with running headers and the space around them blanked, so that offsets stay."""
    pieces, done = [], 0
    for start, end in sorted(furniture):
        start = max(start, done)
        if end <= start:
            continue
        before = text[done:start].rstrip()
        start = done + len(before)
        while end < len(text) and text[end].isspace():
            end += 1
        pieces += [before, " " * (end - start)]
        done = end
    return "".join([*pieces, text[done:]])


def _sentence(text: str, start: int, end: int) -> Span:
    """The sentence around a keyword."""
    lowest = max(0, start - MOST_CHARACTERS)
    first, last = lowest, min(len(text), end + MOST_CHARACTERS)
    for cut in _cuts(text, lowest, last):
        if cut <= start:
            first = cut
        elif cut >= end:
            last = cut
            break
    if last - first > MOST_CHARACTERS:
        first = max(first, start - MOST_CHARACTERS // 2)
        last = min(last, end + MOST_CHARACTERS // 2)
    piece = text[first:last]
    return first + len(piece) - len(piece.lstrip()), last - len(piece) + len(piece.rstrip())


def _cuts(text: str, first: int, last: int) -> list[int]:
    """Where sentences begin between two offsets, in order."""
    cuts = []
    for cut in _BREAK.finditer(text, first, last):
        before = text[max(0, cut.start() - 12) : cut.start()]
        if "\n" in cut.group() or not _ABBREVIATED.search(before):
            cuts.append(cut.end())
    lines = re.finditer(r"(?m)^[^\n]++\n(?=[ \t]*[A-Z])", text[first:last])
    cuts += [first + line.end() for line in lines if _is_heading(line.group())]
    return sorted(cuts)


def _is_heading(line: str) -> bool:
    """Whether a line is short and all its longer words are capitalised."""
    words = [word for word in _WORD.findall(line) if len(word) > 3]
    return len(line.strip()) < SHORT_LINE and bool(words) and all(w[0].isupper() for w in words)
