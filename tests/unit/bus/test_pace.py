"""How often a member of a Kafka group turns to the broker, by its lease."""

from __future__ import annotations

import pytest

from shared.bus.kafka import _JOIN_MS, _POLL_MS, _Pace


@pytest.mark.parametrize(
    ("lease", "timeout", "expected"),
    [
        (30.0, 15.0, _Pace(idle_ms=1000, fetch_ms=2000, heartbeat_ms=3000, commit=1.0)),
        (600.0, 15.0, _Pace(idle_ms=1000, fetch_ms=2000, heartbeat_ms=3000, commit=1.0)),
        (6.0, 15.0, _Pace(idle_ms=200, fetch_ms=500, heartbeat_ms=1000, commit=0.2)),
        (1.0, 15.0, _Pace(idle_ms=200, fetch_ms=500, heartbeat_ms=333, commit=0.2)),
        (30.0, 2.0, _Pace(idle_ms=1000, fetch_ms=500, heartbeat_ms=3000, commit=1.0)),
    ],
)
def test_a_long_lease_leaves_time_and_a_short_one_none(
    lease: float, timeout: float, expected: _Pace
) -> None:
    """The client refuses a fetch that outlasts a request (`timeout`)."""
    assert _Pace.of(lease, timeout) == expected
    assert expected.fetch_ms < timeout * 1000


@pytest.mark.parametrize("lease", [6.0, 10.0, 20.0, 30.0, 60.0, 600.0])
def test_an_idle_member_is_still_sure_that_it_is_one(lease: float) -> None:
    """It asks after a third of its lease, and delivers nothing once two thirds are over."""
    pace = _Pace.of(lease, 15.0)
    asked_by = lease / 3 + pace.commit + pace.idle_ms / 1000
    answered_by = asked_by + _POLL_MS / 1000
    assert answered_by < lease * 2 / 3
    assert pace.heartbeat_ms * 3 <= lease * 1000
    assert pace.idle_ms <= _JOIN_MS
