"""Tables and queries of triage. Every query names the tenant; transactions belong to the caller."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
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
    exists,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from services.triage.dismissals import Dismissal, dismissal_of, row_of
from services.triage.domain import Dismissed, Finding, Model, Report, ReportFinding
from shared.errors import InvalidRequest
from shared.events import BlobRef
from shared.storage.messages import Time
from shared.storage.sharing import noted, own_of
from shared.storage.tenants import across_tenants
from shared.upkeep.holdings import Blob, Held

_RISK = re.compile(r"[01](\.\d{1,20})?|\d(\.\d{1,20})?e-\d{1,3}")

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = MetaData()

reports = Table(
    "reports",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(64)),
    Column("reason", Text),
    Column("flagged", Boolean, nullable=False),
    Column("risk", Float, nullable=False),
    Column("filings", Integer, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("statements", JSON(none_as_null=True)),
    Column("blobs", JSON, nullable=False),
    Column("updated", Time, nullable=False),
    Column("model", JSON(none_as_null=True)),
    Column("name", Text, nullable=False),
    Column("found", Integer, nullable=False),
    Column("signals", JSON(none_as_null=True)),
    Column("strong", JSON(none_as_null=True)),
    Column("narrative", JSON(none_as_null=True)),
    Column("narrative_strong", JSON(none_as_null=True)),
    Column("narrative_found", Integer, nullable=False, server_default="0"),
    Column("unreadable", Integer, nullable=False, server_default="0"),
    Index("reports_risk", "tenant", "state", "risk", "document_id"),
)

findings = Table(
    "findings",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
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
"""`dismissed_document` and `_finding` name the dismissal that folds one away: its words are kept
once, and go with the document that they were said of."""

dismissals = Table(
    "dismissals",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("finding_id", String(64), primary_key=True),
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
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("finding_id", String(64), primary_key=True),
)
"""Findings that people decided about, for the list of reports: without who or what."""

filers = Table(
    "filers",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("filer", String(200), primary_key=True),
    Column("last", String(8), nullable=False),
    Index("filers_last", "tenant", "filer", "last"),
)
"""Whose filings a document has, and the first of the latest days that each is about."""


_FOLDS = and_(
    dismissals.c.tenant == findings.c.tenant,
    dismissals.c.document_id == findings.c.dismissed_document,
    dismissals.c.finding_id == findings.c.dismissed_finding,
)
"""A dismissal that folds a finding away, and that nobody took back."""


@dataclass(frozen=True)
class Tally:
    """What became of the findings of a report."""

    folded: int = 0
    decided: int = 0
    """Those that are not folded away, and that people decided about."""


@dataclass(frozen=True)
class Wanted:
    """Which reports a list has, and in which order."""

    flagged: bool | None = None
    least: float = 0.0
    most: float = 1.0
    falling: bool = True
    """Whether the riskiest comes first."""


class Reports:
    """What one tenant's documents have come to."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def get(self, document_id: str, *, lock: bool = False) -> Report | None:
        """Where the work on a document stands, deleted ones included.

        Args:
            lock: keep others from changing it until the transaction ends.
        """
        query = select(reports).where(
            reports.c.tenant == self.tenant, reports.c.document_id == document_id
        )
        row = self.session.execute(query.with_for_update() if lock else query).one_or_none()
        return None if row is None else _report(row)

    def triaged(self) -> list[str]:
        """The documents that were checked, by their ids."""
        mine = reports.c.tenant == self.tenant, reports.c.state == "triaged"
        query = select(reports.c.document_id).where(*mine).order_by(reports.c.document_id)
        return list(self.session.execute(query).scalars())

    def by_risk(
        self, wanted: Wanted, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[Report], str | None]:
        """Reports that were triaged, the riskiest first, and the cursor that the list goes on from.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
        query = select(reports).where(
            reports.c.tenant == self.tenant,
            reports.c.state == "triaged",
            reports.c.risk >= wanted.least,
            reports.c.risk <= wanted.most,
        )
        if wanted.flagged is not None:
            query = query.where(reports.c.flagged.is_(wanted.flagged))
        place = tuple_(reports.c.risk, reports.c.document_id)
        if cursor is not None:
            last = _place_of(cursor)
            query = query.where(place < last if wanted.falling else place > last)
        order = (reports.c.risk, reports.c.document_id)
        query = query.order_by(*(key.desc() if wanted.falling else key for key in order))
        rows = self.session.execute(query.limit(limit + 1)).all()
        found = [_report(row) for row in rows[:limit]]
        more = f"{found[-1].risk!r}~{found[-1].document_id}" if len(rows) > limit else None
        return found, more

    def save(self, report: Report) -> None:
        """Insert or update."""
        values: dict[str, Any] = {
            "kind": report.kind,
            "attempt": report.attempt,
            "state": report.state,
            "code": report.code,
            "reason": report.reason,
            "flagged": report.flagged,
            "risk": report.risk,
            "filings": report.filings,
            "warnings": list(report.warnings),
            "model": report.model.to_json() if report.model else None,
            "name": report.name,
            "found": report.found,
            "statements": report.statements.model_dump() if report.statements else None,
            "signals": report.signals.model_dump() if report.signals else None,
            "strong": report.strong.model_dump() if report.strong else None,
            "narrative": _kept(report.narrative),
            "narrative_strong": _kept(report.narrative_strong),
            "narrative_found": report.narrative_found,
            "unreadable": report.unreadable,
            "blobs": noted(report.blobs, report.own),
            "updated": datetime.now(UTC),
        }
        changed = self.session.execute(
            update(reports)
            .where(reports.c.tenant == self.tenant, reports.c.document_id == report.document_id)
            .values(**values)
        )
        if changed.rowcount == 0:  # type: ignore[attr-defined]
            keys = {"tenant": self.tenant, "document_id": report.document_id}
            self.session.execute(insert(reports).values(**keys, **values))

    def replace_findings(self, document_id: str, found: Sequence[ReportFinding]) -> None:
        """Put findings in the place of all that the document had."""
        self.session.execute(
            delete(findings).where(
                findings.c.tenant == self.tenant, findings.c.document_id == document_id
            )
        )
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

    def replace_filers(self, document_id: str, found: Mapping[str, str]) -> None:
        """Put companies, with the day before which nothing of them is of use, in the place of all
        that the document had.
        """
        these = filers.c.tenant == self.tenant, filers.c.document_id == document_id
        self.session.execute(delete(filers).where(*these))
        key = {"tenant": self.tenant, "document_id": document_id}
        if rows := [{**key, "filer": filer, "last": last} for filer, last in found.items()]:
            self.session.execute(insert(filers), rows)

    def earlier(
        self, filer: str, last: str, document_id: str, limit: int
    ) -> list[tuple[str, BlobRef]]:
        """Other documents with a filing of a company that ends before a day, and where their
        statements lie, the latest first.
        """
        query = (
            select(reports.c.document_id, reports.c.statements)
            .join_from(filers, reports, and_(filers.c.tenant == reports.c.tenant,
                                             filers.c.document_id == reports.c.document_id))
            .where(
                filers.c.tenant == self.tenant,
                filers.c.filer == filer,
                filers.c.last < last,
                filers.c.document_id != document_id,
                reports.c.state == "triaged",
            )
            .order_by(filers.c.last.desc(), filers.c.document_id)
            .limit(limit)
        )  # fmt: skip
        return [(row.document_id, BlobRef(**row.statements)) for row in self.session.execute(query)]

    def finding(self, document_id: str, finding_id: str) -> ReportFinding | None:
        """One finding of a document, if it has it."""
        row = self.session.execute(self._findings(document_id).where(findings.c.id == finding_id))
        first = row.first()
        return _finding(first) if first else None

    def dismiss(self, dismissal: Dismissal) -> None:
        """Remember what was dismissed; what was said of the finding before has to be forgotten."""
        self.session.execute(insert(dismissals).values(**row_of(dismissal)))

    def note_decided(self, document_id: str, finding_id: str) -> None:
        """Remember that a person decided about a finding; what was noted before has to be
        forgotten.
        """
        key = {"tenant": self.tenant, "document_id": document_id, "finding_id": finding_id}
        self.session.execute(insert(decided).values(**key))

    def forget_decided(self, document_id: str, finding_id: str | None = None) -> None:
        """Forget that one of a finding, or of all findings of a document."""
        these = [decided.c.tenant == self.tenant, decided.c.document_id == document_id]
        if finding_id is not None:
            these.append(decided.c.finding_id == finding_id)
        self.session.execute(delete(decided).where(*these))

    def tallies(self, documents: Collection[str]) -> dict[str, Tally]:
        """Of each document that has findings how many are folded away, and how many of the others
        people decided about.
        """
        folded = dismissals.c.finding_id.is_not(None)
        done = and_(dismissals.c.finding_id.is_(None), decided.c.finding_id.is_not(None))
        said = and_(
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
            .select_from(findings.outerjoin(dismissals, _FOLDS).outerjoin(decided, said))
            .where(findings.c.tenant == self.tenant, findings.c.document_id.in_(documents))
            .group_by(findings.c.document_id)
        )
        rows = self.session.execute(query)
        return {row.document_id: Tally(row.folded, row.decided) for row in rows}

    def forget_dismissal(self, document_id: str, finding_id: str | None = None) -> None:
        """Forget what was said of a finding, or of all findings of a document."""
        these = [dismissals.c.tenant == self.tenant, dismissals.c.document_id == document_id]
        if finding_id is not None:
            these.append(dismissals.c.finding_id == finding_id)
        self.session.execute(delete(dismissals).where(*these))

    def dismissals(self, filer: str) -> list[Dismissal]:
        """What was dismissed of a filer, the latest first."""
        rows = self.session.execute(
            select(dismissals)
            .where(dismissals.c.tenant == self.tenant, dismissals.c.filer == filer)
            .order_by(dismissals.c.time.desc(), dismissals.c.finding_id)
        )
        return [dismissal_of(row) for row in rows]

    def every_dismissal(self) -> list[Dismissal]:
        """What was dismissed of all filers, by document."""
        rows = self.session.execute(
            select(dismissals)
            .where(dismissals.c.tenant == self.tenant)
            .order_by(dismissals.c.document_id, dismissals.c.finding_id)
        )
        return [dismissal_of(row) for row in rows]

    def hold_dismissals(self, keys: Collection[tuple[str, str]]) -> bool:
        """Keep dismissals from being forgotten until the transaction ends. Returns whether all of
        them are still there.
        """
        if not keys:
            return True
        key = (dismissals.c.document_id, dismissals.c.finding_id)
        named = tuple_(*key).in_(sorted(keys))
        these = select(*key).where(dismissals.c.tenant == self.tenant, named).order_by(*key)
        return len(self.session.execute(these.with_for_update(read=True)).all()) == len(keys)

    def folded_by(self, document_id: str, finding_id: str | None = None) -> list[str]:
        """The documents with a finding that a dismissal, or any of a document, folds away."""
        these = [findings.c.tenant == self.tenant, findings.c.dismissed_document == document_id]
        if finding_id is not None:
            these.append(findings.c.dismissed_finding == finding_id)
        query = select(findings.c.document_id).where(*these).distinct()
        return sorted(self.session.execute(query).scalars())

    def findings(
        self, document_id: str, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[ReportFinding], str | None]:
        """Findings by confidence, and the cursor that the list goes on from.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
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
        """Findings of a document that a dismissal folded away which is forgotten since."""
        referring = findings.c.dismissed_document.is_not(None), dismissals.c.reason.is_(None)
        rows = self.session.execute(self._findings(document_id).where(*referring))
        return [_finding(row) for row in rows]

    def _findings(self, document_id: str) -> Select[Any]:
        """Findings by confidence, with the words that fold them away."""
        words = dismissals.c.reason, dismissals.c.by, dismissals.c.time
        return (
            select(findings, *words)
            .select_from(findings.outerjoin(dismissals, _FOLDS))
            .where(findings.c.tenant == self.tenant, findings.c.document_id == document_id)
            .order_by(findings.c.position)
        )


def _place_of(cursor: str) -> tuple[float, str]:
    """The risk and the document that a list goes on behind. Raises InvalidRequest."""
    risk, _, document = cursor.partition("~")
    if (
        not _RISK.fullmatch(risk)
        or not document
        or not document.isascii()
        or not document.isprintable()
    ):
        raise InvalidRequest("the cursor is not one that this list gave")
    return float(risk), document


def position_of(cursor: str) -> int:
    """The position that a list goes on behind. Raises InvalidRequest for what is no cursor."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidRequest("the cursor is not one that this list gave")
    return int(cursor)


def _kept(ref: BlobRef | None) -> dict[str, Any] | None:
    return ref.model_dump() if ref else None


def _report(row: Any) -> Report:
    return Report(
        tenant=row.tenant,
        document_id=row.document_id,
        kind=row.kind,
        attempt=row.attempt,
        state=row.state,
        code=row.code,
        reason=row.reason,
        flagged=row.flagged,
        risk=row.risk,
        filings=row.filings,
        warnings=tuple(row.warnings),
        model=Model(**row.model) if row.model else None,
        name=row.name,
        found=row.found,
        statements=BlobRef(**row.statements) if row.statements else None,
        signals=BlobRef(**row.signals) if row.signals else None,
        strong=BlobRef(**row.strong) if row.strong else None,
        narrative=BlobRef(**row.narrative) if row.narrative else None,
        narrative_strong=BlobRef(**row.narrative_strong) if row.narrative_strong else None,
        narrative_found=row.narrative_found,
        unreadable=row.unreadable,
        blobs=tuple(BlobRef(**ref) for ref in row.blobs),
        own=own_of(row.blobs),
        updated=row.updated,
    )


def _body(finding: Finding) -> str:
    """A finding as it is kept: without the words that fold it away, which are kept once."""
    kept = {**finding.to_json(), "end": finding.end, "dismissed": None}
    return json.dumps(kept, ensure_ascii=False)


def _finding(row: Any) -> ReportFinding:
    body = json.loads(row.body, parse_float=Decimal)
    finding = Finding.of_json({**body, "confidence": row.confidence})
    if row.reason is not None:
        key = row.dismissed_document, row.dismissed_finding
        finding = replace(finding, dismissed=Dismissed(row.reason, row.by, row.time, *key))
    return ReportFinding(row.id, row.filing, finding, row.filer, row.route)


_KEPT = {
    "statements": "statements",
    "signals": "signals",
    "strong": "list of strong signals",
    "narrative": "narrative flags",
    "narrative_strong": "list of strong narrative flags",
}
"""The blobs of a report that is done, by their columns."""


def holdings(session: Session) -> Iterator[Held]:
    """What is held of each document of every tenant, for whoever looks after the place."""
    columns = ("tenant", "document_id", "attempt", "state", "blobs", *_KEPT)
    accepted = exists().where(
        findings.c.tenant == reports.c.tenant,
        findings.c.document_id == reports.c.document_id,
        findings.c.route == "accept",
    )
    found = select(*(reports.c[name] for name in columns), accepted.label("accepted"))
    query = across_tenants(found, "upkeep")
    for row in session.execute(query.execution_options(yield_per=1000)):
        done = row.state == "triaged"
        kept = {what: getattr(row, name) for name, what in _KEPT.items()}
        yield Held(
            tenant=sys.intern(row.tenant),
            id=row.document_id,
            attempt=row.attempt,
            done=done,
            alive=row.state != "deleted",
            required=tuple(
                (what, Blob.of(ref)) for what, ref in kept.items() if ref and ref["size"] and done
            ),
            noted=tuple(Blob.of(ref) for ref in row.blobs),
            accepted=done and row.accepted,
        )
