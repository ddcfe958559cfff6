"""Damaged documents of every format: some here, more by `fuzz.py`."""

from __future__ import annotations

import pytest

from tests.unit.documents import fuzz
from tests.unit.documents.ends import outcome

AS_TEXT = ("docx", "odt", "html", "rtf")
"""Formats that no other test damages, so they are damaged more often here."""
PICTURES = ("png", "jpg", "tif")


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("kind", fuzz.FORMATS)
def test_damage_of_all_kinds_is_read_or_refused(kind: str) -> None:
    """Whatever is cut, copied or put in between, reading ends with a ledger that adds up."""
    fuzz.tries(kind, 150 if kind in AS_TEXT else 40, 20_240_301)()


@pytest.mark.usefixtures("no_engine")
def test_the_samples_are_sound() -> None:
    """What is damaged reads well before, or the tests above would prove nothing."""
    for kind in fuzz.FORMATS:
        assert fuzz.samples(kind)
        for data in fuzz.samples(kind):
            sound = "refused" if kind in PICTURES else "read"  # for want of an engine
            assert outcome(data, f"sound.{kind}") == sound
