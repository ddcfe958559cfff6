"""What an analyst dismissed with a reason is folded away when its filer does the same again.

A dismissal is about one relation of one filer: a check, and the lines that it is between. It covers
a break of the same kind: the same direction, a similar share of the amount, and one of signs or of
magnitudes only if it was one itself. It also covers the very figure that it was said of, wherever
the next report repeats it: the same line with the same two amounts in the column of the same day,
whichever other lines take part there. It never covers a filing whose company is not named.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from services.triage.domain import Dismissed, Finding, ReportFinding
from services.triage.experience import bare
from shared.events import ReviewDecided

SIMILAR = Decimal(3)
"""How many times as large, or as small, a break may be to be of the same kind."""
MAGNITUDES = Decimal(8)
"""How many times one amount is the other from which on a unit or a digit may be wrong."""
FILER_CHARACTERS = 200
"""The longest name that a filer is known by as it is: an index takes some kilobytes at most."""
_HASH_CHARACTERS = 64
_NO_NAME = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Dismissal:
    """An analyst's word on one relation of one filer, and on what break of it."""

    tenant: str
    document_id: str
    finding_id: str
    filer: str
    relation: str
    reported: Decimal | None
    expected: Decimal | None
    reason: str
    by: str
    time: datetime
    figure: str | None = None
    """What `figure_of` made of the finding; None if it was not kept or is not known."""

    def covers(self, finding: Finding) -> bool:
        """Whether a finding of the same relation of the same filer is of the same kind."""
        one, other = _size(self.reported, self.expected), _size(finding.reported, finding.expected)
        if one is None or other is None:
            return False  # how large it is can't be told: a person looks again
        if _turns(self.reported, self.expected) != _turns(finding.reported, finding.expected):
            return False
        same_side = (one < 0) == (other < 0)
        return same_side and abs(one) <= SIMILAR * abs(other) <= SIMILAR * SIMILAR * abs(one)

    @property
    def word(self) -> Dismissed:
        """What is said beside a finding that it folds away."""
        return Dismissed(self.reason, self.by, self.time, self.document_id, self.finding_id)


@dataclass(frozen=True)
class Dismissals:
    """All that was dismissed of one filer."""

    of_relation: Mapping[str, Sequence[Dismissal]] = field(default_factory=dict)
    of_figure: Mapping[str, Dismissal] = field(default_factory=dict)

    @classmethod
    def of(cls, every: Iterable[Dismissal]) -> Self:
        """From the dismissals themselves; of several that cover a finding the first counts."""
        found: dict[str, list[Dismissal]] = defaultdict(list)
        figures: dict[str, Dismissal] = {}
        for one in every:
            found[one.relation].append(one)
            if one.figure:
                figures.setdefault(one.figure, one)
        return cls(dict(found), figures)

    def word_on(self, finding: Finding) -> Dismissed | None:
        """What an analyst said of the same before, if anything."""
        if not self.of_relation:
            return None
        known = self.of_relation.get(relation_of(finding), ())
        found = next((one for one in known if one.covers(finding)), None)
        found = found or self.of_figure.get(figure_of(finding) or "")
        return found.word if found else None


NOTHING = Dismissals()
"""What was dismissed of a filer that is not named."""


def filer_of(company: str | None) -> str:
    """A company as dismissals know it; empty if it isn't named. Of a name without end the beginning
    and a hash of it all.
    """
    name = unicodedata.normalize("NFKC", company or "").casefold()
    name = " ".join(_NO_NAME.sub(" ", name).split())
    if len(name) <= FILER_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: FILER_CHARACTERS - _HASH_CHARACTERS]}{digest}"


def relation_of(finding: Finding) -> str:
    """What a finding compares: its check and the lines that take part, whatever their order."""
    lines = sorted({f"{cell.statement}|{bare(cell.label)}" for cell in finding.cells})
    about = f"{finding.statement}|{bare(finding.label or '')}"
    return hashlib.sha256("\0".join((finding.check, about, *lines)).encode()).hexdigest()


def figure_of(finding: Finding) -> str | None:
    """The very figure that a finding is about: its check and line, the day on which the column
    ends, and both amounts; None if one of them is not known. Which lines take part is not in it: a
    sum is told only where some column confirms it, so a second break next to the first takes lines
    away.
    """
    amounts = finding.reported, finding.expected
    if finding.end is None or finding.label is None or None in amounts:
        return None
    written = (str(amount.normalize()) for amount in amounts if amount is not None)
    parts = (finding.check, finding.statement, bare(finding.label), finding.end, *written)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _size(reported: Decimal | None, expected: Decimal | None) -> Decimal | None:
    """The break as a share of the larger amount, with its direction; None without amounts."""
    if reported is None or expected is None:
        return None
    largest = max(abs(reported), abs(expected))
    return (reported - expected) / largest if largest else Decimal(0)


def _turns(reported: Decimal | None, expected: Decimal | None) -> tuple[bool, bool]:
    """Whether a break turns the sign of an amount, and whether it changes its magnitude."""
    one, other = reported or Decimal(0), expected or Decimal(0)
    little, large = sorted((abs(one), abs(other)))
    return one * other < 0, large >= MAGNITUDES * little


def dismissed_by(event: ReviewDecided, found: ReportFinding) -> Dismissal:
    """What an analyst dismissed, of a finding that has a filer."""
    assert event.document_id is not None, "who decides names the document"
    return Dismissal(
        tenant=event.tenant,
        document_id=event.document_id,
        finding_id=found.id,
        filer=filer_of(found.filer),
        relation=relation_of(found.finding),
        reported=found.finding.reported,
        expected=found.finding.expected,
        reason=(event.note or "").strip(),
        by=event.actor or "",
        time=event.time,
        figure=figure_of(found.finding),
    )


def row_of(dismissal: Dismissal) -> dict[str, Any]:
    """Its columns in the store: amounts as text, for they stay exact."""
    amounts = {
        name: None if value is None else str(value)
        for name, value in (("reported", dismissal.reported), ("expected", dismissal.expected))
    }
    return {
        **{name: getattr(dismissal, name) for name in Dismissal.__dataclass_fields__},
        **amounts,
    }


def dismissal_of(row: Any) -> Dismissal:
    """It again, from its columns."""
    values = dict(row._mapping)
    for name in ("reported", "expected"):
        values[name] = None if values[name] is None else Decimal(values[name])
    return Dismissal(**values)
