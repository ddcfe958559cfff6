"""RTF as a word processor shows it, and hostile groups and lengths."""

from __future__ import annotations

import time

import pytest

from shared.documents import Limits, read, sniff
from shared.errors import DocumentTooLarge, EmptyDocument, NoTextLayer, UnreadableDocument
from tests.unit.documents.ends import named, outcome, shown
from tests.unit.documents.word import FOLDER

AGREEMENT = (FOLDER / "agreement.rtf").read_bytes()
DEEP = 100_000


def rtf(body: str, head: str = r"\ansi\ansicpg1252\deff0{\fonttbl{\f0 Times;}}") -> bytes:
    """Return a document with this body; characters beyond Latin 1 must be control words."""
    return f"{{\\rtf1{head} {body}}}".encode("latin-1")


def text_of(body: str) -> str:
    return read(rtf(body)).text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"a\'e9b\'93c\'94 \emdash\~x\_y\-z\{\}\\", "aéb“c” — x-yz{}\\"),
        (r"\u8364?5 \u8217'x \uc0\u8364 5 \uc2\u8364\'80?6", "€5 ’x €5 €6"),
        (r"\u-10179?\u-8704?!", "😀!"),
        (r"\u-10179?!\u-8704?", "!\ufffd"),
        (r"one\line two\tab three\par\par four", "one\ntwo\tthree\n\nfour"),
        ("one \\\ntwo", "one\n\ntwo"),
        ("split\nover\r\nlines", "splitoverlines"),
        (r"{\v hidden}{\v0 seen}{\*\unknown gone}{\unknown kept}", "seenkept"),
        (r"{\field{\*\fldinst LINK x}{\fldrslt link}}{\field{\fldinst R}{\fldrslt  4}}", "link 4"),
        (r"{\upr{old}{\*\ud new}}{\*\bkmkstart a}{\*\bkmkend a}", "new"),
        (r"{\field{\*\fldinst FORMCHECKBOX{\*\formfield{\ffres1}}}{\fldrslt}}", "☒"),
        (r"{\field{\*\fldinst FORMCHECKBOX{\*\formfield{\ffres25\ffdefres0}}}{\fldrslt}}", "☐"),
        (r"{\listtext\pard 1.2\tab}Term\par {\pntext\f1\'b7\tab}Point", "1.2 Term\n\n• Point"),
        (r"a\u12?b\u0?c\'0b\'0cd", "abcd"),
        (r"{\pict\pngblip 89504e}after{\*\shppict{\pict 00}}", "after"),
        (r"{\deleted gone \par}one{\mvf gone}{\mvt moved}", "onemoved"),
    ],
)  # fmt: skip
def test_words_and_groups(body: str, expected: str) -> None:
    data = rtf(body, r"\ansi\deff0{\fonttbl{\f0 Times;}{\f1\fcharset2 Symbol;}}")
    assert read(data).text == expected


@pytest.mark.parametrize(
    ("charset", "code", "expected"),
    [
        (204, r"\'c4\'ee\'e3\'ee\'e2\'ee\'f0", "Договор"),
        (128, r"\'8c\'5f\'96\'f1", "契約"),
        (238, r"\'8c\'9c", "Śś"),
        (2, r"\'61\'a3", "α≤"),
        (0, r"\'80", "€"),
    ],
)
def test_encodings_of_fonts(charset: int, code: str, expected: str) -> None:
    name = "Symbol" if charset == 2 else "Arial"
    head = rf"\ansi\ansicpg1252\deff0{{\fonttbl{{\f0 A;}}{{\f1\fcharset{charset} {name};}}}}"
    assert read(rtf(rf"{{\f1 {code}}}", head)).text == expected


def test_notes_changes_and_comments() -> None:
    body = (
        r"One{\super\chftn}{\footnote\pard{\super\chftn} first\par more}"
        r" two{\super\chftn{\*\footnote\ftnalt\chftn  last}}.\par "
        r"within {\deleted\revauthdel1 thirty}{\revised\revauth1 forty }"
        r"{\revised\revauth1 five} days"
        r"{\*\atnid R}{\*\annotation why?}\par"
    )
    reading = read(rtf(body))
    assert reading.text.split("\n\n") == [
        *("One[1] two[i].", "[1] first\nmore", "within forty five days", "[i] last")
    ]
    assert reading.warnings == (
        "it has tracked changes (1 insertion, 1 deletion): read as if all were accepted",
        "1 comment in it: not part of the text",
    )


def test_tables_have_cells() -> None:
    body = (
        r"Before\par\trowd\cellx1000\cellx3000\pard\intbl a\tab b\cell c\cell\row"
        r"\trowd\cellx3000\pard\intbl wide\cell\row"
        r"\trowd\clvmgf\cellx1000\cellx2000\cellx3000\pard\intbl x\cell y\par yy\cell z\cell\row"
        r"\trowd\clvmrg\cellx1000\cellx2000\cellx3000\pard\intbl\cell u\cell v\cell\row\pard After"
    )
    reading = read(rtf(body))
    assert reading.text == "Before\n\na b\tc\nwide\n\nx\ty\nyy\nz\n\nu\tv\n\nAfter"
    assert list(named(reading)) == ["A1", "B1:C1", "A2:C2", "A3:A4", "B3", "C3", "B4", "C4"]
    nested = (
        r"\trowd\cellx9000\pard\intbl outer\par\pard\intbl\itap2 in\nestcell side\nestcell"
        r"{\*\nesttableprops\trowd\cellx1000\cellx2000\nestrow}{\nonesttables no}"
        r"\pard\intbl\itap1 end\cell\row\pard After"
    )
    assert text_of(nested) == "outer\nin\tside\nend\n\nAfter"


def test_pages_and_sections() -> None:
    body = (
        r"\sectd{\header Top\par}{\footer Page 1\par}one\page two\sect\sectd\sbknone three"
        r"\sect\sectd{\header Second top}four\pard\pagebb\par five"
    )
    reading = read(rtf(body))
    assert shown(reading) == [
        *("Top\n\none", "two\n\nPage 1\n\nthree", "Second top", "four", "five")
    ]
    assert [reading.text[a:b].strip() for a, b in reading.furniture] == [
        *("Top", "Page 1", "Second top")
    ]


def test_text_boxes_follow_their_paragraph() -> None:
    shape = r"{\shp{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt boxed\par}}{\shprslt{\*\do old}}}"
    body = rf"in {shape}line\par next"
    assert text_of(body) == "in line\n\nboxed\n\nnext"


@pytest.mark.parametrize(
    "group", ["{", "{\\b ", "{\\field{\\fldrslt ", "{\\footnote ", "{\\shptxt "]
)
def test_groups_a_hundred_thousand_deep_are_read(group: str) -> None:
    depth = DEEP // group.count("{")
    body = f"before {group * depth}deep{'}' * depth * group.count('{')}"
    reading = read(rtf(body))
    assert reading.text.startswith("before")
    assert "deep" in reading.text
    assert not reading.failed


def test_tables_a_hundred_thousand_deep_are_read() -> None:
    assert "deep" in text_of(rf"\intbl\itap{DEEP} deep\nestcell\nestrow\cell\row")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"a\bin99999999 b", "ab"),
        (r"a\bin-5 b", "ab"),
        (r"a\bin999999999999999999 b", "ab"),
        (r"a\bin2 }}b", "ab"),
        (r"{\pict\bin4 }{}{after}b", "b"),
    ],
)
def test_lengths_that_lie(body: str, expected: str) -> None:
    assert text_of(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        r"\u99999999999?x", r"\fs999999999999999999999999x", r"\cellx9\row\cell\row x", r"\row x",
        r"{\fonttbl{\f-5\fcharset999\cpg99999 x;}}\f-5 x", r"\nestrow\nestcell x", r"\uc999999 x",
        r"\itap-9\intbl x\cell", r"\sect\sect\sect x", "\\'zz x", r"\chftn{\footnote}x",
        r"{\info{\title {\v a}{\b b}}} x", "x" + r"\tab" * 10_000, "\\\0x\0",
    ],
)  # fmt: skip
def test_odd_words_are_read(body: str) -> None:
    assert "x" in text_of(body)


def test_a_document_cut_off_anywhere_is_partial_or_refused() -> None:
    found = {outcome(AGREEMENT[:n], "cut.rtf") for n in range(6, len(AGREEMENT) - 2, 61)}
    assert found == {"partial", "refused"}
    cut = read(AGREEMENT[:9_800], name="cut.rtf")
    assert "1.1 The Buyer may order Goods in writing." in cut.text
    assert "it is truncated: " in cut.failed[-1].reason


def test_large_documents_take_time_in_proportion() -> None:
    began = time.process_time()
    rows = r"\trowd\cellx1\cellx2\pard\intbl a\cell b\cell\row" * 10_000
    assert read(rtf(rows) + b"}" * DEEP).text.count("\n") == 9_999
    assert time.process_time() - began < 30


def test_limits_and_empty_documents() -> None:
    with pytest.raises(DocumentTooLarge, match="more than 99 characters"):
        read(rtf("words " * 50), limits=Limits(max_plain_text=99))
    with pytest.raises(DocumentTooLarge, match="10 pages"):
        read(rtf(r"\page x" * 9), limits=Limits(max_pages=5))
    for body in ("", r"\par\par", r"{\v all hidden}"):
        with pytest.raises(EmptyDocument):
            read(rtf(body))
    with pytest.raises(NoTextLayer, match="pictures"):
        read(rtf(r"{\pict 00}"))
    with pytest.raises(UnreadableDocument, match="truncated"):
        read(b"{\\rtf1")


def test_rtf_is_recognised_by_its_beginning() -> None:
    assert sniff(rtf("x"), "a.doc") == "application/rtf"
    assert sniff(b"\n" + rtf("x")) == "application/rtf"
