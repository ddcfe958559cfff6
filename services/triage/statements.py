"""Financial statements as plain data, and how they are read from JSON, JSON lines and CSV.

What is read is what a page shows: labels, columns with their dates, values with their sign.
Columns of training files (`concept`, `custom`, `negated`, `dims`, `checks`, `natural_breaks`,
`label`, `truth`) are never looked at. Values are exact decimals in whole units; what a CSV calls
"in millions" is multiplied out.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache, wraps
from typing import Any, BinaryIO, NoReturn, ParamSpec, TypeVar

from services.triage.places import Place
from shared.documents.cells import letters
from shared.documents.delimited import Field, decode_table, delimiter_of, rows, value_of
from shared.errors import EmptyDocument, UnreadableDocument, UnsupportedType

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
EQUITY = "equity"
KINDS = ("balance_sheet", "income", "cash_flow", EQUITY)
LARGEST = Decimal(10) ** 24
"""Whole units; what is larger is no amount of money."""
MAX_LINE = 32_000_000
"""Bytes of one line of JSONL: more is not one filing."""
MAX_CELLS = 2_000_000

MAX_QUOTED = 100
"""Characters of a document's own text that a warning or a reason quotes."""
MAX_SENTENCE = 2_000
"""Characters of a reason, a warning or a finding's message."""
LONGEST_REMEMBERED = 300
"""Characters of words of which it is kept what was said."""
P = ParamSpec("P")
T = TypeVar("T")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NO_AMOUNT = " -\u2013\u2014$\t"
"""What a cell without an amount is filled with."""


@dataclass(frozen=True, slots=True)
class Column:
    """A moment (`quarters` 0 or none) or a duration; dates are YYYYMMDD."""

    end: str | None = None
    quarters: int | None = None
    start: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The column in structured form."""
        parts = {"end": self.end, "quarters": self.quarters, "start": self.start}
        return {key: value for key, value in parts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its label and one value a column, in whole units; a heading has none.

    `places` are those of the values, in a document that has any: data of a program has none.
    """

    label: str
    values: tuple[Decimal | None, ...]
    unit: str | None = None
    heading: bool = False
    places: tuple[Place | None, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The row in structured form."""
        row: dict[str, Any] = {"label": self.label, "values": [_plain(v) for v in self.values]}
        if self.unit is not None:
            row["unit"] = self.unit
        if self.heading:
            row["heading"] = 1
        if any(self.places):
            row["places"] = [place and place.to_json() for place in self.places]
        return row

    def place(self, column: int) -> Place | None:
        """Where the value of a column stands, if its document says so."""
        return self.places[column] if column < len(self.places) else None


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a filing, rows and columns in the order of its own arrays."""

    statement: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """The statement in structured form."""
        return {
            "statement": self.statement,
            "columns": [column.to_json() for column in self.columns],
            "rows": [row.to_json() for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Filing:
    """What one company reported at one time; not `whole` if lines are known to be left out."""

    id: str
    company: str | None
    form: str | None
    period: str | None
    statements: tuple[Statement, ...]
    warnings: tuple[str, ...] = ()
    whole: bool = True

    def to_json(self) -> dict[str, Any]:
        """The filing in structured form, so that it can be read again."""
        return {
            "id": self.id,
            "company": self.company,
            "form": self.form,
            "period": self.period,
            "statements": [statement.to_json() for statement in self.statements],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class BadFiling:
    """A part of the input that is no filing, where it stands, and why it could not be read."""

    id: str
    where: str
    reason: str

    @property
    def message(self) -> str:
        """One sentence for the person who sent it."""
        return f"{self.where}: {self.reason}"


def read_filings(
    source: bytes | BinaryIO, media_type: str, name: str = ""
) -> Iterator[Filing | BadFiling]:
    """Read the filings of one document one after the other.

    JSON lines are read a line at a time, in memory bounded by the longest line. A line that can't
    be read is a `BadFiling` and the next goes on.

    Args:
        source: the document, or an open binary stream of it.
        media_type: of the document; plain text named `.jsonl`, `.ndjson`, `.json` or `.csv` counts
            as that.
        name: the file's name: settles plain text, and is the id of a filing that has none.

    Raises:
        UnsupportedType: neither JSON, JSON lines nor CSV.
        UnreadableDocument: JSON or CSV in which nothing can be read at all.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes | bytearray) else source
    kind = report_type(media_type, name)
    readers = {JSON: _read_json, NDJSON: _read_lines, CSV: _read_csv}
    if kind is None:
        raise UnsupportedType(f"this is {media_type}, not JSON, JSON lines or CSV")
    return readers[kind](stream, _stem(name))


def report_type(media_type: str, name: str = "") -> str | None:
    """Which of the three readable types a document is, or None.

    Data that is torn from its beginning is sniffed as plain text, so the name has a say there.
    """
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type in ("text/plain", "application/octet-stream", ""):
        suffixes = {".json": JSON, ".jsonl": NDJSON, ".ndjson": NDJSON, ".csv": CSV, ".tsv": CSV}
        return next((t for end, t in suffixes.items() if name.lower().endswith(end)), None)
    media_type = {"application/jsonl": NDJSON, "application/jsonlines": NDJSON}.get(
        media_type, media_type
    )
    return media_type if media_type in (JSON, NDJSON, CSV) else None


def _stem(name: str) -> str:
    return re.sub(r"\.(jsonl?|ndjson|csv|tsv)$", "", name, flags=re.IGNORECASE) or "filing"


# JSON and JSON lines


def _read_json(stream: BinaryIO, stem: str) -> Iterator[Filing | BadFiling]:
    data = stream.read()
    if not data.strip():
        raise EmptyDocument("the document has no bytes")
    try:
        record = _loads(data)
    except ValueError as error:
        raise UnreadableDocument(f"not JSON: {error}") from None
    records = record if isinstance(record, list) else [record]
    if not records:
        raise UnreadableDocument("an empty list: there is no filing in it")
    alone = len(records) == 1
    for number, item in enumerate(records, 1):
        yield _filing(item, "the document" if alone else f"item {number}", stem, number, alone)


def _read_lines(stream: BinaryIO, stem: str) -> Iterator[Filing | BadFiling]:
    number, seen = 0, False
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        where = f"line {number}"
        if len(line) > MAX_LINE:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE)
            seen = True
            yield BadFiling(f"{stem}:{number}", where, f"longer than {MAX_LINE:,} bytes")
            continue
        if not line.strip():
            continue
        seen = True
        try:
            record = _loads(line)
        except ValueError as error:
            yield BadFiling(f"{stem}:{number}", where, f"not JSON: {error}")
            continue
        yield _filing(record, where, stem, number, alone=False)
    if not seen:
        raise EmptyDocument("the document has no bytes")


def _loads(data: bytes) -> Any:
    """Strict JSON with exact decimals. Raises ValueError with a short reason."""
    try:
        return json.loads(
            data.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except InvalidOperation:
        raise ValueError("a number that can't be represented") from None


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _filing(record: Any, where: str, stem: str, number: int, alone: bool) -> Filing | BadFiling:
    fallback = stem if alone else f"{stem}:{number}"
    if not isinstance(record, dict):
        return BadFiling(fallback, where, "a filing is a JSON object, this is something else")
    filing_id = fallback
    warnings: list[str] = []
    try:
        filing_id = _text(record.get("id")) or fallback
        return Filing(
            id=filing_id,
            company=_text(record.get("company")),
            form=_text(record.get("form")),
            period=_text(record.get("period")),
            statements=_statements(record.get("statements"), warnings),
            warnings=tuple(warnings),
        )
    except ValueError as error:
        return BadFiling(filing_id, where, str(error))


def _statements(items: Any, warnings: list[str]) -> tuple[Statement, ...]:
    if not isinstance(items, list) or not items:
        raise ValueError(
            "there are no `statements` in it: a filing has `id`, `company` and `statements`, a "
            "list of objects with `statement`, `columns` and `rows`"
        )
    return tuple(_statement(item, warnings) for item in items)


def _statement(item: Any, warnings: list[str]) -> Statement:
    if not isinstance(item, dict):
        raise ValueError("a statement is a JSON object, this is something else")  # noqa: TRY004
    name = _text(item.get("statement")) or ""
    columns, rows = item.get("columns"), item.get("rows")
    if not isinstance(columns, list) or not columns or not isinstance(rows, list):
        raise ValueError(f"the statement {quoted(name)!r} lacks `columns` or `rows`")
    if len(columns) * len(rows) > MAX_CELLS:
        raise ValueError(f"the statement {quoted(name)!r} has more than {MAX_CELLS:,} cells")
    if name not in KINDS:
        warnings.append(
            f"{quoted(name) or 'a statement without a name'}: not a kind that is checked"
        )
    shown = quoted(name)
    read = tuple(
        _row(row, len(columns), f"{shown} row {i}", warnings) for i, row in enumerate(rows, 1)
    )
    return Statement(name, tuple(_column(column) for column in columns), read)


def _column(item: Any) -> Column:
    if not isinstance(item, dict):
        return Column(end=parse_date(_text(item) or ""))
    quarters = item.get("quarters")
    return Column(
        end=parse_date(_text(item.get("end")) or ""),
        quarters=quarters if isinstance(quarters, int) and 0 <= quarters < 100 else None,
        start=parse_date(_text(item.get("start")) or ""),
    )


def _row(item: Any, width: int, where: str, warnings: list[str]) -> Row:
    """A row as it stands; a value that is none is left out, with a warning that names the place."""
    empty: tuple[Decimal | None, ...] = (None,) * width
    if not isinstance(item, dict):
        warnings.append(f"{where}: not an object, passed over")
        return Row("", empty, heading=True)
    label, unit = _text(item.get("label")) or "", _text(item.get("unit"))
    named = f", {quoted(label, 60)!r}" if label else ""
    given = item.get("values")
    given = empty if given is None else given
    if not isinstance(given, list | tuple) or (given and len(given) != width):
        count = len(given) if isinstance(given, list) else "no list of"
        warnings.append(f"{where}{named}: {count} values for {width} columns, passed over")
        return Row(label, empty, unit)
    values = [
        _value(value, f"{where} column {c}{named}", warnings) for c, value in enumerate(given, 1)
    ]
    return Row(label, tuple(values) or empty, unit, heading=bool(item.get("heading")))


def _value(value: Any, where: str, warnings: list[str]) -> Decimal | None:
    if value is None:
        return None
    number: Decimal | None = None
    if isinstance(value, str):
        number = parse_number(value)
        if number is None and not value.strip(_NO_AMOUNT):
            return None
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
    if number is None or abs(number) > LARGEST or _exponent(number) < -12:
        shown = f"{quoted(str(value), 30)!r} is " if isinstance(value, str | Decimal) else ""
        warnings.append(f"{where}: {shown}not an amount, left out")
        return None
    return number


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else -99


def _text(value: Any) -> str | None:
    """A label or an id as text; numbers are accepted, anything else is not.

    Raises ValueError for a text that neither UTF-8 nor a database can hold.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    if odd := _UNSTORABLE.search(text):
        what = "a NUL" if odd[0] == "\0" else "half a surrogate pair"
        raise ValueError(f"there is {what} in a text, at character {odd.start() + 1}")
    return text


def quoted(text: str, most: int = MAX_QUOTED) -> str:
    """The beginning of a text from a document, for a sentence that names it."""
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def spelled_day(day: str) -> str:
    """A day YYYYMMDD as a sentence has it: 2023-06-30."""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def _plain(value: Decimal | None) -> int | float | None:
    """The shortest JSON number that is read back as the same decimal."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


# CSV

_SCALES = (
    (re.compile(r"\bin\s+billions\b|\bbillions\s+of\b", re.I), Decimal(10) ** 9),
    (re.compile(r"\bin\s+(\$|usd\s*)?millions\b|\bmillions\s+of\b|\$\s*millions\b", re.I),
     Decimal(10) ** 6),
    (re.compile(r"\bin\s+(\$|usd\s*)?thousands\b|\bthousands\s+of\b|\$\s*(000|thousands)", re.I),
     Decimal(1000)),
)  # fmt: skip
_TITLES = (
    ("cash_flow", re.compile(r"cash\s*flow", re.I)),
    (
        "equity",
        re.compile(r"(changes|statements?)\s+(in|of)\s+[\w\u2019' ]*equity|\bequity\s*\(", re.I),
    ),
    ("balance_sheet", re.compile(r"balance\s*sheet|financial\s+(position|condition)", re.I)),
    ("income", re.compile(r"\bincome\b|operations|earnings|profit\s+(and|or)\s+loss", re.I)),
)
_OF_EQUITY = re.compile(
    r"\b(statements?\s+of|changes\s+in)\b.*\b(equity(?!\s+(method|secur))|deficit|partners\W+capital)\b",
    re.I,
)
_LONGEST_TITLE = 150
"""Characters; more is a sentence."""
_HEAD_LINES, _FEWEST_COMPONENTS = 4, 3
"""Lines below a title of equity that may be its head, and columns that the head has at least."""
_FIGURE = re.compile(r"\s*[($\u20ac\u00a3-]*\s*[\d.,]+\s*[)%]*\s*")
_PER_SHARE = re.compile(r"\bper\b.*\b(share|unit|ads)\b|\beps\b|\bbasic\b|\bdilut", re.I)
_SHARES = re.compile(
    r"weighted|shares\s+outstanding|number\s+of\s+shares|shares\s+used|\bbasic\b|\bdilut", re.I
)
_RATIO = re.compile(r"\brates?\b|percent|%|\bratio\b|\bmargin\b", re.I)
MOST_MONEY, MOST_SHARES = Decimal(10) ** 14, Decimal(5) * 10**10
"""Whole units: what would be more after "in millions" was written out already."""
_MONTHS = {"three": 1, "3": 1, "six": 2, "6": 2, "nine": 3, "9": 3, "twelve": 4, "12": 4}
_DURATION = re.compile(
    r"\b(three|six|nine|twelve|3|6|9|12)\s+months\b|\b(year|quarter)s?\s+ended", re.I
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of a CSV: its cells, and the fields that they stand in."""

    cells: list[str]
    fields: list[Field]

    def place(self, column: int) -> Place | None:
        """Where an amount stands: one for each column after the label, if it has text."""
        found = self.fields[column + 1] if column + 1 < len(self.fields) else None
        if found is None or found.start == found.end:
            return None
        return Place(1, found.start, found.end, cell=f"{letters(found.column)}{found.row}")


def _read_csv(stream: BinaryIO, stem: str) -> Iterator[Filing | BadFiling]:
    """One filing a file; a row whose further cells are all dates begins a statement. One of equity
    that has other columns is left empty: it is read as a page.
    """
    decoded = decode_table(stream.read())
    text = decoded.text
    if not text.strip("\ufeff \t\r\n"):
        raise EmptyDocument("the document has no bytes")
    statements: list[Statement] = []
    warnings = [decoded.warning] if decoded.warning else []
    company = None
    found = rows(text, delimiter_of(text, named=True) or ",")
    lines = [_Line([value_of(text, field) for field in line], line) for line in found]
    for head, body in _tables(lines):
        title = head[0].strip()
        company = company or _company(title)
        dated = len(head) > 1
        of_equity = Statement(EQUITY, (), ())
        statements.append(_table(title, head[1:], body, warnings) if dated else of_equity)
    if not any(statement.columns for statement in statements):
        raise UnreadableDocument(
            "no statement in this CSV: the first row has a title and then the date of each column"
        )
    yield Filing(stem, company, None, _latest(statements), tuple(statements), tuple(warnings))


def _tables(lines: Sequence[_Line]) -> Iterator[tuple[list[str], list[_Line]]]:
    head: list[str] | None = None
    body: list[_Line] = []
    blank = True
    for number, line in enumerate(lines):
        empty = not any(cell.strip() for cell in line.cells)
        if not empty and _is_head(line.cells, apart=blank):
            if head:
                yield head, body
            head, body = line.cells, []
        elif not empty and _begins_equity(lines[number : number + 1 + _HEAD_LINES]):
            if head:
                yield head, body
            yield [line.cells[0]], []
            head, body = None, []
        elif head and not empty:
            body.append(line)
        blank = empty
    if head:
        yield head, body


def _begins_equity(lines: Sequence[_Line]) -> bool:
    """Whether the first row is the title of a statement of equity, whose columns no dates stand
    over: words over several columns follow soon.
    """
    first, *following = (line.cells for line in lines)
    said = first[0].strip()
    if any(cell.strip() for cell in first[1:]) or len(said) > _LONGEST_TITLE or said[-1:] == ":":
        return False
    return bool(_OF_EQUITY.search(said)) and any(map(_is_over_components, following))


def _is_over_components(record: Sequence[str]) -> bool:
    """Whether a row has words over several columns, and no figures or dates."""
    words = [cell for cell in record[1:] if cell.strip()]
    if len(words) < _FEWEST_COMPONENTS or _is_head(list(record), apart=True):
        return False
    return not any(map(_FIGURE.fullmatch, words))


def _is_head(record: list[str], *, apart: bool) -> bool:
    """Whether a row names the columns. Bare years could be amounts, so those need a blank line
    above.
    """
    cells = [cell.strip() for cell in record[1:]]
    while cells and not cells[-1]:
        cells.pop()
    if not cells or not all(parse_date(cell) for cell in cells):
        return False
    return apart or not all(_YEAR.fullmatch(cell) for cell in cells)


def _table(title: str, dates: list[str], body: list[_Line], warnings: list[str]) -> Statement:
    while dates and not dates[-1].strip():
        dates = dates[:-1]
    notes = " ".join([title, *(line.cells[0] for line in body[:3] if not any(line.cells[1:]))])
    scale = next((factor for pattern, factor in _SCALES if pattern.search(notes)), Decimal(1))
    kind = next((kind for kind, pattern in _TITLES if pattern.search(title)), None)
    if kind is None:
        warnings.append(f"{quoted(title)!r}: not a kind of statement that is known by its title")
    quarters = 0 if kind == "balance_sheet" else _duration(notes)
    columns = tuple(Column(end=parse_date(date), quarters=quarters) for date in dates)
    if len({(c.end, c.quarters) for c in columns}) < len(columns):
        columns = tuple(replace(column, quarters=None) for column in columns)
    read, per_share = [], False
    for number, line in enumerate(body, 1):
        row = _csv_row(line, len(columns), f"{kind or quoted(title)} row {number}", warnings)
        per_share = bool(_PER_SHARE.search(row.label)) if row.heading else per_share
        read.append(row if _written_out(row, scale, per_share) else _times(row, scale))
    return Statement(kind or "", columns, tuple(read))


def _times(row: Row, factor: Decimal) -> Row:
    return replace(row, values=tuple(v * factor if v is not None else None for v in row.values))


def _written_out(row: Row, scale: Decimal, per_share: bool) -> bool:
    """Whether "in millions" passes this line over: amounts per share, ratios, shares in full."""
    present = [abs(value) for value in row.values if value]
    if scale == 1 or not present:
        return True
    if max(present) * scale > MOST_MONEY:
        return True
    if _SHARES.search(row.label) and max(present) * scale > MOST_SHARES:
        return True
    small = Decimal("0.01") <= min(present) and max(present) < 10**4
    fraction = any(value % 1 for value in present)
    named = per_share or _PER_SHARE.search(row.label) or _RATIO.search(row.label)
    return bool(named) and small and fraction


def _duration(notes: str) -> int | None:
    found = _DURATION.search(notes)
    if not found:
        return None
    return _MONTHS[found[1].lower()] if found[1] else {"year": 4, "quarter": 1}[found[2].lower()]


def _csv_row(line: _Line, width: int, where: str, warnings: list[str]) -> Row:
    record = line.cells
    label = record[0].strip()
    cells = [*record[1 : width + 1], *[""] * (width + 1 - len(record))]
    if any(cell.strip() for cell in record[width + 1 :]):
        warnings.append(f"{where}: more cells than columns, the rest is left out")
    values: list[Decimal | None] = []
    for column, cell in enumerate(cells, 1):
        value = parse_number(cell)
        if value is None and cell.strip(_NO_AMOUNT):
            said = f"{cell.strip()[:40]!r} is not an amount"
            warnings.append(f"{where} column {column}, {quoted(label, 60)!r}: {said}")
        values.append(value)
    places = tuple(line.place(column) for column in range(width))
    return Row(label, tuple(values), None, not any(cell.strip() for cell in cells), places)


def _company(title: str) -> str | None:
    name = re.split(r"\s+[-\u2013\u2014]\s+", title)[0].strip()
    return name if name and name != title else None


def _latest(statements: Sequence[Statement]) -> str | None:
    return max((c.end for s in statements for c in s.columns if c.end), default=None)


# Numbers and dates

_NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)?(\.\d+)?(?<=\d)(e[+-]?\d{1,2})?", re.IGNORECASE)
_DAY = re.compile(r"(19|20)\d{6}")
_NOTES = re.compile(r"\s*(\(\d{1,2}\)|\[\w{1,3}\]|[*†‡§])+$")
_DATES = (
    "%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%B %d, %Y", "%b %d, %Y", "%b. %d, %Y",
    "%B %d %Y", "%d %B %Y", "%d %b %Y", "%d.%m.%Y",
)  # fmt: skip
_YEAR = re.compile(r"(?:fy\s*)?((?:19|20)\d\d)", re.IGNORECASE)


def parse_number(cell: str) -> Decimal | None:
    """An amount as pages print it: `1,234`, `(1,234)`, `$ 12.5`, `-3`, `12-`; None for anything
    else.
    """
    text = cell.replace("\u00a0", " ").replace("\u2212", "-").strip()
    if not re.fullmatch(r"[$€£¥]?\s*\(\s*[$€£¥]?\s*[\d.,]+\s*\)", text):
        text = _NOTES.sub("", text)
    text = re.sub(r"[$€£¥\s]|^USD|%$", "", text)
    negative = text.startswith(("(", "-")) or text.endswith("-")
    body = text.strip("()-+")
    if not body or not _NUMBER.fullmatch(body):
        return None
    number = Decimal(body.replace(",", ""))
    return -number if negative else number


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """Keep what a function says of words, the last of its arguments, for they come again: labels,
    dates. Long words are not kept, for a document may have a label of a megabyte on each line.
    """
    kept = lru_cache(maxsize=20_000)(function)

    @wraps(function)
    def known(*of: Any) -> T:
        words = of[-1]
        short = isinstance(words, str) and len(words) <= LONGEST_REMEMBERED
        return kept(*of) if short else function(*of)  # type: ignore[call-arg]

    return known  # type: ignore[return-value]


@remembered
def parse_date(text: str) -> str | None:
    """A date as YYYYMMDD, or None; a year alone means its end."""
    text = re.sub(
        r"^(\d+ months ended|(fiscal )?year ended|as of|at)\s+", "", text.strip(), flags=re.I
    )
    if year := _YEAR.fullmatch(text):
        return f"{year[1]}1231"
    for pattern in _DATES if not text.isdigit() or _DAY.fullmatch(text) else ():
        try:
            return datetime.strptime(text, pattern).strftime("%Y%m%d")  # noqa: DTZ007 - a date
        except ValueError:
            continue
    return None
