"""DOCX: what Word shows, in its order, with what it leaves out named."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shared.documents import Limits, read, sniff
from shared.errors import DocumentTooLarge, EmptyDocument, NoTextLayer
from tests.unit.documents.archives import changed
from tests.unit.documents.ends import all_cells, named, shown
from tests.unit.documents.word import (
    FOLDER,
    cell,
    docx,
    field,
    level,
    lists,
    numbered,
    p,
    r,
    row,
    table,
)

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
LEGAL = lists(
    level(0, "%1."),
    level(1, "%1.%2"),
    level(2, "(%3)", "lowerLetter"),
    level(3, "(%4)", "lowerRoman"),
)


def text_of(body: str, **parts: str) -> str:
    return read(docx(body, parts)).text


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("docx", DOCX),
        ("odt", "application/vnd.oasis.opendocument.text"),
        ("rtf", "application/rtf"),
    ],
)
def test_an_agreement_of_another_program_reads_as_expected(kind: str, media_type: str) -> None:
    data = (FOLDER / f"agreement.{kind}").read_bytes()
    reading = read(data, name=f"agreement.{kind}")
    assert reading.text == (FOLDER / "agreement.docx.txt").read_bytes().decode()
    assert reading.media_type == sniff(data, "a.zip") == media_type
    assert [page.start for page in reading.pages] == [0, reading.text.index("The following")]
    assert [reading.text[a:b] for a, b in reading.furniture] == [
        "Execution Copy – Supply Agreement\n\n",
        "\n\nPage 2",
    ]
    assert reading.warnings == (
        "it has tracked changes (1 insertion, 1 deletion): read as if all were accepted",
        "1 comment in it: not part of the text",
        "hidden text in it (14 characters): left out",
    )
    assert reading.metadata["title"] == "Supply Agreement"
    cells = named(reading)
    assert cells["B2"] == "100 pieces"
    assert cells["A3:B3"] == "Freight, each order"
    assert not reading.has_boxes


def test_list_numbers_are_those_that_another_program_counts() -> None:
    ours = read((FOLDER / "lists.docx").read_bytes()).text.split("\n\n")
    theirs = (FOLDER / "lists.txt").read_text("utf-8-sig").splitlines()
    assert len(theirs) == 60
    assert ours == [line.strip() for line in theirs]


def test_numbers_of_several_levels() -> None:
    body = "".join(
        numbered(text, at) for text, at in zip("ABCDEFGH", (0, 1, 2, 3, 2, 1, 2, 0), strict=True)
    )
    assert text_of(body, numbering=LEGAL).split("\n\n") == [
        *("1. A", "1.1 B", "(a) C", "(i) D", "(b) E", "1.2 F", "(a) G", "2. H")
    ]


@pytest.mark.parametrize(
    ("number_format", "expected"),
    [
        ("upperLetter", "AA. AB."),
        ("lowerRoman", "xxvii. xxviii."),
        ("ordinal", "27th. 28th."),
        ("ordinalText", "Twenty-seventh. Twenty-eighth."),
        ("cardinalText", "Twenty-seven. Twenty-eight."),
        ("decimalZero", "27. 28."),
        ("chicago", "‡‡‡‡‡‡‡. §§§§§§§."),
        ("unheard-of", "27. 28."),
    ],
)
def test_number_formats(number_format: str, expected: str) -> None:
    one = lists(level(0, "%1.", number_format, start=27))
    result = text_of(numbered("") + numbered(""), numbering=one)
    assert result.split() == expected.replace("AB", "BB").split()


def test_legal_numbering_has_figures_only() -> None:
    parts = lists(
        level(0, "Article %1", "upperRoman", start=4), level(1, "%1.%2", more="<w:isLgl/>")
    )
    assert text_of(numbered("Term") + numbered("Start", 1), numbering=parts) == (
        "Article IV Term\n\n4.1 Start"
    )


def test_a_level_that_goes_on_counting() -> None:
    parts = lists(level(0, "Article %1"), level(1, "Section %2", more='<w:lvlRestart w:val="0"/>'))
    body = numbered("A") + numbered("B", 1) + numbered("C") + numbered("D", 1)
    assert text_of(body, numbering=parts).split("\n\n")[3] == "Section 2 D"


def test_a_restarted_list_begins_once() -> None:
    more = (
        '<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0">'
        '<w:startOverride w:val="1"/></w:lvlOverride></w:num>'
    )
    parts = lists(level(0, "%1."), more=more)
    body = numbered("A") + numbered("B") + numbered("C", name=2) + numbered("D", name=2)
    assert text_of(body, numbering=parts) == "1. A\n\n2. B\n\n1. C\n\n2. D"


def test_numbers_come_from_styles() -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="H1"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr>'
        "</w:pPr></w:style>"
        '<w:style w:type="paragraph" w:styleId="H2"><w:basedOn w:val="H1"/></w:style>'
    )
    parts = lists(
        level(0, "%1.", more='<w:pStyle w:val="H1"/>'),
        level(1, "%1.%2", more='<w:pStyle w:val="H2"/>'),
    )
    body = (
        p("Term", '<w:pStyle w:val="H1"/>')
        + p("Start", '<w:pStyle w:val="H2"/>')
        + p("Note", '<w:pStyle w:val="H1"/><w:numPr><w:numId w:val="0"/></w:numPr>')
        + p("End", '<w:pStyle w:val="H2"/>')
    )
    result = read(docx(body, {"numbering": parts, "styles": styles})).text
    assert result == "1. Term\n\n1.1 Start\n\nNote\n\n1.2 End"


def test_bullets_and_gaps() -> None:
    parts = lists(
        level(0, "\uf0b7", "bullet"), level(1, "(%2)", "lowerLetter", '<w:suff w:val="nothing"/>')
    )
    assert text_of(numbered("A") + numbered("B", 1), numbering=parts) == "• A\n\n(a)B"


def test_fields_of_numbers() -> None:
    body = p(
        r("either ")
        + field("LISTNUM LegalDefault \\l 1")
        + r(" or ")
        + field("LISTNUM LegalDefault \\l 2")
    ) + p(r("as ") + field('LISTNUM "NumberDefault" \\l 4 \\s 3') + r(" says"))
    assert text_of(body) == "either 1. or 1.1.\n\nas (3) says"


def test_changes_are_read_as_accepted() -> None:
    author = 'w:id="1" w:author="R"'
    from_here = f"<w:rPr><w:moveFrom {author}/></w:rPr>"
    body = (
        p(r("within ") + f"<w:del {author}><w:r><w:delText>thirty</w:delText></w:r></w:del>"
          + f"<w:ins {author}>{r('forty')}</w:ins>" + r(" days"))
        + p(f"<w:moveFrom {author}>{r('moved away')}</w:moveFrom>", from_here)
        + p("between")
        + p(f"<w:moveTo {author}>{r('moved away')}</w:moveTo>")
        + table(row("kept"), row("gone", properties=f"<w:del {author}/>"))
    )  # fmt: skip
    reading = read(docx(body))
    assert reading.text == "within forty days\n\nbetween\n\nmoved away\n\nkept"
    assert reading.warnings == (
        "it has tracked changes (1 insertion, 2 deletions, 1 move): read as if all were accepted",
    )


def test_a_deleted_paragraph_mark_joins_two_paragraphs() -> None:
    deleted = '<w:rPr><w:del w:id="1" w:author="R"/></w:rPr>'
    first = p("The Buyer ", f'<w:numPr><w:numId w:val="1"/></w:numPr>{deleted}')
    body = first + numbered("shall pay.") + numbered("Next.")
    reading = read(docx(body, {"numbering": LEGAL}))
    assert reading.text == "1. The Buyer shall pay.\n\n2. Next."
    assert "1 deletion" in reading.warnings[0]


def test_one_change_in_several_runs_is_one() -> None:
    change = "".join(f'<w:ins w:author="R">{r(word)}</w:ins>' for word in ("a ", "b ", "c"))
    other = f'<w:ins w:author="S">{r(" d")}</w:ins>'
    assert "(2 insertions)" in read(docx(p(change + other))).warnings[0]


def test_a_hidden_paragraph_mark_runs_on() -> None:
    separator = '<w:numPr><w:numId w:val="1"/></w:numPr><w:rPr><w:vanish/><w:specVanish/></w:rPr>'
    body = p("Term.", separator) + p(" This lasts.") + numbered("Next")
    assert text_of(body, numbering=LEGAL) == "1. Term. This lasts.\n\n2. Next"


def test_hidden_text_is_left_out() -> None:
    styles = (
        '<w:style w:type="character" w:styleId="Out"><w:rPr><w:vanish/></w:rPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="Remark"><w:rPr><w:vanish/></w:rPr></w:style>'
    )
    body = p(
        r("seen") + r(" not", "<w:vanish/>") + r(" nor", '<w:rStyle w:val="Out"/>') + r(" yes")
    ) + p(r("gone") + r("here", '<w:vanish w:val="0"/>'), '<w:pStyle w:val="Remark"/>')
    reading = read(docx(body, {"styles": styles}))
    assert reading.text == "seen yes\n\nhere"
    assert reading.warnings == ("hidden text in it (12 characters): left out",)


def test_notes_stand_near_their_reference() -> None:
    notes = '<w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>' + "".join(
        f'<w:footnote w:id="{n}">{p("<w:r><w:footnoteRef/></w:r>" + r(f" note {n}"))}</w:footnote>'
        for n in (1, 2, 3)
    )
    end = f'<w:endnote w:id="1">{p("the end")}{p("of it")}</w:endnote>'

    def to(n: int, kind: str = "footnote", more: str = "") -> str:
        return f'<w:r><w:{kind}Reference w:id="{n}"{more}/></w:r>'

    body = (
        p(r("One") + to(3) + r(" two") + to(1, "endnote") + r("."))
        + table(row(cell(p(r("in a cell") + to(1))), "b"), row("c", "d"))
        + p(r("Last") + to(2, more=' w:customMarkFollows="1"') + r("*"))
    )
    reading = read(docx(body, {"footnotes": notes, "endnotes": end}))
    assert reading.text.split("\n\n") == [
        *("One[1] two[i].", "[1] note 3", "in a cell[2]\tb\nc\td", "[2] note 1"),
        *("Last*", "note 2", "[i] the end\nof it"),
    ]


def test_headers_and_footers_are_furniture() -> None:
    section = (
        '<w:sectPr><w:headerReference w:type="default" r:id="header"/>'
        '<w:headerReference w:type="first" r:id="footnotes"/>'
        '<w:footerReference w:type="default" r:id="footer"/></w:sectPr>'
    )
    number = field("PAGE", "1")
    body = p("Body one") + p("", section) + p("Body two") + section
    reading = read(docx(body, {"header": p("Execution Copy"), "footer": p(r("Page ") + number)}))
    assert reading.text == "Execution Copy\n\nBody one\n\nPage 1\n\nBody two"
    assert [reading.text[a:b] for a, b in reading.furniture] == ["Execution Copy\n\n", "\n\nPage 1"]
    assert reading.without_furniture() == "Body one\n\nBody two"
    assert shown(reading) == ["Execution Copy\n\nBody one\n\nPage 1", "Body two"]


def test_text_boxes_follow_their_paragraph_once() -> None:
    box = (
        '<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wp:inline><wps:txbx>'
        f"<w:txbxContent>{p('Boxed')}{p('text')}</w:txbxContent></wps:txbx></wp:inline></w:drawing>"
        "</mc:Choice><mc:Fallback><w:pict><v:textbox>"
        f"<w:txbxContent>{p('Boxed')}{p('text')}</w:txbxContent></v:textbox></w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r>"
    )
    old = f"<w:r><w:pict><w:txbxContent>{p('Old')}</w:txbxContent></w:pict></w:r>"
    assert text_of(p(r("Before") + box + r(" after")) + p(r("Next") + old)) == (
        "Before after\n\nBoxed\n\ntext\n\nNext\n\nOld"
    )


def test_pages_are_those_of_the_last_layout() -> None:
    soft, hard = "<w:lastRenderedPageBreak/>", '<w:br w:type="page"/>'
    body = (
        p(f"<w:r><w:t>One</w:t></w:r><w:r>{hard}</w:r>")
        + p(f'<w:r>{soft}<w:t xml:space="preserve">Two goes </w:t>{soft}<w:t>on</w:t></w:r>')
        + p(r("Four"), "<w:pageBreakBefore/>")
        + p(f"<w:r>{hard}</w:r>")
        + p(f"<w:r>{hard}</w:r>")
        + table(
            row(
                cell(p(f"<w:r><w:t>a</w:t>{soft}<w:t>b</w:t></w:r>")),
                cell(p(f"<w:r><w:t>c</w:t>{soft}<w:t>d</w:t></w:r>")),
            )
        )
    )
    reading = read(docx(body))
    assert shown(reading) == ["One", "Two goes ", "on", "Four", "", "a", "b\tcd"]
    assert reading.text == "One\n\nTwo goes on\n\nFour\n\nab\tcd"
    for before, after in pairwise(reading.pages):
        assert before.end <= after.start
        assert not reading.text[before.end : after.start].strip()
    assert [(c.page, reading.text[c.start : c.end]) for c in all_cells(reading)] == [
        (6, "ab"),
        (7, "cd"),
    ]


def test_tables_are_read_row_by_row() -> None:
    down = '<w:vMerge w:val="restart"/>'
    body = table(
        row(cell("Part", properties='<w:gridSpan w:val="2"/>'), "Price"),
        row(cell("both", properties=down), "bolt", "$"),
        row(cell("", properties="<w:vMerge/>"), cell("nut", "and washer"), "2"),
        row("", "", ""),
    )
    reading = read(docx(p("Before") + body + p("After")))
    assert reading.text == "Before\n\nPart\tPrice\nboth\tbolt\t$\n\nnut\nand washer\n2\n\nAfter"
    assert list(named(reading)) == ["A1:B1", "C1", "A2:A3", "B2", "C2", "B3", "C3"]


def test_a_table_within_a_table() -> None:
    inner = table(row("x", "y"), row("z", "w"))
    reading = read(docx(table(row("left", cell(p("top"), inner, p("bottom"))))))
    assert reading.text == "left\ttop\nx\ty\nz\tw\nbottom"
    result = [(c.table, c.address) for c in all_cells(reading)]
    assert result == [(1, "A1"), (2, "A1"), (2, "B1"), (2, "A2"), (2, "B2")]


def test_fields_show_their_result() -> None:
    nested = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>IF </w:instrText></w:r>'
        + field("DOCPROPERTY x", "hidden result")
        + '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
        + r("shown")
        + '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    link = f'<w:hyperlink r:id="x">{r("a link")}</w:hyperlink>'
    simple = f'<w:fldSimple w:instr="AUTHOR">{r("the author")}</w:fldSimple>'
    assert text_of(p(r("see ") + field("REF _1", "Section 4") + r(", ") + nested)) == (
        "see Section 4, shown"
    )
    assert text_of(p(link + r(" by ") + simple)) == "a link by the author"


def test_a_field_that_is_never_closed_costs_no_text() -> None:
    begin = '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF</w:instrText></w:r>'
    end = '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    assert text_of(p(r("one ") + begin + r("two")) + p(r("three") + end) + p("four")) == (
        "one two\n\nthree\n\nfour"
    )


def test_boxes_to_tick_and_choices() -> None:
    body = (
        form("FORMCHECKBOX", '<w:checkBox><w:default w:val="0"/><w:checked/></w:checkBox>')
        + form("FORMCHECKBOX", '<w:checkBox><w:default w:val="0"/></w:checkBox>')
        + form(
            "FORMDROPDOWN",
            '<w:ddList><w:result w:val="1"/><w:listEntry w:val="weekly"/>'
            '<w:listEntry w:val="monthly"/></w:ddList>',
        )
        + '<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>'
        + r("o", '<w:rFonts w:ascii="Wingdings"/>')
    )
    assert text_of(p(body)) == "☒☐monthly☑□"


def form(code: str, data: str) -> str:
    return (
        f'<w:r><w:fldChar w:fldCharType="begin"><w:ffData>{data}</w:ffData></w:fldChar></w:r>'
        f"<w:r><w:instrText> {code} </w:instrText></w:r>"
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def test_odd_characters_are_plain() -> None:
    run = (
        "<w:r><w:t>a\u00a0b\u2003c</w:t><w:noBreakHyphen/><w:t>d\u00ade\u200b</w:t><w:softHyphen/>"
        '<w:t xml:space="preserve"> f\n g </w:t><w:tab/><w:t> h </w:t><w:br/><w:t>i</w:t><w:cr/>'
        "<w:t>\u202ej</w:t></w:r>"
    )
    assert text_of(p(run)) == "a b c-de f  g \th\ni\n\u202ej"
    assert text_of(p("<w:r><w:t>Term.\u00a0</w:t></w:r>" + r("Two"))) == "Term. Two"


def test_content_controls_and_wrappers_are_transparent() -> None:
    control = (
        '<w:sdt><w:sdtPr><w:alias w:val="no"/><w:placeholder/></w:sdtPr><w:sdtContent>'
        "{}</w:sdtContent></w:sdt>"
    )
    inner = table(f"{control.format(row('cell'))}")
    body = (
        control.format(p("block") + control.format(p("deeper")))
        + p(r("in ") + control.format(r("line")) + f"<w:smartTag>{r(' tag')}</w:smartTag>")
        + f'<w:customXml w:element="y">{p("custom")}</w:customXml>'
        + inner
        + p('<m:oMath><m:r><m:t>a=b</m:t></m:r></m:oMath>')
    )  # fmt: skip
    assert text_of(body) == "block\n\ndeeper\n\nin line tag\n\ncustom\n\ncell\n\na=b"


def test_the_strict_form_is_the_same() -> None:
    reading = read(docx(numbered("Term"), {"numbering": LEGAL}, strict=True))
    assert reading.text == "1. Term"


def test_what_is_not_read_is_named() -> None:
    body = (
        p(r("text") + "<w:r><w:drawing><c:chart/></w:drawing></w:r>")
        + p(r("more") + "<w:r><w:object><o:OLEObject/></w:object></w:r>")
        + '<w:altChunk r:id="x"/>'
    )
    assert read(docx(body)).warnings == (
        "1 chart in it: not read",
        "1 embedded object in it: not read",
        "1 embedded document in it: not read",
    )


def test_macros_are_named() -> None:
    data = changed(docx(p("text")), "word/vbaProject.bin", b"anything")
    assert read(data).warnings == ("macros in it: not run",)


def test_a_document_without_text() -> None:
    with pytest.raises(EmptyDocument, match="no text"):
        read(docx(p()))
    with pytest.raises(NoTextLayer, match="pictures"):
        read(docx(p("<w:r><w:drawing><pic:pic/></w:drawing></w:r>")), name="scan.docx")


def test_limits_hold_for_pages_and_characters() -> None:
    pages = docx(p('<w:r><w:br w:type="page"/><w:t>x</w:t></w:r>') * 9)
    with pytest.raises(DocumentTooLarge, match="10 pages: the limit is 5"):
        read(pages, limits=Limits(max_pages=5))
    with pytest.raises(DocumentTooLarge, match="more than 50 characters"):
        read(docx(p("ten words! ") * 20), limits=Limits(max_plain_text=50))
