"""Types are detected from content, and names become safe labels."""

from __future__ import annotations

import pytest

from shared.documents import read, safe_name, sniff
from shared.documents.model.formats import FORMAT_NAMES, FORMATS
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
        (b"caf\xe9", "byte 3 is 0xe9"),
        (b"\xff\xfet\0e\0x\0t\0", "UTF-16"),
        (b"a\0b", "NUL at byte 1"),
        (b"\xed\xa0\x80 lone surrogate", "not UTF-8"),
    ],
)
def test_a_text_that_is_not_utf_8_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableDocument, match=says):
        read(data, name="contract.txt")


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
