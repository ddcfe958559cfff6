"""Entities in the XML of any format are refused: they multiply, or name files and addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.documents import read
from shared.errors import UnreadableDocument
from tests.unit.documents.archives import changed
from tests.unit.documents.books import book, row, shared, sheet
from tests.unit.documents.test_odt import content, document
from tests.unit.documents.test_xbrl import INSTANCE
from tests.unit.documents.word import docx, p


def workbook(part: str) -> Callable[[bytes], bytes]:
    def with_part(declaration: bytes) -> bytes:
        body = declaration + b"<worksheet><row><c><v>&c;</v></c></row></worksheet>"
        return book(sheet(row(1, shared("A1", 0))), others={part: body})

    return with_part


CARRIERS: dict[str, Callable[[bytes], bytes]] = {
    "docx": lambda head: changed(docx(p("x")), "word/document.xml", head + b"<w>&c;</w>"),
    "odt": lambda head: changed(document(""), "content.xml", head + content("&c;")),
    "xbrl": lambda head: INSTANCE.replace(b"<xbrli:xbrl", head + b"<xbrli:xbrl", 1),
    "sheet": workbook("xl/worksheets/sheet1.xml"),
    "book": workbook("xl/workbook.xml"),
    "strings": workbook("xl/sharedStrings.xml"),
}


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS)
@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>',
        '<!DOCTYPE w [<!ENTITY c SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE w SYSTEM "http://127.0.0.1:9/w.dtd">',
        '<!DOCTYPE w [<!ENTITY % c SYSTEM "http://127.0.0.1:9/w.dtd"> %c;]>',
    ],
)
def test_entities_are_refused(carrier: Callable[[bytes], bytes], declaration: str) -> None:
    with pytest.raises(UnreadableDocument, match="declares a document type or entities"):
        read(carrier(declaration.encode()))
