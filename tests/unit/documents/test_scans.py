"""Pages that are pictures: scans in PDF, PNG, JPEG and TIFF, recognised or clearly refused."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from shared.documents import Limits, ParsedDocument, read, render, sandbox
from shared.documents.confinement import Confinement
from shared.documents.pages.ocr import Level, level, skew_of
from shared.documents.sandbox import Reader
from shared.errors import DocumentTooLarge, NoTextLayer, NotFound, SuiteError, UnreadableDocument
from tests.unit.documents.hostile import start
from tests.unit.documents.samples import plain, sample
from tests.unit.documents.scanned import PATIENT, WORDS, pdf_of, picture, saved, spoiled

TEXT = "\n".join(WORDS)
ROTATED = 6
"""In EXIF: to be turned by a quarter clockwise to be seen upright."""
ORIENTATION = 0x0112
WORD = "5\\t1\\t1\\t1\\t1\\t1\\t60\\t60\\t90\\t20\\t93\\tLease"


@pytest.fixture
def unconfined(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system such as macOS: only there a reader runs the installed program."""
    nothing = Confinement(landlock=0, filter=False)
    monkeypatch.setattr(sandbox, "offered", lambda: nothing)
    monkeypatch.setattr(sandbox, "_START", start(offered=nothing))


def words_of(text: str) -> list[str]:
    return text.split()


def right_words(text: str) -> float:
    wanted = words_of(TEXT)
    return sum(word in words_of(text) for word in wanted) / len(wanted)


def ink_in_boxes(reading: ParsedDocument, displayed: Image.Image, dpi: int) -> float:
    """Return the share of a picture's ink within the boxes of the text."""
    ink = np.asarray(displayed.convert("L")) < 128
    boxed = np.zeros_like(ink)
    for x0, y0, x1, y1 in reading.boxes[~np.isnan(reading.boxes[:, 0])] * dpi / 72:
        boxed[max(0, int(y0) - 2) : int(y1) + 3, max(0, int(x0) - 2) : int(x1) + 3] = True
    assert boxed.mean() < 0.4
    return float((ink & boxed).sum() / ink.sum())


@pytest.fixture
def stand_in(
    no_library: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], None]:
    """Put a script in the place of the program."""

    def put(script: str) -> None:
        program = tmp_path / "bin" / "tesseract"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")

    return put


@pytest.mark.parametrize(
    ("form", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("TIFF", "image/tiff")]
)
def test_a_picture_of_a_page_is_read(form: str, media_type: str) -> None:
    image = picture()
    reading = read(saved(image, form, dpi=(150, 150)), name="lies.pdf", limits=PATIENT)
    assert reading.text == TEXT
    assert reading.media_type == media_type
    (page,) = reading.pages
    assert (page.number, page.method) == (1, "tesseract")
    assert (page.width, page.height) == (432, 288)
    assert page.confidence is not None
    assert 0.8 < page.confidence <= 1
    assert reading.warnings == (f"the name ends with .pdf, but the content is {form}",)
    assert ink_in_boxes(reading, image, 150) > 0.95
    again = ParsedDocument.from_bytes(reading.to_bytes(), reading.text)
    assert again.pages == reading.pages


def test_every_page_of_a_tiff_is_read() -> None:
    first, second = picture("The first page of two"), picture("The second page of two")
    data = saved(first, "TIFF", save_all=True, append_images=[second], dpi=(150, 150))
    reading = read(data, limits=PATIENT)
    assert reading.text == "The first page of two\n\nThe second page of two"
    assert [reading.text[p.start : p.end].split()[1] for p in reading.pages] == ["first", "second"]
    shown = Image.open(BytesIO(render(data, 2, scale=1)))
    assert shown.size == (432, 288)
    with pytest.raises(NotFound):
        render(data, 3)


def test_a_scanned_pdf_is_read() -> None:
    reading = read(pdf_of(picture(), picture("Signed by both parties")), limits=PATIENT)
    assert reading.text == f"{TEXT}\n\nSigned by both parties"
    assert [page.method for page in reading.pages] == ["tesseract", "tesseract"]
    assert [(round(page.width), round(page.height)) for page in reading.pages] == [(432, 288)] * 2
    assert not reading.failed


def test_a_scan_with_a_stamp_in_the_text_layer_is_read_whole() -> None:
    from pypdf import PdfReader, PdfWriter  # to put one page on another

    writer = PdfWriter(clone_from=BytesIO(pdf_of(picture())))
    writer.pages[0].merge_page(PdfReader(BytesIO(plain(text="Stamp"))).pages[0])
    out = BytesIO()
    writer.write(out)
    reading = read(out.getvalue(), limits=PATIENT)
    assert reading.pages[0].method == "tesseract"
    assert right_words(reading.text) > 0.9


def test_a_telephone_photo_is_seen_upright() -> None:
    image = picture()
    rotated = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION] = ROTATED
    data = saved(rotated, "JPEG", exif=exif, quality=90, dpi=(150, 150))
    reading = read(data, limits=PATIENT)
    assert reading.text == TEXT
    assert (reading.pages[0].width, reading.pages[0].height) == (432, 288)
    assert ink_in_boxes(reading, image, 150) > 0.95
    shown = Image.open(BytesIO(render(data, 1)))
    assert shown.width > shown.height


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_page_on_its_side_is_read(quarters: int) -> None:
    image = picture(*WORDS, *WORDS[:2])
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(image), quarters)))
    reading = read(saved(lying, "PNG", dpi=(150, 150)), limits=PATIENT)
    assert right_words(reading.text) > 0.9
    assert round(reading.pages[0].width) == lying.width * 72 // 150
    assert ink_in_boxes(reading, lying, 150) > 0.9


def test_a_poor_scan_is_read() -> None:
    reading = read(saved(spoiled(picture()), "PNG", dpi=(150, 150)), limits=PATIENT)
    assert right_words(reading.text) >= 0.9


def test_a_telefax_is_read() -> None:
    image = picture(dpi=204)
    faxed = image.resize((image.width, image.height * 98 // 204)).convert("1")
    data = saved(faxed, "TIFF", dpi=(204, 98), compression="group4")
    reading = read(data, limits=PATIENT)
    assert right_words(reading.text) >= 0.9
    assert (reading.pages[0].width, reading.pages[0].height) == pytest.approx((432, 288), abs=1)


def test_an_empty_side_of_a_sheet_is_no_failure() -> None:
    white = Image.new("L", (900, 600), 255)
    reading = read(pdf_of(picture(), white), limits=PATIENT)
    assert not reading.failed
    assert reading.text.rstrip() == TEXT
    assert reading.warnings == ("no text was recognised on page 2",)
    with pytest.raises(NoTextLayer, match="none was recognised"):
        read(saved(white, "PNG"), limits=PATIENT)


@pytest.mark.usefixtures("no_program")
def test_it_is_read_in_the_child_as_here() -> None:
    data = pdf_of(picture())
    with Reader(PATIENT) as reader:
        there = reader.read(data)
    assert there.text == TEXT
    assert there.pages == read(data, limits=PATIENT).pages


@pytest.mark.needs("Tesseract")
@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("quarters", [0, 1, 2])
def test_the_program_reads_a_page_where_the_package_has_no_engine(quarters: int) -> None:
    image = picture(*WORDS, *WORDS[:2])
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(image), quarters)))
    reading = read(saved(lying, "PNG", dpi=(150, 150)), limits=PATIENT)
    assert right_words(reading.text) > 0.9
    assert ink_in_boxes(reading, lying, 150) > 0.9


def test_a_page_does_not_depend_on_earlier_pages() -> None:
    poor = saved(spoiled(picture()), "PNG", dpi=(150, 150))
    with Reader(PATIENT) as first, Reader(PATIENT) as second:
        alone = first.read(poor)
        second.read(pdf_of(picture("Signed by both parties"), picture()))
        after = second.read(poor)
    assert (after.text, after.pages) == (alone.text, alone.pages)


FAULTY = """
import os
from types import SimpleNamespace
PSM = SimpleNamespace(AUTO=3)

class PyTessBaseAPI:
    def __init__(self, *arguments, **options):
        pass
    def SetImageBytes(self, picture, width, *sizes):
        self.faulty = width > 1_000
    def SetSourceResolution(self, dpi):
        pass
    def Recognize(self, milliseconds):
        if self.faulty:
            FAULT
        return True
    def GetTSVText(self, page):
        return "WORD"
    def Clear(self):
        pass
"""


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("os.abort()", "crashed"),
        pytest.param("while True: pass", "crashed", marks=pytest.mark.slow),
        ("return False", "tesseract failed on the page"),
    ],
)
def test_a_crash_or_endless_loop_of_the_library_costs_its_page(
    fault: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = FAULTY.replace("FAULT", fault).replace("WORD", WORD)
    (tmp_path / "tesserocr.py").write_text(faulty)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pages = [picture(), picture().resize((1_800, 1_200)), picture()]
    data = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:], dpi=(150, 150))
    with Reader(Limits(seconds=15, page_seconds=1)) as reader:
        reading = reader.read(data)
    assert words_of(reading.text) == ["Lease", "Lease"]
    assert [page.number for page in reading.failed] == [2]
    assert reason in reading.failed[0].reason


def test_the_library_stops_in_time() -> None:
    dense = Image.fromarray(np.tile(np.asarray(picture()), (6, 3)))  # takes ten times the limit
    with pytest.raises(UnreadableDocument, match=r"took longer than 0\.1 s"):
        read(saved(dense, "PNG", dpi=(200, 200)), limits=Limits(page_seconds=0.1))


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("data", [saved(picture(), "PNG"), pdf_of(picture())], ids=["PNG", "PDF"])
def test_without_the_program_the_error_names_the_package(data: bytes) -> None:
    with pytest.raises(NoTextLayer, match="apt-get install tesseract-ocr"):
        read(data, name="scan")


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (12_001, 10_000)])
def test_a_bomb_is_refused_before_it_is_unpacked(width: int, height: int) -> None:
    for work in (read, lambda data: render(data, 1)):
        with pytest.raises(DocumentTooLarge, match="120 million"):
            work(png_header(width, height))


def test_the_largest_picture_is_drawn_with_little_more_than_itself() -> None:
    """Four bytes a pixel are 480 MB, and every copy would need as much again."""
    data = saved(Image.new("RGB", (10_950, 10_950), "white"), "PNG")
    assert len(data) < 1_000_000
    with Reader() as reader:
        shown = Image.open(BytesIO(reader.render(data, 1)))
        state = Path(f"/proc/{reader.child_id}/status").read_text()
    assert max(shown.size) == 11 * 72 * 2
    [peak] = [int(line.split()[1]) for line in state.splitlines() if line.startswith("VmHWM")]
    assert peak * 1024 < 750_000_000


def test_what_is_transparent_in_a_picture_is_white() -> None:
    rotated = Image.new("RGBA", (200, 100), (0, 0, 0, 0))
    rotated.paste((0, 0, 0, 255), (0, 0, 50, 100))
    rotated.paste((0, 0, 0, 128), (50, 0, 100, 100))
    shown = Image.open(BytesIO(render(saved(rotated, "PNG", dpi=(72, 72)), 1, scale=2)))
    row = [shown.getpixel((x * shown.width // 200, shown.height // 2)) for x in (20, 75, 150)]
    assert row == [(0, 0, 0), (127, 127, 127), (255, 255, 255)]


def test_a_bomb_behind_a_page_costs_only_itself(stand_in: Callable[[str], None]) -> None:
    stand_in(f"printf '{HEAD}\\n{WORD}\\n'")
    info = TiffImagePlugin.ImageFileDirectory_v2()
    data = saved(picture(), "TIFF", save_all=True, append_images=[picture("Two")], tiffinfo=info)
    with Image.open(BytesIO(data)) as image:
        image.seek(1)
        place = image.tag_v2._offset  # type: ignore[attr-defined]
    grown = bytearray(data)
    entries = struct.unpack_from("<H", grown, place)[0]
    for entry in range(place + 2, place + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", grown, entry)[0] in (256, 257):
            struct.pack_into(
                "<HHII", grown, entry, *struct.unpack_from("<H", grown, entry), 4, 1, 60_000
            )
    reading = read(bytes(grown))
    assert reading.text == "Lease"
    assert [(page.number, page.code) for page in reading.failed] == [(2, "document_too_large")]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_a_damaged_picture_is_refused(form: str, stand_in: Callable[[str], None]) -> None:
    stand_in(f"printf '{HEAD}\\n{WORD}\\n'")
    data = saved(picture(), form)
    for length in (9, 30, len(data) // 2):
        with pytest.raises(UnreadableDocument) as caught:
            read(data[:length], name="cut")
        assert caught.value.document == "cut"


HEAD = (
    "level\\tpage_num\\tblock_num\\tpar_num\\tline_num\\tword_num\\tleft\\ttop\\twidth\\theight"
    "\\tconf\\ttext"
)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'Error opening data file' >&2; exit 1", "tesseract failed.*Error opening data"),
        ("kill -9 $$", "tesseract failed on the page: status -9"),
        ("exec /bin/sleep 100", "took longer than 1 s"),
    ],
)
def test_a_program_that_fails_costs_its_page(
    script: str, says: str, stand_in: Callable[[str], None]
) -> None:
    stand_in(script)
    limits = Limits(page_seconds=1)
    with pytest.raises(UnreadableDocument, match=says):
        read(saved(picture(), "PNG"), limits=limits)


def test_a_low_confidence_is_a_warning(stand_in: Callable[[str], None]) -> None:
    stand_in(f"printf '{HEAD}\\n{WORD.replace('93', '41')}\\n'")
    reading = read(saved(picture(), "PNG"))
    assert reading.text == "Lease"
    assert reading.pages[0].confidence == 0.41
    assert reading.warnings == ("recognised with low confidence, please check: page 1 (41%)",)


@pytest.mark.slow
@pytest.mark.usefixtures("unconfined")
def test_recognising_has_a_separate_time_limit(stand_in: Callable[[str], None]) -> None:
    stand_in(f"/bin/sleep 8; printf '{HEAD}\\n{WORD}\\n'")
    data = saved(picture(), "TIFF", save_all=True, append_images=[picture()])
    with Reader(Limits(seconds=12)) as reader:
        assert words_of(reader.read(data).text) == ["Lease", "Lease"]


def test_the_time_for_all_pages_together_is_bounded(stand_in: Callable[[str], None]) -> None:
    stand_in(f"printf '{HEAD}\\n{WORD}\\n'")
    reading = read(sample("some_images"), limits=Limits(scan_seconds=0))
    assert [(page.number, page.code) for page in reading.failed] == [(2, "timeout")]
    assert "recognising" in reading.failed[0].reason


def _in_session(session: int, name: str) -> bool:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text()
            same = os.getsid(int(folder.name)) == session
        except OSError:
            continue
        if same and f"({name})" in state and ") Z " not in state:
            return True
    return False


@pytest.mark.usefixtures("unconfined")
def test_the_program_ends_with_its_reader(stand_in: Callable[[str], None]) -> None:
    stand_in("exec /bin/sleep 500")
    reader = Reader()
    ended: list[SuiteError] = []

    def work() -> None:
        try:
            reader.read(saved(picture(), "PNG"))
        except SuiteError as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until = time.monotonic() + 120
    while not (reader.child_id and _in_session(reader.child_id, "sleep")):
        assert time.monotonic() < until, "the program has not begun"
        time.sleep(0.05)
    session = reader.child_id
    reader.close()
    thread.join()
    assert ended
    while _in_session(session, "sleep"):
        assert time.monotonic() < until, "the program goes on"
        time.sleep(0.05)


@pytest.mark.parametrize("degrees", [-3.0, -0.7, 0.0, 1.5, 4.0])
def test_the_skew_of_lines_is_found(degrees: float) -> None:
    turned = picture(dpi=200).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)
    assert skew_of(np.asarray(turned)) == pytest.approx(-degrees, abs=0.11)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_boxes_go_back_to_the_page_as_displayed(turns: int) -> None:
    page = np.full((400, 600), 255, np.uint8)
    page[100:110, 450:480] = 0
    found: Level = level(page, turns)
    y, x = np.nonzero(found.picture == 0)
    box = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32)
    assert found.displayed(box, 72)[0].tolist() == pytest.approx([450, 100, 480, 110])


def test_boxes_of_a_skewed_page_go_back() -> None:
    page = np.full((600, 600), 255, np.uint8)
    page[100:110, 450:460] = 0
    turned = np.asarray(Image.fromarray(page).rotate(3, Image.Resampling.BICUBIC, fillcolor=255))
    y, x = np.nonzero(turned < 128)
    box = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32)
    x0, y0, x1, y1 = Level(turned, 0, 3.0).displayed(box, 72)[0]
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((455, 105), abs=0.6)
