"""Faults that `smallprint verify` finds, and their repairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shared.events import BlobRef

Kind = Literal[
    "broken_database",
    "missing_blob",
    "damaged_blob",
    "orphan",
    "stuck",
    "lost_result",
    "stray_result",
    "not_purged",
]
Repair = Literal["read_again", "announce", "forget", "remove"]

REPAIRS: Mapping[Repair, str] = {
    "read_again": "the document is read again, in a new attempt",
    "announce": "its next event is announced again",
    "forget": "its deletion is announced again",
    "remove": "the blob is removed",
}
"""Each repair in words."""


@dataclass(frozen=True)
class Fault:
    """One inconsistency; `repair` is None if nothing can repair it."""

    kind: Kind
    service: str
    detail: str
    tenant: str = ""
    document: str = ""
    blob: BlobRef | None = None
    repair: Repair | None = None

    @property
    def same(self) -> tuple[object, ...]:
        """Equal for the same fault in two checks."""
        return (self.kind, self.service, self.tenant, self.document, self.blob)

    def to_json(self) -> dict[str, Any]:
        """The fault as a JSON line."""
        line: dict[str, Any] = {
            "kind": self.kind,
            "service": self.service,
            "tenant": self.tenant or None,
            "document": self.document or None,
            "blob": self.blob.sha256 if self.blob else None,
            "detail": self.detail,
            "repair": self.repair,
        }
        return line
