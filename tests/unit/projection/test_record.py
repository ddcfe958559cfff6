"""Which events still count for a document."""

import pytest

from shared.events import CANCELLED
from shared.projection import DocumentRecord
from shared.projection.record import State


@pytest.mark.parametrize(
    ("state", "code", "attempt", "accepted"),
    [
        ("waiting", None, 1, True),
        ("done", None, 2, True),
        ("done", None, 1, True),
        ("failed", "unreadable", 1, True),
        ("failed", CANCELLED, 1, False),
        ("failed", CANCELLED, 2, True),
        ("waiting", None, 0, False),
        ("withdrawn", None, 1, False),
        ("withdrawn", None, 2, True),
        ("deleted", None, 9, False),
    ],
)
def test_which_attempts_a_record_accepts(
    state: State, code: str | None, attempt: int, accepted: bool
) -> None:
    record = DocumentRecord("default", "doc_1", "contract", 1, state=state, code=code)
    assert record.accepts(attempt) is accepted
