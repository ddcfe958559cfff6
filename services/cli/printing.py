"""How commands print moments, durations and rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from shared.cli.lines import write


def moment(time: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the second; None where it never was."""
    return time.astimezone(UTC).isoformat(timespec="seconds") if time else None


def rounded_timings(**seconds: float) -> dict[str, float]:
    """The seconds of each part, to the microsecond, and their total."""
    parts = {name: round(value, 6) for name, value in seconds.items()}
    return {**parts, "total": round(sum(seconds.values()), 6)}


def write_rows(rows: Iterable[str]) -> None:
    """Print lines for people; what has no UTF-8 is shown as a question mark."""
    write("".join(f"{row}\n" for row in rows).encode("utf-8", "replace"))
