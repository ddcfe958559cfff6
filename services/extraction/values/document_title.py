"""The title of a contract: its name, its parties in short form, and its date."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from services.extraction.values.document import DocumentValue
from services.extraction.values.law import jurisdiction
from services.extraction.values.parties import is_role, key
from shared.events import DocumentTitle
from shared.titles import joined, named, short_name, without_capitals

_SURE = 0.6
"""Least confidence of a party, if there are two such ones."""
_SURE_DATE = 0.5
_MOST_PARTIES = 20
_MOST_CHARACTERS = 100
_BEFORE = re.compile(r"^[^()]*\) *|^[^\w(\"]+|^(?:and|or|of) ", re.IGNORECASE)
"""The rest of a sentence before a title, and marks."""
_LISTED = re.compile(r"(?:,[^,]+){3}")
"""A list of names in one."""


def document_title(
    lines: Sequence[DocumentValue], confidence: Mapping[str, float]
) -> DocumentTitle | None:
    """Return the title from the values of a contract; None if it states neither name nor party.

    Args:
        lines: the values of the contract.
        confidence: of each clause, by id.
    """
    stated = [line for line in lines if line.value.status == "stated" and line.value.value]
    names = [line for line in stated if line.category == "Document Name"]
    found = max(names, key=lambda line: confidence[line.clause_id or ""], default=None)
    name = without_capitals(_BEFORE.sub("", (found and found.value.value) or "")).strip()
    parties = _short_parties([line for line in stated if line.category == "Parties"], confidence)
    if not name and not parties:
        return None
    title = joined(name[:_MOST_CHARACTERS], named(parties), _date(lines, confidence))
    return DocumentTitle(title=title, parties=parties)


def _date(lines: Sequence[DocumentValue], confidence: Mapping[str, float]) -> str:
    """The agreement date, or the effective date; the known part of a date with blanks."""
    for category in ("Agreement Date", "Effective Date"):
        for line in lines:
            sure = line.clause_id and confidence[line.clause_id] >= _SURE_DATE
            if line.category == category and line.value.value and sure:
                return line.value.value
    return ""


def _short_parties(
    lines: Sequence[DocumentValue], confidence: Mapping[str, float]
) -> tuple[str, ...]:
    """The parties in the order of the text; long names of those that would look the same."""
    surest = sorted(
        (line for line in lines if _is_name(line.value.value or "")),
        key=lambda line: -confidence[line.clause_id or ""],
    )
    sure = [line for line in surest if confidence[line.clause_id or ""] >= _SURE]
    chosen = sorted(sure if len(sure) > 1 else surest[:2], key=lambda line: line.value.start or 0)
    long = [short_name(line.value.value or "")[:_MOST_CHARACTERS] for line in chosen]
    short = [_defined(name, line.value.role) for name, line in zip(long, chosen, strict=True)]
    names = [one if short.count(one) == 1 else full for one, full in zip(short, long, strict=True)]
    return tuple(dict.fromkeys(names))[:_MOST_PARTIES]


def _is_name(words: str) -> bool:
    return not (words.islower() or jurisdiction(words) or _LISTED.search(words))


def _defined(name: str, term: str | None) -> str:
    """The first words of a name, if the contract defines them as its short form."""
    if term is None or is_role(term):
        return name
    words = name.split()
    for count in range(1, len(words)):
        if key(" ".join(words[:count])) == key(term):
            return " ".join(words[:count])
    return name
