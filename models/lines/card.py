"""The card of line-concepts, from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.lines.guesses import RANK
from models.lines.scores import SHIPPED, WAYS
from models.risk_card import table
from models.triage.filings import FOLDS

Figures = Mapping[str, Any]


def parts_table(parts: Figures, ways: Sequence[str]) -> str:
    """One row a part of the pairs: how many are named right in each way."""
    rows = [
        [name, f"{part['pairs']:,}", *(_between(part[way]) for way in ways),
         f"{part['top three']:.1%}"]
        for name, part in parts.items()
    ]  # fmt: skip
    return table(["pairs", "how many", *ways, f"{SHIPPED}, among its first three"], rows)


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


def made_by(f: Figures, run: Figures | None) -> str:
    """The commands that make the card with these figures."""
    some = " ".join(map(str, f["folds"]))
    chosen = "" if len(f["folds"]) == FOLDS else f" --folds {some}"
    beside = ""
    if run:
        adapter = f"python -m models.lines.adapter --data FOLDER --base BASE --fold {run['fold']}"
        beside = f",\nafter `{adapter}`"
    return f"`python -m models.lines --data FOLDER{chosen}`{beside}"


def folds(f: Figures) -> str:
    """Of which companies the figures are."""
    if len(f["folds"]) == FOLDS:
        return "every figure is of companies that the model has not learned from."
    some = " and ".join(map(str, f["folds"]))
    return (
        f"every figure is of the companies of fold {some}, named by a model\nthat has not learned "
        "from them; the others were not judged."
    )


def beside(f: Figures, run: Figures | None) -> str:
    """The adapter beside the linear model, and why it does not ship."""
    found = f["adapter"]
    if not found or not run:
        return "No adapter was measured."
    whole, config = found["parts"]["all"], run["config"]
    low, high = found["more than it"]
    more = whole[SHIPPED]["right"] - whole["adapter"]["right"]
    return f"""A LoRA adapter of rank {config["adapter"]["rank"]} on the frozen base of contracts
(MiniLM, INT4; [decision 35](../../infra/decisions/0035-base-frozen.md)) reads whole statements, in
windows of {config["windows"]["length"]} tokens, and names each line by the mean of its tokens
(`python -m models.lines.adapter`). It was trained for {config["training"]["epochs"]} epochs
({run["steps"]} steps, {run["seconds"]} seconds of one processor in {run["number_type"]}) without
fold {run["fold"]}, whose {found["companies"]} companies both name here:

{parts_table(found["parts"], (SHIPPED, "adapter"))}

The linear model names {100 * more:+.1f} points more right than it [{100 * low:+.1f},
{100 * high:+.1f}], with neither the base nor its seconds. So the linear model ships. The adapter
was trained for less time than it could use: whether more epochs make it better is open."""


def card(f: Figures, config: Figures, run: Figures | None, labels: int, size: int) -> str:
    """The card.

    Args:
        f: `models.lines.scores`.
        config: of the specialist.
        run: of the adapter's training, if there was one.
        labels: how many.
        size: of the artefact in bytes.
    """
    every = f["parts"]["all"]
    confusions = table(
        ["the filing says", "it says", "pairs"],
        [[f"`{truth}`", f"`{said}`", str(count)] for truth, said, count in f["confusions"]],
    )
    return f"""# line-concepts {config["version"]}

Made by {made_by(f, run if f["adapter"] else None)};
no figure is typed by hand.

**What it decides, and for whom.** Which us-gaap concept a line of a balance sheet, an income
statement or a cash flow statement is, or that it is the company's own, with a confidence. For
people who look at what was read of a report. It gives no audit advice.

**What it is.** A linear model on hashed words: those of the label, of the two lines above and below
and of the heading, each with the statement; their mean goes through a matrix of rank {RANK} to one
softmax (fastText; Joulin et al., 2017). It reads labels, never values. {labels:,} labels: `own`,
and what at least {config["data"]["least_companies"]} companies use, counted over all of them.
{size / 1e6:.1f} MB.

**Data.** Statements filed with the SEC (public domain, `statements.jsonl`). Five folds by company:
{folds(f)} What ships was learned on all companies
with the same recipe. What is counted are pairs: a label of a company in a statement counts
once for a concept, however many filings repeat it.

## Right on companies that it has not seen

Of {f["pairs"]:,} pairs of {f["companies"]} companies {_between(every[SHIPPED])} are named right
(intervals by drawing companies).

{parts_table(f["parts"], tuple(WAYS))}

*Exact lookup* takes the concept that most other companies mean by the label, asides and digits
left out. Of the lines that are called the company's own {f["own"]["precision"]:.1%} are, and
{f["own"]["recall"]:.1%} of those that are get called so; concepts that fewer companies use count as
own.

## Beside an adapter

{beside(f, run)}

## What a confidence is worth

Platt's map of the chance, fitted on one half of the companies and measured on the other: expected
calibration error {f["error"]:.3f}, without the map {f["error before"]:.3f}. What ships has the map
that was fitted on all of them.

{reliability(f)}

{surely(f)}

## Where it goes wrong

{confusions}

Filers disagree: two companies tag the same line with two concepts, and the concepts changed between
2009 and 2018. What counts as wrong here is often a neighbour of what was filed.

## What triage does with it

Lines of documents are shown with their concepts (`smallprint statements`, REST). Judging and
signals do not use them: they take lines by their labels, as before, because what it would bring
there has not been measured.

## Known limits

* Filings of large companies with the SEC, in English; most are of 2009 and 2010, before many of
  today's concepts. No IFRS.
* Most statements that it learned from have no headings, those of pages have.
* Words that no other company uses say nothing to it.

Licence: {config["data"]["licence"]}.
"""
