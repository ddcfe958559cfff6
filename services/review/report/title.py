"""The title of a document in its report, without the parts that a reviewer disputed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.review.domain import Document
from services.review.exports import Result
from services.review.report.wording import dated, flowing, shortened
from shared.categories import DAYS
from shared.events import DocumentTitle
from shared.titles import joined, named, short_name

_NAME, _PARTIES = "Document Name", "Parties"
_MOST_CHARACTERS = 200
_ISO = re.compile(r"\d{4}(?:-\d\d){0,2}")


def title_of_report(document: Document, results: Sequence[Result]) -> str:
    """Return name, parties and date. Disputed parts are left out or replaced."""
    disputed = {one.item.category for one in results if one.item.verdict in ("reject", "correct")}
    if document.title is None:
        return flowing(_name(document, results))
    if not disputed & {_NAME, _PARTIES, *DAYS}:
        return flowing(document.title.title)
    name, parties, day = _parts(document.title)
    if _NAME in disputed:
        name = _name(document, results)
    if _PARTIES in disputed:
        parties = _undisputed(parties, results)
    if disputed & DAYS:
        day = _stated_day(day, results)
    return flowing(joined(name, named(parties), day))


def _name(document: Document, results: Sequence[Result]) -> str:
    """The first name that stands in the text, or the name of the file."""
    rows = [one.row() for one in results if one.item.verdict != "reject"]
    names = [row for row in rows if row["category"] == _NAME]
    first = min(names, key=lambda row: row["start"] or 0, default={"text": document.name})
    stated = first["value"] if first.get("verdict") == "correct" else None
    return shortened(str(stated or first["text"]), _MOST_CHARACTERS)


def _parts(title: DocumentTitle) -> tuple[str, Sequence[str], str]:
    """Name, parties and date of a title; empty if it lacks one."""
    parts = title.title.split(" · ")
    day = parts.pop() if _ISO.fullmatch(parts[-1]) else ""
    if title.parties and parts and parts[-1] == joined(named(title.parties)):
        parts.pop()
    return "".join(parts[:1]), title.parties, day


def _undisputed(parties: Sequence[str], results: Sequence[Result]) -> list[str]:
    """The parties without those whose every clause was rejected or has other words now."""
    rows = [one.row() for one in results if one.item.kind == "clause"]
    found = [row["found_text"] for row in rows if row["found_category"] == _PARTIES]
    left = [
        row["text"] for row in rows if row["category"] == _PARTIES and row["verdict"] != "reject"
    ]
    stated = {
        flowing(row["found_text"]).casefold(): short_name(str(row["value"]))
        for row in rows
        if row["category"] == _PARTIES and row["verdict"] == "correct" and row["value"]
    }
    return [
        next((new for words, new in stated.items() if one.casefold() in words), one)
        for one in parties
        if _within(one, left) or not _within(one, found)
    ]


def _within(name: str, texts: Sequence[str]) -> bool:
    return any(flowing(name).casefold() in flowing(text or "").casefold() for text in texts)


def _stated_day(day: str, results: Sequence[Result]) -> str:
    """The date if a clause still states it, or else the first that one states."""
    rows = [one.row() for one in results if one.item.verdict != "reject"]
    own = sorted((row for row in rows if row["category"] in DAYS), key=lambda r: r["category"])
    stated = [row["value"] or dated(flowing(row["text"])) for row in own]
    days = [one for one in stated if _ISO.fullmatch(one)]
    return day if day in days else next(iter(days), "")
