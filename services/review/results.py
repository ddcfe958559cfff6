"""Results of other services, and the review items made of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.review.domain import (
    KIND_CHECK,
    PAGE_CHECK,
    Box,
    Document,
    Item,
    ItemKind,
    Span,
    new_id,
)
from shared.documents.model.parsed_document import ParsedDocument
from shared.errors import SuiteError
from shared.events import Route, Stage
from shared.events.questions import Proposal, Question, page_result
from shared.web.parameters import Natural

CERTAIN = 1.0
"""The confidence of what a person adds. The queue sorts it last."""
MOST_PAGES = 20
"""Questions about pages of one document at most."""
UNDECIDED = 0.5
"""The confidence of signals and pages, whose error rate is unknown."""
_HEAD = re.compile(r"\S{1,80}\s")
_TAIL = re.compile(r"\s\S{1,80}\Z")
"""A cut word with its space. Scripts without spaces have no words."""
_FIGURES = {"cell", "expected", "arithmetic", "total", "tolerance"}

R = TypeVar("R", bound="Result")


class BadResults(SuiteError):
    """The results of a specialist have the wrong form."""

    code = "bad_results"


class Result(BaseModel):
    """A part of a specialist's results."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Finite(Result):
    model_config = ConfigDict(allow_inf_nan=False)


class ClauseItem(Result):
    """A clause from extraction. Offsets count code points, `end` is exclusive."""

    id: str = Field(min_length=1, max_length=64)
    category: str = Field(min_length=1, max_length=200)
    text: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    page: int | None = None
    confidence: float = Field(ge=0, le=1)
    omitted: tuple[Span, ...] = Field((), description="parts that are not its words")
    boxes: tuple[Box, ...] = ()
    route: Route = "review"
    adapter: str = Field("", description="the specialist")
    value: Mapping[str, Any] | None = Field(None, description="the normalised value")


class Position(_Finite):
    """The position of a value: offsets, a cell of a sheet, an element or a box."""

    page: int
    start: int | None = Field(None, ge=0)
    end: int | None = Field(None, ge=0)
    cell: str | None = None
    element: str | None = None
    box: tuple[float, float, float, float] | None = None


class NamedCell(Result):
    """A cell that a finding names, with its position if known."""

    statement: str
    row: int
    column: int
    label: str
    place: Position | None = None


class Period(Result):
    """A moment or a period of a column. Dates are YYYYMMDD."""

    end: str | None = None
    quarters: int | None = None
    start: str | None = None


class DatedCell(NamedCell):
    """A cell with the period of its column."""

    period: Period


class LedgerRow(DatedCell):
    """One amount of a sum, in whole units as the statement shows it."""

    sign: Literal["+", "-"]
    value: float


class Ledger(_Finite):
    """The lines of a sum and the stated total. `difference` is `stated` less `sum`."""

    rows: tuple[LedgerRow, ...]
    sum: float
    total: DatedCell
    stated: float
    difference: float


class Repair(_Finite):
    """An amount with which the sum adds up. Without a label it is a new line."""

    statement: str
    row: int
    column: int
    label: str | None = None
    period: Period
    reported: float | None = None
    expected: float


class Reason(Result):
    """A likely cause, or a fact for or against a finding."""

    code: str
    words: str


class Finding(Result):
    """A finding from triage. `row` and `column` count from 0; `cells` begins with its own cell."""

    id: str = Field(min_length=1, max_length=64)
    filing: str | None = Field(None, description="id of the filing within the document")
    check: str = Field(min_length=1, max_length=200)
    severity: str | None = None
    confidence: float = Field(ge=0, le=1)
    statement: str | None = None
    column: int | None = None
    row: int | None = None
    rows: tuple[int, ...] | None = None
    label: str | None = None
    reported: float | None = None
    expected: float | None = None
    message: str = ""
    ledger: Ledger | None = None
    adds_up_if: tuple[Repair, ...] = ()
    likely_cause: Reason | None = None
    supports: tuple[Reason, ...] = ()
    doubts: tuple[Reason, ...] = ()
    title: str | None = None
    compares: str | None = None
    possible_explanation: str | None = None
    how_to_verify: str | None = None
    example: str | None = None
    dismissed: Mapping[str, Any] | None = None
    """Set if a reviewer dismissed the same finding before: it gets no item."""
    cells: tuple[NamedCell, ...] = ()
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    route: Route = "review"

    @property
    def span(self) -> tuple[int | None, int | None]:
        place = self.cells[0].place if self.cells else None
        return (place.start, place.end) if place else (None, None)


class PeerRange(_Finite):
    """The range of 19 in 20 companies."""

    companies: int
    low: float
    median: float
    high: float
    distance: float


class Input(NamedCell):
    """An input cell of a ratio."""

    figure: str
    value: float


class PriorValue(_Finite):
    """A ratio in an earlier period."""

    end: str
    value: float


class Signal(_Finite):
    """A strong signal from triage: a ratio far from those of other companies."""

    id: str = Field(min_length=1, max_length=64)
    filing: str | None = None
    signal: str = Field(min_length=1, max_length=200)
    title: str
    level: str
    distance: float
    value: float
    unit: str
    end: str
    quarters: int
    message: str
    formula: str
    source: str
    inputs: tuple[Input, ...] = ()
    history: tuple[PriorValue, ...] = ()
    peers: PeerRange | None = None
    change: PeerRange | None = None
    explained_by: str | None = None
    page: int | None = None
    boxes: tuple[Box, ...] = ()

    def details(self) -> dict[str, Any]:
        """The fields of its item, with the cell of its first input."""
        parts = self.model_dump(mode="json", exclude={"id", "boxes", "page", "message"})
        first = self.inputs[0] if self.inputs else None
        here = sorted({i.row for i in self.inputs if first and i.statement == first.statement})
        return {
            **parts,
            "cells": parts["inputs"],
            "statement": first and first.statement,
            "row": first and first.row,
            "column": first and first.column,
            "rows": here,
        }


class Flag(_Finite):
    """A strong narrative flag from triage: a sentence about the company."""

    id: str = Field(min_length=1, max_length=64)
    family: str = Field(min_length=1, max_length=200)
    title: str
    text: str
    start: Natural
    end: Natural
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    confidence: float = Field(ge=0, le=1)
    level: str
    filer: str | None = None


def read_results(form: type[R], data: bytes, what: str, document: str) -> list[R]:
    """Parse the results of a blob. Raises BadResults."""
    try:
        return TypeAdapter(list[form]).validate_json(data)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadResults(
            f"the {what} of {document} can't be queued: {place}: {first['msg']}", document=document
        ) from None


def items_of_clauses(
    document: Document,
    clauses: Sequence[ClauseItem],
    *,
    text: str | None,
    context: int,
    now: datetime,
    sampled: Collection[str] = (),
) -> list[Item]:
    """Create the items of clauses.

    Args:
        text: of the document.
        context: characters on both sides of a clause, in whole words.
        sampled: ids of audit samples.
    """
    return [
        _item(
            document,
            "clause",
            "extraction",
            now,
            result_id=clause.id,
            category=clause.category,
            confidence=clause.confidence,
            text=clause.text,
            start=clause.start,
            end=clause.end,
            page=clause.page or document.page_at(clause.start),
            omitted=clause.omitted,
            boxes=clause.boxes,
            before=_before(text, clause.start, context) if text else "",
            after=_after(text, clause.end, context) if text else "",
            route=clause.route,
            sampled=clause.id in sampled,
            adapter=clause.adapter,
            value=clause.value,
        )
        for clause in clauses
    ]


def items_of_findings(
    document: Document,
    findings: Sequence[Finding],
    *,
    now: datetime,
    sampled: Collection[str] = (),
    adapter: str = "",
) -> list[Item]:
    """Create the items of findings. `sampled` has the ids of audit samples."""
    hidden = {"id", "confidence", "boxes", "page", "route"}
    return [
        _item(
            document,
            "finding",
            "triage",
            now,
            result_id=finding.id,
            category=finding.check,
            confidence=finding.confidence,
            text=_storable(finding.message),
            start=finding.span[0],
            end=finding.span[1],
            page=finding.page,
            boxes=finding.boxes,
            finding=finding.model_dump(mode="json", exclude=hidden),
            route=finding.route,
            sampled=finding.id in sampled,
            adapter=adapter,
        )
        for finding in findings
    ]


def items_of_signals(document: Document, signals: Sequence[Signal], *, now: datetime) -> list[Item]:
    """Create the items of signals."""
    return [
        _item(
            document,
            "signal",
            "triage",
            now,
            result_id=signal.id,
            category=signal.signal,
            confidence=UNDECIDED,
            text=_storable(signal.message),
            page=signal.page,
            boxes=signal.boxes,
            finding=signal.details(),
        )
        for signal in signals
    ]


def items_of_flags(document: Document, flags: Sequence[Flag], *, now: datetime) -> list[Item]:
    """Create the items of flags."""
    shown = {"family", "title", "level", "filer"}
    return [
        _item(
            document,
            "flag",
            "triage",
            now,
            result_id=flag.id,
            category=flag.family,
            confidence=flag.confidence,
            text=_storable(flag.text),
            start=flag.start,
            end=flag.end,
            page=flag.page,
            boxes=flag.boxes,
            finding=flag.model_dump(mode="json", include=shown),
        )
        for flag in flags
    ]


def items_of_pages(document: Document, pages: Sequence[int], *, now: datetime) -> list[Item]:
    """Create the questions about pages with suspicious text."""
    return [
        _item(
            document,
            "finding",
            "ingest",
            now,
            result_id=page_result(document.id, page),
            category=PAGE_CHECK,
            confidence=UNDECIDED,
            text=f"The text of page {page} has unknown or scrambled characters. Is it wrong?",
            page=page,
            finding={"check": PAGE_CHECK, "page": page},
        )
        for page in pages[:MOST_PAGES]
    ]


def item_of_kind(document: Document, confidence: float, *, now: datetime) -> Item:
    """Create the question about the kind of a document."""
    return _item(
        document,
        "finding",
        "ingest",
        now,
        result_id=document.id,
        category=KIND_CHECK,
        confidence=confidence,
        text=f"This document was classified as {document.kind}, with low confidence. What is it?",
        finding={"check": KIND_CHECK, "kind": document.kind},
    )


def item_of_question(
    document: Document,
    question: Question,
    proposal: Proposal | None,
    *,
    result_id: str,
    stage: Stage,
    text: str,
    context: int,
    now: datetime,
) -> Item:
    """Create the item of an escalated result that has none yet.

    Its text is the first quote of the model, or the best candidate, or the text of the question.
    """
    best = max(question.candidates, key=lambda candidate: candidate.confidence, default=None)
    span = proposal.quotes[0] if proposal and proposal.quotes else best or question
    clause = ClauseItem(
        id=result_id,
        category=question.category,
        text=text[span.start : span.end],
        start=span.start,
        end=span.end,
        confidence=best.confidence if best else 0.0,
    )
    (item,) = items_of_clauses(document, [clause], text=text, context=context, now=now)
    return replace(item, stage=stage)


def item_of_person(
    document: Document,
    category: str,
    span: tuple[int, int] | None,
    reading: ParsedDocument | None,
    *,
    context: int,
    now: datetime,
) -> Item:
    """Create the item of a clause that a person adds; without a span of a confirmed absence.

    Its result has the id of the item, because no service has this result.

    Args:
        context: characters on both sides of the clause, in whole words.
    """
    found: dict[str, Any] = {"kind": "absence"}
    if span and reading:
        start, end = span
        found = {
            "kind": "clause",
            "text": reading.text[start:end],
            "start": start,
            "end": end,
            "page": document.page_at(start),
            "boxes": boxes_of(reading, start, end),
            "before": _before(reading.text, start, context),
            "after": _after(reading.text, end, context),
        }
    item = _item(
        document,
        stage="extraction",
        now=now,
        result_id="",
        category=category,
        confidence=CERTAIN,
        origin="person",
        **found,
    )
    return replace(item, result_id=item.id)


def boxes_of(reading: ParsedDocument, start: int, end: int) -> tuple[Box, ...]:
    """Return the boxes of a span of the document."""
    found = reading.boxes_of(start, end)
    return tuple(Box(page=b.page, x0=b.x0, y0=b.y0, x1=b.x1, y1=b.y1) for b in found)


def proposal_fields(proposal: Proposal | None, reason: str | None) -> dict[str, Any]:
    """Return the fields of a proposal: an answer, or why there is none."""
    if proposal is None:
        return {"verdict": None, "reason": reason or "no answer came"}
    hidden = {"category", "escalation"} | (set() if proposal.cell else _FIGURES)
    return {**proposal.model_dump(mode="json", exclude=hidden), "reason": None}


def _item(document: Document, kind: ItemKind, stage: Stage, now: datetime, **found: Any) -> Item:
    """Create an item of the document's attempt; `found` has the fields of its kind."""
    return Item(
        id=new_id("it"),
        tenant=document.tenant,
        document_id=document.id,
        attempt=document.attempt,
        kind=kind,
        stage=stage,
        created=now,
        assignee=document.assignee,
        **found,
    )


def _storable(text: str) -> str:
    """Replace NULs: a JSON report may have one in a label."""
    return text.replace("\0", "\ufffd")


def _before(text: str, end: int, most: int) -> str:
    part = text[max(0, end - most) : end]
    if end > most and not text[end - most - 1].isspace():
        cut = _HEAD.match(part)
        part = part[cut.end() :] if cut else part
    return part


def _after(text: str, start: int, most: int) -> str:
    part = text[start : start + most]
    if len(text) > start + most and not text[start + most].isspace():
        part = _TAIL.sub("", part)
    return part
