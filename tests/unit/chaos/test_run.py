"""What the people of a run take for an answer, and when a run takes all for done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from infra.chaos import run
from infra.chaos.events import AT_ONCE, Doubler
from infra.chaos.people import Analyst, Bookkeeper, Client, Told
from infra.chaos.run import Run
from shared.bus import Message


class _Answers:
    """A suite that answers everything alike, as `Client`."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.told = Told()

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
    """Every other answer is none to somebody who may decide."""
    monkeypatch.setattr("infra.chaos.people.time.sleep", lambda _seconds: None)
    client = _Answers(status)
    assert Analyst(cast("Client", client), "ann", 3, 1).decide() == took
    assert client.told.refused == refused
    assert len(client.told.decisions) == took


def test_an_analyst_knows_how_short_he_is() -> None:
    """Of his share, once he is told that it is over."""
    analyst = Analyst(cast("Client", _Answers(200)), "ann", 2, 1)
    assert analyst.short == 2
    analyst.run()
    assert analyst.short == 0


def test_every_cap_that_is_said_is_remembered() -> None:
    """And the most that counted as spent."""
    told = Told()
    bookkeeper = Bookkeeper(cast("Client", SimpleNamespace(told=told)))
    for usd, most in ((0.1, 0.5), (0.4, 0.6), (0.2, 0.5)):
        bookkeeper.look({"budgets": [{"period": "2026-01", "usd": usd, "most_usd": most}]})
    assert (told.spent, told.caps) == ({"2026-01": 0.4}, {0.5, 0.6})


def test_what_is_left_has_to_stay_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """For so many seconds, however often it was away before; and it is given up at last."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    said: list[str] = []
    of = SimpleNamespace(patience=60.0, tell=said.append)
    left = iter([1, 0, 0, 0, 1, *[0] * 6])
    Run._until_it_stalls(cast("Run", of), "it", lambda: (next(left),), 5.0)
    assert (next(left), said, now) == (0, [], [10.0])
    Run._until_it_stalls(cast("Run", of), "it", lambda: (7,), 5.0)
    assert (said, now) == (["it: nothing new for 60 s at (7,)"], [71.0])
    Run._until_it_stalls(cast("Run", of), "it", lambda: (0,), 20.0)
    assert (now, of.patience) == ([91.0], 15.0)


def test_all_is_delivered_once_more() -> None:
    """However much it is, in parts that the bus takes within its time."""
    parts: list[int] = []
    doubler = Doubler("none", 6.0, 1)
    doubler._bus = SimpleNamespace(publish=lambda *sent: parts.append(len(sent)))
    doubler._messages = [Message("a", b"{}")] * (2 * AT_ONCE + 1)
    assert doubler.again() == doubler.doubled == 2 * AT_ONCE + 1
    assert parts == [AT_ONCE, AT_ONCE, 1]
