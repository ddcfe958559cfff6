"""HTML: what a browser shows, as text."""

from __future__ import annotations

import pytest

from shared.documents import read, sniff
from shared.errors import EmptyDocument, NoTextLayer
from tests.unit.documents.ends import all_cells, named


def html(body: str, head: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode()


def text_of(body: str, head: str = "") -> str:
    return read(html(body, head)).text


def test_blocks_are_paragraphs_and_white_space_is_single() -> None:
    body = """
      <h1>SUPPLY   AGREEMENT</h1>
      <p>This <b>Agree</b><i>ment</i> is
         made&nbsp;&nbsp; by A &amp; B.<br>A second
         line.<div>In a <span>block</span></div>after it"""
    assert text_of(body).split("\n\n") == [
        *("SUPPLY AGREEMENT", "This Agreement is made by A & B.\nA second line."),
        *("In a block", "after it"),
    ]


def test_entities_are_characters() -> None:
    assert text_of("&sect;&#167;&#xA7; &copy; &AMP &lt;b&gt; &#146;&#150; &eacute;&unknown;") == (
        "§§§ © & <b> ’– é&unknown;"
    )


def test_nothing_that_is_not_shown_is_read() -> None:
    body = (
        "seen<script>alert('no')</script><style>p{}</style><!-- no --><noscript>no</noscript>"
        '<p style="display:none">no<b>no</b></p><span hidden>no</span><template>no</template>'
        '<div style="color:red; Visibility: HIDDEN">no</div><svg><text>no</text></svg>'
        "<object>no</object><iframe>no</iframe><input type=hidden value=no>"
        "<textarea>a box</textarea>"
    )
    assert text_of(body, "<title>A title</title><meta name=x content=no>") == "seen\n\na box"
    assert read(html("x", "<title>A  title</title>")).metadata == {"title": "A title"}


def test_a_plain_rule_of_the_style_sheet_hides() -> None:
    sheet = (
        "<style>/* .a{} */ @import 'x'; .gone, #out{display:none} u{visibility:hidden}"
        "@media print{.a{display:none}} .b .c{display:none} .back{display:none}"
        ".back{display:block} p.only{display:none}</style>"
    )
    body = (
        "<p class='x gone'>no</p><p id=out>no</p><u>no</u><p class=a>a</p><p class=c>c</p>"
        "<p class=back>back</p><p class=only>no</p><div class=only>div</div>"
        "<p class=gone style='display:block'>by itself</p>"
    )
    assert text_of(body, sheet) == "a\n\nc\n\nback\n\ndiv\n\nby itself"


def test_inline_xbrl_is_transparent() -> None:
    body = (
        '<div style="display:none"><ix:header><ix:hidden><ix:nonNumeric>no</ix:nonNumeric>'
        "</ix:hidden></ix:header></div><ix:header>no</ix:header>"
        '<p>Revenue was $<ix:nonFraction name="us-gaap:Revenues" scale="6">1,2<b>34</b>'
        "</ix:nonFraction> million<ix:continuation><ix:exclude>.</ix:exclude></ix:continuation>"
        '<ix:nonFraction xsi:nil="true"/> Next'
    )
    assert text_of(body) == "Revenue was $1,234 million. Next"


def test_tables_are_read_row_by_row() -> None:
    body = """<table><caption>In millions</caption>
      <tr><th rowspan=2>Item<th colspan=4>Year</tr><tr><td>2023<td>&nbsp;<td>2022<td></td></tr>
      <tr><td>Sales<td>$<td>1,234<td>&nbsp;<td>(56<td>)</tr>
      <tr><td>Rate<td>5<td>%<td>$<td>%</tr></table>"""
    reading = read(html(body))
    assert reading.text == (
        "In millions\n\nItem\tYear\n2023\t2022\nSales\t$1,234\t(56)\nRate\t5%\t$\t%"
    )
    found = named(reading)
    assert found["A1:A2"] == "Item"
    assert found["B1:E1"] == "Year"
    assert (found["B2"], found["D2"], found["C3"]) == ("2023", "2022", "1,234")


def test_a_table_that_is_a_frame_is_paragraphs() -> None:
    body = """<table><tr><td><p>One</p><p>Two</p>
      <table><tr><td>(a)</td><td><p>first</p><p>more of it</p></td></tr>
      <tr><td>(b)</td><td>second</td></tr></table></td></tr></table>"""
    reading = read(html(body))
    assert reading.text == "One\n\nTwo\n\n(a)\tfirst\nmore of it\n\n(b)\tsecond"
    assert [(c.table, c.address) for c in all_cells(reading)] == [
        *((1, "A1"), (1, "B1"), (1, "A2"), (1, "B2"))
    ]


def test_text_between_rows_stands_before_its_table() -> None:
    assert text_of("<table>stray<tr><td>cell</td></tr></table>after") == "stray\n\ncell\n\nafter"


def test_lists_have_their_numbers() -> None:
    body = """<ol start=3><li>three<li value=7>seven<li>eight<ul><li>dot<li>dot</ul></ol>
      <ol type=a><li>a</ol><ol reversed start=2><li>2<li>1</ol>
      <ol style="list-style-type:upper-roman"><li>I<li><p>para</p><p>more</p></ol>
      <ul style="list-style:none"><li>bare</ul><li>alone"""
    assert text_of(body).split("\n\n") == [
        *("3. three", "7. seven", "8. eight", "• dot", "• dot", "a. a", "2. 2", "1. 1"),
        *("I. I", "II. para", "more", "bare", "• alone"),
    ]


def test_preformatted_text_stays() -> None:
    assert text_of("<p>a</p><pre>Item    Price\nBolt     1.20\n\n\n\nEnd</pre>") == (
        "a\n\nItem    Price\nBolt     1.20\n\nEnd"
    )
    assert text_of('<p style="white-space:pre-wrap">x   y\nz</p>') == "x   y\nz"


def test_several_breaks_are_a_paragraph() -> None:
    assert text_of("One<br><br>Two<BR>\n<br>\n<br>Three") == "One\n\nTwo\n\nThree"


def test_a_raised_figure_is_marked_as_a_note() -> None:
    assert text_of("1,234<sup>1</sup> and 1<sup>st</sup>, price<sup>(2)</sup>") == (
        "1,234[1] and 1st, price(2)"
    )


def test_letters_of_a_symbol_font_are_its_glyphs() -> None:
    body = (
        '<font face="Wingdings">o</font> no <FONT FACE=Wingdings>&#254;</FONT> yes'
        "<span style=\"font-family:'Wingdings 2';color:red\">R</span>"
        '<span style="font:10pt Symbol">b<b>&#183;</b><font face="Arial">o</font></span>'
    )
    assert text_of(body) == "□ no ☑ yes☑β•o"


@pytest.mark.parametrize(
    "style",
    [
        'face="Arial, Symbol"',
        "face='Segoe UI Symbol'",
        'style="font-family: Wingdings 3"',
        'style="font: bold 10pt/1.2 Arial, Wingdings"',
    ],
)
def test_letters_of_other_fonts_stay(style: str) -> None:
    assert text_of(f"<font {style}>to b</font>") == "to b"


def test_boxes_and_fields_are_shown() -> None:
    body = "<input type=checkbox checked> yes <input type=checkbox> no <input value='Acme Ltd.'>"
    assert text_of(body) == "☒ yes ☐ no Acme Ltd."


def test_struck_text_is_text_with_a_warning() -> None:
    reading = read(html("within <del>thirty</del> <ins>forty</ins> <s>working</s> days"))
    assert reading.text == "within thirty forty working days"
    assert reading.warnings == ("2 passages in it are struck through, but part of the text",)


def test_pages_are_those_of_a_printer() -> None:
    page = "<p>Acme, Inc.</p><p>{0} begins here.</p><p>And {1} ends.</p><p>{2}</p>"
    turn = '<hr style="page-break-after:always">'
    words = [
        ("Supply", "it"),
        ("Price", "payment"),
        ("Term", "all of this"),
        ("Law", "every court"),
    ]
    pages = [page.format(*pair, number) for number, pair in enumerate(words, 1)]
    reading = read(html(turn.join(pages)))
    assert reading.page_count == 4
    second = reading.pages[1]
    assert reading.text[second.start : second.end].startswith("Acme, Inc.\n\nPrice begins")
    assert reading.text[second.start : second.end].endswith("payment ends.\n\n2")
    assert reading.without_furniture().startswith(
        "Supply begins here.\n\nAnd it ends.\n\nPrice begins here.\n\nAnd payment ends.\n\nTerm"
    )
    before = (
        '<p>a</p><p style="page-break-before:always">b</p><div style="break-after: page">c</div>d'
    )
    assert [p.start for p in read(html(before)).pages] == [0, 3, 9]


def test_a_sentence_that_goes_on_over_a_page_reads_on() -> None:
    page = "<p>{}</p><p>{}</p>"
    turn = '<p style="page-break-before:always">'
    parts = ["The Buyer shall pay", "the price within", "thirty days. New", "and last."]
    body = turn.join(page.format(part, f"- {n} -") for n, part in enumerate(parts, 1))
    assert (
        read(html(body)).without_furniture().startswith("The Buyer shall pay\nthe price within\n")
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("<html><body>é “q”".encode(), "é “q”"),
        ("<html><meta charset=windows-1252><body>é “q”".encode("cp1252"), "é “q”"),
        ("<html><body>é “q”".encode("cp1252"), "é “q”"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><html><body>é'.encode("latin-1"), "é"),
        ("<html><meta http-equiv=c content='x; charset=Shift_JIS'>契約".encode("sjis"), "契約"),
        ("<html><body>契約 é".encode("utf-16"), "契約 é"),
        ("\ufeff<html><meta charset=latin1><body>é".encode(), "é"),
        (b"<html><meta charset=rot13><body>text", "text"),
        (b"<html><meta charset=unicode_escape><body>a\\u0041", "a\\u0041"),
        (b"<html><body>a\0b\0", "ab"),
    ],
)  # fmt: skip
def test_the_encoding_is_found(data: bytes, expected: str) -> None:
    reading = read(data)
    assert reading.text == expected
    assert reading.warnings == ()


def test_a_wrong_encoding_is_a_warning() -> None:
    reading = read("<html><meta charset=utf-8><body>é ".encode() + b"\x93q\x94")
    assert reading.text == "é “q”"
    assert reading.warnings == ("some of its characters are not in the declared encoding",)


def test_a_filing_of_the_commission_is_read_without_its_header() -> None:
    data = (
        b"<DOCUMENT>\n<TYPE>EX-10.1\n<SEQUENCE>2\n<FILENAME>x.htm\n<TEXT>\n<HTML><BODY>Lease</BODY>"
    )
    assert sniff(data) == "text/html"
    assert read(data).text == "Lease"


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"<!-- c -->\n<!DOCTYPE HTML><p>x", "a.txt", "text/html"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><html xmlns='y'>x", "", "text/html"),
        (b"<HTML>", "", "text/html"),
        (b"<p>Part of a page", "part.HTM", "text/html"),
        (b"<p>Part of a page", "part.txt", "text/plain"),
        (b"<PAGE>\nAGREEMENT", "contract.txt", "text/plain"),
        (b"<?xml version='1.0'?><xbrl/>", "", "text/plain"),
    ],
)
def test_html_is_recognised_by_its_first_element(data: bytes, name: str, expected: str) -> None:
    assert sniff(data, name) == expected


def test_a_document_without_text() -> None:
    for data in (b"<html>", b"<html><head><title>x</title></head><body> &nbsp; </body></html>"):
        with pytest.raises(EmptyDocument):
            read(data)
    with pytest.raises(NoTextLayer, match="pictures"):
        read(b"<html><body><img src=page1.png><img src=page2.png></body></html>")
