"""A dismissal that is taken back, or goes with its document: what it folded away counts again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.triage.dismissals import Dismissals
from services.triage.domain import Report, ReportFinding
from services.triage.results import OWNER, findings_listed
from services.triage.store import Reports
from shared.errors import Unavailable
from shared.events import BlobRef, Event, FindingsFound
from shared.storage import BlobStore, UnitOfWork
from shared.storage.deletion import ref_of

BATCH = 100
"""Reports that one transaction shows anew: a dismissal of a large filer may fold thousands."""


@dataclass(frozen=True)
class Unfolding:
    """Takes back what was said of one finding of a document, or of all.

    Args:
        uow: of the event that takes it back.
        blobs: where lists of findings lie.
        flagged_from: risk from which on a report is flagged.
    """

    uow: UnitOfWork
    blobs: BlobStore
    tenant: str
    flagged_from: float

    def begin(
        self,
        document_id: str,
        finding_id: str | None = None,
        *,
        actor: str | None,
        deleted: bool = False,
    ) -> list[str]:
        """Forget the dismissal, so that no report is folded by it any more, and prepare those that
        were: their new lists are noted before they are put, as a deletion has to find them. Of
        many all but the last batch are ended, a transaction for each: cut off, the next try finds
        those that are left.

        Returns:
            The reports that have to be ended, but for the document itself if it is `deleted`.
        """
        with self.uow.store.write() as session:
            reports = Reports(session, self.tenant)
            reports.forget_dismissal(document_id, finding_id)
            folded = reports.folded_by(document_id, finding_id)
        these = [one for one in folded if not (deleted and one == document_id)]
        while len(these) > BATCH:
            batch, these = these[:BATCH], these[BATCH:]
            self._prepare(batch)
            with UnitOfWork(self.uow.store) as uow:
                replace(self, uow=uow).end(batch, actor, self.uow.cause)
        self._prepare(these)
        return these

    def end(self, documents: Iterable[str], actor: str | None, cause: Event | None = None) -> None:
        """Show what was folded away as findings again, and announce it; within the unit of work."""
        for document_id in documents:
            self._end(Reports(self.uow.session, self.tenant), document_id, actor, cause)

    def _prepare(self, documents: Iterable[str]) -> None:
        for document_id in documents:
            self._prepare_one(document_id)

    def _prepare_one(self, document_id: str) -> None:
        with self.uow.store.write() as session:
            reports = Reports(session, self.tenant)
            known = reports.get(document_id, lock=True)
            if known is None or known.state != "triaged":
                return
            data = findings_listed(_looked_at_again(reports, document_id))
            reports.save(known.noting([ref_of(data, OWNER)]))
        self.blobs.put(self.tenant, data)

    def _end(
        self, reports: Reports, document_id: str, actor: str | None, cause: Event | None
    ) -> None:
        known = reports.get(document_id, lock=True)
        orphans = {item.id for item in reports.orphans(document_id)}
        if known is None or known.state != "triaged" or not orphans:
            return
        found = _looked_at_again(reports, document_id)
        ref = ref_of(findings_listed(found), OWNER)
        held = {item.finding.dismissed.key for item in found if item.finding.dismissed}
        if ref not in known.blobs or not reports.hold_dismissals(held):
            raise Unavailable("what is folded away in the report has changed meanwhile")
        counted = [item for item in found if item.id in orphans and not item.finding.dismissed]
        risk = max([known.risk, *(item.finding.confidence for item in counted)])
        changed = replace(known, risk=risk, flagged=known.flagged or risk >= self.flagged_from)
        reports.save(changed)
        reports.replace_findings(document_id, found)
        accepted = sum(item.route == "accept" for item in found)
        said = _announcement(changed, ref, actor, accepted)
        caused = {"cause": cause.id, "trace": cause.trace} if cause else {}
        self.uow.publish(said.model_copy(update=caused))


def _looked_at_again(reports: Reports, document_id: str) -> list[ReportFinding]:
    """The findings of a document, each with the words that fold it away now, if any do."""
    orphans = {item.id for item in reports.orphans(document_id)}
    return [
        _folded_by_others(reports, item) if item.id in orphans else item
        for item in reports.all_findings(document_id)
    ]


def _folded_by_others(reports: Reports, item: ReportFinding) -> ReportFinding:
    word = Dismissals.of(reports.dismissals(item.filer)).word_on(item.finding)
    return replace(item, finding=replace(item.finding, dismissed=word))


def _announcement(
    report: Report, findings: BlobRef, actor: str | None, accepted: int
) -> FindingsFound:
    return FindingsFound(
        tenant=report.tenant,
        document_id=report.document_id,
        actor=actor,
        name=report.name,
        findings=findings,
        count=report.found,
        accepted=accepted,
        flagged=report.flagged,
        risk=report.risk,
        unreadable=report.unreadable,
        warnings=report.warnings,
        attempt=report.attempt,
        model=report.model and f"{report.model.name} {report.model.version}",
        signals=report.strong,
        narrative=report.narrative_strong,
    )
