"""Say what was checked: statements found, relations tried, and those that do not close."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from services.triage.checks.further_lines import with_further_lines
from services.triage.checks.root_causes import difference_key
from services.triage.checks.rule_confidence import credible_equations, granularity, is_rounding
from services.triage.checks.written_out import arithmetic, in_lines
from services.triage.domain import CheckedRelation, Coverage, Finding, OpenRelation, Outcome
from services.triage.relations import identities
from services.triage.relations.labels import normalise
from services.triage.relations.relations import Equation, Views
from services.triage.relations.statement_rows import ZERO
from services.triage.statements.model import CHECKED, MAX_SENTENCE, Filing, truncate

NAMED = frozenset({"cash_flow_change", "cash_roll_forward", "cash_between_periods", "cash_agrees",
                   "net_income_agrees", "headline_sums"})  # fmt: skip
"""Identities between lines with known names. Every break of one is listed. Other sums are guessed
from the amounts, so only their credible breaks are."""
TOTALS: Mapping[str, Mapping[str, str]] = {
    "income": {
        "gross_profit": "gross profit",
        "operating_income": "operating income",
        "pretax": "pretax income",
        "net_income": "net income",
    },
    "cash_flow": {role: f"cash from {role} activities" for role in identities.ACTIVITIES},
}
"""Roles of totals by statement, in words."""
MOST_MISSING = Decimal("0.2")  # share of a total that its lines may miss
LINES = 2  # lines above a total that may make it
MOST_CHECKS = 100  # relations of one filing that are listed
DIGITS = 1000  # units that the largest amount of a relation has, if they are those of the page


def coverage_of(filing: Filing, views: Views, findings: Sequence[Finding]) -> Coverage:
    """The checked parts of a filing, and the breaks that none of its findings explains."""
    held, explained = 0, 0
    items: dict[object, OpenRelation] = {}  # by amounts: columns may end on the same day
    checks: list[CheckedRelation] = []
    sheets = {view.index for view in views if view.kind == "balance_sheet"}
    tried = [*_tried(views)]
    added, not_added = _sections(views)
    not_added += _unmade_totals(views, tried)
    relations = [*tried, *added]
    for equation in relations:
        if _compares_sides(views, equation):
            sheets.discard(equation.terms[0][0].statement)
        closes, shown = _closes(views, equation), equation
        if any(_explains(views, finding, equation, closes) for finding in findings):
            explained += 1
            outcome: Outcome = "broken"
        elif closes:
            held += 1
            outcome = "holds"
        elif further := with_further_lines(views, equation, relations):
            held += 1
            outcome, shown = "holds", further
        else:
            outcome = "does_not_close"
            item = _item(filing.id, views, equation)
            key = (item.check, item.row, item.reported, item.expected)
            if items.setdefault(key, item) is not item:
                continue
        checks.append(_checked(filing.id, views, shown, outcome))
    kinds = {view.kind for view in views}
    return Coverage(
        tuple(kind for kind in CHECKED if kind in kinds),
        tuple(kind for kind in CHECKED if kind not in kinds),
        held + explained + len(items),
        explained,
        len(items),
        tuple(items.values()),
        headlines=int(identities.shows_headlines(views)),
        balance_unchecked=int(bool(sheets)),
        findings=len(findings),
        unread=filing.unread,
        not_added_up=tuple(not_added),
        checks=tuple(checks[:MOST_CHECKS]),
    )


def _tried(views: Views) -> Iterator[Equation]:
    """Relations that hold, and breaks of relations that should hold."""
    equations = identities.find_equations(views)
    credible = set(map(id, credible_equations(views, equations)))
    yield from identities.balance_equation(views, every=True)
    for equation in equations:
        named = equation.check in NAMED and not _is_mislabelled(views, equation)
        if equation.check != identities.BALANCE and (named or id(equation) in credible):
            yield equation
    for equation in identities.unmade_headlines(views):
        if not _is_mislabelled(views, equation):
            yield equation


def _sections(views: Views) -> tuple[list[Equation], list[str]]:
    """The sections of balance sheets whose total no lines make, and the totals not added up.

    If more sections do not add up than do, the sheet leaves lines out, and they prove nothing. A
    single section counts if its lines make most of its total.
    """
    added: list[Equation] = []
    not_added: list[str] = []
    for view in views:
        plain = {total.total for total in view.sums if all(sign > 0 for _, sign in total.parts)}
        unmade = dict(identities.unmade_sections(view))
        closing = {n for n, found in unmade.items() if any(_closes(views, e) for e in found)}
        close = len(closing) + len(plain.intersection(identities.sections(view)))
        complete = close >= len(unmade) - len(closing)
        for name, found in unmade.items():
            alone = len(unmade) == 1 and any(_nearly_closes(views, e) for e in found)
            if found and (complete or alone or name in closing):
                added += found
            else:
                not_added.append(name.replace("_", " "))
    return added, not_added


def _nearly_closes(views: Views, equation: Equation) -> bool:
    cell = equation.terms[0][0]
    total = views[cell.statement].value(cell.row, cell.column) or ZERO
    return abs(equation.residual) <= MOST_MISSING * abs(total)


def _unmade_totals(views: Views, tried: Sequence[Equation]) -> Iterator[str]:
    """The totals of the other statements that no lines make."""
    made = {(cell.statement, cell.row) for (cell, _), *_ in (equation.terms for equation in tried)}
    made |= {(view.index, total.total) for view in views for total in view.sums}
    for view in views:
        ends = {row for role in identities.ACTIVITIES for row in view.roles(role)}
        for role, name in TOTALS.get(view.kind, {}).items():
            rows = view.roles(role)
            if not rows or made.intersection((view.index, row) for row in rows):
                continue
            above = view.money[: view.money.index(rows[-1])][-LINES:]
            if len(above) == LINES and not ends.intersection(above):
                yield name


def _compares_sides(views: Views, equation: Equation) -> bool:
    """Whether a relation is between the assets of a balance sheet and the lines below them."""
    view = views[equation.terms[0][0].statement]
    assets = view.last("total_assets")
    rows = [cell.row for cell, _ in equation.terms]
    below = view.kind == "balance_sheet" and assets is not None and min(rows) <= assets < max(rows)
    return below or equation.check == identities.BALANCE


def _is_mislabelled(views: Views, equation: Equation) -> bool:
    """Whether a change in cash was found by labels that mean something else: it is a change in debt
    or deposits, or the last amount of an activity in this column is not among its parts.
    """
    if equation.check != "cash_flow_change" or equation.pattern != "label":
        return False
    (total, _), *parts = equation.terms
    view = views[total.statement]
    label = normalise(view.rows[total.row].label)
    activities = {*identities.activities_of(view, total.column)}
    return (" in " in label and "cash" not in label) or not activities <= {c.row for c, _ in parts}


def _closes(views: Views, equation: Equation) -> bool:
    """Whether a relation holds within rounding. For named lines, rounding is judged by their own
    digits: the unit of the page is guessed, and round figures make it too coarse.
    """
    if equation.check == identities.BALANCE:
        return equation.holds
    gap = abs(equation.residual)
    if equation.check not in NAMED and equation.pattern != "label":
        return equation.holds or is_rounding(gap / granularity(views, equation), equation)
    units = gap / _rounding_unit(views, equation)
    return units <= 1 or is_rounding(units, equation)


def _rounding_unit(views: Views, equation: Equation) -> Decimal:
    """The unit to which the amounts of a relation are rounded: a power of a thousand if they have
    too few digits to tell.
    """
    grain = granularity(views, equation)
    amounts = [views[c.statement].value(c.row, c.column) or ZERO for c, _ in equation.terms]
    if max(map(abs, amounts)) >= DIGITS * grain:
        return grain
    return Decimal(1000) ** (grain.adjusted() // 3)


def _explains(views: Views, finding: Finding, equation: Equation, closes: bool) -> bool:
    """Whether a finding is about a broken relation: it names all its cells, doubts one of them, or
    misses the same amount. Of relations that close, only an unusual rounding can be a finding.
    """
    if closes and (not equation.residual or finding.check != equation.check):
        return False
    terms = [(views[c.statement].kind, c.row, c.column) for c, _ in equation.terms]
    kind, row, column = terms[0]
    if finding.column is None:
        of_total = finding.statement == kind and row in finding.rows
        of_statement = finding.row is None and finding.statement in {term[0] for term in terms}
        return of_total or of_statement
    return (
        (finding.statement, finding.row, finding.column) in terms
        or {*terms} <= {(cell.statement, cell.row, cell.column) for cell in finding.cells}
        or difference_key(finding) == ("gap", kind, column, abs(equation.residual))
    )


def _checked(filing: str, views: Views, equation: Equation, outcome: Outcome) -> CheckedRelation:
    cell = equation.terms[0][0]
    view = views[cell.statement]
    end = view.statement.columns[cell.column].end
    return CheckedRelation(
        equation.check, view.kind, end, in_lines(views, equation), outcome, filing
    )


def _item(filing: str, views: Views, equation: Equation) -> OpenRelation:
    (cell, _), *_ = equation.terms
    view = views[cell.statement]
    line = view.rows[cell.row]
    reported = view.value(cell.row, cell.column) or ZERO
    position = line.position(cell.column)
    return OpenRelation(
        check=equation.check,
        statement=view.kind,
        column=cell.column,
        row=cell.row,
        label=line.label,
        reported=reported,
        expected=reported - equation.residual,
        message=truncate(arithmetic(views, equation), MAX_SENTENCE),
        page=position.page if position else None,
        filing=filing,
    )
