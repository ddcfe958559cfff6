"""A filing against the earlier ones of its company: slips are found, restatements reported."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from services.triage.checks.verdict import FLAGGED
from services.triage.domain import Verdict
from services.triage.history import CONFIDENCE, KEPT, History, PriorAmount, with_history
from tests.unit.triage.filings import find_row, millions, read, record, statement_of, verdict


def a_year_later(of: dict[str, Any] | None = None) -> dict[str, Any]:
    """The filing of the year after: each statement has a new first column, and the last is gone."""
    filing = copy.deepcopy(of or record())
    filing |= {"id": "f2", "period": "20241231"}
    for statement in filing["statements"]:
        first = statement["columns"][0]
        year = str(int(first["end"][:4]) + 1)
        statement["columns"] = [{**first, "end": f"{year}1231"}, *statement["columns"][:-1]]
        for line in statement["rows"]:
            now, *_ = line["values"]
            line["values"] = [now and now * 2, *line["values"][:-1]]
    return filing


def history(*records: dict[str, Any]) -> History:
    found = History()
    for one in records:
        assert found.add(read(one))
    return found


def judged(filing: dict[str, Any], known: History) -> Verdict:
    one = read(filing)
    return with_history(one, verdict(filing), known.before(one), FLAGGED)


def test_what_agrees_changes_nothing() -> None:
    later = a_year_later()
    alone = verdict(later)
    assert judged(later, history(record())) == alone
    assert judged(later, history(later)) == alone
    assert judged(later, history({**record(), "company": "Another Corp"})) == alone
    assert judged(record(), history(later)) == verdict(record())


@pytest.mark.parametrize(
    ("amount", "cause"), [(2719 * 2, "another column"), (2791, "swapped"), (2.719, "thousand")]
)
def test_a_slip_in_an_earlier_period_is_found(amount: float, cause: str) -> None:
    later = a_year_later()
    part, row = find_row(later, "balance_sheet", "Accounts receivable, net")
    part["rows"][row]["values"][1] = int(amount * 1_000_000)
    result = judged(later, history(record()))
    (finding,) = [f for f in result.findings if "the earlier filing f1 has 2,719," in f.message]
    assert cause in finding.message
    assert result.flagged
    assert finding.confidence >= CONFIDENCE
    assert (finding.statement, finding.row, finding.column) == ("balance_sheet", row, 1)
    assert finding.expected == 2_719_000_000


def test_a_slip_that_breaks_no_sum_is_a_separate_finding() -> None:
    later = a_year_later()
    for filing in (first := record(), later):
        for statement in filing["statements"]:
            statement["rows"] = [line for line in statement["rows"] if "otal" not in line["label"]]
    part, row = find_row(later, "balance_sheet", "Goodwill")
    part["rows"][row]["values"][1] = 2_161_000_000
    result = judged(later, history(first))
    (finding,) = [f for f in result.findings if f.check == "earlier_filing"]
    assert finding.row == row
    assert (finding.expected, finding.reported) == (millions(2116), millions(2161))
    assert result.flagged
    assert result.risk == CONFIDENCE


def test_a_restatement_is_a_warning_and_flags_nothing() -> None:
    later = a_year_later()
    part, row = find_row(later, "balance_sheet", "Accounts receivable, net")
    _, other = find_row(later, "balance_sheet", "Inventories")
    part["rows"][row]["values"][1] -= 137_000_000
    part["rows"][other]["values"][1] += 137_000_000
    result = judged(later, history(record()))
    assert not result.flagged
    (warning,) = result.warnings
    assert warning.startswith("balance_sheet (2023-12-31): 2 of 16 lines differ from f1")
    assert "'Accounts receivable, net', 'Inventories'" in warning


def test_any_earlier_filing_may_have_it_so() -> None:
    restated = a_year_later()
    part, row = find_row(restated, "balance_sheet", "Accounts receivable, net")
    part["rows"][row]["values"][1] += 72_000_000
    last = a_year_later(restated)
    last |= {"id": "f3"}
    known = history(record(), restated)
    assert judged(last, known) == verdict(last)


def test_columns_that_share_few_lines_are_not_compared() -> None:
    later = a_year_later()
    later["statements"] = [s for s in later["statements"] if s["statement"] == "income"]
    for column in later["statements"][0]["columns"]:
        del column["quarters"]
    later["statements"][0]["rows"][0]["values"][1] += 5_000_000
    assert judged(later, history(record())).warnings == ()


def test_a_dozen_filings_of_a_company_are_kept_and_none_without_one() -> None:
    known = History()
    assert not known.add(read({**record(), "company": None}))
    one = record()
    for n in range(2 * KEPT):
        one = {**a_year_later(one), "id": f"f{n}"}
        known.add(read(one))
    (kept,) = known.of_filer.values()
    assert [k.filing for k in kept] == [f"f{n}" for n in range(2 * KEPT - 1, KEPT - 1, -1)]


def test_a_break_names_the_amount_of_the_earlier_filing() -> None:
    later = a_year_later()
    part, row = find_row(later, "balance_sheet", "Accounts receivable, net")
    part["rows"][row]["values"][1] = 2_513_000_000
    result = judged(later, history(record()))
    (finding,) = [f for f in result.findings if (f.statement, f.row) == ("balance_sheet", row)]
    assert finding.expected == 2_719_000_000
    known = "The earlier filing f1 has 2,719,000,000 there, the amount expected here."
    assert finding.message.endswith(known)
    assert known not in "".join(f.message for f in verdict(later).findings)


def test_the_earlier_filing_is_named_with_its_document_and_the_period() -> None:
    later = a_year_later()
    part, row = find_row(later, "income", "Net sales")
    part["rows"][row]["values"][1] /= 1000
    one = read(later)
    earlier = [PriorAmount.of(read(record()), "doc_1")]
    result = with_history(one, verdict(later), earlier, FLAGGED)
    text = " ".join(finding.message for finding in result.findings)
    assert "(12 months to 2023-12-31)" in text
    assert "the earlier filing f1 (document doc_1) has" in text


def scaled(filing: dict[str, Any], power: int, statement: str, column: int | None) -> None:
    """Put amounts of a statement into another unit, of one column or of all."""
    part = statement_of(filing, statement)
    for line in part["rows"]:
        if "per share" not in line["label"]:
            line["values"] = [
                value if value is None or column not in (None, c) else value * 10**power
                for c, value in enumerate(line["values"])
            ]


@pytest.mark.parametrize(("power", "words"), [(3, "1,000 times larger"), (6, "1,000,000 times")])
def test_a_column_in_another_unit_is_one_finding(power: int, words: str) -> None:
    later = a_year_later()
    scaled(later, power, "balance_sheet", 1)
    result = judged(later, history(record()))
    (finding,) = [f for f in result.findings if f.check == "earlier_filing_scale"]
    assert result.flagged
    assert (finding.statement, finding.row, finding.column) == ("balance_sheet", None, 1)
    assert finding.message.startswith("16 of the 16 lines of this column (2023-12-31) that")
    assert words in finding.message
    assert finding.expected == 14_382_000_000
    assert finding.reported == 14_382_000_000 * 10**power
    assert "The other columns of the statement are of another size." in finding.message
    assert len(finding.cells) == 16
    assert not [w for w in result.warnings if "differ from" in w]


def test_a_whole_filing_in_another_unit_is_one_finding() -> None:
    later = a_year_later()
    for statement in later["statements"]:
        for line in statement["rows"]:
            if "per share" not in line["label"]:
                line["values"] = [v if v is None else v // 1_000_000 for v in line["values"]]
    result = judged(later, history(record()))
    (finding,) = [f for f in result.findings if f.check == "earlier_filing_scale"]
    assert "1,000,000 times smaller than there" in finding.message
    assert "The other columns of the statement are of the size of this one." in finding.message
    assert "So are those of " in finding.message
    assert "cash_flow (12 months to 2023-12-31)" in finding.message


def test_a_statement_in_another_unit_is_no_second_finding() -> None:
    later = a_year_later()
    scaled(later, 3, "income", None)
    alone = verdict(later)
    (before,) = [f for f in alone.findings if f.check == "statement_scale"]
    result = judged(later, history(record()))
    (finding,) = [f for f in result.findings if f.check == "statement_scale"]
    assert finding.message.startswith(before.message)
    assert "1,000 times larger than there" in finding.message
    assert "earlier_filing_scale" not in {f.check for f in result.findings}


def test_what_was_rounded_to_the_larger_unit_is_of_that_unit() -> None:
    first, later = record(), a_year_later()
    for line in first["statements"][0]["rows"]:
        line["values"] = [v and v + 123_000 for v in line["values"]]
    scaled(later, 0, "balance_sheet", None)
    for line in later["statements"][0]["rows"]:
        line["values"] = [v and v // 1_000_000 for v in line["values"]]
    result = judged(later, history(first))
    assert "earlier_filing_scale" in {f.check for f in result.findings}


def test_a_part_of_a_column_is_no_unit() -> None:
    later = a_year_later()
    rows = later["statements"][0]["rows"]
    for line in rows[1:9]:
        line["values"][1] *= 1_000
    result = judged(later, history(record()))
    assert "earlier_filing_scale" not in {f.check for f in result.findings}
    assert any("8 of 16 lines differ from f1" in warning for warning in result.warnings)


def test_a_column_that_any_earlier_filing_shows_is_no_finding() -> None:
    between = a_year_later()
    scaled(between, 3, "balance_sheet", None)
    last = a_year_later(a_year_later())
    last |= {"id": "f3"}
    right = a_year_later() | {"id": "f2 amended"}
    result = judged(last, history(record(), between, right))
    assert "earlier_filing_scale" not in {f.check for f in result.findings}


def test_the_reason_for_no_comparison_is_stated() -> None:
    later, first = a_year_later(), record()
    known = history({**first, "company": "ZZZ Inc"}, {**first, "company": "BOEING CO"})
    why = known.uncompared(read({**later, "company": "THE BOEING COMPANY"}))
    assert why == (
        "nothing was compared with earlier filings: the history has no filing of 'THE BOEING "
        "COMPANY', "
        "only of 'BOEING CO', 'ZZZ Inc'"
    )
    unnamed = known.uncompared(read({**later, "company": None}))
    assert unnamed is not None
    assert unnamed.endswith(": smallprint found no company name in this report")
    same = history(later).uncompared(read(later))
    assert same is not None
    assert same.endswith(": those of this company are not earlier than this one, 2024-12-31")
    assert history(first).uncompared(read(later)) is None
    none = History().uncompared(read(later))
    assert none is not None
    assert none.endswith(": the history has no usable filing")


def test_too_few_lines_in_common_are_counted() -> None:
    later, first = a_year_later(), record()
    later["statements"] = [s for s in later["statements"] if s["statement"] == "balance_sheet"]
    (part,) = later["statements"]
    lines = [line for line in part["rows"] if line["values"][1] is not None]
    part["rows"] = lines[:7]
    assert history(first).uncompared(read(later)) == (
        "nothing was compared with earlier filings: they share at most 7 lines of a period "
        "with it, and 8 are needed"
    )
    part["rows"] = lines[:8]
    assert history(first).uncompared(read(later)) is None
    for column in part["columns"]:
        column["end"] = str(int(column["end"]) + 50_000)
    why = history(first).uncompared(read(later))
    assert why is not None
    assert why.endswith(": those of this company share no period with this one")
