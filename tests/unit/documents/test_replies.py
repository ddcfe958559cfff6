"""Hostile code in the reader's child forges its replies: each ends as an unreadable document."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from shared.documents import Attachment, Limits, Page, PageRead, ParsedDocument, sandbox
from shared.documents.sandbox import Reader
from shared.errors import UnreadableDocument

START = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[2]))
def exactly(length):
    return channel.recv(length, socket.MSG_WAITALL) if length else b""
head = b'{"landlock": 7, "filter": true}'
channel.sendall(len(head).to_bytes(4, "little") + bytes(8) + head)
while True:
    sizes = exactly(12)
    exactly(int.from_bytes(sizes[:4], "little"))
    document = exactly(int.from_bytes(sizes[4:], "little"))
    channel.sendall(document)
"""
"""A child that answers with the bytes of the document."""

LIMITS = Limits(max_pages=5, max_parts=3, seconds=60)
TEXT = "Two words"
DOCUMENT = ParsedDocument(TEXT, (Page(1, 0, 9),))
RECOGNISING = {"page": 1, "recognising": True}


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setattr(sandbox, "_START", START)
    with Reader(LIMITS) as reader:
        yield reader


def message(head: object, body: bytes = b"", head_bytes: int = 0, body_bytes: int = 0) -> bytes:
    """Return a message, with a length that may be a lie."""
    header = head if isinstance(head, bytes) else json.dumps(head).encode()
    sizes = (head_bytes or len(header)).to_bytes(4, "little")
    return sizes + (body_bytes or len(body)).to_bytes(8, "little") + header + body


def document(**changes: Any) -> bytes:
    """Return the message of a document whose layout has these fields."""
    layout = DOCUMENT.to_bytes(compress=False)
    start = len(b"SPLB\x03") + 4
    head = json.loads(layout[start:])
    body = changes.pop("body", b"")
    header = json.dumps(head | changes).encode()
    layout = layout[: start - 4] + len(header).to_bytes(4, "little") + header + body
    return message({"text_bytes": len(TEXT)}, TEXT.encode() + layout)


def page(number: int, **changes: Any) -> bytes:
    read = {"number": number, "pages": 3, **changes}
    return message({"page": number, "page_read": read}, b"A page.")


def test_the_child_that_repeats_is_believed_when_it_is_right(reader: Reader) -> None:
    pages: list[PageRead] = []
    reading = reader.read(page(1) + page(3) + document(), on_page=pages.append)
    assert (reading.text, reading.pages) == (TEXT, DOCUMENT.pages)
    assert [(read.number, read.text) for read in pages] == [(1, "A page."), (3, "A page.")]
    part = {"name": "../../etc/a\nb.txt", "size": 3, "media_type": "text/plain"}
    reply = message({"parts": [part], "total": 1}, b"abc")
    assert list(reader.unpack(reply)) == [Attachment("etc/ab.txt", "text/plain", b"abc")]


@pytest.mark.parametrize(
    "forged",
    [
        message({}, head_bytes=0xFFFFFFFF),
        message({}, body_bytes=1 << 62),
        message({}, body_bytes=1 << 31),
        message(b"{"),
        message(b"[]"),
        message(b"7"),
        message(b"[" * 500_000),
        message(b'{"text_bytes": 1' + b"0" * 5_000 + b"}"),
        message(b"\xff"),
        message({"text_bytes": -1}),
        message({"text_bytes": "many"}),
        message({"command": "obey"}),
        message({"page": -1}),
        message({"page": {}}),
        message({"text_bytes": 5}, b"Hello"),
        message({"text_bytes": 3}, b"\xff\xff\xff"),
        message({"error": "a text"}),
        message({"error": {"code": "x", "message": "m" * 20_000, "document": None}}),
        document(text=[0, ""]),
        document(pages=[[1, 0, 99]]),
        document(pages=[[1, -2, 9]]),
        document(pages=[[1, 5, 9], [2, 0, 4]]),
        document(pages=[["one", 0, 9]]),
        document(pages=[[1e30, 0, 9]]),
        document(pages=[[10**30, 0, 9]]),
        document(pages={"a": 1}),
        document(failed=[[1, 2, 3]]),
        document(furniture=[[0, 99]]),
        document(furniture=[["a", "b"]]),
        document(warnings=[{}]),
        document(warnings=3),
        document(metadata={"title": []}),
        document(media_type="text/x-shellscript"),
        document(media_type=None),
        document(unsound=["all"]),
        document(boxes=1 << 40),
        document(boxes=-1),
        document(cells=1 << 40),
        document(boxes=5, body=b"short"),
        document(deflate=True, body=b"not deflated"),
        document(deflate=True, boxes=150, body=zlib.compress(bytes(50_000_000))),
        page(2) + page(1) + document(),
        page(1) + page(1) + document(),
        page(6) + document(),
        page(1, width="wide") + document(),
        page(1, method=None) + document(),
        message({"page": 1, "page_read": {"number": 1}}) + document(),
    ],
    ids=map(str, count(1)),
)
def test_a_forged_document_is_unreadable(forged: bytes, reader: Reader) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        reader.read(forged, name="forged.pdf", on_page=lambda _page: None)
    assert caught.value.document == "forged.pdf"
    assert reader.read(document()).text == TEXT


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ({"total": 3}, b""),
        ({"total": 1_000_000, "parts": [{"name": "a", "size": 0, "code": "x"}]}, b""),
        ({"total": 0, "parts": [{"name": "a", "size": 0, "code": "x"}]}, b""),
        ({"total": 1, "parts": [{"name": "a", "size": -1, "media_type": "text/plain"}]}, b""),
        ({"total": 1, "parts": [{"name": "a", "size": 9, "media_type": "text/plain"}]}, b"abc"),
        ({"total": 1, "parts": [{"name": "a", "size": 3, "media_type": "a/b"}]}, b"abc"),
        ({"total": 1, "parts": [{"name": 7, "size": 3, "media_type": "text/plain"}]}, b"abc"),
        ({"total": 1, "parts": {"name": "a"}}, b""),
    ],
)
def test_forged_parts_are_unreadable(head: object, body: bytes, reader: Reader) -> None:
    with pytest.raises(UnreadableDocument):
        list(reader.unpack(message(head, body), name="forged.zip"))


@pytest.mark.parametrize(
    "facts",
    [
        b"[]",
        b"{}",
        b'{"contexts": [], "facts": [[1, 0, 0, 0, 0, 0, 0, 0]], "warnings": [], "inline": false}',
        b'{"contexts": [["a", null, null, []]], "facts": [["a", 0, null, null, "1",'
        b' "1e999999999", "", ""]], "warnings": [], "inline": false}',
        b'{"contexts": [["a", 1, 2, []]], "facts": [["a", 0, 0, 0, 0, "x", 0, 0]],'
        b' "warnings": [], "inline": false}',
        b'{"contexts": [["a", 1, 2, []]], "facts": [["a", 0, {}, 0, 0, null, 0, 0]],'
        b' "warnings": [], "inline": false}',
    ],
)
def test_forged_facts_are_unreadable(facts: bytes, reader: Reader) -> None:
    with pytest.raises(UnreadableDocument):
        reader.facts(message({}, facts), name="forged.xml")


@pytest.mark.parametrize("code", ["unavailable", "not_allowed", "internal", ""])
def test_a_forged_error_is_one_of_documents(code: str, reader: Reader) -> None:
    error = {"code": code, "message": "m", "document": None}
    with pytest.raises(UnreadableDocument) as caught:
        reader.read(message({"error": error}))
    assert type(caught.value) is UnreadableDocument


def test_endless_recognition_does_not_prolong_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = START.replace("    channel.sendall", "    while True: channel.sendall")
    monkeypatch.setattr(sandbox, "_START", endless)
    limits = Limits(seconds=1, scan_seconds=0.5, page_seconds=0.5)
    with Reader(limits) as reader, pytest.raises(UnreadableDocument, match="longer than 1 s"):
        reader.read(message(RECOGNISING))
