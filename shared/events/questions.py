"""What is asked of a frontier model, and what it proposes: the blobs that such events name.

Offsets are code points into the document's text, ends exclusive.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import BlobRef
from shared.events.tables import MOST_TABLES, CellPlace, Table
from shared.events.types import Kind

Subject = Literal["clause", "category", "finding", "kind", "page"]
Said = Literal[
    "present", "absent", "error", "presentation", "contract", "report", "other", "sound", "unsound"
]
"""Of a clause or category: whether it is there. Of a finding: whether the report is wrong, or only
presents its amounts otherwise. Of a kind: which it is. Of a page: whether its text can be what
stands on it."""


def page_result(document_id: str, page: int) -> str:
    """The id of a page as something that is asked about."""
    return f"{document_id}_p{page}"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Candidate(_Part):
    """A passage that a specialist takes for an answer, and how sure it is."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    confidence: float = Field(ge=0, le=1)


class Question(_Part):
    """What is asked about a window of a document: whether it has a clause of a category, and which
    words are it; whether a finding is an error; of what kind the document is; whether a page was
    read soundly.
    """

    subject: Subject = Field(
        "clause",
        description="`category`: no clause of it is shown to anybody, so without a proposal nobody "
        "is asked about it",
    )
    result: str = Field(
        "", max_length=200, description="its id, where several documents could share the bytes"
    )
    kind: Kind = Field(description="of the document: policy says which may leave the house")
    may_be: tuple[Kind, ...] = Field(
        (),
        max_length=3,
        description="other kinds that it may be of: its words leave only if those of each may",
    )
    text: BlobRef = Field(
        description="the document's text; of a finding the blob with its tables as text"
    )
    start: int = Field(ge=0, description="where the window begins")
    end: int = Field(ge=0)
    category: str = Field(
        min_length=1,
        max_length=200,
        description="of a clause; of a finding its check; else what is asked: `document_kind` or "
        "`page_text`",
    )
    definition: str = Field(
        max_length=2_000, description="what the category asks, or what should hold, in words"
    )
    tables: tuple[Table, ...] = Field(
        (), max_length=MOST_TABLES, description="of a finding: what the window is the text of"
    )
    cell: CellPlace | None = Field(None, description="of a finding: the cell that it is about")
    expected: Decimal | None = Field(
        None, description="of a finding: what would be expected there, whole units"
    )
    candidates: tuple[Candidate, ...] = Field((), max_length=20)
    names: tuple[str, ...] = Field(
        (), max_length=200, description="parties and persons of the document, to be masked"
    )


class Quote(_Part):
    """Words of the document."""

    text: str = Field(description="the document's own, from `start` to `end`")
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class NamedCell(CellPlace):
    """A cell of the report that an answer names, which has that amount."""

    statement: str
    label: str
    value: Decimal


class Term(NamedCell):
    """A cell that is added or subtracted."""

    sign: Literal[1, -1]


class Proposal(_Part):
    """What a frontier model answered, as far as it was verified. A person looks at it."""

    subject: Subject = "clause"
    verdict: Said
    category: str
    quotes: tuple[Quote, ...] = ()
    cell: NamedCell | None = Field(
        None, description="of a finding: the cell that is wrong, or is presented otherwise"
    )
    expected: Decimal | None = Field(None, description="what it should be, whole units")
    arithmetic: tuple[Term, ...] = Field(
        (), description="cells that make that up; the sum was made again here"
    )
    total: Decimal | None = Field(None, description="the sum as it was made here")
    tolerance: Decimal | None = Field(
        None, description="by how much it may be off for rounding: the unit of the page, or two"
    )
    why: str = Field("", description="the model's own words, which nobody verified")
    provider: str
    model: str
    stand_in: bool = Field(False, description="a program for tests answered, no model")
    escalation: str = Field(
        "", description="id of the request: no two have the same bytes, so each goes by itself"
    )
