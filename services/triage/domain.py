"""What triage says about a filing: findings and a verdict, as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Severity = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up. `row`, `rows` and `column` are indices into the filing's own
    arrays.

    `row` and `column` are None where a whole statement is meant; for a missing line `row` is where
    it belongs.
    """

    check: str
    severity: Severity
    confidence: float
    statement: str
    column: int | None
    row: int | None
    rows: tuple[int, ...]
    label: str | None
    reported: Decimal | None
    expected: Decimal | None
    message: str

    def to_json(self) -> dict[str, Any]:
        """The finding as the command line, REST and events have it."""
        return {
            "check": self.check,
            "severity": self.severity,
            "confidence": self.confidence,
            "statement": self.statement,
            "column": self.column,
            "row": self.row,
            "rows": list(self.rows),
            "label": self.label,
            "reported": number(self.reported),
            "expected": number(self.expected),
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What triage says about one filing; findings are ordered by confidence."""

    id: str
    flagged: bool
    risk: float
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The verdict without where it came from."""
        return {
            "id": self.id,
            "flagged": self.flagged,
            "risk": self.risk,
            "findings": [finding.to_json() for finding in self.findings],
            "warnings": list(self.warnings),
        }


def number(value: Decimal | None) -> int | float | None:
    """A JSON number, whole where it is whole."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def finding_id(tenant: str, document_id: str, filing: str, finding: Finding) -> str:
    """The same finding about the same document always has the same id, so that work done twice is
    done once.
    """
    parts = (tenant, document_id, filing, finding.check, finding.statement,
             str(finding.column), str(finding.row), str(finding.rows))  # fmt: skip
    return "fd_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def overall(verdicts: Sequence[Verdict]) -> tuple[bool, float]:
    """Whether a document is flagged, and its risk: that of its riskiest filing."""
    return any(v.flagged for v in verdicts), max((v.risk for v in verdicts), default=0.0)
