"""ODT: what a word processor shows, and how damaged and hostile ones end."""

from __future__ import annotations

import pytest

from shared.documents import Limits, read
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    NoTextLayer,
    UnreadableDocument,
)
from tests.unit.documents.archives import archive, changed
from tests.unit.documents.ends import named, outcome, shown
from tests.unit.documents.word import FOLDER

AGREEMENT = (FOLDER / "agreement.odt").read_bytes()
ODT = "application/vnd.oasis.opendocument.text"
DEEP = 100_000
_KINDS = (
    *(("office", "office"), ("text", "text"), ("table", "table"), ("style", "style")),
    *(("draw", "drawing"), ("fo", "xsl-fo-compatible"), ("manifest", "manifest")),
)
SPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for prefix, name in _KINDS
)
LEVELS = "".join(
    f'<text:list-level-style-number text:level="{n}" style:num-format="{shown}" {more}/>'
    for n, (shown, more) in enumerate(
        [
            ("1", 'style:num-suffix="."'),
            ("1", 'text:display-levels="2"'),
            ("a", 'style:num-prefix="(" style:num-suffix=")"'),
        ],
        1,
    )
)
LISTS = f'<text:list-style style:name="L">{LEVELS}</text:list-style>'


def content(body: str, styles: str = "") -> bytes:
    return (
        f"<office:document-content {SPACES}><office:automatic-styles>{styles}"
        f"</office:automatic-styles><office:body><office:text>{body}"
        "</office:text></office:body></office:document-content>"
    ).encode()


def document(body: str, automatic: str = "", **parts: str) -> bytes:
    """Return an ODT with this body, these automatic styles, and further parts by name."""
    files = {"mimetype": ODT.encode(), "content.xml": content(body, automatic)}
    for name, inner in parts.items():
        files[f"{name}.xml"] = f"<office:x {SPACES}>{inner}</office:x>".encode()
    return archive(files)


def p(text: str, style: str = "") -> str:
    return f'<text:p text:style-name="{style}">{text}</text:p>'


def items(*texts: str, more: str = "") -> str:
    inner = "".join(f"<text:list-item>{p(text)}</text:list-item>" for text in texts)
    return f'<text:list text:style-name="L" {more}>{inner}</text:list>'


def text_of(body: str, styles: str = "") -> str:
    return read(document(body, styles)).text


def test_lists_count() -> None:
    nested = (
        '<text:list text:style-name="L"><text:list-item>'
        f"{p('one')}<text:list><text:list-item>{p('two')}<text:list><text:list-item>{p('three')}"
        f"</text:list-item></text:list></text:list-item><text:list-item>{p('four')}"
        f"</text:list-item></text:list></text:list-item><text:list-header>{p('head')}"
        f'</text:list-header><text:list-item text:start-value="7">{p("seven")}{p("more")}'
        "</text:list-item></text:list>"
    )
    assert text_of(nested, LISTS).split("\n\n") == [
        *("1. one", "1.1 two", "(a) three", "1.2 four", "head", "7. seven", "more")
    ]
    first = items("a", "b", more='xml:id="x"')
    again = items("c") + items("d", more='text:continue-numbering="true"')
    last = items("e", more='text:continue-list="x"')
    assert text_of(first + again + last, LISTS).split("\n\n") == [
        *("1. a", "2. b", "1. c", "2. d", "3. e")
    ]


def test_headings_have_the_numbers_of_the_outline() -> None:
    outline = (
        '<text:outline-style><text:outline-level-style text:level="1" style:num-format="I"/>'
        '<text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/>'
        '</text:outline-style><style:style style:name="No" style:family="paragraph" '
        'style:list-style-name=""/>'
    )
    body = "".join(
        f'<text:h text:outline-level="{level}" {more}>{text}</text:h>'
        for level, text, more in [
            *((1, "A", ""), (2, "B", ""), (1, "C", 'text:style-name="No"'), (1, "D", "")),
            (1, "E", 'text:is-list-header="true"'),
        ]
    )
    assert read(document(body, styles=outline)).text == "I A\n\nI.1 B\n\nC\n\nII D\n\nE"


def test_white_space_is_that_of_the_format() -> None:
    body = p(
        '  a\n  b<text:s text:c="3"/>c <text:span> d</text:span><text:tab/>e<text:line-break/>f'
    )
    assert text_of(body) == "a b   c d\te\nf"


def test_hidden_text_is_left_out() -> None:
    styles = "".join(
        f'<style:style style:name="{name}" style:family="{family}" {more}>'
        '<style:text-properties text:display="none"/></style:style>'
        for name, family, more in [("T", "text", ""), ("P", "paragraph", "")]
    )
    styles += '<style:style style:name="C" style:family="text" style:parent-style-name="T"/>'
    body = (
        p('seen<text:span text:style-name="C">no</text:span>')
        + p("no", "P")
        + f'<text:section text:display="none">{p("no")}</text:section>'
        + p('<text:conditional-text text:is-hidden="true">no</text:conditional-text>end')
    )
    reading = read(document(body, styles))
    assert reading.text == "seen\n\nend"
    assert reading.warnings == ("hidden text in it (6 characters): left out",)


def test_pages_begin_where_styles_and_the_last_layout_say() -> None:
    automatic = "".join(
        f'<style:style style:name="{name}" style:family="paragraph" {master}>'
        f"<style:paragraph-properties {more}/></style:style>"
        for name, master, more in [
            ("B", "", 'fo:break-before="page"'),
            ("A", "", 'fo:break-after="page"'),
            ("M", 'style:master-page-name="Other"', ""),
        ]
    )
    masters = (
        '<style:master-page style:name="First"><style:header><text:p>Top</text:p></style:header>'
        '</style:master-page><style:master-page style:name="Other"><style:footer><text:p>Foot'
        "</text:p></style:footer></style:master-page>"
    )
    body = p("one", "A") + p("two<text:soft-page-break/> three") + p("four", "B") + p("five", "M")
    reading = read(document(body, automatic, styles=masters))
    assert shown(reading) == ["Top\n\none", "two", " three", "four", "five\n\nFoot"]
    assert [reading.text[a:b].strip() for a, b in reading.furniture] == ["Top", "Foot"]


def test_tables_notes_and_boxes() -> None:
    body = (
        "<table:table><table:table-header-rows><table:table-row>"
        f'<table:table-cell table:number-columns-spanned="2">{p("wide")}</table:table-cell>'
        "<table:covered-table-cell/></table:table-row></table:table-header-rows><table:table-row>"
        f'<table:table-cell table:number-columns-repeated="3"/><table:table-cell>{p("d")}'
        "</table:table-cell></table:table-row></table:table>"
        + p(
            'x<text:note text:note-class="footnote"><text:note-citation>*</text:note-citation>'
            "<text:note-body><text:p>star</text:p></text:note-body></text:note>"
            f"<draw:frame><draw:text-box>{p('boxed')}</draw:text-box></draw:frame>"
            f"<draw:custom-shape>{p('shape')}</draw:custom-shape>"
        )
    )
    reading = read(document(body))
    assert reading.text == "wide\nd\n\nx[*]\n\nboxed\n\nshape\n\n[*] star"
    assert list(named(reading)) == ["A1:B1", "D2"]


def test_an_encrypted_document_says_so() -> None:
    entry = (
        '<manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/>'
        "</manifest:file-entry>"
    )
    manifest = f"<manifest:manifest {SPACES}>{entry}</manifest:manifest>".encode()
    data = changed(document(p("x")), "content.xml", b"\x93\x12garbage")
    with pytest.raises(EncryptedDocument, match="save it without one"):
        read(changed(data, "META-INF/manifest.xml", manifest), name="secret.odt")


@pytest.mark.parametrize(
    "open_tags",
    [
        "<text:p>", "<text:section>", "<text:list><text:list-item>", "<text:p><text:span>",
        "<table:table><table:table-row><table:table-cell>", "<text:p><draw:text-box>",
    ],
)  # fmt: skip
def test_nesting_a_hundred_thousand_deep_ends(open_tags: str) -> None:
    data = document(p("Before") + open_tags * (DEEP // open_tags.count("<")))
    reading = read(data)
    assert reading.text == "Before"
    assert "more than 400 levels deep" in reading.failed[0].reason


def test_circles_and_odd_values_end() -> None:
    styles = (
        '<style:style style:name="A" style:family="paragraph" style:parent-style-name="B"/>'
        '<style:style style:name="B" style:family="paragraph" style:parent-style-name="A"/>'
    )
    body = (
        p("a", "A")
        + items("b", more='xml:id="x" text:continue-list="x"')
        + '<text:h text:outline-level="99999999999">c</text:h>'
        + "<table:table><table:table-row table:number-rows-repeated='999999999'><table:table-cell "
        "table:number-columns-repeated='999999999' table:number-columns-spanned='-4'>"
        f"{p('d')}</table:table-cell></table:table-row></table:table>"
        + p('<text:s text:c="999999999"/>e')
    )
    assert text_of(body, styles + LISTS) == "a\n\n1. b\n\nc\n\nd\n\ne"


def test_a_part_that_is_missing_or_damaged() -> None:
    for name in ("styles.xml", "meta.xml", "META-INF/manifest.xml", "settings.xml"):
        assert outcome(changed(AGREEMENT, name, None), "less.odt") == "read"
        assert outcome(changed(AGREEMENT, name, b"<x"), "less.odt") == "read"
    with pytest.raises(UnreadableDocument, match=r"content\.xml is missing"):
        read(changed(AGREEMENT, "content.xml", None))


def test_a_body_that_breaks_off_is_read_so_far() -> None:
    whole = content(p("First") + p("Second"))
    data = changed(document(""), "content.xml", whole[: whole.index(b"Second")])
    reading = read(data)
    assert reading.text == "First"
    assert reading.failed[0].code == "unreadable_page"


def test_a_repacked_archive_is_recognised() -> None:
    assert (
        read(archive({"content.xml": content(p("Term")), "mimetype": ODT.encode()})).text == "Term"
    )


def test_limits_and_empty_documents() -> None:
    with pytest.raises(DocumentTooLarge, match="more than 99 characters"):
        read(document(p("words " * 50)), limits=Limits(max_plain_text=99))
    with pytest.raises(EmptyDocument):
        read(document(p("")))
    with pytest.raises(NoTextLayer, match="picture 1 in it not read"):
        read(document(p("<draw:frame><draw:image/></draw:frame>")))
