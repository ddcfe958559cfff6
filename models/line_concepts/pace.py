"""Measure the processor time of naming the lines of a 10-K.

    python -m models.line_concepts.pace --data FOLDER

FOLDER has finance/. Writes `models/line_concepts/pace.json` and the card. Times are processor time
of all threads on this machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from models.evaluation.card import write_cards
from models.files import command, say, write_json
from models.line_concepts.predict import FOLDER
from models.triage_breaks.filings import read, sound
from services.triage.concepts.ensemble import load_labeller
from services.triage.concepts.linear import ConceptLabeller
from services.triage.statements.model import Filing
from shared.inference import lazy_specialists

FILINGS = 20


def seconds_of(naming: ConceptLabeller, filing: Filing) -> float:
    """Return the processor time of naming the lines of a filing."""
    begin = time.process_time()
    for statement in filing.statements:
        naming.names(statement)
    return time.process_time() - begin


def pace(filings: list[Filing], artefacts: Path) -> Mapping[str, Any]:
    """Return milliseconds a filing by model: of the first one, the median, and the slowest."""
    specialists = lazy_specialists(artefacts, 1, "int8")
    begin = time.process_time()
    specialists()
    load_base = time.process_time() - begin
    both = load_labeller(artefacts, lambda: specialists().base)
    if both is None:
        raise SystemExit(f"{artefacts} has no model that names lines")
    result: dict[str, Any] = {
        "filings": len(filings),
        "lines": statistics.median(sum(len(s.rows) for s in f.statements) for f in filings),
        "base": round(1000 * load_base),
    }
    models = {"linear model": both.fast, **({"both": both} if both is not both.fast else {})}
    for name, naming in models.items():
        first = seconds_of(naming, filings[0])
        each = [seconds_of(naming, filing) for filing in filings]
        result[name] = {
            "first": round(1000 * first),
            "median": round(1000 * statistics.median(each)),
            "slowest": round(1000 * max(each)),
        }
    return result


def main() -> None:
    """Read the command line, measure, and write the figures."""
    parser = command(__doc__, "--data", "--artefacts")
    arguments = parser.parse_args()
    tens = (r for r in sound(arguments.data / "finance") if r["form"] == "10-K")
    result = pace([read(record) for record in islice(tens, FILINGS)], arguments.artefacts)
    say(write_json(FOLDER / "pace.json", result))
    write_cards(FOLDER, arguments.artefacts)


if __name__ == "__main__":
    main()
