"""Expected errors in `smallprint policy try` after decisions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.extraction.domain import Extraction, Pass, SearchRecord
from services.extraction.monitoring.store import MonitoringStore
from services.extraction.store import Extractions
from services.review.store import save_document
from shared.monitoring.store import AuditSample
from tests.unit.cli import test_policy_try
from tests.unit.cli.builders import opened, words
from tests.unit.cli.test_policy_try import (
    ADAPTER,
    CAREFUL,
    LAW,
    TEXT,
    Tried,
    contract,
    found,
    installed,
    rows_of,
)

data, run = test_policy_try.data, test_policy_try.run
"""A data folder in which two contracts of the tenant were read, and the command on it."""


def check(data: Path, documents: int, wrong: int, step: int = 0) -> None:
    """Read more contracts with one clause each, and check all; a quarter are samples, and the limit
    was tightened.
    """
    passes = (Pass(ADAPTER, installed(), SearchRecord(len(TEXT), 1, (), ())),)
    with (
        opened(data, "extraction") as extraction,
        opened(data, "review") as review,
        extraction.write() as session,
        review.write() as other,
    ):
        rows, monitoring = Extractions(session, "default"), MonitoringStore(session, "default")
        for number in range(documents):
            name = f"checked_{number}"
            save_document(other, contract(data, "default", name))
            rows.save(Extraction("default", name, "contract", 1, state="done", passes=passes))
            law = found(name, "Governing Law", LAW, 0.98)
            rows.replace_clauses(name, [law])
            about = (law.id, name, ADAPTER, installed(), law.category, law.confidence)
            monitoring.save_sample(AuditSample(*about, 0.98, "", 0.25, True, number < wrong))
        monitoring.save(replace(monitoring.state(ADAPTER, lock=True), step=step))


@pytest.mark.slow
def test_results_of_checks_come_before_those_of_the_calibration_set(data: Path, run: Tried) -> None:
    """Ten of forty checks were wrong: 25%, not the 1.0% of the calibration."""
    check(data, 40, wrong=10, step=1)
    for text in (CAREFUL, CAREFUL.replace("sample_share = 0.0", "sample_share = 0.5")):
        line = run.line(text)
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
    assert rows["by what people decided here"] == ["-", "25.0%,", "of", "40"]
    assert rows["by the calibration set"][1:] == ["0.4", "(1.0%)"]
    output = words(shown)
    assert (
        f"! tried, contracts: {ADAPTER}: too many checks were wrong: the required belief" in output
    )
    assert "The worse of both comes first" in output


def test_checks_that_were_right_stand_behind_the_calibration_set(data: Path, run: Tried) -> None:
    check(data, 10, wrong=0)
    line = run.line(CAREFUL)["tried"]
    assert (line["expected_errors_by"], line["by_decisions"]["expected_errors"]) == (
        "calibration",
        0.0,
    )
    assert line["expected_errors"] == line["by_calibration"]["expected_errors"] > 0
    assert line["tightened"] == []
    output = run.table(CAREFUL)
    assert (
        "By decisions made here it would be 0.0 (0.0%), with 95% between 0 and 4: people have "
        "decided here about 10 such clauses, 0 wrong; with so few this may be chance."
    ) in output


def test_missing_decisions_after_a_tightening_are_reported(data: Path, run: Tried) -> None:
    check(data, 0, 0, step=1)
    output = run.table(CAREFUL)
    assert "There are no decisions here about results that are still accepted" in output
    assert "The worse of both comes first" not in output
