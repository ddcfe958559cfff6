"""Each service with a guarantee stores its monitoring in the same way, on each database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import delete

from services.extraction import store as extraction
from services.extraction.monitoring.store import MonitoringStore as OfClauses
from services.triage import store as triage
from services.triage.monitoring.store import MonitoringStore as OfFindings
from shared import metrics
from shared.errors import Conflict
from shared.monitoring.drift import Drift
from shared.monitoring.monitor import (
    count_document,
    describe,
    gauge_updater,
    note_figures,
    publish_notices,
    start_guarantee,
)
from shared.monitoring.recalibration import loosen, undo_calibration
from shared.monitoring.store import (
    AuditSample,
    MonitoringNotice,
    MonitoringState,
    MonitoringStore,
    all_tenants,
)
from shared.storage import Store

NAME = "specialist"
TERMS = {"risk": 0.2, "belief": 0.8, "categories": 0, "most": 1.0}
CALM = json.loads(json.dumps(Drift.none(["size"]).after({"size": 0.5}).to_json()))
"""Figures of one document, of which nothing comes."""
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
KINDS = {
    "extraction": (OfClauses, extraction.MIGRATIONS),
    "triage": (OfFindings, triage.MIGRATIONS),
}


@pytest.fixture(params=sorted(KINDS))
def store(request: pytest.FixtureRequest, url: str) -> Iterator[Store]:
    _, migrations = KINDS[request.param]
    one = Store(url, request.param, migrations)
    one.migrate()
    yield one
    one.close()


def kind(store: Store) -> type[MonitoringStore]:
    return KINDS[store.service][0]


def check(number: int, **more: object) -> AuditSample:
    values = AuditSample(
        f"r_{number}", f"doc_{number}", NAME, "1", "Law", 0.9, 0.9, "first", 0.5, True
    )
    return replace(values, **more)  # type: ignore[arg-type]


def decide(mine: MonitoringStore, one: AuditSample) -> None:
    """A check that somebody has decided counts."""
    mine.save_sample(one)
    count_document(mine, mine.state(NAME, lock=True), mine.document_samples(one.document_id, NAME))


def test_checks_are_kept_forgotten_and_counted(store: Store) -> None:
    with store.write() as session:
        mine = kind(store)(session, "mine")
        for number, place in ((1, 2), (2, 1), (3, None)):
            mine.save_sample(check(number, wrong=number == 1 if place else None, position=place))
        mine.add_sample(check(1, wrong=None))
        assert mine.find("r_1") == check(1, wrong=True, position=2)
        assert [[one.wrong for one in unit] for unit in mine.counted_checks(NAME, "first")] == [
            [False],
            [True],
        ]
        for number in (1, 3):
            mine.delete_undecided(f"doc_{number}")
        assert mine.find("r_3") is None
        assert [one.result_id for one in mine.samples(NAME, "1")] == ["r_1", "r_2"]
        assert [one.result_id for one in mine.decided_samples(NAME, "1")] == ["r_1", "r_2"]
        assert mine.document_samples("doc_2", NAME) == [check(2, wrong=False, position=1)]
        theirs = kind(store)(session, "theirs")
        assert (theirs.find("r_1"), theirs.samples(NAME, "1"), theirs.states()) == (None, [], [])
        mine.close_guarantee(NAME, "first")
        assert mine.counted_checks(NAME, "first") == []
        assert mine.count_accepted().get(NAME, 0) == 0


def test_a_promise_in_doubt_is_tightened_for_its_tenant_alone(store: Store) -> None:
    notices: list[MonitoringNotice] = []
    with store.write() as session:
        mine = kind(store)(session, "mine")
        kept = start_guarantee(mine, mine.state(NAME, lock=True), "first", TERMS)
        mine.save(kept)
        for number in range(8):
            one = check(number, wrong=True, belief=0.999)
            mine.save_sample(one)
            notices += count_document(mine, mine.state(NAME, lock=True), [one], "filings")
        assert [notice.kind for notice in notices] == ["risk"]
        assert mine.state(NAME).step == 4
        every = all_tenants(session, mine.tables)
        assert [(tenant, one.adapter) for tenant, one in every] == [("mine", NAME)]
        assert mine.tenant_calibration(NAME, "1").step == 4
        assert kind(store)(session, "theirs").tenant_calibration(NAME, "1").step == 0
        loosen(mine, NAME, "they were right", "ann")
        now = mine.state(NAME)
        assert (now.step, now.documents, now.evidence) == (0, 0, None)
        assert [(one.kind, one.actor) for one in mine.newest_notices(10)] == [
            ("loosened", "ann"),
            ("risk", ""),
        ]


def test_nothing_is_loosened_that_is_not_tight(store: Store) -> None:
    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.save(start_guarantee(mine, mine.state(NAME, lock=True), "first", TERMS))
        decide(mine, check(1, wrong=False))
        mine.save(replace(mine.state(NAME), drift=CALM))
        before = mine.state(NAME)
        with pytest.raises(Conflict, match="specialist was not tightened"):
            loosen(mine, NAME, "why not", "ann")
        assert mine.state(NAME) == before
        assert mine.find("r_1") == check(1, wrong=False, position=1)
        assert mine.newest_notices(10) == []


def test_loosening_forgets_no_check_that_is_not_in_doubt(store: Store) -> None:
    terms = {**TERMS, "categories": 2}
    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.save(start_guarantee(mine, mine.state(NAME, lock=True), "first", terms))
        for number in range(22):
            decide(mine, check(number, category="Term", wrong=False))
        for number in range(30, 45):
            if not mine.state(NAME).suspended:
                decide(mine, check(number, wrong=True))
        tight = mine.state(NAME)
        assert (tight.step, tight.suspended) == (0, ("Law",))
        mine.save_sample(check(50))
        mine.save(replace(tight, drift=CALM))
        loosen(mine, NAME, "decided by mistake", "ann")
        now = mine.state(NAME)
        assert (now.step, now.suspended, now.drift) == (0, (), CALM)
        assert now.test
        assert (now.test.steps[0].checks, now.test.steps[0].wrong) == (22, 0)
        assert "Law" not in now.test.by_category
        assert now.documents == tight.documents
        decide(mine, check(50, wrong=False))
        counted = mine.state(NAME).test
        assert counted
        assert (counted.steps[0].checks, counted.steps[0].wrong) == (23, 0)


def test_a_change_of_documents_is_answered_and_checks_count_on(store: Store) -> None:
    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.save(start_guarantee(mine, mine.state(NAME, lock=True), "first", TERMS))
        decide(mine, check(1, wrong=False))
        tight = replace(mine.state(NAME), drifted=True, drift=CALM)
        mine.save(tight)
        answer = loosen(mine, NAME, "a new client", "ann")
        assert answer == "the audit sample of specialist is as large as before the drift"
        assert mine.state(NAME) == replace(tight, drifted=False, drift=None)


def test_a_calibration_holds_for_its_version_until_it_is_undone(store: Store) -> None:
    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.state(NAME, lock=True)
        mine.save(MonitoringState(NAME, step=2, suspended=("Law",), drifted=True))
        assert mine.add_calibration(NAME, "1", b"set", {"documents": 3}, "ann") == 1
        mine.save(MonitoringState(NAME))
        assert (
            mine.tenant_calibration(NAME, "1").data,
            mine.tenant_calibration(NAME, "1").number,
        ) == (b"set", 1)
        assert mine.tenant_calibration(NAME, "2").data is None
        assert undo_calibration(mine, NAME, "ben") == 1
        after = mine.tenant_calibration(NAME, "1")
        assert (after.data, after.step, after.drifted) == (None, 2, True)
        assert after.suspended == frozenset({"Law"})
        assert mine.add_calibration(NAME, "1", b"other", {}, "ann") == 2
        assert [one.number for one in mine.calibrations(NAME)] == [2, 1]
        assert undo_calibration(mine, NAME, "ben") == 2
        with pytest.raises(Conflict, match="nothing to undo"):
            undo_calibration(mine, NAME, "ben")


def test_figures_are_compared_with_those_before_and_kept_once(store: Store) -> None:
    known = {"size": np.array([1.0, 9.0])}
    with store.write() as session:
        mine = kind(store)(session, "mine")
        kept = mine.state(NAME, lock=True)
        for unit, value in (("u1", 2.0), ("u2", 3.0)):
            kept = note_figures(mine, kept, unit, {"size": value}, "1", known, lambda _: 0.5)
        before = kept.drift_test
        third = note_figures(mine, kept, "u3", {"size": 5.0}, "1", known, lambda _: 0.5)
        assert third.drift_test == before.after({"size": 3.5 / 5})
        again = note_figures(mine, third, "u3", {"size": 5.0}, "1", known, lambda _: 0.5)
        assert again == third
        other = note_figures(mine, third, "u4", {"size": 5.0}, "2", {}, lambda _: 0.25)
        assert other.drift_test == Drift.none(["size"]).after({"size": 0.25})
        assert other.stability is None


def test_gauges_of_other_services_in_the_process_are_left_alone(store: Store) -> None:
    metrics.promise_tightened.labels("of another service").set(3)
    measure = gauge_updater(store, kind(store).tables)
    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.state(NAME, lock=True)
        mine.save(MonitoringState(NAME, step=1, stability=0.3))
        mine.add_notice(MonitoringNotice(NAME, "risk", "", "wrong", time=YESTERDAY))
    measure()
    exposed = metrics.exposition()
    assert b'smallprint_promise_tightened{adapter="specialist"} 1.0' in exposed
    assert b'smallprint_calibration_drift{adapter="specialist"} 0.3' in exposed
    with store.write() as session:
        watches = kind(store).tables.monitors
        session.execute(delete(watches).where(watches.c.tenant == "mine"))
    measure()
    exposed = metrics.exposition()
    for gauge in (b"promise_tightened", b"calibration_drift"):
        assert b'smallprint_%s{adapter="specialist"}' % gauge not in exposed
    assert b'smallprint_promise_tightened{adapter="of another service"} 3.0' in exposed
    metrics.promise_tightened.remove("of another service")


def test_promises_in_doubt_are_counted_from_zero_on(store: Store) -> None:
    """Prometheus sees no rise in a series that begins at 1, so the first alert would be lost."""
    name = f"new in {store.service} on {store.engine.dialect.name}"
    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.save(mine.state(name, lock=True))
    sample = f'smallprint_promise_alerts_total{{adapter="{name}",kind="%s"}} %s'
    assert name not in metrics.exposition().decode()
    gauge_updater(store, kind(store).tables)()
    lines = metrics.exposition().decode().splitlines()
    assert all(sample % (one, "0.0") in lines for one in ("risk", "category", "drift"))
    publish_notices([MonitoringNotice(name, "drift", "", "they changed")])
    gauge_updater(store, kind(store).tables)()
    assert sample % ("drift", "1.0") in metrics.exposition().decode().splitlines()


@pytest.mark.parametrize("alarm", ["risk", "category"])
def test_metrics_show_an_alarm_about_a_guarantee_on_the_next_day(store: Store, alarm: str) -> None:
    name = f"{alarm} in {store.service} on {store.engine.dialect.name}"
    now = datetime.now(UTC)

    def shown(days: int) -> tuple[str, str]:
        gauge_updater(store, kind(store).tables, lambda: now + timedelta(days=days))()
        text = metrics.exposition().decode()
        found = [
            re.search(rf"^smallprint_promise_{part}}} (.+)$", text, re.MULTILINE)
            for part in (
                f'tightened{{adapter="{name}"',
                f'alerts_total{{adapter="{name}",kind="{alarm}"',
            )
        ]
        return tuple(match[1] if match else "" for match in found)  # type: ignore[return-value]

    notice = MonitoringNotice(name, alarm, "", "wrong checks")
    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.save(replace(mine.state(name, lock=True), step=1))
        mine.add_notice(notice)
    publish_notices([notice])
    assert shown(0) == ("0.0", "0.0")
    assert shown(1) == ("1.0", "1.0")
    with store.write() as session:
        loosen(kind(store)(session, "mine"), name, "they were right", "ann")
    assert shown(1) == ("0.0", "1.0")
    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.save(replace(mine.state(name, lock=True), step=1))
    assert shown(1) == ("0.0", "1.0"), "yesterday's alarm was loosened since"


def test_what_is_accepted_without_a_category_in_doubt_is_kept_until_it_is_loosened(
    store: Store,
) -> None:
    terms = {**TERMS, "categories": 2}

    def settled(mine: MonitoringStore, one: AuditSample) -> list[MonitoringNotice]:
        mine.save_sample(one)
        return count_document(
            mine, mine.state(NAME, lock=True), [one], remaining_of=lambda _names: 0.93
        )

    with store.write() as session:
        mine = kind(store)(session, "mine")
        mine.save(start_guarantee(mine, mine.state(NAME, lock=True), "first", terms))
        for number in range(22):
            settled(mine, check(number, category="Term", wrong=False))
        notices: list[MonitoringNotice] = []
        while not notices:
            number += 1
            notices = settled(mine, check(number, wrong=True))
        (notice,) = notices
        assert "a probability of 93.0% instead of 80.0%" in notice.text
        settled(mine, check(900, category="Term", wrong=False))
        assert mine.state(NAME).belief_now == 0.93
        while not mine.state(NAME).step:
            number += 1
            notices = settled(mine, check(number, category="Term", belief=0.85, wrong=True))
        assert mine.state(NAME).step == 1
        assert notices[0].text.endswith(
            "stays at a probability of 93.0%, which was needed already."
        )
        assert describe(mine.state(NAME), None, 0)["belief_now"] == 0.93
        loosen(mine, NAME, "they were right", "ann")
        assert mine.state(NAME).belief_now == 0.8
