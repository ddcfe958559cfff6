"""Write figures and card of the predictions on unseen companies.

    python -m models.triage_breaks.scores

Includes the results of `models.triage_breaks.baselines`, `models.triage_breaks.corrected` and
`models.triage_breaks.implied_shares`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.card import write_cards
from models.evaluation.reliability import compared, cross_fitted, errors_of
from models.files import command, read_config, read_json, read_lines, write_json
from models.triage_breaks import curve, reading
from models.triage_breaks.corrections import CORRECTED, IMPLIED, of_corrections
from models.triage_breaks.curve import SHARES, Companies, Prediction, Score, limit
from models.triage_breaks.filings import FOLDER, fold_of
from models.triage_breaks.injections import AS_DEVELOPMENT


def predictions(folder: Path) -> list[Prediction]:
    """Read the committed predictions."""
    return list(read_lines(folder / "predictions.jsonl.gz"))


def threshold(sound: NDArray[np.float64], share: float) -> float:
    """Return the least risk, to four places, that flags at most this share of sound filings."""
    return round(limit(sound, share) + 0.0001, 4)


def like_development(some: Iterable[Prediction]) -> list[Prediction]:
    """Return the filings with an error type of the development filings."""
    return [p for p in some if p["type"] in AS_DEVELOPMENT]


def found_at(
    every: Sequence[Prediction], score: Score, of: Sequence[Prediction] | None = None
) -> dict[str, float]:
    """Return the share found at each share of false alarms."""
    sound = np.array([score(p) for p in every if p["type"] is None])
    wrong = np.array([score(p) for p in (like_development(every) if of is None else of)])
    return {
        f"{share:.0%}": float((wrong > limit(sound, share)).sum() / max(len(wrong), 1))
        for share in SHARES
    }


def risk(p: Prediction) -> float:
    """Return the risk by the forest."""
    return float(p["risk"])


def by_rule(p: Prediction) -> float:
    """Return the risk by the rules' confidences."""
    return float(p["by_rule"])


def of(part: str, every: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions of one part of `models.triage_breaks.suspects.Example`."""
    return [p for p in every if p["set"] == part]


RULES = "our rules alone"
BY_HAND = "without confidences by hand"
"""The forest without the rules' confidences."""
ALL_KINDS = "learned, all kinds"
"""The forest on all kinds of errors, not only those of the development filings."""


def curves(predicted: Sequence[Prediction]) -> dict[str, Any]:
    """Return the curves of each part: of the forest, the rules, and a forest without the rules."""
    scores: dict[str, Score] = {"learned": risk, RULES: by_rule}
    if BY_HAND in predicted[0]:
        scores[BY_HAND] = _field(BY_HAND)
    result = {
        part: {
            name: curve.figures(Companies.of(of(part, predicted), score, AS_DEVELOPMENT))
            for name, score in scores.items()
        }
        for part in ("own", "development")
    }
    own = of("own", predicted)
    kinds = {p["type"] for p in own if p["type"]}
    result["own"][ALL_KINDS] = curve.figures(Companies.of(own, risk, kinds))
    return result


def figures(folder: Path, predicted: Sequence[Prediction], share: float) -> dict[str, Any]:
    """Return all figures of the card."""
    every = of("own", predicted)
    sound = np.array([risk(p) for p in every if p["type"] is None])
    at = limit(sound, share)
    wrong = [p for p in every if p["type"]]
    types = sorted({p["type"] for p in wrong}, key=lambda t: (t not in AS_DEVELOPMENT, t))
    flagged = [p for p in like_development(wrong) if risk(p) > at]
    rules: dict[str, Score] = {
        RULES: by_rule,
        "our doubts of identities alone": _field("by_identities"),
        "our doubts of sums alone": _field("by_sums"),
    }
    scores = {"learned": risk, **rules}
    scores |= {key: _field(key) for key in every[0] if key.startswith("without ")}
    kinds = sorted({kind for p in every for kind in p["by_kind"]})
    counted = like_development(wrong)
    alarms = Counter(p["kinds"][0] for p in every if p["type"] is None and risk(p) > at)
    return {
        "filings": len(sound),
        "operation": share,
        "false_alarms": int((sound > at).sum()),
        "flagged": len(flagged),
        "companies": len({p["company"] for p in every}),
        "injected": len(counted),
        "threshold": round(at, 4),
        "found": {name: found_at(every, score) for name, score in scores.items()},
        "whatever breaks": {
            name: [
                sum(score(p) > 0 for p in some) / max(len(some), 1)
                for some in ([p for p in every if p["type"] is None], counted)
            ]
            for name, score in rules.items()
        },
        "without doubts": {kind: found_at(every, _but(kind)) for kind in kinds},
        "curves": curves(predicted),
        "types": {
            t: {
                "injected": sum(p["type"] == t for p in wrong),
                **found_at(every, risk, [p for p in wrong if p["type"] == t]),
                "rules at 2%": found_at(every, by_rule, [p for p in wrong if p["type"] == t])["2%"],
            }
            for t in types
        },
        "missed": {
            t: [
                sum(p["raised"] is raised for p in counted if p["type"] == t and risk(p) <= at)
                for raised in (False, True)
            ]
            for t in types
            if t in AS_DEVELOPMENT
        },
        "checkable": {
            name: {"injected": len(some), **found_at(every, risk, some)}
            for name, some in (
                ("in a sum", [p for p in counted if p["arith_checkable"]]),
                ("in none", [p for p in counted if not p["arith_checkable"]]),
            )
        },
        "place_right": sum(any(p["right"]) for p in flagged) / max(len(flagged), 1),
        "calibration": calibration([*(p for p in every if p["type"] is None), *counted]),
        "alarms": dict(alarms.most_common()),
        "headlines": _of_headlines(of("headlines", predicted), at),
        "finverbench": _of_finverbench(of("finverbench", predicted), at),
        "development": _of_development(of("development", predicted), at),
        "corrected": of_corrections(_other_results(folder / CORRECTED), predicted, at),
        "reading": reading.figures(folder, every, risk),
        "implied_shares": _other_results(folder / IMPLIED),
    }


MAPS = ("none", "isotonic, pooled", "Platt, pooled", "beta, pooled")
"""Compared maps; by kind of suspect there are too few examples."""


def calibration(some: Sequence[Prediction]) -> dict[str, Any]:
    """Return the calibration of a filing's likeliest suspect: whether it names the error.

    At the mix of the predictions, where most filings have an error, and without filings that have
    no suspect. Maps are fitted on the companies of other folds.
    """
    doubted = [p for p in some if p["right"]]
    chance = np.array([risk(p) for p in doubted])
    right = np.array([float(p["type"] is not None and p["right"][0]) for p in doubted])
    folds = np.array([fold_of(p["company"]) for p in doubted])
    label = np.zeros(len(doubted), np.int64)
    sound = np.array([p["type"] is None for p in doubted])
    platt = cross_fitted("Platt, pooled", chance, right, label, folds)
    return {
        "untouched": int(sound.sum()),
        "injected": int((~sound).sum()),
        "chances": {
            "as shipped": errors_of(chance, right),
            "by Platt's map": errors_of(platt, right),
        },
        "maps": compared(chance, right, label, folds, MAPS),
    }


def _but(kind: str) -> Score:
    """Return the forest's risk function without one kind of suspect."""
    return lambda p: max((v for name, v in p["by_kind"].items() if name != kind), default=0.0)


def _field(key: str) -> Score:
    return lambda p: float(p[key])


def _of_part(some: Sequence[Prediction], at: float) -> dict[str, Any]:
    """Return the false alarms, and the errors found by type."""
    sound = [p for p in some if p["type"] is None]
    injected = Counter(p["type"] for p in some if p["type"])
    found = Counter(p["type"] for p in some if p["type"] and risk(p) > at)
    return {
        "untouched": len(sound),
        "false_alarms": sum(risk(p) > at for p in sound),
        "injected": injected.total(),
        "found": found.total(),
        "types": {kind: [found[kind], injected[kind]] for kind in sorted(injected)},
    }


def _of_development(some: Sequence[Prediction], at: float) -> dict[str, Any]:
    flagged = [p for p in some if p["type"] and risk(p) > at]
    return _of_part(some, at) | {"place_right": sum(any(p["right"]) for p in flagged)}


def _of_headlines(some: Sequence[Prediction], at: float) -> dict[str, Any]:
    wrong = [p for p in some if p["type"]]
    return _of_part(some, at) | {"rates": found_at(some, risk, wrong) if some else {}}


def _of_finverbench(some: Sequence[Prediction], at: float) -> dict[str, Any]:
    """Return the results of `_of_part`, and why errors were missed."""
    missed = [p for p in some if p["type"] and risk(p) <= at]
    return _of_part(some, at) | {
        "shown": sum(p["shown"] for p in some if p["type"]),
        "not_shown": sum(not p["shown"] for p in missed),
        "not_raised": sum(p["shown"] and not p["raised"] for p in missed),
        "not_believed": sum(p["shown"] and p["raised"] for p in missed),
    }


def _other_results(path: Path) -> dict[str, Any]:
    """Return the result of another program; empty if it is missing."""
    return read_json(path) if path.exists() else {}


def main() -> None:
    """Read the command line and write `scores.json` and the card."""
    parser = command(__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the predictions")
    arguments = parser.parse_args()
    every = predictions(arguments.folder)
    config = read_config(arguments.folder)
    result = figures(arguments.folder, every, config["operation"]["false_alarms"])
    write_json(arguments.folder / "scores.json", result)
    drawing = curve.drawing_of(arguments.folder)
    (arguments.folder / curve.FILE).write_text(drawing, encoding="utf-8")
    write_cards(arguments.folder)
    print(result["found"])


if __name__ == "__main__":
    main()
