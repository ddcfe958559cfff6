"""Raises the doubts about a filing: of relations and rules here, `gaps.py` and `oddities.py`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median

from services.triage import identities, plausibility
from services.triage.belief import (
    CONFIDENCE,
    MANY,
    Swap,
    confidence_of,
    grain_of,
    leading,
    screened,
)
from services.triage.context import Context, far_from, relation_of
from services.triage.diagnosis import Diagnosis, diagnose, lawful_reading
from services.triage.doubts import CAUSES, CHECKS, UNKNOWN, Doubt, suspected
from services.triage.experience import Experience
from services.triage.gaps import gaps
from services.triage.oddities import exceeding, finer, proportions, signs, twice, uneven
from services.triage.plausibility import Suspicion
from services.triage.relations import Cell, Equation, Sheet
from services.triage.sums import ZERO

MOST_ROUNDED = 3
"""Units that a sum may be off where a filing rounds."""


def raised(sheets: Sequence[Sheet], experience: Experience, whole: bool = True) -> list[Doubt]:
    """Every doubt about a filing, the same for the same filing.

    Args:
        sheets: its statements.
        experience: what other companies taught.
        whole: false where lines are known to be left out: it lacks them lawfully.
    """
    equations = identities.equations_in(sheets)
    suspicions = plausibility.suspicions_in(sheets, whole)
    context = Context(sheets, equations, suspicions, experience)
    return [doubt for doubt in _doubts_of(context) if whole or doubt.kind != "gap"]


def _doubts_of(context: Context) -> list[Doubt]:
    return [
        *(of_swap(context, swap) for swap in context.swaps),
        *cells(context),
        *units(context),
        *(of_suspicion(context, suspicion) for suspicion in context.suspicions),
        *gaps(context),
        *proportions(context),
        *signs(context),
        *twice(context),
        *finer(context),
        *exceeding(context),
        *uneven(context),
    ]


def cells(context: Context) -> Iterator[Doubt]:
    """Cells that relations want to be other amounts: first by those that rules believe."""
    believed = list(screened(context.sheets, context.equations))
    kept = set(map(id, believed))
    others = [e for e in context.equations if e.holds or id(e) not in kept]
    for known, equations in ((True, believed), (False, others)):
        diagnoses = diagnose(context.sheets, equations)
        breaks = Counter((d.cell.statement, d.cell.column) for d in diagnoses)
        for d in diagnoses:
            many = breaks[d.cell.statement, d.cell.column] >= MANY
            yield _of_cell(context, d, known, many)


MOST_UNITS = 4
"""Relations that may be off by what rounding may make for that to be odd."""
LEAST_SUMS = 4
"""Sums that hold to the last unit, from which on a filing is taken for one that does not round."""


def units(context: Context) -> Iterator[Doubt]:
    """Cells that are off by no more than rounding may make, where hardly anything else is."""
    strict = [replace(e, tolerance=ZERO) for e in context.equations if e.holds]
    broken = [e for e in strict if not e.holds]
    summed = sum(e.holds and len(e.terms) > 2 for e in strict)
    if not 0 < len(broken) <= MOST_UNITS or summed < LEAST_SUMS:
        return
    for d in diagnose(context.sheets, strict):
        if d.harms == 0:
            yield _of_cell(context, d, False, False, "unit", summed)


def _of_cell(
    context: Context,
    d: Diagnosis,
    known: bool,
    many: bool,
    kind: str = "cell",
    summed: int = 0,
) -> Doubt:
    main = leading(d)
    sheet = context.sheets[d.cell.statement]
    rows = sorted({c.row for e in d.mends for c, _ in e.terms if c.statement == d.cell.statement})
    numbers = context.shared(kind, sheet, d.cell.row, d.cell.column)
    numbers |= context.of_relation(main) | _of_diagnosis(context, d, main)
    numbers["screened"] = known
    by_rule = main.check != "same_amount" and known
    numbers["by_rule"] = confidence_of(context.sheets, d, main, many) if by_rule else 0.0
    if kind == "unit":
        numbers["exact_sums"] = summed
    return Doubt(kind, d.cell.statement, d.cell.row, d.cell.column, tuple(rows),
                 d.reported, d.expected, numbers, d)  # fmt: skip


def of_swap(context: Context, swap: Swap) -> Doubt:
    """The doubt about one line whose amounts changed places."""
    main = max(swap.equations, key=lambda e: e.digits)
    sheet, column = context.sheets[main.terms[0][0].statement], swap.columns[0]
    rows = sorted({c.row for e in swap.equations for c, _ in e.terms})
    numbers = context.shared("swap", sheet, swap.line, column) | context.of_relation(main)
    numbers |= {
        "by_rule": CONFIDENCE["swapped_columns"],
        "support": main.support,
        "digits": main.digits,
        "terms": len(main.terms),
        "factor": math.log10(1 + float(abs(main.residual) / sheet.unit)),
    }
    values = sheet.rows[swap.line].values
    return Doubt("swap", sheet.index, swap.line, column, tuple(rows), values[column],
                 values[swap.columns[1]], numbers, swap)  # fmt: skip


def _of_diagnosis(context: Context, d: Diagnosis, main: Equation) -> dict[str, float]:
    sheet = context.sheets[d.cell.statement]
    unit = float(grain_of(context.sheets, main))
    gap = abs(main.residual)
    peers = context.peers[relation_of(main)]
    broken = sum(not e.holds for e in peers)
    others = [float(v) for c, v in enumerate(sheet.rows[d.cell.row].values)
              if c != d.cell.column and v]  # fmt: skip
    near = 0.0
    if others:
        middle = median(abs(v) for v in others)
        near = far_from(float(d.reported), middle) - far_from(float(d.expected), middle)
    values = [abs(v) for c, _ in main.terms
              if (v := context.sheets[c.statement].value(c.row, c.column))]  # fmt: skip
    units = int(gap / Decimal(int(unit))) if unit >= 1 else 0
    found = {
        "mends": len(d.mends),
        "harms": d.harms,
        "support": main.support,
        "digits": main.digits,
        "exact": main.exact,
        "may_be_chance": main.may_be_chance,
        "lawful": lawful_reading(context.sheets, main, peers),
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
        "round_difference": str(units).rstrip("0") in {"1", "2", "3", "4", "5", "6", "7", "8",
                                                       "9"},
        "twice_a_value": gap / 2 in values,
        "is_a_value": gap in context.values,
        "flip_mends": gap / 2 in {abs(v) for v in values},
        "holds_with_cell": sum(e.holds for e in context.of_cell[d.cell]),
        "mended_total": any(e.terms[0][0] == d.cell for e in d.mends),
        "mended_part": any(e.terms[0][0] != d.cell for e in d.mends),
        "mends_support": max(e.support for e in d.mends),
        "nearer_after": near,
    }  # fmt: skip
    found |= _proof(context, d, main, peers)
    if main.check == "headline_sums":
        found["headline"] = identities.headline_of(main, context.sheets)
    found |= {f"check_{name}": any(e.check == name for e in d.mends) for name in CHECKS}
    return found | {f"cause_{name}": d.cause == name for name in CAUSES}


def _proof(
    context: Context, d: Diagnosis, main: Equation, peers: Sequence[Equation]
) -> dict[str, float]:
    """What the columns in which a relation holds prove of its lines here.

    A line that is empty wherever the relation holds was never seen to take part in it, nor in which
    sign; and a line that takes no part in it may be what it lacks in this column alone.
    """
    sheet = context.sheets[main.terms[0][0].statement]
    holding = [peer.terms[0][0].column for peer in peers if peer.holds]
    unproved = [
        (cell, value * coefficient)
        for cell, coefficient in main.terms[1:]
        if cell.statement == sheet.index
        and (value := sheet.value(cell.row, cell.column))
        and not any(sheet.value(cell.row, column) for column in holding)
    ]
    taken = {cell.row for cell, _ in main.terms if cell.statement == sheet.index}
    column = main.terms[0][0].column
    elsewhere = [
        row
        for row in sheet.money
        if row not in taken and abs(sheet.value(row, column) or ZERO) == abs(main.residual)
    ]
    return {
        "proved": sum(bool(sheet.value(d.cell.row, c)) for c in holding)
        if d.cell.statement == sheet.index else UNKNOWN,
        "unproved": len(unproved),
        "turned_unproved": any(
            abs(main.residual - 2 * amount) <= main.tolerance for _, amount in unproved
        ),
        "is_elsewhere": 2.0
        if any(not any(sheet.value(row, c) for c in holding) for row in elsewhere)
        else float(bool(elsewhere)),
    }  # fmt: skip


def of_suspicion(context: Context, suspicion: Suspicion) -> Doubt:
    """The doubt that a suspicion by rule is."""
    kinds = {"statement_scale": "scale", "magnitude": "magnitude", "switched_sign": "switched",
             "missing_line": "missing"}  # fmt: skip
    kind = kinds[suspicion.check]
    sheet = context.sheets[suspicion.statement]
    place = None if kind == "missing" else suspicion.row
    numbers = context.shared(kind, sheet, place, suspicion.column)
    numbers["by_rule"] = CONFIDENCE[suspicion.check]
    if suspicion.row is not None and suspicion.column is not None:
        cell = Cell(suspicion.statement, suspicion.row, suspicion.column)
        numbers["holds"] = sum(e.holds for e in context.of_cell[cell])
    if kind == "missing":
        total = suspicion.rows[-1]
        numbers |= context.of_sum(sheet, total, [(r, 1) for r in suspicion.rows[:-1]])
    return suspected(kind, suspicion, numbers)
