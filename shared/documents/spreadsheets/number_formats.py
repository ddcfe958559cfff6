"""Format numbers as a spreadsheet shows them: thousands, parentheses, percent, currency.

A number format has up to four sections (positive; negative; zero; text) of placeholders and
literals: ECMA-376 part 1, 18.8.30 and 18.8.31. Dates are always ISO 8601, because their display
depends on the reader's locale. Unsupported formats (fractions, scientific notation in threes) give
the plain number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

GENERAL = "General"

_ACCOUNTING = '_({0}* #,##0{1}_);_({0}* \\(#,##0{1}\\);_({0}* "-"{2}_);_(@_)'
BUILT_IN: dict[int, str] = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00",
    12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy",
    18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm",
    45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    5: '"$"#,##0_);\\("$"#,##0\\)', 6: '"$"#,##0_);\\("$"#,##0\\)',
    7: '"$"#,##0.00_);\\("$"#,##0.00\\)', 8: '"$"#,##0.00_);\\("$"#,##0.00\\)',
    37: "#,##0_);\\(#,##0\\)", 38: "#,##0_);\\(#,##0\\)",
    39: "#,##0.00_);\\(#,##0.00\\)", 40: "#,##0.00_);\\(#,##0.00\\)",
    41: _ACCOUNTING.format("", "", ""), 42: _ACCOUNTING.format('"$"', "", ""),
    43: _ACCOUNTING.format("", ".00", "??"), 44: _ACCOUNTING.format('"$"', ".00", "??"),
    **dict.fromkeys((*range(27, 37), *range(50, 59)), "yyyy-mm-dd"),
}  # fmt: skip
"""Formats that a workbook names only by number, including dates of East Asian editions."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.?)|_(?P<skip>.?)|\*(?P<fill>.?)|\[(?P<bracket>[^\]]*)\]?'
    r"|(?P<general>General)|(?P<half>AM/PM|A/P)|(?P<exponent>E[+-]0+)|(?P<digit>[0#?])"
    r"|(?P<point>\.)|(?P<comma>,)|(?P<percent>%)|(?P<at>@)|(?P<date>[ymdhsYMDHS])|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[\d.]+)$")
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_NOT_NOTHING = re.compile("[1-9]")
_LONGEST = 255
_EXACT = Context(prec=400, rounding=ROUND_HALF_UP)
_PLACES = [Decimal(1).scaleb(-places) for places in range(31)]
_LAST_DAY = 2_958_466.0
_FIRST_RIGHT_DAY = 61.0  # by the calendar of 1900, in which that year has a 29th of February


@dataclass
class _Section:
    """One section: its tokens as (kind, text), and their properties."""

    tokens: list[tuple[str, str]] = field(default_factory=list)
    condition: tuple[str, float] | None = None
    integer: list[str] = field(default_factory=list)
    fraction: list[str] = field(default_factory=list)
    grouped: bool = False
    power: int = 0
    is_date: bool = False
    is_elapsed: bool = False
    has_day: bool = False
    plain: bool = False
    around: tuple[str, str] | None = None
    """Text before and after the number, if there is none inside it."""


@dataclass(frozen=True)
class NumberFormat:
    """One number format."""

    sections: Sequence[_Section]
    has_conditions: bool

    def show(self, value: float, *, since_1904: bool = False) -> str:
        """Return the number as its cell shows it, without alignment spaces."""
        if not math.isfinite(value):
            return general(value)
        section, negative = self._chosen(value)
        if section.is_date:
            return _moment(value, section, since_1904)
        shown = "" if section.plain else _number(Decimal(repr(abs(value))), section)
        if not shown:
            return general(value)
        return f"-{shown}" if negative and _NOT_NOTHING.search(shown) else shown

    def _chosen(self, value: float) -> tuple[_Section, bool]:
        """Return the section for a number, and whether a sign must be added."""
        if self.has_conditions:
            for section in self.sections:
                if section.condition is None or _holds(section.condition, value):
                    return section, value < 0
            return self.sections[-1], value < 0
        if value < 0 and len(self.sections) > 1:
            return self.sections[1], False
        if value == 0 and len(self.sections) > 2:
            return self.sections[2], False
        return self.sections[0], value < 0


@lru_cache(maxsize=4096)
def number_format(code: str) -> NumberFormat:
    """Parse a format code such as `#,##0_);(#,##0)`."""
    sections = [_section(list(part)) for part in _parts(code[:_LONGEST])][:3]
    return NumberFormat(sections, any(section.condition for section in sections))


def general(value: float) -> str:
    """Format a number without a format, to fifteen digits."""
    return f"{value:.15g}".upper()


def _parts(code: str) -> Iterator[list[tuple[str, str]]]:
    part: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(code):
        kind = match.lastgroup or "other"
        text = match[kind]
        if kind == "other" and text == ";":
            yield part
            part = []
        else:
            part.append((kind, text))
    yield part


def _section(tokens: list[tuple[str, str]]) -> _Section:
    section = _Section()
    after_point = False
    digits = [index for index, (kind, _) in enumerate(tokens) if kind == "digit"]
    for index, (kind, text) in enumerate(tokens):
        if kind == "bracket":
            _bracket(section, text)
            continue
        if kind == "digit":
            (section.fraction if after_point else section.integer).append(text)
        elif kind == "comma" and digits and digits[0] < index:
            more = index < digits[-1]
            section.grouped |= more and not after_point
            section.power -= 0 if more else 3
            continue
        elif kind == "point" and after_point:
            section.plain = True
        elif kind == "percent":
            section.power += 2
        after_point |= kind == "point"
        section.is_date |= kind == "date"
        section.has_day |= kind == "date" and text in "yYdD"
        section.plain |= kind == "exponent" and len(section.integer) != 1
        section.tokens.append((kind, text))
    section.plain |= bool(digits) and ("other", "/") in section.tokens and not section.is_date
    section.around = _around(section)
    return section


def _around(section: _Section) -> tuple[str, str] | None:
    """Return the literals around a number such as `#,##0.00`: the usual, fast case."""
    kinds = ["digit" if kind == "point" else kind for kind, _ in section.tokens]
    usual = section.integer[-1:] == ["0"] and section.integer.count("0") == 1
    if not usual or {"exponent", "general"} & set(kinds) or set(section.fraction) - {"0"}:
        return None
    first, last = kinds.index("digit"), len(kinds) - kinds[::-1].index("digit")
    if set(kinds[first:last]) != {"digit"}:
        return None
    literals = ["" if k in ("fill", "at") else " " if k == "skip" else t for k, t in section.tokens]
    before, behind = "".join(literals[:first]), "".join(literals[last:])
    return re.sub(r"\s+", " ", before).lstrip(), re.sub(r"\s+", " ", behind).rstrip()


def _bracket(section: _Section, text: str) -> None:
    """Process a condition, elapsed hours or a currency; colours and languages show nothing."""
    if condition := _CONDITION.match(text):
        try:
            section.condition = (condition[1], float(condition[2]))
        except ValueError:
            section.plain = True
    elif _ELAPSED.fullmatch(text):
        section.is_date = section.is_elapsed = True
    elif text.startswith("$"):
        section.tokens.append(("quoted", text[1:].partition("-")[0]))
    elif text[:2].upper() == "DB":
        section.plain = True


def _holds(condition: tuple[str, float], value: float) -> bool:
    sign, limit = condition
    return {
        "<": value < limit, ">": value > limit, "=": value == limit,
        "<=": value <= limit, ">=": value >= limit, "<>": value != limit,
    }[sign]  # fmt: skip


def _number(number: Decimal, section: _Section) -> str:
    scaled = number.scaleb(section.power, _EXACT) if section.power else number
    if section.around:
        rounded = _rounded(scaled, len(section.fraction))
        digits = f"{rounded:,f}" if section.grouped else f"{rounded:f}"
        return f"{section.around[0]}{digits}{section.around[1]}"
    return _in_pieces(number, scaled, section)


def _in_pieces(number: Decimal, scaled: Decimal, section: _Section) -> str:
    """Format placeholder by placeholder, with the literals between them."""
    exponent = next((text for kind, text in section.tokens if kind == "exponent"), "")
    shift = scaled.adjusted() if exponent and scaled else 0
    rounded = _rounded(scaled.scaleb(-shift, _EXACT), len(section.fraction))
    if exponent and rounded >= 10:
        shift += 1
        rounded = _rounded(rounded.scaleb(-1, _EXACT), len(section.fraction))
    integer, _, fraction = f"{rounded:f}".partition(".")
    digits = _wholes(integer.lstrip("0"), section)
    shown = []
    for kind, text in section.tokens:
        if kind == "digit":
            shown.append(next(digits, ""))
        elif kind == "point":
            decimals = _fractions(fraction, section.fraction)
            digits = iter(decimals)
            shown.append(text if any(decimals) or not decimals else "")
        elif kind == "general":
            shown.append(general(float(number)))
        elif kind == "exponent":
            sign = "-" if shift < 0 else "+" if text[1] == "+" else ""
            shown.append(f"E{sign}{abs(shift):0{len(text) - 2}d}")
        elif kind == "skip":
            shown.append(" ")
        elif kind not in ("fill", "at"):
            shown.append(text)
    return " ".join("".join(shown).split())


def _rounded(number: Decimal, places: int) -> Decimal:
    return number.quantize(_PLACES[min(places, len(_PLACES) - 1)], context=_EXACT)


def _wholes(digits: str, section: _Section) -> Iterator[str]:
    """Yield the digits of each placeholder before the point; the first takes all extra digits."""
    places = len(section.integer)
    for index, placeholder in enumerate(section.integer):
        right = places - index - 1
        stop = max(0, len(digits) - right)
        own = digits[:stop] if index == 0 else digits[max(0, stop - 1) : stop]
        if not own and placeholder == "0":
            own = "0"
        yield _grouped(own, right) if section.grouped else own


def _grouped(own: str, right: int) -> str:
    """Insert commas between groups of three digits. `right` digits follow these."""
    pieces = []
    for index, digit in enumerate(own):
        behind = right + len(own) - index - 1
        pieces.append(digit + ("," if behind and behind % 3 == 0 else ""))
    return "".join(pieces)


def _fractions(digits: str, placeholders: Sequence[str]) -> list[str]:
    needed = max((i + 1 for i, p in enumerate(placeholders) if p == "0"), default=0)
    count = max(needed, len(digits.rstrip("0")))
    return [digit if index < count else "" for index, digit in enumerate(digits)]


def _moment(serial: float, section: _Section, since_1904: bool) -> str:
    """Format a day number as ISO date, time or both; elapsed hours may exceed a day."""
    if section.is_elapsed:
        seconds = round(abs(serial) * 86_400)
        sign = "-" if serial < 0 else ""
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    days = serial + 1462 if since_1904 else serial
    if not 0 <= days < _LAST_DAY:
        return general(serial)
    if days < 1 and not section.has_day and not since_1904:
        return _clock(datetime(1900, 1, 1) + timedelta(seconds=round(days * 86_400)))  # noqa: DTZ001
    first = datetime(1899, 12, 31 if days < _FIRST_RIGHT_DAY else 30)  # noqa: DTZ001 - no zone
    moment = first + timedelta(seconds=round(days * 86_400))
    day = moment.strftime("%Y-%m-%d")
    at_midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return day if at_midnight else f"{day} {_clock(moment)}"


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S")
