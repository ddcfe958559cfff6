"""The result of reading: text, boxes and ledger, and its stored form."""

from __future__ import annotations

import io
import json

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from shared.documents import ParsedDocument, read, render
from shared.errors import NotFound, UnreadableDocument
from tests.unit.documents import samples
from tests.unit.documents.samples import GOLDEN, path_of, plain, sample

SCALE = 2.0


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("name", GOLDEN)
def test_a_sample_reads_as_expected(name: str) -> None:
    reading = read(sample(name), name=name)

    expected = json.loads(path_of(name).with_suffix(".json").read_text("utf-8"))
    assert reading.text == path_of(name).with_suffix(".txt").read_bytes().decode()
    assert expected["pages"] == [
        [p.number, p.start, p.end, p.width, p.height, p.rotation, p.method] for p in reading.pages
    ]
    assert expected["failed"] == [[page.number, page.code] for page in reading.failed]
    assert expected["furniture"] == [reading.text[a:b] for a, b in reading.furniture]
    assert expected["running_text"] == reading.without_furniture()
    assert tuple(expected["warnings"]) == reading.warnings


def test_there_are_samples() -> None:
    assert len(GOLDEN) >= 8


@pytest.mark.parametrize("name", GOLDEN)
def test_the_ink_of_a_page_lies_in_the_boxes(name: str) -> None:
    data = sample(name)
    reading = read(data)
    for page in reading.pages:
        if page.start == page.end or name == "watermark":
            continue
        ink = np.array(Image.open(io.BytesIO(render(data, page.number, scale=SCALE)))) < 128
        boxed = np.zeros_like(ink)
        for x0, y0, x1, y1 in reading.boxes[page.start : page.end]:
            if not np.isnan(x0):
                left, top, right, bottom = (round(float(v) * SCALE) for v in (x0, y0, x1, y1))
                boxed[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = True
        assert ink.any()
        assert (ink & boxed).sum() >= 0.98 * ink.sum()
        assert boxed.mean() < 0.4


@pytest.mark.parametrize("name", GOLDEN)
def test_every_character_of_the_page_has_a_box(name: str) -> None:
    reading = read(sample(name))
    missing = np.flatnonzero(np.isnan(reading.boxes).any(axis=1))
    assert not "".join(reading.text[index] for index in missing).strip()
    for page in reading.pages:
        boxes = _known(reading.boxes[page.start : page.end])
        assert (boxes[:, 2] > boxes[:, 0]).all()
        assert (boxes[:, 3] > boxes[:, 1]).all()
        assert (boxes[:, :2] >= -5).all()
        assert (boxes[:, 2] <= page.width + 5).all()


def _known(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return boxes[~np.isnan(boxes[:, 0])]


def test_a_ligature_shares_its_box() -> None:
    reading = read(sample("ligatures"))
    start = reading.text.index("first")
    f, i = reading.boxes[start], reading.boxes[start + 1]
    assert f[2] == pytest.approx(i[0], abs=0.1)
    assert (f[2] - f[0]) == pytest.approx(i[2] - i[0], abs=0.1)


def test_a_word_cut_at_a_line_end_keeps_both_places() -> None:
    reading = read(sample("hyphens"))
    start = reading.text.index("agreement\n")
    first, second = reading.boxes_of(start, start + len("agreement"))
    assert first.x0 > second.x0
    assert first.y1 <= second.y1 - 10


def test_boxes_are_given_for_each_piece_of_a_line() -> None:
    reading = read(sample("headers_and_footers"))
    start = reading.text.index("month without")
    one = reading.boxes_of(start, start + 20)
    assert [box.page for box in one] == [2]
    assert one[0].x0 == pytest.approx(72, abs=1)
    assert one[0].y0 < 792 - 700 < one[0].y1

    text = read(sample("two_columns"))
    start, end = text.text.index("The Supplier"), text.text.index("purchase order")
    boxes = text.boxes_of(start, end)
    assert len(boxes) == 2
    assert boxes[0].y1 < boxes[1].y1
    assert max(box.x1 for box in boxes) < 320


def test_the_words_of_a_page_are_where_their_boxes_are() -> None:
    reading = read(sample("headers_and_footers"))
    page = reading.pages[1]
    words = list(reading.words_on(page))
    assert " ".join(reading.text[w.start : w.end] for w in words) == " ".join(
        reading.text[page.start : page.end].split()
    )
    for word in words:
        (box,) = reading.boxes_of(word.start, word.end)
        assert word[2:] == box[1:]


def test_a_word_cut_at_a_line_end_is_two_words_on_the_page() -> None:
    reading = read(sample("hyphens"))
    start = reading.text.index("agreement\n")
    first, second = [w for w in reading.words_on(reading.pages[0]) if start <= w.start < start + 9]
    assert reading.text[first.start : second.end] == "agreement"
    assert first.end == second.start
    assert first.x0 > second.x0


def test_boxes_span_pages() -> None:
    reading = read(plain(3))
    pages = {box.page for box in reading.boxes_of(0, len(reading.text))}
    assert pages == {1, 2, 3}


def test_the_page_of_an_offset_is_known() -> None:
    reading = read(plain(3))
    for page in reading.pages:
        assert reading.page_at(page.start) == page.number
        assert reading.page_at(page.end - 1) == page.number
    assert reading.page_at(reading.pages[0].end) == 1
    assert reading.page_at(len(reading.text)) == 3
    with pytest.raises(IndexError):
        reading.page_at(len(reading.text) + 1)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", [*GOLDEN, None])
def test_the_layout_blob_is_exact(name: str | None, compress: bool) -> None:
    reading = read(sample(name)) if name else read("plain\r\ntext \U0001f600".encode())
    again = ParsedDocument.from_bytes(reading.to_bytes(compress=compress), reading.text)
    assert np.array_equal(again.boxes, reading.boxes, equal_nan=True)
    for field in ("text", "pages", "failed", "page_count", "furniture", "warnings", "media_type"):
        assert getattr(again, field) == getattr(reading, field)


def test_a_layout_is_read_without_places() -> None:
    for reading in (read(sample("rotated")), read(plain())):
        layout = reading.to_bytes()
        quick = ParsedDocument.from_bytes(layout[:-9], reading.text, positions=False)
        with pytest.raises(UnreadableDocument):
            ParsedDocument.from_bytes(layout[:-9], reading.text)
        assert (quick.pages, quick.failed, quick.text) == (
            reading.pages,
            reading.failed,
            reading.text,
        )
        assert reading.has_boxes
        assert not quick.has_boxes
        with pytest.raises(UnreadableDocument, match="another text"):
            ParsedDocument.from_bytes(layout, reading.text + ".", positions=False)


def test_a_layout_is_refused_for_another_text() -> None:
    reading = read(plain())
    layout = reading.to_bytes()
    with pytest.raises(UnreadableDocument, match="another text"):
        ParsedDocument.from_bytes(layout, reading.text.replace("parties", "Parties"))
    for damaged in (b"", b"SPLB", layout[: len(layout) // 2], b"x" + layout):
        with pytest.raises(UnreadableDocument):
            ParsedDocument.from_bytes(damaged, reading.text)


def test_a_page_is_rendered() -> None:
    image = Image.open(io.BytesIO(render(sample("rotated"), 1, scale=1.5)))
    assert image.size == (1188, 918)
    with pytest.raises(NotFound, match="no page 4"):
        render(sample("rotated"), 4)


@pytest.mark.parametrize("name", ["hyphens", "headers_and_footers", "two_columns", "table"])
def test_the_other_engine_reads_the_same(name: str) -> None:
    reading = read(sample(name), engines=("pypdf",))
    assert {page.method for page in reading.pages} == {"pypdf"}
    assert reading.text.split() == read(sample(name)).text.split()
    page = reading.pages[0]
    ink = np.array(Image.open(io.BytesIO(render(sample(name), 1, scale=1.0)))) < 128
    boxes = _known(reading.boxes[page.start : page.end])
    rows = np.zeros(len(ink), bool)
    for _, y0, _, y1 in boxes:
        rows[round(float(y0)) : round(float(y1)) + 1] = True
    assert rows[ink.any(axis=1)].mean() > 0.95


def test_text_whose_place_is_lost_has_no_boxes() -> None:
    data = samples.drawn_in_a_form()
    reading = read(data, engines=("pypdf",))
    assert reading.text == "The first line of the form\nand its second."
    assert np.isnan(reading.boxes).all()
    assert not np.isnan(read(data).boxes[0]).any()
