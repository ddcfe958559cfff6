"""Titles of documents, with names as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.blobs import BlobStore, MissingBlob
from shared.blobs.markers import is_deleted
from shared.events import ClausesExtracted, DocumentTitle, FindingsFound

_LONGEST = 200
"""Characters of a name that count. The time of a pattern may grow with their square."""
_MOST_PARTIES = 3
_FORMS = (
    r"inc(?:orporated)?|corp(?:oration)?|l\.?l\.?c|l\.?l\.?p|l\.?p|p\.?l\.?c|ltd|limited|co"
    r"|gmbh|a\.?g|s\.?a|s\.?a\.?s|s\.?a\.?r\.?l|n\.?v|b\.?v|n\.?a|a\.?b|a/s|oy|pty|pte|k\.?k|kg"
    r"|s\.?r\.?l|s\.?p\.?a|s\.?e|sdn|bhd|berhad"
)
_LEGAL_FORM = re.compile(rf"(?:,? (?:&? ?\b(?:{_FORMS})\b\.?))+$", re.IGNORECASE)
_STATE = re.compile(r" ?/ ?[A-Z]{2,3} ?/?$")
"""The state after a registrant's name: `BANK OF AMERICA CORP /DE/`."""
_ABBREVIATED = re.compile(r"\b(?:\w{1,3}|[\w.]+\.\w+)\.$")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_](?![^\W\d_]))?")
_SMALL = re.compile("an?|and|as|at|by|for|from|in|of|on|or|the|to|with")
_SHORT = re.compile(
    "air|all|any|art|bay|big|box|car|co|day|eye|fee|fox|gas|ice|key|lab|law|led|man|map|net|new|no"
    "|non|off|oil|old|one|our|out|own|pay|pet|pre|pro|re|red|sea|sky|sub|sun|tax|top|toy|two|use"
    "|war|way|web"
)
"""Words of at most three letters that are no abbreviations."""
_NUMERAL = re.compile(r"[IVX]+")


def short_name(name: str) -> str:
    """Return the name of a firm or person without its legal form: `Array BioPharma`."""
    words = " ".join(_STATE.sub("", name[:_LONGEST]).split()).strip(" ,;")
    short = _LEGAL_FORM.sub("", words).strip(" ,;") or words
    if not _ABBREVIATED.search(short):
        short = short.rstrip(".")
    return without_capitals(short) if words.isupper() else short


def without_capitals(text: str) -> str:
    """Return a text in title case if it is all in capitals; abbreviations stay.

    Words of three letters count as abbreviations, except for common ones.
    """
    if not text.isupper() or len(text) < 5:
        return text

    def word(match: re.Match[str]) -> str:
        letters, lower = match[0], match[0].lower()
        if _SMALL.fullmatch(lower):
            return lower if match.start() else letters.capitalize()
        abbreviated = len(letters) <= 3 and not _SHORT.fullmatch(lower)
        return letters if abbreviated or _NUMERAL.fullmatch(letters) else letters.capitalize()

    return _WORD.sub(word, text)


def named(parties: Sequence[str]) -> str:
    """Return the first parties of a contract: `Array / Ono`, `Alder / Birch and 2 others`."""
    shown = parties if len(parties) <= _MOST_PARTIES else parties[: _MOST_PARTIES - 1]
    others = f" and {len(parties) - len(shown)} others" if len(shown) < len(parties) else ""
    return " / ".join(shown) + others


def joined(*parts: str) -> str:
    """Join the parts of a title that are known: `Walmart · 10-Q · July 2023`."""
    return " · ".join(part.replace("·", "-") for part in parts if part)


def title_in(event: ClausesExtracted | FindingsFound, blobs: BlobStore) -> DocumentTitle | None:
    """Read the title that an event refers to.

    Returns None if there is none, or if the document was deleted meanwhile. Raises MissingBlob
    otherwise.
    """
    if event.title is None:
        return None
    try:
        return DocumentTitle.model_validate_json(blobs.get(event.tenant, event.title))
    except MissingBlob:
        if not is_deleted(blobs, event.tenant, event.document_id):
            raise
        return None
