"""Damage of all kinds to documents that are read as text, for as long as one likes.

    python -m tests.unit.documents.fuzz docx html odt rtf --minutes 5

tries each format for so many minutes (Hypothesis shrinks what fails and prints it), and is the only
one that looks at the time that a document takes. Documents are
cut, spliced and sprinkled with words of their own format; of archives, the parts within.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable
from functools import cache

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from shared.documents import Limits
from shared.documents.package import Package
from tests.unit.documents.ends import outcome
from tests.unit.documents.word import (
    FOLDER,
    changed,
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

LIMITS = Limits(max_plain_text=200_000, max_pages=100)
SLOW = 20.0  # seconds of processor time for a document of a few kilobytes

_XML = (
    *(
        b"<",
        b">",
        b"/>",
        b"</",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"&#0;",
        b"&#xFFFE;",
        b"&amp;",
    ),
    *(b"<?x ?>", b"<!DOCTYPE x>", b'="', b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"xmlns:w='x'", b" "),
)
_WORDS = {
    "docx": (
        *_XML,
        *(b"<w:p>", b"</w:p>", b"<w:r>", b"</w:r>", b"<w:t>", b"</w:t>", b"<w:tbl>", b"</w:tbl>"),
        *(b"<w:tr>", b"</w:tr>", b"<w:tc>", b"</w:tc>", b"<w:sdt>", b"<w:sdtContent>", b"<w:ins>"),
        *(b"<w:del>", b"<w:vanish/>", b"<w:numPr>", b'<w:numId w:val="2"/>', b"<w:sectPr/>"),
        *(b'<w:fldChar w:fldCharType="begin"/>', b'<w:fldChar w:fldCharType="end"/>', b"<w:tab/>"),
        *(b'<w:fldChar w:fldCharType="separate"/>', b"<w:lastRenderedPageBreak/>", b"<w:br/>"),
        *(b'<w:br w:type="page"/>', b"<w:txbxContent>", b'<w:footnoteReference w:id="1"/>'),
        *(b'<w:vMerge w:val="restart"/>', b"<w:vMerge/>", b'w:val="-1"', b'w:val="99999999999"'),
        *(b"mc:AlternateContent", b"mc:Choice", b"<w:pPr>", b"<w:rPr>", b'w:val="%9%1"'),
    ),
    "odt": (
        *_XML,
        *(b"<text:p>", b"</text:p>", b"<text:h>", b"<text:span>", b"<text:list>", b"</text:list>"),
        *(b"<text:list-item>", b"<text:list-header>", b"<table:table>", b"<table:table-row>"),
        *(b"<table:table-cell>", b"<table:covered-table-cell/>", b"<text:note>", b"<text:s/>"),
        *(
            b"<text:soft-page-break/>",
            b"<text:tracked-changes>",
            b"<draw:text-box>",
            b"<text:tab/>",
        ),
        *(b'text:level="0"', b'text:style-name="Clauses"', b'text:outline-level="99"'),
        *(b'text:display-levels="99"', b"<office:text>", b"<office:automatic-styles>"),
    ),
    "html": (
        *_XML,
        *(b"<p>", b"</p>", b"<div>", b"<table>", b"<tr>", b"<td>", b"</td>", b"</table>", b"<ul>"),
        *(b"<ol start=9 reversed>", b"<li value=-3>", b"</li>", b"<pre>", b"</pre>", b"<sup>1"),
        *(b"<script>", b"</script>", b"<style>.x{display:none}", b"</style>", b"<ix:header>"),
        *(b"<td rowspan=999 colspan=999>", b'<p style="page-break-before:always">', b"<textarea>"),
        *(b"<title>", b"<plaintext>", b"<svg>", b"<math>", b"<template>", b"<select>", b"<br>"),
        *(b"<meta charset=utf-16>", b"<meta charset=shift_jis>", b"<base href=x>", b"<frameset>"),
        *(b"&nbsp", b"&#x110000;", b"&#xD800;", b"<input value=", b'<font face="Wingdings">'),
    ),
    "rtf": (
        *(
            b"{",
            b"}",
            b"\\",
            b"\\'",
            b"\\'e",
            b"\\*",
            b"\\par ",
            b"\\bin",
            b"\\bin99 ",
            b"\\u",
            b"\\uc9 ",
        ),
        *(
            b"\\u-10179 ",
            b"\\u-8704 ",
            b"\\cell ",
            b"\\row ",
            b"\\trowd ",
            b"\\cellx100 ",
            b"\\intbl ",
        ),
        *(b"\\itap3 ", b"\\nestcell ", b"\\nestrow ", b"{\\footnote ", b"{\\*\\footnote\\ftnalt "),
        *(
            b"\\chftn ",
            b"{\\header ",
            b"{\\footer ",
            b"\\sect ",
            b"\\sectd ",
            b"\\page ",
            b"\\pagebb ",
        ),
        *(
            b"\\v ",
            b"\\v0 ",
            b"\\deleted ",
            b"\\revised ",
            b"{\\fonttbl",
            b"{\\f1\\fcharset128 x;}",
        ),
        *(
            b"\\f1 ",
            b"\\plain ",
            b"\\pard ",
            b"{\\listtext ",
            b"{\\*\\shpinst",
            b"{\\shptxt ",
            b"\0",
        ),
        *(
            b"{\\field{\\*\\fldinst FORMCHECKBOX}",
            b"\\ansicpg932 ",
            b"\\deff1 ",
            b"{\\upr",
            b"\xff",
        ),
        *(b"{\\*\\ud ", b"{\\info{\\title ", b"\\clmrg", b"\\clvmrg", b"{\\pict ", b"\\-", b"\\~"),
    ),
}
FORMATS = tuple(_WORDS)
_PARTS = {
    "docx": ("word/document.xml", "word/numbering.xml", "word/styles.xml", "word/footnotes.xml"),
    "odt": ("content.xml", "styles.xml", "META-INF/manifest.xml"),
}


@cache
def samples(kind: str) -> tuple[bytes, ...]:
    """Sound documents of a format, to be damaged."""
    found = [(FOLDER / f"agreement.{kind}").read_bytes()]
    if kind == "docx":
        found += [(FOLDER / "lists.docx").read_bytes(), _everything()]
    return tuple(found)


def _everything() -> bytes:
    """A small DOCX with a little of everything."""
    note = '<w:r><w:footnoteReference w:id="1"/></w:r>'
    gone = '<w:del w:author="R"><w:r><w:delText>gone</w:delText></w:r></w:del>'
    change = f'<w:ins w:author="R">{r("in")}</w:ins>{gone}'
    box = f"<w:r><w:pict><w:txbxContent>{p('box')}</w:txbxContent></w:pict></w:r>"
    body = (
        numbered("Term") + numbered("Start", 1)
        + p(r("a") + note + change + box + field("REF x", "y"))
        + table(row("a", "b"), row("c", table(row("d")))) + p("<w:r><w:br w:type='page'/></w:r>")
        + p(field("LISTNUM LegalDefault")) + "<w:sectPr><w:type w:val='nextPage'/></w:sectPr>"
    )  # fmt: skip
    parts = {
        "numbering": lists(level(0, "%1."), level(1, "%1.%2", "upperRoman")),
        "footnotes": f'<w:footnote w:id="1">{p("note")}</w:footnote>',
        "styles": '<w:style w:type="paragraph" w:styleId="A"><w:basedOn w:val="A"/></w:style>',
    }
    return docx(body, parts)


def damaged(kind: str) -> st.SearchStrategy[bytes]:
    """Documents of a format, damaged."""
    return st.builds(_damage, st.just(kind), st.integers(0, 2**32))


def _damage(kind: str, number: int) -> bytes:
    chance = random.Random(number)
    data = chance.choice(samples(kind))
    if kind not in _PARTS or chance.random() < 0.1:
        return _spliced(chance, data, _WORDS[kind])
    name = chance.choice(_PARTS[kind])
    part = _part(data, name)
    return changed(data, name, _spliced(chance, part, _WORDS[kind])) if part else data


def _part(data: bytes, name: str) -> bytes:
    package = Package(data)
    return package.read(name) if name in package else b""


def _spliced(chance: random.Random, data: bytes, words: tuple[bytes, ...]) -> bytes:
    """A few cuts, copies and words of the format, anywhere."""
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((0, 0, 1, 7, 60, 900))
        start = chance.randrange(len(data) + 1)
        piece = chance.choice(
            (
                chance.choice(words),
                chance.choice(words) * chance.choice((2, 50, 3_000)),
                bytes(chance.randrange(256) for _ in range(3)),
                data[start : start + 400],
                b"",
            )
        )
        data = data[:at] + piece + data[at + length :]
    return data


def check(kind: str, data: bytes, patience: float = math.inf) -> None:
    """Reading ends as it should, and within so many seconds of processor time."""
    began = time.process_time()
    found = outcome(data, f"fuzz.{kind}", LIMITS)
    assert found in ("read", "partial", "refused"), found
    assert time.process_time() - began < patience


def tries(kind: str, count: int, number: int, patience: float = math.inf) -> Callable[[], None]:
    """A test of so many damaged documents."""

    @seed(number)
    @settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(data=damaged(kind))
    def attempt(data: bytes) -> None:
        check(kind, data, patience)

    return attempt


def main() -> None:
    """Try formats for some minutes each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--minutes", type=float, default=1.0)
    arguments = parser.parse_args()
    for kind in arguments.formats:
        until, count, number = time.monotonic() + 60 * arguments.minutes, 0, time.time_ns()
        while time.monotonic() < until:
            tries(kind, 200, number + count, SLOW)()
            count += 200
        print(f"{kind}: {count:,} damaged documents in {arguments.minutes:g} minutes, none fatal")


if __name__ == "__main__":
    main()
