"""One function for each event that escalation reacts to."""

from __future__ import annotations

from services.escalation.domain import Escalation
from services.escalation.store import Escalations
from shared.events import DocumentDeleted, EscalationAnswered, EscalationRequested
from shared.storage import UnitOfWork


def decline_request(event: EscalationRequested, uow: UnitOfWork) -> None:
    """Keep the request, and answer at once that there is nobody to ask, so that nobody waits."""
    with uow:
        escalation = Escalation.of(event)
        Escalations(uow.session, event.tenant).add(escalation)
        uow.publish(
            EscalationAnswered(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                stage=event.stage,
                result_id=event.result_id,
                answer=None,
                reason=escalation.reason,
            )
        )


def forget_document(event: DocumentDeleted, uow: UnitOfWork) -> None:
    """Remove what was asked about a deleted document; the ledger holds no words and stays."""
    with uow:
        Escalations(uow.session, event.tenant).forget(event.document_id)
