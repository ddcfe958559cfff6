"""The scorer of reading statements counts what it says."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from services.triage.reading.reader import ReadStatement, find_statements
from shared.documents import read
from tests.evaluate.statements import EquityScore, Score, compare, count_equity, named, table
from tests.unit.triage.reading import equity_samples, samples

MILLION = 10**6
COLUMNS = [{"start": "20220701", "end": "20230630"}, {"start": "20210701", "end": "20220630"}]
TRUTH: dict[str, Any] = {
    "statement": "income",
    "columns": COLUMNS,
    "rows": [
        {"label": "Revenue:", "values": [None, None]},
        {"label": "Products", "values": [1200 * MILLION, 1000 * MILLION]},
        {"label": "Other expense, net", "values": [-50 * MILLION, 0]},
        {"label": "Net income", "values": [440 * MILLION, None]},
    ],
}


def found() -> ReadStatement:
    (statement,) = find_statements(read(samples.html(), name="a.html")).statements
    return statement


def scored(truth: dict[str, Any], statement: ReadStatement | None, *, whole: bool = True) -> Score:
    score = Score()
    compare("a.html", truth, statement, score, whole=whole)
    return score


def test_equity_is_measured_by_what_its_page_says_of_itself(tmp_path: Path) -> None:
    sound, odd = tmp_path / "sound.html", tmp_path / "odd.html"
    sound.write_bytes(equity_samples.html())
    last = equity_samples.MOVEMENTS[-1]
    wrong = [*equity_samples.MOVEMENTS[:-1], (*last[:5], "$ 367", "$ 460")]
    odd.write_bytes(equity_samples.html([*wrong[:1], (*wrong[1][:-1], "44"), *wrong[2:]]))
    whole, broken = EquityScore(), EquityScore()

    count_equity(sound, whole)
    count_equity(odd, broken)

    assert (whole.documents, whole.read, whole.by_components, whole.unreadable) == (1, 1, 1, 0)
    assert [str(one) for one in (whole.across, whole.down, whole.sheet)] == [
        "10/10",
        "10/10",
        "2/2",
    ]
    assert str(broken.across) == "9/10"
    assert str(broken.sheet) == "1/2"
    assert broken.down.exact < broken.down.tried
    assert len(broken.misses) == 2


def test_what_is_read_as_it_stands_is_right() -> None:
    score = scored(TRUTH, found())

    assert (score.right, score.cells, score.misses) == (5, 5, [])


def test_another_value_is_wrong_and_listed() -> None:
    truth = copy.deepcopy(TRUTH)
    truth["rows"][2]["values"][0] = 50 * MILLION

    score = scored(truth, found())

    assert (score.right, score.why) == (4, {"value differs": 1})
    assert "'Other expense, net' 50000000 read as -50000000" in score.misses[0]


def test_a_line_that_has_the_value_under_another_label_is_not_it() -> None:
    truth = copy.deepcopy(TRUTH)
    truth["rows"][1]["label"] = "Interest on bonds"

    assert scored(truth, found()).why == {"line not found": 2}


def test_a_column_of_another_duration_is_not_it() -> None:
    truth = copy.deepcopy(TRUTH)
    truth["columns"][0]["start"] = "20230401"

    assert scored(truth, found()).why == {"column not found": 3}


def test_a_statement_that_was_not_found_costs_all_its_cells() -> None:
    score = scored(TRUTH, None)

    assert (score.right, score.cells) == (0, 5)
    assert "0/5" in table({"html": score_with_time(score)})


def score_with_time(score: Score) -> Score:
    """A score as a measured one has it."""
    score.seconds.append(0.1)
    return score


def test_against_another_filing_only_common_cells_count() -> None:
    truth = copy.deepcopy(TRUTH)
    truth["rows"][1]["label"] = "Interest on bonds"

    score = scored(truth, found(), whole=False)

    assert (score.right, score.cells) == (3, 3)


def test_tags_alone_are_paired_by_the_names_of_their_concepts() -> None:
    truth = {
        **TRUTH,
        "rows": [
            {"label": "Total sales", "concept": "NetIncomeLoss", "values": [440 * MILLION, None]},
            {"label": "Products", "concept": None, "values": [1, 1]},
            {"label": "Europe", "concept": "Revenues", "dims": "Europe", "values": [1, 1]},
        ],
    }

    (renamed,) = named([truth])

    assert [row["label"] for row in renamed["rows"]] == ["Net income loss"]
    assert next(row["label"] for row in truth["rows"]) == "Total sales"
