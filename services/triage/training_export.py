"""Export dismissed findings with their filings, to train the classifier
(`models/triage_breaks/dismissed.py`)."""

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
from shared.blobs import BlobStore, MissingBlob
from shared.storage import Store


@dataclass(frozen=True)
class DismissalExample:
    """A filing and its dismissed findings, without the names of analysts."""

    filing: dict[str, Any]
    dismissed: Sequence[Dismissal]
    findings: Sequence[Finding | None]  # None where only the relation is known

    def to_json(self) -> dict[str, Any]:
        """A line of the training file."""
        return {
            "filing": self.filing,
            "dismissed": [
                {
                    "filer": dismissal.filer,
                    "relation": dismissal.relation,
                    "reported": _text(dismissal.reported),
                    "expected": _text(dismissal.expected),
                    "reason": dismissal.reason,
                    "check": finding and finding.check,
                    "cells": [
                        {key: value for key, value in cell.to_json().items() if key != "place"}
                        for cell in (finding.cells if finding else ())
                    ],
                }
                for dismissal, finding in zip(self.dismissed, self.findings, strict=True)
            ],
        }

    @classmethod
    def of_json(cls, parts: Any) -> Self:
        """Parse a line of the training file. Raises ValueError if it is malformed."""
        try:
            dismissed = [_dismissal(row) for row in parts["dismissed"]]
            filing = parts["filing"]
        except (KeyError, TypeError, ArithmeticError) as error:
            raise ValueError(f"not a filing with a list of dismissals: {error!r}") from error
        if not isinstance(filing, dict) or not dismissed:
            raise ValueError("not a filing with a list of dismissals")
        return cls(filing, dismissed, [None] * len(dismissed))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _dismissal(parts: Any) -> Dismissal:
    reported, expected = (
        None if parts[key] is None else Decimal(parts[key]) for key in ("reported", "expected")
    )
    filer, relation, reason = (str(parts[key]) for key in ("filer", "relation", "reason"))
    nobody = datetime(1, 1, 1, tzinfo=UTC)
    return Dismissal("", "", "", filer, relation, reported, expected, reason, by="", time=nobody)


@dataclass
class DismissalExamples:
    """The training examples of one tenant; counts those left out."""

    store: Store
    blobs: BlobStore
    tenant: str
    left_out: int = 0  # dismissed findings whose filing is gone or unknown

    def __iter__(self) -> Iterator[DismissalExample]:
        """One example per filing, by document; only one filing is in memory."""
        self.left_out = 0
        with self.store.read() as session:
            every = Reports(session, self.tenant).every_dismissal()
        for document_id, group in groupby(every, lambda dismissal: dismissal.document_id):
            yield from self._of_document(document_id, list(group))

    def _of_document(
        self, document_id: str, dismissed: Sequence[Dismissal]
    ) -> Iterator[DismissalExample]:
        with self.store.read() as session:
            reports = Reports(session, self.tenant)
            report = reports.get(document_id)
            findings = {item.id: item for item in reports.all_findings(document_id)}
        ref = report.statements if report and report.state == "done" else None
        wanted: dict[str, list[Dismissal]] = {}
        for dismissal in dismissed:
            if dismissal.finding_id in findings:
                wanted.setdefault(findings[dismissal.finding_id].filing, []).append(dismissal)
        exported = 0
        try:
            if ref and wanted:
                with self.blobs.open(self.tenant, ref) as lines:
                    for form in map(json.loads, lines):
                        form.pop("document_id", None)
                        some = wanted.pop(form["id"], [])
                        exported += len(some)
                        if some:
                            of = [findings[dismissal.finding_id].finding for dismissal in some]
                            yield DismissalExample(form, some, of)
        except MissingBlob:
            pass  # counted in `left_out`
        self.left_out += len(dismissed) - exported
