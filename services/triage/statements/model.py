"""Financial statements as plain data, read from JSON, JSON lines and CSV.

Values are exact decimals in whole units, with the sign that the page shows. "In millions" is
multiplied out. Training columns (`concept`, `custom`, `negated`, `dims`, `checks`,
`natural_breaks`, `label`, `truth`) are ignored.
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

from services.triage.statements.positions import Position
from shared.documents.model.cells import letters
from shared.documents.model.formats import CSV, JSON, NDJSON
from shared.documents.model.text import decode
from shared.documents.spreadsheets.delimited import (
    Field,
    delimiter_of,
    rows,
    value_of,
)
from shared.errors import EmptyDocument, UnreadableDocument, UnsupportedType

EQUITY = "equity"
CHECKED = ("balance_sheet", "income", "cash_flow")
KINDS = (*CHECKED, EQUITY)
LARGEST = Decimal(10) ** 24  # the largest amount of money, in whole units
MAX_LINE = 32_000_000  # bytes of one filing in JSON lines
MAX_CELLS = 2_000_000
LONGEST_LABEL = 1_000  # characters; some patterns take quadratic time
LONGEST_FIGURE = 200  # characters of a cell with a number or a date

MAX_QUOTED = 100  # characters of a document's text that a warning quotes
MAX_SENTENCE = 2_000  # characters of a warning or a finding's message
LONGEST_REMEMBERED = 300  # characters of the longest text whose result is cached
P = ParamSpec("P")
T = TypeVar("T")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NO_AMOUNT = " -\u2013\u2014$\t"  # characters that fill a cell without an amount


@dataclass(frozen=True, slots=True)
class Column:
    """A day (`quarters` 0 or None) or a period; dates are YYYYMMDD."""

    end: str | None = None
    quarters: int | None = None
    start: str | None = None

    def to_json(self) -> dict[str, Any]:
        parts = {"end": self.end, "quarters": self.quarters, "start": self.start}
        return {key: value for key, value in parts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its label, and one value per column in whole units.

    `positions` are those of the values, where the document has any.
    """

    label: str
    values: tuple[Decimal | None, ...]
    unit: str | None = None
    heading: bool = False
    positions: tuple[Position | None, ...] = ()

    def to_json(self) -> dict[str, Any]:
        values = [number_or_none(value) for value in self.values]
        row: dict[str, Any] = {"label": self.label, "values": values}
        if self.unit is not None:
            row["unit"] = self.unit
        if self.heading:
            row["heading"] = 1
        if any(self.positions):
            row["places"] = [position and position.to_json() for position in self.positions]
        return row

    def position(self, column: int) -> Position | None:
        """The position of a column's value, if the document has one."""
        return self.positions[column] if column < len(self.positions) else None


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a filing, in the order of its own arrays."""

    statement: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "statement": self.statement,
            "columns": [column.to_json() for column in self.columns],
            "rows": [row.to_json() for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Filing:
    """One report of one company. `complete` is false if lines are known to be left out. `unread`
    are kinds of statements of which another one was found and not read.
    """

    id: str
    company: str | None
    form: str | None
    period: str | None
    statements: tuple[Statement, ...]
    warnings: tuple[str, ...] = ()
    complete: bool = True
    unread: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The filing in the form that `read_filings` reads."""
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
    """A part of the input that could not be read as a filing."""

    id: str
    where: str
    reason: str

    @property
    def message(self) -> str:
        return f"{self.where}: {self.reason}"


def read_filings(
    source: bytes | BinaryIO, media_type: str, name: str = ""
) -> Iterator[Filing | BadFiling]:
    """Read the filings of one document, one after the other.

    JSON lines are read line by line. An unreadable line yields a `BadFiling`, and reading goes on.
    The file's name decides the type of plain text, and is the id of a filing without one.

    Raises:
        UnsupportedType: Neither JSON, JSON lines nor CSV.
        UnreadableDocument: Nothing in it can be read.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes | bytearray) else source
    kind = report_type(media_type, name)
    readers = {JSON: _read_json, NDJSON: _read_lines, CSV: _read_csv}
    if kind is None:
        raise UnsupportedType(f"this is {media_type}, not JSON, JSON lines or CSV")
    return readers[kind](stream, _stem(name))


def report_type(media_type: str, name: str = "") -> str | None:
    """JSON, NDJSON, CSV or None. For plain text the file name decides."""
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type in ("text/plain", "application/octet-stream", ""):
        suffixes = {".json": JSON, ".jsonl": NDJSON, ".ndjson": NDJSON, ".csv": CSV, ".tsv": CSV}
        return next((t for end, t in suffixes.items() if name.lower().endswith(end)), None)
    if media_type in ("application/jsonl", "application/jsonlines"):
        return NDJSON
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
        raise UnreadableDocument("the list is empty: it has no filing")
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
    """Parse strict JSON with exact decimals. Raises ValueError with a short reason."""
    try:
        return json.loads(
            data.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_int=_integer,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except InvalidOperation:
        raise ValueError("a number that can't be represented") from None


def _integer(digits: str) -> int | Decimal:
    """Keep very long integers as decimals: Python refuses integers of more than 4,300 digits."""
    return int(digits) if len(digits) <= LONGEST_FIGURE else Decimal(digits)


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _filing(record: Any, where: str, stem: str, number: int, alone: bool) -> Filing | BadFiling:
    fallback = stem if alone else f"{stem}:{number}"
    if not isinstance(record, dict):
        return BadFiling(fallback, where, "a filing must be a JSON object")
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
            "`statements` is missing: a filing has `id`, `company` and `statements`, a list of "
            "objects with `statement`, `columns` and `rows`"
        )
    return tuple(_statement(item, warnings) for item in items)


def _statement(item: Any, warnings: list[str]) -> Statement:
    if not isinstance(item, dict):
        raise ValueError("a statement must be a JSON object")  # noqa: TRY004
    name = _text(item.get("statement")) or ""
    columns, rows = item.get("columns"), item.get("rows")
    if not isinstance(columns, list) or not columns or not isinstance(rows, list):
        raise ValueError(f"the statement {truncate(name)!r} lacks `columns` or `rows`")
    if len(columns) * len(rows) > MAX_CELLS:
        raise ValueError(f"the statement {truncate(name)!r} has more than {MAX_CELLS:,} cells")
    if name not in KINDS:
        kind = truncate(name) or "a statement without a name"
        warnings.append(f"{kind}: this kind is not checked")
    shown = truncate(name)
    width = len(columns)
    read = tuple(_row(row, width, f"{shown} row {i}", warnings) for i, row in enumerate(rows, 1))
    return Statement(name, tuple(map(_column, columns)), read)


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
    """One row. Values that are no amounts are left out with a warning."""
    empty: tuple[Decimal | None, ...] = (None,) * width
    if not isinstance(item, dict):
        warnings.append(f"{where}: not an object, ignored")
        return Row("", empty, heading=True)
    label, unit = (_text(item.get("label")) or "")[:LONGEST_LABEL], _text(item.get("unit"))
    named = f", {truncate(label, 60)!r}" if label else ""
    given = item.get("values")
    given = empty if given is None else given
    if not isinstance(given, list | tuple) or (given and len(given) != width):
        count = len(given) if isinstance(given, list) else "no list of"
        warnings.append(f"{where}{named}: {count} values for {width} columns, ignored")
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
        shown = f"{truncate(str(value), 30)!r} is " if isinstance(value, str | Decimal) else ""
        warnings.append(f"{where}: {shown}not an amount, left out")
        return None
    return number


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else -99


def _text(value: Any) -> str | None:
    """A label or an id as text, or None. Raises ValueError for a text that UTF-8 or a database
    can't store."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    if odd := _UNSTORABLE.search(text):
        what = "a NUL" if odd[0] == "\0" else "half a surrogate pair"
        raise ValueError(f"there is {what} in a text, at character {odd.start() + 1}")
    return text


def truncate(text: str, most: int = MAX_QUOTED) -> str:
    """The beginning of a text from a document."""
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def format_day(day: str) -> str:
    """Write YYYYMMDD as YYYY-MM-DD."""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def number(value: Decimal) -> int | float:
    """The shortest JSON number that reads back as the same decimal."""
    return int(value) if value == value.to_integral_value() else float(value)


def number_or_none(value: Decimal | None) -> int | float | None:
    """Like `number`, for an amount that may be missing."""
    return None if value is None else number(value)


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
_STATEMENT = re.compile(r"\b(sheets?|statements?)\b", re.I)
_OF_EQUITY = re.compile(
    r"\b(statements?\s+of|changes\s+in)\b.*\b(equity(?!\s+(method|secur))|deficit|partners\W+capital)\b",
    re.I,
)
_LONGEST_TITLE = 150  # characters of a title; longer lines are sentences
_HEAD_LINES, _FEWEST_COMPONENTS = 4, 3  # of a head below a title of equity
_FIGURE = re.compile(r"\s*+(?:[($\u20ac\u00a3-]++\s*+)?[\d.,]++\s*+(?:[)%]++\s*+)?")
_PER_SHARE = re.compile(r"\bper\b.*\b(share|unit|ads)\b|\beps\b|\bbasic\b|\bdilut", re.I)
_SHARES = re.compile(
    r"weighted|shares\s+outstanding|number\s+of\s+shares|shares\s+used|\bbasic\b|\bdilut", re.I
)
_RATIO = re.compile(r"\brates?\b|percent|%|\bratio\b|\bmargin\b", re.I)
_RATES = re.compile(f"{_PER_SHARE.pattern}|{_RATIO.pattern}", re.I)
_COMMA = re.compile(r"\d{1,3}(\.\d{3})+,\d+|\d+,\d{1,2}|\d{1,3}(\.\d{3}){2,}")
_POINT = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?|\d*\.(\d{1,2}|\d{4,})|0\.\d+")
_EITHER, _GROUP = re.compile(r"[1-9]\d{0,2}\.\d{3}"), re.compile(r"[1-9]\d{0,2}")
"""Amounts with a decimal comma, with a decimal point, with either, and with neither."""
_AROUND = "()-+$\u20ac\u00a3\u00a5%\u2212 \u00a0"  # characters around an amount
_SWAP = str.maketrans(".,", ",.")
FEWEST_GROUPS = 2  # amounts such as `1.210` that make a table doubtful
MOST_MONEY, MOST_SHARES = Decimal(10) ** 14, Decimal(5) * 10**10
"""Whole units. A value above them after scaling was already written out in full."""
_QUARTERS = {"three": 1, "3": 1, "six": 2, "6": 2, "nine": 3, "9": 3, "twelve": 4, "12": 4,
             "quarter": 1, "year": 4}  # fmt: skip
_DURATION = re.compile(
    r"\b(three|six|nine|twelve|3|6|9|12)\s+months\b|\b(year|quarter)s?\s+ended", re.I
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of a CSV: its cells and their fields."""

    cells: list[str]
    fields: list[Field]

    def position(self, column: int) -> Position | None:
        """The position of an amount, or None without text."""
        field = self.fields[column + 1] if column + 1 < len(self.fields) else None
        if field is None or field.start == field.end:
            return None
        return Position(1, field.start, field.end, cell=f"{letters(field.column)}{field.row}")


def _read_csv(stream: BinaryIO, stem: str) -> Iterator[Filing | BadFiling]:
    """Read one filing per file; a row whose further cells are all dates starts a statement.

    A statement of equity with other columns stays empty here: it is read as a page.
    """
    text, warnings = decode(stream.read())
    if not text.strip("\ufeff \t\r\n"):
        raise EmptyDocument("the document has no bytes")
    statements: list[Statement] = []
    company = None
    records = rows(text, delimiter_of(text, named=True) or ",")
    lines = [
        _Line([value_of(text, field)[:LONGEST_LABEL] for field in line], line) for line in records
    ]
    for head, body in _tables(lines):
        title = head[0].strip()[:LONGEST_LABEL]
        company = company or _company(title)
        dated = len(head) > 1
        of_equity = Statement(EQUITY, (), ())
        statements.append(_table(title, head[1:], body, warnings) if dated else of_equity)
    if not any(statement.columns for statement in statements):
        raise UnreadableDocument(
            "no statement in this CSV: its first row needs a title and the date of each column"
        )
    latest = max((c.end for s in statements for c in s.columns if c.end), default=None)
    yield Filing(stem, company, None, latest, tuple(statements), tuple(warnings))


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
    """Whether the first row is the title of a statement of equity whose columns have no dates."""
    first, *following = (line.cells for line in lines)
    title = first[0].strip()
    if any(cell.strip() for cell in first[1:]) or len(title) > _LONGEST_TITLE or title[-1:] == ":":
        return False
    return bool(_OF_EQUITY.search(title)) and any(map(_is_over_components, following))


def _is_over_components(record: Sequence[str]) -> bool:
    """Whether a row has words over several columns, and no figures or dates."""
    words = [cell for cell in record[1:] if cell.strip()]
    if len(words) < _FEWEST_COMPONENTS or _is_head(list(record), apart=True):
        return False
    return not any(map(_FIGURE.fullmatch, words))


def _is_head(record: list[str], *, apart: bool) -> bool:
    """Whether a row names the columns; bare years, maybe amounts, need a title or a blank line."""
    cells = [cell.strip() for cell in record[1:]]
    while cells and not cells[-1]:
        cells.pop()
    if not cells or not all(parse_date(cell) for cell in cells):
        return False
    return (
        apart
        or bool(_STATEMENT.search(record[0]))
        or not all(_YEAR.fullmatch(cell) for cell in cells)
    )


def _table(title: str, dates: list[str], body: list[_Line], warnings: list[str]) -> Statement:
    while dates and not dates[-1].strip():
        dates = dates[:-1]
    below = (line.cells[0][:LONGEST_LABEL] for line in body[:3] if not any(line.cells[1:]))
    notes = " ".join([title, *below])
    scale = next((factor for pattern, factor in _SCALES if pattern.search(notes)), Decimal(1))
    kind = next((kind for kind, pattern in _TITLES if pattern.search(title)), None)
    if kind is None:
        warnings.append(f"{truncate(title)!r}: unknown kind of statement")
    quarters = 0 if kind == "balance_sheet" else _duration(notes)
    columns = tuple(Column(end=parse_date(date), quarters=quarters) for date in dates)
    if len({(c.end, c.quarters) for c in columns}) < len(columns):
        columns = tuple(replace(column, quarters=None) for column in columns)
    table_rows, per_share = [], False
    body = _with_decimal_points(body, kind or truncate(title), warnings)
    for number, line in enumerate(body, 1):
        row = _csv_row(line, len(columns), f"{kind or truncate(title)} row {number}", warnings)
        per_share = bool(_PER_SHARE.search(row.label)) if row.heading else per_share
        table_rows.append(row if _written_out(row, scale, per_share) else _times(row, scale))
    return Statement(kind or "", columns, tuple(table_rows))


def _with_decimal_points(body: list[_Line], where: str, warnings: list[str]) -> list[_Line]:
    """Rewrite `1.210,50` as `1,210.50` if all amounts of a table fit it and some need it.

    `1.210` is one thousand if zeros are not dropped and another amount has no point, such as `700`.
    """
    of_money = (line for line in body if not _RATES.search(line.cells[0]))
    amounts = [cell.strip(_AROUND) for line in of_money for cell in line.cells[1:]]
    either = [amount for amount in amounts if _EITHER.fullmatch(amount)]
    if any(map(_POINT.fullmatch, amounts)):
        return body
    if not any(map(_COMMA.fullmatch, amounts)):
        if len(either) < FEWEST_GROUPS:
            return body
        if not (any(a.endswith("0") for a in either) and any(map(_GROUP.fullmatch, amounts))):
            warnings.append(
                f"{where}: {either[0]!r} is read with a decimal point. If it is one of thousands, "
                "write it without the point"
            )
            return body
    return [
        replace(x, cells=[x.cells[0], *(c.translate(_SWAP) for c in x.cells[1:])]) for x in body
    ]


def _times(row: Row, factor: Decimal) -> Row:
    return replace(row, values=tuple(v * factor if v is not None else None for v in row.values))


def _written_out(row: Row, scale: Decimal, per_share: bool) -> bool:
    """Whether a line is not in the page's unit: amounts per share, ratios, shares in full."""
    present = [abs(value) for value in row.values if value]
    if scale == 1 or not present:
        return True
    if max(present) * scale > (MOST_SHARES if _SHARES.search(row.label) else MOST_MONEY):
        return True
    small = Decimal("0.01") <= min(present) and max(present) < 10**4
    fraction = any(value % 1 for value in present)
    named = per_share or _PER_SHARE.search(row.label) or _RATIO.search(row.label)
    return bool(named) and small and fraction


def _duration(notes: str) -> int | None:
    duration = _DURATION.search(notes)
    return _QUARTERS[(duration[1] or duration[2]).lower()] if duration else None


def _csv_row(line: _Line, width: int, where: str, warnings: list[str]) -> Row:
    record = line.cells
    label = record[0].strip()[:LONGEST_LABEL]
    cells = [*record[1 : width + 1], *[""] * (width + 1 - len(record))]
    if any(cell.strip() for cell in record[width + 1 :]):
        warnings.append(f"{where}: more cells than columns, the others are ignored")
    values: list[Decimal | None] = []
    for column, cell in enumerate(cells, 1):
        value = parse_number(cell)
        if value is None and cell.strip(_NO_AMOUNT):
            problem = f"{cell.strip()[:40]!r} is not an amount"
            warnings.append(f"{where} column {column}, {truncate(label, 60)!r}: {problem}")
        values.append(value)
    positions = tuple(line.position(column) for column in range(width))
    return Row(label, tuple(values), None, not any(cell.strip() for cell in cells), positions)


def _company(title: str) -> str | None:
    name = re.split(r"\s+[-\u2013\u2014]\s+", title)[0].strip()
    return name if name and name != title else None


# Numbers and dates

_NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)?(\.\d+)?(?<=\d)(e[+-]?\d{1,2})?", re.IGNORECASE)
_DAY = re.compile(r"(19|20)\d{6}")
_NOTES = re.compile(r"\s*(\(\d{1,2}\)|\[\w{1,3}\]|[*†‡§])+$")
_DATES = (
    "%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%B %d, %Y", "%b %d, %Y", "%b. %d, %Y",
    "%B %d %Y", "%d %B %Y", "%d %b %Y", "%d.%m.%Y",
)  # fmt: skip
_BEFORE_DATE = re.compile(r"^(\d+ months ended|(fiscal )?year ended|as of|at)\s+", re.I)
_YEAR = re.compile(r"(?:fy\s*)?((?:19|20)\d\d)", re.IGNORECASE)


def parse_number(cell: str) -> Decimal | None:
    """Parse a printed amount: `1,234`, `(1,234)`, `$ 12.5`, `-3`, `12-`. None for anything else."""
    text = cell.replace("\u00a0", " ").replace("\u2212", "-").strip()
    if len(text) > LONGEST_FIGURE:
        return None
    if not re.fullmatch(r"[$€£¥]?\s*\(\s*[$€£¥]?\s*[\d.,]+\s*\)", text):
        text = _NOTES.sub("", text)
    text = re.sub(r"[$€£¥\s]|^USD|%$", "", text)
    negative = text.startswith(("(", "-")) or text.endswith("-")
    body = text.strip("()-+")
    if not body or not _NUMBER.fullmatch(body):
        return None
    number = Decimal(body.replace(",", ""))
    if number > LARGEST:
        return None
    return -number if negative else number


def cached_by_text(function: Callable[P, T]) -> Callable[P, T]:
    """Cache the results of a function by its last argument, a text.

    Long texts are not cached: a document may have a label of a megabyte on each line.
    """
    cached = lru_cache(maxsize=20_000)(function)

    @wraps(function)
    def wrapper(*of: Any) -> T:
        words = of[-1]
        short = isinstance(words, str) and len(words) <= LONGEST_REMEMBERED
        return cached(*of) if short else function(*of)  # type: ignore[call-arg]

    return wrapper  # type: ignore[return-value]


@cached_by_text
def parse_date(text: str) -> str | None:
    """Parse a date to YYYYMMDD; a bare year means its last day. None if it is no date."""
    if len(text) > LONGEST_FIGURE:
        return None
    text = _BEFORE_DATE.sub("", text.strip())
    if year := _YEAR.fullmatch(text):
        return f"{year[1]}1231"
    for pattern in _DATES if not text.isdigit() or _DAY.fullmatch(text) else ():
        try:
            return datetime.strptime(text, pattern).strftime("%Y%m%d")  # noqa: DTZ007 - a date
        except ValueError:
            continue
    return None
