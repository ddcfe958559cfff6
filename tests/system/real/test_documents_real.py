"""Every one of the real PDFs reads, and the reading holds together."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from shared.documents import ParsedDocument, read
from tests.support import data_folder

pytestmark = pytest.mark.slow

LABELLED = 0.99
"""The share of labelled spans that the text must hold, letters and digits only."""


@cache
def _reading(path: Path) -> ParsedDocument:
    return read(path.read_bytes(), name=path.name)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _holds_together(reading: ParsedDocument) -> None:
    assert reading.page_count == len(reading.pages) + len(reading.failed)
    numbers = sorted([p.number for p in reading.pages] + [f.number for f in reading.failed])
    assert numbers == list(range(1, reading.page_count + 1))
    assert len(reading.boxes) == len(reading.text)
    assert "\0" not in reading.text
    reading.text.encode()
    missing = np.isnan(reading.boxes).any(axis=1)
    assert not "".join(reading.text[i] for i in np.flatnonzero(missing)).strip()
    ends = [(page.start, page.end) for page in reading.pages]
    assert ends == sorted(ends)
    assert all(a[1] < b[0] for a, b in pairwise(ends))
    for start, end in reading.furniture:
        assert 0 <= start < end <= len(reading.text)
        assert reading.page_at(start) == reading.page_at(end - 1)


def test_every_contract_reads() -> None:
    """Each contract's pages are all in the ledger, each with text, and every character boxed."""
    paths = sorted((data_folder("legal") / "pdf").glob("*.pdf"))
    assert len(paths) >= 100
    for path in paths:
        reading = _reading(path)
        _holds_together(reading)
        assert not reading.failed, path.name
        assert ParsedDocument.from_bytes(reading.to_bytes(), reading.text).pages == reading.pages


def test_the_labelled_spans_are_in_the_text() -> None:
    """The spans that experts marked in the contracts are in the text of their PDFs."""
    folder = data_folder("legal")
    index = {entry["id"]: entry for entry in json.loads((folder / "pdf_index.json").read_text())}
    spans = found = 0
    with gzip.open(folder / "cuad_train.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            contract = json.loads(line)
            if contract["id"] not in index:
                continue
            reading = _reading(folder / index[contract["id"]]["file"])
            texts = [_letters(reading.text), _letters(reading.without_furniture())]
            wanted = [_letters(annotation["text"]) for annotation in contract["annotations"]]
            spans += len(wanted)
            found += sum(any(span in text for text in texts) for span in wanted)
    assert spans > 2000
    assert found >= LABELLED * spans


def test_every_report_reads() -> None:
    """The financial reports, up to hundreds of pages of tables, read as well."""
    paths = sorted((data_folder("finance") / "raw" / "pdf").glob("*.pdf"))
    assert len(paths) >= 30
    for path in paths[::4]:
        _holds_together(read(path.read_bytes(), name=path.name))
