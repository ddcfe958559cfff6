"""Pictures of pages in a Word file: read as pages behind its text, and none lost without a word."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Mapping
from contextlib import closing

import pytest
from PIL import Image

from shared.documents import Reading, inlaid, ocr, read
from shared.documents.ocr import NEEDS
from shared.documents.sandbox import Reader
from shared.errors import NoTextLayer
from tests.unit.documents.scanned import PATIENT, WORDS, need_engine, picture, saved
from tests.unit.documents.word import changed, docx, p

PNG = saved(picture(), "PNG", dpi=(150, 150))
OTHER = saved(picture("Signed in the city of Boston"), "PNG", dpi=(150, 150))
LOGO = saved(picture().resize((300, 200)), "PNG")
RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
LINKED = '<w:r><w:drawing><pic:pic><a:blip r:link="far"/></pic:pic></w:drawing></w:r>'
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
    assert found.warnings == (f"pictures 1, 2 in it not read ({NEEDS})",)
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
    read_one, too_large, damaged, ended = found.warnings
    assert read_one == "1 picture in it read as page 2, behind its text"
    assert re.match(r"picture 1 in it not read \(.*120 million", too_large)
    assert re.match(r"picture 2 in it not read \(can't open page 1: it is damaged", damaged)
    assert ended == "picture 3 in it not read, for it ended the reader"


def test_a_picture_that_is_damaged_or_missing_is_named_with_the_reason() -> None:
    """Whatever is wrong with it: its head, its part in the archive, the part itself, its format."""
    data = word(
        p("Dear Sir") + p("".join(map(shown, "abcde")) + LINKED),
        {"a": PNG[:20], "b": b"", "c": PNG, "d": b"no picture", "e": LOGO},
    )
    found = opened(changed(data, "word/media/c.png", None))
    assert found.text == "Dear Sir"
    cut, strange, lost = found.warnings
    assert re.match(r"picture 1 in it not read \(can't open the picture: it is damaged", cut)
    assert re.match(r"pictures 2, 4 in it not read \(can't open the picture: .* kind", strange)
    assert re.match(r"pictures 3, 6 in it not read \(it is not in the file", lost)


def test_a_document_of_nothing_but_damaged_pictures_says_what_is_wrong_with_them() -> None:
    """None of them may have been without text."""
    need_engine()
    with pytest.raises(NoTextLayer, match=r"no text: picture 1 in it not read .*damaged"):
        opened(word(p(shown("a")), {"a": PNG[:200]}))


def test_a_damaged_list_of_its_pictures_is_a_warning() -> None:
    """Without it nobody knows which part a picture is."""
    data = word(p("Dear Sir") + p(shown("a")), {"a": PNG})
    found = opened(changed(data, "word/_rels/document.xml.rels", b"<Relationships"))
    assert found.text == "Dear Sir"
    parts, lost = found.warnings
    assert parts.startswith("parts that belong to it may be missing (")
    assert lost.startswith("picture 1 in it not read (it is not in the file")


def test_many_pictures_that_are_not_read_are_one_warning() -> None:
    """With the numbers of the first ones."""
    names = [f"n{number}" for number in range(30)]
    found = opened(word(p("Dear Sir") + p("".join(map(shown, names))), dict.fromkeys(names, b"?")))
    (warning,) = found.warnings
    assert re.match(r"pictures 1, 2, .*, 20 and 10 more in it not read \(", warning)


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


def test_a_page_of_a_tiff_that_is_not_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are read."""
    need_engine()
    confidences = iter([0.9, 0.1])
    monkeypatch.setattr(ocr, "_confidence", lambda _words: next(confidences, 0.1))
    both = saved(picture(), "TIFF", save_all=True, append_images=[picture()], dpi=(150, 150))
    found = opened(word(p("Dear Sir") + p(shown("a")), {"a": both}))
    assert f"picture 1 (page 2) in it {inlaid.UNSURE}" in found.warnings


@pytest.mark.parametrize("form", ["GIF", "BMP", "WebP", "AVIF", "EMF or WMF"])
def test_a_page_in_a_format_that_is_not_read_is_named(form: str) -> None:
    """What may be the contract itself is not lost without a word; a logo is."""
    sizes = {"page": (900, 700), "logo": (300, 200)}
    if form == "EMF or WMF":
        pictures = {name: metafile(*size) for name, size in sizes.items()}
    else:
        pictures = {name: saved(picture().resize(size), form) for name, size in sizes.items()}
    found = opened(word(p("Dear Sir") + p(shown("page") + shown("logo")), pictures))
    why = f"not read, for {form} is no format that is read: save it as PNG"
    assert (found.text, found.warnings) == ("Dear Sir", (f"picture 1 in it {why}",))


def test_a_packed_metafile_counts_by_its_own_size() -> None:
    """Word packs those of formulas; a cut one may be a page."""
    sizes = {"page": (900, 700), "formula": (300, 200)}
    pictures = {name: gzip.compress(metafile(*size)) for name, size in sizes.items()}
    pictures["cut"] = pictures["page"][:12]
    found = opened(word(p("Dear Sir") + p("".join(map(shown, pictures))), pictures))
    page, cut = found.warnings
    assert page.startswith("picture 1 in it not read, for EMF or WMF is no format that is read")
    assert cut.startswith("picture 3 in it not read (can't open the picture")


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
    assert (found.text, found.warnings) == ("Dear Sir", (f"picture 1 in it {inlaid.UNSURE}",))
