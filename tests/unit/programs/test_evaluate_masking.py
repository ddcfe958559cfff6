"""Names of parties, and what is left of them after masking."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

from tests.evaluate.masking import (
    Corpus,
    cut,
    evaluate,
    found,
    leak_of,
    names_in,
    report_of,
    sums_in,
    sums_left,
    table,
)

OTHERS = [f"The servicer {n} and the Licensee sell common heritage goods." for n in range(40)]
TEXT = (
    'Between Vexogen Labs, Inc. ("Vexogen"), Stremm Heritage Foods, LLC ("Heritage") and '
    'Petra Quux of Quuxville ("Licensee"). ' + "The Licensee pays Vexogen and Heritage. " * 200
)


def corpus() -> Corpus:
    """Forty contracts that have ordinary words, and one with parties."""
    texts = [*OTHERS, TEXT]
    return Corpus.of([{"family": str(n), "text": text} for n, text in enumerate(texts)])


def test_names_are_words_that_few_contracts_have() -> None:
    labels = [
        "Vexogen Labs, Inc.",
        "Licensee",
        '("Party" and collectively the "Parties" Vexogen)',
        "Petra Quux",
    ]
    assert names_in(labels, corpus()) == {"Vexogen Labs, Inc", "Vexogen", "Petra Quux", "Petra"}


def test_names_are_counted_once_where_they_stand() -> None:
    text = "Vexogen\nLabs pays VEXOGEN; vexogen, Vexogens"
    assert found(text, {"Vexogen", "Vexogen Labs"}) == {"Vexogen Labs": 1, "VEXOGEN": 1}
    assert found(text, set()) == Counter()


def test_windows_cover_the_text_in_whole_words() -> None:
    windows = [TEXT[start:end] for start, end in cut(TEXT, 100)]
    assert "".join(windows) == TEXT
    assert max(map(len, windows)) <= 100
    assert all(window.endswith((" ", ".")) for window in windows)


def test_what_is_left_is_counted_in_windows_that_do_not_say_whose_name_it_is() -> None:
    record = {"title": "a", "text": TEXT}
    leak = leak_of(record, {"Vexogen", "Heritage", "Petra Quux"}, [])
    assert leak.named > 400
    assert leak.left == {"Petra Quux": 1}
    assert leak_of(record, {"Petra Quux"}, ["Petra Quux"]).left == Counter()
    assert report_of([leak]) == {
        "contracts": 1,
        "contracts_with_a_name": 1,
        "contracts_with_over_five": 0,
        "named": leak.named,
        "left": 1,
    }
    assert "| 1 | 1 | 0 |" in table([leak], 1)


def test_sums_are_numbers_beside_a_currency() -> None:
    text = (
        "In 2019 it pays $5 for 30 days, US$ 6.50, EUR 7, 8 million US dollars, "
        "two hundred pounds, 9 of those euros, 10 in the year of dollars, 5 per cent, "
        "a party to dollars, sixty-two yen, $[***]."
    )
    sums = [text[start:end] for start, end in sums_in(text)]
    assert sums == ["5", "6.50", "7", "8", "million", "two", "hundred", "9", "sixty-two"]


def test_sums_that_are_left_are_counted() -> None:
    record = {"title": "a", "text": "It pays $5, and 9 of those euros. " * 50}
    leak = sums_left(record)
    assert (leak.named, leak.left) == (100, {"9 of those euros.": 50})


def test_contracts_without_a_sum_are_not_counted(tmp_path: Path) -> None:
    texts = ["It pays $5.", "It pays nothing.", "It pays 9 of those dollars.", "It pays $6."]
    folds = [3, 3, 4, 0]
    with gzip.open(tmp_path / "cuad_train.jsonl.gz", "wt", encoding="utf-8") as lines:
        for number, (text, fold) in enumerate(zip(texts, folds, strict=True)):
            record = {"id": f"{number}", "title": f"{number}", "text": text, "annotations": []}
            lines.write(json.dumps({**record, "family": f"{number}", "fold": fold}) + "\n")
    leaks = evaluate(tmp_path, [3, 4], amounts=True)
    assert [(leak.contract, leak.named, leak.left.total()) for leak in leaks] == [
        ("0", 1, 0),
        ("2", 1, 1),
    ]
