"""XBRL: facts of instances and of inline XBRL, with values as they are meant; hostile ones end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.documents import Limits, ParsedDocument, read, sniff
from shared.documents.model.formats import XBRL
from shared.documents.sandbox import Reader
from shared.documents.xbrl.transformations import UnknownForm, number_of, text_of
from shared.documents.xbrl.xbrl import Context, Fact, facts_of, printed
from shared.errors import DocumentTooLarge, EmptyDocument, UnreadableDocument, UnsupportedType

CONTEXTS = """
<xbrli:context id="y">
 <xbrli:entity><xbrli:identifier scheme="x">42</xbrli:identifier></xbrli:entity>
 <xbrli:period><xbrli:startDate>2023-01-01</xbrli:startDate><xbrli:endDate>2023-12-31</xbrli:endDate>
 </xbrli:period></xbrli:context>
<xbrli:context id="m"><xbrli:entity><xbrli:identifier scheme="x">42</xbrli:identifier>
 <xbrli:segment>
 <xbrldi:explicitMember dimension="a:ProductAxis">a:PhonesMember</xbrldi:explicitMember>
 <xbrldi:typedMember dimension="a:LoanAxis"><a:loan> 7 </a:loan></xbrldi:typedMember>
 </xbrli:segment></xbrli:entity><xbrli:period><xbrli:instant>2024-01-01T00:00:00</xbrli:instant></xbrli:period>
</xbrli:context>
<xbrli:unit id="usd"><xbrli:measure>iso4217:USD</xbrli:measure></xbrli:unit>
<xbrli:unit id="eps"><xbrli:divide><xbrli:unitNumerator><xbrli:measure>iso4217:USD</xbrli:measure>
</xbrli:unitNumerator><xbrli:unitDenominator><xbrli:measure>xbrli:shares</xbrli:measure>
</xbrli:unitDenominator></xbrli:divide></xbrli:unit>
"""
SPACES = (
    'xmlns:xbrli="http://www.xbrl.org/2003/instance" xmlns:a="http://example.com/a/2023" '
    'xmlns:xbrldi="http://xbrl.org/2006/xbrldi" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)


def instance(facts: str) -> bytes:
    return f"<?xml version='1.0'?>\n<xbrli:xbrl {SPACES}>{CONTEXTS}{facts}</xbrli:xbrl>".encode()


def inline(body: str) -> bytes:
    return (
        f'<?xml version="1.0"?><!-- made by hand --><html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:ix="http://www.xbrl.org/2013/inlineXBRL" {SPACES}><body><div style="display:none">'
        f"<ix:header><ix:resources>{CONTEXTS}</ix:resources></ix:header></div>{body}</body></html>"
    ).encode()


def fact(body: str) -> Fact:
    """The only fact of an inline page."""
    result = facts_of(inline(body))
    assert not result.warnings
    (one,) = result.facts
    return one


INSTANCE = instance(
    '<a:AssetsCurrent contextRef="m" unitRef="usd" decimals="-3" id="f1">-1234000</a:AssetsCurrent>'
    '<a:EPSBasic contextRef="y" unitRef="eps" decimals="2">1.50</a:EPSBasic>'
    '<a:Policy contextRef="y">&lt;p&gt;We  &amp;amp; they&lt;/p&gt;&lt;p&gt;agree&lt;/p&gt;'
    "</a:Policy>"
    '<a:Debt contextRef="y" unitRef="usd" xsi:nil="true"/>'
)


def test_an_instance_is_a_table_of_its_facts() -> None:
    reading = read(INSTANCE, name="filing.xml")
    assert reading.text.split("\n") == [
        "Label\tValue\tUnit\tPeriod\tDimensions\tDecimals\tName\tId",
        "Assets current\t(1,234,000)\tUSD\t2023-12-31\ta:LoanAxis = 7; a:ProductAxis = "
        "a:PhonesMember\t-3\ta:AssetsCurrent\tf1",
        "EPS basic\t1.50\tUSD/shares\t2023-01-01/2023-12-31\t\t2\ta:EPSBasic",
        "Policy\tWe & they agree\t\t2023-01-01/2023-12-31\t\t\ta:Policy",
        "Debt\t\tUSD\t2023-01-01/2023-12-31\t\t\ta:Debt",
    ]
    assert (reading.media_type, reading.pages[0].method) == (XBRL, "xbrl")
    start = reading.text.index("(1,234")
    [result] = reading.cells_of(start, start + 1)
    assert (result.address, result.value) == ("B2", -1_234_000.0)
    again = ParsedDocument.from_bytes(reading.to_bytes(), reading.text)
    assert again.cells.tobytes() == reading.cells.tobytes()


def test_a_fact_knows_for_whom_for_when_and_split_by_what() -> None:
    first, second, _, nil = facts_of(INSTANCE).facts
    assert first.context == Context(
        "42", None, "2023-12-31", (("a:LoanAxis", "7"), ("a:ProductAxis", "a:PhonesMember"))
    )
    assert (first.number, first.element, first.order) == (Decimal(-1_234_000), "f1", 1)
    assert (second.value, second.unit, second.label) == ("1.5", "USD/shares", "EPS basic")
    assert (nil.value, nil.number, printed(nil)) == (None, None, "")


@pytest.mark.parametrize(
    ("tag", "shown", "value"),
    [
        ('format="ixt:num-dot-decimal" scale="6"', "1,234.5", "1234500000"),
        ('format="ixt:numdotdecimal" sign="-" scale="3"', "1,000", "-1000000"),
        ('format="ixt:num-comma-decimal"', "1.234,50", "1234.5"),
        ('format="ixt:numspacecomma"', "1\u00a0234,5", "1234.5"),
        ('format="ixt:fixed-zero"', "\u2014", "0"),
        ('format="ixt:zerodash" scale="6"', "-", "0"),
        ('format="ixt-sec:numwordsen"', "One hundred and twenty-five thousand", "125000"),
        ('format="ixt-sec:numwordsen"', "no", "0"),
        ('scale="-2"', "12.5", "0.125"),
        ("", " 0.10 ", "0.1"),
        ('xsi:nil="true"', "", None),
        ('format="ixt:fixed-empty"', "n/a", None),
    ],
)
def test_a_number_on_the_page_is_the_number_that_is_meant(
    tag: str, shown: str, value: str | None
) -> None:
    head = f'<ix:nonFraction name="a:X" contextRef="y" unitRef="usd" id="n" {tag}>'
    result = fact(f"{head}{shown}</ix:nonFraction>")
    assert result.value == value
    assert result.number == (None if value is None else Decimal(value))
    assert (result.element, result.shown) == ("n", " ".join(shown.split()))


@pytest.mark.parametrize(
    ("form", "shown", "value"),
    [
        ("ixt:date-monthname-day-year-en", "January 5, 2024", "2024-01-05"),
        ("ixt:datemonthdayyearen", "Dec. 31, 2023", "2023-12-31"),
        ("ixt:date-day-month-year", "31.12.23", "2023-12-31"),
        ("ixt:dateslashus", "12/31/2023", "2023-12-31"),
        ("ixt:dateslasheu", "31/12/2023", "2023-12-31"),
        ("ixt:date-year-month-day", "2023-12-31", "2023-12-31"),
        ("ixt:date-monthname-year-en", "June 2024", "2024-06"),
        ("ixt:date-month-day", "12/31", "--12-31"),
        ("ixt:date-monthname-day-en", "February 29", "--02-29"),
        ("ixt:fixed-true", "\u2612", "true"),
        ("ixt:booleanfalse", "No", "false"),
        ("ixt-sec:boolballotbox", "\u2610", "false"),
        ("ixt-sec:durwordsen", "five years", "five years"),
        (None, "Acme", "Acme"),
    ],
)
def test_a_text_on_the_page_is_the_value_that_is_meant(
    form: str | None, shown: str, value: str
) -> None:
    """Dates are ISO as far as they go, boxes are true or false, other texts are unchanged."""
    assert text_of(form, shown) == value


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        (None, "1,234"),
        ("ixt:num-dot-decimal", "about 5"),
        ("ixt:num-dot-decimal", "9" * 99),
        ("ixt:of-the-future", "5"),
        ("ixt-sec:numwordsen", "several"),
        ("ixt-sec:numwordsen", "one " * 99),
        ("ixt:numunitdecimal", "5 dollars 25 cents"),
    ],
)
def test_a_number_that_contradicts_its_form_is_a_warning(form: str | None, shown: str) -> None:
    with pytest.raises(UnknownForm):
        number_of(form, shown)
    tag = f'format="{form}"' if form else ""
    body = f'<ix:nonFraction name="a:X" contextRef="y" unitRef="usd" {tag}>{shown}</ix:nonFraction>'
    result = facts_of(inline(body))
    assert result.facts[0].number is None
    assert result.warnings[0].startswith("a:X: ")


@pytest.mark.parametrize("text", ["Smarch 5, 2024", "February 30, 2024", "", "5"])
def test_an_impossible_date_is_an_error(text: str) -> None:
    with pytest.raises(UnknownForm):
        text_of("ixt:date-monthname-day-year-en", text)


def test_facts_within_and_across_elements_are_whole() -> None:
    body = (
        '<ix:nonNumeric name="a:Note" contextRef="y" id="n1" continuedAt="c1"><p>Debt of $'
        '<ix:nonFraction name="a:Debt" contextRef="y" unitRef="usd" format="ixt:num-dot-decimal">'
        "5,000</ix:nonFraction></p><ix:exclude>Page 7</ix:exclude><p>is due</p></ix:nonNumeric>"
        '<ix:continuation id="c1" continuedAt="c2">in <b>May</b></ix:continuation>'
        '<ix:continuation id="c2" continuedAt="c1">and June</ix:continuation>'
    )
    note, debt = facts_of(inline(body)).facts
    assert note.value == "Debt of $5,000 is due in May and June"
    assert (debt.value, debt.order) == ("5000", 2)


def test_missing_parts_are_warnings() -> None:
    body = (
        '<ix:nonFraction name="a:X" contextRef="gone" unitRef="gone">5</ix:nonFraction>'
        '<ix:fraction name="a:F" contextRef="y" unitRef="usd"/>'
        '<ix:nonFraction name="a:S" contextRef="y" unitRef="usd" scale="999">5</ix:nonFraction>'
    )
    result = facts_of(inline(body))
    assert [f.value for f in result.facts] == ["5", None, None]
    assert result.facts[0].unit == "gone"
    assert [w.partition(":")[2].split(":")[0] for w in result.warnings] == ["X", "F", "S"]


def test_warnings_are_as_many_as_one_can_read() -> None:
    many = '<a:N contextRef="y" unitRef="usd">odd</a:N>' * 100
    warnings = facts_of(instance(many)).warnings
    assert len(warnings) == 21
    assert warnings[-1] == "80 more facts that are not understood"


def test_the_type_is_recognised_by_the_first_element() -> None:
    assert sniff(INSTANCE, "filing.txt") == XBRL
    spaces = {
        "linkbase": 'xmlns:x="http://www.xbrl.org/2003/linkbase"',
        "schema": 'xmlns:x="http://www.w3.org/2001/XMLSchema" '
        'xmlns:i="http://www.xbrl.org/2003/instance"',
    }
    for root, space in spaces.items():
        with pytest.raises(UnsupportedType, match="part of an XBRL taxonomy"):
            sniff(f'<?xml version="1.0"?><x:{root} {space}/>'.encode(), "a.xml")
    assert sniff(inline("<p/>"), "filing.xml") == "text/html"
    assert sniff(b"<xbrl>of nobody</xbrl>") == "text/plain"


def test_facts_are_listed_in_the_child_process_too() -> None:
    page = inline('<ix:nonFraction name="a:X" contextRef="m" unitRef="usd">0.50</ix:nonFraction>')
    with Reader(Limits(seconds=300)) as reader:
        for data in (INSTANCE, page):
            assert reader.facts(data) == facts_of(data)
        with pytest.raises(UnreadableDocument, match="truncated") as caught:
            reader.facts(INSTANCE[:-9], name="cut.xml")
        assert caught.value.document == "cut.xml"


def test_an_instance_without_facts_is_empty() -> None:
    with pytest.raises(EmptyDocument, match="no fact"):
        read(instance(""))


def test_an_instance_cut_off_anywhere_is_refused() -> None:
    for length in range(500, len(INSTANCE) - 1, 37):
        with pytest.raises(UnreadableDocument):
            read(INSTANCE[:length], name="cut.xml")


def test_limits_are_kept() -> None:
    with pytest.raises(DocumentTooLarge, match="more than 100 characters"):
        read(INSTANCE, limits=Limits(max_plain_text=100))
    with pytest.raises(UnreadableDocument, match="levels deep"):
        read(instance("<a:x>" * 500 + "</a:x>" * 500))
