"""Pictures of pages in documents other than DOCX: read in ODT, and named where they are not."""

from __future__ import annotations

import pytest

from shared.documents import ParsedDocument, read
from shared.errors import NoTextLayer
from tests.unit.documents.archives import changed
from tests.unit.documents.books import book, number, row, sheet
from tests.unit.documents.samples import FOLDER
from tests.unit.documents.scanned import PATIENT, WORDS, picture, saved
from tests.unit.documents.test_odt import document, p

PNG = saved(picture(), "PNG", dpi=(150, 150))
LOGO = saved(picture().resize((300, 200)), "PNG")
SHEETS = FOLDER / "sheets"
NOT_READ = "as large as a page, not read: send pictures with text as PNG or PDF"


def image(name: str) -> str:
    return f'<draw:image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="{name}"/>'


def frame(*inner: str) -> str:
    return f"<draw:frame>{''.join(inner)}</draw:frame>"


def odt(body: str, **parts: bytes) -> bytes:
    data = document(body)
    for name, part in parts.items():
        data = changed(data, f"Pictures/{name}.png", part)
    return data


def test_a_scanned_page_in_an_odt_is_a_page_behind_it() -> None:
    letter = p("See the lease.") + p(frame(image("./Pictures/a.png"))) + p("Yours, Alpha")
    data = odt(letter + p(frame(image("Pictures/logo.png"))), a=PNG, logo=LOGO)
    parsed = read(data, limits=PATIENT)
    own, lease = parsed.pages
    assert parsed.text[own.start : own.end].split() == ["See", "the", "lease.", "Yours,", "Alpha"]
    assert parsed.text[lease.start : lease.end].split() == " ".join(WORDS).split()
    assert (own.method, lease.method, lease.number) == ("odt", "tesseract", 2)
    assert parsed.warnings == ("1 picture in it read as page 2, after its text",)


def test_an_odt_of_photos_alone_is_read() -> None:
    both = frame(image("Pictures/a.png"), image("Pictures/logo.png"))
    chart = frame("<draw:object/>", image("Pictures/b.png"))
    parsed = read(odt(p(both) + p(chart) + p(both), a=PNG, b=PNG, logo=LOGO), limits=PATIENT)
    assert [page.number for page in parsed.pages] == [1]
    assert parsed.text.split() == " ".join(WORDS).split()


@pytest.mark.usefixtures("no_engine")
def test_without_the_program_pictures_of_an_odt_are_named() -> None:
    warned = read(odt(p("See:") + p(frame(image("Pictures/a.png"))), a=PNG)).warnings
    assert any(
        "picture 1 in it not read" in warning and "tesseract" in warning for warning in warned
    )
    with pytest.raises(NoTextLayer, match="tesseract-ocr"):
        read(odt(p(frame(image("Pictures/a.png"))), a=PNG))


def test_a_picture_that_an_odt_only_links_is_named() -> None:
    parsed = read(document(p("See:") + p(frame(image("https://example.com/a.png")))))
    (warning,) = parsed.warnings
    assert warning.startswith("picture 1 in it not read (it is missing in the file")


def workbook(**media: bytes) -> ParsedDocument:
    others = {f"xl/media/{name}.png": data for name, data in media.items()}
    return read(book(sheet(row(1, number("A1", 5))), others=others))


def test_pages_pasted_into_a_workbook_are_named() -> None:
    assert workbook(a=PNG, b=PNG, logo=LOGO).warnings == (f"2 pictures in it {NOT_READ}",)
    assert workbook(logo=LOGO, damaged=b"\x89PNG\r\n\x1a\nrubbish").warnings == ()


def test_pages_pasted_into_an_ods_are_named() -> None:
    plain = (SHEETS / "balance.ods").read_bytes()
    before = read(plain).warnings
    assert read(changed(plain, "Pictures/a.png", PNG)).warnings == (
        *before,
        f"1 picture in it {NOT_READ}",
    )


def test_pictures_in_an_rtf_are_named() -> None:
    parsed = read(rb"{\rtf1 See:{\pict\pngblip 89504e47}\par}")
    assert parsed.warnings == ("1 picture in it, not supported in RTF: save it as DOCX or PDF",)
