"""What was read of one report: its statements, who filed it, and what a person has to know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.triage.reading.instances import read_instance
from services.triage.reading.reader import KINDS, ReadStatement, read_statements
from services.triage.reading.tags import with_tags
from services.triage.statements import Filing, quoted
from shared.documents.reading import Reading
from shared.documents.sniffing import HTML
from shared.documents.xbrl import XBRL, Fact, facts_of, is_inline
from shared.errors import UnreadableDocument

_FORM = re.compile(r"\bform\s+(10-?[KQ](?:/A)?|20-F|40-F|8-K|6-K|S-[14])\b", re.I)
_ABOUT = {
    "EntityRegistrantName": "company",
    "DocumentType": "form",
    "DocumentPeriodEndDate": "period",
}
_COVER = 5_000
"""Characters in which a filing says which form it is."""
_NAMES = {"balance_sheet": "balance sheet", "income": "income statement", "cash_flow": "cash flow"}


@dataclass(frozen=True)
class ReadReport:
    """One report as it was read."""

    id: str
    company: str | None
    form: str | None
    period: str | None
    statements: tuple[ReadStatement, ...]
    warnings: tuple[str, ...]

    @property
    def filing(self) -> Filing:
        """The report in the form that is checked."""
        statements = tuple(read.statement for read in self.statements)
        return Filing(self.id, self.company, self.form, self.period, statements, self.warnings)

    def to_json(self) -> dict[str, Any]:
        """The report in structured form, each row with its places."""
        whole = self.filing.to_json()
        whole["statements"] = [statement.to_json() for statement in self.statements]
        return whole


@dataclass(frozen=True)
class Linkbases:
    """The files that are filed beside an instance."""

    presentation: bytes
    labels: bytes | None = None


def read_report(
    reading: Reading, data: bytes, name: str, beside: Linkbases | None = None
) -> ReadReport:
    """The statements of one document that was read.

    Args:
        reading: of the document.
        data: the document itself, for its tags if it has any.
        name: the file's name, which is the report's id.
        beside: of an XBRL instance.

    Raises:
        UnreadableDocument: there is no statement in it, or an instance lacks its presentation.
    """
    warnings = list(reading.warnings)
    facts = _facts(reading, data, warnings)
    if reading.media_type == XBRL:
        statements = _of_instance(facts, beside)
    else:
        statements = list(read_statements(reading))
        if facts:
            statements = [_with_tags(statement, facts, warnings) for statement in statements]
    if not statements:
        raise UnreadableDocument(
            "no balance sheet, income statement or cash flow statement was found in it: "
            "they are known by their English lines and titles"
        )
    warnings += _missing(statements)
    about = {key: _first(facts, concept) or "" for concept, key in _ABOUT.items()}
    form = _FORM.search(reading.text[:_COVER])
    ends = [column.end for read in statements for column in read.columns if column.end]
    return ReadReport(
        id=Path(name).stem or "report",
        company=about["company"] or None,
        form=about["form"] or (form[1].upper() if form else None),
        period=about["period"].replace("-", "") or max(ends, default=None),
        statements=tuple(statements),
        warnings=tuple(warnings),
    )


def _facts(reading: Reading, data: bytes, warnings: list[str]) -> Sequence[Fact]:
    """The facts of an instance, or the tags of a page; a page with damaged tags is read without."""
    if reading.media_type == XBRL:
        return facts_of(data).facts
    if reading.media_type != HTML or not is_inline(data):
        return ()
    try:
        return facts_of(data).facts
    except UnreadableDocument as error:
        warnings.append(f"its tags (inline XBRL) are left out: {error.message}")
        return ()


def _of_instance(facts: Sequence[Fact], beside: Linkbases | None) -> list[ReadStatement]:
    if beside is None:
        raise UnreadableDocument(
            "an XBRL instance is a list of facts without order: put its presentation linkbase "
            "(the file whose name ends in _pre.xml) beside it, or read the filing's HTML"
        )
    return read_instance(facts, beside.presentation, beside.labels)


def _with_tags(
    statement: ReadStatement, facts: Sequence[Fact], warnings: list[str]
) -> ReadStatement:
    found = with_tags(statement, facts)
    for row, column in found.differing:
        label = found.statement.rows[row].row.label
        warnings.append(
            f"{statement.kind} row {row} column {column}, {quoted(label, 60)!r}: "
            "the page shows another amount than its tag has"
        )
    return found.statement


def _missing(statements: Sequence[ReadStatement]) -> Iterator[str]:
    """What was not found, and columns whose period nobody states."""
    kinds = {statement.kind for statement in statements}
    for kind in KINDS:
        if kind not in kinds:
            yield f"no {_NAMES[kind]} was found"
    for statement in statements:
        for number, column in enumerate(statement.columns):
            if column.end is None:
                yield f"{statement.kind} column {number}: the page doesn't say for when it is"


def _first(facts: Sequence[Fact], name: str) -> str | None:
    """What a filing says about itself."""
    for fact in facts:
        if fact.name.rpartition(":")[2] == name and not fact.context.dimensions and fact.value:
            return fact.value
    return None
