"""Write the documents that `smallprint demo` loads into services/cli/demo/documents.

`make demo-documents` runs it. Companies, people and figures are invented; the texts are in
infra/docs/demo. Each run writes the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image
from reportlab.lib.pagesizes import letter
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import inch
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

from services.cli.demo import documents
from shared.documents import render

TEXTS = Path(__file__).parent / "demo"
PLANTED = "Total current assets", "176,490", "167,490"  # the error: two digits swapped
DPI, TILT, NOISE, QUALITY = 150, 0.6, 6.0, 35  # of the scan: tilt in degrees, noise in grey levels
TOTALS = ("Total ", "Gross ", "Operating income", "Income before", "Net income", "Net cash")

Heads = Callable[[Canvas, Any], None]
"""Prints the running heads of a page."""


@dataclass(frozen=True)
class Block:
    """A part of a text: `kind` is title, heading, clause, plain, line, break or table."""

    kind: str
    text: str = ""
    number: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


def read_blocks(name: str) -> list[Block]:
    """Read a text of infra/docs/demo.

    Blank lines separate its blocks. `# ` begins a title, `## ` a heading and `= ` a line, `---` is
    a page break, and ` | ` separates the cells of a table.
    """
    blocks = []
    for text in (TEXTS / name).read_text("utf-8").strip("\n").split("\n\n"):
        mark, _, words = text.partition(" ")
        if kind := {"#": "title", "##": "heading", "=": "line", "---": "break"}.get(mark):
            blocks.append(Block(kind, words))
        elif " | " in text:
            rows = tuple(tuple(line.split(" | ")) for line in text.splitlines())
            blocks.append(Block("table", rows=rows))
        else:
            blocks.append(Block("plain", text))
    return blocks


def number_clauses(blocks: list[Block]) -> Iterator[Block]:
    """Number the headings of a contract, and the paragraphs below them where there are several."""
    section, clause = 0, 0
    for at, block in enumerate(blocks):
        if block.kind == "heading":
            section, clause = section + 1, 0
            yield Block("heading", block.text, f"{section}.")
        elif block.kind == "plain" and section:
            clause += 1
            alone = clause == 1 and (at + 1 == len(blocks) or blocks[at + 1].kind != "plain")
            yield block if alone else Block("clause", block.text, f"{section}.{clause}")
        else:
            yield block


def build_pdf(story: list[Flowable], title: str, heads: Heads) -> bytes:
    """Print a story on pages with these running heads."""
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file, pagesize=letter, invariant=1, title=title, author="smallprint demo",
        leftMargin=inch, rightMargin=inch, topMargin=inch, bottomMargin=0.9 * inch,
    )  # fmt: skip
    document.build(story, onFirstPage=heads, onLaterPages=heads)
    return file.getvalue()


def no_heads(_canvas: Canvas, _page: Any) -> None:
    """Print nothing around the text of a page."""


def running_heads(left: str, right: str, canvas: Canvas, page: Any) -> None:
    """Print two words in the head of a page, and its number in the foot."""
    width, height = letter
    canvas.setFont("Times-Italic", 9)
    canvas.drawString(inch, height - 0.6 * inch, left)
    canvas.drawRightString(width - inch, height - 0.6 * inch, right)
    canvas.setFont("Times-Roman", 9)
    canvas.drawCentredString(width / 2, 0.55 * inch, f"Page {page.page}")


def contract_story(blocks: list[Block], family: tuple[str, str], size: float) -> list[Flowable]:
    """Set a contract in a font, its regular and its bold face, of a size in points."""
    regular, bold = family
    body = ParagraphStyle(
        "body", fontName=regular, fontSize=size, leading=size * 1.28, spaceAfter=6, alignment=4
    )
    title = ParagraphStyle(
        "title", parent=body, fontName=bold, fontSize=size + 3, alignment=1, spaceAfter=14
    )
    heading = ParagraphStyle(
        "heading", parent=body, fontName=bold, spaceBefore=6, keepWithNext=1, alignment=0
    )
    styles = {"title": title, "heading": heading}
    story: list[Flowable] = []
    for block in number_clauses(blocks):
        if block.kind == "table":
            signatures = Table(block.rows, colWidths=[3.25 * inch] * 2, hAlign="LEFT")
            signatures.setStyle([("FONT", (0, 0), (-1, -1), regular, size, size * 1.5)])
            signatures.setStyle([("LEFTPADDING", (0, 0), (-1, -1), 0)])
            story += [Spacer(0, 10), signatures]
        else:
            text = escape(f"{block.number} {block.text}".strip())
            story.append(Paragraph(text, styles.get(block.kind, body)))
    return story


def contract_pdf(name: str, left: str, right: str) -> bytes:
    """Print a contract with running heads and page numbers."""
    blocks = read_blocks(name)
    story = contract_story(blocks, ("Times-Roman", "Times-Bold"), 11)
    return build_pdf(story, blocks[0].text.title(), partial(running_heads, left, right))


def report_pdf(name: str, left: str, right: str) -> bytes:
    """Print the annual report, with the planted error."""
    body = ParagraphStyle("body", fontName="Times-Roman", fontSize=11, leading=15, spaceAfter=8)
    heading = ParagraphStyle("heading", parent=body, fontName="Times-Bold", spaceBefore=8)
    line = ParagraphStyle("line", parent=body, alignment=1, spaceAfter=4)
    title = ParagraphStyle("title", parent=line, fontName="Times-Bold", fontSize=14)
    styles = {"title": title, "heading": heading, "line": line, "plain": body}
    story: list[Flowable] = []
    for block in read_blocks(name):
        if block.kind == "break":
            story.append(PageBreak())
        elif block.kind == "table":
            story += [Spacer(0, 6), statement(block.rows), Spacer(0, 10)]
        else:
            story.append(Paragraph(escape(block.text), styles[block.kind]))
    return build_pdf(story, f"{left} {right}", partial(running_heads, left, right))


def statement(rows: tuple[tuple[str, ...], ...]) -> Table:
    """Set a statement: its amounts on the right, with a rule above each total."""
    label, right, wrong = PLANTED
    printed = [
        [cell.replace(right, wrong) if row[0] == label else cell for cell in row] for row in rows
    ]
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), "Times-Roman", 10, 12),
        ("FONT", (0, 0), (-1, 1), "Times-Bold", 10, 12),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("LINEBELOW", (1, 0), (-1, 1), 0.5, "black"),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
    ]
    for at, row in enumerate(rows):
        if not row[0] and len(row) == 2:
            style += [("SPAN", (1, at), (2, at)), ("ALIGN", (1, at), (2, at), "CENTER")]
        if row[0].startswith(TOTALS) and len(rows[at - 1]) == len(row) == 3:
            style.append(("LINEABOVE", (1, at), (-1, at), 0.5, "black"))
    return Table(printed, colWidths=[3.7 * inch, 1.4 * inch, 1.4 * inch], style=style)


def scan_pdf(name: str) -> bytes:
    """Print a contract of one page as a scan: a picture, slightly rotated and with noise."""
    for face in ("Vera", "VeraBd"):  # embedded, so that all machines draw the same letters
        pdfmetrics.registerFont(TTFont(face, f"{face}.ttf"))
    story = contract_story(read_blocks(name), ("Vera", "VeraBd"), 10)
    drawn = render(build_pdf(story, name, no_heads), 1, scale=DPI / 72)
    sheet = Image.open(io.BytesIO(drawn)).convert("L")
    tilted = sheet.rotate(TILT, Image.Resampling.BICUBIC, fillcolor=255)
    grey = np.asarray(tilted, dtype=np.float64) * 0.86 + 24  # neither ink nor paper is pure
    noise = np.random.default_rng(1).normal(0, NOISE, grey.shape)
    scan = Image.fromarray(np.clip(grey + noise, 0, 255).astype(np.uint8))
    picture, file = io.BytesIO(), io.BytesIO()
    scan.save(picture, "JPEG", quality=QUALITY)
    canvas = Canvas(file, pagesize=letter, invariant=1)
    canvas.drawImage(ImageReader(picture), 0, 0, *letter)
    canvas.save()
    return file.getvalue()


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels"'
    ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{TYPES}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{TYPES}.styles+xml"/>'
    f'<Override PartName="/word/numbering.xml" ContentType="{TYPES}.numbering+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1"'
    f' Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
    "word/_rels/document.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{OFFICE}/styles" Target="styles.xml"/>'
    f'<Relationship Id="r2" Type="{OFFICE}/numbering" Target="numbering.xml"/></Relationships>',
    "word/styles.xml": f'<w:styles xmlns:w="{WORD}"><w:docDefaults><w:rPrDefault><w:rPr>'
    '<w:rFonts w:ascii="Times New Roman" w:hAnsi="Times New Roman"/><w:sz w:val="22"/></w:rPr>'
    '</w:rPrDefault><w:pPrDefault><w:pPr><w:spacing w:after="120"/></w:pPr></w:pPrDefault>'
    '</w:docDefaults><w:style w:type="paragraph" w:default="1" w:styleId="Normal">'
    '<w:name w:val="Normal"/></w:style><w:style w:type="paragraph" w:styleId="Title">'
    '<w:name w:val="Title"/><w:basedOn w:val="Normal"/><w:pPr><w:spacing w:after="240"/>'
    '<w:jc w:val="center"/></w:pPr><w:rPr><w:b/><w:sz w:val="28"/></w:rPr></w:style>'
    '<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/>'
    '<w:basedOn w:val="Normal"/><w:pPr><w:keepNext/><w:outlineLvl w:val="0"/></w:pPr>'
    "<w:rPr><w:b/></w:rPr></w:style></w:styles>",
    "word/numbering.xml": f'<w:numbering xmlns:w="{WORD}"><w:abstractNum w:abstractNumId="0">'
    '<w:multiLevelType w:val="multilevel"/>'
    + "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="decimal"/>'
        f'<w:lvlText w:val="{shown}"/><w:pPr><w:ind w:left="567" w:hanging="567"/></w:pPr></w:lvl>'
        for level, shown in enumerate(("%1.", "%1.%2"))
    )
    + '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
}
PROPERTIES = {
    "title": '<w:pStyle w:val="Title"/>',
    "heading": '<w:pStyle w:val="Heading1"/><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/>'
    "</w:numPr>",
    "clause": '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr>',
}


def word_paragraph(text: str, properties: str = "") -> str:
    """One paragraph of a DOCX."""
    run = f'<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r>'
    return f"<w:p><w:pPr>{properties}</w:pPr>{run}</w:p>"


def word_table(rows: tuple[tuple[str, ...], ...]) -> str:
    """A table of a DOCX, in two columns without rules."""
    width = '<w:tcPr><w:tcW w:w="4680" w:type="dxa"/></w:tcPr>'
    lines = "".join(
        f"<w:tr>{''.join(f'<w:tc>{width}{word_paragraph(cell)}</w:tc>' for cell in row)}</w:tr>"
        for row in rows
    )
    grid = '<w:tblGrid><w:gridCol w:w="4680"/><w:gridCol w:w="4680"/></w:tblGrid>'
    return f'<w:tbl><w:tblPr><w:tblW w:w="9360" w:type="dxa"/></w:tblPr>{grid}{lines}</w:tbl>'


def contract_docx(name: str) -> bytes:
    """Write a contract as Word does: the numbers of clauses are those of a list."""
    body = "".join(
        word_table(block.rows)
        if block.kind == "table"
        else word_paragraph(block.text, PROPERTIES.get(block.kind, ""))
        for block in number_clauses(read_blocks(name))
    )
    page = '<w:sectPr><w:pgSz w:w="12240" w:h="15840"/><w:pgMar w:top="1440" w:right="1440"'
    page += ' w:bottom="1440" w:left="1440" w:header="720" w:footer="720" w:gutter="0"/></w:sectPr>'
    document = f'<w:document xmlns:w="{WORD}"><w:body>{body}<w:p/>{page}</w:body></w:document>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for part, content in {**PARTS, "word/document.xml": document}.items():
            entry = zipfile.ZipInfo(part)  # of 1980, whatever the day
            package.writestr(entry, XML + content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def mail_with_nda() -> bytes:
    """Write a mail with the non-disclosure agreement as its attachment."""
    mail = EmailMessage()
    mail["From"] = "Colin Aldous <colin.aldous@brightmoor.example>"
    mail["To"] = "Walter Dziedzic <walter.dziedzic@sablewood.example>"
    mail["Date"] = "Mon, 09 Sep 2024 10:12:00 -0400"
    mail["Subject"] = "NDA for the forecasting project"
    mail["Message-ID"] = "<20240909101200.4711@brightmoor.example>"
    mail.set_content((TEXTS / "mail.txt").read_text("utf-8"))
    mail.add_attachment(
        contract_docx("nda.txt"),
        maintype="application",
        subtype="vnd.openxmlformats-officedocument.wordprocessingml.document",
        filename="Mutual NDA.docx",
    )
    mail.set_boundary("=_brightmoor_4711")
    return mail.as_bytes()


WRITERS: dict[str, Callable[[], bytes]] = {
    "Halden Tools annual report.pdf": partial(
        report_pdf, "report.txt", "Halden Tools, Inc.", "2024 Annual Report"
    ),
    "Distribution agreement.pdf": partial(
        contract_pdf, "distribution.txt", "Northgate and Tarrow", "Distribution Agreement"
    ),
    "Software licence agreement.docx": partial(contract_docx, "licence.txt"),
    "Amendment (scan).pdf": partial(scan_pdf, "amendment.txt"),
    "Mail with an attachment.eml": mail_with_nda,
}


def write_documents() -> None:
    """Write all documents, and print the size of each."""
    for path in documents():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(WRITERS[path.name]())
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    write_documents()
