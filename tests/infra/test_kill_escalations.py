"""Escalations whose workers are killed have one answer each, and books that agree in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from infra.kill_escalations import Place, Report, count, run
from services.escalation.ledger.store import ledger, spending
from shared.storage.messages import outbox


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Report]:
    """Sixty escalations, six workers, three kills, on SQLite."""
    place = Place(tmp_path_factory.mktemp("killed"))
    return place, run(place, 60, workers=6, kills=3, seed=2, tell=lambda _line: None)


def test_nothing_is_lost_and_no_cap_is_exceeded(killed: tuple[Place, Report]) -> None:
    """Each kill hit calls in hand; what they may have cost is counted."""
    _, report = killed
    shown = "\n".join(report.table())
    assert report.good, shown
    assert len(report.kills) == 3
    assert (report.unanswered, report.twice, report.wrong_sums) == ([], [], [])
    assert report.states["reserved"] == 0
    assert report.states["assumed"] >= 1, shown
    assert sum(report.outcomes.values()) == 60
    assert 0 < report.billed <= report.counted <= report.cap
    assert report.largest <= report.cap
    assert shown.splitlines()[-1].startswith("GOOD: 3 of 3 kills, 60 escalations, 0 lost, 0 twice")


def test_the_count_finds_faults(killed: tuple[Place, Report]) -> None:
    """A report is bad by each fault alone."""
    _, report = killed
    for fault in (
        {"largest": report.cap + 1},
        {"billed": report.counted + 1},
        {"states": Counter(reserved=1)},
        {"wrong_sums": ["default/2026-01: 1, but 2 in the ledger"]},
        {"unanswered": ["es_1"]},
        {"twice": ["es_1"]},
        {"kills": report.kills[:-1]},
    ):
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
    count(again, place)
    assert (len(again.unanswered), len(again.twice)) == (1, 1)
    assert len(again.wrong_sums) == 2
    assert again.states["reserved"] > 0
    place.close()
