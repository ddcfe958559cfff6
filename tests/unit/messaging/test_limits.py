"""A bus refuses what is too large before it takes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.bus import MAX_BYTES, Message, MessageTooLarge, open_bus


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_message_that_is_too_large_is_refused_with_its_batch(tmp_path: Path, kind: str) -> None:
    """The largest is taken; one byte more is a lasting error that names the key."""
    bus = open_bus("memory:" if kind == "memory" else f"sqlite:///{tmp_path}/bus.db")
    bus.publish(Message("a", b"x" * MAX_BYTES))
    with pytest.raises(MessageTooLarge, match="of big has 900001 bytes") as caught:
        bus.publish(Message("a", b"1"), Message("big", b"x" * (MAX_BYTES + 1)))
    assert not caught.value.retryable
    assert bus.lag({}) == 1
    bus.close()
