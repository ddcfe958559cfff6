"""Hostile and damaged DOCX: each ends in a reading whose ledger adds up or in a clear error."""

from __future__ import annotations

import struct
import zipfile

import pytest

from shared.documents import Limits, read, sniff
from shared.documents.office import package_reader
from shared.documents.sandbox import Reader
from shared.errors import DocumentTooLarge, EncryptedDocument, UnreadableDocument, UnsupportedType
from tests.unit.documents.archives import archive, changed, encrypted, with_method
from tests.unit.documents.ends import outcome
from tests.unit.documents.word import (
    FOLDER,
    SPACES,
    docx,
    level,
    lists,
    numbered,
    p,
    r,
    row,
    table,
)

AGREEMENT = (FOLDER / "agreement.docx").read_bytes()
DEEP = 100_000
NAME = "lease.docx"


def body_of(inner: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    whole = f"<w:document {SPACES}><w:body>{inner}</w:body></w:document>"
    return archive({"word/document.xml": whole}, method)


def test_a_document_cut_off_anywhere_is_refused() -> None:
    for length in range(64, len(AGREEMENT) - 1, 37):
        with pytest.raises(UnreadableDocument, match="truncated"):
            read(AGREEMENT[:length], name="cut.docx")


def test_a_wrong_checksum_is_reported() -> None:
    long, short = (
        body_of(body + p("Terms"), zipfile.ZIP_STORED).replace(b"Terms", b"Tears", 1)
        for body in (p("word") * 9_999, "")
    )
    reading = read(long)
    assert 5_000 < len(reading.text.split()) < 10_000
    assert [(f.number, f.code) for f in reading.failed] == [(2, "unreadable_page")]
    assert "CRC" in reading.failed[0].reason
    with pytest.raises(UnreadableDocument, match="CRC"):
        read(short)


def test_a_body_that_breaks_off_is_read_so_far() -> None:
    data = docx(p("First") + p("Second") + "<w:p><w:r><w:t>Third")
    reading = read(data)
    assert reading.text == "First\n\nSecond"
    assert reading.page_count == 2
    assert "nothing after this point" in reading.failed[0].reason


@pytest.mark.parametrize("kind", ["numbering", "styles", "footnotes", "settings", "comments"])
@pytest.mark.parametrize("part", [b"<w:x", b"", b"\0" * 50])
def test_a_damaged_part_costs_a_warning(kind: str, part: bytes) -> None:
    reading = read(changed(docx(numbered("Term"), {kind: ""}), f"word/{kind}.xml", part))
    assert reading.text == "Term"
    assert any(kind in warning or "list" in warning for warning in reading.warnings)


def test_missing_parts_are_no_trouble() -> None:
    assert read(body_of(p("Term"))).text == "Term"
    lost = changed(docx(p("Term")), "word/document.xml", None)
    assert sniff(lost) == "application/zip"
    elsewhere = changed(lost, "word/document2.xml", b"")
    with pytest.raises(UnreadableDocument, match="can't be read: its XML"):
        read(elsewhere)


def test_a_relationship_that_leads_out_is_not_followed() -> None:
    related = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="header" Type="x/header" Target="../../../../etc/passwd"/>'
        '<Relationship Id="b" Type="x/styles" TargetMode="External" Target="http://127.0.0.1/x"/>'
        "</Relationships>"
    )
    section = '<w:sectPr><w:headerReference w:type="default" r:id="header"/></w:sectPr>'
    data = changed(docx(p("Term") + section), "word/_rels/document.xml.rels", related.encode())
    assert read(data).text == "Term"


@pytest.mark.parametrize(
    "open_tags",
    [
        "<w:p>",
        "<w:tbl><w:tr><w:tc>",
        "<w:sdt><w:sdtContent>",
        "<w:p><w:r><w:txbxContent>",
        "<w:ins>",
    ],
)
def test_nesting_a_hundred_thousand_deep_ends(open_tags: str) -> None:
    count = DEEP // open_tags.count("<")
    data = docx(p("Before") + open_tags * count)
    reading = read(data)
    assert reading.text == "Before"
    assert "more than 400 levels deep" in reading.failed[0].reason


@pytest.mark.parametrize("depth", [30, 60, 90])
def test_nesting_that_programs_write_is_read(depth: int) -> None:
    inner = p("inmost")
    for _ in range(depth):
        inner = table(row(f"<w:tc>{inner}<w:p/></w:tc>"))
    assert read(docx(inner)).text == "inmost"
    boxes = p("inmost")
    for _ in range(depth // 2):
        boxes = p(f"<w:r><w:pict><w:txbxContent>{boxes}</w:txbxContent></w:pict></w:r>")
    assert read(docx(p("x") + boxes)).text.endswith("inmost")


def test_a_bomb_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_reader, "MOST_UNPACKED", 300_000)
    bomb = docx(p("Before") + "<w:p/>" * 1_000_000)
    assert len(bomb) < 30_000
    with pytest.raises(DocumentTooLarge, match="unpacks to more than 300,000 bytes"):
        read(bomb)
    notes = docx(p("Term"), {"footnotes": "<w:x/>" * 1_000_000})
    with pytest.raises(DocumentTooLarge):
        read(notes)


def test_a_bomb_of_one_text_ends_within_bounds() -> None:
    bomb = docx(p("x" * 20_000_000))
    assert len(bomb) < 30_000
    limits = Limits(memory_bytes=600_000_000, seconds=200, max_plain_text=10_000_000)
    with (
        Reader(limits) as reader,
        pytest.raises(DocumentTooLarge, match="more than 10,000,000 characters"),
    ):
        reader.read(bomb, name="bomb.docx")


def test_circles_end() -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="A"><w:basedOn w:val="B"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="B"><w:basedOn w:val="A"/><w:pPr><w:numPr>'
        '<w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
        '<w:style w:type="numbering" w:styleId="L"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr>'
        "</w:pPr></w:style>"
    )
    numbering = lists('<w:numStyleLink w:val="L"/>', level(0, "%1."))
    body = p("Term", '<w:pStyle w:val="A"/>')
    assert read(docx(body, {"styles": styles, "numbering": numbering})).text == "1. Term"


def test_a_note_that_refers_to_itself_ends() -> None:
    to = '<w:r><w:footnoteReference w:id="1"/></w:r>'
    notes = f'<w:footnote w:id="1">{p(r("note") + to)}</w:footnote>'
    reading = read(docx(p(r("a") + to + to), {"footnotes": notes}))
    assert reading.text == "a[1][2]\n\n[1] note"


@pytest.mark.parametrize(
    "numbering",
    [
        lists(level(0, "%1.", start=2_000_000_000)),
        lists(level(0, "%1.", "upperRoman", start=999_999_999)),
        lists(level(0, "%9%8%7.", "lowerLetter", start=-5)),
        lists('<w:lvl w:ilvl="99999999999"/><w:lvl/>'),
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>',
        "<w:num/><w:abstractNum/>",
    ],
)
def test_odd_lists_are_read(numbering: str) -> None:
    reading = read(docx(numbered("Term", 3) + numbered("End", -4), {"numbering": numbering}))
    assert reading.text.endswith("End")
    assert len(reading.text) < 100


def test_odd_values_are_read() -> None:
    body = (
        p('<w:r><w:sym w:char="XYZ"/><w:sym w:char="FFFFFFFF"/><w:sym/><w:t>a</w:t></w:r>')
        + p("b", '<w:numPr><w:ilvl w:val="x"/><w:numId/></w:numPr>')
        + table(row('<w:tc><w:tcPr><w:gridSpan w:val="-9"/></w:tcPr><w:p/></w:tc>', "c"))
        + '<w:p><w:r><w:footnoteReference/><w:fldChar/><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    )
    assert read(docx(body)).text == "a\n\nb\n\nc\n\n[1]"


def test_a_huge_attribute_is_read_over() -> None:
    assert read(docx(f'<w:p w:rsid="{"x" * 10_000_000}">{r("Term")}</w:p>')).text == "Term"


def test_an_archive_with_a_password_says_so() -> None:
    with pytest.raises(EncryptedDocument, match="save it without"):
        read(encrypted(docx(p("Term"))), name="lease.docx")


def test_an_unknown_compression_is_refused() -> None:
    assert outcome(with_method(docx(p("Term")), 77), NAME) == "refused"


def test_a_directory_that_lies_is_refused() -> None:
    data = docx(p("Term"))
    end = data.rindex(b"PK\5\6")
    for at, form, lie in (
        *((8, "<H", 65_535), (10, "<H", 65_535), (12, "<L", 0xFFFFFFFF), (16, "<L", 0xFFFFFFFF)),
        *((10, "<H", 0), (12, "<L", 7), (16, "<L", 3), (20, "<H", 9)),
    ):
        lying = bytearray(data)
        struct.pack_into(form, lying, end + at, lie)
        assert outcome(bytes(lying), NAME) in ("read", "refused")


def test_a_million_entries_are_not_looked_at() -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *(0,) * 9, 1, *(0,) * 6) + b"a"
    many = b"PK\3\4" + entry * 1_000_000
    many += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65_535, 65_535, len(entry) * 1_000_000, 4, 0)
    assert sniff(many, "many.docx") == "application/zip"


@pytest.mark.parametrize(
    ("stream", "error", "says"),
    [
        ("WordDocument", UnsupportedType, "Word 97 to 2003.*save it as DOCX"),
        ("EncryptedPackage", EncryptedDocument, "encrypted Office file.*save it without one"),
        ("Workbook", UnsupportedType, "old Office document"),
    ],
)
def test_old_and_encrypted_office_files_are_named(
    stream: str, error: type[Exception], says: str
) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + stream.encode("utf-16-le")
    with pytest.raises(error, match=says):
        read(data, name="lease.doc")
