"""Retries, pauses and disabling of webhooks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.settings import Settings
from services.ingest.webhooks.domain import TEST, Answer, Health, Plan, message_id, read_delays

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DELAYS = read_delays(Settings().ingest_webhook_retries)
PLAN = Plan(DELAYS, chance=lambda: 0.0)
FAILED = Answer(0.1, status=500, error="status: the receiver answered 500")
TAKEN = Answer(0.1, status=200)
GONE = Answer(0.1, status=410, error="status: the receiver answered 410")


def wait(tries: int, answer: Answer = FAILED, plan: Plan = PLAN) -> float | None:
    due = plan.next_try("document.ended", tries, answer, NOW)
    return None if due is None else (due - NOW).total_seconds()


def test_the_default_schedule_is_that_of_the_specification() -> None:
    waits = [wait(tries) for tries in range(1, 11)]
    hours = [3600.0 * h for h in (2, 5, 10, 14, 20, 24)]
    assert waits == [5.0, 300.0, 1800.0, *hours, None]


def test_delays_vary_by_a_tenth() -> None:
    late, early = (Plan(DELAYS, chance=lambda c=c: c) for c in (1.0, -1.0))  # type: ignore[misc]
    assert wait(2, plan=late) == pytest.approx(330.0)
    assert wait(2, plan=early) == pytest.approx(270.0)
    by_chance = {wait(2, plan=Plan(DELAYS)) for _ in range(50)}
    assert len(by_chance) > 40
    assert all(value and 270.0 <= value <= 330.0 for value in by_chance)


def test_retry_after_is_respected() -> None:
    def requested(seconds: float) -> Answer:
        return Answer(0.1, status=503, error="status: 503", retry_after=seconds)

    assert wait(1, requested(120)) == 120.0
    assert wait(2, requested(120)) == 300.0
    assert wait(1, requested(10**9)) == 86_400.0
    assert PLAN.health_after(Health(), requested(120), NOW).paused_until == NOW + timedelta(
        seconds=120
    )


def test_a_test_and_a_gone_receiver_are_not_retried() -> None:
    assert PLAN.next_try(TEST, 1, FAILED, NOW) is None
    assert wait(1, GONE) is None


def test_pauses_double_with_each_failure() -> None:
    health, rests = Health(), []
    for _ in range(12):
        health = PLAN.health_after(health, FAILED, NOW)
        assert health.paused_until is not None
        rests.append((health.paused_until - NOW).total_seconds())
    assert rests[:4] == [1.0, 2.0, 4.0, 8.0]
    assert rests[-1] == 300.0
    assert (health.failures, health.failing_since, health.last_failed) == (12, NOW, NOW)
    better = PLAN.health_after(health, TAKEN, NOW + timedelta(hours=1))
    assert better == Health(last_failed=NOW, last_delivered=NOW + timedelta(hours=1))


def test_days_of_failures_disable_a_webhook() -> None:
    health = Health()
    for hour in range(0, 5 * 24, 12):
        now = NOW + timedelta(hours=hour)
        health = PLAN.health_after(health, FAILED, now)
        assert PLAN.why_disabled(health, FAILED, now) is None
    now = NOW + timedelta(days=5)
    health = PLAN.health_after(health, FAILED, now)
    why = PLAN.why_disabled(health, FAILED, now)
    assert why == (
        "failing: no message was accepted since 2026-01-02 03:04 UTC; "
        "last error: status: the receiver answered 500"
    )


def test_a_long_silence_ends_a_row_of_failures() -> None:
    before = PLAN.health_after(Health(), FAILED, NOW)
    later = NOW + timedelta(days=30)
    health = PLAN.health_after(before, FAILED, later)
    assert health.failing_since == later
    assert PLAN.why_disabled(health, FAILED, later) is None


def test_gone_disables_at_once() -> None:
    health = PLAN.health_after(Health(), GONE, NOW)
    assert (PLAN.why_disabled(health, GONE, NOW) or "").startswith("gone: ")


def test_ids_follow_from_the_facts() -> None:
    same = message_id("a", "document.ended", "doc_1", 1)
    assert same == message_id("a", "document.ended", "doc_1", 1)
    others = {
        message_id("b", "document.ended", "doc_1", 1),
        message_id("a", "document.deleted", "doc_1", 1),
        message_id("a", "document.ended", "doc_1", 2),
        message_id("a", "document.ended", "doc_11", ""),
    }
    assert len(others | {same}) == 5
    assert "." not in same


@pytest.mark.parametrize("text", ["soon", "0", "-1", "5,,x", "1e9", "nan", "inf"])
def test_invalid_delays_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_delays(text)
