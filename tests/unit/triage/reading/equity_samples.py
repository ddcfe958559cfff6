"""A statement of equity of a company of our own making, in every format that is read."""

from __future__ import annotations

import io
from collections.abc import Sequence

from reportlab.pdfgen.canvas import Canvas

from tests.unit.documents.books import book, number, row, sheet, text
from tests.unit.triage.reading import samples

TITLE = "CONSOLIDATED STATEMENTS OF CHANGES IN STOCKHOLDERS' EQUITY"
COMPONENTS = (
    "Common stock Shares",
    "Common stock Amount",
    "Additional paid-in capital",
    "Accumulated other comprehensive loss",
    "Retained earnings",
    "Total stockholders' equity",
)
HEADS = (
    ("", "", "", "Accumulated", "", ""),
    ("", "", "Additional", "other", "", "Total"),
    ("Common stock", "", "paid-in", "comprehensive", "Retained", "stockholders'"),
    ("Shares", "Amount", "capital", "loss", "earnings", "equity"),
)
"""Line by line as they stand over the columns; the first of the third line spans two."""
YEAR_2022 = (
    ("Balance, December 31, 2021", "90", "$ 9", "$ 91", "$ (20)", "$ 290", "$ 370"),
    ("Net income", "—", "—", "—", "—", "40", "40"),
    ("Other comprehensive loss", "—", "—", "—", "(8)", "—", "(8)"),
    ("Dividends ($0.25 per share)", "—", "—", "—", "—", "(22)", "(22)"),
    ("Balance, December 31, 2022", "90", "9", "91", "(28)", "308", "380"),
)
YEAR_2023 = (
    ("Balance, December 31, 2022", "90", "$ 9", "$ 91", "$ (28)", "$ 308", "$ 380"),
    ("Net income", "—", "—", "—", "—", "65", "65"),
    ("Issuance of common stock", "10", "1", "14", "—", "—", "15"),
    ("Other comprehensive income", "—", "—", "—", "6", "—", "6"),
    ("Dividends ($0.30 per share)", "—", "—", "—", "—", "(16)", "(16)"),
    ("Balance, December 31, 2023", "100", "$ 10", "$ 105", "$ (22)", "$ 357", "$ 450"),
)
MOVEMENTS = (*YEAR_2022, *YEAR_2023[1:])
Rows = Sequence[Sequence[str]]

SHEET_TITLE = "CONSOLIDATED BALANCE SHEETS"
BALANCE_DATES = ("December 31, 2023", "December 31, 2022")


def html(rows: Rows = MOVEMENTS, *, title: str = TITLE, heads: bool = True) -> bytes:
    """A page with the balance sheet and, if there are any rows, the statement of equity."""
    balance = "".join(
        f"<tr><td>{label}</td>{''.join(f'<td>{one}</td>' for one in figures)}</tr>"
        for label, *figures in samples.BALANCE
    )
    dates = "".join(f"<td>{day}</td>" for day in BALANCE_DATES)
    page = (
        f"<p>{SHEET_TITLE}</p><p>(In millions)</p><table><tr><td></td>{dates}</tr>{balance}</table>"
    )
    if rows:
        page += f"<p>{title}</p><p>(In millions)</p>{equity_table(rows, heads=heads)}"
    return f"<html><body><p>EXAMPLE CORP</p>{page}</body></html>".encode()


def equity_table(rows: Rows, *, heads: bool = True) -> str:
    """The table alone: one name over two columns, the others broken over several lines."""
    lines = ""
    if heads:
        above = "".join(f"<td>{head}</td>" for head in COMPONENTS[2:])
        lines = f'<tr><td></td><td colspan="2">Common stock</td>{above.replace(" ", "<br>")}</tr>'
        lines += "<tr><td></td><td>Shares</td><td>Amount</td></tr>"
    for label, *figures in rows:
        lines += f"<tr><td>{label}</td>{''.join(f'<td>{one}</td>' for one in figures)}</tr>"
    return f"<table>{lines}</table>"


def pdf(rows: Rows = MOVEMENTS, *, title: Sequence[str] = (TITLE,), again: Rows = ()) -> bytes:
    """Two pages, the balance sheet and the statement of equity; `again` stands under it with the
    same heads.
    """
    out = io.BytesIO()
    page = Canvas(out, pagesize=(792, 612))
    page.setFont("Helvetica", 9)
    height = _lines(page, 570.0, ("EXAMPLE CORP", SHEET_TITLE, "(In millions)"))
    for right, day in zip((500, 620), BALANCE_DATES, strict=True):
        page.drawRightString(right, height, day)
    for label, *figures in samples.BALANCE:
        height -= 12
        page.drawString(40, height, label)
        _figures(page, height, (500, 620), figures)
    page.showPage()
    page.setFont("Helvetica", 9)
    height = _lines(page, 570.0, ("EXAMPLE CORP", *title, "(In millions)"))
    height = _panel(page, height, rows)
    if again:
        _panel(page, height - 24, again)
    page.save()
    return out.getvalue()


_RIGHTS = (300, 370, 450, 540, 620, 720)


def _panel(page: Canvas, height: float, rows: Rows) -> float:
    for heads in HEADS:
        for right, head in zip(_RIGHTS, heads, strict=True):
            if head == "Common stock":
                page.drawCentredString(right + 20, height, head)
            else:
                page.drawRightString(right, height, head)
        height -= 12
    for label, *figures in rows:
        page.drawString(40, height, label)
        _figures(page, height, _RIGHTS, figures)
        height -= 12
    return height


def _lines(page: Canvas, height: float, lines: Sequence[str]) -> float:
    for line in lines:
        page.drawCentredString(396, height, line)
        height -= 12
    return height


def _figures(page: Canvas, height: float, rights: Sequence[int], figures: Sequence[str]) -> None:
    for right, figure in zip(rights, figures, strict=True):
        if figure.startswith("$"):
            page.drawString(right - 45, height, "$")
        page.drawRightString(right, height, figure.removeprefix("$ "))


def workbook(rows: Rows = MOVEMENTS) -> bytes:
    """Two sheets: the balance sheet, and the statement of equity with its figures as numbers."""
    balance = [
        row(1, text("A1", f"{SHEET_TITLE} (In millions)")),
        row(2, *_cells(2, "", BALANCE_DATES)),
    ]
    for place, (label, *figures) in enumerate(samples.BALANCE, 3):
        balance.append(row(place, *_cells(place, label, figures)))
    equity = [row(1, text("A1", f"{TITLE} (In millions)")), row(2, *_cells(2, "", COMPONENTS))]
    for place, (label, *figures) in enumerate(rows, 3):
        equity.append(row(place, *_cells(place, label, figures)))
    return book(sheet("".join(balance)), sheet("".join(equity)))


def workbook_of(lines: Rows) -> bytes:
    shown = [
        row(place, *_cells(place, line[0], line[1:])) for place, line in enumerate(lines, 1) if line
    ]
    return book(sheet("".join(shown)))


def _cells(place: int, label: str, figures: Sequence[str]) -> list[str]:
    shown = [text(f"A{place}", label)] if label else []
    for column, figure in zip("BCDEFG", figures, strict=False):
        digits = figure.replace("$", "").replace(",", "").strip().replace("—", "0")
        digits = digits.replace("(", "-").rstrip(")")
        known = digits.lstrip("-").isdigit()
        shown.append((number if known else text)(f"{column}{place}", digits if known else figure))
    return shown


def csv(rows: Rows = MOVEMENTS) -> bytes:
    """A spreadsheet's CSV: the titles stand above, dates and names over the columns."""
    lines = [[f"{SHEET_TITLE} (In millions)"], ["As of", *BALANCE_DATES], *samples.BALANCE]
    if rows:
        lines += [[], [f"{TITLE} (In millions)"], ["", *COMPONENTS], *rows]
    width = max(map(len, lines))
    padded = [[*line, *[""] * (width - len(line))] for line in lines]
    return "\n".join(",".join(f'"{cell}"' for cell in line) for line in padded).encode()


def plain(rows: Rows = MOVEMENTS, *, title: Sequence[str] = (TITLE,)) -> bytes:
    """As mails and older filings have it, columns by spaces."""
    lines = ["EXAMPLE CORP", SHEET_TITLE, "(In millions)", ""]
    lines.append(" " * 50 + "".join(f"{day:>20}" for day in BALANCE_DATES))
    lines += [
        f"{label:<50}" + "".join(f"{one:>20}" for one in of) for label, *of in samples.BALANCE
    ]
    lines += ["", "", *title, "(In millions)", ""]
    for heads in HEADS:
        shown = "".join(f"{head:>16}" for head in heads)
        if heads[0] == "Common stock":
            shown = f"{'Common stock':>26}{'':>6}" + "".join(f"{head:>16}" for head in heads[2:])
        lines.append(" " * 32 + shown)
    lines += [f"{label:<32}" + "".join(f"{one:>16}" for one in of) for label, *of in rows]
    return "\n".join(lines).encode()
