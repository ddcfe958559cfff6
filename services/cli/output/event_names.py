"""Plain names of events, for people."""

from __future__ import annotations

from services.cli.output.lines import plain

NAMES = {
    "document.ingested.v1": "document uploaded",
    "document.begun.v1": "first pages read",
    "document.read.v1": "document read",
    "document.rekinded.v1": "kind changed",
    "document.assigned.v1": "document assigned",
    "document.failed.v1": "document failed",
    "document.deleted.v1": "document deleted",
    "clauses.extracted.v1": "clauses found",
    "findings.found.v1": "findings found",
    "escalation.requested.v1": "question asked",
    "escalation.answered.v1": "question answered",
    "review.decided.v1": "result decided",
}


def event_name(type_: str | None) -> str:
    """The plain name of a type of event; an unknown type as it is."""
    return NAMES.get(type_ or "", plain(type_ or "no event"))
