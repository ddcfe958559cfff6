"""What checks of documents say that are read again: the program that decision 41 quotes."""

from __future__ import annotations

from infra.reread_show import doubted


def test_what_is_left_to_decide_of_documents_read_again_is_no_fair_share() -> None:
    """A kept promise is doubted by passages that moved, or by documents that people chose; by all
    that was drawn it is not.
    """
    found = {
        way: sum(doubted(seed, 0.1, 0.3, 800, way) for seed in range(12))
        for way in ("open", "over", "chosen")
    }
    assert found["over"] == 0
    assert found["open"] >= 4
    assert found["chosen"] >= 11
