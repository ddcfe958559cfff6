"""Questions to a frontier model and its proposals: the blobs that events refer to.

Offsets are code points of the document's text, ends exclusive.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import BlobRef
from shared.events.tables import MAX_TABLES, CellPosition, Table
from shared.events.types import Kind

Subject = Literal["clause", "category", "finding", "kind", "page"]
ProposalVerdict = Literal[
    "present", "absent", "error", "presentation", "contract", "report", "other", "sound", "unsound"
]
"""Answers to a question, by subject.

Clause or category: whether it is there. Finding: whether the report is wrong, or only presents its
amounts differently. Kind: which one. Page: whether its text can be what the page says.
"""


def page_result(document_id: str, page: int) -> str:
    """Return the id of a page as the subject of a question."""
    return f"{document_id}_p{page}"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Candidate(_Part):
    """A passage that a specialist proposes, with its confidence."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    confidence: float = Field(ge=0, le=1)


class Question(_Part):
    """A question about a window of a document.

    It asks which words are a clause of a category, whether a finding is an error, which kind the
    document has, or whether a page was read correctly.
    """

    subject: Subject = Field(
        "clause",
        description="`category`: no clause of it is shown, so a person is asked only "
        "if there is a proposal",
    )
    result: str = Field(
        "", max_length=200, description="its id, because several documents may share the bytes"
    )
    kind: Kind = Field(description="kind of the document; the policy may forbid sending it")
    may_be: tuple[Kind, ...] = Field(
        (),
        max_length=3,
        description="further possible kinds; the policy must allow each",
    )
    text: BlobRef = Field(description="the document's text; for a finding its tables as text")
    start: int = Field(ge=0, description="start of the window")
    end: int = Field(ge=0)
    category: str = Field(
        min_length=1,
        max_length=200,
        description="category of a clause, check of a finding, otherwise "
        "`document_kind` or `page_text`",
    )
    definition: str = Field(
        max_length=2_000, description="definition of the category, or what the check expects"
    )
    tables: tuple[Table, ...] = Field(
        (), max_length=MAX_TABLES, description="for a finding: the tables in the window"
    )
    cell: CellPosition | None = Field(None, description="for a finding: its cell")
    expected: Decimal | None = Field(
        None, description="for a finding: the expected amount, whole units"
    )
    candidates: tuple[Candidate, ...] = Field((), max_length=20)
    names: tuple[str, ...] = Field(
        (), max_length=200, description="parties and persons of the document, for masking"
    )


class Quote(_Part):
    """Words of the document."""

    text: str = Field(description="the document's text from `start` to `end`")
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class NamedCell(CellPosition):
    """A cell of the report that an answer names, with its amount."""

    statement: str
    label: str
    value: Decimal


class Term(NamedCell):
    """A cell that is added or subtracted."""

    sign: Literal[1, -1]


class Proposal(_Part):
    """The verified part of a frontier model's answer, for a person to review."""

    subject: Subject = "clause"
    verdict: ProposalVerdict
    category: str
    quotes: tuple[Quote, ...] = ()
    cell: NamedCell | None = Field(
        None, description="for a finding: the wrong or differently presented cell"
    )
    expected: Decimal | None = Field(None, description="the right amount, whole units")
    arithmetic: tuple[Term, ...] = Field((), description="cells whose sum it is, recomputed here")
    total: Decimal | None = Field(None, description="the recomputed sum")
    tolerance: Decimal | None = Field(
        None, description="allowed rounding difference: one or two units of the page"
    )
    why: str = Field("", description="the model's explanation, not verified")
    provider: str
    model: str
    stand_in: bool = Field(False, description="a test program answered, no model")
    escalation: str = Field(
        "",
        description="id of the request; it makes the bytes unique, so each is deleted separately",
    )
