"""What a policy would do beside the one in force, as a table for a person who is to sign it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from shared.cli.lines import plain

WIDTH, COLUMN = 32, 24
"""Characters of the titles of rows, and of a column."""
TOP = 3
"""Categories of which it is said how many errors are expected."""
SIDES = (("in force", "now"), ("tried", "tried"))
KINDS = (("contracts", "clauses"), ("reports", "findings"))
NOTES = (
    "Documents count as they were read; nothing is read anew, and nothing is changed.",
    "People look at all that the machine does not accept: also at what a model is asked about, and "
    "at the share that is drawn to check the machine. Hours are 10 seconds an item and 238 words a "
    "minute; the 10 seconds are assumed.",
    "Questions to a model are those that are worth their price, if the budget has the money; the "
    "price is expected, at four characters a token.",
    "In neither column: unusual signals and sentences of reports (people look at the strong ones "
    "whatever the policy says), questions about the kinds of documents and about pages, and what "
    "another `max_missed` would show.",
)
WITHIN = (
    "Expected errors are those that nobody would see. Each is as likely as the mistakes of the "
    "specialist in documents that it had not seen; errors that go together in one document, and "
    "documents unlike those, make the range wider."
)
BROKEN = "Of findings, that hangs on the share of reports with an error that the policy states."
MEASURED = (
    "What a model confirms may then need nobody, once people's decisions show that it may be "
    "trusted (`trust`): these columns do not count that."
)


def shown(line: Mapping[str, Any]) -> Iterator[str]:
    """The two policies side by side, row by row, contracts and reports apart, and what to know
    before one of them is signed.
    """
    blocks = (line, line["reports"])
    yield f"What two policies make of the past documents of {plain(line['tenant'])}"
    yield ""
    yield _row("", *(title for title, _ in SIDES))
    yield _row("version", *(_version(line[side]) for _, side in SIDES))
    for (kind, results), block in zip(KINDS, blocks, strict=True):
        yield ""
        yield _head(kind, results, block)
        yield from _rows(block)
    yield ""
    yield "Both together"
    for key, title, digits in (
        ("review_hours", "hours of review", 1),
        ("cost_usd", "price of questions, US$", 2),
    ):
        sums = (sum(block[side][key] for block in blocks) for _, side in SIDES)
        yield _row(title, *(f"{one:.{digits}f}" for one in sums))
    yield ""
    for said in _said(line):
        yield from wrap(said, WIDTH + 2 * COLUMN, subsequent_indent="  ")


def _head(kind: str, results: str, block: Mapping[str, Any]) -> str:
    title = f"{kind.capitalize()}: {block['documents']:,}, with {block[results]:,} {results}"
    return f"{title}; people have decided about {block['decided']:,}"


def _rows(block: Mapping[str, Any]) -> Iterator[str]:
    sides = [block[side] for _, side in SIDES]
    yield _row("at most wrong, as stated", *map(_risk, sides))
    if any("broken" in one for one in sides):
        yield _row("reports with an error, stated", *(_share(one["broken"]) for one in sides))
    yield _row("accepted: nobody looks", *(f"{one['accepted']:,}" for one in sides))
    yield _row("  wrong among them, expected", *map(_errors, sides))
    yield _row("  with 95% between", *map(_within, sides))
    yield _row("  found wrong by people", *map(_found, sides))
    yield _row("looked at by people", *(f"{one['reviewed']:,}" for one in sides))
    yield _row("  of these, as a check", *(f"{one['sampled']:,}" for one in sides))
    yield _row("  hours of review", *(f"{one['review_hours']:.1f}" for one in sides))
    yield _row("questions to a model", *(f"{one['escalated']:,}" for one in sides))
    yield _row("  their price, US$", *(f"{one['cost_usd']:.2f}" for one in sides))


def _row(title: str, *cells: str) -> str:
    return f"{title:<{WIDTH}}{''.join(f'{cell:>{COLUMN}}' for cell in cells)}".rstrip()


def _version(one: Mapping[str, Any]) -> str:
    """The digest, and as much of the label as there is room for."""
    named = plain(f"{one['version']['digest']} {one['version']['label']}").strip()
    return named[: COLUMN - 1]


def _share(share: float | None) -> str:
    return "not stated" if share is None else f"{100 * share:g}%"


def _risk(one: Mapping[str, Any]) -> str:
    if one["max_wrong"] is None:
        return "nothing stated"
    return f"{_share(one['max_wrong'])}, {100 * one['level']:g}% sure"


def _errors(one: Mapping[str, Any]) -> str:
    """How many of the accepted are expected to be wrong."""
    if not one["accepted"]:
        return "-"
    return f"{one['expected_errors']:.1f} ({one['expected_errors'] / one['accepted']:.1%})"


def _within(one: Mapping[str, Any]) -> str:
    if not one["accepted"]:
        return "-"
    low, high = one["expected_errors_interval"]
    return f"{low} and {high}"


def _found(one: Mapping[str, Any]) -> str:
    """How many of the accepted people have rejected or corrected, of those they decided about."""
    return f"{one['changed']} of {one['accepted_and_decided']} decided" if one["accepted"] else "-"


def _said(line: Mapping[str, Any]) -> Iterator[str]:
    """What to know before a policy is signed, the policies first, then what the rows mean."""
    for title, side in SIDES:
        for (kind, results), block in zip(KINDS, (line, line["reports"]), strict=True):
            yield from _of_side(f"{title}, {kind}", results, block[side])
    untried, reports = line["reports"]["untried"], line["reports"]["documents"]
    if untried:
        yield (
            f"! {untried:,} of {reports:,} reports can't be tried and count nowhere above: they "
            "were checked before what decides about their findings was kept, or it is gone. Have "
            "them read again (`reprocess`)."
        )
    yield from NOTES
    if any(block[side]["accepted"] for block in (line, line["reports"]) for _, side in SIDES):
        yield WITHIN
    if any(line["reports"][side]["accepted"] for _, side in SIDES):
        yield BROKEN
    if any(line[side]["trust"] == "measured" for _, side in SIDES):
        yield MEASURED


def _of_side(title: str, results: str, one: Mapping[str, Any]) -> Iterator[str]:
    """One policy on one kind of documents, in sentences."""
    if one["accepted"]:
        yield f"{title}: most errors are expected in {_most(one)}."
    decided, stated = one["accepted_and_decided"], one["max_wrong"]
    if decided and stated is not None and one["changed"] > stated * decided:
        yield (
            f"! {title}: of {decided:,} accepted {results} that people decided about they found "
            f"{one['changed']:,} wrong, {one['changed'] / decided:.0%}: more than the "
            f"{_share(stated)} that is stated."
        )
    for reason, count in one["why_not"].items():
        yield f"{title}: none of {count:,} {results} is accepted: {plain(reason)}."


def _most(one: Mapping[str, Any]) -> str:
    """The categories with the most expected errors."""
    top = list(one["expected_errors_by_category"].items())[:TOP]
    return ", ".join(
        f"{plain(mine.get('title') or name)} ({mine['expected_errors']:.1f} of "
        f"{mine['accepted']:,})"
        for name, mine in top
    )
