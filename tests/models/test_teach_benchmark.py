"""The bench of `teach`: its examples, its baselines, and all of it on contracts of our own."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.builders import note
from tests.support import artefacts, library

library("sklearn")
library("onnx")

from models.clauses.teach_benchmark import (
    CATEGORIES,
    STRETCH,
    Keywords,
    Linear,
    examples_of,
    figures,
    labelled,
    measure,
    proposed,
    shown,
    stretches,
    units,
)
from shared.categories import CATEGORIES as ALL
from tests.unit.extraction.teaching.made import OTHERS, clause

pytestmark = pytest.mark.training

KIND = "Retention"


def contract(number: int, passages: int = 1, sentences: int = 120) -> dict[str, Any]:
    """A contract of our own with some passages of the kind, and its annotations."""
    draw = random.Random(number)
    parts = [f"{i}. {draw.choice(OTHERS)}" for i in range(sentences)]
    words = [f"{number}. {clause(draw)}" for _ in range(passages)]
    for one in words:
        parts.insert(draw.randrange(len(parts)), one)
    text = f"CONTRACT {number}\n\n" + "\n\n".join(parts)
    notes = [note(KIND, text, one) for one in dict.fromkeys(words)]
    about = {"id": f"c{number}", "family": f"f{number}", "title": ""}
    return about | {"text": text, "annotations": notes}


def test_the_five_are_categories_of_the_corpus() -> None:
    assert len(CATEGORIES) == 5
    assert set(CATEGORIES) <= set(ALL)
    assert all(CATEGORIES.values())


def test_stretches_make_up_the_contract_and_cut_no_passage() -> None:
    record = contract(1, passages=3)
    made = list(stretches(record, KIND))
    text = record["text"]
    assert "".join(example.text for example in made) == text
    assert len(made) == pytest.approx(len(text) / STRETCH, abs=1.5)
    answers = [answer for example in made for answer in example.answers]
    wanted = sorted((note["start"], note["end"]) for note in record["annotations"])
    assert answers == [text[start:end] for start, end in wanted]


def test_overlapping_passages_become_one() -> None:
    record = contract(1)
    (one,) = record["annotations"]
    record["annotations"].append({**one, "start": one["start"] + 5, "end": one["end"] + 5})
    ((start, end),) = [span for example in stretches(record, KIND) for span in example.spans]
    assert end - start == one["end"] + 5 - one["start"]


def test_half_of_the_examples_have_a_passage_in_every_size() -> None:
    made = examples_of([contract(i, passages=i % 2) for i in range(40)], KIND)
    assert sum(bool(example.spans) for example in made[:20]) == 10
    assert len({example.text for example in made}) == len(made)
    assert sum(bool(example.spans) for example in made) == 20
    assert [example.line for example in made] == list(range(1, len(made) + 1))


def test_a_date_is_decided_by_the_sentence_around_it() -> None:
    text = "All is well. This Agreement is made on March 5, 2020 by Acme. It ends on May 1, 2021."
    found = units(text, "Agreement Date")
    assert [text[unit.start : unit.end] for unit in found] == ["March 5, 2020", "May 1, 2021"]
    assert found[0].words == "This Agreement is made on March 5, 2020 by Acme."


def test_keywords_are_the_phrases_that_tell_passages_apart() -> None:
    words = ["keep the data safe", "keep the data here", "pay the sum", "data of no one", "pay it"]
    model = Keywords(words, np.array([True, True, False, False, False]))
    assert len(model.phrases) == 1
    assert model.names()[0] in ("keep", "keep the", "keep the data", "the data")
    chances = model.chances(["they keep the data", "pay the sum"])
    assert chances[0] == pytest.approx(3 / 4)
    assert chances[1] == 0


@pytest.mark.parametrize("kind", [Keywords, Linear])
def test_a_baseline_finds_plain_passages(kind: type[Keywords] | type[Linear]) -> None:
    examples = examples_of([contract(i) for i in range(20)], KIND)
    model = kind(*labelled(examples, KIND))
    records = [contract(i) for i in range(100, 104)]
    found = [proposed(record["text"], KIND, model) for record in records]
    result = figures(KIND, found, records)
    assert result["answers"] == 4
    assert result["best_f1"] > 0.7
    low, high = result["aupr_interval"]
    assert low <= result["aupr"] <= high


def test_the_whole_bench_on_contracts_of_our_own(tmp_path: Path) -> None:
    learned = [contract(i, sentences=40) for i in range(30)]
    scored = [contract(i, sentences=40) for i in range(100, 103)]
    lines = measure([KIND], [20, 30], learned, scored, artefacts(), tmp_path, "contract-clauses")
    assert [line["report"]["examples"]["count"] for line in lines] == [20, 30]
    for line in lines:
        assert line["taught"]["best_f1"] > 0.5
        assert line["taught"]["at_threshold"]["recall"] > 0.3
        assert line["linear"]["answers"] == line["keywords"]["answers"] == 3
    table = list(shown(lines))
    assert len(table) == 4
    assert {row.count("|") for row in table} == {12}
