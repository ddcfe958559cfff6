"""Types of path, query and body values, stricter than pydantic's.

Pydantic takes a number for a time (seconds since 1970) and text for a number. Both are mistakes of
the client, and a wrong time is worse than an error. Ids have only ASCII characters: PostgreSQL
refuses NUL and lone surrogates, so none may reach a query.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

ID = r"^[A-Za-z0-9_-]{1,64}$"

DocumentPath = Annotated[str, Path(pattern=ID, description="id of the document")]
"""The `{document_id}` of a route."""

Id = Annotated[str, Path(alias="id", pattern=ID)]
"""The `{id}` of a route."""

Title = Annotated[
    str | None,
    Field(
        description="what people call the document, such as `License Agreement · Array / Ono · "
        "2017-05-31`; null until its results are known"
    ),
]
Parties = Annotated[
    list[str],
    Field(description="parties of a contract, without legal form, or the company of a report"),
]
"""Fields of an answer about a document."""

Categories = Annotated[
    tuple[Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")], ...],
    Query(
        alias="category",
        max_length=100,
        description="only this category; repeat it to get any of several. Upper and lower case "
        "don't matter for the clause types of docs/reference/clause-types.md; spell others as in "
        "the results. An unknown one is refused",
    ),
]
"""The filter `category` of a list, for shared.categories.find_categories."""

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def _require_rfc3339(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("a time is text, such as 2026-01-02T00:00:00Z")  # noqa: TRY004
    if isinstance(value, str) and not _RFC3339.fullmatch(value):
        raise ValueError("a time has a date and a zone, such as 2026-01-02T00:00:00Z")
    return value


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def _require_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number without quotes is required")  # noqa: TRY004
    return value


Timestamp = Annotated[AwareDatetime, BeforeValidator(_require_rfc3339), AfterValidator(_to_utc)]
"""RFC 3339 with a zone; in UTC afterwards."""

Integer = Annotated[int, BeforeValidator(_require_number)]
"""`3` or `3.0`, which JSON does not tell apart, but not `"3"`."""

Natural = Annotated[int, Field(ge=0), BeforeValidator(_require_number)]
Positive = Annotated[int, Field(ge=1), BeforeValidator(_require_number)]
"""The bound comes before the check, otherwise OpenAPI would not show it."""
