"""Damaged documents of every format that is read as text: a few hundred here, more by `fuzz.py`."""

from __future__ import annotations

import pytest

from tests.unit.documents import fuzz
from tests.unit.documents.ends import outcome


@pytest.mark.parametrize("kind", fuzz.FORMATS)
def test_damage_of_all_kinds_is_read_or_refused(kind: str) -> None:
    """Whatever is cut, copied or put in between, reading ends with a ledger that adds up."""
    fuzz.tries(kind, 150, 20_240_301)()


def test_the_samples_are_sound() -> None:
    """What is damaged reads well before, or the tests above would prove nothing."""
    for kind in fuzz.FORMATS:
        assert fuzz.samples(kind)
        for data in fuzz.samples(kind):
            assert outcome(data, f"sound.{kind}") == "read"
