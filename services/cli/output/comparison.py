"""Show a comparison of a frontier model with a specialist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.cli.output.lines import plain
from services.cli.output.terminal import table

FIGURES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "false_alarms": "false alarms a document",
}


def comparison_rows(line: Mapping[str, Any]) -> Iterator[str]:
    """The result of a comparison, or its estimated cost."""
    if "expected" in line:
        yield from _expected(line)
        return
    yield from _progress(line)
    if "error" in line:
        yield f"! {plain(line['error']['detail'])}"
        return
    yield from _warnings(line)
    yield ""
    yield from _table(line)
    yield ""
    yield from _verdict(line)


def _expected(line: Mapping[str, Any]) -> Iterator[str]:
    cost, who = line["expected"], line["frontier"]
    yield (
        f"{plain(line['source'])}: {line['documents']['given']:,} documents by "
        f"{plain(who['model'])}: about {cost['calls']:,} calls, {cost['tokens_in']:,} tokens in, "
        f"{cost['tokens_out']:,} out, US$ {cost['usd']:,.2f}"
    )
    yield (
        f"  at US$ {who['price']['input']:g} and {who['price']['output']:g} for a million tokens "
        f"in and out ({who['price']['as_of']}), four characters a token, every clause quoted once"
    )
    budget = line["budget"]
    if budget["missing"]:
        yield f"! {plain(budget['missing'])}, or a smaller --window or --most-tokens"
    elif budget["call_usd"]:
        yield (
            f"  at most US$ {budget['call_usd']:,.4f} of the budget are reserved for one call "
            "until its bill arrives"
        )


def _progress(line: Mapping[str, Any]) -> Iterator[str]:
    documents = line["documents"]
    yield (
        f"{plain(line['source'])}: {documents['read']:,} of {documents['given']:,} documents read, "
        f"US$ {line['spent_usd']:,.4f} spent in all"
    )
    if line["stopped"]:
        yield f"! stopped, {documents['left']:,} documents left: {plain(line['stopped'])}"
        yield "  run the same command to continue"
    for one in documents["refused"]:
        yield f"! {plain(one['id'])} was not read: {plain(one['reason'])}"


def _warnings(line: Mapping[str, Any]) -> Iterator[str]:
    if line["frontier"]["stand_in"]:
        yield "! a stand-in answered, no model: its figures are labels with errors"
    if learned := line["documents"]["learned"]:
        yield (
            f"! {learned:,} of them are marked as training documents: if the specialist was "
            "trained on them, its figures are too good"
        )
    if outside := line["labels"] - line["answers"]:
        yield f"! {outside:,} labels are of other categories, and do not count"


def _table(line: Mapping[str, Any]) -> Iterator[str]:
    specialist, frontier = line["specialist"], line["frontier"]
    read = line["documents"]["read"]
    heads = (
        "",
        f"{specialist['adapter']} {specialist['version']}",
        f"{frontier['provider']} {frontier['model']}",
    )
    both = (specialist, frontier)
    rows = [(what, *(_with_interval(one[name]) for one in both)) for name, what in FIGURES.items()]
    rows += [
        (f"found of {line['answers']:,}", *(f"{one['found']:,}" for one in both)),
        ("seconds a document", *(f"{one['seconds'] / read:,.2f}" for one in both)),
        ("US$ a document", *(f"{one['usd'] / read:,.6f}" for one in both)),
        ("US$", *(f"{one['usd']:,.6f}" for one in both)),
        ("tokens in", "", f"{frontier['tokens_in']:,}"),
        ("tokens out", "", f"{frontier['tokens_out']:,}"),
        ("quotes that the text lacks", "", f"{frontier['rejected_quotes']:,}"),
        ("unusable answers", "", f"{frontier['unusable_answers']:,}"),
    ]
    yield from table(rows, heads=tuple(map(plain, heads)), right=(1, 2))
    yield (
        f"  with 95% intervals, by {line['groups']:,} groups of documents; the machine at US$ "
        f"{specialist['hour_usd']:g} an hour, tokens at US$ {frontier['price']['input']:g} and "
        f"{frontier['price']['output']:g} a million ({frontier['price']['as_of']})"
    )


def _verdict(line: Mapping[str, Any]) -> Iterator[str]:
    """Which reader has the better F1, and the precision of the specialist at the model's recall."""
    specialist, frontier = line["specialist"]["adapter"], plain(line["frontier"]["model"])
    between = line["difference"]["f1"]
    if between["low"] > 0:
        verdict = f"{specialist} beats {frontier} here"
    elif between["high"] < 0:
        verdict = f"{frontier} beats {specialist} here"
    else:
        verdict = "no significant difference on these documents"
    difference = _with_interval(between, sign="+")
    yield f"F1 of {specialist} minus that of {frontier}: {difference}: {verdict}"
    recall, at = line["frontier"]["recall"]["value"], line["at_their_recall"]
    if at["value"] > 0:
        yield (
            f"At the recall of {frontier} ({recall:.2f}) the precision of {specialist} is "
            f"{_with_interval(at)}, that of {frontier} "
            f"{_with_interval(line['frontier']['precision'])}"
        )
    else:
        yield f"{specialist} never reaches the recall of {frontier} ({recall:.2f})"


def _with_interval(one: Mapping[str, float], sign: str = "") -> str:
    return f"{one['value']:{sign}.2f} [{one['low']:{sign}.2f}, {one['high']:{sign}.2f}]"
