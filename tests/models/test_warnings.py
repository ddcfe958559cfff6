"""Damage replaces letters and nothing else."""

from __future__ import annotations

import numpy as np

from models.clauses.warnings import damaged


def test_a_share_of_the_letters_is_replaced() -> None:
    text = "Section 12: the law. " * 500
    letters = sum(character.isalpha() for character in text)
    for share in (0.0, 0.1, 0.5):
        other = damaged(text, share, np.random.default_rng(1))
        changed = [(a, b) for a, b in zip(text, other, strict=True) if a != b]
        assert all(a.isalpha() and b.isalpha() for a, b in changed)
        # A letter drawn for another is the same one once in 26 times.
        assert abs(len(changed) / letters - share * 25 / 26) < 0.03
