"""Escalations whose workers are killed have one answer each, and books that agree in the end."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.bills import differences
from infra.kill_escalations import (
    AMPLE,
    FIRST,
    NO_BUDGET,
    TIGHT,
    WORST,
    Place,
    Report,
    Worker,
    count,
    note_dead,
    run,
    shared_out,
    wrong_stops,
)
from infra.stand_in import Bill
from services.escalation.audit import Booked, booked
from services.escalation.hearing import content_of
from services.escalation.ledger.store import ledger, spending, stops
from services.escalation.prompting import SYSTEM
from services.escalation.store import escalations
from shared.storage.messages import outbox
from tests.contract.ledger.calls import NOON


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Report]:
    """Sixty escalations, six workers, three kills, on SQLite."""
    place = Place(tmp_path_factory.mktemp("killed"))
    return place, run(place, 60, workers=6, kills=3, seed=2, tell=lambda _line: None)


@pytest.mark.parametrize("workers", [1, 4, 6, 50])
def test_there_are_as_many_workers_as_asked_for(workers: int) -> None:
    """Shared out among five processes at the most, as evenly as can be."""
    shares = shared_out(workers)
    assert (sum(shares), len(shares)) == (workers, min(5, workers))
    assert max(shares) - min(shares) <= 1


def test_nothing_is_lost_and_no_cap_is_exceeded(killed: tuple[Place, Report]) -> None:
    """Each kill hit calls in hand; what they may have cost is counted."""
    _, report = killed
    shown = "\n".join(report.table())
    assert report.good, shown
    assert len(report.kills) == 3
    assert (report.unanswered, report.twice, report.wrong_sums) == ([], [], [])
    assert (report.wrong_bills, report.died) == ([], []), shown
    logs = sorted(one.name for one in Path(report.logs).iterdir())
    assert len(logs) == 8, "five processes, and one for each kill"
    assert f"standard error: {report.logs}" in shown
    assert report.states["reserved"] == 0
    assert report.states["assumed"] >= 1, shown
    assert sum(report.outcomes.values()) == 60
    assert 0 < report.billed <= report.counted <= sum(report.caps.values())
    assert shown.splitlines()[-1].startswith("GOOD: 3 of 3 kills, 60 escalations, 0 lost, 0 twice")


def test_a_cap_binds_and_is_kept(killed: tuple[Place, Report]) -> None:
    """One tenant has less than its escalations cost: some end for want of budget, none of the
    other tenant, and neither spends more than it may.
    """
    place, report = killed
    shown = "\n".join(report.table())
    assert report.caps.keys() == {AMPLE, TIGHT}
    assert all(0 < report.largest[name] <= cap for name, cap in report.caps.items()), shown
    assert report.largest[TIGHT] > report.caps[TIGHT] - WORST, shown
    with place.store.read() as session:
        refused = [
            row for row in session.execute(escalations.select()) if NO_BUDGET.search(row.reason)
        ]
    assert {row.tenant for row in refused} == {TIGHT}
    assert len(refused) == report.refused > 0
    assert f"{report.refused:>12}  escalations ended for want of budget" in shown


def test_who_overbills_is_stopped_at_the_first_such_bill(killed: tuple[Place, Report]) -> None:
    """Every call from some on is billed beyond possibility: only those are that were in hand when
    the first such bill was heard of, and those whose bill nobody heard of.
    """
    place, report = killed
    assert (report.stopped, report.wrong_stops) == ([FIRST], [])
    with place.store.read() as session:
        calls, (stop,) = booked(session), stops(session)
    heard = sum(one.micro_usd > one.reserved for one in calls)
    assert 0 < heard <= 6, "as many as there are workers"
    assert report.overbills <= heard + report.states["assumed"]
    assert "goes on" in " ".join(wrong_stops(calls, []))
    early = replace(stop, since=stop.since - timedelta(hours=1))
    assert any("after it was stopped" in one for one in wrong_stops(calls, [early]))
    other = next(one for one in calls if one.micro_usd <= one.reserved)
    told = wrong_stops(calls, [replace(stop, call_id=other.call_id)])
    assert told == [f"{FIRST} is stopped by {other.call_id}, which was not billed too high"]


def test_the_count_finds_faults(killed: tuple[Place, Report]) -> None:
    """A report is bad by each fault alone."""
    _, report = killed
    faults: tuple[dict[str, Any], ...] = (
        {"largest": Counter({**report.largest, TIGHT: report.caps[TIGHT] + 1})},
        {"largest": Counter({**report.largest, AMPLE: report.caps[AMPLE] + 1})},
        {"refused": 0},
        {"stopped": []},
        {"wrong_stops": ["stand-in-first was asked ca_1 after it was stopped"]},
        {"billed": report.counted + 1},
        {"states": Counter(reserved=1)},
        {"wrong_sums": ["default/2026-01: 1, but 2 in the ledger"]},
        {"wrong_bills": ["ca_1: 7 is settled, but 8 billed"]},
        {"died": ["worker-1.log, exit code 1"]},
        {"unanswered": ["es_1"]},
        {"twice": ["es_1"]},
        {"kills": report.kills[:-1]},
    )
    for fault in faults:
        bad = replace(report, **fault)
        assert not bad.good, fault
        assert list(bad.table())[-1].startswith("BAD")


def test_the_count_reads_what_is_there(killed: tuple[Place, Report]) -> None:
    """An answer that is gone is a lost one, an answer more is a second one, and sums are added up
    anew.
    """
    place, report = killed
    with place.store.write() as session:
        first, second = session.execute(outbox.select().limit(2)).all()
        session.execute(
            outbox.update().where(outbox.c.number == first.number).values(value=second.value)
        )
        session.execute(spending.update().values(micro_usd=spending.c.micro_usd + 1))
        session.execute(ledger.update().values(state="reserved"))
    again = replace(report, states=Counter(), outcomes=Counter())
    count(again, place, {})
    assert (len(again.unanswered), len(again.twice)) == (1, 1)
    assert len(again.wrong_sums) == 4, "a day and a month of each tenant"
    assert again.states["reserved"] > 0
    place.close()


BILLS = {"one": [Bill("m", 10, 5, turns=("a",)), Bill("m", 10, 7, turns=("a",))]}


def called(name: str, state: str, tokens: tuple[int, int], micro_usd: int) -> Booked:
    """A call with the words of the bills."""
    return Booked(
        name, "one", content_of("one", "m", SYSTEM, ("a",)), state, tokens, micro_usd, 200, NOON
    )


def test_calls_agree_with_bills_one_by_one() -> None:
    """One is settled with its own bill; the other bill came to nobody, and is counted in full."""
    settled, assumed = called("ca_1", "settled", (10, 5), 105), called("ca_2", "assumed", (0, 0), 9)
    assert differences([settled, assumed], BILLS, (3, 15)) == []
    released = replace(assumed, state="released")
    for calls, wrong in (
        ([replace(settled, micro_usd=104), assumed], "ca_1: 104 is settled, but 105 billed"),
        ([replace(settled, tokens=(10, 6)), assumed], "ca_1: (10, 6) tokens are settled, but not"),
        ([replace(settled, provider="two"), assumed], "ca_1: (10, 5) tokens are settled, but not"),
        ([settled, released], "one: 1 bills without a settled call for the same words, of which 0"),
        ([settled, replace(settled, call_id="ca_3"), assumed], "ca_3: (10, 5) tokens are settled"),
    ):
        assert any(one.startswith(wrong) for one in differences(calls, BILLS, (3, 15))), wrong


def test_what_two_wrong_calls_cost_together_is_not_enough() -> None:
    """Sums that are right do not hide calls that are not."""
    first, second = called("ca_1", "settled", (10, 5), 135), called("ca_2", "settled", (10, 7), 105)
    assert len(differences([first, second], BILLS, (3, 15))) == 2


def test_a_worker_that_dies_of_itself_is_named_with_its_last_words(tmp_path: Path) -> None:
    """Its traceback is shown and kept; once none is left, it ends."""
    log, report, told = tmp_path / "worker-1.log", Report(1, 1, {}, logs=str(tmp_path)), list[str]()
    with log.open("wb") as written:
        dead = subprocess.Popen([sys.executable, "-c", "raise OSError('no disk')"], stderr=written)
    dead.wait()
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running = [Worker(dead, log), Worker(living, tmp_path / "worker-2.log")]
    try:
        note_dead(running, report, told.append)
        assert [one.process for one in running] == [living]
        assert report.died == ["worker-1.log, exit code 1"]
        assert "OSError: no disk" in told[0]
    finally:
        living.kill()
        living.communicate()
    running[0].log.touch()
    with pytest.raises(SystemExit, match="every worker died of itself"):
        note_dead(running, report, told.append)
