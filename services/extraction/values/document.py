"""The values of a whole contract, and dates that are computed from two of them."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from services.extraction.values.clause import CATEGORIES, find_values
from services.extraction.values.parties import pair_parties
from services.extraction.values.value import Value

_REFERS = re.compile(
    r"\b(?:date (?:of (?:this|the) (?:\w+ )?agreement|first (?:\w+ ){0,3}(?:above|written"
    r"|set)|hereof|"
    r"above)|hereof|(?:day and year|date) first|first (?:date|day) (?:\w+ ){0,2}(?:above|written)|"
    r"agreement date)\b",
    re.IGNORECASE,
)
_EITHER = re.compile(r"\b(?:later|earlier|latest|earliest)\b", re.IGNORECASE)
_FROM = re.compile(
    r"\b(?:from|after|following|of|commenc\w+|begin\w+|on|with)\W+(?>(?:on |upon |from "
    r"|as of )*)(?>(?:and )?)(?>(?:(?:the|its|such) )?)"
    r"(?:(?:full )?execution|(?!effective|commencement|date\b|agreement|contract|start|closing)\w+ "
    r"(?:\w+ )?(?:date|launch|delivery|sale|year))\b",
    re.IGNORECASE,
)
_PERIOD = re.compile(r"(?<!\d)(\d++)([YMWD])")


@dataclass(frozen=True)
class ClauseContext:
    """The parts of a clause that its values depend on."""

    id: str
    category: str
    confidence: float
    start: int
    text: str


@dataclass(frozen=True)
class DocumentValue:
    """A value of a contract and its clause; without a clause it is not stated.

    `computed` is a date that no clause states: the end of a term, counted from the effective or
    agreement date, or the agreement date if the effective date refers to it. `computed_from` is the
    clause that it was counted from.
    """

    category: str
    value: Value
    clause_id: str | None = None
    computed: str | None = None
    computed_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The value in REST."""
        return {**vars(self), **self.value.to_json()}


def document_values(clauses: Sequence[ClauseContext]) -> list[DocumentValue]:
    """The values of each category, the likeliest first, in the order of CATEGORIES."""
    lines: dict[str, list[DocumentValue]] = {}
    for category in CATEGORIES:
        own = [clause for clause in clauses if clause.category == category]
        lines[category] = _lines(category, own)
    _compute(lines, {clause.id: clause for clause in clauses})
    return [line for own in lines.values() for line in own]


def _lines(category: str, clauses: Sequence[ClauseContext]) -> list[DocumentValue]:
    found = [
        (clause, order, value)
        for clause in clauses
        for order, value in enumerate(find_values(category, clause.text, clause.start))
    ]
    if not found:
        return [DocumentValue(category, Value(CATEGORIES[category], "not_stated"))]
    if category == "Parties":
        return _parties(found)
    found.sort(key=lambda item: (_rank(item[2]), item[1], -item[0].confidence, item[0].start))
    lines: dict[tuple[Any, ...], DocumentValue] = {}
    for clause, _order, value in found:
        same = (value.kind, value.value and value.value.lower(), value.currency)
        lines.setdefault(same, DocumentValue(category, value, clause.id))
    stated = [line for line in lines.values() if line.value.status != "not_stated"]
    return stated or list(lines.values())[:1]


def _rank(value: Value) -> int:
    """Stated values come before redacted ones, and dates before durations."""
    kinds = {"date": 0, "duration": 1, "perpetual": 2}
    states = {"stated": 0, "redacted": 10, "not_stated": 20}
    return states[value.status] + kinds.get(value.kind, 0)


def _parties(found: Sequence[tuple[ClauseContext, int, Value]]) -> list[DocumentValue]:
    found = sorted(found, key=lambda item: (-item[0].confidence, -len(item[2].text or "")))
    places = {(v.start, v.end): clause.id for clause, _order, v in reversed(found)}
    parties = pair_parties(value for _clause, _order, value in found)
    lines = [DocumentValue("Parties", v, places[v.start, v.end]) for v in parties]
    return lines or [DocumentValue("Parties", found[0][2], found[0][0].id)]


# --- computed dates ----------------------------------------------------------------------------


def _compute(lines: dict[str, list[DocumentValue]], clauses: dict[str, ClauseContext]) -> None:
    agreed, starts, ends = (
        lines[name][0] for name in ("Agreement Date", "Effective Date", "Expiration Date")
    )
    if starts.value.value is None and starts.clause_id and agreed.value.value:
        words = clauses[starts.clause_id].text
        if _REFERS.search(words) and not _EITHER.search(words):
            starts = replace(starts, computed=agreed.value.value, computed_from=agreed.clause_id)
            lines["Effective Date"][0] = starts
    if ends.value.kind != "duration" or not ends.value.value or not ends.clause_id:
        return
    if _starts_with_event(ends, clauses[ends.clause_id]):
        return
    since, source = starts.computed or starts.value.value, starts.computed_from or starts.clause_id
    if since is None:
        since, source = agreed.value.value, agreed.clause_id
    if since and (day := _add_period(since, ends.value.value)):
        lines["Expiration Date"][0] = replace(ends, computed=day, computed_from=source)


def _starts_with_event(line: DocumentValue, clause: ClauseContext) -> bool:
    """Whether a term begins with an event whose date is unknown."""
    end = (line.value.end or 0) - clause.start
    return _FROM.match(clause.text[end : end + 120].lstrip(" \n\t,)('\"")) is not None


def _add_years(since: str, period: str) -> str | None:
    """A year or month plus whole years: P10Y after 2000 is 2010."""
    years = re.fullmatch(r"P(\d+)Y", period)
    if years is None or int(since[:4]) + int(years[1]) > 9999:
        return None
    return f"{int(since[:4]) + int(years[1])}{since[4:]}"


def _add_period(since: str, period: str) -> str | None:
    """A date plus a period: P1Y after 2005-03-01 is 2006-03-01."""
    if len(since) != 10:
        return _add_years(since, period)
    day = date.fromisoformat(since)
    months = days = 0
    for number, unit in _PERIOD.findall(period):
        months += int(number) * {"Y": 12, "M": 1}.get(unit, 0)
        days += int(number) * {"W": 7, "D": 1}.get(unit, 0)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > 9999:
        return None
    last = calendar.monthrange(year, month + 1)[1]
    try:
        return (date(year, month + 1, min(day.day, last)) + timedelta(days=days)).isoformat()
    except OverflowError:
        return None
