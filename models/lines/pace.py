"""What naming the lines of a 10-K costs, by the linear model and by both.

    python -m models.lines.pace --data FOLDER

FOLDER holds finance/. It writes `models/line-concepts/pace.json` and the card again: seconds are of
the processor, all threads together, on whatever machine this is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from models.lines.card import PACE, write_card
from models.lines.predict import FOLDER
from models.train import say
from models.triage.filings import read, sound
from services.triage.naming import Naming
from services.triage.statements import Filing
from services.triage.together import find_naming
from shared.inference import lazily

FILINGS = 20


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of the processor that it takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def name_all(naming: Naming, filing: Filing) -> None:
    """Name the lines of all statements of a filing."""
    for statement in filing.statements:
        naming.names(statement)


def pace(filings: list[Filing], artefacts: Path) -> Mapping[str, Any]:
    """Milliseconds a filing by each, in the median and at the slowest, and the first one's."""
    specialists = lazily(artefacts, 1, "int8")
    load_base = seconds_of(specialists)
    both = find_naming(artefacts, lambda: specialists().base)
    if both is None:
        raise SystemExit(f"{artefacts} has no model that names lines")
    found: dict[str, Any] = {
        "filings": len(filings),
        "lines": statistics.median(sum(len(s.rows) for s in f.statements) for f in filings),
        "base": round(1000 * load_base),
    }
    ways = {"linear model": both.quick, **({"both": both} if both is not both.quick else {})}
    for way, naming in ways.items():
        first = seconds_of(lambda naming=naming: name_all(naming, filings[0]))  # type: ignore[misc]
        each = [seconds_of(lambda f=f, naming=naming: name_all(naming, f)) for f in filings]  # type: ignore[misc]
        found[way] = {
            "first": round(1000 * first),
            "median": round(1000 * statistics.median(each)),
            "slowest": round(1000 * max(each)),
        }
    return found


def main() -> None:
    """Read the command line, measure, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    tens = (r for r in sound(arguments.data / "finance") if r["form"] == "10-K")
    found = pace([read(record) for record in islice(tens, FILINGS)], arguments.artefacts)
    text = json.dumps(found, indent=1) + "\n"
    (FOLDER / PACE).write_text(text, encoding="utf-8")
    say(text)
    write_card(arguments.artefacts)


if __name__ == "__main__":
    main()
