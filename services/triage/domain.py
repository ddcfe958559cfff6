"""Findings and verdicts as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from services.triage.check_pages import page_of
from services.triage.explanations import Explanation, Reason
from services.triage.relations.message_format import counted, in_words, title
from services.triage.statements.model import CHECKED, MAX_SENTENCE, number_or_none, truncate
from services.triage.statements.named_cells import NamedCell
from shared.documents.model.parsed_document import Box
from shared.events import BlobRef, Route
from shared.projection import DocumentRecord
from shared.version import VERSION

Severity = Literal["low", "medium", "high"]
Outcome = Literal["holds", "broken", "does_not_close"]  # of a relation; a finding explains `broken`


@dataclass(frozen=True, slots=True)
class Model:
    """The model that judges filings, and its version."""

    name: str
    version: str

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "version": self.version}


RULES = Model("rules", VERSION)  # the model without a classifier


@dataclass(frozen=True, slots=True)
class Dismissed:
    """An analyst's earlier dismissal of the same finding of the same filer."""

    reason: str
    by: str
    time: datetime
    document_id: str
    finding_id: str

    @property
    def key(self) -> tuple[str, str]:
        """The dismissed finding: its document and id."""
        return (self.document_id, self.finding_id)

    def to_json(self) -> dict[str, str]:
        return {"reason": self.reason, "by": self.by, "time": self.time.isoformat()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up. `row`, `rows` and `column` are indices into the filing's own
    arrays.

    `row` and `column` are None for a whole statement. For a missing line, `row` is where it
    belongs. `cells` has first the one in question. `page` is None for data.
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
    dismissed: Dismissed | None = None  # if so, it counts neither for risk nor flag
    explanation: Explanation = field(default_factory=Explanation)
    end: str | None = field(default=None, compare=False)
    """The last day of its column, YYYYMMDD, which identifies the column in later reports. It is
    stored and not shown."""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The positions of its cells on pages."""
        boxes = (cell.position.box for cell in self.cells if cell.position and cell.position.box)
        return tuple(dict.fromkeys(boxes))

    def supported_by(self, reason: Reason) -> Self:
        """The finding with one more fact that supports it, also in its message."""
        explanation = replace(self.explanation, supports=(*self.explanation.supports, reason))
        message = truncate(f"{self.message} {reason.words}", MAX_SENTENCE)
        return replace(self, explanation=explanation, message=message)

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _KEPT if name != "end"},
            "rows": list(self.rows),
            "reported": number_or_none(self.reported),
            "expected": number_or_none(self.expected),
            "cells": [cell.to_json() for cell in self.cells],
            "boxes": [box_json(box) for box in self.boxes],
            "how_to_verify": self.how_to_verify,
            "dismissed": self.dismissed and self.dismissed.to_json(),
            **self.explanation.to_json(),
        }

    @property
    def how_to_verify(self) -> str | None:
        """How to verify it, from its check page."""
        page = page_of(self.check)
        return page.how_to_verify if page else None

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        """The finding without its dismissal (`ReportFinding`)."""
        values = {key: parts[key] for key in _KEPT}
        for key in ("reported", "expected"):
            values[key] = None if parts[key] is None else Decimal(parts[key])
        cells = tuple(NamedCell.of_json(cell) for cell in parts["cells"])
        explanation = Explanation.of_json(parts)
        return cls(**values, rows=tuple(parts["rows"]), cells=cells, explanation=explanation)


_KEPT = ("check", "severity", "confidence", "statement", "column", "row", "label", "message",
         "page", "end")  # fmt: skip
"""Fields that are stored as they are."""


@dataclass(frozen=True, slots=True)
class OpenRelation:
    """A relation that does not close and that no finding explains. It may be lawful.

    `row` and `column` are those of its total, or of the compared amount.
    """

    check: str
    statement: str
    column: int
    row: int
    label: str
    reported: Decimal
    expected: Decimal  # the amount of the other side of the relation
    message: str  # the arithmetic, written out
    page: int | None = None  # None for data
    filing: str = ""  # its id

    def to_json(self) -> dict[str, Any]:
        page = page_of(self.check)
        return {
            **asdict(self),
            "reported": number_or_none(self.reported),
            "expected": number_or_none(self.expected),
            "difference": number_or_none(self.reported - self.expected),
            "title": page and page.title,
            "possible_explanation": page and page.possible_explanation,
        }


@dataclass(frozen=True, slots=True)
class CheckedRelation:
    """A relation that was checked in one column, and its outcome."""

    check: str
    statement: str
    end: str | None  # the last day of the column, YYYYMMDD
    relation: str  # its lines with their amounts
    outcome: Outcome
    filing: str = ""  # its id


@dataclass(frozen=True, slots=True)
class Coverage:
    """Statements found and relations checked. A relation counts once for each tried column."""

    statements: tuple[str, ...] = ()  # kinds that were found
    missing: tuple[str, ...] = ()  # kinds that were not found, or not in every filing
    relations: int = 0
    broken: int = 0  # explained by a finding
    not_closing: int = 0  # the other breaks
    items: tuple[OpenRelation, ...] = ()  # the breaks that no finding explains
    filings: int = 1
    headlines: int = 0  # filings of headlines: few lines, between which gaps may be lawful
    balance_unchecked: int = 0  # filings with a balance sheet whose sides no relation compares
    findings: int = 0  # also those without a broken relation
    unread: tuple[str, ...] = ()  # kinds of which another statement was found and not read
    not_added_up: tuple[str, ...] = ()  # totals whose lines were not added up, in words
    checks: tuple[CheckedRelation, ...] = ()  # the first relations that were checked

    def plus(self, other: Coverage, most: int) -> Coverage:
        """The coverage of more filings, with at most so many items and checks."""
        return Coverage(
            _kinds(self.statements + other.statements),
            _kinds(self.missing + other.missing),
            self.relations + other.relations,
            self.broken + other.broken,
            self.not_closing + other.not_closing,
            (self.items + other.items)[:most],
            self.filings + other.filings,
            self.headlines + other.headlines,
            self.balance_unchecked + other.balance_unchecked,
            self.findings + other.findings,
            _kinds(self.unread + other.unread),
            tuple(dict.fromkeys(self.not_added_up + other.not_added_up)),
            (self.checks + other.checks)[:most],
        )

    @property
    def summary(self) -> str:
        """Statements found and missing, and relations checked, in words."""
        found = in_words(map(title, self.statements)) or "no statement"
        only = " only" if len(self.statements) == 1 and self.missing else ""
        parts = [f"{counted(self.relations, 'relation', 'relations')} checked"]
        if self.broken:
            parts.append(f"{self.broken:,} broken")
        elif self.relations and not (self.findings or self.not_closing):
            parts.append("none broken")
        if self.not_closing:
            parts.append(counted(self.not_closing, "does not close", "do not close"))
        text = f"{found[0].upper()}{found[1:]}{only}; {', '.join(parts)}."
        if self.missing:
            missing = in_words(map(title, self.missing))
            where = " in every filing" if self.filings > 1 else ""
            text += f" {missing[0].upper()}{missing[1:]}: not found{where}."
        if only and self.filings == 1:
            text += " Statements in one file are checked against each other."
        if self.unread:
            were = "was" if len(self.unread) == 1 else "were"
            text += f" Another {in_words(map(title, self.unread))} {were} not read."
        if self.balance_unchecked:
            text += f" The balance{self._where(self.balance_unchecked)} was not checked."
        if self.not_added_up:
            text += f" The lines above {in_words(self.not_added_up)} were not added up."
        if self.headlines:
            where = self._where(self.headlines)
            text += (
                f" Only headlines{where}: gaps may be lawful, and only identities and sure "
                "differences flag."
            )
        return text

    def _where(self, filings: int) -> str:
        return "" if filings == self.filings else " of some filings"

    def to_json(self) -> dict[str, Any]:
        return {
            "summary": self.summary,
            "statements": list(self.statements),
            "missing": list(self.missing),
            "unread": list(self.unread),
            "relations": self.relations,
            "broken": self.broken,
            "not_closing": self.not_closing,
            "balance_unchecked": self.balance_unchecked,
            "not_added_up": list(self.not_added_up),
            "items": [item.to_json() for item in self.items],
            "checks": [asdict(check) for check in self.checks],
        }


def _kinds(some: Iterable[str]) -> tuple[str, ...]:
    """Kinds of statements, each once, in their usual order."""
    present = set(some)
    return tuple(kind for kind in CHECKED if kind in present)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one filing; findings are ordered by confidence."""

    id: str
    flagged: bool
    risk: float
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()
    model: Model = RULES
    always_shown: tuple[Finding, ...] = field(default=(), repr=False)  # however unlikely
    checked: bool = True  # false if no relation could be tried
    coverage: Coverage = Coverage()

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "flagged": self.flagged,
            "risk": self.risk,
            "checked": self.checked,
            "coverage": self.coverage.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
            "warnings": list(self.warnings),
            "model": self.model.to_json(),
        }


def box_json(box: Box) -> dict[str, Any]:
    """A rectangle: PDF points, origin top left."""
    return {"page": box.page} | {
        side: round(float(getattr(box, side)), 2) for side in ("x0", "y0", "x1", "y1")
    }


def finding_id(tenant: str, document_id: str, filing: str, finding: Finding) -> str:
    """A stable id: the same finding of the same document always has the same."""
    parts = (tenant, document_id, filing, finding.check, finding.statement,
             str(finding.column), str(finding.row), str(finding.rows))  # fmt: skip
    return "fd_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Report(DocumentRecord):
    """The state of triage on one document; `flagged` and `risk` are of its riskiest filing."""

    flagged: bool = False
    risk: float = 0.0
    filings: int = 0
    warnings: tuple[str, ...] = ()  # warnings about unread parts
    model: Model | None = None  # None before it is judged
    name: str = ""  # of the file; empty before
    title: str | None = None  # for people, of a report with one filing
    found: int = 0  # number of findings
    statements: BlobRef | None = None  # JSON lines: the statements, one filing per line
    signals: BlobRef | None = None  # JSON lines: the signals; None without signal data
    strong: BlobRef | None = None  # JSON list: signals for a person
    narrative: BlobRef | None = None
    """JSON lines: narrative flags, one sentence per line; None without their specialist. A
    failed report without statements may have them."""
    narrative_strong: BlobRef | None = None  # JSON list: sentences for a person
    narrative_found: int = 0  # number of narrative flags
    unreadable: int = 0  # filings that could not be read
    coverage: Mapping[str, Any] | None = None  # `Coverage` of all filings as JSON


@dataclass(frozen=True, slots=True)
class CheckedFiling:
    """Facts about one filing that decide its route, stored to simulate other policies."""

    number: int  # in its document, from 1
    complete: bool  # false if lines are known to be left out
    recognised: bool  # whether a page was recognised by OCR
    warnings: int  # number of warnings


@dataclass(frozen=True)
class ReportFinding:
    """A finding of one filing of a document, with its id. `filer` is empty if unnamed."""

    id: str
    filing: str
    finding: Finding
    filer: str = ""
    route: Route = "review"  # see `shared.events.Route`
    sampled: bool = False  # whether it is an audit sample: acceptable, but shown to a person

    def to_json(self) -> dict[str, Any]:
        """The finding with the texts of its check page."""
        page = page_of(self.finding.check)
        return {
            "id": self.id,
            "filing": self.filing,
            "title": page and page.title,
            **self.finding.to_json(),
            "compares": page and page.compares,
            "possible_explanation": page and page.possible_explanation,
            "example": page and page.example,
            "route": self.route,
        }

    def announced(self) -> dict[str, Any]:
        """The finding for events: with the id of its dismissal, but without the analyst's words."""
        dismissed = self.finding.dismissed
        names = dismissed and {"document": dismissed.document_id, "finding": dismissed.finding_id}
        return {**self.to_json(), "dismissed": names}
