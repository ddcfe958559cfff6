"""The search in a contract and its values: a blob that an event refers to."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class Term(_Part):
    """A value of a contract, as `/values` of a document has it."""

    category: str
    clause_id: str | None = Field(None, description="null if no such clause was found")
    kind: Literal["date", "duration", "perpetual", "amount", "jurisdiction", "party", "title"]
    status: Literal["stated", "redacted", "not_stated"]
    value: str | None = None
    currency: str | None = None
    role: str | None = None
    repeats: bool | None = None
    text: str | None = Field(None, description="the words of the value")
    start: int | None = Field(None, description="their offset in code points")
    computed: str | None = Field(None, description="a date that was calculated")
    computed_from: str | None = Field(None, description="id of the clause it was counted from")


class SearchedCategory(_Part):
    """The result of a search for one category."""

    category: str
    probability: float = Field(ge=0, le=1, description="that the contract has such a clause")
    page: int | None = Field(None, description="of the nearest passage")


class SearchedContract(_Part):
    """The search of all specialists in one contract."""

    categories: tuple[SearchedCategory, ...] = ()
    terms: tuple[Term, ...] = Field((), description="by category, the likeliest first")
