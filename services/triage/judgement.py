"""From broken relations and suspicions to a verdict: what to believe, how far, and how to say it.

What was learned decides (`risk.py`); where it is not there, the confidences by hand (`belief.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypedDict

from services.triage import identities, implied_shares, plausibility
from services.triage.belief import (
    CONFIDENCE,
    MANY,
    TRUSTED_ALONE,
    Swap,
    confidence_of,
    leading,
    refuted,
    screened,
    take_swaps,
)
from services.triage.causes import (
    MOST,
    blamed,
    difference,
    follows,
    handful,
    may_follow,
    once,
    ordered,
    place,
)
from services.triage.diagnosis import CAUSES, Diagnosis, diagnose, told_cause
from services.triage.domain import Dismissed, Finding, NamedCell, Severity, Verdict
from services.triage.doubts import Doubt
from services.triage.plausibility import Suspicion
from services.triage.raising import raised
from services.triage.relations import Cell, Equation, Sheet, sheets
from services.triage.risk import Judge
from services.triage.statements import MAX_SENTENCE, Filing, quoted
from services.triage.sums import ZERO, tolerance
from services.triage.wording import money, title, when

FLAGGED = 0.5
"""Risk from which a filing is flagged where rules decide."""
UNCHECKED = "nothing was checked: "
"""What the warning begins with of a filing in which nothing could be."""


Words = Callable[[Finding], Dismissed | None]
"""What an analyst said of the same of that filer before, if anything."""


def triage_filing(
    filing: Filing, judge: Judge | None = None, dismissed: Words | None = None
) -> Verdict:
    """Check one filing on its own. The same filing always gives the same verdict.

    Args:
        filing: to check.
        judge: what was learned; without it rules decide, with confidences by hand.
        dismissed: what analysts said of this filer's breaks before. What they dismissed stays among
            the findings, marked, beside the handful of others; risk and flag are those of all else.
    """
    pages = sheets(filing)
    if judge is not None:
        verdict = _judged(filing, judge, pages, dismissed)
    else:
        verdict = _by_rules(filing, pages, dismissed)
    if verdict.findings or (why := _unchecked(pages)) is None:
        return verdict
    return replace(verdict, checked=False, warnings=(UNCHECKED + why, *verdict.warnings))


def _unchecked(pages: Sequence[Sheet]) -> str | None:
    """Why nothing in a filing could be checked; None if something could."""
    if not any(sheet.statement.statement in identities.CHECKED for sheet in pages):
        kinds = ", ".join(identities.CHECKED)
        return f"none of its statements is of a kind that is checked ({kinds})"
    if not any(check(pages) for check in identities.REGISTRY.values()):
        return (
            "no sum and no other relation was told between its lines, which are known by their "
            "English names"
        )
    return None


def _by_rules(filing: Filing, pages: Sequence[Sheet], dismissed: Words | None) -> Verdict:
    """The verdict of rules, with confidences by hand."""
    equations = identities.equations_in(pages)
    suspicions = plausibility.suspicions_in(pages, filing.whole)
    swaps, rest = take_swaps(pages, equations)
    believed = list(screened(pages, rest))
    found = [_of_swap(pages, swap) for swap in swaps]
    found += _of_diagnoses(pages, diagnose(pages, believed))
    found += [_of_suspicion(pages, s) for s in suspicions if not refuted(s, equations)]
    found += implied_shares.findings_of(pages)
    folded, left = sifted(pages, found, dismissed)
    risk = max((f.confidence for f in left), default=0.0)
    findings = tuple(ordered([*once(pages, left)[:MOST], *folded]))
    return Verdict(filing.id, risk >= FLAGGED, risk, findings, filing.warnings)


def _judged(
    filing: Filing, judge: Judge, pages: Sequence[Sheet], dismissed: Words | None
) -> Verdict:
    """The verdict of what was learned: the doubts that are likely enough, each cause once.

    A statement that does not balance is told however lawful that may be, and however much else
    breaks: beside the likeliest finding. It flags nothing alone. A unit that earnings per share
    refute flags by itself: nothing was learned of it, for it breaks no relation.
    """
    every = raised(pages, judge.experience, filing.whole)
    chances = judge.chances(every)
    ranked = sorted(zip(chances, every, strict=True), key=lambda pair: -pair[0])
    most = 3 * MOST if dismissed is None else len(ranked)
    told = _said(pages, [pair for pair in ranked if _always_told(pair[1])][:most])
    likely = _said(pages, [pair for pair in ranked if pair[0] >= judge.shown][:most])
    of_units = implied_shares.findings_of(pages)
    folded, left = sifted(pages, [*of_units, *told, *likely], dismissed)
    unlikely = next((chance for chance in sorted(chances)[::-1] if chance < judge.shown), 0.0)
    risk = max(unlikely, *(finding.confidence for finding in left[:1]), 0.0)
    always = tuple(finding for finding in left if finding in told)
    findings = tuple(ordered([*handful(pages, always, once(pages, left)), *folded]))
    flagged = risk >= judge.flagged
    return Verdict(filing.id, flagged, risk, findings, filing.warnings, judge.model, always)


def sifted(
    pages: Sequence[Sheet], found: Sequence[Finding], dismissed: Words | None
) -> tuple[list[Finding], list[Finding]]:
    """What was dismissed before, marked, and what is left, both by confidence.

    A difference that a surer dismissed one has in the same column is the same cause, seen by
    another relation; so is a doubt about its cell that knows no amount, and what follows from one
    (`causes.py`). Another amount is not.
    """
    if dismissed is None:
        return [], ordered(found)
    folded: dict[object, Finding] = {}
    left: list[Finding] = []
    causes: set[object] = set()
    for finding in ordered(found):
        cause = difference(finding) or place(finding)
        if word := dismissed(finding):
            key = (finding.check, finding.statement, finding.row, finding.column, finding.rows)
            folded.setdefault(key, replace(finding, dismissed=word))
            causes |= {cause, place(finding), *blamed(finding)}
        elif (
            cause not in causes
            and not may_follow(finding) & causes
            and not any(follows(pages, finding, surer) for surer in folded.values())
        ):
            left.append(finding)
    return list(folded.values()), left


def _always_told(doubt: Doubt) -> bool:
    """Whether a relation is broken that every reader expects to hold, and the rules believe it."""
    return (
        isinstance(doubt.source, Diagnosis)
        and doubt.numbers.get("by_rule", 0.0) > 0
        and any(equation.check in TRUSTED_ALONE for equation in doubt.source.mends)
    )


def _said(pages: Sequence[Sheet], ranked: Sequence[tuple[float, Doubt]]) -> list[Finding]:
    """Doubts as findings."""
    return [replace(finding_of(pages, doubt), confidence=chance) for chance, doubt in ranked]


def finding_of(pages: Sequence[Sheet], doubt: Doubt) -> Finding:
    """A doubt in words, with the confidence of the rules."""
    source = doubt.source
    if isinstance(source, Diagnosis):
        return _of_diagnosis(pages, source, False)
    return _of_swap(pages, source) if isinstance(source, Swap) else _of_suspicion(pages, source)


# Findings in words


def _of_diagnoses(pages: Sequence[Sheet], diagnoses: Sequence[Diagnosis]) -> list[Finding]:
    breaks: dict[tuple[int, int], int] = defaultdict(int)
    for d in diagnoses:
        breaks[d.cell.statement, d.cell.column] += 1
    return [
        _of_diagnosis(pages, d, breaks[d.cell.statement, d.cell.column] >= MANY) for d in diagnoses
    ]


def _of_diagnosis(pages: Sequence[Sheet], d: Diagnosis, many: bool) -> Finding:
    sheet = pages[d.cell.statement]
    main = leading(d)
    row = sheet.rows[d.cell.row]
    said = [_arithmetic(pages, main)]
    if len(d.mends) > 1:
        said.append(
            f"{len(d.mends)} relations hold again if {row.label!r} is {_money(d.expected)}."
        )
    elif d.cause != "unexplained" or d.cell != main.terms[0][0]:
        said.append(
            f"It holds if {row.label!r} is {_money(d.expected)} instead of {_money(d.reported)}."
        )
    said += _rounding(pages[main.terms[0][0].statement], main)
    said.append(f"Likeliest cause: {told_cause(sheet, d)}.")
    if main.support:
        said.append(f"The same relation holds in {main.support} other column{_s(main.support)}.")
    if many:
        said.append(
            "Many relations break in this column at once: "
            "it may be restated, or in another currency."
        )
    return Finding(
        check=main.check,
        severity=severity(pages, main.residual),
        confidence=confidence_of(pages, d, main, many),
        statement=sheet.statement.statement,
        column=d.cell.column,
        row=d.cell.row,
        rows=_rows_in(d.cell.statement, d.mends),
        label=row.label,
        reported=sheet.value(d.cell.row, d.cell.column),
        expected=d.expected,
        message=quoted(" ".join(said), MAX_SENTENCE),
        **_shown(pages, sheet, d.cell.column, [d.cell, *_cells_in(d.mends)]),
    )


def _of_swap(pages: Sequence[Sheet], swap: Swap) -> Finding:
    main = max(swap.equations, key=lambda e: e.digits)
    index = main.terms[0][0].statement
    sheet, (first, second) = pages[index], swap.columns
    row = sheet.rows[swap.line]
    here, there = row.values[first], row.values[second]
    swapped = [Cell(index, swap.line, column) for column in swap.columns]
    message = (
        f"{_arithmetic(pages, swap.equations[0])} {_arithmetic(pages, swap.equations[1])} "
        f"The differences are "
        f"opposite: both hold if the amounts of {row.label!r}, {_money(here)} and {_money(there)}, "
        f"change places. Likeliest cause: {CAUSES['swapped']}."
    )
    return Finding(
        check="swapped_columns",
        severity=severity(pages, main.residual),
        confidence=CONFIDENCE["swapped_columns"],
        statement=sheet.statement.statement,
        column=first,
        row=swap.line,
        rows=_rows_in(index, swap.equations),
        label=row.label,
        reported=here,
        expected=there,
        message=quoted(message, MAX_SENTENCE),
        **_shown(pages, sheet, first, [*swapped, *_cells_in(swap.equations)]),
    )


def _of_suspicion(pages: Sequence[Sheet], s: Suspicion) -> Finding:
    sheet = pages[s.statement]
    missing = s.check == "missing_line"
    label = None if s.row is None or missing else sheet.rows[s.row].label
    lines = s.rows if s.row is None or missing else (s.row, *s.rows)
    columns = range(sheet.width) if s.column is None else (s.column,)
    lines = lines[::-1] if missing else lines  # the total that lacks a part comes first
    reason = f"{_short_of(sheet, s)}{s.reason}" if missing else s.reason
    cells = [Cell(s.statement, line, column) for line in lines for column in columns]
    return Finding(
        check=s.check,
        severity="high" if s.check == "statement_scale" else severity(pages, s.size),
        confidence=CONFIDENCE.get(s.check, 0.0),
        statement=sheet.statement.statement,
        column=s.column,
        row=s.row,
        rows=s.rows,
        label=label,
        reported=s.reported,
        expected=s.expected,
        message=quoted(f"{label!r}: {reason}" if label else reason, MAX_SENTENCE),
        **_shown(pages, sheet, s.column, cells),
    )


def _short_of(sheet: Sheet, s: Suspicion) -> str:
    """The sum that lacks a line, written out for the first column; empty unless adding the lines as
    they stand makes it.
    """
    *parts, total = s.rows
    column = next((c for c in range(sheet.width) if sheet.value(total, c)), None)
    if column is None or s.expected is None:
        return ""
    reported = sheet.value(total, column) or ZERO
    amounts = [v for row in parts if (v := sheet.value(row, column)) is not None]
    if not s.expected or len(amounts) > WRITTEN_OUT or reported - sum(amounts, ZERO) != s.expected:
        return ""
    written = " ".join(_signed(a, i == 0) for i, a in enumerate(amounts))
    if len(amounts) > 1:
        written += f" = {_money(reported - s.expected)}"
    return (
        f"{sheet.rows[total].label!r}{_when(sheet, column)} is {_money(reported)}, but the lines "
        f"above it make {written}. "
    )


class _Shown(TypedDict):
    """The part of a finding that says where it is seen."""

    cells: tuple[NamedCell, ...]
    page: int | None
    end: str | None


def _shown(
    pages: Sequence[Sheet], sheet: Sheet, column: int | None, cells: Iterable[Cell]
) -> _Shown:
    """Each cell once with its place; without any the page on which the statement begins."""
    named = tuple(_named(pages[cell.statement], cell) for cell in dict.fromkeys(cells))
    places = [cell.place for cell in named]
    places += [place for row in sheet.rows for place in row.places]
    return {
        "cells": named,
        "page": next((place.page for place in places if place), None),
        "end": None if column is None else sheet.statement.columns[column].end,
    }


def _named(sheet: Sheet, cell: Cell) -> NamedCell:
    row = sheet.rows[cell.row]
    name = sheet.statement.statement
    return NamedCell(name, cell.row, cell.column, row.label, row.place(cell.column))


def _cells_in(equations: Iterable[Equation]) -> list[Cell]:
    return [cell for equation in equations for cell, _ in equation.terms]


def _rows_in(statement: int, equations: Iterable[Equation]) -> tuple[int, ...]:
    return tuple(sorted({c.row for e in equations for c, _ in e.terms if c.statement == statement}))


WRITTEN_OUT = 12
"""Terms of a sum that a message names one by one."""


def _arithmetic(pages: Sequence[Sheet], equation: Equation) -> str:
    """The sum as written on paper: reported, parts, what they make, and the difference."""
    (total, _), parts = equation.terms[0], equation.terms[1:]
    sheet = pages[total.statement]
    reported = sheet.value(total.row, total.column) or ZERO
    made = reported - equation.residual
    name = sheet.rows[total.row].label
    when = _when(sheet, total.column)
    if len(parts) == 1:
        cell = parts[0][0]
        other = pages[cell.statement]
        return (
            f"{name!r} on the {title(sheet.statement.statement)}{when} is {_money(reported)}, "
            f"but {other.rows[cell.row].label!r} on the {title(other.statement.statement)}"
            f"{_when(other, cell.column)} is {_money(made)}: "
            f"a difference of {_money(equation.residual)}."
        )
    terms = [(sheet.value(c.row, c.column), -factor) for c, factor in parts]
    amounts = [(v * sign) for v, sign in terms if v is not None]
    written = " ".join(_signed(a, i == 0) for i, a in enumerate(amounts[:WRITTEN_OUT]))
    if len(amounts) > WRITTEN_OUT:
        rest = amounts[WRITTEN_OUT:]
        written += f" {_signed(sum(rest, ZERO), False)} (from {len(rest)} more lines)"
    return (
        f"{name!r}{when} is {_money(reported)}, but {written} = {_money(made)}: "
        f"a difference of {_money(equation.residual)}."
    )


def _rounding(sheet: Sheet, equation: Equation) -> Iterator[str]:
    """What a sum may be off by lawfully; two amounts that should be the same have no such room."""
    limit = tolerance(sheet.unit, len(equation.terms) - 1)
    if limit and abs(equation.residual) <= limit:
        yield f"Rounding to {_money(sheet.unit)} may explain it, but little else here is rounded."
    elif limit:
        yield (
            f"Rounding to {_money(sheet.unit)} explains a difference of {_money(limit)} at most."
        )


def _when(sheet: Sheet, column: int) -> str:
    return when(sheet.statement.columns[column].end, column)


def _money(value: Decimal | None) -> str:
    return "nothing" if value is None else money(value)


def _signed(value: Decimal, first: bool) -> str:
    if first:
        return _money(value)
    return f"{'-' if value < 0 else '+'} {_money(abs(value))}"


def severity(pages: Sequence[Sheet], size: Decimal) -> Severity:
    """By the share of the largest ordinary amount: 5% is high, half a percent medium."""
    peaks = sorted(
        max(abs(v) for v in sheet.rows[row].values if v is not None)
        for sheet in pages
        for row in sheet.money
    )
    scale = peaks[int(0.95 * (len(peaks) - 1))] if peaks else ZERO
    if not scale or abs(size) >= scale / 20:
        return "high"
    return "medium" if abs(size) >= scale / 200 else "low"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
