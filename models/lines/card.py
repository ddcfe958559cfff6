"""The card of line-concepts, from its figures."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.lines.adapter import EVERY, RUN
from models.lines.guesses import RANK
from models.lines.predict import FOLDER
from models.lines.scores import ADAPTER, BOTH, LINEAR, SCORES, WAYS, surely_better
from models.reliability import SHOWN, maps_rows, write_drawing
from models.risk_card import table
from models.triage.filings import FOLDS
from services.triage.naming import DATA_FILE, MANIFEST_FILE, NAME, READER

Figures = Mapping[str, Any]
PACE = "pace.json"
"""What models.lines.pace measured."""


def parts_table(parts: Figures, ways: Sequence[str]) -> str:
    """One row a part of the pairs: how many are named right in each way, and how many of the first
    of them are among three.
    """
    rows = [
        [name, f"{part['pairs']:,}", *(_between(part[way]) for way in ways),
         f"{part['top three']:.1%}"]
        for name, part in parts.items()
    ]  # fmt: skip
    return table(["pairs", "how many", *ways, f"{ways[0]}, among its first three"], rows)


def _between(found: Figures) -> str:
    low, high = found["interval"]
    return f"{found['right']:.1%} [{low:.1%}, {high:.1%}]"


def surely(f: Figures) -> str:
    """From which confidence on names are so reliable, and how many lines have it."""
    rows = [
        [share, *(["-", "none"] if found is None else [f"{found[0]:g}", f"{found[1]:.1%}"])]
        for share, found in f["surely"].items()
    ]
    return table(["right, of those named", "confidence from", "share of the pairs"], rows)


def reliability(f: Figures) -> str:
    """Confidence and what it came to."""
    rows = [[f"{c:.2f}", f"{right:.1%}", f"{n:,}"] for c, right, n in f["reliability"]]
    return table(["confidence, mean", "right", "pairs"], rows)


def made_by(f: Figures, runs: Figures) -> str:
    """The commands that make the card with these figures."""
    some = " ".join(map(str, f["folds"]))
    chosen = "" if len(f["folds"]) == FOLDS else f" --folds {some}"
    beside = ""
    if runs:
        trained = " ".join(runs)
        adapter = f"python -m models.lines.adapter --data FOLDER --base BASE --fold {trained}"
        beside = f",\nafter `{adapter}`"
    return f"`python -m models.lines --data FOLDER{chosen}`{beside}"


def of_folds(chosen: Sequence[int]) -> str:
    """Of which companies figures are."""
    if len(chosen) == FOLDS:
        return "of all\ncompanies, each named by a model that has not learned from it"
    return (
        f"of the companies of {_short(chosen)}, named by a model\nthat has not learned from them; "
        "the others were not judged"
    )


def _short(chosen: Sequence[int]) -> str:
    if len(chosen) == FOLDS:
        return "all folds"
    return f"fold{'s' if len(chosen) > 1 else ''} {' and '.join(map(str, chosen))}"


def beside(f: Figures, runs: Figures) -> str:
    """The adapter, and both together, beside the linear model."""
    found = f["adapter"]
    if not found:
        return "No adapter was measured."
    judged = [runs[str(fold)] for fold in found["folds"]]
    config, whole = judged[0]["config"], found["parts"]["all"]
    trained = ";\n".join(
        f"without fold {one['fold']}: {one['steps']} steps, {one['seconds']} seconds of one "
        f"processor in {one['number_type']}"
        for one in judged
    )
    more = {name: _more(limits) for name, limits in found["more"].items()}
    return f"""A LoRA adapter of rank {config["adapter"]["rank"]} on the frozen base of contracts
(MiniLM, INT4; [decision 35](../../infra/decisions/0035-base-frozen.md)) reads whole statements, in
windows of {config["windows"]["length"]} tokens, and names each line by the mean of its tokens. It
was trained for {config["training"]["epochs"]} epochs
({trained}).
Both together are the geometric mean of their chances over the five labels that each finds
likeliest (`services/triage/together.py`); their weights were not fitted, and what a label has that
one does not list was chosen on the pairs of fold 0, among ways that hardly differ. The table is
{of_folds(found["folds"])}.

{parts_table(found["parts"], (BOTH, LINEAR, ADAPTER))}

Both name {100 * (whole[BOTH]["right"] - whole[LINEAR]["right"]):+.1f} points more right than the
linear model {more["both than linear"]} and
{100 * (whole[BOTH]["right"] - whole[ADAPTER]["right"]):+.1f} more than the adapter
{more["both than adapter"]}; the adapter names
{100 * (whole[ADAPTER]["right"] - whole[LINEAR]["right"]):+.1f} points more than the linear model
{more["adapter than linear"]}.

{_shipped(f, runs)}"""


def _more(limits: Sequence[float]) -> str:
    low, high = limits
    return f"[{100 * low:+.1f}, {100 * high:+.1f}]"


def _shipped(f: Figures, runs: Figures) -> str:
    whole = runs.get(EVERY)
    if not surely_better(f):
        return "Both are not surely better, so the linear model ships alone."
    if not whole:
        return (
            "So both are to ship, for documents (data of programs, which can be thousands of "
            "filings, stay\nwith the linear model). An adapter that has learned from all companies "
            "is still to be trained; until\nit is, **the linear model ships alone**, and these "
            "figures of both are not what is served."
        )
    return (
        "Both ship, for documents: data of programs, which can be thousands of filings, are named "
        "by the\nlinear model alone. The adapter that ships was trained on all companies with the "
        f"same recipe\n({whole['steps']} steps, {whole['seconds']} seconds of one processor in "
        f"{whole['number_type']})."
    )


def worth(f: Figures, of: str) -> str:
    """What confidences are worth, measured and by tenths."""
    return f"""### {of}

Expected calibration error {f["error"]:.3f}, without the map {f["error before"]:.3f}. Of the lines
that are called the company's own {f["own"]["precision"]:.1%} are, and {f["own"]["recall"]:.1%} of
those that are get called so.

{reliability(f)}

{surely(f)}

{table(["map", "error", "Brier score"], maps_rows(f["maps"]))}"""


def cost(pace: Figures) -> str:
    """What naming costs (models/lines/pace.py)."""
    both, linear = pace["both"], pace["linear model"]
    return f"""
Naming the {pace["lines"]:g} lines that a 10-K of the data has in the median takes both
{both["median"]} milliseconds of one processor ({both["slowest"]} for the slowest of
{pace["filings"]}), the linear model alone {linear["median"]} (`python -m models.lines.pace`). The
first document waits {pace["base"]} milliseconds for the base, unless contracts have loaded it, and
{both["first"] - both["median"]} for the adapter.
"""


def text_of(artefacts: Path) -> str:
    """The card of what was kept beside it, and of the artefact."""
    kept = {name: FOLDER / name for name in (SCORES, RUN, PACE)}
    f, runs, pace = (
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for path in kept.values()
    )
    config = tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))
    folder = artefacts / NAME / config["version"]
    manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    shown = pace if manifest["reader"] else None
    return card(f, config, runs, len(manifest["labels"]), folder, shown)


def write_card(artefacts: Path) -> None:
    """Write it."""
    (FOLDER / "CARD.md").write_text(text_of(artefacts), encoding="utf-8")
    write_drawing(FOLDER, "line-concepts")


def card(
    f: Figures,
    config: Figures,
    runs: Figures,
    labels: int,
    folder: Path,
    pace: Figures | None = None,
) -> str:
    """The card.

    Args:
        f: `models.lines.scores`.
        config: of the specialist.
        runs: of the adapter's trainings, by the fold that each left out; none if there was none.
        labels: how many.
        folder: of the artefact.
        pace: what naming costs, where an adapter ships.
    """
    both = f["adapter"]
    sizes = [(folder / DATA_FILE).stat().st_size]
    sizes += [path.stat().st_size for path in sorted(folder.glob(f"{READER}/*/*.onnx_adapter"))]
    shares = " and ".join(f"{size / 1e6:.1f}" for size in sizes)
    worths = [worth(f, f"The linear model ({_short(f['folds'])})")]
    if both:
        worths.insert(0, worth(both, f"Both together ({_short(both['folds'])})"))
    every = f["parts"]["all"]
    confusions = table(
        ["the filing says", "it says", "pairs"],
        [[f"`{truth}`", f"`{said}`", str(count)] for truth, said, count in f["confusions"]],
    )
    more = (
        " Beside it a LoRA\nadapter on the base of contracts reads documents whole; each line's "
        "name is what both say together."
        if len(sizes) > 1
        else ""
    )
    parts = "\n\n".join(worths)
    return f"""# line-concepts {config["version"]}

Made by {made_by(f, runs if f["adapter"] else {})};
no figure is typed by hand.

**What it decides, and for whom.** Which us-gaap concept a line of a balance sheet, an income
statement or a cash flow statement is, or that it is the company's own, with a confidence. For
people who look at what was read of a report. It gives no audit advice.

**What it is.** A linear model on hashed words: those of the label, of the two lines above and below
and of the heading, each with the statement; their mean goes through a matrix of rank {RANK} to one
softmax (fastText; Joulin et al., 2017). It reads labels, never values. {labels:,} labels: `own`,
and what at least {config["data"]["least_companies"]} companies use, counted over all of them.{more}
{shares} MB.

**Data.** Statements filed with the SEC (public domain, `statements.jsonl`), in five folds by
company. What ships was learned on all companies with the same recipe as what is measured here. What
is counted are pairs: a label of a company in a statement counts once for a concept, however many
filings repeat it.

## Right on companies that it has not seen

Of {f["pairs"]:,} pairs of {f["companies"]} companies the linear model names
{_between(every[LINEAR])} right (intervals by drawing companies), {of_folds(f["folds"])}.

{parts_table(f["parts"], tuple(WAYS))}

*Exact lookup* takes the concept that most other companies mean by the label, asides and digits
left out. Concepts that fewer companies use count as own.

## With an adapter

{beside(f, runs)}
{cost(pace) if pace else ""}
## What a confidence is worth

A confidence is Platt's map of the chance, fitted on one half of the companies and measured on the
other. What ships has the map that was fitted on all of them. The last table of each compares it,
`Platt, pooled`, with other maps of the same halves; `by category` is by statement.

{SHOWN}

{parts}

## Where the linear model goes wrong

{confusions}

Filers disagree: two companies tag the same line with two concepts, and the concepts changed between
2009 and 2018. What counts as wrong here is often a neighbour of what was filed.

## What triage does with it

Lines of documents are shown with their concepts (`smallprint statements`, REST). Judging and
signals do not use them: they take lines by their labels.

## Known limits

* Filings of large companies with the SEC, in English; most are of 2009 and 2010, before many of
  today's concepts. No IFRS.
* Most statements that it learned from have no headings, those of pages have.
* Words that no other company uses say nothing to it.

Licence: {config["data"]["licence"]}.
"""
