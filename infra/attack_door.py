"""Whether invented words get through the door to frontier models: how many of some hostile answers
and documents.

    python -m infra.attack_door [--answers 200] [--seed 1]

A stand-in answers over HTTP with quotes that are invented, altered in one word, or of another
document, at the first try and when it is asked to mend them; half of the questions go alone, half
several to a prompt. Then documents that speak to machines are asked about, and the stand-in obeys
them. Whatever becomes a proposal of such an answer has got through.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from infra.stand_in import Fault, Labels, StandIn
from infra.stand_in.injected import FORTY
from services.escalation.asking import Asker, Door
from services.escalation.domain import Outcome
from services.escalation.ledger import Ledger
from services.escalation.ledger.ledger import utc_now
from services.escalation.policy import read_policies
from services.escalation.store import MIGRATIONS
from shared.events import BlobRef
from shared.events.questions import Question
from shared.storage import Store

HOSTILE: tuple[Fault, ...] = ("invent", "alter", "foreign")
TOGETHER = 4
CATEGORY = "Governing Law"
LAW = "This Agreement number {number} is governed by the laws of the State of Delaware."
TEXT = "1. Term. It lasts for {number} years.\n2. Law. " + LAW + "\n3. Notices. In writing.\n"
POLICY = """
# STAND-IN FRONTIER: no model answers here. For this demonstration alone.
[providers.stand-in]
protocol = "own"
model = "stand-in"
url = "{url}"
price = {{ input = "0", output = "0", as_of = 2026-01-31 }}

[tenants.default]
providers = ["stand-in"]
leaves = ["contract"]
day_usd = "1"
month_usd = "1"
"""


@dataclass
class Report:
    """What came of it."""

    answers: Counter[str] = field(default_factory=Counter)
    """Hostile answers, by what was wrong with them."""
    documents: int = 0
    sent: int = 0
    """Documents with instructions that were not recognised, and so were asked about."""
    through: list[str] = field(default_factory=list)
    """What got through."""

    def table(self) -> Iterator[str]:
        """Lines for a person."""
        for fault, number in self.answers.items():
            yield f"{number:>5}  answers with words that are wrong by: {fault}"
        yield f"{self.documents:>5}  documents with instructions to machines"
        yield f"{self.documents - self.sent:>5}  of these recognised and not sent"
        yield f"{self.sent:>5}  sent, and obeyed by the stand-in"
        yield f"{len(self.through):>5}  got through: {'; '.join(self.through[:5]) or 'none'}"


class Attack:
    """A door with a stand-in before it that says what it is told to."""

    def __init__(self, folder: Path, stand_in: StandIn) -> None:
        policy = folder / "policy.toml"
        policy.write_text(POLICY.format(url=stand_in.url), "utf-8")
        self.database = Store(f"sqlite:///{folder / 'attack.db'}", "escalation", MIGRATIONS)
        self.database.migrate()
        self.stand_in = stand_in
        self.door = Door(read_policies(policy), Ledger(self.database), timedelta(), utc_now)
        self._numbers = itertools.count(1)

    def ask(self, text: str, count: int) -> list[Outcome]:
        """Ask so many questions about a text, in one prompt."""
        number = next(self._numbers)
        asked = [
            Question(
                kind="contract",
                text=BlobRef(sha256="0" * 64, size=len(text)),
                start=0,
                end=len(text),
                category=CATEGORY,
                definition=f"Which law governs the contract? ({number}.{part})",
            )
            for part in range(count)
        ]
        return self.door.ask_all(
            [
                (Asker("default", "doc_1", f"es_{number}_{part}", utc_now()), one)
                for part, one in enumerate(asked)
            ],
            text,
        )


def attack(answers: int, seed: int) -> Report:
    """Ask, and count what got through."""
    report, chance = Report(), random.Random(seed)
    labels = Labels([(CATEGORY, LAW.format(number=n)) for n in range(answers)])
    with _attack(labels, seed) as one:
        left, number = answers, 0
        while left:
            count = min(left, TOGETHER if number % (TOGETHER + 1) == 0 else 1)
            fault = HOSTILE[number % len(HOSTILE)]
            one.stand_in.choose = lambda _said, fault=fault: fault  # type: ignore[misc]
            text = TEXT.format(number=chance.randrange(answers))
            for outcome in one.ask(text, count):
                _count(outcome, f"{fault} {number}", report)
            report.answers[fault] += count
            left, number = left - count, number + 1
        one.stand_in.choose = lambda _said: "none"
        for number, (words, answer) in enumerate(FORTY):
            text = f"{TEXT.format(number=number)}4. Other. {words}\n5. End.\n"
            one.stand_in.speak = lambda _said, _fault, answer=answer: answer  # type: ignore[misc]
            before = len(one.stand_in.said)
            (outcome,) = one.ask(text, 1)
            report.documents += 1
            report.sent += len(one.stand_in.said) > before
            _count(outcome, f"instruction {number}", report)
    return report


@contextmanager
def _attack(labels: Labels, seed: int) -> Iterator[Attack]:
    with (
        tempfile.TemporaryDirectory(prefix="smallprint-attack-") as folder,
        StandIn(labels, seed=seed) as stand_in,
    ):
        made = Attack(Path(folder), stand_in)
        try:
            yield made
        finally:
            made.database.close()


def _count(outcome: Outcome, what: str, report: Report) -> None:
    """Every answer was hostile throughout, so that no proposal may come of it."""
    if outcome.proposal is not None:
        told = json.dumps(outcome.proposal.model_dump(mode="json"))
        report.through.append(f"{what}: {told[:200]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit code: 1 if anything got through."""
    parser = argparse.ArgumentParser(prog="python -m infra.attack_door", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    report = attack(asked.answers, asked.seed)
    print("\n".join(report.table()))
    return 1 if report.through else 0


if __name__ == "__main__":
    sys.exit(main())
