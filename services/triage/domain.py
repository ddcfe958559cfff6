"""What triage says about a filing: findings and a verdict, as plain data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from shared.events import CANCELLED, BlobRef, Kind

State = Literal["waiting", "triaged", "failed", "withdrawn", "deleted"]
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


@dataclass(frozen=True)
class Report:
    """Where the work on one document of one tenant stands. A deleted one is remembered by its id.

    `flagged` and `risk` are those of its riskiest filing. `warnings` name what could not be read.
    """

    tenant: str
    document_id: str
    kind: Kind
    attempt: int
    state: State = "waiting"
    code: str | None = None
    reason: str | None = None
    flagged: bool = False
    risk: float = 0.0
    filings: int = 0
    warnings: tuple[str, ...] = ()
    statements: BlobRef | None = None
    """JSON lines: what was read, a filing a line."""
    blobs: tuple[BlobRef, ...] = ()
    """Everything that was stored for it, to be removed with the document."""

    def failed(self, code: str, reason: str) -> Report:
        """The document was given up, by us or by somebody before us."""
        return replace(self, state="failed", code=code, reason=reason)

    def awaits(self, attempt: int) -> bool:
        """Whether news of an attempt still counts: not after a deletion, a withdrawal, a
        cancellation or a newer attempt.
        """
        if self.state == "deleted" or attempt < self.attempt:
            return False
        cancelled = self.state == "failed" and self.code == CANCELLED
        return attempt > self.attempt or not (cancelled or self.state == "withdrawn")


@dataclass(frozen=True)
class ReportFinding:
    """A finding of one filing of a document, with its id."""

    id: str
    filing: str
    finding: Finding

    def to_json(self) -> dict[str, Any]:
        """The finding as REST and events have it."""
        return {"id": self.id, "filing": self.filing, **self.finding.to_json()}
