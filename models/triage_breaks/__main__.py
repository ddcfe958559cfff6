"""Learn which suspects of a filing are errors, from errors injected into sound filings.

    python -m models.triage_breaks --data FOLDER [--out models/artefacts] [--config FILE]
                            [--dismissed FILE]

FOLDER has finance/. Each filing is scored by a forest and by learned patterns without its company's
fold. These predictions decide the operating point and are written to `predictions.jsonl.gz` (risks
and positions, no text) for `models.triage_breaks.scores`. FILE is the output of `smallprint
dismissed`: breaks that analysts dismissed with a reason are learned as lawful, and not counted. The
shipped forest is trained on all companies with the same recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.files import command, read_config, say, write_lines
from models.forest import Booster, Floats, fit_forest, graph, predict
from models.triage_breaks.corrected import wrong_filings
from models.triage_breaks.dismissed import PART, companies, lawful, read_lessons
from models.triage_breaks.filings import FOLDER, FOLDS, development, fold_of, read, sound
from models.triage_breaks.finverbench import shortened_statements
from models.triage_breaks.injections import OTHERS, Truth
from models.triage_breaks.scores import threshold
from models.triage_breaks.suspects import (
    Example,
    described,
    examples,
    experiences,
    headlines,
    published,
    summed,
)
from services.triage.checks.classifier import NAME, adjust_probabilities, write
from services.triage.checks.suspects import COLUMNS, KINDS
from services.triage.relations.learned_sums import LearnedPatterns
from services.triage.relations.relations import statement_views

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
"""The parts that are trained on."""


def lesson(some: Sequence[Example], weights: Mapping[str, float]) -> tuple[Any, Any, Any]:
    """Return rows [N, COLUMNS], target [N] and weights [N] of filings."""
    rows = np.concatenate([e.rows for e in some])
    right = np.concatenate([e.right for e in some])
    by_row = [
        np.full(len(e.right), weights["untouched"])
        if e.truth is None
        else np.where(e.right, _of_kind(e.truth, weights), np.where(e.old, weights["old"], 0.0))
        for e in some
    ]
    weight = np.concatenate(by_row)
    selected = weight > 0
    return rows[selected], right[selected], weight[selected]


def _of_kind(truth: Truth, weights: Mapping[str, float]) -> float:
    return weights["others"] if truth["type"] in OTHERS else 1.0


def learned(
    some: Sequence[Example], config: Mapping[str, Any], without: Sequence[str] = ()
) -> list[Booster]:
    """Train a forest, several fits to be averaged; the columns `without` are blanked."""
    taught = [e for e in some if e.part in LEARNED]
    rows, right, weight = lesson(taught, config["weights"])
    rows[:, [COLUMNS.index(name) for name in without]] = 0
    return fit_forest(rows, right, config["forest"], weight)


def chances(
    every: Sequence[Example],
    unseen: Sequence[Example],
    config: Mapping[str, Any],
    without: Sequence[str] = (),
) -> list[Floats]:
    """Return the probabilities of each filing's suspects, by a forest without its fold."""
    judged = [*every, *unseen]
    result: list[Floats] = [np.zeros(0, np.float32)] * len(judged)
    for fold in range(FOLDS):
        forest = learned([e for e in every if e.fold != fold], config, without)
        for i, example in enumerate(judged):
            if example.fold == fold and len(example.rows):
                rows = example.rows.copy()
                rows[:, [COLUMNS.index(name) for name in without]] = 0
                result[i] = predict(forest, rows)
        say(f"fold {fold} is judged")
    return result


def odds_of_headlines(
    every: Sequence[Example], probabilities: Sequence[Floats], operation: Mapping[str, float]
) -> float:
    """Return the factor on the odds of headlines that flags the intended share of sound ones."""
    limits = []
    for part, share in (("own", "false_alarms"), ("headlines", "false_alarms_of_headlines")):
        some = [
            risk_of(adjust_probabilities(e.rows, values, operation["unbelieved"], 1.0))
            for e, values in zip(every, probabilities, strict=False)
            if e.part == part and e.truth is None
        ]
        at = threshold(np.array(some or [0.5]), operation[share])
        limits.append(at / (1 - at))
    return round(limits[0] / limits[1], 2)


def all_weighed(
    some: Sequence[Example], probabilities: Sequence[Floats], unbelieved: float, headlines: float
) -> list[Floats]:
    """Return the weighed probabilities of each filing's suspects, as they are served."""
    return [
        adjust_probabilities(example.rows, values, unbelieved, headlines)
        for example, values in zip(some, probabilities, strict=True)
    ]


def risk_of(values: Floats) -> float:
    """Return the risk of a filing: the probability of its likeliest suspect."""
    return round(float(values.max()), 4) if len(values) else 0.0


IDENTITIES = ("balance_equation", "cash_flow_change", "cash_roll_forward", "cash_between_periods",
              "cash_agrees", "net_income_agrees")  # fmt: skip
"""Checks of common accounting identities."""
SUMS = ("balance_sheet_sums", "income_sums", "cash_flow_sums")


def _of_checks(example: Example, names: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each suspect [N] is about a relation of one of the named checks."""
    columns = [COLUMNS.index(f"check_{name}") for name in names]
    return np.asarray((example.rows[:, columns] > 0).any(axis=1), np.bool_)


def _digits(example: Example) -> Floats:
    """Return the digits in which each broken sum agrees in other columns [N]."""
    of_cells = example.rows[:, COLUMNS.index("kind")] == KINDS.index("cell")
    supported = example.rows[:, COLUMNS.index("support")] > 0
    comparable = _of_checks(example, SUMS) & of_cells & supported
    digits: Floats = np.where(comparable, example.rows[:, COLUMNS.index("digits")], 0.0)
    return digits


def record_of(example: Example, values: Floats, more: Mapping[str, Floats]) -> dict[str, Any]:
    """Return the stored form of a prediction."""
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
        **{f"without {name}": risk_of(result) for name, result in more.items()},
    }


def make(data: Path, config: Mapping[str, Any]) -> tuple[list[Example], dict[int, LearnedPatterns]]:
    """Read the filings, inject errors into copies, and describe the suspects of all."""
    records = list(sound(data))
    pages = [summed(statement_views(read(record))) for record in records]
    say(f"{len(records)} filings read")
    wrong = wrong_filings(data, {record["id"]: record for record in records})
    selected = [i for i, record in enumerate(records) if record["id"] not in wrong]
    taught = experiences([records[i] for i in selected], [pages[i] for i in selected], range(FOLDS))
    say("what other companies do is learned")
    errors = config["errors"]
    every: list[Example] = []
    for number, (record, of_filing) in enumerate(zip(records, pages, strict=True), 1):
        patterns = taught[fold_of(record["cik"])]
        if record["id"] in wrong:
            every.append(described(record, of_filing, patterns, None, "corrected"))
            continue
        every += examples(record, of_filing, patterns, errors)
        every += headlines(record, patterns, errors["of_headlines"])
        if number % 100 == 0:
            say(f"{number} filings are described, {len(every)} with those spoiled")
    return every, taught


def dismissed(data: Path, file: Path, taught: Mapping[int, LearnedPatterns]) -> list[Example]:
    """Return the breaks that analysts dismissed as lawful. Raises ValueError for a bad file."""
    numbers = companies(sound(data))
    result = [lawful(lesson, taught, numbers) for lesson in read_lessons(file)]
    doubts = sum(len(entry.rows) for entry in result)
    say(f"{doubts} suspects in {len(result)} filings were dismissed and are learned as correct")
    return result


def apart_from(data: Path, taught: Mapping[int, LearnedPatterns]) -> list[Example]:
    """Describe the development filings and those of FinVerBench, which are not trained on."""
    result = []
    for record, truth in development(data):
        views, patterns = summed(statement_views(read(record))), taught[fold_of(record["cik"])]
        result.append(described(record, views, patterns, truth, "development"))
    return result + [
        published(instance, taught[fold_of(instance.company)])
        for instance in shortened_statements(data)
    ]


def main() -> None:
    """Read the command line, train, and write predictions and the artefact."""
    parser = command(__doc__, "--data")
    parser.add_argument("--out", type=Path, help="folder of the artefacts")
    parser.add_argument("--config", type=Path, default=FOLDER / "config.toml")
    parser.add_argument("--dismissed", type=Path, help="what `smallprint dismissed` printed")
    parser.add_argument("--ablations", action="store_true", help="learn without some columns too")
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    every, taught = make(arguments.data / "finance", config)
    if arguments.dismissed:
        every += dismissed(arguments.data / "finance", arguments.dismissed, taught)
    apart = apart_from(arguments.data / "finance", taught)
    probabilities = chances(every, apart, config)
    unbelieved = config["operation"]["unbelieved"]
    odds = odds_of_headlines(every, probabilities, config["operation"])
    result = all_weighed([*every, *apart], probabilities, unbelieved, odds)
    risks = np.array([risk_of(v) for v, e in zip(result, every, strict=False)
                      if e.truth is None and e.part == "own"])  # fmt: skip
    if arguments.out:
        save(every, taught[-1], config, risks, odds, arguments.out)
    path = arguments.config.parent / "predictions.jsonl.gz"
    keep(path, every, apart, result, {}, config["version"])
    if arguments.ablations:
        less = {}
        for name, some in WITHOUT.items():
            believed = 1.0 if "by_rule" in some else unbelieved
            less_known = chances(every, apart, config, some)
            less[name] = all_weighed([*every, *apart], less_known, believed, odds)
        keep(path, every, apart, result, less, config["version"])


def keep(
    path: Path,
    every: Sequence[Example],
    apart: Sequence[Example],
    result: Sequence[Floats],
    less: Mapping[str, Sequence[Floats]],
    version: str,
) -> None:
    """Write the predictions of each filing, also those made without some columns."""
    lines = (
        record_of(example, result[i], {name: values[i] for name, values in less.items()})
        | {"fold": example.fold, "set": example.part, "version": version}
        for i, example in enumerate([*every, *apart])
        if example.part not in ("hard", PART)
    )
    write_lines(path, lines)
    say(f"{path} is written")


def save(
    every: Sequence[Example],
    patterns: LearnedPatterns,
    config: Mapping[str, Any],
    risks: NDArray[Any],
    odds: float,
    out: Path,
) -> None:
    """Train on all companies, and write the artefact; `risks` are those of unseen sound filings."""
    forest = learned(every, config)
    write(
        out / NAME / config["version"],
        graph(forest, len(COLUMNS)).SerializeToString(),
        patterns,
        config["version"],
        flagged=threshold(risks, config["operation"]["false_alarms"]),
        shown=threshold(risks, config["operation"]["shown"]),
        unbelieved=config["operation"]["unbelieved"],
        headlines=odds,
        licence=config["data"]["licence"],
    )
    say("the artefact is written")


if __name__ == "__main__":
    main()
