"""Total assets that are not total liabilities and equity are flagged, whatever the judge says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import product

import pytest

from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.verdict import triage_filing
from services.triage.concepts.linear import LinearLabeller
from services.triage.domain import Dismissed, Finding, Verdict
from services.triage.reading.report import read_report
from services.triage.relations.labels import normalise
from services.triage.relations.message_format import money
from services.triage.statements.model import Filing, read_filings
from shared.documents.model.formats import CSV
from shared.documents.model.text import read_text
from tests.support import artefacts
from tests.unit.triage.filings import bent, read

UNITS = {1: "", 1_000: " (in thousands)", 1_000_000: " (in millions)"}
ROUND = (
    ("Cash", 120),
    ("Receivables", 230),
    ("Inventory", 160),
    ("Total current assets", 510),
    ("Property and equipment", 700),
    ("Total assets", 1210),
    ("Accounts payable", 310),
    ("Long-term debt", 300),
    ("Total equity", 600),
    ("Total liabilities and equity", 1210),
)
"""Ten lines of round figures that balance."""


@dataclass(frozen=True)
class Page:
    lines: tuple[tuple[str, tuple[int, ...]], ...]
    unit: int = 1

    @classmethod
    def of(cls, *lines: tuple[str, float], unit: int = 1_000) -> Page:
        return cls(tuple((label, (amount,)) for label, amount in lines), unit)  # type: ignore[misc]

    def with_line(self, place: int, column: int, amount: int) -> Page:
        label, amounts = self.lines[place]
        new = (*amounts[:column], amount, *amounts[column + 1 :])
        return replace(self, lines=(*self.lines[:place], (label, new), *self.lines[place + 1 :]))

    @property
    def days(self) -> list[str]:
        return [f"{2023 - column}-12-31" for column in range(len(self.lines[0][1]))]

    def as_json(self) -> Filing:
        """In whole units, without a word on the unit of the page."""
        rows = [
            {"label": label, "values": [amount * self.unit for amount in amounts]}
            for label, amounts in self.lines
        ]
        columns = [{"end": day.replace("-", "")} for day in self.days]
        sheet = {"statement": "balance_sheet", "columns": columns, "rows": rows}
        return read({"id": "f", "statements": [sheet]})

    def as_csv(self) -> Filing:
        head = ",".join((f"Balance Sheet{UNITS[self.unit]}", *self.days))
        body = [
            ",".join((label, *(f'"{amount:,}"' for amount in amounts)))
            for label, amounts in self.lines
        ]
        (filing,) = read_filings("\n".join([head, *body]).encode(), CSV, "f.csv")
        assert isinstance(filing, Filing)
        return filing

    def as_text(self) -> Filing:
        heads = "".join(f"{day[:4]:>16}" for day in self.days)
        lines = ["Example Corp.", "Consolidated Balance Sheets", UNITS[self.unit].strip(), ""]
        lines += [f"{'':46}{heads}"]
        lines += [
            f"{label:<46}" + "".join(f"{amount:>16,}" for amount in amounts)
            for label, amounts in self.lines
        ]
        text = read_text("\n".join(lines).encode(), "text/plain")
        return read_report(text, b"", "f", usual_lines=labeller().usual_lines).filing


@cache
def labeller() -> LinearLabeller:
    return LinearLabeller.load(artefacts())


FORMS = {"json": Page.as_json, "csv": Page.as_csv, "text": Page.as_text}


def findings_naming(verdict: Verdict, assets: float, claims: float) -> list[Finding]:
    one, other = Decimal(str(assets)), Decimal(str(claims))
    amounts = (money(one), money(other), f"a difference of {money(one - other)}.")
    return [f for f in verdict.findings if all(amount in f.message for amount in amounts)]


def unbalanced(verdict: Verdict) -> list[Finding]:
    return [
        finding
        for finding in verdict.findings
        if finding.check == "balance_equation" or "Total assets' on the" in finding.message
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("claims", [1201, 1200, 1211])
def test_ten_lines_of_round_figures_that_do_not_balance(
    claims: int, form: str, shipped: BreakClassifier
) -> None:
    page = Page.of(*ROUND[:-1], (ROUND[-1][0], claims))
    filing = FORMS[form](page)
    for verdict in (triage_filing(filing, shipped), triage_filing(filing)):
        assert verdict.flagged
        (finding,) = findings_naming(verdict, 1_210_000, claims * 1_000)
        assert {cell.row for cell in finding.cells} >= {5, 9}
        assert finding.confidence <= verdict.risk
    assert not triage_filing(FORMS[form](Page.of(*ROUND)), shipped).flagged


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(("place", "wrong"), [(4, 1201), (9, 1201), (9, 1120)])
def test_the_total_whose_own_lines_do_not_add_up_is_blamed(
    place: int, wrong: int, unit: int, shipped: BreakClassifier
) -> None:
    lines = (
        ("Cash", (120, 100)),
        ("Receivables", (230, 210)),
        ("Inventory", (160, 150)),
        ("Property and equipment", (700, 680)),
        ("Total assets", (1210, 1140)),
        ("Accounts payable", (300, 290)),
        ("Debt", (400, 380)),
        ("Total liabilities", (700, 670)),
        ("Shareholders' equity", (510, 470)),
        ("Total liabilities and equity", (1210, 1140)),
    )
    page = Page(lines, unit).with_line(place, 0, wrong)
    for form in FORMS.values():
        (finding,) = triage_filing(form(page), shipped).findings
        assert (finding.row, finding.expected) == (place, Decimal(1210 * unit))


def test_a_correction_that_breaks_a_sum_is_no_advice(shipped: BreakClassifier) -> None:
    equity = (*ROUND[:-2], ("Total equity", 591), (ROUND[-1][0], 1201))  # both sides add up
    (finding,) = triage_filing(Page.of(*equity).as_csv(), shipped).findings
    assert "so another amount may be wrong" in finding.message
    (finding,) = triage_filing(Page.of(*ROUND[:-1], (ROUND[-1][0], 1201)).as_csv()).findings
    assert "another amount may be wrong" not in finding.message


def test_a_last_line_with_a_long_label_belongs_to_the_table(shipped: BreakClassifier) -> None:
    """Its figure is one space after the label, in the column."""
    labels = max(len(label) for label, _ in ROUND)
    lines = ["Balance Sheet (in thousands)", "December 31, 2023", ""]
    lines += [f"{label:<{labels}}{amount:>6,}" for label, amount in ROUND[:-1]]
    lines += [f"{ROUND[-1][0]} 1,201"]
    report = read_report(read_text("\n".join(lines).encode(), "text/plain"), b"", "f")
    assert findings_naming(triage_filing(report.filing, shipped), 1_210_000, 1_201_000)


def drawn() -> Iterator[tuple[Page, Page, str]]:
    """Sixty sheets of 4 to 12 lines that balance, each with a misprinted copy and the form to read
    them in.

    In the copy, a digit of one total differs, or two digits are exchanged.
    """
    cases = product(UNITS, ((1,), (10, 100)), ("changed", "exchanged"), range(5))
    for number, (unit, grains, how, _) in enumerate(cases):
        draw = random.Random(number)
        sound = balanced(draw, unit, draw.choice(grains))
        places = [i for i, (label, _) in enumerate(sound.lines) if label in GRAND]
        place = draw.choice(places)
        column = draw.randrange(len(sound.days))
        wrong = misprinted(draw, sound.lines[place][1][column], how)
        yield sound, sound.with_line(place, column, wrong), draw.choice([*FORMS])


CLAIMS = ("Total liabilities and equity", "Total liabilities & shareholders' equity")
GRAND = ("Total assets", *CLAIMS)


def balanced(draw: random.Random, unit: int, grain: int) -> Page:
    columns = []
    for _ in range(draw.choice((1, 2))):
        cash, due, goods, plant, rights = (draw.randint(12, 900) * grain for _ in range(5))
        current = cash + due + goods
        total = current + plant + rights
        payable, debt = (draw.randint(1, total // grain // 3) * grain for _ in range(2))
        columns.append([cash, due, goods, current, plant, rights, total, payable, debt,
                        payable + debt, total - payable - debt, total])  # fmt: skip
    labels = ["Cash", "Receivables", "Inventory", "Total current assets", "Property and equipment",
              "Goodwill", "Total assets", "Accounts payable", "Long-term debt",
              "Total liabilities", "Total equity", draw.choice(CLAIMS)]  # fmt: skip
    lines = list(zip(labels, zip(*columns, strict=True), strict=True))
    others = [label for label in labels if label not in GRAND]
    shown = {*draw.sample(others, draw.randint(2, len(others))), *GRAND}
    return Page(tuple(line for line in lines if line[0] in shown), unit)


def misprinted(draw: random.Random, amount: int, how: str) -> int:
    digits = list(str(amount))
    while True:
        new = digits[:]
        one, other = draw.sample(range(len(digits)), 2)
        if how == "exchanged" and len(set(digits)) > 1:
            new[one], new[other] = new[other], new[one]
        else:
            new[one] = draw.choice("0123456789")
        if new != digits and new[0] != "0":
            return int("".join(new))


def test_every_misprinted_total_is_flagged_with_both_totals(shipped: BreakClassifier) -> None:
    tried, sizes = 0, set()
    for sound, wrong, form in drawn():
        place = next(i for i, (label, _) in enumerate(wrong.lines) if label == "Total assets")
        pairs = zip(wrong.lines[place][1], wrong.lines[-1][1], strict=True)
        ((assets, claims),) = [(a * wrong.unit, b * wrong.unit) for a, b in pairs if a != b]
        for classifier in (shipped, None):
            verdict = triage_filing(FORMS[form](wrong), classifier)
            assert verdict.flagged, (form, wrong)
            assert len(findings_naming(verdict, assets, claims)) == 1, (form, wrong)
            assert not unbalanced(triage_filing(FORMS[form](sound), classifier)), (form, sound)
        tried += 1
        sizes.add(len(wrong.lines))
    assert tried == 60
    assert {4, 12} <= sizes


def test_a_total_finer_than_the_page_is_the_same_amount(shipped: BreakClassifier) -> None:
    amounts = (6855.5, 9914.8, 12104.1, 5666.2)
    lines = [(f"Line {n}", (int(amount * 1_000) * 1_000,) * 2) for n, amount in enumerate(amounts)]
    total, finer = 17_770_300_000, 17_770_264_000
    page = Page((*lines[:2], ("Total assets", (finer, total)), *lines[2:],
                 ("Total liabilities and stockholders' equity", (total, total))))  # fmt: skip
    for classifier in (shipped, None):
        assert not unbalanced(triage_filing(page.as_json(), classifier))
    off = page.with_line(2, 0, total - 100_000)
    assert findings_naming(triage_filing(off.as_json(), shipped), total - 100_000, total)


@pytest.mark.parametrize(
    ("lines", "pair"),
    [
        ([("Total liabilities and equity", 1201), ("Cash", 1210), ("Total assets", 1210)], (2, 0)),
        ([("Cash", 1210), ("TOTAL", 1210), ("Debt", 1201), ("TOTAL", 1201)], (1, 3)),
        ([("Cash", 1210), ("Total assets", 1210), ("Debt", 800),
          ("Total shareholders' equity and liabilities", 1201)], (1, 3)),
        ([("Cash", 1210), ("Total assets", 1210), ("Total liabilities and net assets", 1201)],
         (1, 2)),
        ([("Cash", 7), ("Total assets", 7), ("Total liabilities and equity", 7),
          ("Total assets", 1210), ("Total liabilities and equity", 1201)], (3, 4)),
    ],
    ids=["the other way round", "both called total", "equity first", "net assets", "two parts"],
)  # fmt: skip
def test_the_totals_are_known_however_the_page_shows_them(
    lines: list[tuple[str, int]], pair: tuple[int, int], shipped: BreakClassifier
) -> None:
    page = Page.of(*lines)
    for classifier in (shipped, None):
        verdict = triage_filing(page.as_json(), classifier)
        assert verdict.flagged
        (finding,) = findings_naming(verdict, 1_210_000, 1_201_000)
        assert {cell.row for cell in finding.cells} >= set(pair)
        mended = page.with_line(pair[1], 0, 1210)
        assert not unbalanced(triage_filing(mended.as_json(), classifier))


def test_totals_in_cents_are_compared_too(shipped: BreakClassifier) -> None:
    page = Page.of(("Cash", 812.4), ("Total assets", 812.4), ("Debt", 12.4),
                   ("Total liabilities and net assets", 821.4), unit=1)  # fmt: skip
    verdict = triage_filing(page.as_json(), shipped)
    assert verdict.flagged
    assert findings_naming(verdict, 812.4, 821.4)


@pytest.mark.parametrize(
    "lines",
    [
        [("Cash", 500), ("Plant", 710), ("Total assets", 1210), ("Payables", 300), ("Debt", 100),
         ("Total", 400), ("Claims and capital", 1210)],
        [("Cash", 500), ("Stock", 100), ("Total", 600), ("Plant", 610), ("Total assets", 1210)],
        [("Total assets", 7), ("Total liabilities and equity", 7), ("Total assets", 1210)],
    ],
    ids=["a total of liabilities alone", "a total above", "a part without the other side"],
)  # fmt: skip
def test_what_is_no_total_of_the_other_side_is_not_held_against_assets(
    lines: list[tuple[str, int]], shipped: BreakClassifier
) -> None:
    for classifier in (shipped, None):
        assert not unbalanced(triage_filing(Page.of(*lines).as_json(), classifier))


def test_a_total_that_another_relation_blames_as_well_is_shown_beside_the_other_side() -> None:
    filing = read(bent("balance_sheet", "Total assets", 0, 14328))
    (finding,) = triage_filing(filing).findings
    assert finding.check == "balance_sheet_sums"
    both = "'Total assets' on the balance sheet (2023-12-31) is 14,328,000,000, but "
    assert both in finding.message
    assert "is 14,382,000,000: a difference of -54,000,000." in finding.message


def test_totals_whose_columns_changed_places_are_flagged(shipped: BreakClassifier) -> None:
    swapped = read(bent("balance_sheet", "Total assets", 0, 13824))
    (sheet, *others) = swapped.statements
    place = next(i for i, row in enumerate(sheet.rows) if normalise(row.label) == "total assets")
    row = replace(sheet.rows[place], values=(sheet.rows[place].values[0], Decimal(14382000000)))
    rows = (*sheet.rows[:place], row, *sheet.rows[place + 1 :])
    filing = replace(swapped, statements=(replace(sheet, rows=rows), *others))
    for classifier in (replace(shipped, forest=lambda rows: rows[:, 0] * 0), None):
        verdict = triage_filing(filing, classifier)
        assert verdict.flagged
        assert any(f.check == "swapped_columns" and f.row == place for f in verdict.findings)


def test_a_difference_that_was_dismissed_flags_nothing(shipped: BreakClassifier) -> None:
    page = Page.of(("Cash", 1213), ("Total assets", 1213), ("Total liabilities and equity", 1231))
    filing = page.as_json()
    word = Dismissed("the page has it so", "ann", datetime(2024, 5, 2, tzinfo=UTC), "d", "r")
    for classifier in (shipped, None):
        verdict = triage_filing(
            filing,
            classifier,
            lambda finding: word if finding.check == "balance_equation" else None,
        )
        assert not verdict.flagged
        assert [one.check for one in verdict.findings if one.dismissed] == ["balance_equation"]
