"""What checks of a report count for that another version of the judge reads again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from services.triage.results import Routing
from services.triage.risk import NAME
from services.triage.watch.store import Watches
from services.triage.watch.watching import note_filings
from shared.policy import FindingRules, RiskRules
from shared.storage import UnitOfWork
from tests.unit.triage.house import House
from tests.unit.triage.test_watch import calibration, judged


def test_a_report_that_another_judge_reads_again_counts_for_no_test(tmp_path: Path) -> None:
    """Neither by a check that was pending nor by one that only this judge has; one that comes in
    counts, also where the same judge reads it again.
    """
    routing = Routing(
        RiskRules(findings=FindingRules(max_wrong=0.05, broken=0.5), sample_share=1.0),
        calibration(),
        b"key",
    )
    house = House(tmp_path)
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "default")

        def counts(number: int, version: str) -> bool:
            one = judged(number)
            assert one.surest
            one = replace(one, surest=replace(one.surest, sampled=True))
            note_filings(watches, f"doc_{number}", [one], routing, version)
            (check,) = watches.of_document(f"doc_{number}", NAME)
            return bool(check.promise)

        assert counts(1, "9")
        assert counts(1, "9")
        assert not counts(1, "10")
        assert not counts(1, "10")
        assert counts(2, "10")
    house.close()
