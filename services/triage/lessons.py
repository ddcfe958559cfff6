"""Findings that analysts dismissed with a reason, with the filings that they were found in, as
examples for the training of the judge (`models/triage/dismissed.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Self

from services.triage.dismissals import Dismissal
from services.triage.domain import Finding
from services.triage.store import Reports
from shared.storage import BlobStore, MissingBlob, Store

_NOBODY, _NEVER = "", datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Lesson:
    """A filing as it was read, and what of it was dismissed. Who did that is not in it."""

    filing: dict[str, Any]
    dismissed: Sequence[Dismissal]
    findings: Sequence[Finding | None]
    """What each dismissal was said of; None where only the relation is known."""

    def to_json(self) -> dict[str, Any]:
        """A line of the file that training reads."""
        return {
            "filing": self.filing,
            "dismissed": [
                {
                    "filer": one.filer,
                    "relation": one.relation,
                    "reported": _text(one.reported),
                    "expected": _text(one.expected),
                    "reason": one.reason,
                    "check": finding and finding.check,
                    "cells": [
                        {
                            "statement": cell.statement,
                            "row": cell.row,
                            "column": cell.column,
                            "label": cell.label,
                        }
                        for cell in (finding.cells if finding else ())
                    ],
                }
                for one, finding in zip(self.dismissed, self.findings, strict=True)
            ],
        }

    @classmethod
    def of_json(cls, parts: Any) -> Self:
        """The lesson again, without what is there for people alone.

        Raises:
            ValueError: it is none, and what is wrong with it.
        """
        try:
            dismissed = [_dismissal(one) for one in parts["dismissed"]]
            filing = parts["filing"]
        except (KeyError, TypeError, ArithmeticError) as error:
            raise ValueError(f"no filing with what was dismissed of it: {error!r}") from error
        if not isinstance(filing, dict) or not dismissed:
            raise ValueError("no filing with what was dismissed of it")
        return cls(filing, dismissed, [None] * len(dismissed))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _dismissal(parts: Any) -> Dismissal:
    amounts = [
        None if parts[key] is None else Decimal(parts[key]) for key in ("reported", "expected")
    ]
    return Dismissal(
        tenant=_NOBODY,
        document_id=_NOBODY,
        finding_id=_NOBODY,
        filer=str(parts["filer"]),
        relation=str(parts["relation"]),
        reported=amounts[0],
        expected=amounts[1],
        reason=str(parts["reason"]),
        by=_NOBODY,
        time=_NEVER,
    )


@dataclass
class Lessons:
    """The lessons of one tenant; those left out are counted while they are read."""

    store: Store
    blobs: BlobStore
    tenant: str
    left_out: int = 0
    """Dismissed findings whose filing is not there any more, or is not known."""

    def __iter__(self) -> Iterator[Lesson]:
        """A lesson a filing, in the order of documents. Only one filing is held at a time."""
        self.left_out = 0
        with self.store.read() as session:
            every = Reports(session, self.tenant).every_dismissal()
        for document_id, group in groupby(every, lambda one: one.document_id):
            yield from self._of_document(document_id, list(group))

    def _of_document(self, document_id: str, dismissed: Sequence[Dismissal]) -> Iterator[Lesson]:
        with self.store.read() as session:
            reports = Reports(session, self.tenant)
            known = reports.get(document_id)
            found = {item.id: item for item in reports.all_findings(document_id)}
        ref = known.statements if known and known.state == "triaged" else None
        wanted: dict[str, list[Dismissal]] = {}
        for one in dismissed:
            if one.finding_id in found:
                wanted.setdefault(found[one.finding_id].filing, []).append(one)
        told = 0
        try:
            if ref and wanted:
                with self.blobs.open(self.tenant, ref) as lines:
                    for form in map(json.loads, lines):
                        form.pop("document_id", None)
                        some = wanted.pop(form["id"], [])
                        told += len(some)
                        if some:
                            of = [found[one.finding_id].finding for one in some]
                            yield Lesson(form, some, of)
        except MissingBlob:
            pass  # deleted, or away: it is counted with the others that are left out
        self.left_out += len(dismissed) - told
