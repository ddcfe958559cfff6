"""What is asked of a frontier model, and what it proposes: the blobs that such events name.

Offsets are code points into the document's text, ends exclusive.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import BlobRef
from shared.events.types import Kind


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Candidate(_Part):
    """A passage that a specialist takes for an answer, and how sure it is."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    confidence: float = Field(ge=0, le=1)


class Question(_Part):
    """Whether a window of a document has a clause of a category, and which words are it."""

    subject: Literal["clause", "category"] = Field(
        "clause",
        description="`category`: no clause of it is shown to anybody, so without a proposal nobody "
        "is asked about it",
    )
    kind: Kind = Field(description="of the document: policy says which may leave the house")
    text: BlobRef = Field(description="the document's text")
    start: int = Field(ge=0, description="where the window begins")
    end: int = Field(ge=0)
    category: str = Field(min_length=1, max_length=200)
    definition: str = Field(max_length=2_000, description="what the category asks, in words")
    candidates: tuple[Candidate, ...] = Field((), max_length=20)
    names: tuple[str, ...] = Field(
        (), max_length=200, description="parties and persons of the document, to be masked"
    )


class Quote(_Part):
    """Words of the document."""

    text: str = Field(description="the document's own, from `start` to `end`")
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Proposal(_Part):
    """What a frontier model answered, as far as it was verified. A person looks at it."""

    verdict: Literal["present", "absent"]
    category: str
    quotes: tuple[Quote, ...] = ()
    why: str = Field("", description="the model's own words, which nobody verified")
    provider: str
    model: str
    stand_in: bool = Field(False, description="a program for tests answered, no model")
    escalation: str = Field(
        "", description="id of the request: no two have the same bytes, so each goes by itself"
    )
