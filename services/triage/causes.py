"""The same cause is told once: which findings are what a surer one makes of itself.

Besides one cell and one difference, a cause may show in several places. An amount a thousand times
too large makes the same line look too small in its other column; a column in another unit makes
every line of it look so; and a statement in another unit disagrees with the others wherever they
meet. The surest finding stays, and names the lines that look as it does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

from services.triage.domain import Finding
from services.triage.oddities import OUT_OF_PROPORTION
from services.triage.plausibility import unit_factor
from services.triage.relations import Sheet
from services.triage.statements import MAX_SENTENCE, quoted
from services.triage.sums import ZERO
from services.triage.wording import money

MOST = 5
"""Findings that one filing gets at the most: what was seen first, by confidence."""
NEAR = 0.5
"""Decimal digits by which an amount may be off from another unit: lines change over a year."""
NAMED = 3
"""Lines of one column that a finding names."""


def once(pages: Sequence[Sheet], findings: Sequence[Finding]) -> list[Finding]:
    """The same cause once: of several findings about one cell, or of one difference, the surest,
    and nothing that follows from a surer one.

    Args:
        pages: the statements that they are about.
        findings: in any order.
    """
    kept: list[Finding] = []
    alike: list[list[Finding]] = []
    seen: set[object] = set()
    surer: list[Finding] = []
    for finding in ordered(findings):
        if any(follows(pages, finding, one) for one in surer):
            continue
        causes = _causes(finding)
        surer.append(finding)
        if (causes | may_follow(finding)) & seen:
            continue
        seen |= causes | blamed(finding)
        like = next((i for i, one in enumerate(kept) if _in_one_column(pages, finding, one)), None)
        if like is None:
            kept.append(finding)
            alike.append([])
        else:
            alike[like].append(finding)
    return [_naming(one, lines) for one, lines in zip(kept, alike, strict=True)]


def follows(pages: Sequence[Sheet], finding: Finding, surer: Finding) -> bool:
    """Whether a finding is what the cause of a surer one makes of itself elsewhere."""
    return _mirrors(pages, finding, surer) or _of_unit(finding, surer)


def _mirrors(pages: Sequence[Sheet], finding: Finding, surer: Finding) -> bool:
    """Whether an amount is out of proportion to that of its own line alone which surely is."""
    if not _both_of_size(finding, surer) or finding.row != surer.row:
        return False
    if finding.column == surer.column or _too_large(finding) == _too_large(surer):
        return False
    return not _odd_without(pages, finding, surer)


def _odd_without(pages: Sequence[Sheet], finding: Finding, surer: Finding) -> bool:
    """Whether an amount is still out of proportion once the surely wrong one is left out."""
    times = _times(pages, finding, without=surer.column)
    return times is not None and max(times, 1 / times) >= OUT_OF_PROPORTION


def _times(pages: Sequence[Sheet], finding: Finding, without: int | None = None) -> float | None:
    """How many times its line in the other columns an amount is; None if there are no others.

    Args:
        pages: the statements.
        finding: about that amount.
        without: a column that is left out.
    """
    row, column = finding.row, finding.column
    if row is None or column is None:
        return None
    for sheet in pages:
        if sheet.statement.statement != finding.statement or row >= len(sheet.rows):
            continue
        amounts = {c: abs(v) for c, v in enumerate(sheet.rows[row].values) if v}
        others = [v for c, v in amounts.items() if c not in (column, without)]
        if others and amounts.get(column) == abs(finding.reported or ZERO):
            return float(amounts[column] / median(others))
    return None


def _of_unit(finding: Finding, surer: Finding) -> bool:
    """Whether a statement disagrees with another by the factor by which its whole unit is wrong."""
    if surer.check != "statement_scale" or not finding.reported or not finding.expected:
        return False
    named = {cell.statement for cell in finding.cells}
    factor = unit_factor(finding.reported, finding.expected)
    return len(named) > 1 and surer.statement in named and bool(factor) and factor != 1


def _in_one_column(pages: Sequence[Sheet], finding: Finding, surer: Finding) -> bool:
    """Whether two lines of one column are both about a thousand (or a million) times too large, or
    too small.
    """
    if not _both_of_size(finding, surer) or finding.column != surer.column:
        return False
    units = _units(pages, finding)
    return units is not None and units == _units(pages, surer)


def _units(pages: Sequence[Sheet], finding: Finding) -> int | None:
    """By how many powers of a thousand an amount is off; None if it is off by something else."""
    times = _times(pages, finding)
    if times is None:
        return None
    digits = math.log10(times)
    powers = round(digits / 3)
    return powers if powers and abs(digits - 3 * powers) <= NEAR else None


def _both_of_size(finding: Finding, surer: Finding) -> bool:
    return {finding.check, surer.check} == {"magnitude"} and finding.statement == surer.statement


def _too_large(finding: Finding) -> bool:
    return abs(finding.reported or ZERO) > abs(finding.expected or ZERO)


def _naming(finding: Finding, alike: Sequence[Finding]) -> Finding:
    """A finding that names the other lines of its column which look as it does. Its cells stay: by
    them it is known again where it was dismissed.
    """
    if not alike:
        return finding
    lines = [f"{one.label!r} ({money(one.reported)})" for one in alike if one.reported is not None]
    words = ", ".join(lines[:NAMED])
    if len(lines) > NAMED:
        words += " and others"
    size = "large" if _too_large(finding) else "small"
    message = (
        f"{finding.message} Also too {size} in this column: {words}. "
        "The column may be in another unit."
    )
    return replace(finding, message=quoted(message, MAX_SENTENCE))


def handful(
    pages: Sequence[Sheet], told: Sequence[Finding], kept: Sequence[Finding]
) -> list[Finding]:
    """Of findings by confidence, each cause once, the surest and what stands for one that is always
    told; the next surest take the places that are left.
    """
    causes = {cause for finding in told for cause in _causes(finding)}

    def stands(finding: Finding) -> bool:
        return bool(_causes(finding) & causes) or any(follows(pages, t, finding) for t in told)

    others = sorted(kept[1:], key=lambda finding: not stands(finding))
    return ordered([*kept[:1], *others][:MOST])


def _causes(finding: Finding) -> set[object]:
    """What a finding shares with another of the same cause: its cell, or its difference."""
    causes: set[object] = {place(finding), difference(finding) or place(finding)}
    if finding.check == "swapped_columns":
        causes.add((finding.statement, finding.row, "swap"))
    return causes


def blamed(finding: Finding) -> set[object]:
    """The line that a finding says is wrong."""
    if finding.check == "missing_line" or finding.row is None:
        return set()
    return {("line", finding.statement, finding.row)}


def may_follow(finding: Finding) -> set[object]:
    """The lines of which one that is wrong makes a gap of itself: no line need be missing then."""
    if finding.check != "missing_line":
        return set()
    return {("line", finding.statement, row) for row in finding.rows}


def place(finding: Finding) -> object:
    """The cell that a finding is about."""
    return ("cell", finding.statement, finding.row, finding.column)


def difference(finding: Finding) -> object | None:
    """By how much a column is off; None without amounts."""
    if finding.reported is None or finding.expected is None:
        return None
    return ("gap", finding.statement, finding.column, abs(finding.reported - finding.expected))


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by confidence, then by severity and place."""
    order = {"high": 0, "medium": 1, "low": 2}
    return sorted(
        findings,
        key=lambda f: (-f.confidence, order[f.severity], f.statement, f.row or 0, f.column or 0),
    )
