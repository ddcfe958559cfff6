"""What a policy would do beside the one in force, as a table for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.cli.lines import plain

WIDTH = 28
TOP = 5
"""Categories of which it is said how many errors are expected."""
WITHIN = (
    "With 95% probability there are so many errors if each clause errs by itself, as likely as its "
    "calibration set says; errors that go together in a document make it wider."
)
ASKED = (
    "Escalated are questions that are worth their price, if the budget has the money; the cost is "
    "expected, at four characters a token. A person looks at the same results as well."
)

UNTRIED = (
    "Reports are not tried: what would be accepted, asked and looked at of their findings is in "
    "neither column, nor are questions about the kinds of documents and about pages. No document "
    "is read anew: what another `max_missed` would show counts in neither."
)


def shown(line: Mapping[str, Any]) -> Iterator[str]:
    """The two policies side by side, row by row."""
    now, tried = line["now"], line["tried"]
    yield (
        f"{line['documents']} documents of {plain(line['tenant'])} with {line['clauses']} clauses, "
        f"{line['decided']} of them decided by people"
    )
    yield ""
    yield _row("", "in force", "tried")
    yield _row("version", *map(_version, (now, tried)))
    yield _row("stated risk", _risk(now), _risk(tried))
    for key, title in (
        ("accepted", "accepted by the machine"),
        ("escalated", "questions to a model"),
        ("reviewed", "reviewed by people"),
        ("sampled", "  of these, as a check"),
    ):
        yield _row(title, *(str(one[key]) for one in (now, tried)))
    yield _row("hours of review", *(f"{one['review_hours']:.1f}" for one in (now, tried)))
    yield _row("cost at providers, US$", *(f"{one['cost_usd']:.2f}" for one in (now, tried)))
    yield _row("expected errors", _errors(now), _errors(tried))
    yield _row("  with 95% between", *map(_within, (now, tried)))
    yield _row("changed by people", _found(now), _found(tried))
    yield ""
    yield ASKED
    yield UNTRIED
    if now["accepted"] or tried["accepted"]:
        yield WITHIN
    for title, one in (("in force", now), ("tried", tried)):
        if one["accepted"]:
            yield f"{title}: most errors are expected in {_most(one)}"
        for reason, count in one["why_not"].items():
            yield f"{title}: none of {count} clauses is accepted: {plain(reason)}"


def _row(title: str, now: str, tried: str) -> str:
    return f"{title:<{WIDTH}}{now:>24}{tried:>24}".rstrip()


def _version(one: Mapping[str, Any]) -> str:
    """The digest, and as much of the label as there is room for."""
    return plain(f"{one['version']['digest']} {one['version']['label']}").strip()[:23]


def _risk(one: Mapping[str, Any]) -> str:
    if one["max_wrong"] is None:
        return "none: a person looks"
    return f"{one['max_wrong']:g} at {one['level']:.0%}"


def _errors(one: Mapping[str, Any]) -> str:
    """How many of the accepted are expected to be wrong."""
    if not one["accepted"]:
        return "0"
    return f"{one['expected_errors']:.1f} ({one['expected_errors'] / one['accepted']:.1%})"


def _within(one: Mapping[str, Any]) -> str:
    low, high = one["expected_errors_interval"]
    return f"{low} and {high}"


def _most(one: Mapping[str, Any]) -> str:
    """The categories with the most expected errors."""
    top = list(one["expected_errors_by_category"].items())[:TOP]
    return ", ".join(
        f"{plain(name)} ({mine['expected_errors']:.1f} of {mine['accepted']})" for name, mine in top
    )


def _found(one: Mapping[str, Any]) -> str:
    """How many of the accepted people have rejected or corrected, of those they decided about."""
    return f"{one['changed']} of {one['accepted_and_decided']}"
