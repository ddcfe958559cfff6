"""`smallprint calibrate`: what people decided makes a calibration, which can be taken back."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.escalation.policy import note_policies
from services.escalation.policy.policy import read_policies
from services.extraction.domain import ExtractedClause, Extraction, Pass, SearchRecord
from services.extraction.monitoring.store import MonitoringStore
from services.extraction.store import Extractions
from shared.errors import Conflict, InvalidRequest
from shared.monitoring.drift import Drift
from shared.monitoring.store import AuditSample
from tests.unit.cli.builders import calibrate, calibrate_rows, invoke, opened
from tests.unit.cli.test_policy_try import ADAPTER, installed

LAW, TERM = "Governing Law", "Renewal Term"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hundred and fifty documents of one check and one doubtful clause each, all decided; another
    is begun.
    """
    version = installed()
    passes = (Pass(ADAPTER, version, SearchRecord(10, 1, (), ())),)
    with opened(tmp_path, "extraction") as store, store.write() as session:
        extractions, monitoring = (
            Extractions(session, "default"),
            MonitoringStore(session, "default"),
        )
        for number in range(151):
            name = f"doc_{number:03}"
            sure = ExtractedClause(f"cl_{name}a", ADAPTER, LAW, "law", 0, 3, 1, 0.97, sampled=True)
            unsure = ExtractedClause(f"cl_{name}b", ADAPTER, TERM, "term", 5, 9, 1, 0.6)
            one = Extraction("default", name, "contract", 1, state="done", passes=passes)
            extractions.save(one)
            extractions.replace_clauses(name, [sure, unsure])
            for clause, share in ((sure, 0.25), (unsure, 1.0))[: 2 if number < 150 else 1]:
                monitoring.save_sample(
                    AuditSample(
                        *(clause.id, name, ADAPTER, version, clause.category, clause.confidence),
                        *(0.95, "", share, clause.sampled),
                        wrong=clause is unsure and number % 2 == 0,
                    )
                )
        now = monitoring.state(ADAPTER, lock=True)
        monitoring.save(replace(now, step=2, suspended=(LAW,), drifted=True))
    write_policy(tmp_path, 0.1)
    monkeypatch.setenv("SMALLPRINT_POLICY", str(tmp_path / "policy.toml"))
    return tmp_path


def write_policy(data: Path, max_wrong: float | None) -> None:
    stated = "" if max_wrong is None else f"max_wrong = {max_wrong}"
    (data / "policy.toml").write_text(f"[tenants.default]\n{stated}\n", "utf-8")


def state(data: Path) -> list[Any]:
    """The state of monitoring, the number of the active calibration, and the notices."""
    with opened(data, "extraction") as store, store.read() as session:
        monitoring = MonitoringStore(session, "default")
        now, active = monitoring.state(ADAPTER), monitoring.calibration(ADAPTER)
        notices = [(one.kind, one.actor) for one in monitoring.newest_notices(10)]
        return [(now.step, now.suspended, now.drifted), active and active.number, notices]


def everything(data: Path) -> list[Any]:
    with opened(data, "extraction") as store, store.read() as session:
        return [
            [tuple(row) for row in session.execute(select(table))]
            for table in vars(MonitoringStore.tables).values()
        ]


def test_it_shows_before_and_after_and_changes_nothing(data: Path) -> None:
    line = calibrate(data, "--max-wrong", "0.1")
    assert (line["documents"], line["unfinished"], line["decided"]) == (150, 1, 300)
    assert line["before"]["shown"] == line["after"]["shown"] == 150 * 4 + 150
    assert line["before"]["accepted"] == 0
    assert 600 <= line["after"]["accepted"] < 700
    low, high = line["after"]["interval"]
    assert low <= line["after"]["rate"] <= high < 0.1
    assert state(data) == [(2, (LAW,), True), None, []]


def test_it_is_applied_and_undone_with_what_was_tightened(data: Path) -> None:
    assert calibrate(data, "--by", "ann", act="apply")["done"] == "applied"
    assert state(data) == [(0, (), False), 1, [("calibrated", "ann")]]
    assert calibrate(data, "--by", "ben", act="undo")["done"] == "undone"
    notices = [("undone", "ben"), ("calibrated", "ann")]
    assert state(data) == [(2, (LAW,), True), None, notices]
    with pytest.raises(Conflict, match="nothing to undo"):
        calibrate(data, act="undo")


def test_what_promises_nothing_is_not_applied(data: Path) -> None:
    assert "State a larger risk" in calibrate(data, "--max-wrong", "0.001")["no_guarantee_reason"]
    write_policy(data, 0.001)
    with pytest.raises(Conflict, match="nothing to apply"):
        calibrate(data, act="apply")
    assert calibrate(data)["message"] == "nothing was changed: there is nothing to apply"


def test_only_the_risk_of_the_policy_is_applied(data: Path) -> None:
    with pytest.raises(InvalidRequest, match="the policy states no max_wrong for this tenant"):
        calibrate(data, "--tenant", "rivals", act="apply")
    assert state(data)[1:] == [None, []]
    assert calibrate(data, "--max-wrong", "0.2", "--with-shipped")["message"] == (
        "nothing was changed: `smallprint calibrate apply` uses the policy's max_wrong, which is "
        "0.1: state 0.2 there first"
    )
    assert calibrate(data, "--max-wrong", "0.1")["message"].endswith(
        "use `smallprint calibrate apply` to apply it"
    )
    assert calibrate(data, act="apply")["done"] == "applied"
    write_policy(data, None)
    message = calibrate(data, "--max-wrong", "0.1")["message"]
    assert message.endswith("which is none: state 0.1 there first")
    with pytest.raises(InvalidRequest, match="--max-wrong"):
        calibrate(data)


def test_a_person_loosens_with_a_reason_what_is_tightened(data: Path) -> None:
    loosen = ("--reason", "the checks were decided by mistake", "--by", "ann")
    calibrate(data, *loosen, act="loosen")
    assert state(data) == [(0, (), False), None, [("loosened", "ann")]]
    with opened(data, "extraction") as store, store.write() as session:
        monitoring = MonitoringStore(session, "default")
        drift = Drift.none(["size"]).after({"size": 0.5}).to_json()
        monitoring.save(replace(monitoring.state(ADAPTER, lock=True), drift=drift, documents=22))
    before = everything(data)
    for adapter in (ADAPTER, "another"):
        with pytest.raises(
            Conflict, match=f"{adapter} was not tightened, so there is nothing to loosen"
        ):
            calibrate(data, adapter, *loosen, act="loosen")
    assert everything(data) == before


def test_nothing_is_loosened_without_a_reason(data: Path) -> None:
    before = everything(data)
    result = invoke("calibrate", "loosen", "--data", data, "--reason", " ")
    assert "--reason" in str(result.exception)
    assert everything(data) == before


def test_the_risk_is_that_of_the_suite(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMALLPRINT_POLICY")
    with pytest.raises(InvalidRequest, match=r"no policy is known here: .* or use --max-wrong"):
        calibrate(data)
    with pytest.raises(InvalidRequest, match="no policy is known here: "):
        calibrate(data, act="apply")
    line = calibrate(data, "--max-wrong", "0.2")
    assert line["max_wrong"] == 0.2
    assert (
        "calibrate apply` uses the policy's max_wrong, and no policy is known here"
        in line["message"]
    )
    policies = read_policies(data / "policy.toml")
    with opened(data, "escalation") as store:
        note_policies(store, policies.versions, policies.version, datetime.now(UTC))
    assert calibrate(data)["max_wrong"] == 0.1
    assert calibrate(data, act="apply")["done"] == "applied"


def test_a_person_reads_a_table(data: Path) -> None:
    shown = calibrate_rows(data, "--max-wrong", "0.1")
    assert re.search(r"^accepted  .* about \d+ of 750$", shown, re.MULTILINE)
    # 600 represent others, 31 only themselves
    assert re.search(r"^  of these decided .* 181, 19 wrong$", shown, re.MULTILINE)
    assert "in force" in shown
    assert "nothing was changed" in shown
    shown = calibrate_rows(data, "--max-wrong", "0.02")
    assert re.search(r"^categories never accepted .* all 41$", shown, re.MULTILINE)


def test_categories_of_which_nothing_is_accepted_are_named(data: Path) -> None:
    with opened(data, "extraction") as store, store.write() as session:
        monitoring = MonitoringStore(session, "default")
        for known in monitoring.decisions().values():
            if known.category == TERM:
                monitoring.save_sample(replace(known, confidence=0.9 if known.wrong else 0.5))
    line = calibrate(data, "--max-wrong", "0.1")
    assert (line["never_before"], line["never_after"]) == ([LAW], [TERM])
    rows = calibrate_rows(data, "--max-wrong", "0.1").splitlines()
    row = next(row for row in rows if row.startswith("categories never accepted"))
    assert row.split()[-6:] == ["1", "of", "41", "1", "of", "41"]
    before, after = (next(r for r in rows if r.startswith(s)) for s in ("in force: ", "refitted: "))
    assert f'none of "{LAW}" is accepted at any confidence. People review them until' in before
    assert f'none of "{TERM}" is accepted at any confidence, because by the decisions' in after
    assert "or, after failed checks, until you run `" in before
    assert "smallprint calibrate loosen`" in before
