"""One place beside a loop."""

import threading

import pytest

from shared.errors import Unavailable
from shared.runtime.aside import Aside
from shared.runtime.pulse import Pulse


def test_one_piece_of_work_at_a_time() -> None:
    """The place is free again once the work is done, and the pulse tells of it meanwhile."""
    pulse, let_go, done = Pulse(), threading.Event(), []

    def work() -> None:
        assert let_go.wait(60)
        done.append(1)

    aside = Aside(pulse)
    assert not pulse.busy
    assert aside.begin(work)
    assert pulse.busy
    assert not aside.begin(work)
    let_go.set()
    aside.join()
    assert (done, pulse.busy) == ([1], False)
    assert aside.begin(work)
    aside.join()
    assert done == [1, 1]


def test_an_error_is_raised_where_it_is_understood() -> None:
    """Once, to the loop beside which it happened; the place is free."""

    def work() -> None:
        raise Unavailable("the database is away")

    aside = Aside(Pulse())
    aside.check()
    assert aside.begin(work)
    aside.join()
    with pytest.raises(Unavailable, match="away"):
        aside.check()
    aside.check()
    assert aside.begin(lambda: None)
    aside.join()


def test_an_error_is_not_charged_to_the_next_work() -> None:
    """What comes next is begun only after the loop has heard of what went before."""

    def work() -> None:
        raise Unavailable("the database is away")

    done: list[int] = []
    aside = Aside(Pulse())
    assert aside.begin(work)
    aside.join()
    with pytest.raises(Unavailable, match="away"):
        aside.begin(lambda: done.append(1))
    assert done == []
    assert aside.begin(lambda: done.append(2))
    aside.join()
    assert done == [2]
