"""Coverage against cost: the specialist, a frontier model for uncertain results, and that model
alone.

    python -m tests.evaluate.cascade [FOLDER] [--budget 5]…

FOLDER holds legal/ (default: the setting SMALLPRINT_TEST_DATA). The specialist is real: its
committed predictions of unseen contracts, scored by the legal metric, with the thresholds for a
stated risk.

**The frontier model is a stand-in: no model was asked.** Its errors are drawn independently for
each clause from a published recall and precision of a frontier model on the same data set. It
confirms a right clause with the probability of its recall. It confirms a wrong one with the
probability that it lists a wrong clause in one category of one contract. This is unfavourable to
it. Real errors are more correlated. Prices are by the price list and four characters a token for
the prompts that would be sent: passages near each other share a window, and windows of one contract
a prompt. The specialist's seconds are measured in the run; the seconds of a call are an option.

Questions are those of the product: uncertain shown clauses, and the best candidate of a category
without a clause, if preventing an error is worth the price (by default values and limits). If the
budget is too small, the questions with the most gain per price go first. The product takes
documents in order of arrival, and gains less.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.clauses.risk_control import (
    KEPT,
    SHIPPED_MAP,
    Rows,
    calibration_of,
    cross_fitted,
    rows_of,
)
from models.evaluation.evaluate import judged
from models.evaluation.judging import ScoredContract
from models.evaluation.predict import Candidate
from models.files import folder_of
from services.escalation.comparison.prompts import question
from services.escalation.comparison.reader import CHARACTERS_PER_TOKEN, windows
from services.escalation.costs.domain import REFERENCE
from services.escalation.masking.masking import mask
from services.escalation.settings import Settings
from services.extraction.categories import definitions_of
from services.extraction.pipeline.search import calibrated, search
from services.extraction.questions import CONTEXT
from shared.errors import SettingsError
from shared.inference import Specialists
from shared.inference.adapters import AdapterManifest, newest_version
from shared.policy.escalation_value import ANSWER_TOKENS, AnswerAccuracy, estimated_usage
from shared.policy.prices import Price, Usage, known_prices
from shared.policy.risk_control import Calibration, control_risk
from shared.settings import CommonSettings, load
from tests.evaluate.prompt_costs import Bill, Bills

SPECIALIST = folder_of("contract-clauses")
POINTS = {
    "Claude Opus 4.8": (0.603, 0.711),
    "Claude Opus 4.6": (0.623, 0.605),
    "GPT-5.2": (0.542, 0.576),
    "GPT-4o": (0.527, 0.537),
}
"""Recall and precision at the best F1 of frontier models on CUAD's 102 test contracts, from their
published answers (the repository ashish24142/nightwing) by the legal metric.
"""
RISKS = (0.05, 0.1)
LEVEL = 0.95
DRAWS, SEED = 20, 7
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Point:
    """The error rates of a frontier model.

    Args:
        recall: share of the answers that it finds.
        precision: share of its clauses that are right.
        alarm: probability of a wrong clause in one category of one contract.
    """

    recall: float
    precision: float
    alarm: float

    @classmethod
    def of(cls, recall: float, precision: float, answers: int, pairs: int) -> Point:
        """Convert a published point; `pairs` are contracts times categories."""
        return cls(recall, precision, recall * answers * (1 / precision - 1) / pairs)

    @property
    def witness(self) -> AnswerAccuracy:
        """The rates, as the product weighs them."""
        return AnswerAccuracy(self.recall, self.alarm)


@dataclass(frozen=True)
class Field:
    """The candidates of all contracts, their truth, and the price of questions.

    Args:
        shown: whether the specialist lists each [N].
        belief: probability that each is right, by maps fitted on other folds [N].
        right: [N].
        pairs: the answer that each right one matches: (candidate, answer) [M, 2].
        answers: number of answers.
        usd: expected price of a question about each [N].
        bills: price of several questions together.
    """

    rows: Rows
    shown: Flags
    belief: Floats
    right: Flags
    pairs: NDArray[np.int64]
    answers: int
    usd: Floats
    bills: Bills | None = None

    @cached_property
    def worth(self) -> Flags:
        """The questions that the product would ask; all of them without contracts [N]."""
        if self.bills is not None:
            return self.bills.worth(self.shown, self.belief)
        return np.ones(len(self.belief), bool)

    def bill(self, asked: Flags) -> Bill:
        """The price of some questions together; without contracts, of each alone."""
        if self.bills is not None:
            return self.bills.of(asked)
        return Bill(float(self.usd[asked].sum()), int(asked.sum()))

    def errors(self, kept: Flags) -> tuple[int, int]:
        """Numbers of wrong kept clauses, and of answers without a kept match."""
        found = np.unique(self.pairs[kept[self.pairs[:, 0]], 1])
        return int((kept & ~self.right).sum()), self.answers - len(found)

    def accepted(self, belief: Floats, asked: Flags, risk: float) -> tuple[int, int]:
        """Number of clauses accepted for a stated risk, and of wrong ones among them."""
        settled = self.shown | asked
        known: Calibration = calibration_of(_some(self.rows, settled), belief[settled])
        control = control_risk(known, risk, LEVEL)
        return control.accepted, control.wrong


def field_of(
    contracts: Sequence[ScoredContract],
    folds: Sequence[int],
    manifest: AdapterManifest,
    price: Price,
) -> Field:
    """Collect the candidates of judged contracts: shown ones, and those that overlap no surer one
    of their category.
    """
    contracts = [_apart(contract, manifest) for contract in contracts]
    rows = rows_of(contracts, folds, manifest)
    shown = rows.confidence > manifest.thresholds["best_f1"]
    belief = np.empty(len(shown))
    for part in (shown, ~shown):
        belief[part] = cross_fitted(_some(rows, part), SHIPPED_MAP)
    asks = definitions_of(manifest.labels)
    pairs: list[tuple[int, int]] = []
    usd: list[float] = []
    counted: list[bool] = []
    before = 0
    for contract in contracts:
        places = {}
        for name, texts in contract.answers.items():
            places[name], before = before, before + len(texts)
        for candidate, matched in zip(contract.candidates, contract.matched, strict=True):
            counted.append(calibrated(candidate.score, manifest.calibration) > KEPT)
            if counted[-1]:
                name = manifest.labels[candidate.label]
                pairs += [(len(usd), places[name] + place) for place in matched]
                usd.append(_price_of(contract, candidate, asks[name], price))
    right, bills = rows.right > 0, Bills(contracts, manifest.labels, np.array(counted), price)
    found = np.array(pairs, np.int64)
    return Field(rows, shown, belief, right, found, before, np.array(usd), bills)


def _some(rows: Rows, kept: Flags) -> Rows:
    names = ("family", "fold", "label", "score", "confidence", "right")
    return replace(rows, **{name: getattr(rows, name)[kept] for name in names})


def _apart(contract: ScoredContract, manifest: AdapterManifest) -> ScoredContract:
    """A contract without hidden candidates that overlap a more certain one."""
    least = manifest.thresholds["best_f1"]
    taken: dict[int, list[tuple[int, int]]] = {}
    kept = []
    for place in sorted(
        range(len(contract.candidates)), key=lambda i: -contract.candidates[i].score
    ):
        one = contract.candidates[place]
        others = taken.setdefault(one.label, [])
        free = all(one.end <= start or end <= one.start for start, end in others)
        if free or calibrated(one.score, manifest.calibration) > least:
            kept.append(place)
            others.append((one.start, one.end))
    kept.sort()
    return replace(
        contract,
        candidates=[contract.candidates[i] for i in kept],
        matched=[contract.matched[i] for i in kept],
    )


def _price_of(contract: ScoredContract, candidate: Candidate, asks: str, price: Price) -> float:
    length = candidate.end - candidate.start
    sent = len(asks) + min(len(contract.text), 2 * CONTEXT + length) + length
    return price.of(estimated_usage(sent, length)) / 1e6


def chosen(field: Field, point: Point, budget: float | None) -> Flags:
    """The candidates that the product would ask about within a budget; without a budget all that
    gain anything.
    """
    gain = point.witness.gain(field.belief, field.shown)
    order = np.argsort(-gain / field.usd, kind="stable")
    order = order[(gain[order] > 1e-9) & field.worth[order]]

    def first(count: int) -> Flags:
        asked = np.zeros(len(gain), bool)
        asked[order[:count]] = True
        return asked

    if budget is None:
        return first(len(order))
    paid, too_many = 0, len(order) + 1
    while too_many - paid > 1:
        count = (paid + too_many) // 2
        within = field.bill(first(count)).usd <= budget
        paid, too_many = (count, too_many) if within else (paid, count)
    return first(paid)


def cascade(field: Field, point: Point, asked: Flags) -> dict[str, Any]:
    """The mean result over some draws if these questions are asked."""
    chance = np.random.default_rng(SEED)
    outcomes = []
    for _ in range(DRAWS if asked.any() else 1):
        confirmed = chance.random(len(asked)) < np.where(field.right, point.recall, point.alarm)
        belief = np.where(asked, point.witness.posterior(field.belief, confirmed), field.belief)
        covered = [field.accepted(belief, asked, risk) for risk in RISKS]
        kept = (field.shown | asked) & (belief > 0.5)
        outcomes.append([*field.errors(kept), *np.ravel(covered)])
    wrong, missed, *accepted = np.mean(outcomes, axis=0)
    bill = field.bill(asked)
    return {
        "asked": int(asked.sum()),
        "calls": bill.calls,
        "usd": bill.usd,
        "wrong": float(wrong),
        "missed": float(missed),
        "accepted": {
            str(risk): {"clauses": accepted[2 * i], "wrong": accepted[2 * i + 1]}
            for i, risk in enumerate(RISKS)
        },
    }


def alone(
    contracts: Sequence[ScoredContract], labels: Sequence[str], point: Point, price: Price
) -> Any:
    """A frontier model that reads every contract, all categories in one question a window."""
    asks = definitions_of(labels)
    frame = question(asks, mask("", frozenset()))
    sent = calls = written = answers = 0
    for contract in contracts:
        parts = list(windows(contract.text, 20_000))
        calls += len(parts)
        sent += len(contract.text) + len(parts) * (len(frame.system) + len(frame.turns[0]))
        for texts in contract.answers.values():
            answers += len(texts)
            written += sum(map(len, texts))
    listed = answers * point.recall / point.precision
    quoted = written / answers * listed / CHARACTERS_PER_TOKEN + ANSWER_TOKENS * listed
    usage = Usage(sent // CHARACTERS_PER_TOKEN, int(quoted))
    return {
        "asked": calls,
        "calls": calls,
        "usd": price.of(usage) / 1e6,
        "wrong": listed * (1 - point.precision),
        "missed": answers * (1 - point.recall),
        "accepted": {},
    }


def measured(texts: Sequence[str], count: int) -> float:
    """Seconds that the specialist takes for all texts, estimated from `count` of them."""
    settings = load(CommonSettings)
    specialist = Specialists(settings.artefacts_folder, settings.threads).get(SPECIALIST.name)
    search(texts[0][:5_000], specialist)  # the first run allocates memory
    step = max(1, len(texts) // count)
    read = texts[::step][:count]
    began = time.perf_counter()
    for text in read:
        search(text, specialist)
    return (time.perf_counter() - began) * sum(map(len, texts)) / sum(map(len, read))


def evaluate(data: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The results of all ways."""
    records, contracts, labels = judged(SPECIALIST, data)
    version = newest_version(load(CommonSettings).artefacts_folder, SPECIALIST.name)
    manifest = AdapterManifest.read(version)
    price = known_prices()["anthropic"][REFERENCE]
    field = field_of(contracts, [record["fold"] for record in records], manifest, price)
    pairs = len(contracts) * len(labels)
    point = Point.of(*POINTS[arguments.point], field.answers, pairs)
    seconds = measured([contract.text for contract in contracts], arguments.measure)
    hour = float(load(Settings).escalation_machine_hour)
    nobody = np.zeros(len(field.belief), bool)
    shipped = cascade(field, point, nobody)
    shipped["wrong"], shipped["missed"] = map(float, field.errors(field.shown))
    ways = {
        "specialist alone, shown clauses": shipped,
        "specialist alone, belief above 50%": cascade(field, point, nobody),
    }
    for budget in [*arguments.budget, None]:
        name = f"cascade, US$ {budget:g}" if budget is not None else "cascade, no limit"
        ways[name] = cascade(field, point, chosen(field, point, budget))
    ways["frontier alone (stand-in)"] = alone(contracts, labels, point, price)
    for name, way in ways.items():
        own = 0.0 if name.startswith("frontier") else seconds
        way["errors"] = way["wrong"] + way["missed"]
        way["seconds"] = own + way["calls"] * arguments.call_seconds
        way["machine_usd"] = own * hour / 3600
    return [{"way": name, **way} for name, way in ways.items()]


def table(ways: Sequence[dict[str, Any]]) -> str:
    """The ways as a table in Markdown."""
    heads = ["way", "asked", "calls", "US$ asked", "US$ machine", "seconds"]
    heads += ["wrong", "missed", "errors", *(f"accepted at {risk:.0%} (wrong)" for risk in RISKS)]
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(['---'] * len(heads))} |"]
    for way in ways:
        covered = [way["accepted"].get(str(risk)) for risk in RISKS]
        cells = [
            way["way"],
            f"{way['asked']:,}",
            f"{way['calls']:,}",
            f"{way['usd']:,.2f}",
            f"{way['machine_usd']:,.4f}",
            f"{way['seconds']:,.0f}",
            *(f"{way[name]:,.0f}" for name in ("wrong", "missed", "errors")),
            *(f"{one['clauses']:,.0f} ({one['wrong']:,.0f})" if one else "" for one in covered),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate.cascade")
    parser.add_argument("folder", nargs="?", default=os.environ.get("SMALLPRINT_TEST_DATA"))
    parser.add_argument("--budget", type=float, action="append", help="US$; may be repeated")
    parser.add_argument("--point", choices=sorted(POINTS), default="Claude Opus 4.8")
    parser.add_argument("--call-seconds", type=float, default=5.0, help="of one call, as stated")
    parser.add_argument("--measure", type=int, default=5, help="contracts that are read to time it")
    asked = parser.parse_args(arguments)
    asked.budget = sorted(asked.budget or (2.0, 5.0, 10.0))
    if not asked.folder:
        raise SettingsError("name the folder with legal/, or set SMALLPRINT_TEST_DATA")
    print(table(evaluate(Path(asked.folder), asked)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
