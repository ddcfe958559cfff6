"""Tables and queries of triage. Every query names the tenant. Callers control the transactions."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    and_,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
    tuple_,
)

from services.triage.dismissals import Dismissal, dismissal_of, row_of
from services.triage.domain import CheckedFiling, Dismissed, Finding, Model, Report, ReportFinding
from shared.errors import InvalidRequest
from shared.events import BlobRef
from shared.messaging.tables import Time
from shared.projection import DocumentRecords, document_columns

_RISK = re.compile(r"[01](\.\d{1,20})?|\d(\.\d{1,20})?e-\d{1,3}")

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = MetaData()


def _key(*names: str) -> list[Column[str]]:
    return [Column(name, String(64), primary_key=True) for name in names]


reports = Table(
    "reports",
    metadata,
    *document_columns(),
    Column("flagged", Boolean, nullable=False),
    Column("risk", Float, nullable=False),
    Column("filings", Integer, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("statements", JSON(none_as_null=True)),
    Column("model", JSON(none_as_null=True)),
    Column("name", Text, nullable=False),
    Column("found", Integer, nullable=False),
    Column("signals", JSON(none_as_null=True)),
    Column("strong", JSON(none_as_null=True)),
    Column("narrative", JSON(none_as_null=True)),
    Column("narrative_strong", JSON(none_as_null=True)),
    Column("narrative_found", Integer, nullable=False, server_default="0"),
    Column("unreadable", Integer, nullable=False, server_default="0"),
    Column("coverage", JSON(none_as_null=True)),
    Column("title", Text),
    Index("reports_risk", "tenant", "state", "risk", "document_id"),
)

findings = Table(
    "findings",
    metadata,
    *_key("tenant", "document_id"),
    Column("position", Integer, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("filing", Text, nullable=False),
    Column("check", String(64), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("body", Text, nullable=False),  # JSON text: decimals stay exact
    Column("filer", Text, nullable=False),
    Column("dismissed_document", String(64)),
    Column("dismissed_finding", String(64)),
    Column("route", String(16), nullable=False, server_default="review"),
    Index("findings_dismissed", "tenant", "dismissed_document", "dismissed_finding"),
)
"""`dismissed_document` and `dismissed_finding` refer to the dismissal that hides a finding."""
accepted = findings.c.route == literal_column("'accept'")  # as a parameter it would miss the index
Index("findings_accepted", findings.c.tenant, sqlite_where=accepted, postgresql_where=accepted)

dismissals = Table(
    "dismissals",
    metadata,
    *_key("tenant", "document_id", "finding_id"),
    Column("filer", Text, nullable=False),
    Column("relation", String(64), nullable=False),
    Column("reported", Text),
    Column("expected", Text),
    Column("figure", String(64)),
    Column("reason", Text, nullable=False),
    Column("by", String(200), nullable=False),
    Column("time", Time, nullable=False),
    Index("dismissals_filer", "tenant", "filer"),
)

decided = Table(
    "decided",
    metadata,
    *_key("tenant", "document_id", "finding_id"),
)
"""Findings that people decided, for the list of reports."""

filers = Table(
    "filers",
    metadata,
    *_key("tenant", "document_id"),
    Column("filer", String(200), primary_key=True),
    Column("last", String(8), nullable=False),
    Index("filers_last", "tenant", "filer", "last"),
)
"""Filers of a document, with the earliest of their latest days."""

filings = Table(
    "filings",
    metadata,
    *_key("tenant", "document_id"),
    Column("number", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("recognised", Boolean, nullable=False),
    Column("warnings", Integer, nullable=False),
)
"""Checked filings. Rows of an older attempt do not apply to the current findings."""


_FOLDS = and_(
    dismissals.c.tenant == findings.c.tenant,
    dismissals.c.document_id == findings.c.dismissed_document,
    dismissals.c.finding_id == findings.c.dismissed_finding,
)
"""Joins a finding with the dismissal that hides it."""


@dataclass(frozen=True)
class FindingCounts:
    """Numbers of hidden and decided findings of a report."""

    folded: int = 0
    decided: int = 0  # decided findings that are not hidden


class Reports(DocumentRecords[Report]):
    """The reports of one tenant."""

    table = reports
    record = Report
    required_blobs: ClassVar = {
        "statements": "statements",
        "signals": "signals",
        "strong": "list of strong signals",
        "narrative": "narrative flags",
        "narrative_strong": "list of strong narrative flags",
    }

    plain = ("flagged", "risk", "filings", "name", "found", "narrative_found", "unreadable",
             "coverage", "title")  # fmt: skip

    def fields_of(self, row: Any) -> dict[str, Any]:
        """See DocumentRecords."""
        return {
            **{name: getattr(row, name) for name in self.plain},
            **{name: _ref(getattr(row, name)) for name in self.required_blobs},
            "warnings": tuple(row.warnings),
            "model": Model(**row.model) if row.model else None,
        }

    def columns_of(self, record: Report) -> dict[str, Any]:
        """See DocumentRecords."""
        refs = {name: getattr(record, name) for name in self.required_blobs}
        return {
            **{name: getattr(record, name) for name in self.plain},
            **{name: ref.model_dump() if ref else None for name, ref in refs.items()},
            "warnings": list(record.warnings),
            "model": record.model.to_json() if record.model else None,
        }

    def by_risk(
        self,
        flagged: bool | None,
        risks: tuple[float, float],
        *,
        riskiest_first: bool,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[Report], str | None]:
        """Reports by risk, and the next cursor. Raises InvalidRequest for a foreign one."""
        query = select(reports).where(
            reports.c.tenant == self.tenant,
            reports.c.state == "done",
            reports.c.risk >= risks[0],
            reports.c.risk <= risks[1],
        )
        if flagged is not None:
            query = query.where(reports.c.flagged.is_(flagged))
        place = tuple_(reports.c.risk, reports.c.document_id)
        if cursor is not None:
            last = _place_of(cursor)
            query = query.where(place < last if riskiest_first else place > last)
        order = (reports.c.risk, reports.c.document_id)
        query = query.order_by(*(key.desc() if riskiest_first else key for key in order))
        rows = self.session.execute(query.limit(limit + 1)).all()
        found = [self.from_row(row) for row in rows[:limit]]
        more = f"{found[-1].risk!r}~{found[-1].document_id}" if len(rows) > limit else None
        return found, more

    def replace_findings(self, document_id: str, found: Sequence[ReportFinding]) -> None:
        """Replace all findings of a document."""
        self.session.execute(delete(findings).where(*self._mine(findings, document_id)))
        rows = [
            {
                "tenant": self.tenant,
                "document_id": document_id,
                "position": position,
                "id": item.id,
                "filing": item.filing,
                "check": item.finding.check,
                "confidence": item.finding.confidence,
                "body": _body(item.finding),
                "filer": item.filer,
                "route": item.route,
                "dismissed_document": item.finding.dismissed and item.finding.dismissed.document_id,
                "dismissed_finding": item.finding.dismissed and item.finding.dismissed.finding_id,
            }
            for position, item in enumerate(sorted(found, key=lambda f: -f.finding.confidence))
        ]
        if rows:
            self.session.execute(insert(findings), rows)

    def replace_filings(
        self, document_id: str, attempt: int, checked: Sequence[CheckedFiling]
    ) -> None:
        """Replace the checked filings of a document."""
        self.session.execute(delete(filings).where(*self._mine(filings, document_id)))
        key = {"tenant": self.tenant, "document_id": document_id, "attempt": attempt}
        if rows := [{**key, **asdict(filing)} for filing in checked]:
            self.session.execute(insert(filings), rows)

    def filings(self, document_id: str, attempt: int) -> list[CheckedFiling]:
        """The checked filings of an attempt at a document, in order."""
        columns = [filings.c[field.name] for field in fields(CheckedFiling)]
        mine = *self._mine(filings, document_id), filings.c.attempt == attempt
        rows = self.session.execute(select(*columns).where(*mine).order_by(filings.c.number))
        return [CheckedFiling(*row) for row in rows]

    def replace_filers(self, document_id: str, found: Mapping[str, str]) -> None:
        """Replace the filers of a document, with the earliest of their latest days."""
        self.session.execute(delete(filers).where(*self._mine(filers, document_id)))
        key = {"tenant": self.tenant, "document_id": document_id}
        if rows := [{**key, "filer": filer, "last": last} for filer, last in found.items()]:
            self.session.execute(insert(filers), rows)

    def earlier(self, filer: str, last: str, document_id: str, limit: int) -> list[Report]:
        """Other reports of a filer before a day, the latest first."""
        query = (
            select(reports)
            .join_from(filers, reports, and_(filers.c.tenant == reports.c.tenant,
                                             filers.c.document_id == reports.c.document_id))
            .where(
                filers.c.tenant == self.tenant,
                filers.c.filer == filer,
                filers.c.last < last,
                filers.c.document_id != document_id,
                reports.c.state == "done",
            )
            .order_by(filers.c.last.desc(), filers.c.document_id)
            .limit(limit)
        )  # fmt: skip
        return [self.from_row(row) for row in self.session.execute(query)]

    def finding(self, document_id: str, finding_id: str) -> ReportFinding | None:
        """One finding of a document, or None."""
        row = self.session.execute(self._findings(document_id).where(findings.c.id == finding_id))
        first = row.first()
        return _finding(first) if first else None

    def dismiss(self, dismissal: Dismissal) -> None:
        """Store a dismissal. An earlier one of the finding must be forgotten before."""
        self.session.execute(insert(dismissals).values(**row_of(dismissal)))

    def note_decided(self, document_id: str, finding_id: str) -> None:
        """Note a decided finding. An earlier note must be forgotten before."""
        key = {"tenant": self.tenant, "document_id": document_id, "finding_id": finding_id}
        self.session.execute(insert(decided).values(**key))

    def forget_decided(self, document_id: str, finding_id: str | None = None) -> None:
        """Forget the decision on one finding, or on all of a document."""
        mine = self._mine(decided, document_id, finding_id)
        self.session.execute(delete(decided).where(*mine))

    def tallies(self, documents: Collection[str]) -> dict[str, FindingCounts]:
        """The numbers of hidden and decided findings by document."""
        folded = dismissals.c.finding_id.is_not(None)
        done = and_(dismissals.c.finding_id.is_(None), decided.c.finding_id.is_not(None))
        same_finding = and_(
            decided.c.tenant == findings.c.tenant,
            decided.c.document_id == findings.c.document_id,
            decided.c.finding_id == findings.c.id,
        )
        query = (
            select(
                findings.c.document_id,
                func.count(case((folded, 1))).label("folded"),
                func.count(case((done, 1))).label("decided"),
            )
            .select_from(findings.outerjoin(dismissals, _FOLDS).outerjoin(decided, same_finding))
            .where(findings.c.tenant == self.tenant, findings.c.document_id.in_(documents))
            .group_by(findings.c.document_id)
        )
        rows = self.session.execute(query)
        return {row.document_id: FindingCounts(row.folded, row.decided) for row in rows}

    def forget_dismissal(self, document_id: str, finding_id: str | None = None) -> None:
        """Forget the dismissal of a finding, or of all findings of a document."""
        mine = self._mine(dismissals, document_id, finding_id)
        self.session.execute(delete(dismissals).where(*mine))

    def dismissals(self, filer: str) -> list[Dismissal]:
        """The dismissals of a filer, the latest first."""
        rows = self.session.execute(
            select(dismissals)
            .where(dismissals.c.tenant == self.tenant, dismissals.c.filer == filer)
            .order_by(dismissals.c.time.desc(), dismissals.c.finding_id)
        )
        return [dismissal_of(row) for row in rows]

    def every_dismissal(self) -> list[Dismissal]:
        """The dismissals of all filers, by document."""
        rows = self.session.execute(
            select(dismissals)
            .where(dismissals.c.tenant == self.tenant)
            .order_by(dismissals.c.document_id, dismissals.c.finding_id)
        )
        return [dismissal_of(row) for row in rows]

    def hold_dismissals(self, keys: Collection[tuple[str, str]]) -> bool:
        """Lock dismissals until the transaction ends. Returns whether all of them still exist."""
        if not keys:
            return True
        key = (dismissals.c.document_id, dismissals.c.finding_id)
        named = dismissals.c.tenant == self.tenant, tuple_(*key).in_(sorted(keys))
        these = select(*key).where(*named).order_by(*key).with_for_update(read=True)
        return len(self.session.execute(these).all()) == len(keys)

    def folded_by(self, document_id: str, finding_id: str | None = None) -> list[str]:
        """Documents with a finding that a dismissal, or any of a document, hides."""
        these = [findings.c.tenant == self.tenant, findings.c.dismissed_document == document_id]
        if finding_id is not None:
            these.append(findings.c.dismissed_finding == finding_id)
        query = select(findings.c.document_id).where(*these).distinct()
        return sorted(self.session.execute(query).scalars())

    def findings(
        self, document_id: str, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[ReportFinding], str | None]:
        """Findings by confidence, and the next cursor. Raises InvalidRequest for a foreign one."""
        query = self._findings(document_id).limit(limit + 1)
        if cursor is not None:
            query = query.where(findings.c.position > position_of(cursor))
        rows = self.session.execute(query).all()
        more = str(rows[limit - 1].position) if len(rows) > limit else None
        return [_finding(row) for row in rows[:limit]], more

    def all_findings(self, document_id: str) -> list[ReportFinding]:
        """All findings of a document, by confidence."""
        return [_finding(row) for row in self.session.execute(self._findings(document_id))]

    def orphans(self, document_id: str) -> list[ReportFinding]:
        """Findings that a forgotten dismissal still hides."""
        referring = findings.c.dismissed_document.is_not(None), dismissals.c.reason.is_(None)
        rows = self.session.execute(self._findings(document_id).where(*referring))
        return [_finding(row) for row in rows]

    def _findings(self, document_id: str) -> Select[Any]:
        """Findings by confidence, with their dismissals."""
        words = dismissals.c.reason, dismissals.c.by, dismissals.c.time
        return (
            select(findings, *words)
            .select_from(findings.outerjoin(dismissals, _FOLDS))
            .where(*self._mine(findings, document_id))
            .order_by(findings.c.position)
        )

    def _mine(
        self, table: Table, document_id: str, finding_id: str | None = None
    ) -> list[ColumnElement[bool]]:
        """The conditions for the rows of a document, or of one of its findings."""
        mine = [table.c.tenant == self.tenant, table.c.document_id == document_id]
        return mine if finding_id is None else [*mine, table.c.finding_id == finding_id]


def _place_of(cursor: str) -> tuple[float, str]:
    """The risk and document of a cursor. Raises InvalidRequest."""
    risk, _, document = cursor.partition("~")
    named = document and document.isascii() and document.isprintable()
    if not named or not _RISK.fullmatch(risk):
        raise InvalidRequest("the cursor is not one that this list gave")
    return float(risk), document


def position_of(cursor: str) -> int:
    """The position of a cursor. Raises InvalidRequest."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidRequest("the cursor is not one that this list gave")
    return int(cursor)


def _ref(column: dict[str, Any] | None) -> BlobRef | None:
    return BlobRef(**column) if column else None


def _body(finding: Finding) -> str:
    """A finding as JSON text without its dismissal, which is stored once."""
    kept = {**finding.to_json(), "end": finding.end, "dismissed": None}
    return json.dumps(kept, ensure_ascii=False)


def _finding(row: Any) -> ReportFinding:
    body = json.loads(row.body, parse_float=Decimal)
    finding = Finding.of_json({**body, "confidence": row.confidence})
    if row.reason is not None:
        key = row.dismissed_document, row.dismissed_finding
        finding = replace(finding, dismissed=Dismissed(row.reason, row.by, row.time, *key))
    return ReportFinding(row.id, row.filing, finding, row.filer, row.route)
