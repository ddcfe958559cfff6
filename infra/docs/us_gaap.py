"""Write the table of common us-gaap concepts, which lays out an XBRL instance without linkbases.

    python -m infra.docs.us_gaap FOLDER [--out FILE]

FOLDER holds finance/statements.jsonl. The table has the concepts that at least `SHARE` of the
companies of one of two eras report, in order. It also says whether most companies show them with
the opposite sign. `tests/evaluate/statements.py` measures the reader on each company with a table
made without it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SHARE = 0.06
FEWEST = 4  # fewer companies don't show how common a concept is
LATER = "2014"
"""The data set has filings of 2009 to 2010 and of 2018 to 2025: concepts changed in between."""
OUT = Path("services/triage/reading/us_gaap.json")

Table = Mapping[str, Sequence[tuple[str, str, int]]]

Name = tuple[str, str]
"""A concept, and its moment in a period: `start`, `end` or neither."""
_BEGINNING = re.compile(r"\bbeginning\b|\bstart\s+of\b", re.I)


def main(arguments: list[str]) -> int:
    """Write the table. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.docs.us_gaap")
    parser.add_argument("folder")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    folder = Path(asked.folder) / "finance"
    with (folder / "statements.jsonl").open("rb") as lines:
        found = table([json.loads(line) for line in lines])
    asked.out.write_text(written(found), "utf-8")
    print(f"written: {asked.out}", {kind: len(names) for kind, names in found.items()})
    return 0


def table(records: Sequence[dict[str, Any]]) -> Table:
    """The common concepts of each statement in order."""
    return {
        kind: list(concepts(kind, records)) for kind in ("balance_sheet", "income", "cash_flow")
    }


def concepts(kind: str, records: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, int]]:
    """The common concepts of a statement in order: name, moment, and its sign on the page."""
    orders: list[list[Name]] = []
    companies: dict[tuple[Name, bool], set[int]] = defaultdict(set)
    turned: dict[Name, dict[int, bool]] = defaultdict(dict)
    everyone: dict[bool, set[int]] = {False: set(), True: set()}
    for record in records:
        if record["statement"] != kind:
            continue
        later = str(record["period"] or "") >= LATER
        everyone[later].add(record["cik"])
        order: list[Name] = []
        for row in record["rows"]:
            if not row.get("concept") or row.get("custom") or row.get("dims") or row.get("heading"):
                continue
            name = (row["concept"], _moment(kind, row))
            if name not in order:
                order.append(name)
                companies[name, later].add(record["cik"])
                turned[name][record["cik"]] = _is_turned(row)
        orders.append(order)
    common = {
        name: None
        for (name, later), known in companies.items()
        if len(known) >= max(FEWEST, SHARE * len(everyone[later]))
    }
    for name in ordered(list(common), orders):
        share = sum(turned[name].values()) / len(turned[name])
        yield (*name, -1 if share > 0.5 else 1)


def _moment(kind: str, row: dict[str, Any]) -> str:
    if kind != "cash_flow" or not re.match(r"Cash(AndCash|Cash)?", row["concept"]):
        return ""
    if not re.search(r"CarryingValue|RestrictedCash\w*$|^Cash$|PeriodIncrease", row["concept"]):
        return ""
    if "PeriodIncrease" in row["concept"]:
        return ""
    return "start" if _BEGINNING.search(row["label"] or "") else "end"


def _is_turned(row: dict[str, Any]) -> bool:
    """Whether the page shows the opposite sign of the fact."""
    if row.get("negated"):
        return True
    meant = row.get("xbrl_values") or ()
    pairs = [(a, b) for a, b in zip(row["values"], meant, strict=False) if a and b]
    return bool(pairs) and all(a == -b for a, b in pairs)


def ordered(names: Sequence[Name], orders: Sequence[Sequence[Name]]) -> list[Name]:
    """Sort names by mean place, then swap neighbours until most filings agree."""
    places: dict[Name, list[float]] = defaultdict(list)
    before: Counter[tuple[Name, Name]] = Counter()
    wanted = set(names)
    for order in orders:
        kept = [name for name in order if name in wanted]
        for place, name in enumerate(order):
            if name in wanted:
                places[name].append(place / len(order))
        before.update((a, b) for i, a in enumerate(kept) for b in kept[i + 1 :])
    found = sorted(names, key=lambda name: (sum(places[name]) / len(places[name]), name))
    for _ in found:
        changed = False
        for i in range(len(found) - 1):
            a, b = found[i], found[i + 1]
            if before[b, a] > before[a, b]:
                found[i], found[i + 1], changed = b, a, True
        if not changed:
            break
    return found


def written(found: Table) -> str:
    """The table as JSON, one concept a line."""
    parts = [
        f' "{kind}": [\n' + ",\n".join(f"  {json.dumps(entry)}" for entry in names) + "\n ]"
        for kind, names in found.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
