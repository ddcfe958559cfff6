"""What services tell each other: CloudEvents on one topic, keyed by document."""

from shared.events.envelope import BlobRef, DocumentId, Envelope, Event
from shared.events.types import (
    TYPES,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentRekinded,
    EscalationAnswered,
    EscalationRequested,
    FindingsFound,
    Kind,
    ReviewDecided,
    Stage,
    UnknownEvent,
    Verdict,
    decode,
)

__all__ = [
    "TYPES",
    "BlobRef",
    "ClausesExtracted",
    "DocumentDeleted",
    "DocumentFailed",
    "DocumentId",
    "DocumentIngested",
    "DocumentRead",
    "DocumentRekinded",
    "Envelope",
    "EscalationAnswered",
    "EscalationRequested",
    "Event",
    "FindingsFound",
    "Kind",
    "ReviewDecided",
    "Stage",
    "UnknownEvent",
    "Verdict",
    "decode",
]
