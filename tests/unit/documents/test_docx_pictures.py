"""Pictures of pages in a Word file: read as pages behind its text, and none lost without a word."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Mapping

import pytest
from PIL import Image

from shared.documents import ParsedDocument, read
from shared.documents.flow import embedded_pictures
from shared.documents.pages import ocr
from shared.documents.pages.tesseract import NEEDS
from shared.errors import NoTextLayer
from tests.unit.documents.archives import changed
from tests.unit.documents.scanned import PATIENT, WORDS, picture, saved
from tests.unit.documents.word import docx, p

PNG = saved(picture(), "PNG", dpi=(150, 150))
OTHER = saved(picture("Signed in the city of Boston"), "PNG", dpi=(150, 150))
LOGO = saved(picture().resize((300, 200)), "PNG")
RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
LINKED = '<w:r><w:drawing><pic:pic><a:blip r:link="far"/></pic:pic></w:drawing></w:r>'
IMAGE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"


def shown(name: str) -> str:
    blip = f'<pic:blipFill><a:blip r:embed="{name}"/></pic:blipFill>'
    return f"<w:r><w:drawing><pic:pic>{blip}</pic:pic></w:drawing></w:r>"


def word(body: str, pictures: Mapping[str, bytes]) -> bytes:
    """A DOCX with these pictures, by their relationships."""
    data = docx(body)
    related = ""
    for name, picture_bytes in pictures.items():
        data = changed(data, f"word/media/{name}.png", picture_bytes)
        related += f'<Relationship Id="{name}" Type="{IMAGE}" Target="media/{name}.png"/>'
    rels = f'<Relationships xmlns="{RELATIONSHIPS}">{related}</Relationships>'
    return changed(data, "word/_rels/document.xml.rels", rels.encode())


def opened(data: bytes, **more: object) -> ParsedDocument:
    return read(data, limits=PATIENT, **more)  # type: ignore[arg-type]


def test_a_scanned_page_in_a_letter_is_a_page_behind_it() -> None:
    body = p("Dear Sir, see the lease.") + p(shown("a")) + p("Yours, Alpha")
    alone = opened(docx(p("Dear Sir, see the lease.") + p("Yours, Alpha")))
    parsed = opened(word(body, {"a": PNG}))
    assert parsed.text.startswith(alone.text + "\n\n")
    letter, lease = parsed.pages
    assert (letter.method, letter.confidence) == ("docx", None)
    assert (lease.number, lease.method, parsed.page_count) == (2, "tesseract", 2)
    assert lease.confidence is not None
    assert lease.confidence > 0.75
    assert parsed.text[lease.start : lease.end].split() == " ".join(WORDS).split()
    assert parsed.warnings == ("1 picture in it read as page 2, after its text",)


def test_a_contract_of_photos_is_read_in_the_order_they_are_shown() -> None:
    body = p(shown("z") + shown("logo")) + p(shown("a")) + p(shown("z"))
    parsed = opened(word(body, {"a": OTHER, "logo": LOGO, "z": PNG}))
    first, second = (parsed.text[page.start : page.end] for page in parsed.pages)
    assert "governed by the law of Delaware" in first
    assert "Boston" in second
    assert [page.number for page in parsed.pages] == [1, 2]


def test_what_is_deleted_or_has_no_words_is_no_page() -> None:
    photo = saved(Image.linear_gradient("L").resize((900, 700)), "PNG")
    deleted = f'<w:del w:author="x">{shown("a")}</w:del>'
    parsed = opened(word(p("Dear Sir") + p(deleted) + p(shown("b")), {"a": PNG, "b": photo}))
    assert (parsed.text, parsed.page_count) == ("Dear Sir", 1)


@pytest.mark.usefixtures("no_engine")
def test_without_the_engine_it_says_what_to_install() -> None:
    parsed = opened(word(p("Dear Sir") + p(shown("a") + shown("b")), {"a": PNG, "b": OTHER}))
    assert (parsed.text, parsed.failed) == ("Dear Sir", ())
    assert parsed.warnings == (f"pictures 1, 2 in it not read ({NEEDS})",)
    with pytest.raises(NoTextLayer, match=r"only pictures: .*tesseract"):
        opened(word(p(shown("a")), {"a": PNG}))


def test_a_picture_that_can_not_be_taken_costs_nothing_but_itself() -> None:
    huge = bytearray(PNG)
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    broken = PNG[:200]
    body = p("Dear Sir") + p(shown("huge") + shown("broken") + shown("gone") + shown("a"))
    pictures = {"huge": bytes(huge), "broken": broken, "gone": OTHER, "a": PNG}
    parsed = opened(word(body, pictures), skip=[4])
    assert [page.number for page in parsed.pages] == [1, 2]
    assert "Delaware" in parsed.text
    assert "Boston" not in parsed.text
    read_one, too_large, damaged, ended = parsed.warnings
    assert read_one == "1 picture in it read as page 2, after its text"
    assert re.match(r"picture 1 in it not read \(.*120 million", too_large)
    assert re.match(r"picture 2 in it not read \(can't open page 1: it is damaged", damaged)
    assert ended == "picture 3 in it not read, because the reader crashed on it"


def test_a_picture_that_is_damaged_or_missing_is_named_with_the_reason() -> None:
    data = word(
        p("Dear Sir") + p("".join(map(shown, "abcde")) + LINKED),
        {"a": PNG[:20], "b": b"", "c": PNG, "d": b"no picture", "e": LOGO},
    )
    parsed = opened(changed(data, "word/media/c.png", None))
    assert parsed.text == "Dear Sir"
    cut, strange, lost = parsed.warnings
    assert re.match(r"picture 1 in it not read \(can't open the picture: it is damaged", cut)
    assert re.match(r"pictures 2, 4 in it not read \(can't open the picture: .* format", strange)
    assert re.match(r"pictures 3, 6 in it not read \(it is missing in the file", lost)


def test_a_document_of_nothing_but_damaged_pictures_says_what_is_wrong_with_them() -> None:
    with pytest.raises(NoTextLayer, match=r"no text: picture 1 in it not read .*damaged"):
        opened(word(p(shown("a")), {"a": PNG[:200]}))


def test_a_damaged_list_of_its_pictures_is_a_warning() -> None:
    data = word(p("Dear Sir") + p(shown("a")), {"a": PNG})
    parsed = opened(changed(data, "word/_rels/document.xml.rels", b"<Relationships"))
    assert parsed.text == "Dear Sir"
    parts, lost = parsed.warnings
    assert parts.startswith("parts of it may be missing (")
    assert lost.startswith("picture 1 in it not read (it is missing in the file")


def test_many_pictures_that_are_not_read_are_one_warning() -> None:
    names = [f"n{number}" for number in range(30)]
    parsed = opened(word(p("Dear Sir") + p("".join(map(shown, names))), dict.fromkeys(names, b"?")))
    (warning,) = parsed.warnings
    assert re.match(r"pictures 1, 2, .*, 20 and 10 more in it not read \(", warning)


def test_every_page_of_a_tiff_in_it_is_a_page() -> None:
    more = [picture("Signed in the city of Boston")]
    both = saved(picture(), "TIFF", save_all=True, append_images=more, dpi=(150, 150))
    parsed = opened(word(p("Dear Sir") + p(shown("a")), {"a": both}))
    _, first, second = (parsed.text[page.start : page.end] for page in parsed.pages)
    assert "Delaware" in first
    assert "Boston" in second
    assert parsed.warnings == ("2 pictures in it read as pages 2 to 3, after its text",)


def test_a_page_of_a_tiff_that_is_not_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    confidences = iter([0.9, 0.1])
    monkeypatch.setattr(ocr, "_confidence", lambda _words: next(confidences, 0.1))
    both = saved(picture(), "TIFF", save_all=True, append_images=[picture()], dpi=(150, 150))
    parsed = opened(word(p("Dear Sir") + p(shown("a")), {"a": both}))
    assert f"picture 1 (page 2) in it {embedded_pictures.UNSURE}" in parsed.warnings


@pytest.mark.parametrize("form", ["GIF", "BMP", "WebP", "AVIF", "EMF or WMF"])
def test_a_page_in_a_format_that_is_not_read_is_named(form: str) -> None:
    sizes = {"page": (900, 700), "logo": (300, 200)}
    if form == "EMF or WMF":
        pictures = {name: metafile(*size) for name, size in sizes.items()}
    else:
        pictures = {name: saved(picture().resize(size), form) for name, size in sizes.items()}
    parsed = opened(word(p("Dear Sir") + p(shown("page") + shown("logo")), pictures))
    why = f"not read, because {form} is not supported: save it as PNG"
    assert (parsed.text, parsed.warnings) == ("Dear Sir", (f"picture 1 in it {why}",))


def test_a_packed_metafile_counts_by_its_own_size() -> None:
    sizes = {"page": (900, 700), "formula": (300, 200)}
    pictures = {name: gzip.compress(metafile(*size)) for name, size in sizes.items()}
    pictures["cut"] = pictures["page"][:12]
    parsed = opened(word(p("Dear Sir") + p("".join(map(shown, pictures))), pictures))
    page, cut = parsed.warnings
    assert page.startswith("picture 1 in it not read, because EMF or WMF is not supported")
    assert cut.startswith("picture 3 in it not read (can't open the picture")


def metafile(width: int, height: int) -> bytes:
    """The head of an EMF of so many dots, at 100 dots per inch."""
    frame = (width * 2540 // 100, height * 2540 // 100)
    head = struct.pack("<II8i4s", 1, 108, 0, 0, width, height, 0, 0, *frame, b" EMF")
    return head.ljust(108, b"\0")


def test_a_page_whose_words_are_too_unsure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_pictures, "LEAST_CONFIDENCE", 1.01)
    parsed = opened(word(p("Dear Sir") + p(shown("a")), {"a": PNG}))
    assert (parsed.text, parsed.warnings) == (
        "Dear Sir",
        (f"picture 1 in it {embedded_pictures.UNSURE}",),
    )
