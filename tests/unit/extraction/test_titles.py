"""The title of a contract, from its clauses."""

import pytest

from services.extraction.values import ClauseContext, document_title, document_values
from shared.events import DocumentTitle
from shared.titles import short_name, without_capitals

ARRAY = 'Array BioPharma Inc., a Delaware corporation ("Array")'
ONO = 'Ono Pharmaceutical Co., Ltd. ("Ono")'


def title(*clauses: tuple[str, str, float]) -> DocumentTitle | None:
    found, at = [], 0
    for number, (category, text, confidence) in enumerate(clauses):
        found.append(ClauseContext(f"cl_{number}", category, confidence, at, text))
        at += len(text) + 2
    return document_title(document_values(found), {one.id: one.confidence for one in found})


def test_a_title_has_name_parties_and_date() -> None:
    assert title(
        ("Document Name", "LICENSE AGREEMENT", 0.9),
        ("Agreement Date", "May 31, 2017", 0.9),
        ("Parties", ARRAY, 0.9),
        ("Parties", ONO, 0.9),
    ) == DocumentTitle(
        title="License Agreement · Array / Ono · 2017-05-31", parties=("Array", "Ono")
    )


def test_a_contract_without_name_and_parties_has_no_title() -> None:
    assert title(("Agreement Date", "May 31, 2017", 0.9)) is None


def test_unsure_parties_and_dates_are_left_out() -> None:
    found = title(
        ("Parties", ARRAY, 0.9),
        ("Parties", ONO, 0.9),
        ("Parties", "Volkmar Rompke", 0.4),
        ("Agreement Date", "May 31, 2017", 0.4),
    )
    assert found
    assert found.title == "Array / Ono"


def test_parties_with_the_same_short_form_keep_their_names() -> None:
    found = title(
        ("Parties", 'Alliance Bancorp, Inc. ("Alliance")', 0.9),
        ("Parties", 'Alliance Mutual Holding LLC ("Alliance")', 0.9),
    )
    assert found
    assert found.parties == ("Alliance Bancorp", "Alliance Mutual Holding")


def test_two_of_many_parties_are_named() -> None:
    firms = ("Aster Inc.", "Birch Ltd.", "Cedar GmbH", "Dogwood plc")
    found = title(*(("Parties", firm, 0.9) for firm in firms))
    assert found
    assert found.title == "Aster / Birch and 2 others"
    assert found.parties == ("Aster", "Birch", "Cedar", "Dogwood")


def test_the_role_of_a_party_is_not_its_name() -> None:
    found = title(("Parties", 'Customer Services Inc. ("Customer")', 0.9))
    assert found
    assert found.parties == ("Customer Services",)


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ("Array BioPharma Inc.", "Array BioPharma"),
        ("Ono Pharmaceutical Co., Ltd.", "Ono Pharmaceutical"),
        ("NORTHERN TELECOM LIMITED", "Northern Telecom"),
        ("SANDLER O'NEILL & PARTNERS, L.P.", "Sandler O'Neill & Partners"),
        ("THAYER EQUITY INVESTORS IV, L.P.", "Thayer Equity Investors IV"),
        ("BANK OF AMERICA CORP /DE/", "Bank of America"),
        ("AT&T Corp.", "AT&T"),
        ("Wells Fargo Bank, N.A.", "Wells Fargo Bank"),
        ("Telia.", "Telia"),
        ("Jeffrey Hanuscin", "Jeffrey Hanuscin"),
    ],
)
def test_a_name_loses_its_legal_form_and_its_capitals(written: str, short: str) -> None:
    assert short_name(written) == short


def test_abbreviations_keep_their_capitals() -> None:
    assert without_capitals("IP LICENSE AND O&M AGREEMENT") == "IP License and O&M Agreement"
    assert without_capitals("Joint venture agreement") == "Joint venture agreement"
