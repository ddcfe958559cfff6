"""The statements of a company of our own making, written in every format that is read."""

from __future__ import annotations

import io
from collections.abc import Sequence

from reportlab.pdfgen.canvas import Canvas

from tests.unit.documents.books import book, number, row, sheet, text

Cell = str
Table = Sequence[Sequence[Cell]]

HEAD = (
    "EXAMPLE CORP\nCONSOLIDATED STATEMENTS OF OPERATIONS\n(In millions, except per share amounts)"
)
INCOME: Table = (
    ("Revenue:", "", ""),
    ("Products", "$ 1,200", "$ 1,000"),
    ("Services", "300", "250"),
    ("Total revenue", "1,500", "1,250"),
    ("Cost of revenue", "900", "(800)"),
    ("Other expense, net", "(50)", "—"),
    ("Income before income taxes", "550", "450"),
    ("Provision for income taxes (1)", "110", "90"),
    ("Net income", "$ 440", "$ 360"),
    ("Earnings per share:", "", ""),
    ("Basic", "$ 2.20", "$ 1.80"),
    ("Weighted average shares outstanding:", "", ""),
    ("Basic", "200", "200"),
)
BALANCE: Table = (
    ("Cash", "$ 40", "$ 30"),
    ("Accounts receivable", "60", "70"),
    ("Total current assets", "100", "100"),
    ("Property", "500", "400"),
    ("Total assets", "$ 600", "$ 500"),
    ("Accounts payable", "$ 150", "$ 120"),
    ("Total liabilities", "150", "120"),
    ("Retained earnings", "450", "380"),
    ("Total stockholders' equity", "450", "380"),
    ("Total liabilities and stockholders' equity", "$ 600", "$ 500"),
)
CASH: Table = (
    ("Net income", "$ 440", "$ 360"),
    ("Depreciation", "100", "90"),
    ("Net cash from operating activities", "540", "450"),
    ("Purchases of property", "(200)", "(150)"),
    ("Net cash used in investing activities", "(200)", "(150)"),
    ("Dividends paid", "(330)", "(290)"),
    ("Net cash used in financing activities", "(330)", "(290)"),
    ("Net increase in cash", "10", "10"),
    ("Cash at beginning of year", "30", "20"),
    ("Cash at end of year", "$ 40", "$ 30"),
)


def bent(rows: Table = INCOME) -> Table:
    """Total revenue with one digit that differs: 1,200 and 300 make 1,500."""
    return [
        (label, "1,590", figures[1]) if label == "Total revenue" else (label, *figures)
        for label, *figures in rows
    ]


def html(rows: Table = INCOME, head: str = HEAD) -> bytes:
    """A page as filers write it: currency signs and closing parentheses in separate cells."""
    lines = "".join(f"<p>{line}</p>" for line in head.splitlines())
    over = '<tr><td></td><td colspan="6">Year ended June 30,</td></tr>'
    years = '<tr><td></td><td colspan="3">2023</td><td colspan="3">2022</td></tr>'
    body = "".join(
        f"<tr><td>{label}</td>{_apart(first)}{_apart(second)}</tr>" for label, first, second in rows
    )
    return f"<html><body>{lines}<table>{over}{years}{body}</table></body></html>".encode()


def _apart(figure: Cell) -> str:
    currency = "$" if figure.startswith("$") else ""
    digits = figure.removeprefix("$ ")
    closing = ")" if digits.endswith(")") else ""
    return f"<td>{currency}</td><td>{digits.removesuffix(')')}</td><td>{closing}</td>"


_SPACES = {
    "": "http://www.w3.org/1999/xhtml",
    ":ix": "http://www.xbrl.org/2013/inlineXBRL",
    ":xbrli": "http://www.xbrl.org/2003/instance",
    ":iso4217": "http://www.xbrl.org/2003/iso4217",
    ":us-gaap": "http://fasb.org/us-gaap/2023",
}


def inline(rows: Table = INCOME, head: str = HEAD) -> bytes:
    """The same page as inline XBRL: every amount is tagged, in millions, its id is `f` and line and
    column from 0.
    """
    contexts = "".join(
        f'<xbrli:context id="c{place}"><xbrli:entity><xbrli:identifier scheme="x">1'
        f"</xbrli:identifier></xbrli:entity><xbrli:period><xbrli:startDate>{year - 1}-07-01"
        f"</xbrli:startDate><xbrli:endDate>{year}-06-30</xbrli:endDate></xbrli:period>"
        "</xbrli:context>"
        for place, year in enumerate((2023, 2022))
    )
    unit = '<xbrli:unit id="u"><xbrli:measure>iso4217:USD</xbrli:measure></xbrli:unit>'
    spaces = " ".join(f'xmlns{prefix}="{space}"' for prefix, space in _SPACES.items())
    top = f"<html {spaces}><body><ix:header><ix:hidden/><ix:resources>{contexts}{unit}"
    tagged = [
        (label, *(_tagged(figure, line, column) for column, figure in enumerate(figures)))
        for line, (label, *figures) in enumerate(rows)
    ]
    page = html(tagged, head).decode()
    return page.replace("<html><body>", f"{top}</ix:resources></ix:header>").encode()


def _tagged(figure: Cell, line: int, column: int) -> Cell:
    """The digits of a figure within its tag; what stands around them is not part of it."""
    digits = figure.strip("$ ()")
    if not digits.strip("—"):
        return figure
    sign = ' sign="-"' if "(" in figure else ""
    return figure.replace(
        digits,
        f'<ix:nonFraction name="us-gaap:Line{line}" contextRef="c{column}" unitRef="u" scale="6" '
        f'decimals="-6" id="f{line}-{column}"{sign}>{digits.replace(",", "")}</ix:nonFraction>',
    )


def workbook(rows: Table = INCOME) -> bytes:
    """One sheet with the same, its figures as numbers."""
    lines = [
        row(1, text("A1", "CONSOLIDATED STATEMENTS OF OPERATIONS (In millions)")),
        row(2, text("A2", "Year ended"), text("B2", "June 30, 2023"), text("C2", "June 30, 2022")),
    ]
    for place, (label, *figures) in enumerate(rows, 3):
        cells = [
            number(f"{column}{place}", _plain(figure))
            for column, figure in zip("BC", figures, strict=True)
            if figure
        ]
        lines.append(row(place, text(f"A{place}", label), *cells))
    return book(sheet("".join(lines)))


def _plain(figure: Cell) -> str:
    digits = figure.replace("$", "").replace(",", "").strip()
    return "0" if digits == "—" else digits.replace("(", "-").rstrip(")")


def plain(rows: Table = INCOME, head: str = HEAD) -> bytes:
    """The same as mails and older filings have it: columns by spaces, leaders, rules."""
    lines = [*head.splitlines(), "", f"{'Year ended June 30,':<44}{'2023':>12}{'2022':>12}", ""]
    for label, first, second in rows:
        shown = f"{label} ".ljust(44, ".") if first else label
        lines.append(f"{shown}{first:>12}{second:>12}".rstrip())
        if label.startswith("Total"):
            lines.append(f"{'':<44}{'-------':>12}{'-------':>12}")
    return "\n".join(lines).encode()


def pdf(rows: Table = INCOME, head: str = HEAD, *, broken_label: bool = False) -> bytes:
    """One page of it; with `broken_label` the longest label runs over two lines."""
    out = io.BytesIO()
    page = Canvas(out, pagesize=(612, 792))
    page.setFont("Helvetica", 9)
    height = 740.0
    for line in head.splitlines():
        page.drawCentredString(306, height, line)
        height -= 12
    page.drawCentredString(480, height, "Year ended June 30,")
    height -= 12
    page.drawRightString(450, height, "2023")
    page.drawRightString(550, height, "2022")
    for label, *figures in rows:
        height -= 12
        if broken_label and label.startswith("Income before"):
            page.drawString(40, height, "Income from all that the company does in the world")
            height -= 12
            label = "before income taxes"
        page.drawString(40, height, label)
        for right, figure in zip((450, 550), figures, strict=True):
            if figure.startswith("$"):
                page.drawString(right - 60, height, "$")
            page.drawRightString(right, height, figure.removeprefix("$ "))
    page.save()
    return out.getvalue()
