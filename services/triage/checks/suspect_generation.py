"""Raise the suspects of a filing: from relations, rules, totals and lines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median

from services.triage.checks import line_suspects, plausibility
from services.triage.checks.context import FilingContext, log_ratio
from services.triage.checks.diagnosis import Diagnosis, diagnose, is_lawful
from services.triage.checks.plausibility import Anomaly
from services.triage.checks.rule_confidence import (
    CONFIDENCE,
    MANY,
    Swap,
    credible_equations,
    granularity,
    main_equation,
    rule_confidence,
)
from services.triage.checks.suspects import CAUSES, CHECKS, UNKNOWN, Suspect, from_anomaly
from services.triage.checks.total_suspects import total_gaps
from services.triage.relations import identities
from services.triage.relations.learned_sums import LearnedPatterns
from services.triage.relations.relations import Cell, Equation, Views
from services.triage.relations.statement_rows import ZERO

MOST_ROUNDED = 3  # units that a sum may be off where a filing rounds


def find_suspects(views: Views, patterns: LearnedPatterns, complete: bool = True) -> list[Suspect]:
    """Every suspect of a filing, in a fixed order. Without `complete`, lines are left out."""
    equations = identities.find_equations(views)
    anomalies = plausibility.find_anomalies(views, complete)
    context = FilingContext(views, equations, anomalies, patterns)
    suspects = [
        *(swap_suspect(context, swap) for swap in context.swaps),
        *cell_suspects(context),
        *unit_suspects(context),
        *(anomaly_suspect(context, anomaly) for anomaly in context.anomalies),
        *total_gaps(context),
        *line_suspects.disproportionate_amounts(context),
        *line_suspects.unusual_signs(context),
        *line_suspects.repeated_lines(context),
        *line_suspects.finer_amounts(context),
        *line_suspects.exceeded_totals(context),
        *line_suspects.unequal_scales(context),
    ]
    return [suspect for suspect in suspects if complete or suspect.kind != "gap"]


def cell_suspects(context: FilingContext) -> Iterator[Suspect]:
    """Cells that relations want to be other amounts, first by credible relations."""
    believed = list(credible_equations(context.views, context.equations))
    credible_ids = set(map(id, believed))
    remaining = [e for e in context.equations if e.holds or id(e) not in credible_ids]
    for credible, equations in ((True, believed), (False, remaining)):
        diagnoses = diagnose(context.views, equations)
        breaks = Counter((d.cell.statement, d.cell.column) for d in diagnoses)
        for d in diagnoses:
            many = breaks[d.cell.statement, d.cell.column] >= MANY
            yield _of_cell(context, d, credible, many)


MOST_UNITS = 4  # with more relations off by rounding, that is not unusual
LEAST_SUMS = 4  # a filing with as many exact sums counts as not rounded


def unit_suspects(context: FilingContext) -> Iterator[Suspect]:
    """Cells that are off by no more than rounding, where hardly any other is."""
    strict = [replace(e, tolerance=ZERO) for e in context.equations if e.holds]
    broken = [e for e in strict if not e.holds]
    summed = sum(e.holds and len(e.terms) > 2 for e in strict)
    if not 0 < len(broken) <= MOST_UNITS or summed < LEAST_SUMS:
        return
    for d in diagnose(context.views, strict):
        if d.harms == 0:
            suspect = _of_cell(context, d, False, False, "unit")
            yield replace(suspect, numbers={**suspect.numbers, "exact_sums": summed})


def _of_cell(
    context: FilingContext, d: Diagnosis, credible: bool, many: bool, kind: str = "cell"
) -> Suspect:
    main = main_equation(d)
    view = context.views[d.cell.statement]
    rows = sorted({c.row for e in d.mends for c, _ in e.terms if c.statement == d.cell.statement})
    numbers = context.shared(kind, view, d.cell.row, d.cell.column)
    numbers |= context.of_relation(main) | _of_diagnosis(context, d, main)
    numbers["screened"] = credible
    by_rule = main.check != "same_amount" and credible
    numbers["by_rule"] = rule_confidence(context.views, d, main, many) if by_rule else 0.0
    return Suspect(kind, d.cell.statement, d.cell.row, d.cell.column, tuple(rows),
                 d.reported, d.expected, numbers, d)  # fmt: skip


def swap_suspect(context: FilingContext, swap: Swap) -> Suspect:
    """The suspect of a line with exchanged amounts."""
    main = max(swap.equations, key=lambda e: e.digits)
    view, column = context.views[main.terms[0][0].statement], swap.columns[0]
    rows = sorted({c.row for e in swap.equations for c, _ in e.terms})
    numbers = context.shared("swap", view, swap.line, column) | context.of_relation(main)
    numbers |= {
        "by_rule": CONFIDENCE["swapped_columns"],
        "support": main.support,
        "digits": main.digits,
        "terms": len(main.terms),
        "factor": math.log10(1 + float(abs(main.residual) / view.unit)),
    }
    values = view.rows[swap.line].values
    return Suspect("swap", view.index, swap.line, column, tuple(rows), values[column],
                 values[swap.columns[1]], numbers, swap)  # fmt: skip


def _of_diagnosis(context: FilingContext, d: Diagnosis, main: Equation) -> dict[str, float]:
    view = context.views[d.cell.statement]
    unit = float(granularity(context.views, main))
    gap = abs(main.residual)
    peers = context.peers[main.relation]
    broken = sum(not e.holds for e in peers)
    other_amounts = [
        abs(float(v))
        for c, v in enumerate(view.rows[d.cell.row].values)
        if c != d.cell.column and v
    ]
    near = 0.0
    if other_amounts:
        middle = median(other_amounts)
        near = log_ratio(float(d.reported), middle) - log_ratio(float(d.expected), middle)
    values = [abs(v) for c, _ in main.terms
              if (v := context.views[c.statement].value(c.row, c.column))]  # fmt: skip
    units = int(gap / Decimal(int(unit))) if unit >= 1 else 0
    numbers = {
        "mends": len(d.mends),
        "harms": d.harms,
        "support": main.support,
        "digits": main.digits,
        "exact": main.exact,
        "may_be_chance": main.may_be_chance,
        "lawful": is_lawful(context.views, main, peers),
        "signs_searched": main.pattern == "signs",
        "by_label": main.pattern == "label",
        "swapped_pattern": main.pattern == "swapped",
        "presented": main.pattern in ("presented", "headlines"),
        "signed": float(main.residual) / (float(max(values, default=gap)) or 1),
        "broken_share_of_peers": broken / len(peers),
        "peers": len(peers),
        "terms": len(main.terms),
        "units_off": math.log10(units + 1),
        "may_be_rounding": context.rounded if units <= MOST_ROUNDED else 0.0,
        "relative": math.log10(float(gap) / (float(max(values, default=gap)) or 1) + 1e-9),
        "divisible_by_9": units % 9 == 0,
        "round_difference": units > 0 and len(str(units).rstrip("0")) == 1,
        "twice_a_value": gap / 2 in values,
        "is_a_value": gap in context.values,
        "flip_mends": gap / 2 in {abs(v) for v in values},
        "holds_with_cell": context.holding(d.cell),
        "mended_total": any(e.terms[0][0] == d.cell for e in d.mends),
        "mended_part": any(e.terms[0][0] != d.cell for e in d.mends),
        "mends_support": max(e.support for e in d.mends),
        "nearer_after": near,
    }  # fmt: skip
    numbers |= _proof(context, d, main, peers)
    if main.check == "headline_sums":
        numbers["headline"] = identities.headline_of(main, context.views)
    numbers |= {f"check_{name}": any(e.check == name for e in d.mends) for name in CHECKS}
    return numbers | {f"cause_{name}": d.cause == name for name in CAUSES}


def _proof(
    context: FilingContext, d: Diagnosis, main: Equation, peers: Sequence[Equation]
) -> dict[str, float]:
    """Evidence about lines from the columns in which their relation holds.

    A line that is empty there was never seen to take part. A line outside the relation may be
    missing from it in this column.
    """
    view = context.views[main.terms[0][0].statement]
    holding = [peer.terms[0][0].column for peer in peers if peer.holds]
    unproved = [
        (cell, value * coefficient)
        for cell, coefficient in main.terms[1:]
        if cell.statement == view.index
        and (value := view.value(cell.row, cell.column))
        and not any(view.value(cell.row, column) for column in holding)
    ]
    taken = {cell.row for cell, _ in main.terms if cell.statement == view.index}
    column = main.terms[0][0].column
    elsewhere = [
        row
        for row in view.money
        if row not in taken and abs(view.value(row, column) or ZERO) == abs(main.residual)
    ]
    return {
        "proved": sum(bool(view.value(d.cell.row, c)) for c in holding)
        if d.cell.statement == view.index else UNKNOWN,
        "unproved": len(unproved),
        "turned_unproved": any(
            abs(main.residual - 2 * amount) <= main.tolerance for _, amount in unproved
        ),
        "is_elsewhere": 2.0
        if any(not any(view.value(row, c) for c in holding) for row in elsewhere)
        else float(bool(elsewhere)),
    }  # fmt: skip


def anomaly_suspect(context: FilingContext, anomaly: Anomaly) -> Suspect:
    """The suspect of an anomaly found by a rule."""
    kinds = {"statement_scale": "scale", "magnitude": "magnitude", "switched_sign": "switched",
             "missing_line": "missing"}  # fmt: skip
    kind = kinds[anomaly.check]
    view = context.views[anomaly.statement]
    row = None if kind == "missing" else anomaly.row
    numbers = context.shared(kind, view, row, anomaly.column)
    numbers["by_rule"] = CONFIDENCE[anomaly.check]
    if anomaly.row is not None and anomaly.column is not None:
        cell = Cell(anomaly.statement, anomaly.row, anomaly.column)
        numbers["holds"] = context.holding(cell)
    if kind == "missing":
        total = anomaly.rows[-1]
        numbers |= context.of_sum(view, total, [(r, 1) for r in anomaly.rows[:-1]])
    return from_anomaly(kind, anomaly, numbers)
