"""How much of a contract has to be sent to ask about a clause of it: what it costs, and how often
the whole clause lies in it.

    python -m infra.evaluate_windows [FOLDER] [--around 1000]…

FOLDER holds legal/ (default: the setting SMALLPRINT_TEST_DATA). Asked about is what the product
would ask about in the training contracts, by predictions of models that had not seen them: clauses
that are shown and doubtful, and what comes nearest in categories of which none is shown, where an
answer is worth its price. A labelled clause that the passage is a part of should lie whole in what
is sent, or no answer can quote it; about half of the passages are part of none. Counted too are all
labelled clauses that lie whole in a window of their category, wherever the passage is. No model is
asked; what that would cost is by the price list.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.bills_of_contracts import Bill, bill_of
from infra.evaluate_cascade import Read, field_of, read_all
from services.escalation.costs.domain import REFERENCE
from services.extraction.questions import AROUND, Doubt, batches
from shared.asking import Tokens
from shared.errors import SettingsError
from shared.events import BlobRef
from shared.events.questions import Question
from shared.prices import Price, known_prices

SIZES = (250, 500, 1_000, 1_500, 2_000)
_TEXT = BlobRef(sha256="0" * 64, size=1)


@dataclass(frozen=True)
class Asked:
    """What would be asked about one contract."""

    text: str
    notes: Sequence[Any]
    """Its labelled clauses: `category`, `start`, `end`."""
    doubts: Sequence[Doubt]
    around: int = AROUND
    """Characters on each side of a passage."""

    @property
    def questions(self) -> list[Question]:
        """As they would be asked."""
        found = batches(self.doubts, self.text, _TEXT, (), around=self.around)
        return [one.question for batch in found for one in batch]

    def whole(self) -> Iterator[bool]:
        """Of each question about a part of labelled clauses: whether all of them lie in it."""
        for question in self.questions:
            (passage,) = question.candidates
            touched = [
                (start, end)
                for start, end in self._labelled(question.category)
                if start < passage.end and passage.start < end
            ]
            if touched:
                yield all(question.start <= start and end <= question.end for start, end in touched)

    def seen(self) -> int:
        """Labelled clauses that lie whole in a window of their category."""
        windows: dict[str, set[tuple[int, int]]] = {}
        for one in self.questions:
            windows.setdefault(one.category, set()).add((one.start, one.end))
        return sum(
            any(first <= start and end <= last for first, last in mine)
            for category, mine in windows.items()
            for start, end in self._labelled(category)
        )

    def labelled(self) -> int:
        """Labelled clauses of the categories that are asked about."""
        categories = {doubt.category for doubt in self.doubts}
        return sum(len(self._labelled(category)) for category in categories)

    def _labelled(self, category: str) -> set[tuple[int, int]]:
        notes = self.notes
        return {(note["start"], note["end"]) for note in notes if note["category"] == category}


def asked_of(read: Read, price: Price) -> list[Asked]:
    """What the product would ask about contracts."""
    field = field_of(read.contracts, read.folds, read.manifest, price)
    assert field.bills is not None
    doubts = field.bills.doubts(field.worth)
    return [
        Asked(record["text"], record["annotations"], mine)
        for record, mine in zip(read.records, doubts, strict=True)
    ]


def line(asked: Sequence[Asked], around: int, price: Price) -> dict[str, Any]:
    """What comes of so many characters on each side of a passage."""
    asked = [replace(one, around=around) for one in asked]
    bill = sum((bill_of(one.text, one.doubts, price, around) for one in asked), Bill())
    whole = [flag for one in asked for flag in one.whole()]
    return {
        "around": around,
        **vars(bill),
        "touched": len(whole),
        "whole": sum(whole),
        "labelled": sum(one.labelled() for one in asked),
        "seen": sum(one.seen() for one in asked),
    }


def table(report: dict[str, Any]) -> str:
    """The lines in Markdown."""
    heads = ["on each side", "results", "calls", "characters sent", "US$"]
    heads += ["passages of a labelled clause that lies whole", "labelled clauses that lie whole"]
    rows = [f"| {' | '.join(heads)} |", f"| {' | '.join(['---'] * len(heads))} |"]
    for one in report["lines"]:
        share = one["whole"] / max(1, one["touched"])
        rows.append(
            f"| {one['around']:,} | {one['questions']:,} | {one['calls']:,} | "
            f"{one['characters']:,} | {one['usd']:.2f} | "
            f"{one['whole']:,} of {one['touched']:,} ({share:.1%}) | "
            f"{one['seen']:,} of {one['labelled']:,} |"
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
    asked = asked_of(read, price)
    characters = sum(len(one.text) for one in asked)
    report = {
        "contracts": len(asked),
        "whole_usd": price.of(Tokens(characters // 4, 0)) / 1e6,
        "lines": [line(asked, around, price) for around in wanted.around or SIZES],
    }
    sys.stdout.write(f"{json.dumps(report, indent=1) if wanted.json else table(report)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
