"""The title of a report: its company, its form, and the month in which its period ends."""

from __future__ import annotations

import calendar

from services.triage.statements.model import Filing, truncate
from shared.events import DocumentTitle
from shared.titles import joined, short_name


def report_title(filing: Filing) -> DocumentTitle | None:
    """Return the title of a filing; None if it names neither its company nor its form."""
    company = short_name(truncate(filing.company or ""))
    form = truncate(filing.form or "")
    if not company and not form:
        return None
    title = joined(company, form, _month(filing.period or ""))
    return DocumentTitle(title=title, parties=(company,) if company else ())


def _month(day: str) -> str:
    """The month of a day YYYYMMDD in words; empty if it is none."""
    month = int(day[4:6]) if len(day) == 8 and day.isdecimal() else 0
    return f"{calendar.month_name[month]} {day[:4]}" if 1 <= month <= 12 else ""
