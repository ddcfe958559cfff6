"""What an analyst dismissed with a reason is folded away when its filer does the same again.

A dismissal is about one relation of one filer: a check, and the lines that it is between. It covers
a break of the same kind: the same direction, and a similar share of the amount. It never covers a
filing whose company is not named.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.triage.domain import Dismissed, Finding, Verdict
from services.triage.experience import bare
from services.triage.judgement import MOST

SIMILAR = Decimal(3)
"""How many times as large, or as small, a break may be to be of the same kind."""
_NO_NAME = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Dismissal:
    """An analyst's word on one relation of one filer, and on what break of it."""

    tenant: str
    document_id: str
    finding_id: str
    filer: str
    relation: str
    reported: Decimal | None
    expected: Decimal | None
    reason: str
    by: str
    time: datetime

    def covers(self, finding: Finding) -> bool:
        """Whether a finding of the same filer is the same again."""
        if relation_of(finding) != self.relation:
            return False
        one, other = _size(self.reported, self.expected), _size(finding.reported, finding.expected)
        if one is None or other is None:
            return False  # how large it is can't be told: a person looks again
        same_side = (one < 0) == (other < 0)
        return same_side and abs(one) <= SIMILAR * abs(other) <= SIMILAR * SIMILAR * abs(one)


def filer_of(company: str | None) -> str:
    """A company as dismissals know it; empty if it isn't named."""
    name = unicodedata.normalize("NFKC", company or "").casefold()
    return " ".join(_NO_NAME.sub(" ", name).split())


def relation_of(finding: Finding) -> str:
    """What a finding compares: its check and the lines that take part, whatever their order."""
    lines = sorted({f"{cell.statement}|{bare(cell.label)}" for cell in finding.cells})
    about = f"{finding.statement}|{bare(finding.label or '')}"
    return hashlib.sha256("\0".join((finding.check, about, *lines)).encode()).hexdigest()


def _size(reported: Decimal | None, expected: Decimal | None) -> Decimal | None:
    """The break as a share of the larger amount, with its direction; None without amounts."""
    if reported is None or expected is None:
        return None
    largest = max(abs(reported), abs(expected))
    return (reported - expected) / largest if largest else Decimal(0)


def folded(verdict: Verdict, dismissals: Sequence[Dismissal], flagged_from: float) -> Verdict:
    """The verdict without what was dismissed before: it stays among the findings, marked, and
    counts neither for the risk nor for the flag. Where the list is full, others as likely may have
    been left out of it, so risk and flag stay.

    Args:
        verdict: of one filing.
        dismissals: all of its filer.
        flagged_from: risk from which on a filing is flagged.
    """
    findings = tuple(_marked(finding, dismissals) for finding in verdict.findings)
    if not any(finding.dismissed for finding in findings):
        return verdict
    if len(findings) >= MOST:
        return replace(verdict, findings=findings)
    risk = max((f.confidence for f in findings if not f.dismissed), default=0.0)
    return replace(verdict, findings=findings, risk=risk, flagged=risk >= flagged_from)


def _marked(finding: Finding, dismissals: Iterable[Dismissal]) -> Finding:
    found = next((one for one in dismissals if one.covers(finding)), None)
    if found is None:
        return finding
    return replace(finding, dismissed=Dismissed(found.reason, found.by, found.time))


def row_of(dismissal: Dismissal) -> dict[str, Any]:
    """Its columns in the store: amounts as text, for they stay exact."""
    amounts = {
        name: None if value is None else str(value)
        for name, value in (("reported", dismissal.reported), ("expected", dismissal.expected))
    }
    return {
        **{name: getattr(dismissal, name) for name in Dismissal.__dataclass_fields__},
        **amounts,
    }


def dismissal_of(row: Any) -> Dismissal:
    """It again, from its columns."""
    values = dict(row._mapping)
    for name in ("reported", "expected"):
        values[name] = None if values[name] is None else Decimal(values[name])
    return Dismissal(**values)
