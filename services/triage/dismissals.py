"""Hide findings that an analyst dismissed with a reason when the same filer repeats them.

A dismissal is about one relation of one filer: a check and its lines. It covers a break of the same
kind: same direction, similar share, and the same change of sign or magnitude. It also covers the
exact figure in later reports: the same line, day and amounts, whichever other lines take part. It
never covers a filing without a company name.
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
from services.triage.relations.learned_sums import label_words
from shared.events import ReviewDecided

SIMILAR = Decimal(3)  # how many times larger or smaller a break of the same kind may be
MAGNITUDES = Decimal(8)  # ratio of two amounts from which a unit or a digit may be wrong
FILER_CHARACTERS = 200  # characters of a filer's key; an index holds only a few kilobytes
_HASH_CHARACTERS = 64
_NO_NAME = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Dismissal:
    """An analyst's dismissal of one finding of a filer."""

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
    figure: str | None = None  # the result of `figure_key`; None if unknown

    def covers(self, finding: Finding) -> bool:
        """Whether a finding of the same relation and filer is of the same kind."""
        mine = _size(self.reported, self.expected)
        theirs = _size(finding.reported, finding.expected)
        if mine is None or theirs is None:
            return False  # unknown size: a person decides again
        if _turns(self.reported, self.expected) != _turns(finding.reported, finding.expected):
            return False
        same_side = (mine < 0) == (theirs < 0)
        return same_side and abs(mine) <= SIMILAR * abs(theirs) <= SIMILAR * SIMILAR * abs(mine)

    @property
    def note(self) -> Dismissed:
        """The note shown with a finding that it hides."""
        return Dismissed(self.reason, self.by, self.time, self.document_id, self.finding_id)


@dataclass(frozen=True)
class Dismissals:
    """All dismissals of one filer."""

    of_relation: Mapping[str, Sequence[Dismissal]] = field(default_factory=dict)
    of_figure: Mapping[str, Dismissal] = field(default_factory=dict)

    @classmethod
    def of(cls, every: Iterable[Dismissal]) -> Self:
        """Group dismissals; of several for a finding the first counts."""
        by_relation: dict[str, list[Dismissal]] = defaultdict(list)
        figures: dict[str, Dismissal] = {}
        for dismissal in every:
            by_relation[dismissal.relation].append(dismissal)
            if dismissal.figure:
                figures.setdefault(dismissal.figure, dismissal)
        return cls(dict(by_relation), figures)

    def find(self, finding: Finding) -> Dismissed | None:
        """The earlier dismissal that covers a finding, or None."""
        if not self.of_relation:
            return None
        candidates = self.of_relation.get(relation_key(finding), ())
        same_figure = self.of_figure.get(figure_key(finding) or "")
        dismissal = next((one for one in candidates if one.covers(finding)), same_figure)
        return dismissal.note if dismissal else None


NOTHING = Dismissals()  # the dismissals of an unnamed filer


def filer_key(company: str | None) -> str:
    """The key of a company; empty without a name. Long names end in a hash."""
    name = unicodedata.normalize("NFKC", company or "").casefold()
    name = " ".join(_NO_NAME.sub(" ", name).split())
    if len(name) <= FILER_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: FILER_CHARACTERS - _HASH_CHARACTERS]}{digest}"


def relation_key(finding: Finding) -> str:
    """The key of a finding's relation: its check and its lines in any order."""
    lines = sorted({f"{cell.statement}|{label_words(cell.label)}" for cell in finding.cells})
    about = f"{finding.statement}|{label_words(finding.label or '')}"
    return hashlib.sha256("\0".join((finding.check, about, *lines)).encode()).hexdigest()


def figure_key(finding: Finding) -> str | None:
    """The key of a finding's exact figure: check, line, end of the column and both amounts.

    None if one of them is unknown. Other lines are not included: a second break next to the first
    can change them.
    """
    amounts = finding.reported, finding.expected
    if finding.end is None or finding.label is None or None in amounts:
        return None
    written = (str(amount.normalize()) for amount in amounts if amount is not None)
    parts = (finding.check, finding.statement, label_words(finding.label), finding.end, *written)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _size(reported: Decimal | None, expected: Decimal | None) -> Decimal | None:
    """The break as a share of the larger amount, with its direction; None without amounts."""
    if reported is None or expected is None:
        return None
    largest = max(abs(reported), abs(expected))
    return (reported - expected) / largest if largest else Decimal(0)


def _turns(reported: Decimal | None, expected: Decimal | None) -> tuple[bool, bool]:
    """Whether a break changes the sign of an amount, and whether it changes its magnitude."""
    first, second = reported or Decimal(0), expected or Decimal(0)
    little, large = sorted((abs(first), abs(second)))
    return first * second < 0, large >= MAGNITUDES * little


def dismissal_from(event: ReviewDecided, item: ReportFinding) -> Dismissal:
    """The dismissal that a decision makes, for a finding with a filer."""
    assert event.document_id is not None, "a decision names its document"
    return Dismissal(
        tenant=event.tenant,
        document_id=event.document_id,
        finding_id=item.id,
        filer=filer_key(item.filer),
        relation=relation_key(item.finding),
        reported=item.finding.reported,
        expected=item.finding.expected,
        reason=(event.note or "").strip(),
        by=event.actor or "",
        time=event.time,
        figure=figure_key(item.finding),
    )


def row_of(dismissal: Dismissal) -> dict[str, Any]:
    """Its columns in the store; amounts as text, so that they stay exact."""
    return {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in vars(dismissal).items()
    }


def dismissal_of(row: Any) -> Dismissal:
    """The dismissal of a database row."""
    values = dict(row._mapping)
    for name in ("reported", "expected"):
        values[name] = None if values[name] is None else Decimal(values[name])
    return Dismissal(**values)
