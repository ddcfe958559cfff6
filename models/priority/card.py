"""The card of `review-priority`, made of its figures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.reliability import SHOWN, tenths_rows
from shared.listed import COLUMNS

ON_STATES = {
    "states": "a linear head on the base's states alone",
    "states_linear": "a linear head on the states and the columns",
    "states_parts": "a forest that is told the columns and principal components of the states",
    "states_forest": "a forest that is told the columns and what the head on the states says",
}
"""Heads on the shared base that are tried."""
TITLES = {
    "learned": "**`review-priority`: the forest**",
    "linear": "a linear head on the same columns",
    "told_less": "a forest that is told confidence and category alone",
    **ON_STATES,
    "confidence": "confidence alone",
    "learned, by time": "`review-priority`, chance by second of review",
    "confidence, by time": "confidence alone, by second of review",
    "random": "drawn by lot",
    "best": "the best that any order can do",
}
HEAD = "| order | first 10% | first 20% | first half |\n| --- | --- | --- | --- |"


def card(scores: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The card, as Markdown."""
    return f"# review-priority {config['version']}\n\n" + "\n".join(
        [
            _what(scores, config),
            _caught(scores),
            _reliability(scores),
            _by_time(scores, config),
            _limits(scores, config),
        ]
    )


def _what(scores: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    decisions, adapter = scores["decisions"], config["data"]["adapter"]
    return f"""Made by `python -m models.priority.scores` from the predictions in this folder.

**What it decides, and for whom.** In which order the clauses that were found wait for an analyst:
first those that the analyst is likeliest to reject or to correct. It changes no clause and hides
none. **It gives no legal advice.**

**What it is.** A forest of boosted trees over {len(COLUMNS)} numbers that are known when a clause
enters the queue (`shared/listed.py`): its confidence, category, length and typography,
whether a value could be read of it, where it stands, how sure its neighbours and the others of its
category are, how like it they are, and what clauses of other categories lie over it. An item's
urgency is the chance that it is changed, times the weight of its category.

**Data.** What `{adapter}` shows of {scores["contracts"]} contracts of CUAD v1 (CC BY 4.0):
{scores["clauses"]} clauses, each predicted by a model that had not seen its contract. No reviewer
has decided about them: **decisions are simulated by the labels**
(`models/priority/simulation.py`). A clause that matches an answer by the legal metric is accepted
({decisions["accept"]}), one that lies over an answer without matching it is corrected
({decisions["correct"]}), any other is rejected ({decisions["reject"]}). A clause is judged as it is
shown, without the signs before its first word; the card of `{adapter}` judges passages with them,
and so counts two more as wrong (", 2019", which is shown as "2019"). CUAD's labels are not
exhaustive, so some rejected ones are right. Five folds by company: every figure is of families that
the forest has not learned from. Its columns and settings were chosen among a dozen on these very
folds, so read the figures as slightly flattered. What shipped was learned on all contracts with the
same recipe.
"""


def _caught(scores: Mapping[str, Any]) -> str:
    decisions, gain = scores["decisions"], scores["gains"]["learned"]["20%"]
    caught = scores["caught"]
    shares = {name: float(name.rstrip("%")) / 100 for name in caught["learned"]}
    tried = [name for name in TITLES if name in scores["gains"]]
    orders = (*tried, "confidence", "random", "best")
    learned, alone = caught["learned"]["20%"], caught["confidence"]["20%"]
    gains = "\n".join(
        f"| {TITLES[name]} | "
        + " | ".join(f"{low:+.1%} to {high:+.1%}" for low, high in found.values())
        + " |"
        for name, found in scores["gains"].items()
    )
    return f"""## Mistakes caught in the first part of the queue

All clauses in one queue; the share of the {decisions["correct"] + decisions["reject"]} that are
changed which lies in its first part.

{HEAD}
{rows_of_table(caught | {"random": shares}, orders)}

How much more than confidence alone catches, 95% intervals by drawing the {scores["families"]}
families (paired, {scores["draws"]} draws):

{HEAD}
{gains}

So the forest ships: {learned:.1%} in the first fifth against {alone:.1%} by confidence alone, a
gain of {gain[0]:+.1%} to {gain[1]:+.1%}.
{_states(scores)}"""


def _states(scores: Mapping[str, Any]) -> str:
    """How heads on the base do beside the forest that ships."""
    if not scores["beside_learned"]:
        return ""
    rows = "\n".join(
        f"| {TITLES[name]} | "
        + " | ".join(f"{low:+.1%} to {high:+.1%}" for low, high in found.values())
        + " |"
        for name, found in scores["beside_learned"].items()
    )
    return f"""
### A head on the shared base

The base as it ships, INT4, without an adapter, reads each clause in a window of at most 128 tokens
around it; a head is told the mean state of the clause's tokens and that of the window
(`models/priority/states.py`, `models/priority/heads.py`). How strongly states count, and how many
principal components, were chosen on inner folds. How much more than the forest that ships they
catch, drawn as above:

{HEAD}
{rows}

{_verdict(scores)}
"""


def _verdict(scores: Mapping[str, Any]) -> str:
    """Whether a head on the states surely catches more in the first fifth than what ships."""
    beside = scores["beside_learned"]
    better = [name for name, found in beside.items() if found["20%"][0] > 0]
    worse = [name for name, found in beside.items() if found["20%"][1] < 0]
    if better:
        return f"Surely more in the first fifth catches: {'; '.join(TITLES[n] for n in better)}."
    less = "; ".join(TITLES[name] for name in worse)
    return (
        "None of them surely catches more in the first fifth"
        + (f", and surely less does {less}" if worse else "")
        + ". To have states, each clause would have to be read again when it enters the queue; so "
        "the forest, which reads nothing again, stays."
    )


def _reliability(scores: Mapping[str, Any]) -> str:
    found = scores["reliability"]
    rows = "\n".join(f"| {' | '.join(row)} |" for row in tenths_rows(found["tenths"]))
    return f"""## What its chances are worth

Expected calibration error of the chance that a clause is changed, on families that it has not
learned from: {found["error"]:.3f} in ten bins, Brier score {found["brier"]:.4f}. It orders the
queue, and nothing is accepted by it.

{SHOWN}

| clauses | said | changed |
| ---: | ---: | ---: |
{rows}
"""


def _by_time(scores: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    time, by_time = config["time"], scores["caught_by_time"]
    return f"""## By hours

If an item takes {time["seconds"]:.0f} seconds (assumed) and the time to read it at
{time["words_a_minute"]:.0f} words a minute (silent reading in English, Brysbaert 2019), the queue
takes {scores["hours"]:.0f} hours. With `SMALLPRINT_REVIEW_ORDER=time` urgency is divided by that
time. Mistakes caught in the first part of the hours:

{HEAD}
{rows_of_table(by_time, tuple(by_time))}

and, as above, in the first part of the queue:

{HEAD}
{rows_of_table(scores["caught"], ("learned, by time", "confidence, by time"))}
"""


def _limits(scores: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    mended, adapter = scores["mended"], config["data"]["adapter"]
    learned, alone = (mended["caught"][name]["20%"] for name in ("learned", "confidence"))
    return f"""## Known limits

* Real reviewers may change other things than the labels do. One who also mends every bound, until
  the words are those of a label, changes {mended["changed"]} clauses; the first fifth then holds
  {learned:.1%} of the changes by this order and {alone:.1%} by confidence.
* It was never shown scans, damaged text or documents of other kinds: what the reading and the
  search warn of is not among its numbers.
* It knows the clauses of `{adapter}` alone. Clauses of other specialists, findings, and questions
  of a document's kind stand in the same queue by what their confidence leaves.
* The weights of categories are yours; all are 1 unless you say otherwise, and no figure here is of
  others.
"""


def rows_of_table(found: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> str:
    """Rows of a table in Markdown."""
    return "\n".join(
        f"| {TITLES[name]} | " + " | ".join(f"{value:.1%}" for value in found[name].values()) + " |"
        for name in names
    )
