"""The card of triage-breaks, from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.reliability import SHOWN, maps_rows, tenths_rows
from models.risk_card import table
from models.triage.card_found import found_section
from models.triage.corrections import section
from models.triage.curve import SHARES


def card(f: Mapping[str, Any], baselines: Mapping[str, Any], version: str) -> str:
    """The card, from the figures and those of simple ways."""
    found = f["found"]["learned"]
    ways = "\n".join(
        f"| {name} | " + " | ".join(f"{values[f'{s:.0%}']:.1%}" for s in SHARES) + " |"
        for name, values in f["found"].items()
    )
    parts = "\n".join(
        f"| {kind} | {found['2%'] - values['2%']:+.1%} | {found['5%'] - values['5%']:+.1%} |"
        for kind, values in f["without doubts"].items()
    )
    breaks = "; ".join(
        f"{name} {sound:.1%} and {wrong:.1%}"
        for name, (sound, wrong) in f["whatever breaks"].items()
    )
    types = "\n".join(
        f"| {t} | {v['injected']} | {v['2%']:.1%} | {v['5%']:.1%} | {v['rules at 2%']:.1%} |"
        for t, v in f["types"].items()
    )
    checkable = "\n".join(
        f"| {name} | {v['injected']} | {v['2%']:.1%} | {v['5%']:.1%} |"
        for name, v in f["checkable"].items()
    )
    missed = "\n".join(
        f"| {t} | {unseen} | {unbelieved} |" for t, (unseen, unbelieved) in f["missed"].items()
    )
    unseen, unbelieved = (sum(counts[i] for counts in f["missed"].values()) for i in (0, 1))
    alarms = "\n".join(f"| {name} | {count} |" for name, count in f["alarms"].items())
    d = f["development"]
    of_development = "\n".join(
        f"| {t} | {hits}/{count} |" for t, (hits, count) in d["types"].items()
    )
    h, v = f["headlines"], f["finverbench"]
    of_headlines, of_finverbench = (
        "\n".join(f"| {t} | {hits}/{count} |" for t, (hits, count) in part["types"].items())
        for part in (h, v)
    )
    c = f["calibration"]
    as_shipped = c["chances"]["as shipped"]
    told_less = any(name.startswith("without ") for name in f["found"])
    less = " The rows `without …` are forests that were told less." if told_less else ""
    return f"""# triage-breaks {version}

Made by `python -m models.triage.scores` from the predictions in this folder.

**What it decides, and for whom.** Whether what does not add up in a financial report is an error or
a matter of presentation, for an analyst who then looks. It gives no audit advice.

**What it is.** A forest of boosted trees over the doubts that a filing raises
(`services/triage/doubts.py`): cells that relations want to be other amounts, totals that lack a
line, exchanged columns, amounts out of proportion, odd signs, lines that stand there twice,
amounts finer than the unit of the page, totals less than their lines, amounts that are off by what
rounding may make where nothing else is, and statements of another size than the others. Each is
described by the arithmetic, by the digits, by what other columns and sums prove of its lines, by
what these mean in the filings of other companies, and by the confidence by hand. A filing's risk is
the chance of its likeliest doubt.

**Data.** {f["filings"]} untouched filings of {f["companies"]} companies (SEC, public domain), and
copies with one error each, put there by `models/triage/injections.py` in the kinds and shares of
`dev_injected.jsonl`, and some of other kinds. Five folds by company: every figure is of companies
that the forest has not learned from, described by experience of lines without them (the rows that
it learned from were described by experience that left out their own fold alone). What shipped was
learned on all of them with the same recipe. Where a later filing corrects a tag the first one is
left out and judged apart (most show no error: see below). The threshold, and how much less counts
what no rule believes, were chosen on these very predictions. Errors of one's own making flatter.

## Found at a share of false alarms

The share of {f["injected"]} filings with an error that is flagged when so many untouched ones are.

{found_section(f, baselines)}
### What parts of it do alone

| | {" | ".join(f"{s:.0%}" for s in SHARES)} |
| --- | {" | ".join("---" for _ in SHARES)} |
{ways}

The rows of rules and doubts are parts of this program, after it has put aside what may be lawful:
no baselines.{less}
Of those flagged, a doubt in the top three names the line, or a relation that it takes part in, in
{f["place_right"]:.1%}.

Of untouched filings and of those with an error something breaks that they look for:
{breaks}.
The rules and identities are ranked by their confidences by hand, the sums by the digits in which
they agree elsewhere.

### What each kind of doubt adds

By how much less would be found with the same forest if nothing of the kind were doubted.

| doubts | at 2% | at 5% |
| --- | --- | --- |
{parts}

### By error

| error | filings | at 2% | at 5% | rules, at 2% |
| --- | --- | --- | --- | --- |
{types}

Kinds that the development filings don't have are not among the figures above this table.

### What is missed

In {unseen} nothing that is compared names the error: no relation of the filing has to do with it,
or another lawful one closes what it left. In {unbelieved} a doubt names it, but sound filings raise
such doubts as well: it can't be told from a lawful presentation by what the forest knows.

| error | nothing names it | a doubt that is too lawful |
| --- | --- | --- |
{missed}

| the line takes part | filings | at 2% | at 5% |
| --- | --- | --- | --- |
{checkable}

## What a chance is worth

The chance of a filing's surest doubt against whether that doubt names the error put in, of
companies not learned from, at the mix of this data: {c["untouched"]} untouched filings and
{c["injected"]} with an error; filings without a doubt are left out. Where errors are rarer
fewer doubts are right at the same chance: these say nothing of the mix that a reader has. Expected
calibration error {as_shipped["error"]:.3f}, ten bins.

{SHOWN}

{table(["filings", "said", "right"], tenths_rows(as_shipped["tenths"]))}

Maps that would make other chances of it, each fitted on the companies of the other folds; `none` is
what ships. A map keeps the order, so the same filings would be flagged, and it would be one of this
mix alone:

{table(["map", "error", "Brier score"], maps_rows(c["maps"]))}

## What is flagged among untouched filings

| first doubt | filings |
| --- | --- |
{alarms}

All are counted as false, whatever the filing itself may have wrong.

## Statements of headlines alone

{h["untouched"]} of the untouched filings were shortened to a line or two a section, as data vendors
show them (`models/triage/abbreviated.py`), and copies spoiled. At the threshold of whole filings
{h["false_alarms"]} untouched ones are flagged and {h["found"]} of {h["injected"]} with an error.
Many errors can't be seen in them: nothing that is left on the page has to do with the line.

| error | found |
| --- | --- |
{of_headlines}

The same for the published statements of FinVerBench in `abbreviated.jsonl`, read as plain text
with amounts rounded and evenly spaced: {v["false_alarms"]}/{v["untouched"]} untouched ones are
flagged, {v["found"]}/{v["injected"]} with an error are found; in {v["shown"]} of them a line that
was altered is printed. Of those missed {v["not_shown"]} show no altered line, in {v["not_raised"]}
nothing that is compared names it, and in {v["not_believed"]} a doubt names it that is too lawful to
be believed. The kinds of errors put into headlines follow those published, and five companies are
few.

| error | found |
| --- | --- |
{of_finverbench}

## Development filings

At that threshold, judged without their company, but by rules and confidences that were chosen while
looking at them: {d["false_alarms"]}/{d["untouched"]} untouched ones are flagged,
{d["found"]}/{d["injected"]} with an error are found, with the right place among
the first three in {d["place_right"]}.

| error | found |
| --- | --- |
{of_development}

{section(f)}## Known limits

* A line dropped from a section that other companies lack as well, or whose total is not known.
* A line dropped from the far side of a balance sheet that shows no total above it: both sides are
  still the same amount.
* A difference that rounding may make in a filing that rounds, and an amount in no sum, ratio or
  other statement.
* Filings like those learned from: large companies that file with the SEC, in English.
* Every amount wrong by the same factor, unless earnings per share or an earlier filing tell it.
"""
