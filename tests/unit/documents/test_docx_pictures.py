"""Pictures of pages in a Word file: read as pages behind its text, and none lost without a word."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from contextlib import closing

import pytest
from PIL import Image

from shared.documents import Reading, inlaid, read
from shared.documents.ocr import NEEDS
from shared.documents.sandbox import Reader
from shared.errors import NoTextLayer
from tests.unit.documents.scanned import PATIENT, WORDS, need_engine, picture, saved
from tests.unit.documents.word import changed, docx, p

PNG = saved(picture(), "PNG", dpi=(150, 150))
OTHER = saved(picture("Signed in the city of Boston"), "PNG", dpi=(150, 150))
LOGO = saved(picture().resize((300, 200)), "PNG")
RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
IMAGE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"


def shown(name: str) -> str:
    """A run with the picture of a relationship."""
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


def opened(data: bytes, **more: object) -> Reading:
    """The reading, with time for a busy machine."""
    return read(data, limits=PATIENT, **more)  # type: ignore[arg-type]


def test_a_scanned_page_in_a_letter_is_a_page_behind_it() -> None:
    """Its words are found, its page says how surely, and the letter's own text is as it was."""
    need_engine()
    body = p("Dear Sir, see the lease.") + p(shown("a")) + p("Yours, Alpha")
    alone = opened(docx(p("Dear Sir, see the lease.") + p("Yours, Alpha")))
    found = opened(word(body, {"a": PNG}))
    assert found.text.startswith(alone.text + "\n\n")
    letter, lease = found.pages
    assert (letter.method, letter.confidence) == ("docx", None)
    assert (lease.number, lease.method, found.page_count) == (2, "tesseract", 2)
    assert lease.confidence is not None
    assert lease.confidence > 0.75
    assert found.text[lease.start : lease.end].split() == " ".join(WORDS).split()
    assert found.warnings == ("1 picture in it read as page 2, behind its text",)


def test_a_contract_of_photos_is_read_in_the_order_they_are_shown() -> None:
    """Whatever their parts are called; one that is shown twice is one page, a logo is none."""
    need_engine()
    body = p(shown("z") + shown("logo")) + p(shown("a")) + p(shown("z"))
    found = opened(word(body, {"a": OTHER, "logo": LOGO, "z": PNG}))
    first, second = (found.text[page.start : page.end] for page in found.pages)
    assert "governed by the law of Delaware" in first
    assert "Boston" in second
    assert [page.number for page in found.pages] == [1, 2]


def test_what_is_deleted_or_has_no_words_is_no_page() -> None:
    """A picture that a tracked change deletes, and a photo of nothing that can be read."""
    need_engine()
    photo = saved(Image.linear_gradient("L").resize((900, 700)), "PNG")
    deleted = f'<w:del w:author="x">{shown("a")}</w:del>'
    found = opened(word(p("Dear Sir") + p(deleted) + p(shown("b")), {"a": PNG, "b": photo}))
    assert (found.text, found.page_count) == ("Dear Sir", 1)


@pytest.mark.usefixtures("no_engine")
def test_without_the_engine_it_says_what_to_install() -> None:
    """The text is complete without them; a document of pictures alone is refused."""
    found = opened(word(p("Dear Sir") + p(shown("a") + shown("b")), {"a": PNG, "b": OTHER}))
    assert (found.text, found.failed) == ("Dear Sir", ())
    assert found.warnings == (f"2 pictures in it not read ({NEEDS})",)
    with pytest.raises(NoTextLayer, match=r"only pictures: .*tesseract"):
        opened(word(p(shown("a")), {"a": PNG}))


def test_a_picture_that_can_not_be_taken_costs_nothing_but_itself() -> None:
    """One too large to be opened, one that ended the reader before, and one that is damaged."""
    need_engine()
    huge = bytearray(PNG)
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    broken = PNG[:200]
    body = p("Dear Sir") + p(shown("huge") + shown("broken") + shown("gone") + shown("a"))
    pictures = {"huge": bytes(huge), "broken": broken, "gone": OTHER, "a": PNG}
    found = opened(word(body, pictures), skip=[4])
    assert [page.number for page in found.pages] == [1, 2]
    assert "Delaware" in found.text
    assert "Boston" not in found.text
    assert any("120 million" in one for one in found.warnings)
    assert any("it ended the reader" in one for one in found.warnings)


def test_the_child_process_reads_them_too() -> None:
    """Within its bounds, as it reads scans."""
    need_engine()
    with closing(Reader(PATIENT)) as reader:
        found = reader.read(word(p("Dear Sir") + p(shown("a")), {"a": PNG}), name="a.docx")
    assert [page.method for page in found.pages] == ["docx", "tesseract"]
    assert "Delaware" in found.text


def test_every_page_of_a_tiff_in_it_is_a_page() -> None:
    """In their order, as if each were a picture of its own."""
    need_engine()
    more = [picture("Signed in the city of Boston")]
    both = saved(picture(), "TIFF", save_all=True, append_images=more, dpi=(150, 150))
    found = opened(word(p("Dear Sir") + p(shown("a")), {"a": both}))
    _, first, second = (found.text[page.start : page.end] for page in found.pages)
    assert "Delaware" in first
    assert "Boston" in second
    assert found.warnings == ("2 pictures in it read as pages 2 to 3, behind its text",)


@pytest.mark.parametrize("form", ["GIF", "BMP", "EMF or WMF"])
def test_a_page_in_a_format_that_is_not_read_is_named(form: str) -> None:
    """What may be the contract itself is not lost without a word; a logo is."""
    sizes = {"page": (900, 700), "logo": (300, 200)}
    if form == "EMF or WMF":
        pictures = {name: metafile(*size) for name, size in sizes.items()}
    else:
        pictures = {name: saved(picture().resize(size), form) for name, size in sizes.items()}
    found = opened(word(p("Dear Sir") + p(shown("page") + shown("logo")), pictures))
    why = f"not read, for {form} is no format that is read: save it as PNG"
    assert (found.text, found.warnings) == ("Dear Sir", (f"1 picture in it {why}",))


def metafile(width: int, height: int) -> bytes:
    """The head of an EMF of so many dots, at 100 dots an inch."""
    frame = (width * 2540 // 100, height * 2540 // 100)
    head = struct.pack("<II8i4s", 1, 108, 0, 0, width, height, 0, 0, *frame, b" EMF")
    return head.ljust(108, b"\0")


def test_a_page_whose_words_are_too_unsure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not taken for text, and a person can look."""
    need_engine()
    monkeypatch.setattr(inlaid, "LEAST_CONFIDENCE", 1.01)
    found = opened(word(p("Dear Sir") + p(shown("a")), {"a": PNG}))
    assert (found.text, found.warnings) == ("Dear Sir", (f"1 picture in it {inlaid.UNSURE}",))
