"""Make figures and the card of predictions on companies that were not learned from.

    python -m models.triage.scores

What needs the data was written beside the predictions by `models.triage.corrected` and
`models.triage.implied_shares`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.reliability import compared, cross_fitted, judged, write_drawing
from models.triage.card import SHARES, card
from models.triage.corrections import CORRECTED, IMPLIED, of_corrections
from models.triage.filings import fold_of
from models.triage.injections import AS_DEVELOPMENT

FOLDER = Path(__file__).resolve().parent.parent / "triage-breaks"
DRAWS = 500
"""Draws of companies for an interval."""

Prediction = Mapping[str, Any]
Score = Callable[[Prediction], float]


def read_predictions(path: Path) -> list[Prediction]:
    """Read the predictions of one training."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def predictions(folder: Path) -> list[Prediction]:
    """Read the predictions that were written beside the config."""
    return read_predictions(folder / "predictions.jsonl.gz")


def limit(sound: NDArray[np.float64], share: float) -> float:
    """The risk above which at most this share of sound filings lies."""
    return float(np.sort(sound)[::-1][int(share * len(sound))])


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


def interval(every: Sequence[Prediction], score: Score, share: float) -> tuple[float, float]:
    """The 95% interval of what is found, drawing companies; each draw has its own threshold."""
    by_company: dict[int, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for p in every:
        if p["type"] is None:
            by_company[p["company"]][0].append(score(p))
        elif p["type"] in AS_DEVELOPMENT:
            by_company[p["company"]][1].append(score(p))
    companies = [(np.array(a), np.array(b)) for a, b in by_company.values()]
    draw = np.random.default_rng(1)
    found = []
    for _ in range(DRAWS):
        chosen = [companies[i] for i in draw.integers(len(companies), size=len(companies))]
        sound = np.concatenate([a for a, _ in chosen])
        wrong = np.concatenate([b for _, b in chosen])
        found.append(float(np.mean(wrong > limit(sound, share))))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def risk(p: Prediction) -> float:
    """What the forest says."""
    return float(p["risk"])


def by_rule(p: Prediction) -> float:
    """What the confidences by hand say."""
    return float(p["by_rule"])


def of(part: str, every: Sequence[Prediction]) -> list[Prediction]:
    """The predictions of one part, as `models.triage.doubting.Example` names them."""
    return [p for p in every if p["set"] == part]


def figures(folder: Path, predicted: Sequence[Prediction]) -> dict[str, Any]:
    """Everything that the card shows; `folder` holds what was measured beside the predictions."""
    every = of("own", predicted)
    sound = np.array([risk(p) for p in every if p["type"] is None])
    at = limit(sound, 0.02)
    wrong = [p for p in every if p["type"]]
    types = sorted({p["type"] for p in wrong})
    flagged = [p for p in like_development(wrong) if risk(p) > at]
    beside: dict[str, Score] = {
        "rules alone": by_rule,
        "identities alone": _field("by_identities"),
        "a search for sums alone": _field("by_sums"),
    }
    ways = {"learned": risk, **beside}
    ways |= {key: _field(key) for key in every[0] if key.startswith("without ")}
    kinds = sorted({kind for p in every for kind in p["by_kind"]})
    known = like_development(wrong)
    return {
        "filings": len(sound),
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
        "interval_at_2%": interval(every, risk, 0.02),
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
    result = figures(arguments.folder, every)
    text = json.dumps(result, indent=1) + "\n"
    (arguments.folder / "scores.json").write_text(text, encoding="utf-8")
    version = every[0]["version"]
    (arguments.folder / "CARD.md").write_text(card(result, version), encoding="utf-8")
    write_drawing(arguments.folder, "triage-breaks")
    print(json.dumps(result["found"], indent=1))


if __name__ == "__main__":
    main()
