"""Learn which doubts of a filing are right, from errors put into sound filings.

    python -m models.triage --data FOLDER [--out models/artefacts] [--config FILE]
                            [--dismissed FILE]

FOLDER holds finance/. Every filing is judged by a forest and an experience that were learned
without its company's fold; those predictions choose the operating point and are written beside the
config (`predictions.jsonl.gz`: risks and places, no text), of which `models.triage.scores` makes
the figures. FILE is what `smallprint dismissed` printed: breaks that analysts dismissed with a
reason are learned as lawful, and nothing of them is counted or kept. What ships is learned on all
companies with the same recipe.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forest import Booster, Floats, fit, graph, predict
from models.triage.corrected import wrong_on_the_page
from models.triage.dismissed import PART, companies, lawful, read_lessons
from models.triage.doubting import (
    Example,
    described,
    examples,
    experiences,
    headlines,
    published,
    summed,
)
from models.triage.filings import FOLDS, development, fold_of, read, sound
from models.triage.finverbench import shortened_statements
from models.triage.injections import OTHERS, Truth
from models.triage.scores import threshold
from services.triage.doubts import COLUMNS, KINDS
from services.triage.experience import Experience
from services.triage.relations import sheets
from services.triage.risk import NAME, weighed, write

FOLDER = Path(__file__).resolve().parent.parent / NAME
WITHOUT: Mapping[str, tuple[str, ...]] = {
    "what other companies do": (
        "total_met", "total_holds", "total_breaks", "part_least", "part_mean", "parts_known",
        "sign_against", "line_met", "line_below", "size_unusual", "change_usual",
        "expected_line", "expected_size", "expected_fits", "expected_lacks", "usual_parts",
        "usual_share", "usual_same", "by_label", "check_same_amount",
    ),
    "confidences by hand": ("by_rule", "screened"),
    "what other columns and sums prove": (
        "proved", "unproved", "turned_unproved", "is_elsewhere", "beside", "left_out", "sums_here",
    ),
}  # fmt: skip
"""Columns that an ablation leaves out."""


LEARNED = ("own", "hard", "headlines", PART)
"""The parts that are learned from."""


def lesson(some: Sequence[Example], weights: Mapping[str, float]) -> tuple[Any, Any, Any]:
    """Rows [N, COLUMNS], target [N] and weights [N] of filings."""
    rows = np.concatenate([e.rows for e in some])
    right = np.concatenate([e.right for e in some])
    by_row = [
        np.full(len(e.right), weights["untouched"])
        if e.truth is None
        else np.where(e.right, _of_kind(e.truth, weights), np.where(e.old, weights["old"], 0.0))
        for e in some
    ]
    weight = np.concatenate(by_row)
    kept = weight > 0
    return rows[kept], right[kept], weight[kept]


def _of_kind(truth: Truth, weights: Mapping[str, float]) -> float:
    return weights["others"] if truth["type"] in OTHERS else 1.0


def learned(
    some: Sequence[Example], config: Mapping[str, Any], seeds: int, without: Sequence[str] = ()
) -> list[Booster]:
    """Learn a forest, several fits to be averaged; the columns `without` tell it nothing."""
    taught = [e for e in some if e.part in LEARNED]
    rows, right, weight = lesson(taught, config["weights"])
    rows[:, [COLUMNS.index(name) for name in without]] = 0
    settings = config["forest"]
    first = settings["seed"]
    return [
        fit(rows, right, weight, settings["trees"], settings, seed)
        for seed in range(first, first + seeds)
    ]


def chances(
    every: Sequence[Example],
    unseen: Sequence[Example],
    config: Mapping[str, Any],
    seeds: int,
    without: Sequence[str] = (),
) -> list[Floats]:
    """What a forest that has not seen its fold says of the doubts of each filing.

    Args:
        every: what is learned from and judged.
        unseen: what is judged alone.
        config: of the specialist.
        seeds: how many fits.
        without: columns that tell nothing.
    """
    judged = [*every, *unseen]
    found: list[Floats] = [np.zeros(0, np.float32)] * len(judged)
    for fold in range(FOLDS):
        forest = learned([e for e in every if e.fold != fold], config, seeds, without)
        for i, example in enumerate(judged):
            if example.fold == fold and len(example.rows):
                rows = example.rows.copy()
                rows[:, [COLUMNS.index(name) for name in without]] = 0
                found[i] = predict(forest, rows)
        say(f"fold {fold} is judged")
    return found


def odds_of_headlines(
    every: Sequence[Example], said: Sequence[Floats], operation: Mapping[str, float]
) -> float:
    """By how much the odds are to be more among headlines for the same threshold to flag the share
    of sound ones that it should.
    """
    limits = []
    for part, share in (("own", "false_alarms"), ("headlines", "false_alarms_of_headlines")):
        some = [
            risk_of(weighed(e.rows, values, operation["unbelieved"], 1.0))
            for e, values in zip(every, said, strict=False)
            if e.part == part and e.truth is None
        ]
        at = threshold(np.array(some or [0.5]), operation[share])
        limits.append(at / (1 - at))
    return round(limits[0] / limits[1], 2)


def all_weighed(
    some: Sequence[Example], said: Sequence[Floats], unbelieved: float, headlines: float
) -> list[Floats]:
    """The chances of the doubts of each filing, as the judge weighs them."""
    return [
        weighed(example.rows, values, unbelieved, headlines)
        for example, values in zip(some, said, strict=True)
    ]


def risk_of(values: Floats) -> float:
    """The risk of a filing: the chance of its likeliest doubt."""
    return round(float(values.max()), 4) if len(values) else 0.0


IDENTITIES = ("balance_equation", "cash_flow_change", "cash_roll_forward", "cash_between_periods",
              "cash_agrees", "net_income_agrees")  # fmt: skip
"""Checks that every reader knows."""
SUMS = ("balance_sheet_sums", "income_sums", "cash_flow_sums")


def _of_checks(example: Example, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which doubts are about a relation of some checks [N]."""
    columns = [COLUMNS.index(f"check_{name}") for name in names]
    return np.asarray((example.rows[:, columns] > 0).any(axis=1), np.bool_)


def _digits(example: Example) -> Floats:
    """In how many digits each sum that breaks agrees in other columns [N]."""
    of_cells = example.rows[:, COLUMNS.index("kind")] == KINDS.index("cell")
    supported = example.rows[:, COLUMNS.index("support")] > 0
    known = _of_checks(example, SUMS) & of_cells & supported
    digits: Floats = np.where(known, example.rows[:, COLUMNS.index("digits")], 0.0)
    return digits


def record_of(example: Example, values: Floats, more: Mapping[str, Floats]) -> dict[str, Any]:
    """What is kept of a prediction."""
    top = np.argsort(-values, kind="stable")[:3]
    truth = example.truth or {}
    kinds = [KINDS[int(example.rows[i, COLUMNS.index("kind")])] for i in top]
    rule = example.rows[:, COLUMNS.index("by_rule")]
    of_kind = example.rows[:, COLUMNS.index("kind")]
    return {
        "id": example.id,
        "company": example.company,
        "type": truth.get("type"),
        "arith_checkable": truth.get("arith_checkable"),
        "risk": risk_of(values),
        "by_rule": round(float(rule.max(initial=0)), 4),
        "by_identities": round(float(rule[_of_checks(example, IDENTITIES)].max(initial=0)), 4),
        "by_sums": round(float(_digits(example).max(initial=0)), 4),
        "by_kind": {
            kind: round(float(values[of_kind == number].max()), 4)
            for number, kind in enumerate(KINDS)
            if example.part == "own" and (of_kind == number).any()
        },
        "kinds": kinds,
        "right": [bool(example.right[i]) for i in top],
        "raised": bool(example.right.any()),
        "shown": example.shown,
        **{f"without {name}": risk_of(found) for name, found in more.items()},
    }


def make(data: Path, config: Mapping[str, Any]) -> tuple[list[Example], dict[int, Experience]]:
    """Read the filings, put errors into copies, and describe the doubts of all."""
    records = list(sound(data))
    pages = [summed(sheets(read(record))) for record in records]
    say(f"{len(records)} filings are read")
    wrong = wrong_on_the_page(data, {record["id"]: record for record in records})
    kept = [i for i, record in enumerate(records) if record["id"] not in wrong]
    taught = experiences([records[i] for i in kept], [pages[i] for i in kept], range(FOLDS))
    say("what other companies do is learned")
    errors = config["errors"]
    every: list[Example] = []
    for number, (record, of_filing) in enumerate(zip(records, pages, strict=True), 1):
        experience = taught[fold_of(record["cik"])]
        if record["id"] in wrong:
            every.append(described(record, of_filing, experience, None, "corrected"))
            continue
        every += examples(record, of_filing, experience, errors)
        every += headlines(record, experience, errors["of_headlines"])
        if number % 100 == 0:
            say(f"{number} filings are described, {len(every)} with those spoiled")
    return every, taught


def dismissed(data: Path, file: Path, taught: Mapping[int, Experience]) -> list[Example]:
    """What analysts dismissed as lawful. Raises ValueError for a file that can't be read."""
    known = companies(sound(data))
    found = [lawful(lesson, taught, known) for lesson in read_lessons(file)]
    doubts = sum(len(one.rows) for one in found)
    say(f"{doubts} doubts about {len(found)} filings were dismissed, and are learned as lawful")
    return found


def apart_from(data: Path, taught: Mapping[int, Experience]) -> list[Example]:
    """The development filings and those of FinVerBench, described but not learned from."""
    found = [
        described(record, summed(sheets(read(record))), taught[fold_of(record["cik"])], truth,
                  "development")
        for record, truth in development(data)
    ]  # fmt: skip
    return found + [
        published(instance, taught[fold_of(instance.company)])
        for instance in shortened_statements(data)
    ]


def main() -> None:
    """Read the command line, learn, and write predictions and the artefact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    parser.add_argument("--out", type=Path, help="folder of the artefacts")
    parser.add_argument("--config", type=Path, default=FOLDER / "config.toml")
    parser.add_argument("--dismissed", type=Path, help="what `smallprint dismissed` printed")
    parser.add_argument("--ablations", action="store_true", help="learn without some columns too")
    arguments = parser.parse_args()
    config = tomllib.loads(arguments.config.read_text(encoding="utf-8"))
    every, taught = make(arguments.data / "finance", config)
    if arguments.dismissed:
        every += dismissed(arguments.data / "finance", arguments.dismissed, taught)
    apart = apart_from(arguments.data / "finance", taught)
    said = chances(every, apart, config, config["forest"]["seeds"])
    unbelieved = config["operation"]["unbelieved"]
    odds = odds_of_headlines(every, said, config["operation"])
    found = all_weighed([*every, *apart], said, unbelieved, odds)
    risks = np.array([risk_of(v) for v, e in zip(found, every, strict=False)
                      if e.truth is None and e.part == "own"])  # fmt: skip
    if arguments.out:
        save(every, taught[-1], config, risks, odds, arguments.out)
    path = arguments.config.parent / "predictions.jsonl.gz"
    keep(path, every, apart, found, {}, config["version"])
    if arguments.ablations:
        seeds = config["forest"]["seeds"]
        less = {
            name: all_weighed(
                [*every, *apart],
                chances(every, apart, config, seeds, some),
                unbelieved if "by_rule" not in some else 1.0,
                odds,
            )
            for name, some in WITHOUT.items()
        }
        keep(path, every, apart, found, less, config["version"])


def keep(
    path: Path,
    every: Sequence[Example],
    apart: Sequence[Example],
    found: Sequence[Floats],
    less: Mapping[str, Sequence[Floats]],
    version: str,
) -> None:
    """Write what was predicted of each filing, also by the forests that were told less."""
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        for i, example in enumerate([*every, *apart]):
            if example.part in ("hard", PART):
                continue
            more = {name: values[i] for name, values in less.items()}
            line = record_of(example, found[i], more) | {
                "fold": example.fold,
                "set": example.part,
                "version": version,
            }
            file.write(json.dumps(line).encode() + b"\n")
    say(f"{path} is written")


def save(
    every: Sequence[Example],
    experience: Experience,
    config: Mapping[str, Any],
    risks: NDArray[Any],
    odds: float,
    out: Path,
) -> None:
    """Learn on all companies, and write the artefact; `risks` are those of unseen sound filings."""
    forest = learned(every, config, config["forest"]["seeds"])
    write(
        out / NAME / config["version"],
        graph(forest, len(COLUMNS)).SerializeToString(),
        experience,
        config["version"],
        flagged=threshold(risks, config["operation"]["false_alarms"]),
        shown=threshold(risks, config["operation"]["shown"]),
        unbelieved=config["operation"]["unbelieved"],
        headlines=odds,
        licence=config["data"]["licence"],
    )
    say("the artefact is written")


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
