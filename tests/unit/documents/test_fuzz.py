"""Damaged documents of every format: some here, more by `fuzz.py`."""

from __future__ import annotations

import pytest

from shared.documents.sandbox import Reader
from shared.errors import UnreadableDocument
from tests.unit.documents import fuzz
from tests.unit.documents.ends import outcome

PICTURES = ("png", "jpg", "tif")


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("kind", fuzz.FORMATS)
def test_damage_of_all_kinds_is_read_or_refused(kind: str) -> None:
    fuzz.tries(kind, 200, 20_240_301)()


def test_a_workbook_that_ends_its_reader_costs_only_itself() -> None:
    with Reader(fuzz.LIMITS) as reader:
        with pytest.raises(UnreadableDocument, match="1500 MB of memory") as caught:
            reader.read(fuzz.damage("xls", 8), name="a.xls")
        assert caught.value.document == "a.xls"
        assert reader.read(fuzz.samples("xls")[0], name="b.xls").page_count > 0


@pytest.mark.usefixtures("no_engine")
def test_the_samples_are_sound() -> None:
    for kind in fuzz.FORMATS:
        assert fuzz.samples(kind)
        for data in fuzz.samples(kind):
            sound = "refused" if kind in PICTURES else "read"  # for want of an engine
            assert outcome(data, f"sound.{kind}") == sound
