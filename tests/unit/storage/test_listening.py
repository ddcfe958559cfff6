"""Notifications stop although the database does not answer."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import create_engine

from shared.storage import notifications
from shared.storage.notifications import Notifications


def test_a_server_that_does_not_answer_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()

    def connect(_self: Notifications) -> None:
        asked.set()
        answered.wait()
        raise OSError("too late")

    monkeypatch.setattr(Notifications, "_connect", connect)
    monkeypatch.setattr(notifications, "_STOPPED_WITHIN", 0.01)
    made = Notifications(create_engine("postgresql+psycopg://127.0.0.1/none"), lambda: None)
    made.start()
    try:
        assert asked.wait(60.0)
        ending = threading.Thread(target=made.stop, daemon=True)
        ending.start()
        ending.join(60.0)
        assert not ending.is_alive()
        assert made._thread.is_alive()
        assert made._thread.daemon
    finally:
        answered.set()
        made._thread.join()
