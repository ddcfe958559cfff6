"""The sections of a contract's report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.review.domain import Item
from services.review.exports import Result
from services.review.report.missing import missing_section, standing
from services.review.report.report import Entry, Group, KeyTerm, Section, Value
from services.review.report.wording import (
    dated,
    decision_of,
    flowing,
    pages,
    shortened,
    stated_value,
    value_of,
)
from shared.categories import OTHER, SUBJECTS, subject_of, title_of
from shared.events.searched import SearchedContract, Term

_MOST_WORDS = 160
"""Characters of the words of a clause without a readable value."""
_SHORT = {"Document name", "Parties", "Agreement date", "Effective date"}
"""Clause types whose words are hardly more than their value."""


def contract_sections(
    results: Sequence[Result],
    visible: Sequence[Result],
    searched: SearchedContract | None,
    unread: Sequence[int],
    *,
    whole: bool,
) -> list[Section]:
    """Return the key terms, the clauses by subject, and what was not found.

    Args:
        results: of the document.
        visible: those that the reader may see.
        searched: the search of the specialists; None for results of an older version.
        unread: pages that could not be read.
        whole: whether the reader may see all results. Values come from the likeliest clause, which
            would tell the confidence of a hidden check.
    """
    sections = []
    terms = _terms(searched.terms, results) if whole and searched else ()
    if terms:
        sections.append(Section("Key terms", terms=terms))
    read = {term.name for term in terms if all(value.is_read for value in term.values)}
    groups = _groups(_without_repeats(standing(visible), _SHORT & read))
    some = "Each clause is among the key terms." if standing(visible) else "No clauses."
    nothing = () if groups else (some,)
    sections.append(Section("Clauses", nothing, groups=tuple(groups)))
    if missing := missing_section(searched, results, unread):
        sections.append(missing)
    return sections


def _without_repeats(clauses: Sequence[Result], in_terms: Collection[str]) -> list[Result]:
    """Leave out clauses that only repeat the key terms or a longer clause of their type.

    Args:
        clauses: in the order of the text.
        in_terms: names of clause types whose words are in the key terms.
    """
    rows = [one.row() for one in clauses]
    return [
        one
        for one, row in zip(clauses, rows, strict=True)
        if row["note"]
        or not (
            title_of(row["category"]) in in_terms
            or (one.item.verdict is None and any(_contains(other, row) for other in rows))
        )
    ]


def _contains(longer: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a clause has all words of another one of its type, and more."""
    (a, b), (start, end) = ((one["start"] or 0, one["end"] or 0) for one in (longer, row))
    return longer["category"] == row["category"] and a <= start and end <= b and b - a > end - start


def _groups(clauses: Sequence[Result]) -> list[Group]:
    by_subject: dict[str, dict[str, list[Result]]] = {
        subject: {name: [] for name in names} for subject, names in SUBJECTS.items()
    }
    by_subject[OTHER] = {}
    for one in clauses:
        category = one.row()["category"]
        by_subject[subject_of(category)].setdefault(category, []).append(one)
    return [
        Group(subject, tuple(_entry(one) for own in names.values() for one in own))
        for subject, names in by_subject.items()
        if any(names.values())
    ]


def _entry(one: Result) -> Entry:
    row = one.row()
    return Entry(
        title=title_of(row["category"]),
        place=pages([row["page"]] if row["page"] else []),
        decision=decision_of(one),
        text=flowing(row["text"]),
        notes=(("Note", flowing(row["note"])),) if row["note"] else (),
    )


# --- key terms ---------------------------------------------------------------------------------


def _terms(found: Sequence[Term], results: Sequence[Result]) -> tuple[KeyTerm, ...]:
    """The values of undisputed clauses, and the words of corrected and added ones."""
    by_id = {one.item.result_id: one for one in results}
    values = defaultdict[str, list[tuple[int, Value]]](list)
    categories = dict.fromkeys(term.category for term in found)
    clauses = [one for one in standing(results) if one.row()["category"] in categories]
    for term in found:
        one = _clause_of(term, by_id)
        if one and (text := _text(term, by_id)):
            values[term.category].append((_start(one, term), _value(text, one)))
    for one in clauses:
        if not _is_as_found(one) or one.item.is_only_added:
            row = one.row()
            text = stated_value(one) or dated(flowing(row["text"]))
            values[row["category"]].append((_start(one), _value(text, one)))
    without = [one for one in clauses if one.row()["category"] not in values]
    for one in _without_repeats(without, ()):
        values[one.row()["category"]].append((_start(one), _own_value(one)))
    return tuple(
        KeyTerm(title_of(category), tuple(value for _start, value in own))
        for category in categories
        if (own := sorted(values[category], key=lambda pair: pair[0]))
    )


def _clause_of(term: Term, by_id: Mapping[str, Result]) -> Result | None:
    """The clause of a term. After a rejection, an undisputed one of its type that states it."""
    one = by_id.get(term.clause_id or "")
    if one is None or one.item.verdict != "reject":
        return one if one and (_is_as_found(one) or _keeps(one, term)) else None
    for other in filter(_is_as_found, standing(by_id.values())):
        if other.item.category == term.category and _states(other.item, term):
            return other
    return None


def _states(item: Item, term: Term) -> bool:
    """Whether a clause has the words of a term, or its value."""
    if term.start is not None and item.start is not None and item.end is not None:
        end = term.start + len(term.text or "")
        if item.start <= term.start and end <= item.end:
            return True
    read = [item.value, *item.value["other_values"]] if item.value else []
    return term.value is not None and any(
        (one["value"] or "").casefold() == term.value.casefold()
        and one.get("currency") == term.currency
        for one in read
    )


def _keeps(one: Result, term: Term) -> bool:
    """Whether a clause still states a term after the correction of another value of it."""
    item, right = one.item, one.decision.correction if one.decision else None
    if item.verdict != "correct" or not right or not item.value or not right.get("value"):
        return False
    is_moved = (right["start"], right["end"]) != (item.start, item.end)
    return not is_moved and term.value != item.value["value"]


def _is_as_found(one: Result) -> bool:
    """Whether no reviewer rejected or corrected it."""
    return one.item.verdict not in ("reject", "correct")


def _start(one: Result, term: Term | None = None) -> int:
    return (term and term.start) or one.row()["start"] or 0


def _text(term: Term, by_id: Mapping[str, Result]) -> str:
    """The value in words, with the date that was calculated from it and an undisputed clause."""
    since = by_id.get(term.computed_from or "")
    if term.computed and since and _is_as_found(since):
        stated = f"{value_of(term)}, " if term.value else ""
        return f"{term.computed} ({stated}calculated)"
    return "" if term.status == "not_stated" else value_of(term)


def _own_value(one: Result) -> Value:
    """The value of a clause that no term has, or its words if no value was read."""
    row = one.row()
    term = Term.model_validate({**one.item.value, "category": ""}) if one.item.value else None
    if term and term.status != "not_stated":
        return _value(value_of(term), one)
    place = f" on page {row['page']}" if row["page"] else ""
    words = shortened(row["text"], _MOST_WORDS)
    return replace(_value(f"Clause found{place}, no value read: “{words}”", one), is_read=False)


def _value(text: str, one: Result) -> Value:
    page = one.row()["page"]
    return Value(text, str(page or ""), decision_of(one))
