"""What analysts dismissed is learned as lawful, and nothing else of those filings is."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import library

library("onnx")
library("lightgbm")

from models.triage import __main__ as training
from models.triage.dismissed import companies, lawful, number_of, read_lessons
from models.triage.filings import FOLDS, fold_of
from services.triage.dismissals import Dismissal, filer_of, relation_of
from services.triage.doubts import COLUMNS
from services.triage.experience import Experience
from services.triage.judgement import finding_of, triage_filing
from services.triage.lessons import Lesson
from services.triage.raising import raised
from services.triage.reading.document import MOST_COLUMNS
from services.triage.relations import sheets
from services.triage.risk import Judge
from tests.models.test_triage_training import CONFIG, lines
from tests.unit.triage.filings import bent, read

pytestmark = pytest.mark.training
TAUGHT = {fold: Experience() for fold in range(FOLDS)}


def odd(number: int, company: str = "Company 3") -> dict[str, Any]:
    """A filing whose operating income is no sum of its lines, lawfully as its company says."""
    return bent("income", "Operating income", 1, 1568) | {"company": company, "id": f"odd{number}"}


def lesson(record: dict[str, Any], which: int | None = None) -> Lesson:
    """One that was dismissed: the doubt of this number, all of them without one."""
    pages = sheets(read(record))
    every = raised(pages, Experience())
    chosen = every if which is None else [every[which]]
    found = [finding_of(pages, doubt) for doubt in chosen]
    about = filer_of(record["company"])
    return Lesson(
        record,
        [
            Dismissal("", "", "", about, relation_of(one), one.reported, one.expected, "lawful", "",
                      datetime(2026, 1, 1, tzinfo=UTC))
            for one in found
        ],
        found,
    )  # fmt: skip


def test_only_what_was_dismissed_is_a_lesson() -> None:
    """Of several doubts about a filing the one that the dismissal covers, and it is not right."""
    pages = sheets(read(odd(1)))
    every = raised(pages, Experience())
    known = [d for d in every if finding_of(pages, d).reported is not None]
    assert len(every) > 1
    which = every.index(known[0])
    example = lawful(lesson(odd(1), which), TAUGHT, {})
    assert 1 <= len(example.rows) < len(every)
    assert example.rows.tolist()[0] == pytest.approx(every[which].vector(), rel=1e-5)
    assert not example.right.any()
    assert (example.truth, example.part, example.id) == (None, "dismissed", "odd1")
    rows, right, weight = training.lesson([example], {"untouched": 3.0, "old": 0.3, "others": 2.0})
    assert (len(rows), right.any(), set(weight.tolist())) == (len(example.rows), False, {3.0})


def test_a_break_of_another_kind_is_no_lesson() -> None:
    """A filing with the relation, but not the break that was dismissed, has fewer lessons."""
    said = lesson(odd(1))
    sound = bent("income", "Operating income", 1, 1508)
    other = Lesson(sound | {"company": "Company 3"}, said.dismissed, said.findings)
    more = len(lawful(said, TAUGHT, {}).rows)
    assert len(lawful(other, TAUGHT, {}).rows) < more


def test_a_lesson_is_read_as_the_suite_reads_it() -> None:
    """Without statements of equity, and of too many columns those alone that are checked."""
    said = lesson(odd(1))
    known = lawful(said, TAUGHT, {})
    equity = {"statement": "equity", "columns": [{}], "rows": [{"label": "x", "values": [1]}]}
    shown = {**said.filing, "statements": [equity, *said.filing["statements"]]}
    other = lawful(Lesson(shown, said.dismissed, said.findings), TAUGHT, {})
    assert other.rows.tolist() == known.rows.tolist()

    (one,) = (s for s in said.filing["statements"] if s["statement"] == "income")
    rows = [row | {"values": row["values"] * 40} for row in one["rows"]]
    wide = one | {"columns": one["columns"] * 40, "rows": rows}
    statements = [wide if s is one else s for s in said.filing["statements"]]
    lessons = Lesson({**said.filing, "statements": statements}, said.dismissed, said.findings)
    widths = lawful(lessons, TAUGHT, {}).rows[:, COLUMNS.index("width")]
    assert len(widths)
    assert widths.max() == MOST_COLUMNS


def test_a_filer_is_in_the_fold_of_its_company() -> None:
    """By the name that dismissals know it by; one that the data lacks has a fold of its own."""
    known = companies([{"company": "Company 3", "cik": 3}, {"company": "ACME Corp.", "cik": 77}])
    assert number_of(filer_of("acme corp"), known) == 77
    assert lawful(lesson(odd(1)), TAUGHT, known).fold == fold_of(3)
    other = number_of("somebody else", known)
    assert other == number_of("somebody else", {})
    assert other not in known.values()
    assert 0 <= fold_of(other) < FOLDS


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    """With its number."""
    path = tmp_path / "dismissed.jsonl"
    path.write_text(json.dumps(lesson(odd(1)).to_json()) + "\n{}\n")
    with pytest.raises(ValueError, match=r"dismissed\.jsonl, line 2"):
        list(read_lessons(path))
    path.write_text("no json\n")
    with pytest.raises(ValueError, match="line 1"):
        list(read_lessons(path))


def trained(folder: Path, file: Path | None) -> Judge:
    """What the training makes of ten companies, and of what was dismissed."""
    finance = folder / "data" / "finance"
    finance.mkdir(parents=True)
    sound = [json.dumps(line) for company in range(10) for line in lines(company)]
    (finance / "statements.jsonl").write_text("\n".join(sound) + "\n")
    for name in ("dev_injected", "abbreviated", "revisions"):
        (finance / f"{name}.jsonl").write_text("")
    (folder / "config.toml").write_text(CONFIG)
    arguments = ["training", "--data", str(folder / "data"), "--out", str(folder / "artefacts"),
                 "--config", str(folder / "config.toml")]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments + (["--dismissed", str(file)] if file else []))
        training.main()
    return Judge.load(folder / "artefacts")


def test_a_break_that_was_dismissed_is_believed_less(tmp_path: Path) -> None:
    """By the judge that learned from it, in a filing that it has not seen; an error that nobody
    dismissed is still flagged. The predictions have nothing of those filings.
    """
    file = tmp_path / "dismissed.jsonl"
    some = [lesson(odd(number)).to_json() for number in range(20)]
    file.write_text("".join(json.dumps(line) + "\n" for line in some))
    before = trained(tmp_path / "without", None)
    after = trained(tmp_path / "with", file)
    again = read(odd(99, "Company 4"))
    assert triage_filing(again, before).flagged
    assert triage_filing(again, after).risk < triage_filing(again, before).risk / 2
    other = read(bent("balance_sheet", "Inventories", 0, 9881))
    assert triage_filing(other, after).risk > triage_filing(again, after).risk
    with gzip.open(tmp_path / "with" / "predictions.jsonl.gz", "rt") as said:
        predicted = [json.loads(line) for line in said]
    assert not any(p["id"].startswith("odd") for p in predicted)
    assert "dismissed" not in {p["set"] for p in predicted}
