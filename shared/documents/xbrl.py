"""XBRL: the facts of instances and of inline XBRL in HTML, and an instance as a reading.

A fact is a value with the name of what it is, for whom, for when, split by what, and in which unit:
XBRL 2.1, XBRL Dimensions 1.0, Inline XBRL 1.1. Nothing is loaded: schemas and labels lie in files
of their own, at addresses that are never called, so a label is made of the name, and no fact is
checked against its taxonomy. The library that would do that reads little or nothing without its
taxonomies (measured in infra/decisions).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from html import unescape

from shared.documents.drafting import Draft, Field, in_one_line
from shared.documents.reading import Limits, Page, Reading, no_boxes
from shared.documents.transformations import UnknownForm, number_of, text_of
from shared.documents.xml import Element, local, parse, root_of
from shared.errors import DocumentTooLarge, EmptyDocument, UnsupportedType

XBRL = "application/xbrl-instance+xml"

INSTANCE = "http://www.xbrl.org/2003/instance"
INLINE = ("http://www.xbrl.org/2013/inlineXBRL", "http://www.xbrl.org/2008/inlineXBRL")

COLUMNS = ("Label", "Value", "Unit", "Period", "Dimensions", "Decimals", "Name", "Id")
"""The fields of each line of an instance's text."""

_LINKBASE = "http://www.xbrl.org/2003/linkbase"
_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+")
_LEXICAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_SCALE = re.compile(r"[+-]?\d{1,2}")
_MARKUP = re.compile(r"<[a-zA-Z/!][^<>]*>")
_BLOCKS = frozenset(
    {
        *("address", "article", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("hr", "li", "ol", "p", "table", "td", "th", "tr", "ul"),
    }
)
_CHUNK = 1 << 18
_NAN = float("nan")
_MOST_WARNINGS = 20
_PERIODS = {"startDate": "start", "endDate": "end", "instant": "end"}
_METADATA = {
    "EntityRegistrantName": "title",
    "DocumentType": "subject",
    "DocumentPeriodEndDate": "period",
}


@dataclass(frozen=True, slots=True)
class Context:
    """For whom, for when and split by what.

    `start` and `end` are ISO dates and both belong to the period; a moment has no start, what holds
    forever has neither. `dimensions` are pairs of axis and member, by their names in the document.
    """

    entity: str = ""
    start: str | None = None
    end: str | None = None
    dimensions: tuple[tuple[str, str], ...] = ()

    @property
    def period(self) -> str:
        """`2023-01-01/2023-12-31`, or the one day of a moment."""
        return f"{self.start}/{self.end}" if self.start else self.end or "forever"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact in the order of the document.

    `name` is that of its concept with the document's own prefix, `value` the text or number in its
    final form (whole units, with its sign; None if it is nil or can't be understood), `number` the
    same exactly, `shown` what stands in the page. `element` is the id of its element, empty if it
    has none; `order` counts the facts of the document from 1.
    """

    name: str
    context: Context
    unit: str | None
    decimals: str | None
    value: str | None
    number: Decimal | None
    shown: str
    element: str
    order: int

    @property
    def label(self) -> str:
        """Its name in words: `Accounts payable current` for `us-gaap:AccountsPayableCurrent`."""
        words = _WORDS.findall(self.name.rpartition(":")[2])
        rest = [word if word.isupper() and len(word) > 1 else word.lower() for word in words[1:]]
        return " ".join([*words[:1], *rest])


@dataclass(frozen=True)
class Facts:
    """The facts of one document, and what of it could not be understood."""

    facts: tuple[Fact, ...]
    warnings: tuple[str, ...] = ()
    inline: bool = False

    def to_bytes(self) -> bytes:
        """As JSON, each context once."""
        contexts = list(dict.fromkeys(fact.context for fact in self.facts))
        places = {context: place for place, context in enumerate(contexts)}
        rows = [
            (
                *(f.name, places[f.context], f.unit, f.decimals, f.value),
                *(None if f.number is None else str(f.number), f.shown, f.element),
            )
            for f in self.facts
        ]
        listed = [(c.entity, c.start, c.end, c.dimensions) for c in contexts]
        whole = {
            "contexts": listed,
            "facts": rows,
            "warnings": self.warnings,
            "inline": self.inline,
        }
        return json.dumps(whole).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Facts:
        """The facts again."""
        whole = json.loads(data)
        contexts = [
            Context(entity, start, end, tuple((axis, member) for axis, member in dimensions))
            for entity, start, end, dimensions in whole["contexts"]
        ]
        facts = (
            Fact(
                name=name,
                context=contexts[place],
                unit=unit,
                decimals=decimals,
                value=value,
                number=None if number is None else Decimal(number),
                shown=shown,
                element=element,
                order=order,
            )
            for order, (name, place, unit, decimals, value, number, shown, element) in enumerate(
                whole["facts"], 1
            )
        )
        return cls(tuple(facts), tuple(whole["warnings"]), whole["inline"])


def is_instance(data: bytes) -> bool:
    """Whether a document is an XBRL instance, by its first element.

    Raises UnsupportedType for a part of a taxonomy, which reports nothing by itself.
    """
    root = root_of(data)
    if root is None:
        return False
    space, name, declared = root
    if (space, name) == (_LINKBASE, "linkbase") or (
        (space, name) == (_SCHEMA, "schema") and INSTANCE in declared
    ):
        raise UnsupportedType(
            "this is a part of an XBRL taxonomy (schema, labels or relations) and reports nothing "
            "by itself: upload the instance, or the inline XBRL page"
        )
    return (space, name) == (INSTANCE, "xbrl")


def is_inline(data: bytes) -> bool:
    """Whether a document is a page of inline XBRL, by what its first element declares."""
    root = root_of(data)
    return root is not None and root[1] == "html" and any(space in INLINE for space in root[2])


def facts_of(data: bytes) -> Facts:
    """The facts of an instance or of inline XBRL; none for any other XML.

    Raises UnreadableDocument for what is no well-formed XML, as both have to be.
    """
    prefixes: dict[str, str] = {}
    return _Document(parse(_chunks(data), prefixes), prefixes).facts()


def read_instance(data: bytes, limits: Limits) -> Reading:
    """An instance as one page: a line a fact, a cell for each of COLUMNS that has something."""
    found = facts_of(data)
    if not found.facts:
        raise EmptyDocument("there is no fact in this XBRL instance")
    draft = Draft()
    draft.add_row(1, 1, [(column, name, _NAN) for column, name in enumerate(COLUMNS, 1)])
    for fact in found.facts:
        draft.add("\n")
        draft.add_row(1, fact.order + 1, _fields(fact))
        if draft.length > limits.max_plain_text:
            raise DocumentTooLarge(
                f"the document has more than {limits.max_plain_text:,} characters"
            )
    return Reading(
        text=draft.text,
        pages=(Page(1, 0, draft.length, 0.0, 0.0, method="xbrl"),),
        boxes=no_boxes(draft.length),
        page_count=1,
        warnings=found.warnings,
        media_type=XBRL,
        metadata=_metadata(found.facts),
        cells=draft.cells(),
    )


def _chunks(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))


def _fields(fact: Fact) -> Iterator[Field]:
    dimensions = "; ".join(f"{axis} = {member}" for axis, member in fact.context.dimensions)
    texts = (
        *(fact.label, printed(fact), fact.unit or "", fact.context.period, dimensions),
        *(fact.decimals or "", fact.name, fact.element),
    )
    for column, text in enumerate(texts, 1):
        value = _NAN
        if column == 2 and fact.number is not None:
            value = float(fact.number)
        yield column, in_one_line(text), value


def printed(fact: Fact) -> str:
    """The value as a page would show it: thousands apart, negative in parentheses."""
    if fact.number is None:
        return fact.value or ""
    whole = fact.number == fact.number.to_integral_value() and abs(fact.number) < 10**30
    text = f"{abs(fact.number):,.0f}" if whole else f"{abs(fact.number):,f}"
    if len(text) > 60:
        text = f"{abs(fact.number):E}"
    return f"({text})" if fact.number < 0 else text


def _metadata(facts: tuple[Fact, ...]) -> dict[str, str]:
    """Who filed what for when, as far as the filing says so about itself."""
    found: dict[str, str] = {}
    for fact in facts:
        key = _METADATA.get(fact.name.rpartition(":")[2])
        if key and fact.value and not fact.context.dimensions:
            found.setdefault(key, fact.value[:500])
    return found


# ---------------------------------------------------------------- what both forms share


class _Document:
    """One parsed document: its contexts and units, and the facts that refer to them."""

    def __init__(self, root: Element, prefixes: dict[str, str]) -> None:
        self._root = root
        self._prefixes = prefixes
        self._contexts: dict[str, Context] = {}
        self._units: dict[str, str] = {}
        self._warnings: list[str] = []
        self._inline: list[Element] = []
        self._continued: dict[str, Element] = {}

    def facts(self) -> Facts:
        """All of them, in order."""
        for element in self._root.iter():
            space, name = _split(element)
            if space == INSTANCE and name == "context":
                self._contexts[element.get("id", "")] = _context(element)
            elif space == INSTANCE and name == "unit":
                self._units[element.get("id", "")] = _unit(element)
            elif space in INLINE:
                self._note_inline(element, name)
        found = self._facts_inline() if self._inline else self._facts_of_instance()
        facts = tuple(found)
        more = len(self._warnings) - _MOST_WARNINGS
        rest = [f"{more:,} more facts that are not understood"] if more > 0 else []
        warnings = (*self._warnings[:_MOST_WARNINGS], *rest)
        return Facts(facts, warnings, inline=bool(self._inline))

    def _note_inline(self, element: Element, name: str) -> None:
        if name in ("nonFraction", "nonNumeric", "fraction"):
            self._inline.append(element)
        elif name == "continuation" and (key := element.get("id")):
            self._continued[key] = element

    # ------------------------------------------------------------ instances

    def _facts_of_instance(self) -> Iterator[Fact]:
        order = 0
        for element in self._root.iter():
            if element.get("contextRef") is None:
                continue
            order += 1
            space, name = _split(element)
            text = _without_markup(element.text or "")
            unit = self._unit_of(element)
            number = None
            if unit is not None and text:
                try:
                    number = _plain_number(text)
                except UnknownForm as error:
                    self._warnings.append(f"{name}: {error}")
            yield Fact(
                name=f"{self._prefixes.get(space, space)}:{name}",
                context=self._context_of(element),
                unit=unit,
                decimals=element.get("decimals"),
                value=None if _is_nil(element) else text if number is None else _plain(number),
                number=number,
                shown=text,
                element=element.get("id", ""),
                order=order,
            )

    # ------------------------------------------------------------ inline XBRL

    def _facts_inline(self) -> Iterator[Fact]:
        for order, element in enumerate(self._inline, 1):
            numeric = local(element) != "nonNumeric"
            shown = _shown(element) if numeric else self._text_of(element)
            number: Decimal | None = None
            value: str | None = None
            if not _is_nil(element):
                try:
                    if numeric:
                        number = _scaled(element, shown)
                        value = None if number is None else _plain(number)
                    else:
                        value = text_of(element.get("format"), shown)
                except UnknownForm as error:
                    self._warnings.append(f"{element.get('name', '')}: {error}")
            yield Fact(
                name=element.get("name", ""),
                context=self._context_of(element),
                unit=self._unit_of(element),
                decimals=element.get("decimals"),
                value=value,
                number=number,
                shown=shown,
                element=element.get("id", ""),
                order=order,
            )

    def _text_of(self, element: Element) -> str:
        """The text of a fact with all its continuations, each of them once."""
        pieces = [_shown(element)]
        seen: set[str] = set()
        key = element.get("continuedAt")
        while key and key not in seen and key in self._continued:
            seen.add(key)
            pieces.append(_shown(self._continued[key]))
            key = self._continued[key].get("continuedAt")
        return " ".join(piece for piece in pieces if piece)

    def _context_of(self, element: Element) -> Context:
        key = element.get("contextRef", "")
        if key not in self._contexts:
            self._warnings.append(f"{_name(element)}: its context {key!r} is missing")
        return self._contexts.get(key, _NO_CONTEXT)

    def _unit_of(self, element: Element) -> str | None:
        key = element.get("unitRef")
        return None if key is None else self._units.get(key, key)


_NO_CONTEXT = Context()


def _name(element: Element) -> str:
    return element.get("name") or local(element)


def _split(element: Element) -> tuple[str, str]:
    space, brace, name = str(element.tag).rpartition("}")
    return (space[1:], name) if brace else ("", name)


def _is_nil(element: Element) -> bool:
    return element.get(_NIL, "").strip() in ("true", "1")


def _context(element: Element) -> Context:
    parts: dict[str, str] = {}
    entity = ""
    dimensions = []
    for child in element.iter():
        name = local(child)
        if name in _PERIODS:
            parts[_PERIODS[name]] = _day((child.text or "").strip(), ends=name != "startDate")
        elif name == "identifier":
            entity = (child.text or "").strip()
        elif name in ("explicitMember", "typedMember"):
            member = " ".join("".join(child.itertext()).split())
            dimensions.append((child.get("dimension", ""), member))
    return Context(entity, parts.get("start"), parts.get("end"), tuple(sorted(dimensions)))


def _day(text: str, *, ends: bool) -> str:
    """The day of a date or time; midnight ends the day before (XBRL 2.1, 4.7.2)."""
    day, separator, clock = text.partition("T")
    if ends and separator and clock.startswith("00:00:00"):
        try:
            return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        except (ValueError, OverflowError):
            return text
    return day


def _unit(element: Element) -> str:
    """`USD`, `shares`, `USD/shares`, or factors with a star between them."""
    sides: dict[str, list[str]] = {"": [], "unitNumerator": [], "unitDenominator": []}
    for child in element:
        side = local(child)
        if side == "measure":
            sides[""].append(_measure(child))
        for part in child if side == "divide" else ():
            if local(part) in sides:
                sides[local(part)] += [_measure(found) for found in part]
    above, below = sides[""] or sides["unitNumerator"], sides["unitDenominator"]
    return "*".join(above) + (f"/{'*'.join(below)}" if below else "")


def _measure(element: Element) -> str:
    return (element.text or "").strip().rpartition(":")[2]


def _without_markup(text: str) -> str:
    """The words of a text, which in a text block is HTML as a text."""
    if "<" in text:
        text = unescape(_MARKUP.sub(" ", text))
    return " ".join(text.split())


def _plain_number(text: str) -> Decimal:
    if not _LEXICAL.fullmatch(text) or len(text) > 60:
        raise UnknownForm(f"{text[:40]!r} is no number")
    return Decimal(text)


def _scaled(element: Element, shown: str) -> Decimal | None:
    """The number of an inline fact: its form, its power of ten and its sign applied."""
    if local(element) == "fraction":
        raise UnknownForm("fractions of two facts are not read")
    number = number_of(element.get("format"), shown)
    if number is None:
        return None
    scale = element.get("scale", "0").strip()
    if not _SCALE.fullmatch(scale):
        raise UnknownForm(f"{scale[:20]!r} is no power of ten")
    number = number.scaleb(int(scale))
    return -number if element.get("sign") == "-" else number


def _plain(number: Decimal) -> str:
    """A decimal without an exponent and without zeros at its end."""
    if number == number.to_integral_value():
        return f"{number.to_integral_value():f}" if number else "0"
    return f"{number.normalize():f}"


def _shown(element: Element) -> str:
    """What a person sees of an element, in one line; what `exclude` holds belongs to no fact."""
    pieces: list[str] = []
    _gather(element, pieces)
    return " ".join("".join(pieces).split())


def _gather(element: Element, pieces: list[str]) -> None:
    pieces.append(element.text or "")
    for child in element:
        space, name = _split(child)
        if not (space in INLINE and name in ("exclude", "hidden")):
            block = name in _BLOCKS
            pieces.append(" " if block else "")
            _gather(child, pieces)
            pieces.append(" " if block else "")
        pieces.append(child.tail or "")
