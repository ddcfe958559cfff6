"""How much of a contract has to be sent to ask about a clause of it: what it costs, and how often
the whole clause lies in it.

    python -m infra.evaluate_windows [FOLDER] [--around 1000]…

FOLDER holds legal/ (default: the setting SMALLPRINT_TEST_DATA). Asked about is what the product
would ask about in the training contracts, by predictions of models that had not seen them: clauses
that are shown and doubtful, and what comes nearest in categories of which none is shown, where an
answer is worth its price. A labelled clause that the passage is a part of should lie whole in what
is sent, or no answer can quote it. No model is asked; what that would cost is by the price list.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.bills_of_contracts import Bill, bill_of
from infra.evaluate_cascade import Read, field_of, read_all
from services.escalation.costs.domain import REFERENCE
from services.extraction import questions
from services.extraction.questions import Doubt, batches, worth_asking
from shared.asking import AskRules, Tokens
from shared.errors import SettingsError
from shared.events import BlobRef
from shared.policy import RiskRules
from shared.prices import Price, known_prices

AROUND = (250, 500, 1_000, 1_500, 2_000)
_TEXT = BlobRef(sha256="0" * 64, size=1)


@dataclass(frozen=True)
class Asked:
    """What would be asked about one contract."""

    text: str
    notes: Sequence[Any]
    """Its labelled clauses: `category`, `start`, `end`."""
    doubts: Sequence[Doubt]

    def whole(self) -> Iterator[bool]:
        """Of each question about a part of labelled clauses: whether all of them lie in it."""
        for batch in batches(self.doubts, self.text, _TEXT, ()):
            for question in (one.question for one in batch):
                (passage,) = question.candidates
                touched = [
                    (note["start"], note["end"])
                    for note in self.notes
                    if note["category"] == question.category
                    and note["start"] < passage.end
                    and passage.start < note["end"]
                ]
                if touched:
                    yield all(
                        question.start <= start and end <= question.end for start, end in touched
                    )


def asked_of(read: Read, asks: AskRules, price: Price) -> list[Asked]:
    """What the product would ask about contracts."""
    field = field_of(read.contracts, read.folds, read.manifest, price)
    bills, place, found = field.bills, 0, []
    assert bills is not None
    counted = iter(bills.counted)
    for contract, record in zip(bills.contracts, read.records, strict=True):
        clauses: list[Doubt] = []
        nearest: dict[str, Doubt] = {}
        for one in contract.candidates:
            if not next(counted):
                continue
            belief, shown = float(field.belief[place]), bool(field.shown[place])
            place += 1
            name = read.manifest.labels[one.label]
            span = (one.start, one.end, belief, belief)
            if shown:
                clauses.append(Doubt(str(place), "clause", name, *span))
            elif name not in nearest or nearest[name].belief < belief:
                nearest[name] = Doubt(str(place), "category", name, *span)
        names = {clause.category for clause in clauses}
        near = [one for name, one in nearest.items() if name not in names]
        doubts = worth_asking([*clauses, *near], asks, RiskRules(), len(contract.text))
        found.append(Asked(contract.text, record["annotations"], doubts))
    return found


def line(asked: Sequence[Asked], around: int, price: Price) -> dict[str, Any]:
    """What comes of so many characters on each side of a passage."""
    before, questions.AROUND = questions.AROUND, around
    try:
        bill = sum((bill_of(one.text, one.doubts, price) for one in asked), Bill())
        whole = [flag for one in asked for flag in one.whole()]
    finally:
        questions.AROUND = before
    return {"around": around, **vars(bill), "labelled": len(whole), "whole": sum(whole)}


def table(report: dict[str, Any]) -> str:
    """The lines in Markdown."""
    heads = [
        "on each side",
        "questions",
        "calls",
        "characters sent",
        "US$",
        "clauses that lie whole",
    ]
    rows = [f"| {' | '.join(heads)} |", f"| {' | '.join(['---'] * len(heads))} |"]
    for one in report["lines"]:
        share = one["whole"] / max(1, one["labelled"])
        rows.append(
            f"| {one['around']:,} | {one['questions']:,} | {one['calls']:,} | "
            f"{one['characters']:,} | {one['usd']:.2f} | "
            f"{one['whole']:,} of {one['labelled']:,} ({share:.1%}) |"
        )
    return "\n".join([*rows, "", f"All contracts as a whole, once: US$ {report['whole_usd']:.2f}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.evaluate_windows")
    parser.add_argument("folder", nargs="?", default=os.environ.get("SMALLPRINT_TEST_DATA"))
    parser.add_argument("--around", type=int, action="append", help="characters; may be repeated")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args(arguments)
    if not wanted.folder:
        raise SettingsError("name the folder with legal/, or set SMALLPRINT_TEST_DATA")
    price = known_prices()["anthropic"][REFERENCE]
    read = read_all(Path(wanted.folder))
    asks = AskRules({"contract": price}, Decimal(RiskRules().mistake_usd))
    asked = asked_of(read, asks, price)
    characters = sum(len(one.text) for one in asked)
    report = {
        "contracts": len(asked),
        "whole_usd": price.of(Tokens(characters // 4, 0)) / 1e6,
        "lines": [line(asked, around, price) for around in wanted.around or AROUND],
    }
    sys.stdout.write(f"{json.dumps(report, indent=1) if wanted.json else table(report)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
