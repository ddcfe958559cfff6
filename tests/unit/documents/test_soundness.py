"""Whether a page's text can be what stands on it."""

from __future__ import annotations

import numpy as np
import pytest

from shared.documents import read
from shared.documents.pages.text_quality import UNSOUND, soundness
from tests.support.samples import CONTRACT
from tests.unit.documents.samples import scrambled
from tests.unit.documents.scanned import PATIENT

GERMAN = "Das Übereinkommen über die Lieferung „gilt“ – für alle Bücher, Öle und Häute. "
POLISH = "Wszystkie spory wynikające z niniejszej umowy rozstrzyga sąd właściwy dla krzywd. "
GREEK = "Τα συμβαλλόμενα μέρη συμφωνούν ότι η παρούσα σύμβαση διέπεται από το ελληνικό δίκαιο. "
TABLE = "Total assets 1,210 1,100 Mgmt Ltd CFO Q4 FY23 Net sales 700 650 Cost of goods 501 450 "
LINES = (
    "This lease is made between the parties named below.",
    "It begins on the first day of March and may be ended",
    "by either party with a notice of ninety days in writing.",
    "It is governed by the law of the State of Delaware.",
    "Neither party may assign it without written consent.",
)


def of(text: str) -> float:
    return soundness(np.array([ord(c) for c in text], np.uint32))


def shifted(text: str, by: int) -> str:
    return "".join(chr(ord(c) + by) if c.isascii() and c.isalpha() else c for c in text)


@pytest.mark.parametrize("text", [CONTRACT, GERMAN, POLISH, GREEK, TABLE, "7KLV LV VKRUW"])
def test_languages_tables_and_short_texts_are_sound(text: str) -> None:
    assert of(text * (6 if len(text) > 20 else 1)) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        shifted(CONTRACT, -29),
        shifted(CONTRACT.lower(), -3),
        (GERMAN * 6).encode().decode("cp1252", "replace"),
        CONTRACT.replace("e", "\ue005").replace("t", "\ufffd").replace("a", "\x03"),
    ],
    ids=["glyphs from the space", "other letters", "encoding", "no meaning"],
)
def test_what_fonts_and_encodings_spoil_is_unsound(text: str) -> None:
    assert of(text) < 1 - UNSOUND


def test_a_mute_word_is_a_whole_one() -> None:
    assert of("aebcdfgea " * 60) == 1.0
    assert of("bcdfg aeae aeeaaeia " * 30) == 1.0, "a third, no more"
    assert of("bcdfg aeaeaea bcdfg " * 30) == 0.5


def test_without_characters_there_is_nothing_to_believe() -> None:
    assert of("") == 0.0


def test_a_page_whose_font_names_other_letters_is_read_from_its_picture() -> None:
    reading = read(scrambled(*LINES), limits=PATIENT)
    assert [page.method for page in reading.pages] == ["tesseract"]
    assert "governed by the law of the State of Delaware" in " ".join(reading.text.split())


@pytest.mark.usefixtures("no_engine")
def test_without_recognition_the_page_is_kept_with_a_warning() -> None:
    reading = read(scrambled(*LINES), limits=PATIENT)
    assert reading.pages[0].method in ("pypdfium2", "pypdf")
    assert "scrambled" in reading.warnings[0]
