"""Show a tried policy beside the active one, to a person who decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from services.cli.output.budgets import budget_warnings, usd
from services.cli.output.lines import percent, plain

WIDTH, COLUMN = 32, 24  # width of row titles and of a column, in characters
TOP = 3  # categories whose expected errors are named
SIDES = (("in force", "now"), ("tried", "tried"))
KINDS = (("contracts", "clauses"), ("reports", "findings"))
UNKNOWN = "none on record"  # shown for an unknown active policy
FEW = 30  # with fewer decided results a share may be chance
NOTES = (
    "Documents count as they were read. Nothing is read again or changed.",
    "People review everything that is not accepted, also questions to a model, and samples of "
    "accepted results. An item is assumed to take 10 seconds, and its words at 238 a minute.",
    "A model is asked if the answer is worth its price and the budget allows it. The price is "
    "estimated at four characters a token.",
    "Not included: signals and narrative flags of reports (people review the strong ones under "
    "any policy), questions about kinds and pages, and clauses that another `max_missed` would "
    "show.",
)
WITHIN = (
    "Each accepted result is assumed to be wrong as often as similar ones in unseen documents, "
    "independently of others. The range is too narrow if errors are correlated or your documents "
    "differ."
)
SEEN = (
    "If people have decided here about results that a policy would accept (weighted samples, and "
    "other decisions), the share of wrong ones is a second estimate with a 95% interval. The "
    "worse of both comes first."
)
UNSEEN = (
    " There are no decisions here about results that are still accepted, so the expected errors "
    "are those of the calibration set, which was too optimistic."
)
MEASURED = (
    "Confirmations of a model may later need no review, if decisions show that it can be trusted "
    "(`trust`). The columns do not count that."
)


def policy_rows(line: Mapping[str, Any]) -> Iterator[str]:
    """Both policies side by side, contracts and reports apart, with warnings."""
    blocks = (line, line["reports"])
    yield f"Two policies on the past documents of tenant {plain(line['tenant'])}"
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
    if warnings := list(_warnings(line)):
        yield "Before you use it"
        for mark, text in warnings:
            yield from _wrapped(mark, text)
        yield ""
    yield "How it is counted"
    for text in _counted(line):
        yield from _wrapped("-", text)


def _wrapped(mark: str, text: str) -> list[str]:
    width = WIDTH + 2 * COLUMN
    return wrap(text, width, initial_indent=f"{mark} ", subsequent_indent="  ")


def _head(kind: str, results: str, block: Mapping[str, Any]) -> str:
    title = f"{kind.capitalize()}: {block['documents']:,}, with {block[results]:,} {results}"
    return f"{title}; people have decided about {block['decided']:,}"


def _rows(block: Mapping[str, Any]) -> Iterator[str]:
    sides = [block[side] for _, side in SIDES]
    yield _row("at most wrong, as stated", *map(_risk, sides))
    if all("broken" in one for one in sides):
        yield _row("reports with an error, stated", *map(_broken, sides))
    yield _row("accepted without review", *(f"{one['accepted']:,}" for one in sides))
    if any("threshold" in one for one in sides):
        yield _row("  from a confidence of", *(_least(one["threshold"]) for one in sides))
    yield _row("  wrong among them, expected", *map(_errors, sides))
    yield _row("  with 95% between", *map(_within, sides))
    if any(one["by_decisions"] for one in sides):
        yield _row("  by what people decided here", *map(_seen, sides))
        yield _row("  by the calibration set", *(_errors(one, "by_calibration") for one in sides))
    yield _row("  found wrong by people", *map(_changed_by_people, sides))
    yield _row("reviewed by people", *(f"{one['reviewed']:,}" for one in sides))
    yield _row("  of these, as a check", *(f"{one['sampled']:,}" for one in sides))
    yield _row("  hours of review", *(_hours(one["review_hours"]) for one in sides))
    yield _row("questions to a model", *(f"{one['escalated']:,}" for one in sides))
    yield _row("  their price, US$", *(usd(one["cost_usd"]) for one in sides))


def _row(title: str, *cells: str) -> str:
    return f"{title:<{WIDTH}}{''.join(f'{cell:>{COLUMN}}' for cell in cells)}".rstrip()


def _version(one: Mapping[str, Any]) -> str:
    if _unknown(one):
        return UNKNOWN
    named = plain(f"{one['version']['digest']} {one['version']['label']}").strip()
    return named[: COLUMN - 1]


def _hours(hours: float) -> str:
    return "under 0.1" if 0 < hours < 0.1 else f"{hours:,.1f}"


def _few(number: float) -> str:
    return f"{number:,.1f}" if number >= 0.1 or not number else f"{number:.1g}"


def _share(share: float | None) -> str:
    return "not stated" if share is None else percent(share)


def _day(one: Mapping[str, Any]) -> str:
    return UNKNOWN if _unknown(one) else usd(one["budget_usd"]["day"])


def _broken(one: Mapping[str, Any]) -> str:
    return UNKNOWN if _unknown(one) else _share(one["broken"])


def _least(threshold: float | None) -> str:
    """The least accepted confidence; `none` if nothing is accepted."""
    return "-" if threshold is None else f"{threshold:.1%}"


def _unknown(one: Mapping[str, Any]) -> bool:
    """Whether this is the active policy, and it is unknown."""
    return bool(one.get("known_by") == "nothing")


def _risk(one: Mapping[str, Any]) -> str:
    if one["max_wrong"] is None:
        return UNKNOWN if _unknown(one) else "nothing stated"
    return f"{_share(one['max_wrong'])}, {100 * one['level']:g}% sure"


def _errors(one: Mapping[str, Any], by: str = "") -> str:
    """How many of the accepted results are expected to be wrong, by the worse of two estimates."""
    if not one["accepted"]:
        return "-"
    expected = (one[by] if by else one)["expected_errors"]
    return f"{_few(expected)} ({expected / one['accepted']:.1%})"


def _seen(one: Mapping[str, Any]) -> str:
    """How many of the decided results were wrong, weighted by sampling."""
    if not one["accepted"]:
        return "-"
    seen = one["by_decisions"]
    return f"{seen['share']:.1%}, of {seen['decided']:,}" if seen else "nobody decided"


def _within(one: Mapping[str, Any]) -> str:
    if not one["accepted"]:
        return "-"
    low, high = one["expected_errors_interval"]
    return f"{low} and {high}"


def _changed_by_people(one: Mapping[str, Any]) -> str:
    """How many of the accepted results people have rejected or corrected."""
    if not one["accepted"]:
        return "-"
    decided = one["accepted_and_decided"]
    return f"{one['changed']:,} of {decided:,} decided" if decided else "nobody decided"


def _warnings(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Warnings about both policies, each with a mark."""
    for warning in line["warnings"]:
        yield "!", f"{plain(warning)}."
    yield from _tenants(line["tenants"])
    if _unknown(line["now"]):
        yield (
            "!",
            'so the column "in force" shows no policy: people review everything, nothing is '
            f'accepted and no model is asked. "{UNKNOWN}" marks values that a policy would state.',
        )
    for text in budget_warnings(line):
        yield "!", text
    for title, side in SIDES:
        for (kind, results), block in zip(KINDS, (line, line["reports"]), strict=True):
            yield from _of_side(f"{title}, {kind}", results, block, block[side])
    untried, reports = line["reports"]["untried"], line["reports"]["documents"]
    if untried:
        yield (
            "!",
            f"{untried:,} of {reports:,} reports can't be tried and are not included: their "
            "statements are gone. Read them again (`reprocess`).",
        )


def _tenants(tenants: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Tenants in the tried file whose names may be mistyped."""
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
    for text in one["tightened"]:
        unseen = accepted and not one["by_decisions"]
        yield "!", f"{title}: {plain(text)}.{UNSEEN if unseen else ''}"
    if accepted and one.get("broken") is not None:
        yield (
            "!",
            f"{title}: this assumes that {_share(one['broken'])} of the reports have an error, as "
            "the policy states. If fewer have one, more of the accepted findings are wrong.",
        )
    if accepted and one.get("calibration"):
        yield (
            "-",
            f"{title}: this is based on decisions made here (calibration {one['calibration']}), "
            "not on a share of reports with an error.",
        )
    decided, changed = one["accepted_and_decided"], one["changed"]
    worse_here = _is_worse_here(one)
    if decided and stated is not None and changed > stated * decided and not worse_here:
        chance = "; with so few this may be chance" if decided < FEW else ""
        yield (
            "!",
            f"{title}: people have decided about {decided:,} of these and found {changed:,} wrong, "
            f"{changed / decided:.0%}, which is more than {_share(stated)}{chance}.",
        )
    for reason, count in one["no_guarantee_reason"].items():
        subject = f"{count:,} {results}"
        if accepted:
            partial = accepted + count == block[results]
            subject = f"the other {count:,}" if partial else f"{count:,} other {results}"
        yield "-", f"{title}: none of {subject} is accepted. {plain(reason)}"


def _expected(
    title: str, results: str, block: Mapping[str, Any], one: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """How many of the accepted results are expected to be wrong, by decisions here or by the
    calibration set, the worse first.
    """
    accepted, stated, seen = one["accepted"], one["max_wrong"], one["by_decisions"]
    here, most = "", f"most in {_most(one)}"
    if seen:
        chance = "; with so few this may be chance" if seen["decided"] < FEW else ""
        number = f"{seen['decided']:,} such {results}"
        here = f"people have decided here about {number}, {seen['wrong']:,} wrong{chance}"
    by_people = one["expected_errors_by"] == "decisions"
    share = one["expected_errors"] / accepted
    text = (
        f"{title}: no review of {accepted:,} of {block[results]:,} {results}. "
        f"{_few(one['expected_errors'])} of these are expected to be wrong, {share:.1%}"
    )
    allowed = f"where the policy allows {_share(stated)}"
    if by_people:
        low, high = one["expected_errors_interval"]
        by_set = _errors(one, "by_calibration")
        yield (
            "!" if _is_worse_here(one) else "-",
            f"{text} (with 95% between {low:,} and {high:,}), {allowed}: {here}. By the "
            f"calibration set it would be {by_set}; {most}.",
        )
    elif seen:
        low, high = seen["expected_errors_interval"]
        yield (
            "-",
            f"{text}, {allowed}; {most}. By decisions made here it would be "
            f"{_errors(one, 'by_decisions')}, with 95% between {low:,} and {high:,}: {here}.",
        )
    else:
        yield "-", f"{text}, {allowed}; {most}."


def _is_worse_here(one: Mapping[str, Any]) -> bool:
    """Whether decisions here show more errors than the policy allows."""
    if one["expected_errors_by"] != "decisions" or not one["accepted"]:
        return False
    return bool(one["expected_errors"] > (one["max_wrong"] or 0.0) * one["accepted"])


def _counted(line: Mapping[str, Any]) -> Iterator[str]:
    yield from NOTES
    if any(block[side]["accepted"] for block in (line, line["reports"]) for _, side in SIDES):
        yield WITHIN
    if any(block[side]["by_decisions"] for block in (line, line["reports"]) for _, side in SIDES):
        yield SEEN
    if any(line[side]["trust"] == "measured" for _, side in SIDES):
        yield MEASURED


def _most(one: Mapping[str, Any]) -> str:
    top = list(one["expected_errors_by_category"].items())[:TOP]
    return ", ".join(
        f'"{plain(share.get("title") or name)}" ({_few(share["expected_errors"])} of '
        f"{share['accepted']:,})"
        for name, share in top
    )
