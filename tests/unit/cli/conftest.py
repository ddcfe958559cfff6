"""What the tests of the command line share."""

import logging

import pytest


@pytest.fixture(autouse=True)
def _only_our_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that another test left behind may log to a stream that is closed by now.

    Python reports that on standard error, which is read here word by word.
    """
    monkeypatch.setattr(logging, "raiseExceptions", False)
