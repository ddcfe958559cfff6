"""Statements of an XBRL instance that comes alone: common us-gaap concepts in their usual order.

Without its presentation an instance says neither where a fact stands nor with what sign. What most
filers do is taken for it: `us_gaap.json` has the concepts that are common on the face of each
statement, in order, with the sign that pages show (written by `infra/us_gaap.py`). A company's own
concepts and rare ones are left out, and so are facts that are split by dimensions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from services.triage.reading.instances import Line, statement_of, whole_facts
from services.triage.reading.reader import ReadStatement
from shared.documents.xbrl import Fact

Table = Mapping[str, Sequence[tuple[str, str, int]]]
"""For each statement its concepts: name, `start` or `end` of a period, 1 or -1 for the sign."""

_FEWEST = {"balance_sheet": 5, "income": 4, "cash_flow": 5}
"""Lines with facts; less is no statement."""
_ROLES = {"start": "periodStart", "end": "periodEnd", "": ""}


@cache
def usual_table() -> Table:
    """The table that ships."""
    path = Path(__file__).with_name("us_gaap.json")
    found: Table = json.loads(path.read_text("utf-8"))
    return found


def read_alone(facts: Sequence[Fact], table: Table | None = None) -> list[ReadStatement]:
    """The statements that the facts of an instance make, laid out as most filers do."""
    found = whole_facts(facts)
    names = {
        name.rpartition(":")[2]: name
        for name, _ in found
        if name.partition(":")[0].lower().replace("-", "").endswith("usgaap")
    }
    statements = []
    for kind, concepts in (table or usual_table()).items():
        lines = [
            Line(names[name], _ROLES[moment] + ("negated" if sign < 0 else ""), 0, ())
            for name, moment, sign in concepts
            if name in names
        ]
        statement = statement_of(kind, "", lines, found, {})
        if len(statement.rows) >= _FEWEST[kind] and statement.columns:
            statements.append(statement)
    return statements
