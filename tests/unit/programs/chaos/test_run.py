"""Which answers clients accept, and when a run counts as finished."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from shared.bus import Message
from tests.chaos import run
from tests.chaos.events import AT_ONCE, Doubler
from tests.chaos.people import Analyst, Bookkeeper, Client, ClientRecord
from tests.chaos.run import Run


class _Answers:
    """A suite that gives the same answer to everything, as `Client`."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.record = ClientRecord()

    def ask(self, _method: str, _path: str, **_content: object) -> object:
        return SimpleNamespace(status_code=self.status, text="why", json=lambda: {"id": "it_1"})


@pytest.mark.parametrize(
    ("status", "refused", "took"),
    [(200, [], True), (204, [], False), (403, ["a claim: 403 why"], False),
     (404, ["a claim: 404 why"], False), (409, ["a claim: 409 why"], False)],
)  # fmt: skip
def test_only_204_says_that_nothing_waits(
    status: int, refused: list[str], took: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.chaos.people.time.sleep", lambda _seconds: None)
    client = _Answers(status)
    assert Analyst(cast("Client", client), "ann", 3, 1).decide() == took
    assert client.record.refused == refused
    assert len(client.record.decisions) == took


def test_an_analyst_knows_how_short_he_is() -> None:
    analyst = Analyst(cast("Client", _Answers(200)), "ann", 2, 1)
    assert analyst.short == 2
    analyst.run()
    assert analyst.short == 0


def test_every_reported_cap_is_remembered() -> None:
    record = ClientRecord()
    bookkeeper = Bookkeeper(cast("Client", SimpleNamespace(record=record)))
    for usd, most in ((0.1, 0.5), (0.4, 0.6), (0.2, 0.5)):
        bookkeeper.record_costs({"budgets": [{"period": "2026-01", "usd": usd, "max_usd": most}]})
    assert (record.spent, record.caps) == ({"2026-01": 0.4}, {0.5, 0.6})


def test_what_is_left_has_to_stay_away(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    lines: list[str] = []
    of = SimpleNamespace(patience=60.0, progress=lines.append)
    left = iter([1, 0, 0, 0, 1, *[0] * 6])
    Run._until_it_stalls(cast("Run", of), "it", lambda: (next(left),), 5.0)
    assert (next(left), lines, now) == (0, [], [10.0])
    Run._until_it_stalls(cast("Run", of), "it", lambda: (7,), 5.0)
    assert (lines, now) == (["it: no progress for 60 s, unfinished: (7,)"], [71.0])
    Run._until_it_stalls(cast("Run", of), "it", lambda: (0,), 20.0)
    assert (now, of.patience) == ([91.0], 15.0)


def test_all_is_delivered_once_more() -> None:
    parts: list[int] = []
    doubler = Doubler("none", 6.0, 1)
    doubler._bus = SimpleNamespace(publish=lambda *sent: parts.append(len(sent)))
    doubler._messages = [Message("a", b"{}")] * (2 * AT_ONCE + 1)
    assert doubler.again() == doubler.doubled == 2 * AT_ONCE + 1
    assert parts == [AT_ONCE, AT_ONCE, 1]
