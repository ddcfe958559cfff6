"""The quarter and the year to date are both read, however a page prints them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pytest
from reportlab.pdfgen.canvas import Canvas

from services.triage.checks.verdict import triage_filing
from services.triage.reading.reader import ReadStatement, find_statements
from services.triage.reading.report import read_report
from services.triage.statements.model import Column
from shared.documents import read
from tests.unit.triage.reading.test_reader import only, values

Lines = tuple[tuple[str, ...], ...]

QUARTER: Lines = (
    ("Net sales", "1,500", "1,250"),
    ("Cost of sales", "900", "800"),
    ("Gross profit", "600", "450"),
    ("Selling, general and administrative (SG&A)", "350", "300"),
    ("Income before income taxes", "250", "150"),
    ("Provision for income taxes", "50", "30"),
    ("Net income", "$ 200", "$ 120"),
    ("Diluted earnings per share", "$ 0.92", "$ 0.56"),
    ("Weighted average shares, diluted", "200.4", "200.1"),
)
HALF: Lines = (
    ("Net sales", "2,900", "2,450"),
    ("Cost of sales", "1,760", "1,570"),
    ("Gross profit", "1,140", "880"),
    ("SG&A", "690", "600"),
    ("Gain on sale of a business", "40", ""),
    ("Income before income taxes", "490", "280"),
    ("Provision for income taxes", "90", "60"),
    ("Net income", "$ 400", "$ 220"),
    ("Diluted earnings per share", "$ 1.64", "$ 1.04"),
    ("Weighted average shares, diluted", "200.2", "200.0"),
)
TITLE = "CONSOLIDATED STATEMENTS OF INCOME"
UNIT = "(In thousands, except per share amounts)"
HEADS = ("Three Months Ended June 30,", "Six Months Ended June 30,")
Q, H = Column("20230630", 1), Column("20230630", 2)


def blocks() -> list[Lines]:
    years = ("2023", "2022")
    return [((head, *years), *lines) for head, lines in zip(HEADS, (QUARTER, HALF), strict=True)]


def with_shares(lines: Lines) -> Lines:
    """Lines with a column of percentages after each amount."""
    shown: list[tuple[str, ...]] = [(lines[0][0], "2023", "% to sales", "2022", "% to sales")]
    for label, *figures in lines[1:]:
        percent = ["" if " share" in label or not figure else "12.5%" for figure in figures]
        shown.append((label, figures[0], percent[0], figures[1], percent[1]))
    return tuple(shown)


def html(parts: Sequence[Lines], *, tables: int = 2) -> bytes:
    rows = [
        "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in part)
        for part in parts
    ]
    above = f"<p>{TITLE}</p><p>{UNIT}</p>"
    grids = rows if tables > 1 else ["".join(rows)]
    return f"<html>{''.join(f'{above}<table>{grid}</table>' for grid in grids)}</html>".encode()


def text(parts: Sequence[Lines], *, title: bool = False) -> bytes:
    lines = ["EXAMPLE CORP", "", TITLE, UNIT, ""]
    for number, part in enumerate(parts):
        lines += [TITLE, ""] if number and title else []
        lines += [f"{line[0]:<44}" + "".join(f"{c:>14}" for c in line[1:]) for line in part]
        lines.append("")
    return "\n".join(lines).encode()


def pdf(parts: Sequence[Lines]) -> bytes:
    out = io.BytesIO()
    page = Canvas(out, pagesize=(612, 792))
    page.setFont("Helvetica", 8)
    page.drawCentredString(306, 740, TITLE)
    page.drawCentredString(306, 728, UNIT)
    height = 716
    for part in parts:
        for label, *figures in part:
            page.drawString(40, height, label)
            for number, figure in enumerate(figures):
                page.drawRightString(300 + 70 * number, height, figure)
            height -= 12
        height -= 12
    page.save()
    return out.getvalue()


MAKERS: dict[str, tuple[Callable[[Sequence[Lines]], bytes], str]] = {
    "two tables": (html, "a.html"),
    "one table": (lambda parts: html(parts, tables=1), "a.html"),
    "text": (text, "a.txt"),
    "text with two titles": (lambda parts: text(parts, title=True), "a.txt"),
    "pdf": (pdf, "a.pdf"),
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("shares", [False, True], ids=["plain", "with percentages"])
def test_both_durations_are_the_columns_of_one_statement(maker: str, shares: bool) -> None:
    make, name = MAKERS[maker]
    parts = blocks()
    statement = only(make([with_shares(part) for part in parts] if shares else parts), name)
    assert statement.columns == (Q, Column("20220630", 1), H, Column("20220630", 2))
    assert values(statement, "Net sales") == [1.5e6, 1.25e6, 2.9e6, 2.45e6]
    assert values(statement, QUARTER[3][0]) == [350e3, 300e3, 690e3, 600e3]
    assert values(statement, "Gain on sale of a business") == [None, None, 40e3, None]
    assert values(statement, "Diluted earnings per share") == [0.92, 0.56, 1.64, 1.04]
    assert values(statement, "Weighted average shares, diluted")[0] == 200_400


def statement_of(data: bytes, name: str) -> ReadStatement:
    return next(s for s in find_statements(read(data, name=name)).statements if s.kind == "income")


@pytest.mark.parametrize(
    ("head", "second"),
    [
        ("Years Ended June 30,", HALF[:4] + (("Net income of Sub", "1", "2"),) * 8),
        ("Three Months Ended June 30,", HALF),
        ("Six Months Ended May 31,", HALF),
    ],
    ids=["other lines", "the same duration", "other days"],
)
def test_another_statement_adds_no_columns(head: str, second: Lines) -> None:
    parts = [blocks()[0], ((head, "2023", "2022"), *second)]
    assert len(statement_of(html(parts), "a.html").columns) == 2


RENAMED: Lines = tuple((f"Group {label.lower()}", *amounts) for label, *amounts in HALF)


@pytest.mark.parametrize(
    ("title", "head", "second", "unread"),
    [
        (TITLE, HEADS[1], HALF, False),
        (TITLE, HEADS[1], RENAMED, True),
        (TITLE, HEADS[0], HALF, True),
        (TITLE, "Six Months Ended May 31,", HALF, True),
        ("STATEMENTS OF INCOME (PARENT COMPANY ONLY)", "Years Ended June 30,", HALF, True),
        ("AMOUNTS OF A JOINT VENTURE IN THE STATEMENTS OF INCOME", HEADS[0], HALF[:8], False),
        ("SELECTED STATEMENTS OF INCOME DATA", HEADS[0], HALF, False),
    ],
    ids=["joined", "other names of lines", "same duration", "other days", "parent", "note", "data"],
)
def test_a_further_statement_that_is_not_read_is_named(
    title: str, head: str, second: Lines, unread: bool
) -> None:
    first, other = blocks()[0], ((head, "2023", "2022"), *second)
    data = html([first]) + html([other]).replace(TITLE.encode(), title.encode())
    filing = read_report(read(data, name="a.html"), data, "a.html").filing
    assert filing.unread == (("income",) if unread else ())
    assert any(f"the table {title!r}" in one for one in filing.warnings) == unread
    coverage = triage_filing(filing).coverage
    assert ("Another income statement was not read." in coverage.summary) == unread
    assert coverage.to_json()["unread"] == (["income"] if unread else [])


def test_a_statement_below_another_one_is_apart() -> None:
    sheet = (("", "2023", "2022"), ("Cash", "40", "30"), ("Receivables", "60", "70"),
             ("Total current assets", "100", "100"), ("Property", "500", "400"),
             ("Total assets", "600", "500"), ("Accounts payable", "150", "120"),
             ("Total liabilities", "150", "120"), ("Total equity", "450", "380"),
             ("Total liabilities and equity", "600", "500"))  # fmt: skip
    data = pdf([blocks()[0], (("CONSOLIDATED BALANCE SHEETS",), *sheet)])
    found = {s.kind: s for s in find_statements(read(data, name="a.pdf")).statements}
    assert set(found) == {"income", "balance_sheet"}
    assert len(found["income"].rows) == len(QUARTER)
    assert values(found["balance_sheet"], "Total assets") == [600e3, 500e3]
    assert found["balance_sheet"].columns == (Column("20230630", 0), Column("20220630", 0))


@pytest.mark.parametrize("name", ["a.html", "a.txt", "a.pdf"])
def test_a_column_of_percentages_is_named_and_left_out(name: str) -> None:
    make = {"a.html": html, "a.txt": text, "a.pdf": pdf}[name]
    data = make([with_shares(blocks()[0])])
    reading = read(data, name=name)
    report = read_report(reading, data, name)
    (statement,) = report.statements
    assert statement.columns == (Q, Column("20220630", 1))
    assert any("is left out: it is not a period" in warning for warning in report.filing.warnings)
