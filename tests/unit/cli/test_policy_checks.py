"""What `smallprint policy try` says of expected errors where people have decided something here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.extraction.domain import Extraction, Pass, Searched
from services.extraction.store import MIGRATIONS as OF_EXTRACTION
from services.extraction.store import Extractions
from services.extraction.watch.store import Watches
from services.review.domain import Document
from services.review.store import MIGRATIONS as OF_REVIEW
from services.review.store import save_document
from shared.storage import FileBlobs, Store
from shared.storage.watches import Drawn
from tests.unit.cli import test_policy_try
from tests.unit.cli.test_policy_try import ADAPTER, CAREFUL, LAW, TEXT, found, installed, rows_of
from tests.unit.review.house import reading_of

data, run = test_policy_try.data, test_policy_try.run
"""A data folder in which two contracts of the tenant were read, and the command on it."""


def check(data: Path, documents: int, wrong: int, step: int = 0) -> None:
    """Read further contracts, one law each, and have all of them checked, a quarter being drawn;
    what is accepted was tightened so far.
    """
    extraction = Store(f"sqlite:///{data / 'extraction.db'}", "extraction", OF_EXTRACTION)
    review = Store(f"sqlite:///{data / 'review.db'}", "review", OF_REVIEW)
    blobs = FileBlobs(data / "blobs", "ingest")
    text = blobs.put("default", TEXT.encode())
    layout = blobs.put("default", reading_of(TEXT).to_bytes())
    passes = (Pass(ADAPTER, installed(), Searched(len(TEXT), 1, (), ())),)
    with extraction.write() as session, review.write() as other:
        rows, watches = Extractions(session, "default"), Watches(session, "default")
        for number in range(documents):
            name = f"checked_{number}"
            save_document(
                other,
                Document("default", name, f"{name}.txt", "contract", text=text, layout=layout),
            )
            rows.save(Extraction("default", name, "contract", 1, state="extracted", passes=passes))
            law = found(name, "Governing Law", LAW, 0.98)
            rows.replace_clauses(name, [law])
            watches.put(
                Drawn(
                    law.id,
                    name,
                    ADAPTER,
                    installed(),
                    law.category,
                    law.confidence,
                    0.98,
                    "",
                    0.25,
                    True,
                    number < wrong,
                )
            )
        kept = watches.kept(ADAPTER, lock=True)
        watches.save(replace(kept, step=step))
    for store in (extraction, review):
        store.close()


def test_what_checks_have_shown_is_said_before_what_the_calibration_set_says(
    data: Path, run: Any
) -> None:
    """Of forty checks ten were wrong, so that it was tightened: 25% of what is accepted, and not
    1.4%, with an interval; that is more than the policy allows.
    """
    check(data, 40, wrong=10, step=1)
    for text in (CAREFUL, CAREFUL.replace("sample_share = 0.0", "sample_share = 0.5")):
        line = json.loads(run(text, "--json").stdout)
        new = line["tried"]
        assert new["accepted"] + new["sampled"] == 42
        seen = new["by_decisions"]
        assert (seen["decided"], seen["wrong"], seen["share"]) == (40, 10, 0.25)
        assert new["expected_errors_by"] == "decisions"
        assert new["expected_errors"] == pytest.approx(0.25 * new["accepted"])
        low, high = new["expected_errors_interval"]
        assert 0.1 * new["accepted"] - 1 < low < new["expected_errors"]
        assert new["expected_errors"] < high < 0.45 * new["accepted"] + 1
        assert new["by_calibration"]["expected_errors"] < 0.05 * new["accepted"]
        assert line["now"]["by_decisions"] is None
    shown = run(CAREFUL).stdout
    rows = rows_of(shown.split("\nReports: ")[0])
    assert rows["wrong among them, expected"] == ["-", "10.5", "(25.0%)"]
    assert rows["with 95% between"] == ["-", "5", "and", "18"]
    assert rows["by what people decided here"] == ["-", "25.0%,", "of", "40"]
    assert rows["by the calibration set"][1:] == ["0.6", "(1.4%)"]
    said = " ".join(shown.split())
    assert (
        "! tried, contracts: nobody would look at 42 of 44 clauses. 10.5 of these are expected to "
        "be wrong, 25.0% (with 95% between 5 and 18), where the policy allows 20%: people have "
        "decided here about 40 such clauses, 10 wrong. By the calibration set it would be 0.6 "
        "(1.4%)"
    ) in said
    assert (
        f"! tried, contracts: {ADAPTER}: too many checks were wrong: accepted is what is " in said
    )
    assert "nobody has decided anything here" not in said
    assert "the worse of both comes first" in said


def test_checks_that_were_right_stand_behind_the_calibration_set(data: Path, run: Any) -> None:
    """The worse of both comes first, and the other is told beside it, with how few they are."""
    check(data, 10, wrong=0)
    line = json.loads(run(CAREFUL, "--json").stdout)["tried"]
    assert (line["expected_errors_by"], line["by_decisions"]["expected_errors"]) == (
        "calibration",
        0.0,
    )
    assert line["expected_errors"] == line["by_calibration"]["expected_errors"] > 0
    assert line["tightened"] == []
    said = " ".join(run(CAREFUL).stdout.split())
    assert (
        "By what was seen here it would be 0.0 (0.0%), with 95% between 0 and 4: people have "
        "decided here about 10 such clauses, 0 wrong; so few may be chance."
    ) in said


def test_it_says_where_nothing_stands_for_what_is_accepted_after_a_tightening(
    data: Path, run: Any
) -> None:
    """What was checked is not accepted any more."""
    check(data, 0, 0, step=1)
    said = " ".join(run(CAREFUL).stdout.split())
    assert "Of what is still accepted nobody has decided anything here" in said
    assert "the worse of both comes first" not in said
