"""The clause types that a contract does not have.

A clause type is missing when no clause of it stands: none was found or added, or reviewers rejected
each one. The tab Missing has the same rule in `pages/missing.js`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from services.review.exports import Result
from services.review.report.report import NameList, Section
from services.review.report.wording import capital, counted, listed, pages
from shared.categories import OTHER, SUBJECTS, subject_of, title_of
from shared.events.searched import SearchedCategory, SearchedContract

NEAR = 0.1
"""The least probability of a category whose nearest passage is named."""
_CONFIRMED = "confirmed absent"
_REMARKS = (_CONFIRMED, "rejected by a reviewer", "corrected by a reviewer")
"""The decisions about a clause type, the strongest first."""


def standing(results: Iterable[Result]) -> list[Result]:
    """Return the clauses without the rejected ones, in the order of the text."""
    found = [one for one in results if one.item.kind == "clause" and one.item.verdict != "reject"]
    return sorted(found, key=lambda one: (one.row()["start"] or 0, one.item.id))


def missing_section(
    searched: SearchedContract | None, results: Sequence[Result], unread: Sequence[int]
) -> Section | None:
    """Return how many clause types were searched, and the missing ones by subject.

    Returns None without a search and without a confirmed absence.
    """
    present = {one.row()["category"] for one in standing(results)}
    remarks = _remarks(results)
    near = {line.category: _near(line) for line in searched.categories} if searched else {}
    confirmed = [name for name, remark in remarks.items() if remark == _CONFIRMED]
    missing = [name for name in dict.fromkeys((*near, *confirmed)) if name not in present]
    paragraphs = [_searched(len(near), len(missing), unread)] if searched else []
    if missing:
        paragraphs.append(_counts(missing, remarks))
    if disputed := [title_of(name) for name in confirmed if name in present]:
        paragraphs.append(f"Confirmed absent, but there is a clause: {listed(disputed)}.")
    if not paragraphs:
        return None
    noted = {name: remarks.get(name) or near[name] for name in missing}
    return Section("Not found", tuple(paragraphs), lists=tuple(_by_subject(noted)))


def _searched(count: int, missing: int, unread: Sequence[int]) -> str:
    what = "The rest" if unread else "The document"
    return " ".join(
        [
            *([f"{capital(pages(unread))} could not be read."] if unread else []),
            f"{what} was searched for {counted(count, 'clause type')}.",
            *([f"{missing} of them have no clause."] if missing else []),
        ]
    )


def _remarks(results: Iterable[Result]) -> dict[str, str]:
    """What reviewers decided about each category. A confirmed absence comes first."""
    found: dict[str, set[str]] = {}
    for one in results:
        item = one.item
        if item.absent:
            found.setdefault(item.category, set()).add(_CONFIRMED)
        elif item.kind == "clause" and item.verdict in ("reject", "correct"):
            found.setdefault(item.category, set()).add(f"{item.verdict}ed by a reviewer")
    return {name: min(own, key=_REMARKS.index) for name, own in found.items()}


def _counts(missing: Iterable[str], remarks: Mapping[str, str]) -> str:
    """Say how many missing clause types have each remark."""
    own = [remarks.get(name, "") for name in missing]
    counts = {remark or "not confirmed": own.count(remark) for remark in (*_REMARKS, "")}
    return f"{listed(f'{number} {remark}' for remark, number in counts.items() if number)}."


def _by_subject(remarks: Mapping[str, str]) -> Iterable[NameList]:
    """Group categories with their remarks by subject."""
    for subject in (*SUBJECTS, OTHER):
        order = {name: at for at, name in enumerate(SUBJECTS.get(subject, ()))}
        own = [name for name in remarks if subject_of(name) == subject]
        own.sort(key=lambda name: order.get(name, 0))
        if own:
            yield NameList(subject, tuple((title_of(name), remarks[name]) for name in own))


def _near(line: SearchedCategory) -> str:
    near = line.page and line.probability >= NEAR
    return f"nearest passage on page {line.page}" if near else ""
