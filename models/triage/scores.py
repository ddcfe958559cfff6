"""Make figures and the card of predictions on companies that were not learned from.

    python -m models.triage.scores --data FOLDER

FOLDER holds finance/, for the errors that companies corrected later (revisions.jsonl).
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

from models.triage.injections import AS_DEVELOPMENT

FOLDER = Path(__file__).resolve().parent.parent / "triage-breaks"
SHARES = (0.01, 0.02, 0.05, 0.10)
DRAWS = 500
"""Draws of companies for an interval."""

Prediction = Mapping[str, Any]
Score = Callable[[Prediction], float]


def predictions(folder: Path) -> list[Prediction]:
    """Read the predictions that were written beside the config."""
    with gzip.open(folder / "predictions.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


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


def figures(data: Path, every: Sequence[Prediction], development: Sequence[Prediction]
            ) -> dict[str, Any]:  # fmt: skip
    """Everything that the card shows."""
    sound = np.array([risk(p) for p in every if p["type"] is None])
    at = limit(sound, 0.02)
    wrong = [p for p in every if p["type"]]
    types = sorted({p["type"] for p in wrong})
    flagged = [p for p in like_development(wrong) if risk(p) > at]
    ways: dict[str, Score] = {"learned": risk, "rules alone": by_rule}
    ways |= {key: _field(key) for key in every[0] if key.startswith("without ")}
    known = like_development(wrong)
    return {
        "filings": len(sound),
        "companies": len({p["company"] for p in every}),
        "injected": len(known),
        "threshold": round(at, 4),
        "found": {name: found_at(every, score) for name, score in ways.items()},
        "interval_at_2%": interval(every, risk, 0.02),
        "types": {
            t: {
                "injected": sum(p["type"] == t for p in wrong),
                **found_at(every, risk, [p for p in wrong if p["type"] == t]),
                "rules at 2%": found_at(every, by_rule, [p for p in wrong if p["type"] == t])["2%"],
            }
            for t in types
        },
        "checkable": {
            name: {"injected": len(some), **found_at(every, risk, some)}
            for name, some in (
                ("in a sum", [p for p in known if p["arith_checkable"]]),
                ("in none", [p for p in known if not p["arith_checkable"]]),
            )
        },
        "place_right": sum(any(p["right"]) for p in flagged) / max(len(flagged), 1),
        "alarms": _alarms([p for p in every if p["type"] is None and risk(p) > at]),
        "development": _of_development(development, at),
        "corrected": corrected(data, every, at),
    }


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


def corrected(data: Path, every: Sequence[Prediction], at: float) -> dict[str, Any]:
    """Filings with an error that the company corrected later: how many are flagged."""
    risks = {p["id"]: risk(p) for p in every if p["type"] is None}
    companies: dict[str, dict[str, bool]] = defaultdict(dict)
    with (data / "finance" / "revisions.jsonl").open("rb") as lines:
        for line in lines:
            item = json.loads(line)
            accession = item["first"]["accession"]
            if item["kind"] in ("scale_1000x", "sign_flip") and accession in risks:
                companies[item["company"]][accession] = risks[accession] > at
    return {
        name: [sum(filings.values()), len(filings)] for name, filings in sorted(companies.items())
    }


def card(f: Mapping[str, Any], version: str) -> str:
    """The card, from the figures."""
    found = f["found"]["learned"]
    low, high = f["interval_at_2%"]
    ways = "\n".join(
        f"| {name} | " + " | ".join(f"{values[f'{s:.0%}']:.1%}" for s in SHARES) + " |"
        for name, values in f["found"].items()
    )
    types = "\n".join(
        f"| {t} | {v['injected']} | {v['2%']:.1%} | {v['5%']:.1%} | {v['rules at 2%']:.1%} |"
        for t, v in f["types"].items()
    )
    checkable = "\n".join(
        f"| {name} | {v['injected']} | {v['2%']:.1%} | {v['5%']:.1%} |"
        for name, v in f["checkable"].items()
    )
    alarms = "\n".join(f"| {name} | {count} |" for name, count in f["alarms"].items())
    d = f["development"]
    of_development = "\n".join(
        f"| {t} | {hits}/{count} |" for t, (hits, count) in d["types"].items()
    )
    corrections = "\n".join(
        f"| {name} | {hits}/{count} |" for name, (hits, count) in f["corrected"].items()
    )
    return f"""# triage-breaks {version}

Made by `python -m models.triage.scores` from the predictions in this folder.

**What it decides, and for whom.** Whether what does not add up in a financial report is an error or
a matter of presentation, for an analyst who then looks. It gives no audit advice.

**What it is.** A forest of boosted trees over the doubts that a filing raises
(`services/triage/doubts.py`): cells that relations want to be other amounts, totals that lack a
line, exchanged columns, amounts out of proportion, odd signs, lines that stand there twice,
amounts finer than the unit of the page. Each is described by the arithmetic, by the digits, by
what the lines mean in the filings of other companies, and by the confidence by hand. A filing's
risk is the chance of its likeliest doubt.

**Data.** {f["filings"]} untouched filings of {f["companies"]} companies (SEC, public domain), and
copies with one error each, put there by `models/triage/injections.py` in the kinds and shares of
`dev_injected.jsonl`, and some of other kinds. Five folds by company: every figure is of companies
that the forest has not learned from, described by experience of lines without them (the rows that
it learned from were described by experience that left out their own fold alone). What shipped was
learned on all of them with the same recipe. Filings that their company corrected later are among
the untouched ones, and count as false alarms when they are flagged. The threshold, and how much
less counts what no rule believes, were chosen on these very predictions. Errors of one's own making
flatter.

## Found at a share of false alarms

The share of {f["injected"]} filings with an error that is flagged when so many untouched ones are.

| | {" | ".join(f"{s:.0%}" for s in SHARES)} |
| --- | {" | ".join("---" for _ in SHARES)} |
{ways}

At 2% false alarms {found["2%"]:.1%} are found [{low:.1%}, {high:.1%}] (interval by drawing
companies). The goal is 85%. The rows `without …` are forests that were told less. Of those flagged,
a doubt in the top three names the line, or a relation that it takes part in, in
{f["place_right"]:.1%}.

| error | filings | at 2% | at 5% | rules, at 2% |
| --- | --- | --- | --- | --- |
{types}

Kinds that the development filings don't have are not among the figures above this table.

| the line takes part | filings | at 2% | at 5% |
| --- | --- | --- | --- |
{checkable}

## What is flagged among untouched filings at 2%

| first doubt | filings |
| --- | --- |
{alarms}

All are counted as false, whatever the filing itself may have wrong.

## Development filings

At that threshold, judged without their company: {d["false_alarms"]}/{d["untouched"]} untouched
ones are flagged, {d["found"]}/{d["injected"]} with an error are found, with the right place among
the first three in {d["place_right"]}.

| error | found |
| --- | --- |
{of_development}

## Errors that companies corrected later

Filings with an amount that a later filing shows a thousand times larger or smaller, or with the
other sign, by company: flagged of all.

| company | flagged |
| --- | --- |
{corrections}

## Known limits

* A line dropped from a section that other companies lack as well, or whose total is not known.
* A difference that rounding may make, and an amount in no sum, ratio or other statement.
* Filings like those learned from: large companies that file with the SEC, in English.
* Every amount wrong by the same factor.
"""


def main() -> None:
    """Read the command line and write `scores.json` and the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the predictions")
    arguments = parser.parse_args()
    every = predictions(arguments.folder)
    own = [p for p in every if p["set"] == "own"]
    development = [p for p in every if p["set"] == "development"]
    result = figures(arguments.data, own, development)
    text = json.dumps(result, indent=1) + "\n"
    (arguments.folder / "scores.json").write_text(text, encoding="utf-8")
    version = every[0]["version"]
    (arguments.folder / "CARD.md").write_text(card(result, version), encoding="utf-8")
    print(json.dumps(result["found"], indent=1))


if __name__ == "__main__":
    main()
