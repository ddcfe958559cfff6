"""Values in requests that are taken as OpenAPI says them, and in no other form.

Pydantic is generous: it takes a number for a moment (seconds since 1970) and text for a number.
Who sends that has made a mistake, and a wrong moment is worse than an error.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def _written_out(moment: object) -> object:
    if not isinstance(moment, str | datetime):
        raise ValueError("a moment is text, such as 2026-01-02T00:00:00Z")  # noqa: TRY004
    if isinstance(moment, str) and not _RFC3339.fullmatch(moment):
        raise ValueError("a moment has a date, a time and a zone, such as 2026-01-02T00:00:00Z")
    return moment


def _as_utc(moment: datetime) -> datetime:
    """Moments at either end of time have none in UTC."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the moment is out of range") from None


def _a_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number is wanted here, without quotes")  # noqa: TRY004
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_as_utc)]
"""A moment by RFC 3339, with its zone; in UTC afterwards."""

Whole = Annotated[int, BeforeValidator(_a_number)]
"""A whole number in a JSON body: `3` and `3.0`, which JSON does not tell apart, but not `"3"`."""

Natural = Annotated[int, Field(ge=0), BeforeValidator(_a_number)]
"""The same from 0 on. A bound that stands behind the check would not be in OpenAPI as one."""

Positive = Annotated[int, Field(ge=1), BeforeValidator(_a_number)]
"""The same from 1 on."""
