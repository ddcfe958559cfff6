"""Write the card of a specialist from what its training and its evaluation left behind.

    python -m models.card models/contract-clauses --artefacts models/artefacts

Reads `config.toml`, `scores.json`, `comparison.json`, `baseline.json` and `training.json` of the
specialist, and its newest shipped manifest; writes `CARD.md`. No figure of ours is typed
by hand; those published by others name their source.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from shared.inference.adapters import (
    ADAPTER_FILE,
    MANIFEST_FILE,
    Manifest,
    newest_version,
    read_manifest,
)

CARD = """# contract-clauses

{what}

| | |
| --- | --- |
| version | {version} |
| base | all-MiniLM-L6-v2 (Apache-2.0) in INT4, sha256 `{base}` |
| adapter | LoRA rank {rank} on every linear layer, and one head; {size:.1f} MB |
| labels | {labels} categories of CUAD |
| decides | a probability for every token and category, in windows of {length} tokens |
| licence of the adapter | {licence} |

## For whom, and what it is not

For people who review commercial contracts under United States practice and want to be taken to
the passages that matter. It proposes; a person decides. **It gives no legal advice**, and that it
finds nothing does not mean that there is nothing.

## Data

CUAD v1, the Contract Understanding Atticus Dataset of The Atticus Project, Inc. (CC BY 4.0;
Hendrycks, Burns, Chen, Ball, 2021, arXiv 2103.06268): the official training part, 408 contracts
from SEC filings with 41 categories marked by lawyers. The labels are not exhaustive, so a right
extra find counts as wrong here. The official 102 test contracts were neither trained nor tuned on.

The figures below are those of {models} ({contracts} contracts of
{families} company families; no family is in two folds). {shipped}
Decoding was chosen among about thirty settings on fold 0, so read the figures as slightly
flattered.

## Scores

The legal metric (`models/metric.py`), pooled over all contracts and categories, computed from the
raw predictions in {files}, which the served path made. Intervals: 95%,
resampling company families. The baseline is TF-IDF of each sentence with one logistic regression
a category, trained on the same contracts (`models/baseline.py`).

{pooled}

Published figures of others, on the official test contracts (so not the same contracts as above):
Claude Opus 4.8 reaches precision 0.711 at recall 0.603 and no recall beyond 0.636
(from the results of the public repository ashish24142/nightwing, by the same metric);
DeBERTa-xlarge fine-tuned on CUAD has an AUPR of 0.478.

### By category

{categories}

Categories with fewer than twenty answers say very little.

## Calibration

A confidence is meant as the chance that the passage matches what the annotators marked. One
strictly rising map for all categories (isotonic regression on these candidates) keeps the
ranking. Expected calibration error of candidates from 0.05 up, ten bins: {ece_before:.3f} before,
{ece_after:.3f} after (fitted on other families than it is measured on). By default clauses above
{threshold:g} are shown, the threshold of the best F1.

## INT4 against full precision

{comparison}

## Known failures

Wrong, yet sure:

{wrong}

Missed:

{missed}

Beyond these: passages that a page break cuts in two are one clause here and two in the data;
categories that concern a whole section (licences, liability) are often found in part; scanned,
non-English and non-contract documents are out of scope.

## How to make it again

{commands}

Trained in {minutes} minutes on two processor cores ({number_type}, {steps} steps).{remark}
"""

SAME = """The shipped adapter is this very
model, trained on {trained} contracts; calibration and thresholds were learned on that fold."""

RETRAINED = """The shipped adapter is
trained on {trained} contracts with the same recipe, and carries the calibration and thresholds
learned there: what is said here is exact for the models of the folds and assumed for the shipped
one."""

WHAT = """Finds in a contract, in one pass, the passages of 41 categories that lawyers look for:
parties and dates, term and renewal, assignment, exclusivity, licences, liability and more."""

COMMANDS = """```
make specialists LEGAL=FOLDER VERSION={version}
python -m models.evaluate models/contract-clauses --data FOLDER
```

The first goes from the data to the shipped files and this card, in hours; every step and its
settings are in `models/specialists.py` and `config.toml`. The second scores the raw predictions
again, in minutes."""

NAMES = {
    "aupr": "AUPR",
    "precision_at_recall_0.8": "precision at recall 0.8",
    "best_f1": "best F1",
    "precision_at_recall_0.603": "precision at recall 0.603",
    "highest_recall": "highest recall",
}


def table(header: list[str], rows: list[list[str]]) -> str:
    """Lay out a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def pooled_table(scores: dict[str, Any], baseline: dict[str, Any] | None) -> str:
    """The pooled figures with intervals, beside the baseline."""
    header = ["", "specialist", "95% interval"]
    if baseline:
        header.append("baseline")
    rows = []
    for key, name in NAMES.items():
        low, high = scores["intervals"][key]
        row = [name, f"{scores['pooled'][key]:.3f}", f"{low:.3f} to {high:.3f}"]
        rows.append(row + ([f"{baseline['pooled'][key]:.3f}"] if baseline else []))
    return table(header, rows)


def category_table(scores: dict[str, Any]) -> str:
    """One row a category: how much there was, and how well it went."""
    header = [
        "category",
        "answers",
        "contracts",
        "AUPR",
        "95% interval",
        "best F1",
        "highest recall",
    ]
    rows = []
    for name, values in scores["labels"].items():
        row = [name, str(values["answers"]), str(values["contracts"])]
        if values["answers"]:
            low, high = values["aupr_interval"]
            row += [f"{values['aupr']:.2f}", f"{low:.2f} to {high:.2f}"]
            row += [f"{values['best_f1']:.2f}", f"{values['highest_recall']:.2f}"]
        else:
            row += ["none"] * 4
        rows.append(row)
    return table(header, rows)


def comparison_text(comparison: dict[str, Any] | None) -> str:
    """What the served graph differs by from torch, and what that changes."""
    if not comparison:
        return "Not measured for this version."
    rows = [["served INT4 graph", f"{comparison['aupr']['served']:.4f}", "", ""]]
    for form, largest in comparison["largest_difference"].items():
        mean = comparison["mean_difference"][form]
        rows.append([form, f"{comparison['aupr'][form]:.4f}", f"{largest:.2g}", f"{mean:.2g}"])
    intro = (
        f"The same adapter on three forms of the base, over {comparison['contracts']} contracts of "
        f"the fold ({comparison['answers']} answers), without calibration. The adapter was "
        "trained on the de-quantised numbers, not on the original ones.\n\n"
    )
    header = ["", "AUPR", "largest difference of a probability", "mean difference"]
    return intro + table(header, rows)


def models_of(folds: list[int]) -> str:
    """Say which models the figures are of."""
    if len(folds) == 1:
        return f"a model that had not seen fold {folds[0]}"
    return f"{len(folds)} models, each of which had not seen the fold it is scored on"


def examples(found: list[dict[str, Any]]) -> str:
    """A list of examples, each with a few words and its source."""
    return "\n".join(
        f'* {e["category"]}: "{e["words"]} …" ({e["contract"].split("_")[0]}, `{e["id"]}`)'
        for e in found
    )


def card(
    config: dict[str, Any],
    manifest: Manifest,
    size: int,
    found: dict[str, dict[str, Any] | None],
) -> str:
    """Return the text of the card."""
    scores, training = found["scores"], found["training"]
    if not scores or not training:
        raise SystemExit("scores.json and training.json are needed: run evaluate and export first")
    remark = training.get("remark", "")
    shipped = RETRAINED if training["fold"] == "none" else SAME
    return CARD.format(
        what=WHAT,
        version=manifest.version,
        base=manifest.base_sha256,
        rank=manifest.rank,
        size=size / 1e6,
        labels=len(manifest.labels),
        length=config["windows"]["length"],
        licence=manifest.licence,
        models=models_of(scores["folds"]),
        files=", ".join(f"`predictions-fold{fold}.jsonl.gz`" for fold in scores["folds"]),
        contracts=scores["contracts"],
        families=scores["families"],
        shipped=shipped.format(trained=training["contracts"]),
        pooled=pooled_table(scores, found["baseline"]),
        categories=category_table(scores),
        ece_before=scores["calibration_error"]["before"],
        ece_after=scores["calibration_error"]["after"],
        threshold=scores["thresholds"]["best_f1"],
        comparison=comparison_text(found["comparison"]),
        wrong=examples(scores["failures"]["surest_wrong"]),
        missed=examples(scores["failures"]["longest_missed"]),
        commands=COMMANDS.format(version=manifest.version),
        minutes=round(training["seconds"] / 60),
        number_type=training["number_type"],
        steps=training["steps"],
        remark=f" {remark}" if remark else "",
    )


def main() -> None:
    """Read the command line and write the card."""
    parser = argparse.ArgumentParser(description="Write CARD.md from the run.")
    parser.add_argument("specialist", type=Path)
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    folder = arguments.specialist
    shipped = newest_version(arguments.artefacts, folder.name)
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    found = {}
    for name in ("scores", "comparison", "baseline", "training"):
        path = folder / f"{name}.json"
        found[name] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    manifest = read_manifest(shipped / MANIFEST_FILE)
    text = card(config, manifest, (shipped / ADAPTER_FILE).stat().st_size, found)
    (folder / "CARD.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
