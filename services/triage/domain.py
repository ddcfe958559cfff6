"""What triage says about a filing: findings and a verdict, as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from services.triage.pages import page_of
from services.triage.places import Place
from shared.documents.reading import Box
from shared.events import CANCELLED, BlobRef, Kind, Route
from shared.version import VERSION

State = Literal["waiting", "triaged", "failed", "withdrawn", "deleted"]
Severity = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Model:
    """What judges filings, and its version."""

    name: str
    version: str

    def to_json(self) -> dict[str, str]:
        """As the command line and REST have it."""
        return {"name": self.name, "version": self.version}


RULES = Model("rules", VERSION)
"""What judges where nothing was learned."""


@dataclass(frozen=True, slots=True)
class NamedCell:
    """A cell that a finding names: indices into the filing's own arrays, and where it stands."""

    statement: str
    row: int
    column: int
    label: str
    place: Place | None = None

    def to_json(self) -> dict[str, Any]:
        """The cell as the command line, REST and events have it."""
        return {
            "statement": self.statement,
            "row": self.row,
            "column": self.column,
            "label": self.label,
            "place": self.place and self.place.to_json(),
        }

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        """The cell again."""
        place = parts["place"]
        own = {key: parts[key] for key in ("statement", "row", "column", "label")}
        return cls(**own, place=Place.of_json(place) if place else None)


@dataclass(frozen=True, slots=True)
class Dismissed:
    """Why an analyst dismissed the same of the same filer before, and of which finding."""

    reason: str
    by: str
    time: datetime
    document_id: str
    finding_id: str

    @property
    def key(self) -> tuple[str, str]:
        """The document and the finding that the analyst decided about."""
        return (self.document_id, self.finding_id)

    def to_json(self) -> dict[str, str]:
        """As REST has it."""
        return {"reason": self.reason, "by": self.by, "time": self.time.isoformat()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up. `row`, `rows` and `column` are indices into the filing's own
    arrays.

    `row` and `column` are None where a whole statement is meant; for a missing line `row` is where
    it belongs. `cells` are all that take part, also those of other statements: first the one that
    it is about. `page` is where it is shown, None for data that no page shows.
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
    cells: tuple[NamedCell, ...] = ()
    page: int | None = None
    dismissed: Dismissed | None = None
    """Set if it was dismissed before: it counts neither for the risk nor for the flag."""
    end: str | None = field(default=None, compare=False)
    """The day on which its column ends, YYYYMMDD: what later reports know the column by. It is kept
    with the finding, and not shown."""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where its cells stand on pages; none where the document has no pages with places."""
        found = (cell.place.box for cell in self.cells if cell.place and cell.place.box)
        return tuple(dict.fromkeys(found))

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
            "cells": [cell.to_json() for cell in self.cells],
            "page": self.page,
            "boxes": [box_json(box) for box in self.boxes],
            "settle": self.settle,
            "dismissed": self.dismissed and self.dismissed.to_json(),
        }

    @property
    def settle(self) -> str | None:
        """What would settle it, as the page of its check says."""
        page = page_of(self.check)
        return page.settle if page else None

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        """The finding again, also one that was kept before findings had places, or by a newer
        release: fields that this one does not know are passed over. What was dismissed is not in
        it (`ReportFinding`).
        """
        amounts = {
            key: None if parts[key] is None else Decimal(parts[key])
            for key in ("reported", "expected")
        }
        cells = tuple(NamedCell.of_json(cell) for cell in parts.get("cells", ()))
        kept = {key: parts[key] for key in _KEPT if key in parts}
        return cls(**{**kept, **amounts, "rows": tuple(parts["rows"]), "cells": cells})


_KEPT = ("check", "severity", "confidence", "statement", "column", "row", "label", "message",
         "page", "end")  # fmt: skip
"""Fields of a finding that are kept as they are."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What triage says about one filing; findings are ordered by confidence."""

    id: str
    flagged: bool
    risk: float
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()
    model: Model = RULES
    told: tuple[Finding, ...] = field(default=(), repr=False)
    """Those that have a place among the handful however likely they are."""
    checked: bool = True
    """False where no relation could be tried: that nothing was found says nothing then."""

    def to_json(self) -> dict[str, Any]:
        """The verdict without where it came from."""
        return {
            "id": self.id,
            "flagged": self.flagged,
            "risk": self.risk,
            "checked": self.checked,
            "findings": [finding.to_json() for finding in self.findings],
            "warnings": list(self.warnings),
            "model": self.model.to_json(),
        }


def number(value: Decimal | None) -> int | float | None:
    """A JSON number, whole where it is whole."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def box_json(box: Box) -> dict[str, Any]:
    """A rectangle as evidence has it everywhere: PDF points, origin top left."""
    return {"page": box.page} | {
        side: round(float(getattr(box, side)), 2) for side in ("x0", "y0", "x1", "y1")
    }


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
    `model` judged it; None if that was not kept yet. `name` is that of the file, empty where it was
    not kept yet.
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
    model: Model | None = None
    name: str = ""
    found: int = 0
    """How many findings it has."""
    statements: BlobRef | None = None
    """JSON lines: what was read, a filing a line."""
    signals: BlobRef | None = None
    """JSON lines: what is unusual, a signal a line; None if that was not looked for."""
    strong: BlobRef | None = None
    """JSON list: the signals that a person is asked about."""
    narrative: BlobRef | None = None
    """JSON lines: its narrative flags, a sentence a line; None if they were not looked for. One
    that failed has them as well if it could be read and has no statements."""
    narrative_strong: BlobRef | None = None
    """JSON list: the sentences that a person is asked about."""
    narrative_found: int = 0
    """How many narrative flags it has."""
    unreadable: int = 0
    """Filings of it that could not be read."""
    blobs: tuple[BlobRef, ...] = ()
    """Everything that was stored for it, to be removed with the document."""
    own: frozenset[str] = frozenset()
    """Hashes of those that no other document can have, for they name it or a result of it; without
    what older programs stored."""
    updated: datetime | None = None
    """When it was kept; None before."""

    def noting(self, refs: Collection[BlobRef]) -> Report:
        """With more blobs of its own."""
        own = self.own | {ref.sha256 for ref in refs}
        return replace(self, blobs=tuple({*self.blobs, *refs}), own=own)

    def failed(self, code: str, reason: str) -> Report:
        """The document was given up, by us or by somebody before us; what an attempt before had
        found counts no more.
        """
        gone = replace(self, narrative=None, narrative_strong=None, narrative_found=0, warnings=())
        return replace(gone, state="failed", code=code, reason=reason)

    def awaits(self, attempt: int) -> bool:
        """Whether news of an attempt still counts: not after a deletion, a withdrawal, a
        cancellation or a newer attempt.
        """
        if self.state == "deleted" or attempt < self.attempt:
            return False
        cancelled = self.state == "failed" and self.code == CANCELLED
        return attempt > self.attempt or not (cancelled or self.state == "withdrawn")


@dataclass(frozen=True, slots=True)
class CheckedFiling:
    """What of one filing of a report stands in none of its findings, and decides with them whether
    a person is asked: it is kept, so that another policy can be tried on it.
    """

    number: int
    """In its document, from 1."""
    whole: bool
    """Whether no lines are known to be left out."""
    recognised: bool
    """Whether a page of its document was recognised (OCR)."""
    warnings: int
    """How many there are about it."""


@dataclass(frozen=True)
class ReportFinding:
    """A finding of one filing of a document, with its id. `filer` is empty if it isn't named."""

    id: str
    filing: str
    finding: Finding
    filer: str = ""
    route: Route = "review"
    """What is done with it: see `shared.events.Route`."""
    sampled: bool = False
    """Whether it could be accepted, and goes to a person as a check, who is not told."""

    def to_json(self) -> dict[str, Any]:
        """The finding as REST and events have it, with what the page of its check says."""
        page = page_of(self.finding.check)
        return {
            "id": self.id,
            "filing": self.filing,
            "title": page and page.title,
            **self.finding.to_json(),
            "compares": page and page.compares,
            "lawful": page and page.lawful,
            "example": page and page.example,
            "route": self.route,
        }

    def announced(self) -> dict[str, Any]:
        """The finding as events have it: which dismissal folds it away, but not the words of the
        analyst, which go with the document that they were said of.
        """
        told = self.finding.dismissed
        named = told and {"document": told.document_id, "finding": told.finding_id}
        return {**self.to_json(), "dismissed": named}
