"""What a policy would do beside the one in force, as a table for a person who is to sign it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from shared.cli.budgets import told as told_of_budget
from shared.cli.budgets import usd
from shared.cli.lines import plain

WIDTH, COLUMN = 32, 24
"""Characters of the titles of rows, and of a column."""
TOP = 3
"""Categories of which it is said how many errors are expected."""
SIDES = (("in force", "now"), ("tried", "tried"))
KINDS = (("contracts", "clauses"), ("reports", "findings"))
UNKNOWN = "none on record"
"""What stands for the policy in force where nothing says which it is."""
FEW = 30
"""Decided results of which a share may well be chance."""
NOTES = (
    "Documents count as they were read; nothing is read anew, and nothing is changed.",
    "People look at all that is not accepted: also at what a model is asked about, and at what is "
    "drawn to check the machine. An item takes them 10 seconds, which is assumed, and its "
    "words at 238 a minute.",
    "A model is asked what is worth its price, if the budget has the money. The price is expected, "
    "at four characters a token.",
    "In neither column: unusual signals and sentences of reports (people look at the strong ones "
    "whatever the policy says), questions about the kinds of documents and about pages, and what "
    "another `max_missed` would show.",
)
WITHIN = (
    "Each accepted result is taken to be wrong as often as such a one was in documents that the "
    "specialist had not seen, and each by itself. Errors that go together in one document, and "
    "documents unlike those, make the range wider."
)
SEEN = (
    "Where people have decided here about results that a policy would accept (checks, each of "
    "which stands for those that nobody looked at, and what they were asked about anyway), the "
    "share of wrong ones among these says it too, with the 95% interval of that share; the worse "
    "of both comes first."
)
UNSEEN = (
    " Of what is still accepted nobody has decided anything here, so that the expected errors are "
    "those of the calibration set, which has promised more than was kept."
)
MEASURED = (
    "What a model confirms may later need nobody, once people's decisions show that it may be "
    "trusted (`trust`): the columns do not count that."
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
    for key, title, shown_as in (
        ("review_hours", "hours of review", _hours),
        ("cost_usd", "price of questions, US$", usd),
    ):
        sums = (sum(block[side][key] for block in blocks) for _, side in SIDES)
        yield _row(title, *map(shown_as, sums))
    yield _row("  the budget a day, US$", *(_day(line[side]) for _, side in SIDES))
    yield ""
    if told := list(_told(line)):
        yield "Before it is signed"
        for mark, said in told:
            yield from _wrapped(mark, said)
        yield ""
    yield "How it is counted"
    for said in _counted(line):
        yield from _wrapped("-", said)


def _wrapped(mark: str, said: str) -> list[str]:
    width = WIDTH + 2 * COLUMN
    return wrap(said, width, initial_indent=f"{mark} ", subsequent_indent="  ")


def _head(kind: str, results: str, block: Mapping[str, Any]) -> str:
    title = f"{kind.capitalize()}: {block['documents']:,}, with {block[results]:,} {results}"
    return f"{title}; people have decided about {block['decided']:,}"


def _rows(block: Mapping[str, Any]) -> Iterator[str]:
    sides = [block[side] for _, side in SIDES]
    yield _row("at most wrong, as stated", *map(_risk, sides))
    if all("broken" in one for one in sides):
        yield _row("reports with an error, stated", *map(_broken, sides))
    yield _row("accepted: nobody looks", *(f"{one['accepted']:,}" for one in sides))
    if any("threshold" in one for one in sides):
        yield _row("  from a confidence of", *(_least(one["threshold"]) for one in sides))
    yield _row("  wrong among them, expected", *map(_errors, sides))
    yield _row("  with 95% between", *map(_within, sides))
    if any(one["by_decisions"] for one in sides):
        yield _row("  by what people decided here", *map(_seen, sides))
        yield _row("  by the calibration set", *(_errors(one, "by_calibration") for one in sides))
    yield _row("  found wrong by people", *map(_found, sides))
    yield _row("looked at by people", *(f"{one['reviewed']:,}" for one in sides))
    yield _row("  of these, as a check", *(f"{one['sampled']:,}" for one in sides))
    yield _row("  hours of review", *(_hours(one["review_hours"]) for one in sides))
    yield _row("questions to a model", *(f"{one['escalated']:,}" for one in sides))
    yield _row("  their price, US$", *(usd(one["cost_usd"]) for one in sides))


def _row(title: str, *cells: str) -> str:
    return f"{title:<{WIDTH}}{''.join(f'{cell:>{COLUMN}}' for cell in cells)}".rstrip()


def _version(one: Mapping[str, Any]) -> str:
    """The digest, and as much of the label as there is room for."""
    if _unknown(one):
        return UNKNOWN
    named = plain(f"{one['version']['digest']} {one['version']['label']}").strip()
    return named[: COLUMN - 1]


def _hours(hours: float) -> str:
    return "under 0.1" if 0 < hours < 0.1 else f"{hours:,.1f}"


def _few(number: float) -> str:
    """A number of results, which may be less than one."""
    return f"{number:,.1f}" if number >= 0.1 or not number else f"{number:.1g}"


def _share(share: float | None) -> str:
    return "not stated" if share is None else f"{100 * share:g}%"


def _day(one: Mapping[str, Any]) -> str:
    return UNKNOWN if _unknown(one) else usd(one["budget_usd"]["day"])


def _broken(one: Mapping[str, Any]) -> str:
    return UNKNOWN if _unknown(one) else _share(one["broken"])


def _least(threshold: float | None) -> str:
    """From which confidence on; none where nothing is accepted."""
    return "-" if threshold is None else f"{threshold:.1%}"


def _unknown(one: Mapping[str, Any]) -> bool:
    """Whether it is the policy in force, and nothing says which it is."""
    return bool(one.get("known_by") == "nothing")


def _risk(one: Mapping[str, Any]) -> str:
    if one["max_wrong"] is None:
        return UNKNOWN if _unknown(one) else "nothing stated"
    return f"{_share(one['max_wrong'])}, {100 * one['level']:g}% sure"


def _errors(one: Mapping[str, Any], by: str = "") -> str:
    """How many of the accepted are expected to be wrong, at worst or by one of both."""
    if not one["accepted"]:
        return "-"
    expected = (one[by] if by else one)["expected_errors"]
    return f"{_few(expected)} ({expected / one['accepted']:.1%})"


def _seen(one: Mapping[str, Any]) -> str:
    """How many were wrong of what was decided here, each by how many it stands for."""
    if not one["accepted"]:
        return "-"
    seen = one["by_decisions"]
    return f"{seen['share']:.1%}, of {seen['decided']:,}" if seen else "nobody decided"


def _within(one: Mapping[str, Any]) -> str:
    if not one["accepted"]:
        return "-"
    low, high = one["expected_errors_interval"]
    return f"{low} and {high}"


def _found(one: Mapping[str, Any]) -> str:
    """How many of the accepted people have rejected or corrected, of those they decided about."""
    if not one["accepted"]:
        return "-"
    decided = one["accepted_and_decided"]
    return f"{one['changed']:,} of {decided:,} decided" if decided else "nobody decided"


def _told(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What stands out of both columns, each with a mark."""
    for warning in line["warnings"]:
        yield "!", f"{plain(warning)}."
    yield from _tenants(line["tenants"])
    if _unknown(line["now"]):
        yield (
            "!",
            'so the column "in force" is that of no policy: people look at everything, nothing is '
            f'accepted and no model is asked. "{UNKNOWN}" stands where a policy would state '
            "something.",
        )
    for said in told_of_budget(line):
        yield "!", said
    for title, side in SIDES:
        for (kind, results), block in zip(KINDS, (line, line["reports"]), strict=True):
            yield from _of_side(f"{title}, {kind}", results, block, block[side])
    untried, reports = line["reports"]["untried"], line["reports"]["documents"]
    if untried:
        yield (
            "!",
            f"{untried:,} of {reports:,} reports can't be tried and count nowhere above: they were "
            "checked before what decides about their findings was kept, or it is gone. Have them "
            "read again (`reprocess`).",
        )


def _tenants(tenants: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Whom the tried file names, where that may be a slip of the pen."""
    if tenants["unknown"] is None:
        named = ", ".join(map(plain, tenants["named"])) or "none"
        yield "-", f"tried: the file names these tenants: {named}."
        return
    for one in tenants["unknown"]:
        like = f": did you mean {plain(one['like'])}?" if one["like"] else "."
        yield "!", f"tried: the suite has no key of the tenant {plain(one['tenant'])}{like}"


def _of_side(
    title: str, results: str, block: Mapping[str, Any], one: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """One policy on one kind of documents, in sentences."""
    accepted, stated = one["accepted"], one["max_wrong"]
    if accepted:
        yield from _expected(title, results, block, one)
    for said in one["tightened"]:
        unseen = accepted and not one["by_decisions"]
        yield "!", f"{title}: {plain(said)}.{UNSEEN if unseen else ''}"
    if accepted and one.get("broken") is not None:
        yield (
            "!",
            f"{title}: that holds if {_share(one['broken'])} of the reports have an error, which "
            "the policy states and nothing here knows. If fewer have one, more of what is accepted "
            "is wrong.",
        )
    if accepted and one.get("calibration"):
        yield (
            "-",
            f"{title}: that is told by what people decided here (calibration "
            f"{one['calibration']}), not by a share of reports with an error.",
        )
    decided, changed = one["accepted_and_decided"], one["changed"]
    told = _is_worse_here(one)
    if decided and stated is not None and changed > stated * decided and not told:
        chance = "; so few may be chance" if decided < FEW else ""
        yield (
            "!",
            f"{title}: people have decided about {decided:,} of these and found {changed:,} wrong, "
            f"{changed / decided:.0%}, which is more than {_share(stated)}{chance}.",
        )
    for reason, count in one["why_not"].items():
        whose = f"{count:,} {results}"
        if accepted:
            rest = accepted + count == block[results]
            whose = f"the other {count:,}" if rest else f"{count:,} other {results}"
        yield "-", f"{title}: none of {whose} is accepted: {plain(reason)}."


def _expected(
    title: str, results: str, block: Mapping[str, Any], one: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """How many of the accepted are expected to be wrong: by what people decided here, or by the
    calibration set, the worse first.
    """
    accepted, stated, seen = one["accepted"], one["max_wrong"], one["by_decisions"]
    here, most = "", f"most in {_most(one)}"
    if seen:
        chance = "; so few may be chance" if seen["decided"] < FEW else ""
        number = f"{seen['decided']:,} such {results}"
        here = f"people have decided here about {number}, {seen['wrong']:,} wrong{chance}"
    by_people = one["expected_errors_by"] == "decisions"
    share = one["expected_errors"] / accepted
    said = (
        f"{title}: nobody would look at {accepted:,} of {block[results]:,} {results}. "
        f"{_few(one['expected_errors'])} of these are expected to be wrong, {share:.1%}"
    )
    allowed = f"where the policy allows {_share(stated)}"
    if by_people:
        low, high = one["expected_errors_interval"]
        by_set = _errors(one, "by_calibration")
        yield (
            "!" if _is_worse_here(one) else "-",
            f"{said} (with 95% between {low:,} and {high:,}), {allowed}: {here}. By the "
            f"calibration set it would be {by_set}; {most}.",
        )
    elif seen:
        low, high = seen["expected_errors_interval"]
        yield (
            "-",
            f"{said}, {allowed}; {most}. By what was seen here it would be "
            f"{_errors(one, 'by_decisions')}, with 95% between {low:,} and {high:,}: {here}.",
        )
    else:
        yield "-", f"{said}, {allowed}; {most}."


def _is_worse_here(one: Mapping[str, Any]) -> bool:
    """Whether more is wrong by what people decided here than the policy allows."""
    if one["expected_errors_by"] != "decisions" or not one["accepted"]:
        return False
    return bool(one["expected_errors"] > (one["max_wrong"] or 0.0) * one["accepted"])


def _counted(line: Mapping[str, Any]) -> Iterator[str]:
    """What the rows mean."""
    yield from NOTES
    if any(block[side]["accepted"] for block in (line, line["reports"]) for _, side in SIDES):
        yield WITHIN
    if any(block[side]["by_decisions"] for block in (line, line["reports"]) for _, side in SIDES):
        yield SEEN
    if any(line[side]["trust"] == "measured" for _, side in SIDES):
        yield MEASURED


def _most(one: Mapping[str, Any]) -> str:
    """The categories with the most expected errors."""
    top = list(one["expected_errors_by_category"].items())[:TOP]
    return ", ".join(
        f'"{plain(mine.get("title") or name)}" ({_few(mine["expected_errors"])} of '
        f"{mine['accepted']:,})"
        for name, mine in top
    )
