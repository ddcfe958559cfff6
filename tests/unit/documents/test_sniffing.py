"""Types are detected from content, and names become safe labels."""

from __future__ import annotations

import codecs
import random
import tracemalloc

import pytest

from shared.documents import read, safe_name, sniff
from shared.documents.model.formats import CSV, FORMAT_NAMES, FORMATS, JSON, NDJSON, TEXT
from shared.documents.sniffing import name_warning
from shared.errors import EmptyDocument, UnreadableDocument, UnsupportedType
from tests.support import ROOT
from tests.unit.documents.archives import archive
from tests.unit.documents.samples import plain


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (plain(), "contract.txt", "application/pdf"),
        (b"\n\n" + plain(), "", "application/pdf"),
        (b"This Agreement", "contract.pdf", "text/plain"),
        (b'{"id": "x"}', "filing.pdf", "application/json"),
        (b' [{"id": 1},\n {"id": 2}]', "", "application/json"),
        (b'{"id": 1}\n{"id": 2}\n\n', "", "application/x-ndjson"),
        (b'{"id": 1}\nnot json\n{"id": 2}\n', "", "application/x-ndjson"),
        (b'\n {"id": 1}\r\n{"id": ', "f.txt", "application/x-ndjson"),
        (b'not json\n{"id": 2}\n', "filings.JSONL", "application/x-ndjson"),
        (b"not json\n", "filings.ndjson", "application/x-ndjson"),
        (b'{"id": 1}', "filings.jsonl", "application/json"),
        (plain(), "contract.jsonl", "application/pdf"),
        (b"[1]\n[2]\n", "", "application/x-ndjson"),
        (b"[" + b"{}," * 400_000 + b"{}]", "", "application/json"),
        (b'{"a":\n"' + b"x" * 1_100_000 + b'"}\n', "", "application/json"),
        (b'{"id": 1}\n' * 120_000, "", "application/x-ndjson"),
        (b"[1]\n" * 300_000, "", "application/x-ndjson"),
        (b'{"id": %s}' % (b"9" * 5000), "", "application/json"),
        (b"[1] This Agreement\n[2] is made\n", "", "text/plain"),
        (b"{not json, but a text}", "", "text/plain"),
        (b"[" * 200_000, "", "text/plain"),
        (b"label,2023,2022\nCash,12,11\nDebt,5,6\n", "", "text/csv"),
        (b"label;2023\nCash;12\n", "a.csv", "text/csv"),
        (b"Dear Sir, or Madam\nHello, there\n", "", "text/plain"),
        ("\ufeffDas Übereinkommen".encode(), "", "text/plain"),
        (b"# Lease\n\n1. *Term*", "lease.MD", "text/markdown"),
        (b"# Lease\n\n1. *Term*", "lease.txt", "text/plain"),
        (b'{"id": 1}', "filing.md", "application/json"),
    ],
)
def test_the_type_is_recognised_by_content(data: bytes, name: str, expected: str) -> None:
    assert sniff(data, name) == expected


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (archive({"[Content_Types].xml": b"x", "ppt/presentation.xml": b"x"}), "Office"),
        (b"GIF89a", "GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIF.*save it as JPEG"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Office"),
        (b"\x7fELF\x02", "program"),
    ],
)
def test_other_types_are_named(data: bytes, says: str) -> None:
    with pytest.raises(UnsupportedType, match=says) as caught:
        read(data, name="contract.pdf")
    assert caught.value.document == "contract.pdf"
    assert caught.value.message.endswith(FORMAT_NAMES)


def test_every_format_is_documented() -> None:
    rows = (ROOT / "docs/reference/formats.md").read_text("utf-8")
    assert [one.name for one in FORMATS if one.name not in rows] == []


@pytest.mark.parametrize("data", [b"", b" \r\n\t\n"])
def test_an_empty_document_is_refused(data: bytes) -> None:
    with pytest.raises(EmptyDocument):
        read(data, name="empty.txt")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xfet\0e\0x\0t", "UTF-16"),
        (b"a\0b", "NUL at character 2"),
        (b"\x01\x02\x03\x04", "4 of 4 characters are control characters"),
        (random.Random(1).randbytes(2_000).replace(b"\0", b""), "control characters"),
    ],
)
def test_bytes_that_are_no_text_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableDocument, match=says):
        read(data, name="contract.txt")


QUOTED = "The “Buyer” pays €5 – at once.\r\n"


@pytest.mark.parametrize(
    ("data", "text", "warnings"),
    [
        (QUOTED.encode("cp1252"), QUOTED, 1),
        (QUOTED.encode() + b"\xe2\x80", QUOTED + "â€", 1),
        (codecs.BOM_UTF16_LE + QUOTED.encode("utf-16-le"), "\ufeff" + QUOTED, 0),
        (codecs.BOM_UTF16_BE + QUOTED.encode("utf-16-be"), "\ufeff" + QUOTED, 0),
    ],
    ids=["Windows-1252", "cut off", "UTF-16", "big-endian UTF-16"],
)
def test_a_text_in_another_encoding_is_read(data: bytes, text: str, warnings: int) -> None:
    reading = read(data, name="contract.txt")
    assert (reading.text, len(reading.warnings)) == (text, warnings)
    rendered = read(data, name="contract.md")
    assert rendered.text.split() == text.lstrip("\ufeff").split()
    assert len(rendered.warnings) == warnings


@pytest.mark.parametrize(
    ("name", "data", "disagrees"),
    [
        ("lease.pdf", b"This lease", True),
        ("lease.PDF", plain(), False),
        ("lease.txt", plain(), True),
        ("lease.docx", b"<html><p>not found</p></html>", True),
        ("scan.jpg", b"\x89PNG\r\n", False),
        ("page.txt", b"<html><p>a page</p></html>", False),
        ("lease", b"This lease", False),
        ("lease.final", b"This lease", False),
    ],
)
def test_a_name_that_disagrees_with_the_content_gives_a_warning(
    name: str, data: bytes, disagrees: bool
) -> None:
    warning = name_warning(sniff(data, name), name)
    assert (warning is not None) == disagrees


@pytest.mark.parametrize(
    "text",
    ["plain", "a\r\nb\rc\n", "\ufeffwith mark", "tab\tform\f feed  \n\n\n", "\U0001f600 é e\u0301"],
)
def test_a_text_stays_as_it_is(text: str) -> None:
    reading = read(text.encode())
    assert reading.text == text
    assert [(p.number, p.start, p.end) for p in reading.pages] == [(1, 0, len(text))]
    assert len(reading.boxes) == len(text)
    assert reading.boxes_of(0, len(text)) == []
    assert reading.furniture == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("contract.pdf", "contract.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\lease.pdf", "lease.pdf"),
        ("..", "document"),
        ("", "document"),
        ("a\0b\n\x1b[31mc.pdf", "ab[31mc.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("con.txt", "_con.txt"),
        ('a<b>:"c|?*.pdf', "a_b___c___.pdf"),
        ("  spaces \t here  .pdf. ", "spaces here .pdf"),
        ("Vertrag Übergabe – 契約.pdf", "Vertrag Übergabe – 契約.pdf"),
        ("bad\ud800.pdf", "bad_.pdf"),
    ],
)
def test_a_name_is_only_a_label(name: str, expected: str) -> None:
    assert safe_name(name) == expected


def test_a_long_name_keeps_its_suffix() -> None:
    assert safe_name("x" * 1000 + ".pdf") == "x" * 196 + ".pdf"


@pytest.mark.parametrize("unit", [b'"', b"\xe4", b"[", b"a,"])
def test_detection_of_a_long_text_needs_little_memory(unit: bytes) -> None:
    data = unit * (8_000_000 // len(unit))
    tracemalloc.start()
    sniff(data, "table.csv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(data)


@pytest.mark.parametrize(
    ("start", "line", "end", "media_type"),
    [
        (b"[", b'{"sum": 1},\n', b'{"sum": 2}]', JSON),
        (b"", b'{"sum": 1}\n', b'{"sum"', NDJSON),
        (b"", b'"a, ""b""",2,3\n', b"", CSV),
        (b"", "Änderung und Kündigung\n".encode(), b"", TEXT),
        (b"", "Änderung und Kündigung\n".encode("cp1252"), b"", TEXT),
        (b"\xff\xfe", "Änderung 🖋\n".encode("utf-16-le"), b"", TEXT),
    ],
)
def test_long_texts_have_the_type_of_short_ones(
    start: bytes, line: bytes, end: bytes, media_type: str
) -> None:
    for times in (10, 300_000):
        assert sniff(start + line * times + end) == media_type
