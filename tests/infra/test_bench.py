"""What the benches measure with is what it says."""

from __future__ import annotations

from infra.bench.legal import made_text
from infra.bench.pages import LINES, pdf_of
from shared.documents import read


def test_a_made_pdf_reads_as_its_text() -> None:
    """Word for word, over as many pages as its lines take, signs of the format included."""
    text = made_text(3000) + "\n\nA (very) odd \\ line."
    reading = read(pdf_of(text))
    assert reading.text.split() == text.split()
    assert reading.page_count == len(reading.pages) > 2
    assert not reading.failed
    assert read(pdf_of("one\n" * (LINES - 1))).page_count == 1
    assert read(pdf_of("one\n" * LINES)).page_count == 2
