"""A frontier model and a specialist beside each other, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.cli.lines import plain

FIGURES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "false_alarms": "false alarms a document",
}


def shown(line: Mapping[str, Any]) -> Iterator[str]:
    """What came of a comparison, or what it would cost."""
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
            f"  at most US$ {budget['call_usd']:,.4f} of the budget are set aside for one call "
            "until its bill comes"
        )


def _progress(line: Mapping[str, Any]) -> Iterator[str]:
    documents = line["documents"]
    yield (
        f"{plain(line['source'])}: {documents['read']:,} of {documents['given']:,} documents read, "
        f"US$ {line['spent_usd']:,.4f} spent in all"
    )
    if line["stopped"]:
        yield f"! stopped, {documents['left']:,} documents left: {plain(line['stopped'])}"
        yield "  the same command goes on where it stopped"
    for one in documents["refused"]:
        yield f"! {plain(one['id'])} was not read: {plain(one['reason'])}"


def _warnings(line: Mapping[str, Any]) -> Iterator[str]:
    if line["frontier"]["stand_in"]:
        yield "! a stand-in answered, no model: its figures are those of labels with mistakes"
    if learned := line["documents"]["learned"]:
        yield (
            f"! {learned:,} of them are marked as training documents: if the specialist learned "
            "from them, its figures flatter it"
        )
    if outside := line["labels"] - line["answers"]:
        yield f"! {outside:,} labels are of categories that were not asked, and do not count"


def _table(line: Mapping[str, Any]) -> Iterator[str]:
    ours, theirs = line["specialist"], line["frontier"]
    read = line["documents"]["read"]
    heads = ("", f"{ours['adapter']} {ours['version']}", f"{theirs['provider']} {theirs['model']}")
    both = (ours, theirs)
    rows = [(what, *(_with_interval(one[name]) for one in both)) for name, what in FIGURES.items()]
    rows += [
        (f"found of {line['answers']:,}", *(f"{one['found']:,}" for one in both)),
        ("seconds a document", *(_seconds(one, read) for one in both)),
        ("US$ a document", *(f"{one['usd'] / read:,.6f}" for one in both)),
        ("US$", *(f"{one['usd']:,.6f}" for one in both)),
        ("tokens in", "", f"{theirs['tokens_in']:,}"),
        ("tokens out", "", f"{theirs['tokens_out']:,}"),
        ("quotes that the text lacks", "", f"{theirs['rejected_quotes']:,}"),
        ("unusable answers", "", f"{theirs['unusable_answers']:,}"),
    ]
    yield from _aligned([tuple(map(plain, heads)), *rows])
    yield (
        f"  with 95% intervals, by {line['groups']:,} groups of documents; the machine at US$ "
        f"{ours['hour_usd']:g} an hour, tokens at US$ {theirs['price']['input']:g} and "
        f"{theirs['price']['output']:g} a million ({theirs['price']['as_of']})"
    )


def _seconds(one: Mapping[str, Any], read: int) -> str:
    """What is handed in as a batch is ready when it is ready."""
    return "in batches" if one["seconds"] is None else f"{one['seconds'] / read:,.2f}"


def _verdict(line: Mapping[str, Any]) -> Iterator[str]:
    """Who has the better F1, and what the specialist has at the model's own recall."""
    ours, theirs = line["specialist"]["adapter"], plain(line["frontier"]["model"])
    between = line["difference"]["f1"]
    if between["low"] > 0:
        said = f"{ours} beats {theirs} here"
    elif between["high"] < 0:
        said = f"{theirs} beats {ours} here"
    else:
        said = "neither beats the other here, as far as these documents tell"
    yield f"F1 of {ours} less that of {theirs}: {_with_interval(between, sign='+')}: {said}"
    recall, at = line["frontier"]["recall"]["value"], line["at_their_recall"]
    if at["value"] > 0:
        yield (
            f"At the recall of {theirs} ({recall:.2f}) the precision of {ours} is "
            f"{_with_interval(at)}, that of {theirs} "
            f"{_with_interval(line['frontier']['precision'])}"
        )
    else:
        yield f"{ours} never has the recall of {theirs} ({recall:.2f})"


def _with_interval(one: Mapping[str, float], sign: str = "") -> str:
    return f"{one['value']:{sign}.2f} [{one['low']:{sign}.2f}, {one['high']:{sign}.2f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *cells in rows:
        figures = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"  {first:<{widths[0]}}", *figures]).rstrip()
