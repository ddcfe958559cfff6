"""Read an XBRL instance without linkbases: common us-gaap concepts in their usual order.

Without a presentation linkbase an instance has neither order nor signs. `us_gaap.json` has the
common concepts of each statement in order, with the usual sign (written by
`infra/docs/us_gaap.py`). Other concepts and facts with dimensions are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from services.triage.reading.reader import ReadStatement
from services.triage.reading.xbrl_instance import Line, statement_of, undivided_facts
from shared.documents.xbrl.xbrl import Fact

Table = Mapping[str, Sequence[tuple[str, str, int]]]
"""For each statement its concepts: name, `start` or `end` of a period, 1 or -1 for the sign."""

_FEWEST = {"balance_sheet": 5, "income": 4, "cash_flow": 5}  # lines with facts
_ROLES = {"start": "periodStart", "end": "periodEnd", "": ""}


@cache
def usual_table() -> Table:
    """The shipped table."""
    path = Path(__file__).with_name("us_gaap.json")
    table: Table = json.loads(path.read_text("utf-8"))
    return table


def read_unordered(facts: Sequence[Fact], table: Table | None = None) -> list[ReadStatement]:
    """The statements of an instance, laid out as most filers do."""
    numbers = undivided_facts(facts)
    names = {
        name.rpartition(":")[2]: name
        for name, _ in numbers
        if name.partition(":")[0].lower().replace("-", "").endswith("usgaap")
    }
    statements = []
    for kind, concepts in (table or usual_table()).items():
        lines = [
            Line(names[name], _ROLES[moment] + ("negated" if sign < 0 else ""), 0, ())
            for name, moment, sign in concepts
            if name in names
        ]
        statement = statement_of(kind, "", lines, numbers, {})
        if len(statement.rows) >= _FEWEST[kind] and statement.columns:
            statements.append(statement)
    return statements
