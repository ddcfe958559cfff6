"""The sections of a contract's report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from services.review.exports import Result
from services.review.report.report import Entry, Group, KeyTerm, Section, Value
from services.review.report.wording import (
    capital,
    counted,
    decision_of,
    flowing,
    listed,
    pages,
    shortened,
    stated_value,
    value_of,
)
from shared.categories import OTHER, SUBJECTS, subject_of, title_of
from shared.events.searched import SearchedContract, Term

NEAR = 0.1
"""The least probability of a category whose nearest passage is named."""
_TERM_CHARACTERS = 120
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
    in_terms = _SHORT & {term.name for term in terms}
    groups = _groups(_without_repeats(_standing(visible), in_terms))
    nothing = () if groups else ("No clauses.",)
    sections.append(Section("Clauses", nothing, groups=tuple(groups)))
    if searched:
        sections.append(Section("Not found", tuple(_missing(searched, results, unread))))
    return sections


def _standing(results: Iterable[Result]) -> list[Result]:
    """Return the clauses without the rejected ones, in the order of the text."""
    found = [one for one in results if one.item.kind == "clause" and one.item.verdict != "reject"]
    return sorted(found, key=lambda one: (one.row()["start"] or 0, one.item.id))


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
    for term in found:
        one = by_id.get(term.clause_id or "")
        if one and _is_as_found(one) and term.status != "not_stated":
            values[term.category].append((term.start or 0, _value(_text(term, by_id), one)))
    for one in _standing(results):
        row = one.row()
        if not _is_as_found(one) or one.item.is_only_added:
            text = stated_value(one) or shortened(row["text"], _TERM_CHARACTERS)
            values[row["category"]].append((row["start"] or 0, _value(text, one)))
    return tuple(
        KeyTerm(title_of(category), tuple(value for _start, value in own))
        for category in dict.fromkeys(term.category for term in found)
        if (own := sorted(values[category], key=lambda pair: pair[0]))
    )


def _is_as_found(one: Result) -> bool:
    """Whether no reviewer rejected or corrected it."""
    return one.item.verdict not in ("reject", "correct")


def _text(term: Term, by_id: Mapping[str, Result]) -> str:
    """The value in words, with the date that was calculated from it and an undisputed clause."""
    since = by_id.get(term.computed_from or "")
    if term.computed is None or since is None or not _is_as_found(since):
        return value_of(term)
    stated = f"{value_of(term)}, " if term.value else ""
    return f"{term.computed} ({stated}calculated)"


def _value(text: str, one: Result) -> Value:
    page = one.row()["page"]
    return Value(text, str(page or ""), decision_of(one))


# --- what is missing ---------------------------------------------------------------------------


def _missing(
    searched: SearchedContract, results: Sequence[Result], unread: Sequence[int]
) -> Iterable[str]:
    """Say how many categories were searched, and list those without a clause."""
    present = {one.row()["category"] for one in _standing(results)}
    rejected = {one.item.category for one in results if one.item.verdict == "reject"}
    confirmed = {one.item.category for one in results if one.item.absent}
    names = dict.fromkeys(line.category for line in searched.categories)
    missing = [name for name in names if name not in present]
    what = "The rest" if unread else "The document"
    yield " ".join(
        [
            *([f"{capital(pages(unread))} could not be read."] if unread else []),
            f"{what} was searched for {counted(len(names), 'clause type')}.",
            *([f"No clause was found for {len(missing)} of them."] if missing else []),
        ]
    )
    if done := [name for name in missing if name in confirmed]:
        yield f"A reviewer confirmed that these are absent: {_named(done)}."
    if done := [name for name in missing if name in rejected - confirmed]:
        yield f"A reviewer rejected the passages that the model proposed: {_named(done)}."
    if open_ := [name for name in missing if name not in rejected | confirmed]:
        yield f"Not found by the model, and not confirmed by a reviewer: {_named(open_)}."
    near = [
        f"{title_of(line.category)} (page {line.page})"
        for line in searched.categories
        if line.category in open_ and line.probability >= NEAR and line.page
    ]
    if near:
        yield f"Passages that come near: {listed(near)}."


def _named(categories: Iterable[str]) -> str:
    return listed(title_of(name) for name in categories)
