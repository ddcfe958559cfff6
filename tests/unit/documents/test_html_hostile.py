"""Hostile HTML is read within limits of memory and time, or refused. It runs and loads nothing."""

from __future__ import annotations

import time

import pytest

from shared.documents import Limits, read
from shared.documents.sandbox import Reader
from shared.errors import DocumentTooLarge

DEEP = 100_000


@pytest.mark.parametrize(
    ("open_tag", "more"),
    [
        *(("<div>", ""), ("<b>", ""), ("<ul><li>", ""), ("<table><tr><td>", ""), ("<sup>", "")),
        *(("<p style='display:none'>", "</p>"), ("<span hidden>", "</span>"), ("<select>", "")),
        *(("<svg>", "</svg>"), ("<ix:header>", "</ix:header>"), ("<pre>", ""), ("<a href=x>", "")),
        ('<p style="page-break-inside:avoid;white-space:pre;display:inline-block">', ""),
    ],
)
def test_nesting_a_hundred_thousand_deep_is_read(open_tag: str, more: str) -> None:
    depth = DEEP // open_tag.count("<")
    data = f"<html><body>before {open_tag * depth}deep{more * depth} after".encode()
    reading = read(data)
    assert reading.text.startswith("before")
    assert ("deep" in reading.text) != bool(more)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p title='" + "x" * 10_000_000 + "'>text", "text"),
        ("<p " + " ".join(f"a{n}=1" for n in range(DEEP)) + ">text", "text"),
        ("<p style='" + "list-style:" * 500_000 + "'>text", "text"),
        ("text<!-- " + "-" * 1_000_000, "text"),
        ("text<script>" + "<" * 1_000_000, "text"),
        ("<style>" + "/*" * 500_000 + "</style>text", "text"),
        ("<style>" + "@" * 500_000 + "{" * 500_000 + "</style>text", "text"),
        ("<style>" + "a," * 500_000 + "{display:none}</style>text", "text"),
        ("<ol start=99999999999999999999 type=i><li value=-7>text", "-7. text"),
        ("<table><tr><td rowspan=99999999 colspan=99999999>text", "text"),
        ("text</div></p></table></body></html></b>" * 3, "text\n\ntext\n\ntext"),
        ("&#0;&#x110000;&#xD800;&#99999999999;text", None),
        ("\u202etext\u2066", "\u202etext\u2066"),
    ],
)
def test_odd_documents_are_read_in_little_time(body: str, expected: str | None) -> None:
    began = time.process_time()
    text = read(f"<html>{body}".encode()).text
    assert time.process_time() - began < 20
    assert text == expected if expected else text.endswith("text")
    text.encode()


def test_a_million_cells_of_a_table_take_bounded_memory() -> None:
    body = b"<html><table>" + b"<tr><td rowspan=1000 colspan=1000>x<td>y" * 3_000
    with Reader(Limits(memory_bytes=700_000_000, seconds=200)) as reader:
        reading = reader.read(body, name="table.html")
    assert reading.text.startswith("x\ty\nx\ty")


def test_limits_hold_while_it_is_read() -> None:
    with pytest.raises(DocumentTooLarge, match="more than 1,000 characters"):
        read(b"<html>" + b"<p>words" * 10_000, limits=Limits(max_plain_text=1_000))
    pages = b"<html>" + b"<p style='page-break-before:always'>x" * 20
    with pytest.raises(DocumentTooLarge, match="21 pages: the limit is 10"):
        read(pages, limits=Limits(max_pages=10))


def test_nothing_is_loaded(tmp_path: object) -> None:
    data = (
        b'<!DOCTYPE html SYSTEM "http://127.0.0.1:9/x.dtd" [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        b'<html><link rel=stylesheet href="http://127.0.0.1:9/s.css"><base href="http://127.0.0.1:9/">'
        b"<body>&x;"
        b'<iframe src="file:///etc/passwd"></iframe><script src="//127.0.0.1:9/s"></script>'
        b"text"
    )
    assert "root:" not in read(data).text
    assert read(data).text.endswith("text")
