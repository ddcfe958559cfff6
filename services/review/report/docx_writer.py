"""Writes a report as DOCX."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime

from docx import Document
from docx.document import Document as Docx
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Length, Pt, RGBColor
from docx.table import Table
from docx.text.paragraph import Paragraph

from services.review.exports import NO_ADVICE
from services.review.report.report import DISCLAIMER, Entry, NameList, Report

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MUTED, _CHANGE = RGBColor(0x59, 0x61, 0x6C), RGBColor(0x7B, 0x56, 0x00)
_MARGIN = Cm(2)
_LONGEST_TITLE = 255
"""Most characters of the title in the properties of a DOCX file."""
_FACTS = (Cm(4), Cm(13))
_TERMS = (Cm(4.5), Cm(7.5), Cm(1.5), Cm(3.5))
_LISTS = (Cm(4), Cm(6.5), Cm(6.5))


def write_docx(report: Report) -> bytes:
    """Write a report with Word's own headings and tables, so that people can edit it."""
    file = Document()
    _prepare(file, report)
    _run(file.add_paragraph(), report.kind, color=_MUTED)
    file.add_heading(report.title, 0)
    if report.subtitle:
        file.add_paragraph(report.subtitle, "Subtitle")
    if report.draft:
        _run(file.add_paragraph(), report.draft, bold=True, color=_CHANGE)
    _table(file, _FACTS, report.facts)
    for section in report.sections:
        file.add_heading(section.title, 1)
        for text in section.paragraphs:
            file.add_paragraph(text)
        if section.terms:
            rows = [("Term", "Value", "Page", "Decision")]
            rows += [
                (term.name if number == 0 else "", value.text, value.page, value.decision)
                for term in section.terms
                for number, value in enumerate(term.values)
            ]
            _table(file, _TERMS, rows, headed=True)
        for group in section.groups:
            if group.title:
                file.add_heading(group.title, 2)
            for entry in group.entries:
                _entry(file, entry)
        if section.lists:
            _lists(file, section.lists)
    for text in (DISCLAIMER, report.about):
        _run(file.add_paragraph(), text, color=_MUTED, size=Pt(9))
    out = io.BytesIO()
    file.save(out)
    return out.getvalue()


def _prepare(file: Docx, report: Report) -> None:
    """Set the title of the file, its margins and its footer."""
    about = file.core_properties
    about.title, about.author, about.comments = report.title[:_LONGEST_TITLE], "smallprint", ""
    about.created = about.modified = datetime.now(UTC)
    page = file.sections[0]
    page.left_margin = page.right_margin = _MARGIN
    foot = page.footer.paragraphs[0]
    file.styles["Footer"].font.size = Pt(8)
    _run(foot, f"{NO_ADVICE}\t\t", color=_MUTED)
    for words, field in (("Page ", "PAGE"), (" of ", "NUMPAGES")):
        _run(foot, words, color=_MUTED)
        _field(foot, field)


def _field(paragraph: Paragraph, code: str) -> None:
    """Add a field that Word fills in; python-docx has none."""
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), code)
    _run(paragraph, "1", color=_MUTED)
    field.append(paragraph.runs[-1]._r)
    paragraph._p.append(field)


def _run(
    paragraph: Paragraph,
    text: str,
    *,
    bold: bool | None = None,
    color: RGBColor | None = None,
    size: Pt | None = None,
) -> None:
    run = paragraph.add_run(text)
    run.bold, run.font.size = bold, size
    if color is not None:
        run.font.color.rgb = color


def _table(
    file: Docx, widths: Sequence[Length], rows: Sequence[Sequence[str]], *, headed: bool = False
) -> None:
    """Add a table. The first column is bold, and so is the first row of a headed one."""
    table = _grid(file, widths, len(rows), "Table Grid" if headed else None)
    for number, (row, line) in enumerate(zip(rows, table.rows, strict=True)):
        for column, (text, cell) in enumerate(zip(row, line.cells, strict=True)):
            cell.paragraphs[0].paragraph_format.space_after = Pt(2)
            _run(cell.paragraphs[0], text, bold=column == 0 or (headed and number == 0))
    file.add_paragraph()


def _grid(file: Docx, widths: Sequence[Length], rows: int, style: str | None) -> Table:
    """Add an empty table with columns of fixed widths."""
    table: Table = file.add_table(rows, len(widths), style)
    table.autofit = False
    for width, part in zip(widths, table.columns, strict=True):
        part.width = width
        for cell in part.cells:
            cell.width = width
    return table


def _lists(file: Docx, lists: Sequence[NameList]) -> None:
    """Add a table with a row for each subject, and its names in two columns."""
    table = _grid(file, _LISTS, len(lists), "Table Grid")
    for own, row in zip(lists, table.rows, strict=True):
        half = (len(own.lines) + 1) // 2
        title, left, right = row.cells
        _run(title.paragraphs[0], own.title, bold=True)
        for cell, lines in ((left, own.lines[:half]), (right, own.lines[half:])):
            for number, (name, remark) in enumerate(lines):
                line = cell.add_paragraph() if number else cell.paragraphs[0]
                line.paragraph_format.space_after = Pt(2)
                _run(line, name)
                if remark:
                    _run(line, f" · {remark}", color=_MUTED)
    file.add_paragraph()


def _entry(file: Docx, entry: Entry) -> None:
    head = file.add_paragraph()
    head.paragraph_format.keep_with_next = True
    _run(head, entry.title, bold=True)
    _run(head, " · ".join(["", *filter(None, (entry.place, entry.decision))]), color=_MUTED)
    file.add_paragraph(entry.text, "Quote" if entry.quoted else None)
    for name, text in entry.notes:
        note = file.add_paragraph()
        _run(note, f"{name}: ", color=_MUTED)
        _run(note, text)
