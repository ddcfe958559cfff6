"""Report each cause once: drop findings that follow from a surer one.

An amount a thousand times too large makes the same line look too small in its other column. A
column in another unit makes all its lines look wrong. A statement in another unit disagrees
wherever it meets the others. The surest finding stays and names the lines that look the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

from services.triage.checks.line_suspects import OUT_OF_PROPORTION
from services.triage.checks.plausibility import unit_factor
from services.triage.domain import Finding
from services.triage.explanations import Reason
from services.triage.relations.message_format import money
from services.triage.relations.relations import Views
from services.triage.relations.statement_rows import ZERO

MOST = 5  # findings of one filing, at most
NEAR = 0.5  # decimal digits by which a line may change over a year
NAMED = 3  # lines of one column that a finding names


def unique_causes(views: Views, findings: Sequence[Finding]) -> list[Finding]:
    """Keep the surest finding of each cell, difference and cause."""
    groups: list[list[Finding]] = []  # each finding, then those of other lines of its column
    seen: set[object] = set()
    surer: list[Finding] = []
    for finding in by_confidence(findings):
        if any(follows_from(views, finding, earlier) for earlier in surer):
            continue
        causes = _causes(finding)
        surer.append(finding)
        if (causes | explaining_lines(finding)) & seen:
            continue
        seen |= causes | blamed_lines(finding)
        group = next((g for g in groups if _in_one_column(views, finding, g[0])), None)
        if group is None:
            groups.append([finding])
        else:
            group.append(finding)
    return [_with_similar_lines(finding, alike) for finding, *alike in groups]


def follows_from(views: Views, finding: Finding, surer: Finding) -> bool:
    """Whether a finding is a consequence of a surer one."""
    return _mirrors(views, finding, surer) or _of_unit(finding, surer)


def _mirrors(views: Views, finding: Finding, surer: Finding) -> bool:
    """Whether an amount is out of proportion only to the surely wrong amount of its line."""
    if not _both_of_size(finding, surer) or finding.row != surer.row:
        return False
    if finding.column == surer.column or _too_large(finding) == _too_large(surer):
        return False
    times = _times(views, finding, without=surer.column)
    return times is None or max(times, 1 / times) < OUT_OF_PROPORTION


def _times(views: Views, finding: Finding, without: int | None = None) -> float | None:
    """The ratio of an amount to its line's median in other columns but one; None without others."""
    row, column = finding.row, finding.column
    if row is None or column is None:
        return None
    for view in views:
        if view.kind != finding.statement or row >= len(view.rows):
            continue
        amounts = {c: abs(v) for c, v in enumerate(view.rows[row].values) if v}
        other_amounts = [v for c, v in amounts.items() if c not in (column, without)]
        if other_amounts and amounts.get(column) == abs(finding.reported or ZERO):
            return float(amounts[column] / median(other_amounts))
    return None


def _of_unit(finding: Finding, surer: Finding) -> bool:
    """Whether two statements disagree by the factor of one's wrong unit."""
    if surer.check != "statement_scale" or not finding.reported or not finding.expected:
        return False
    named = {cell.statement for cell in finding.cells}
    factor = unit_factor(finding.reported, finding.expected)
    return len(named) > 1 and surer.statement in named and bool(factor) and factor != 1


def _in_one_column(views: Views, finding: Finding, surer: Finding) -> bool:
    """Whether two lines of one column are off by the same power of a thousand."""
    if not _both_of_size(finding, surer) or finding.column != surer.column:
        return False
    units = _units(views, finding)
    return units is not None and units == _units(views, surer)


def _units(views: Views, finding: Finding) -> int | None:
    """The powers of a thousand by which an amount is off, or None."""
    times = _times(views, finding)
    if times is None:
        return None
    digits = math.log10(times)
    powers = round(digits / 3)
    return powers if powers and abs(digits - 3 * powers) <= NEAR else None


def _both_of_size(finding: Finding, surer: Finding) -> bool:
    return {finding.check, surer.check} == {"magnitude"} and finding.statement == surer.statement


def _too_large(finding: Finding) -> bool:
    return abs(finding.reported or ZERO) > abs(finding.expected or ZERO)


def _with_similar_lines(finding: Finding, alike: Sequence[Finding]) -> Finding:
    """Name the other affected lines of the column. Cells stay: dismissals are matched by them."""
    if not alike:
        return finding
    lines = [f"{a.label!r} ({money(a.reported)})" for a in alike if a.reported is not None]
    words = ", ".join(lines[:NAMED])
    if len(lines) > NAMED:
        words += " and others"
    size = "large" if _too_large(finding) else "small"
    words = f"Also too {size} in this column: {words}. The column may be in another unit."
    return finding.supported_by(Reason("other_lines", words))


def select_findings(
    views: Views, always_shown: Sequence[Finding], candidates: Sequence[Finding]
) -> list[Finding]:
    """Select MOST findings: the surest, those related to an always-shown one, then others."""
    causes = {cause for finding in always_shown for cause in _causes(finding)}

    def stands(finding: Finding) -> bool:
        return bool(_causes(finding) & causes) or any(
            follows_from(views, shown, finding) for shown in always_shown
        )

    remaining = sorted(candidates[1:], key=lambda finding: not stands(finding))
    return by_confidence([*candidates[:1], *remaining][:MOST])


def put_first(
    always_shown: Sequence[Finding], findings: Sequence[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """Raise always-shown findings to the confidence of their cause; drop its others."""
    surest: dict[object, float] = {}
    for finding in by_confidence(findings)[::-1]:
        surest |= dict.fromkeys(_causes(finding), finding.confidence)
    first = [
        replace(
            finding,
            confidence=max(finding.confidence, *(surest.get(c, 0.0) for c in _causes(finding))),
        )
        for finding in always_shown
    ]
    causes = {cause for finding in always_shown for cause in _causes(finding)}
    return first, [finding for finding in findings if not _causes(finding) & causes]


def _causes(finding: Finding) -> set[object]:
    """The keys that findings of the same cause share: cell and difference."""
    causes: set[object] = {cell_key(finding), difference_key(finding) or cell_key(finding)}
    if finding.check == "swapped_columns":
        causes.add((finding.statement, finding.row, "swap"))
    return causes


def blamed_lines(finding: Finding) -> set[object]:
    """The line that a finding blames."""
    if finding.check == "missing_line" or finding.row is None:
        return set()
    return {("line", finding.statement, finding.row)}


def explaining_lines(finding: Finding) -> set[object]:
    """The lines that, if wrong, explain a missing line."""
    if finding.check != "missing_line":
        return set()
    return {("line", finding.statement, row) for row in finding.rows}


def cell_key(finding: Finding) -> object:
    """The cell of a finding."""
    return ("cell", finding.statement, finding.row, finding.column)


def difference_key(finding: Finding) -> object | None:
    """The difference in a column; None without amounts."""
    if finding.reported is None or finding.expected is None:
        return None
    return ("gap", finding.statement, finding.column, abs(finding.reported - finding.expected))


def by_confidence(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by confidence, then by severity and position."""
    order = {"high": 0, "medium": 1, "low": 2}
    return sorted(
        findings,
        key=lambda f: (-f.confidence, order[f.severity], f.statement, f.row or 0, f.column or 0),
    )
