"""Find the values of a clause: all candidates, ranked by the words around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.extraction.values.amounts import find_amounts
from services.extraction.values.dates import ValueCandidate, find_dates
from services.extraction.values.durations import find_durations
from services.extraction.values.law import find_jurisdictions
from services.extraction.values.parties import find_parties
from services.extraction.values.titles import find_title
from services.extraction.values.value import Kind, Plain, Value


@dataclass(frozen=True)
class _Cue:
    """Words before, after or in a candidate that count for or against it.

    `before` and `after` are distances in characters; without either the words are in it.
    """

    pattern: re.Pattern[str]
    weight: float
    before: int = 0
    after: int = 0

    def of(self, text: str, spot: ValueCandidate) -> float:
        """The weight if the words match, otherwise 0."""
        if self.before:
            near = text[max(0, spot.start - self.before) : spot.start]
        elif self.after:
            near = text[spot.end : spot.end + self.after]
        else:
            near = text[spot.start : spot.end]
        return self.weight if self.pattern.search(near) else 0.0


def _before(pattern: str, weight: float, reach: int = 45) -> _Cue:
    return _Cue(re.compile(pattern, re.IGNORECASE), weight, before=reach)


def _after(pattern: str, weight: float, reach: int = 45) -> _Cue:
    return _Cue(re.compile(pattern, re.IGNORECASE), weight, after=reach)


def _within(pattern: str, weight: float) -> _Cue:
    return _Cue(re.compile(pattern, re.IGNORECASE), weight)


_EFFECTIVE = (
    _before(r"\b(?:effective|commenc\w+|begin\w*|start\w*|from|as of|launch)\b", 1.0),
    _before(
        r"\b(?:until|ending|ends?|expir\w+|terminat\w+|through|prior to|before)\W+(?:\w+ ){0,3}$",
        -1.5,
    ),
    _after(r"^\W{0,4}(?:\w+ ){0,2}\(?(?:the )?\W{0,2}effective date", 1.5),
)
_ENDS = (
    _before(
        r"\b(?:until|ending|ends?|expir\w+|terminat\w+|through|thru|to|and)\W+(?:[\w():]+ ){0,5}$",
        1.5,
    ),
    _before(
        r"\b(?:commenc\w+|begin\w*|effective|start\w*|from|dated|as of|made)\W+(?:(?!until"
        r"|through|end|expir|terminat)\w+ ){0,3}$",
        -1.5,
    ),
    _after(r"^\W{0,4}\(?(?:the )?\W{0,2}(?:effective|commencement|start) date", -1.5),
)
_LASTS = (
    _before(
        r"\b(?:initial|period of|term of|continue for|term (?:shall|will) be|term is"
        r"|remain in|lasts?"
        r"|duration)\b",
        1.0,
        60,
    ),
    _after(
        r"^\W{0,4}(?:from|after|following|commencing|beginning|thereafter|of the effective)", 0.7
    ),
    _before(r"\b(?:renew\w*|successive|additional|extend\w*|extension|further)\b", -1.2, 60),
    _after(r"^[^.;]{0,30}\b(?:notice|prior|before|renew\w*|extension)", -1.0, 40),
    _before(
        r"\b(?:at least|not less than|no less than|upon|within|by giving)\W+(?:\w+ ){0,2}$", -0.8
    ),
    _after(r"^[^.;]{0,12}\bwritten notice", -1.5, 40),
)
_RENEWS = (
    _before(
        r"\b(?:successive|additional|consecutive|further|renew\w*|exten\w+|each|subsequent)\b",
        1.2,
        60,
    ),
    _after(
        r"^\W{0,4}(?!initial)(?:\w+ )?(?:periods?|terms?|renewal|extensions?|increments?)\b", 0.8
    ),
    _after(r"^\W{0,4}(?:\w+ )?(?:notice|prior|before|in advance|written)\b", -2.0, 40),
    _within(r"annual|yearly|monthly|quarterly|[ -]to[ -]", 1.0),
    _before(
        r"\b(?:at least|(?:not|no) (?:less|later|fewer|more) than|upon|within|by giving"
        r"|prior)\W+(?:\w+ ){0,3}$",
        -1.5,
    ),
    _before(r"\b(?:initial term|initial period)\b", -0.7, 40),
    _before(r"\bnotice\b", -0.5, 30),
)
_WARNS = (
    _after(r"^\W{0,4}(?:\w+ ){0,3}(?:prior|notice|before|advance|written)\b", 1.5, 40),
    _before(
        r"\b(?:at least|(?:not|no) (?:less|later|fewer|more) than|upon|by giving|minimum of"
        r"|within|notice of|with)\W+(?:\w+ ){0,3}$",
        1.0,
    ),
    _before(r"\bnoti(?:ce|fy|fies|fication)\b", 0.5, 80),
    _before(
        r"\b(?:successive|additional|consecutive|renew\w*|exten\w+|initial|period of"
        r"|term of)\W+(?:\w+ ){0,3}$",
        -1.2,
    ),
    _after(r"^\W{0,4}(?:\w+ )?(?:periods?|terms?|renewal|extensions?)\b", -1.2),
)
_WARRANTS = (
    _before(r"\b(?:warrant\w*|period of|for)\b", 1.0, 60),
    _after(r"^\W{0,4}(?:from|after|following|commencing|warranty)", 0.8),
    _before(r"\b(?:within|notice|notify\w*|pay\w*)\b", -1.2, 30),
    _after(r"^\W{0,4}(?:\w+ ){0,2}(?:notice|prior|of (?:its )?(?:receipt|notice))", -1.5),
)
_ENDLESS = re.compile(
    r"\bperpetual(?:ly)?\b|\bin perpetuity\b|\bindefinite(?:ly)?\b|\bevergreen\b"
    r"|\bunlimited (?:period|term|duration)\b|\bend when (?:it is )?terminated\b"
    r"|\bwithout (?:a )?(?:fixed |definite )?(?:term|limit)"
    r"|\b(?:until|unless and until),? (?:(?:it|this agreement|the same|such time as it) )?"
    r"(?:(?:is|are|shall be|has been) )?(?:(?:earlier|sooner|otherwise|duly|validly) )?"
    r"(?:terminated|cancell?ed|terminates)\b"
    r"|\buntil (?:(?:the |its |such )?(?:expir(?:ation|y) or )?(?:\w+ )?terminat(?:ion|es)\b"
    r"|(?:either|any|one) (?:\w+ ){0,2}"
    r"(?:terminates|gives|elects))",
    re.IGNORECASE,
)
_REPEATS = re.compile(
    r"\b(?:successive\w*|consecutive|each|every|subsequent|additional (?:\S+ ){0,5}(?:periods"
    r"|terms)"
    r"|periods|terms|from year to year|year[ -]to[ -]year|month[ -]to[ -]month|annually|thereafter"
    r"|automatic\w*)\b",
    re.IGNORECASE,
)


def find_values(category: str, text: str, offset: int = 0) -> list[Value]:
    """The values of a clause, the main one first; none for a category without values.

    There is at least one for each category of CATEGORIES, which may be `not_stated`. `offset` is
    that of the clause in the document.
    """
    if category not in CATEGORIES:
        return []
    kind, find = _FINDERS[category]
    return find(Plain(text, offset)) or [Value(kind, "not_stated")]


def value_json(category: str, text: str, offset: int = 0) -> dict[str, Any] | None:
    """The main value of a clause in JSON, with the `other_values` that it also states.

    None for a category without values.
    """
    values = [value.to_json() for value in find_values(category, text, offset)]
    return {**values[0], "other_values": values[1:]} if values else None


def _ranked(
    plain: Plain, spots: Sequence[ValueCandidate], cues: Sequence[_Cue]
) -> list[ValueCandidate]:
    """The candidates, the likeliest first; among equals stated ones first, then by position."""

    def rank(spot: ValueCandidate) -> tuple[float, bool, int]:
        score = sum(cue.of(plain.text, spot) for cue in cues)
        return -score, spot.status != "stated", spot.start

    return sorted(spots, key=rank)


def _values(plain: Plain, kind: Kind, spots: Sequence[ValueCandidate]) -> list[Value]:
    return [plain.value(kind, s.status, s.value, s.start, s.end) for s in spots]


def _agreed(plain: Plain) -> list[Value]:
    return _values(plain, "date", find_dates(plain))[:1] or _any_gap(plain)


def _begins(plain: Plain) -> list[Value]:
    dates = _ranked(plain, find_dates(plain), _EFFECTIVE)
    good = [d for d in dates if sum(cue.of(plain.text, d) for cue in _EFFECTIVE) >= 0]
    return _values(plain, "date", good)[:1] or (_any_gap(plain) if len(plain.text) < 120 else [])


def _ends(plain: Plain) -> list[Value]:
    dates = _ranked(plain, find_dates(plain), _ENDS)
    spans = _ranked(plain, find_durations(plain), _LASTS)
    good = [d for d in dates if sum(cue.of(plain.text, d) for cue in _ENDS) > 0]
    lasting = [d for d in spans if sum(cue.of(plain.text, d) for cue in _LASTS) >= 0]
    endless = _endless(plain)
    return (
        _values(plain, "date", good)
        or (endless if not any(s.status == "stated" for s in lasting) else [])
        or _values(plain, "duration", lasting)
        or _values(plain, "date", [d for d in dates if len(dates) == 1 and len(plain.text) < 60])
    )[:1]


def _endless(plain: Plain) -> list[Value]:
    found = _ENDLESS.search(plain.text)
    return [plain.value("perpetual", "stated", "perpetual", *found.span())] if found else []


def _renews(plain: Plain) -> list[Value]:
    spans = _ranked(plain, find_durations(plain), _RENEWS)
    good = [s for s in spans if sum(cue.of(plain.text, s) for cue in _RENEWS) > 0]
    if not good:
        return _endless(plain)
    best = good[0]
    around = plain.text[max(0, best.start - 90) : best.end + 40]
    repeats = _REPEATS.search(around) is not None
    return [plain.value("duration", best.status, best.value, best.start, best.end, repeats=repeats)]


def _warns(plain: Plain) -> list[Value]:
    spans = _ranked(plain, find_durations(plain), _WARNS)
    return _values(plain, "duration", spans)[:1]


def _warrants(plain: Plain) -> list[Value]:
    return _values(plain, "duration", _ranked(plain, find_durations(plain), _WARRANTS))[:3]


def _any_gap(plain: Plain) -> list[Value]:
    hidden = [s for s in find_durations(plain) if s.status == "redacted"]
    return _values(plain, "date", hidden)[:1]


_FINDERS: Mapping[str, tuple[Kind, Callable[[Plain], list[Value]]]] = {
    "Document Name": ("title", find_title),
    "Parties": ("party", find_parties),
    "Agreement Date": ("date", _agreed),
    "Effective Date": ("date", _begins),
    "Expiration Date": ("date", _ends),
    "Renewal Term": ("duration", _renews),
    "Notice Period To Terminate Renewal": ("duration", _warns),
    "Governing Law": ("jurisdiction", find_jurisdictions),
    "Warranty Duration": ("duration", _warrants),
    "Revenue/Profit Sharing": ("amount", find_amounts),
    "Minimum Commitment": ("amount", find_amounts),
    "Cap On Liability": ("amount", find_amounts),
    "Liquidated Damages": ("amount", find_amounts),
    "Insurance": ("amount", find_amounts),
}
CATEGORIES: Mapping[str, Kind] = {category: kind for category, (kind, _) in _FINDERS.items()}
"""The categories with values, and the kind of a value that is not stated.

An Expiration Date may also be a `duration` or `perpetual`, a Renewal Term `perpetual`.
"""
