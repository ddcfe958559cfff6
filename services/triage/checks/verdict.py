"""From broken relations and anomalies to a verdict, in words.

The classifier decides; without it, the confidences by hand do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypedDict

from services.triage.checks import plausibility
from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.coverage import coverage_of
from services.triage.checks.diagnosis import CAUSES, Diagnosis, describe_cause, diagnose
from services.triage.checks.fixed_confidence import fixed_findings
from services.triage.checks.plausibility import Anomaly
from services.triage.checks.root_causes import (
    MOST,
    blamed_lines,
    by_confidence,
    cell_key,
    difference_key,
    explaining_lines,
    follows_from,
    put_first,
    select_findings,
    unique_causes,
)
from services.triage.checks.rule_confidence import (
    CONFIDENCE,
    MANY,
    TRUSTED_ALONE,
    Swap,
    credible_equations,
    find_swaps,
    is_refuted,
    leaves_no_room,
    main_equation,
    rule_confidence,
)
from services.triage.checks.suspect_generation import find_suspects
from services.triage.checks.suspects import Suspect
from services.triage.checks.written_out import (
    WRITTEN_OUT,
    amount,
    arithmetic,
    column_end,
    signed,
)
from services.triage.domain import Dismissed, Finding, NamedCell, Severity, Verdict
from services.triage.relations import identities
from services.triage.relations.message_format import counted
from services.triage.relations.relations import (
    Cell,
    Equation,
    StatementView,
    Views,
    statement_views,
)
from services.triage.relations.statement_rows import ZERO
from services.triage.relations.sums import tolerance
from services.triage.statements.model import CHECKED, MAX_SENTENCE, Filing, truncate

FLAGGED = 0.5  # risk from which a filing is flagged by rules
NO_RESIDUALS = ("proportion", "sign", "twice", "magnitude", "switched", "switched_sign")
"""Kinds of suspects and anomalies about one line alone. They flag no headlines."""
UNCHECKED = "nothing was checked: "  # the beginning of a warning


DismissalLookup = Callable[[Finding], Dismissed | None]  # of an earlier dismissal


def triage_filing(
    filing: Filing,
    classifier: BreakClassifier | None = None,
    dismissed: DismissalLookup | None = None,
) -> Verdict:
    """Check one filing: by the classifier, or by rules without one.

    The same filing always gets the same verdict. Findings that were dismissed before stay in the
    list, marked, and count neither for risk nor flag.
    """
    views = statement_views(filing)
    if classifier is not None:
        verdict = _by_classifier(filing, classifier, views, dismissed)
    else:
        verdict = _by_rules(filing, views, dismissed)
    verdict = replace(verdict, coverage=coverage_of(filing, views, verdict.findings))
    if verdict.findings or verdict.coverage.relations or (why := _unchecked(views)) is None:
        return verdict
    return replace(verdict, checked=False, warnings=(UNCHECKED + why, *verdict.warnings))


def _unchecked(views: Views) -> str | None:
    """Why nothing in a filing could be checked, or None."""
    if not any(view.kind in CHECKED for view in views):
        return f"it has no statement of a supported kind ({', '.join(CHECKED)})"
    if not any(check(views) for check in identities.REGISTRY.values()):
        return "no relation between its lines was recognised; only English labels are"
    return None


def _by_rules(filing: Filing, views: Views, dismissed: DismissalLookup | None) -> Verdict:
    """The verdict of rules, with confidences by hand."""
    equations = identities.find_equations(views)
    headlines = identities.shows_headlines(views)
    anomalies = plausibility.find_anomalies(views, filing.complete)
    swaps, unswapped = find_swaps(views, equations)
    direct = [e for e in unswapped if not e.holds and leaves_no_room(views, e)]
    believed = list(dict.fromkeys([*credible_equations(views, unswapped), *direct]))
    diagnoses = diagnose(views, believed)
    breaks = Counter((d.cell.statement, d.cell.column) for d in diagnoses)
    broken: list[Finding] = []  # totals that do not balance
    findings_of_rules = [_of_swap(views, swap) for swap in swaps]
    for d in diagnoses:
        finding = _of_diagnosis(views, d, breaks[d.cell.statement, d.cell.column] >= MANY)
        if _balance_in(d):
            broken.append(_at_least(FLAGGED, finding))
        else:
            findings_of_rules.append(finding)
    remaining = (anomaly for anomaly in anomalies if not is_refuted(anomaly, equations))
    if headlines:
        remaining = (anomaly for anomaly in remaining if not _is_lawful_gap(views, anomaly))
    for finding in (_of_suspicion(views, anomaly) for anomaly in remaining):
        most = below(FLAGGED) if headlines and finding.check in NO_RESIDUALS else 1.0
        findings_of_rules.append(replace(finding, confidence=min(finding.confidence, most)))
    findings_of_rules += fixed_findings(views)
    balance, others = put_first(broken, findings_of_rules)
    folded, undismissed = split_dismissed(views, [*balance, *others], dismissed)
    risk = max((f.confidence for f in undismissed), default=0.0)
    findings = _listed(views, balance, undismissed, folded)
    return Verdict(filing.id, risk >= FLAGGED, risk, findings, filing.warnings)


def _listed(
    views: Views,
    always_shown: Sequence[Finding],
    undismissed: Sequence[Finding],
    dismissed: Sequence[Finding],
) -> tuple[Finding, ...]:
    """The findings of a verdict, each cause once, with the dismissed ones."""
    selected = select_findings(views, always_shown, unique_causes(views, undismissed))
    return tuple(by_confidence([*selected, *dismissed]))


def _by_classifier(
    filing: Filing, classifier: BreakClassifier, views: Views, dismissed: DismissalLookup | None
) -> Verdict:
    """The verdict of the classifier: the likely suspects, each cause once.

    An unbalanced balance sheet flags whatever the forest says, and is always shown. Other breaks
    are always shown too, but flag nothing alone: different net income between statements, and cash
    at both ends of a period that its change does not join. A unit that
    earnings per share refute always flags: it breaks no relation, so the forest can't learn it.
    Headlines lawfully leave out lines. So they need a sure residual to be flagged.
    """
    every = find_suspects(views, classifier.patterns, filing.complete)
    headlines = identities.shows_headlines(views)
    if headlines:
        every = [suspect for suspect in every if not _is_lawful_gap(views, suspect.source)]
    probabilities = classifier.probabilities(every)
    if headlines:
        most = below(classifier.flagged)
        probabilities = [
            min(probability, most) if suspect.kind in NO_RESIDUALS else probability
            for probability, suspect in zip(probabilities, every, strict=True)
        ]
    ranked = sorted(zip(probabilities, every, strict=True), key=lambda pair: -pair[0])
    most = 3 * MOST if dismissed is None else len(ranked)
    shown = [pair for pair in ranked if _is_always_shown(views, pair[1])]
    trusted = _to_findings(views, shown[:most])
    likely = _to_findings(views, [pair for pair in ranked if pair[0] >= classifier.shown][:most])
    broken = _to_findings(views, [pair for pair in ranked if _unbalanced(pair[1])][:most])
    sure = [_at_least(classifier.flagged, finding) for finding in broken]
    balance, remaining = put_first(sure, [*trusted, *likely])
    findings_of_checks = [*fixed_findings(views), *balance, *remaining]
    folded, undismissed = split_dismissed(views, findings_of_checks, dismissed)
    unlikely = (probability for probability in probabilities if probability < classifier.shown)
    risk = max((*unlikely, *(finding.confidence for finding in undismissed[:1])), default=0.0)
    always = tuple(finding for finding in undismissed if finding in (*balance, *trusted))
    findings = _listed(views, always, undismissed, folded)
    flagged = risk >= classifier.flagged
    return Verdict(filing.id, flagged, risk, findings, filing.warnings, classifier.model, always)


def split_dismissed(
    views: Views, findings: Sequence[Finding], dismissed: DismissalLookup | None
) -> tuple[list[Finding], list[Finding]]:
    """Dismissed findings, marked, and the others, both by confidence.

    A difference has the same cause as a surer dismissed finding with it in the same column. So does
    a finding about its cell without an amount, and one that follows from it.
    """
    if dismissed is None:
        return [], by_confidence(findings)
    folded: dict[object, Finding] = {}
    undismissed: list[Finding] = []
    causes: set[object] = set()
    for finding in by_confidence(findings):
        cause = difference_key(finding) or cell_key(finding)
        if dismissal := dismissed(finding):
            key = (finding.check, finding.statement, finding.row, finding.column, finding.rows)
            folded.setdefault(key, replace(finding, dismissed=dismissal))
            causes |= {cause, cell_key(finding), *blamed_lines(finding)}
        elif (
            cause not in causes
            and not explaining_lines(finding) & causes
            and not any(follows_from(views, finding, surer) for surer in folded.values())
        ):
            undismissed.append(finding)
    return list(folded.values()), undismissed


def below(flagged: float) -> float:
    """The highest probability that does not flag."""
    return round(flagged - 0.0001, 4)


def _is_always_shown(views: Views, suspect: Suspect) -> bool:
    """Whether a relation breaks that every reader expects to hold: rules believe it, or no unread
    line can lie between.
    """
    if not isinstance(suspect.source, Diagnosis) or suspect.kind == "unit":
        return False
    believed = suspect.numbers.get("by_rule", 0.0) > 0
    return any(
        (believed and equation.check in TRUSTED_ALONE) or leaves_no_room(views, equation)
        for equation in suspect.source.mends
    )


def _is_lawful_gap(views: Views, source: Diagnosis | Swap | Anomaly) -> bool:
    """Whether lines that headlines lawfully leave out explain a break: lines above a total, or
    equity parts such as non-controlling interests between liabilities and equity.

    Such parts make the total larger, usually in all columns.
    """
    if isinstance(source, Anomaly):
        return source.check == "missing_line"
    return isinstance(source, Diagnosis) and all(
        equation.check != identities.BALANCE
        and equation.residual > 0
        and not equation.support
        and total.row in views[total.statement].roles("total_liabilities_and_equity")
        for equation in source.mends
        for total, _ in equation.terms[:1]
    )


def _unbalanced(suspect: Suspect) -> bool:
    """Whether total assets differ from total liabilities and equity by more than rounding."""
    return suspect.kind != "unit" and _balance_in(suspect.source) is not None


def _at_least(least: float, finding: Finding) -> Finding:
    return replace(finding, confidence=max(least, finding.confidence))


def _balance_in(source: Diagnosis | Swap | Anomaly) -> Equation | None:
    """The balance equation that a cause explains, or None."""
    if isinstance(source, Anomaly):
        return None
    equations = source.mends if isinstance(source, Diagnosis) else source.equations
    return next((e for e in equations if e.check == identities.BALANCE), None)


def _to_findings(views: Views, ranked: Sequence[tuple[float, Suspect]]) -> list[Finding]:
    """Suspects as findings."""
    return [replace(finding_of(views, suspect), confidence=sure) for sure, suspect in ranked]


def finding_of(views: Views, suspect: Suspect) -> Finding:
    """A suspect as a finding, with the confidence of the rules."""
    source = suspect.source
    if isinstance(source, Diagnosis):
        return _of_diagnosis(views, source, False)
    return _of_swap(views, source) if isinstance(source, Swap) else _of_suspicion(views, source)


# Findings in words


def _of_diagnosis(views: Views, d: Diagnosis, many: bool) -> Finding:
    view = views[d.cell.statement]
    main = main_equation(d)
    row = view.rows[d.cell.row]
    sentences = [arithmetic(views, main)]
    balance, expected = _balance_in(d), amount(d.expected)
    if balance is not None and balance is not main:
        sentences.append(arithmetic(views, balance))
    if len(d.mends) > 1:
        sentences.append(f"{len(d.mends)} relations hold again if {row.label!r} is {expected}.")
    elif d.cause != "unexplained" or d.cell != main.terms[0][0]:
        reported = amount(d.reported)
        sentences.append(f"It holds if {row.label!r} is {expected} instead of {reported}.")
    if d.harms:
        harmed = counted(d.harms, "relation that holds", "relations that hold")
        sentences.append(f"That would break {harmed} now, so another amount may be wrong.")
    sentences += _rounding(views[main.terms[0][0].statement], main)
    cause = describe_cause(view, d)
    if cause != CAUSES["unexplained"]:
        sentences.append(f"Likeliest cause: {cause}.")
    if main.support:
        others = counted(main.support, "other column", "other columns")
        sentences.append(f"The same relation holds in {others}.")
    if many:
        sentences.append(
            "Many relations break in this column at once: "
            "it may be restated, or in another currency."
        )
    return Finding(
        check=main.check,
        severity=severity(views, main.residual),
        confidence=rule_confidence(views, d, main, many),
        statement=view.kind,
        column=d.cell.column,
        row=d.cell.row,
        rows=_rows_in(d.cell.statement, d.mends),
        label=row.label,
        reported=view.value(d.cell.row, d.cell.column),
        expected=d.expected,
        message=truncate(" ".join(sentences), MAX_SENTENCE),
        **_shown(views, view, d.cell.column, [d.cell, *_cells_in(d.mends)]),
    )


def _of_swap(views: Views, swap: Swap) -> Finding:
    main = max(swap.equations, key=lambda e: e.digits)
    index = main.terms[0][0].statement
    view, (first, second) = views[index], swap.columns
    row = view.rows[swap.line]
    here, there = row.values[first], row.values[second]
    swapped = [Cell(index, swap.line, column) for column in swap.columns]
    message = (
        f"{arithmetic(views, swap.equations[0])} {arithmetic(views, swap.equations[1])} "
        f"The differences are "
        f"opposite: both hold if the amounts of {row.label!r}, {amount(here)} and {amount(there)}, "
        f"are swapped. Likeliest cause: {CAUSES['swapped']}."
    )
    return Finding(
        check="swapped_columns",
        severity=severity(views, main.residual),
        confidence=CONFIDENCE["swapped_columns"],
        statement=view.kind,
        column=first,
        row=swap.line,
        rows=_rows_in(index, swap.equations),
        label=row.label,
        reported=here,
        expected=there,
        message=truncate(message, MAX_SENTENCE),
        **_shown(views, view, first, [*swapped, *_cells_in(swap.equations)]),
    )


def _of_suspicion(views: Views, s: Anomaly) -> Finding:
    view = views[s.statement]
    missing = s.check == "missing_line"
    label = None if s.row is None or missing else view.rows[s.row].label
    lines = s.rows if s.row is None or missing else (s.row, *s.rows)
    columns = range(view.width) if s.column is None else (s.column,)
    lines = lines[::-1] if missing else lines  # the incomplete total comes first
    reason = f"{_missing_part(view, s)}{s.reason}" if missing else s.reason
    cells = [Cell(s.statement, line, column) for line in lines for column in columns]
    at_stake = s.size if s.size is not None else s.reported or ZERO
    return Finding(
        check=s.check,
        severity="high" if s.check == "statement_scale" else severity(views, at_stake),
        confidence=CONFIDENCE.get(s.check, 0.0),
        statement=view.kind,
        column=s.column,
        row=s.row,
        rows=s.rows,
        label=label,
        reported=s.reported,
        expected=s.expected,
        message=truncate(f"{label!r}: {reason}" if label else reason, MAX_SENTENCE),
        **_shown(views, view, s.column, cells),
    )


def _missing_part(view: StatementView, s: Anomaly) -> str:
    """The sum that lacks a line, written out for the first column, if plain adding makes it."""
    *parts, total = s.rows
    column = next((c for c in range(view.width) if view.value(total, c)), None)
    if column is None or s.expected is None:
        return ""
    reported = view.value(total, column) or ZERO
    amounts = [v for row in parts if (v := view.value(row, column)) is not None]
    if not s.expected or len(amounts) > WRITTEN_OUT or reported - sum(amounts, ZERO) != s.expected:
        return ""
    written = " ".join(signed(a, i == 0) for i, a in enumerate(amounts))
    if len(amounts) > 1:
        written += f" = {amount(reported - s.expected)}"
    name = f"{view.rows[total].label!r}{column_end(view, column)}"
    return f"{name} is {amount(reported)}, but the lines above it make {written}. "


class _Shown(TypedDict):
    """The cells, page and period of a finding."""

    cells: tuple[NamedCell, ...]
    page: int | None
    end: str | None


def _shown(views: Views, view: StatementView, column: int | None, cells: Iterable[Cell]) -> _Shown:
    """Each cell once with its position; without any, the statement's first page."""
    named = tuple(
        NamedCell.at(views[cell.statement].statement, cell.row, cell.column)
        for cell in dict.fromkeys(cells)
    )
    positions = [cell.position for cell in named]
    positions += [position for row in view.rows for position in row.positions]
    return {
        "cells": named,
        "page": next((position.page for position in positions if position), None),
        "end": None if column is None else view.statement.columns[column].end,
    }


def _cells_in(equations: Iterable[Equation]) -> list[Cell]:
    return [cell for equation in equations for cell, _ in equation.terms]


def _rows_in(statement: int, equations: Iterable[Equation]) -> tuple[int, ...]:
    return tuple(sorted({c.row for e in equations for c, _ in e.terms if c.statement == statement}))


def _rounding(view: StatementView, equation: Equation) -> Iterator[str]:
    """The difference that rounding may explain; none for amounts that should be equal."""
    limit = tolerance(view.unit, len(equation.terms) - 1)
    if limit and abs(equation.residual) <= limit:
        yield f"Rounding to {amount(view.unit)} may explain it, but little else here is rounded."
    elif limit:
        yield (f"Rounding to {amount(view.unit)} explains a difference of {amount(limit)} at most.")


def severity(views: Views, size: Decimal) -> Severity:
    """By the share of the largest ordinary amount: 5% is high, half a percent medium."""
    peaks = sorted(
        max(abs(v) for v in view.rows[row].values if v is not None)
        for view in views
        for row in view.money
    )
    scale = peaks[int(0.95 * (len(peaks) - 1))] if peaks else ZERO
    if not scale or abs(size) >= scale / 20:
        return "high"
    return "medium" if abs(size) >= scale / 200 else "low"
