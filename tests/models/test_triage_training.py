"""The training of the triage specialist, from sound filings to what is served."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import library

library("onnx")
library("lightgbm")

from models.triage import __main__ as training
from models.triage.doubting import Example, _place, examples, summed
from models.triage.filings import fold_of
from models.triage.scores import threshold
from services.triage.doubts import COLUMNS
from services.triage.experience import Experience
from services.triage.judgement import triage_filing
from services.triage.raising import raised
from services.triage.relations import sheets
from services.triage.risk import NAME, Judge
from tests.unit.triage.filings import CONCEPTS, bent, read, record

pytestmark = pytest.mark.training
CONFIG = """
version = "0.1.0"
[data]
licence = "ours"
[errors]
as_development = 6
others = 2
hard = 1
of_headlines = 2
[weights]
others = 2.0
untouched = 3.0
old = 0.3
[forest]
trees = 20
leaves = 8
learning_rate = 0.2
least_rows = 3
share_of_columns = 0.8
share_of_rows = 0.9
ridge = 1.0
bins = 63
seed = 1
seeds = 2
threads = 1
[operation]
false_alarms = 0.02
false_alarms_of_headlines = 0.01
shown = 0.05
unbelieved = 0.9
"""
COMPANIES = 20


def lines(company: int) -> list[dict[str, Any]]:
    """The sound filing of a company as the data has it: a line a statement."""
    times = 1 + company % 7
    found = []
    for statement in record()["statements"]:
        rows = [
            row
            | {
                "concept": CONCEPTS.get(row["label"], row["label"].title().replace(" ", "")),
                "values": [v and (v * times if v > 10_000 or v < 0 else v) for v in row["values"]],
            }
            for row in statement["rows"]
        ]
        found.append(
            statement
            | {
                "id": f"f{company}-{statement['statement']}-1",
                "cik": company,
                "company": f"Company {company}",
                "form": "10-K",
                "period": "20231231",
                "presented_in": 1_000_000,
                "rows": rows,
            }
        )
    return found


def revisions() -> list[dict[str, Any]]:
    """Company 6 shows more shares than anybody has, and company 5 a sign that was tagged otherwise:
    the first is wrong on its page, the second is not.
    """
    about = {"end": "20231231", "quarters": 0}
    shares = {
        "kind": "scale_1000x",
        "company": "Company 6",
        "cik": 6,
        "concept": "Assets",
        "unit": "shares",
        "value_first": 7 * 14_382_000_000,
        "value_later": 7 * 14_382_000,
    }
    sign = {
        "kind": "sign_flip",
        "company": "Company 5",
        "cik": 5,
        "concept": "Goodwill",
        "unit": "USD",
        "value_first": 6 * 2_116_000_000,
        "value_later": -6 * 2_116_000_000,
    }
    return [
        about | one | {"first": {"accession": f"f{one['cik']}"}, "later": {"accession": "g"}}
        for one in (shares, sign)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the training has run, on twenty companies."""
    folder = tmp_path_factory.mktemp("training")
    finance = folder / "data" / "finance"
    finance.mkdir(parents=True)
    sound = [json.dumps(line) for company in range(COMPANIES) for line in lines(company)]
    (finance / "statements.jsonl").write_text("\n".join(sound) + "\n")
    wrong = bent("income", "Operating income", 1, 1568)
    truth = {"type": "digit_change", "statement": "income", "row": 4, "column": 1,
             "arith_checkable": True}  # fmt: skip
    apart = [
        record() | {"cik": 0, "label": "untouched"},
        wrong | {"cik": 1, "label": "injected", "truth": truth},
    ]
    (finance / "dev_injected.jsonl").write_text("".join(json.dumps(r) + "\n" for r in apart))
    (finance / "abbreviated.jsonl").write_text("")
    (finance / "revisions.jsonl").write_text("".join(json.dumps(r) + "\n" for r in revisions()))
    (folder / "config.toml").write_text(CONFIG)
    arguments = ["training", "--data", str(folder / "data"), "--out", str(folder / "artefacts"),
                 "--config", str(folder / "config.toml")]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        training.main()
    return folder


def test_what_is_served_tells_a_sound_filing_from_a_wrong_one(made: Path) -> None:
    """The artefact is read by the suite, and has learned the difference."""
    judge = Judge.load(made / "artefacts")
    assert judge.version == "0.1.0"
    sound = triage_filing(read(record()), judge)
    wrong = triage_filing(read(bent("income", "Operating income", 1, 1568)), judge)
    assert wrong.risk > sound.risk
    assert wrong.flagged
    assert (made / "artefacts" / NAME / "0.1.0").is_dir()


def test_every_filing_is_predicted_once_and_development_filings_apart(made: Path) -> None:
    """The predictions say what was done to each, and which set it is of."""
    with gzip.open(made / "predictions.jsonl.gz", "rt") as file:
        said = [json.loads(line) for line in file]
    own = [p for p in said if p["set"] == "own"]
    assert sum(p["type"] is None for p in own) == COMPANIES - 1
    assert len(own) > 5 * COMPANIES
    assert [(p["id"], p["type"]) for p in said if p["set"] == "corrected"] == [("f6", None)]
    assert not any(p["id"] == "f6" for p in own)
    assert {p["set"] for p in said} == {"own", "headlines", "corrected", "development"}
    assert all(p["fold"] == fold_of(p["company"]) for p in said)
    assert [p["type"] for p in said if p["set"] == "development"] == [None, "digit_change"]
    assert all(0 <= p["risk"] <= 1 for p in said)


def test_what_shows_a_corrected_error_tells_nothing_of_lines(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are its lines part of the experience of other companies."""

    class Seen(Exception):
        pass

    def caught(records: list[dict[str, Any]], *_more: Any) -> None:
        raise Seen({record["id"] for record in records})

    monkeypatch.setattr(training, "experiences", caught)
    with pytest.raises(Seen) as seen:
        training.make(made / "data" / "finance", {"errors": {}})
    assert seen.value.args[0] == {f"f{n}" for n in range(COMPANIES)} - {"f6"}


def test_what_else_an_error_brings_is_no_lesson(made: Path) -> None:
    """Rows count as the config says: sound ones, right ones, those there before, no others."""
    del made
    filing: dict[str, Any] = record() | {"cik": 3}
    for statement in filing["statements"]:
        statement["presented_in"] = 1_000_000
        for row in statement["rows"]:
            row["concept"] = "X"
    pages = summed(sheets(read(filing)))
    experience = Experience()
    errors = {"as_development": 6, "others": 2, "hard": 0}
    some = list(examples(filing, pages, experience, errors))
    rows, right, weight = training.lesson(some, {"untouched": 3.0, "old": 0.3, "others": 2.0})
    assert len(rows) == len(right) == len(weight)
    assert set(weight.tolist()) <= {3.0, 2.0, 1.0, 0.3}
    assert set(weight[right].tolist()) == {1.0, 2.0}
    left_out = sum(int((~e.right & ~e.old).sum()) for e in some if e.truth is not None)
    assert len(rows) == sum(len(e.rows) for e in some) - left_out


def test_a_doubt_is_known_again_where_rows_have_moved() -> None:
    """Below a line that was dropped, what the sound filing raises as well is no news."""
    filing: dict[str, Any] = record() | {"cik": 3}
    for statement in filing["statements"]:
        statement["presented_in"] = 1_000_000
        for row in statement["rows"]:
            row["concept"] = "X"
    (flow,) = (s for s in filing["statements"] if s["statement"] == "cash_flow")
    flow["rows"][4]["values"] = [-771_000_000, -689_000_000, -702_000]  # doubted as it stands
    before = sheets(read(filing))
    moved = json.loads(json.dumps(filing))
    del moved["statements"][filing["statements"].index(flow)]["rows"][1]
    known = {_place(before, doubt) for doubt in raised(before, Experience())}
    after = sheets(read(moved))
    again = [d for d in raised(after, Experience()) if d.kind == "proportion"]
    assert again
    assert all(_place(after, doubt) in known for doubt in again)


def test_the_odds_of_headlines_make_one_threshold_do_for_both() -> None:
    """Sound headlines are half as likely as whole filings to be doubted: their odds are raised."""
    columns = len(COLUMNS)

    def example(part: str) -> Example:
        rows = np.zeros((1, columns), np.float32)
        rows[0, COLUMNS.index("by_rule")] = 1
        rows[0, COLUMNS.index("brief")] = part == "headlines"
        return Example("x", 1, None, rows, np.zeros(1, bool), np.zeros(1, bool), part)

    every = [example("own")] * 100 + [example("headlines")] * 100
    said = [np.array([i / 100 * (1 if i < 100 else 0.5)], np.float32) for i in range(100)]
    said += [values * 0.5 for values in said]
    operation = {"unbelieved": 0.9, "false_alarms": 0.02, "false_alarms_of_headlines": 0.02}
    odds = training.odds_of_headlines(every, said, operation)
    found = [float(v.max()) for v in training.all_weighed(every, said, 0.9, odds)]
    at = threshold(np.array(found[:100]), 0.02)
    assert sum(v >= at for v in found[:100]) == 2
    assert sum(v >= at for v in found[100:]) in (1, 2, 3)
