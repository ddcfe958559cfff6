"""Withdraw a dismissal: the findings that it hid count again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.triage.dismissals import Dismissals
from services.triage.domain import ReportFinding
from services.triage.results import OWNER, announcement, findings_json
from services.triage.store import Reports
from shared.blobs import BlobStore
from shared.blobs.markers import ref_of
from shared.errors import Unavailable
from shared.messaging import UnitOfWork


@dataclass(frozen=True)
class DismissalWithdrawal:
    """Withdraws the dismissal of one finding of a document, or of all."""

    uow: UnitOfWork
    blobs: BlobStore
    tenant: str
    flagged_from: float  # risk from which a report is flagged

    def begin(
        self, document_id: str, finding_id: str | None = None, *, deleted: bool = False
    ) -> list[str]:
        """Forget the dismissal and prepare the affected reports, which are returned.

        New lists of findings are noted before they are put, so that a deletion finds them. A
        `deleted` document is not among the reports.
        """
        with self.uow.store.write() as session:
            reports = Reports(session, self.tenant)
            reports.forget_dismissal(document_id, finding_id)
            documents = reports.folded_by(document_id, finding_id)
        remaining = [name for name in documents if not (deleted and name == document_id)]
        for name in remaining:
            with self.uow.store.write() as session:
                reports = Reports(session, self.tenant)
                report = reports.get(name, lock=True)
                if report is None or report.state != "done":
                    continue
                data = findings_json(_current_findings(reports, name))
                reports.save(report.with_blobs([ref_of(data, OWNER)]))
            self.blobs.put(self.tenant, data)
        return remaining

    def end(self, documents: Iterable[str], actor: str | None) -> None:
        """Show the hidden findings again and announce them, within the unit of work."""
        for document_id in documents:
            self._end(Reports(self.uow.session, self.tenant), document_id, actor)

    def _end(self, reports: Reports, document_id: str, actor: str | None) -> None:
        report = reports.get(document_id, lock=True)
        orphans = {item.id for item in reports.orphans(document_id)}
        if report is None or report.state != "done" or not orphans:
            return
        findings = _current_findings(reports, document_id)
        ref = ref_of(findings_json(findings), OWNER)
        dismissals = {item.finding.dismissed.key for item in findings if item.finding.dismissed}
        if ref not in report.blobs or not reports.hold_dismissals(dismissals):
            raise Unavailable("the dismissals of the report changed meanwhile")
        counted = [item for item in findings if item.id in orphans and not item.finding.dismissed]
        risk = max([report.risk, *(item.finding.confidence for item in counted)])
        changed = replace(report, risk=risk, flagged=report.flagged or risk >= self.flagged_from)
        reports.save(changed)
        reports.replace_findings(document_id, findings)
        accepted = sum(item.route == "accept" for item in findings)
        self.uow.publish(announcement(changed, ref, actor, accepted=accepted))


def _current_findings(reports: Reports, document_id: str) -> list[ReportFinding]:
    """The findings of a document with the dismissals that hide them now."""
    orphans = {item.id for item in reports.orphans(document_id)}
    findings = reports.all_findings(document_id)
    for place, item in enumerate(findings):
        if item.id in orphans:
            other = Dismissals.of(reports.dismissals(item.filer)).find(item.finding)
            findings[place] = replace(item, finding=replace(item.finding, dismissed=other))
    return findings
