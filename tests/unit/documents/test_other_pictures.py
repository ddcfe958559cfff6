"""Pictures of pages in documents other than DOCX: read in ODT, and named where they are not."""

from __future__ import annotations

import pytest

from shared.documents import Reading, read
from shared.documents.sandbox import Reader
from shared.errors import NoTextLayer
from tests.unit.documents.books import book, number, row, sheet
from tests.unit.documents.samples import FOLDER
from tests.unit.documents.scanned import PATIENT, WORDS, need_engine, picture, saved
from tests.unit.documents.test_odt import AGREEMENT, document, p
from tests.unit.documents.word import changed

PNG = saved(picture(), "PNG", dpi=(150, 150))
LOGO = saved(picture().resize((300, 200)), "PNG")
SHEETS = FOLDER / "sheets"
NOT_READ = "as large as a page, not read: send as PNG or PDF what is to be read"


def image(name: str) -> str:
    """A picture of a part."""
    return f'<draw:image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="{name}"/>'


def frame(*inner: str) -> str:
    """What is drawn in one place."""
    return f"<draw:frame>{''.join(inner)}</draw:frame>"


def odt(body: str, **parts: bytes) -> bytes:
    """An ODT with these pictures."""
    data = document(body)
    for name, part in parts.items():
        data = changed(data, f"Pictures/{name}.png", part)
    return data


def test_a_scanned_page_in_an_odt_is_a_page_behind_it() -> None:
    """As in a DOCX: its words, how surely they were read, and the text as it was; here and in the
    child process.
    """
    need_engine()
    letter = p("See the lease.") + p(frame(image("./Pictures/a.png"))) + p("Yours, Alpha")
    data = odt(letter + p(frame(image("Pictures/logo.png"))), a=PNG, logo=LOGO)
    found = read(data, limits=PATIENT)
    own, lease = found.pages
    assert found.text[own.start : own.end].split() == ["See", "the", "lease.", "Yours,", "Alpha"]
    assert found.text[lease.start : lease.end].split() == " ".join(WORDS).split()
    assert (own.method, lease.method, lease.number) == ("odt", "tesseract", 2)
    assert found.warnings == ("1 picture in it read as page 2, behind its text",)
    with Reader(PATIENT) as reader:
        assert reader.read(data).text == found.text


def test_an_odt_of_photos_alone_is_read() -> None:
    """Each picture once; of several forms in one frame the first; of an object none."""
    need_engine()
    both = frame(image("Pictures/a.png"), image("Pictures/logo.png"))
    chart = frame("<draw:object/>", image("Pictures/b.png"))
    found = read(odt(p(both) + p(chart) + p(both), a=PNG, b=PNG, logo=LOGO), limits=PATIENT)
    assert [page.number for page in found.pages] == [1]
    assert found.text.split() == " ".join(WORDS).split()


@pytest.mark.usefixtures("no_engine")
def test_without_the_program_pictures_of_an_odt_are_named() -> None:
    """What to install is a warning beside text, and the failure where there is none."""
    warned = read(odt(p("See:") + p(frame(image("Pictures/a.png"))), a=PNG)).warnings
    assert any("picture 1 in it not read" in one and "tesseract" in one for one in warned)
    with pytest.raises(NoTextLayer, match="tesseract-ocr"):
        read(odt(p(frame(image("Pictures/a.png"))), a=PNG))


def test_a_picture_that_an_odt_only_links_is_named() -> None:
    """Nothing is fetched."""
    found = read(document(p("See:") + p(frame(image("https://example.com/a.png")))))
    (warning,) = found.warnings
    assert warning.startswith("picture 1 in it not read (it is not in the file")


def test_an_odt_without_pictures_is_as_it_was() -> None:
    """No page more, no warning more."""
    found = read(AGREEMENT)
    assert all(page.method == "odt" for page in found.pages)
    assert not [one for one in found.warnings if "picture" in one]


def workbook(**media: bytes) -> Reading:
    """A workbook with one number and these pictures."""
    others = {f"xl/media/{name}.png": data for name, data in media.items()}
    return read(book(sheet(row(1, number("A1", 5))), others=others))


def test_pages_pasted_into_a_workbook_are_named() -> None:
    """By their count; logos are passed over."""
    assert workbook(a=PNG, b=PNG, logo=LOGO).warnings == (f"2 pictures in it {NOT_READ}",)
    assert workbook(logo=LOGO, damaged=b"\x89PNG\r\n\x1a\nrubbish").warnings == ()


def test_pages_pasted_into_an_ods_are_named() -> None:
    """Beside what is said of every ODS."""
    plain = (SHEETS / "balance.ods").read_bytes()
    before = read(plain).warnings
    assert read(changed(plain, "Pictures/a.png", PNG)).warnings == (
        *before,
        f"1 picture in it {NOT_READ}",
    )


def test_pictures_in_an_rtf_are_named() -> None:
    """Their count, and what to do."""
    found = read(rb"{\rtf1 See:{\pict\pngblip 89504e47}\par}")
    assert found.warnings == ("1 picture in it, not read in RTF: save it as DOCX or PDF",)
