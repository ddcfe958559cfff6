"""Make figures and the card of predictions on companies that were not learned from.

    python -m models.triage.scores

What needs the data was written beside the predictions by `models.triage.baselines`,
`models.triage.corrected` and `models.triage.implied_shares`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.reliability import compared, cross_fitted, judged, write_drawing
from models.triage import curve
from models.triage.card import card
from models.triage.corrections import CORRECTED, IMPLIED, of_corrections
from models.triage.curve import SHARES, Companies, Prediction, Score, limit
from models.triage.filings import fold_of
from models.triage.injections import AS_DEVELOPMENT

FOLDER = curve.FOLDER


def read_predictions(path: Path) -> list[Prediction]:
    """Read the predictions of one training."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def predictions(folder: Path) -> list[Prediction]:
    """Read the predictions that were written beside the config."""
    return read_predictions(folder / "predictions.jsonl.gz")


def threshold(sound: NDArray[np.float64], share: float) -> float:
    """The least risk, to four places as risks are, that flags at most this share of sound ones."""
    return round(limit(sound, share) + 0.0001, 4)


def like_development(some: Iterable[Prediction]) -> list[Prediction]:
    """Those with an error of a kind that the development filings have."""
    return [p for p in some if p["type"] in AS_DEVELOPMENT]


def found_at(
    every: Sequence[Prediction], score: Score, of: Sequence[Prediction] | None = None
) -> dict[str, float]:
    """The share found at each share of false alarms."""
    sound = np.array([score(p) for p in every if p["type"] is None])
    wrong = np.array([score(p) for p in (like_development(every) if of is None else of)])
    return {
        f"{share:.0%}": float((wrong > limit(sound, share)).sum() / max(len(wrong), 1))
        for share in SHARES
    }


def risk(p: Prediction) -> float:
    """What the forest says."""
    return float(p["risk"])


def by_rule(p: Prediction) -> float:
    """What the confidences by hand say."""
    return float(p["by_rule"])


def of(part: str, every: Sequence[Prediction]) -> list[Prediction]:
    """The predictions of one part, as `models.triage.doubting.Example` names them."""
    return [p for p in every if p["set"] == part]


RULES = "our rules alone"
BY_HAND = "without confidences by hand"
"""The forest that was told nothing of what was chosen by hand."""


def curves(predicted: Sequence[Prediction]) -> dict[str, Any]:
    """What is found against false alarms, of errors of our own and of the development filings: by
    the forest, by the rules, and, where that was learned, by the forest without what was chosen by
    hand.
    """
    ways: dict[str, Score] = {"learned": risk, RULES: by_rule}
    if BY_HAND in predicted[0]:
        ways[BY_HAND] = _field(BY_HAND)
    return {
        part: {
            name: curve.figures(Companies.of(of(part, predicted), score, AS_DEVELOPMENT))
            for name, score in ways.items()
        }
        for part in ("own", "development")
    }


def figures(folder: Path, predicted: Sequence[Prediction], share: float) -> dict[str, Any]:
    """Everything that the card shows.

    Args:
        folder: holds what was measured beside the predictions.
        predicted: of all filings.
        share: of the untouched filings that may be flagged.
    """
    every = of("own", predicted)
    sound = np.array([risk(p) for p in every if p["type"] is None])
    at = limit(sound, share)
    wrong = [p for p in every if p["type"]]
    types = sorted({p["type"] for p in wrong})
    flagged = [p for p in like_development(wrong) if risk(p) > at]
    beside: dict[str, Score] = {
        RULES: by_rule,
        "our doubts of identities alone": _field("by_identities"),
        "our doubts of sums alone": _field("by_sums"),
    }
    ways = {"learned": risk, **beside}
    ways |= {key: _field(key) for key in every[0] if key.startswith("without ")}
    kinds = sorted({kind for p in every for kind in p["by_kind"]})
    known = like_development(wrong)
    return {
        "filings": len(sound),
        "operation": share,
        "false_alarms": int((sound > at).sum()),
        "flagged": len(flagged),
        "companies": len({p["company"] for p in every}),
        "injected": len(known),
        "threshold": round(at, 4),
        "found": {name: found_at(every, score) for name, score in ways.items()},
        "whatever breaks": {
            name: [
                sum(score(p) > 0 for p in some) / max(len(some), 1)
                for some in ([p for p in every if p["type"] is None], known)
            ]
            for name, score in beside.items()
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
                sum(p["raised"] is raised for p in known if p["type"] == t and risk(p) <= at)
                for raised in (False, True)
            ]
            for t in types
            if t in AS_DEVELOPMENT
        },
        "checkable": {
            name: {"injected": len(some), **found_at(every, risk, some)}
            for name, some in (
                ("in a sum", [p for p in known if p["arith_checkable"]]),
                ("in none", [p for p in known if not p["arith_checkable"]]),
            )
        },
        "place_right": sum(any(p["right"]) for p in flagged) / max(len(flagged), 1),
        "calibration": calibration([*(p for p in every if p["type"] is None), *known]),
        "alarms": _alarms([p for p in every if p["type"] is None and risk(p) > at]),
        "headlines": _of_headlines(of("headlines", predicted), at),
        "finverbench": _of_finverbench(of("finverbench", predicted), at),
        "development": _of_development(of("development", predicted), at),
        "corrected": of_corrections(_kept(folder / CORRECTED), predicted, at),
        "implied_shares": _kept(folder / IMPLIED),
    }


MAPS = ("none", "isotonic, pooled", "Platt, pooled", "beta, pooled")
"""Maps that are compared: by kind of doubt most kinds have too few."""


def calibration(some: Sequence[Prediction]) -> dict[str, Any]:
    """What the chance of a filing's surest doubt is worth: whether that doubt names the error.

    At the mix of the predictions, where most filings have an error. Filings without a doubt are
    left out. Maps are each fitted on the companies of the other folds.
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
        "chances": {"as shipped": judged(chance, right), "by Platt's map": judged(platt, right)},
        "maps": compared(chance, right, label, folds, MAPS),
    }


def _but(kind: str) -> Score:
    """The risk of the same forest if nothing of a kind is doubted."""
    return lambda p: max((v for name, v in p["by_kind"].items() if name != kind), default=0.0)


def _field(key: str) -> Score:
    return lambda p: float(p[key])


def _alarms(some: Iterable[Prediction]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for p in some:
        counts[p["kinds"][0]] += 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _of_development(some: Sequence[Prediction], at: float) -> dict[str, Any]:
    sound = [p for p in some if p["type"] is None]
    wrong = [p for p in some if p["type"]]
    flagged = [p for p in wrong if risk(p) > at]
    return {
        "untouched": len(sound),
        "false_alarms": sum(risk(p) > at for p in sound),
        "injected": len(wrong),
        "found": len(flagged),
        "place_right": sum(any(p["right"]) for p in flagged),
        "types": {
            t: [sum(p["type"] == t for p in flagged), sum(p["type"] == t for p in wrong)]
            for t in sorted({p["type"] for p in wrong})
        },
    }


def _of_headlines(some: Sequence[Prediction], at: float) -> dict[str, Any]:
    sound = [p for p in some if p["type"] is None]
    wrong = [p for p in some if p["type"]]
    return {
        "untouched": len(sound),
        "false_alarms": sum(risk(p) > at for p in sound),
        "injected": len(wrong),
        "found": sum(risk(p) > at for p in wrong),
        "rates": found_at(some, risk, wrong) if sound else {},
        "types": {
            t: [sum(risk(p) > at for p in wrong if p["type"] == t),
                sum(p["type"] == t for p in wrong)]
            for t in sorted({p["type"] for p in wrong})
        },
    }  # fmt: skip


def _of_finverbench(some: Sequence[Prediction], at: float) -> dict[str, Any]:
    """Found by kind, and why others are not: nothing printed, nothing that breaks, no belief."""
    sound = [p for p in some if p["type"] is None]
    wrong = [p for p in some if p["type"]]
    missed = [p for p in wrong if risk(p) <= at]
    return {
        "untouched": len(sound),
        "false_alarms": sum(risk(p) > at for p in sound),
        "injected": len(wrong),
        "shown": sum(p["shown"] for p in wrong),
        "found": len(wrong) - len(missed),
        "not_shown": sum(not p["shown"] for p in missed),
        "not_raised": sum(p["shown"] and not p["raised"] for p in missed),
        "not_believed": sum(p["shown"] and p["raised"] for p in missed),
        "types": {
            t: [sum(risk(p) > at for p in wrong if p["type"] == t),
                sum(p["type"] == t for p in wrong)]
            for t in sorted({p["type"] for p in wrong})
        },
    }  # fmt: skip


def _kept(path: Path) -> dict[str, Any]:
    """What another program measured; empty before it did."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def main() -> None:
    """Read the command line and write `scores.json` and the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the predictions")
    arguments = parser.parse_args()
    every = predictions(arguments.folder)
    config = tomllib.loads((arguments.folder / "config.toml").read_text(encoding="utf-8"))
    result = figures(arguments.folder, every, config["operation"]["false_alarms"])
    text = json.dumps(result, indent=1) + "\n"
    (arguments.folder / "scores.json").write_text(text, encoding="utf-8")
    version = every[0]["version"]
    beside = curve.read_baselines(arguments.folder)
    (arguments.folder / "CARD.md").write_text(card(result, beside, version), encoding="utf-8")
    write_drawing(arguments.folder, "triage-breaks")
    curve.write_drawing(arguments.folder)
    print(json.dumps(result["found"], indent=1))


if __name__ == "__main__":
    main()
