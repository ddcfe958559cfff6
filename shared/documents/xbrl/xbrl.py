"""XBRL facts of instances and of inline XBRL in HTML, and an instance as text.

XBRL 2.1, XBRL Dimensions 1.0, Inline XBRL 1.1. Schemas and labels are external and never loaded, so
labels are made from names, and facts are not validated against their taxonomy
(docs/explanation/decisions/document-readers.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from html import unescape

from shared.documents.containers.xml import Element, local, parse, root_of
from shared.documents.model.formats import XBRL
from shared.documents.model.parsed_document import Limits, Page, ParsedDocument
from shared.documents.model.table_builder import Draft, Field, in_one_line
from shared.documents.xbrl.transformations import UnknownForm, number_of, text_of
from shared.errors import DocumentTooLarge, EmptyDocument, UnsupportedType

INSTANCE = "http://www.xbrl.org/2003/instance"
INLINE = ("http://www.xbrl.org/2013/inlineXBRL", "http://www.xbrl.org/2008/inlineXBRL")

COLUMNS = ("Label", "Value", "Unit", "Period", "Dimensions", "Decimals", "Name", "Id")
"""The fields of each line of an instance's text."""

_LINKBASE = "http://www.xbrl.org/2003/linkbase"
_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+")
_LEXICAL = re.compile(r"[+-]?(\d++(?:\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
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
    """Entity, period and dimensions of a fact.

    `start` and `end` are inclusive ISO dates. An instant has no start, an unlimited period neither.
    `dimensions` are pairs of axis and member names.
    """

    entity: str = ""
    start: str | None = None
    end: str | None = None
    dimensions: tuple[tuple[str, str], ...] = ()

    @property
    def period(self) -> str:
        """Return `2023-01-01/2023-12-31`, or the day of an instant."""
        return f"{self.start}/{self.end}" if self.start else self.end or "forever"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact in document order.

    `name` is that of its concept with the document's prefix. `value` is its final text or number
    (whole units with sign; None if nil or not understood), `number` the exact number, `shown` the
    text on the page. `element` is its element's id or empty; `order` counts from 1.
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
        following = [
            word if word.isupper() and len(word) > 1 else word.lower() for word in words[1:]
        ]
        return " ".join([*words[:1], *following])


@dataclass(frozen=True)
class Facts:
    """The facts of one document, and warnings."""

    facts: tuple[Fact, ...]
    warnings: tuple[str, ...] = ()
    inline: bool = False

    def to_bytes(self) -> bytes:
        """Serialise as JSON, each context once."""
        contexts = list(dict.fromkeys(fact.context for fact in self.facts))
        indices = {context: index for index, context in enumerate(contexts)}
        content = {
            "contexts": [(c.entity, c.start, c.end, c.dimensions) for c in contexts],
            "facts": [
                (
                    f.name,
                    indices[f.context],
                    f.unit,
                    f.decimals,
                    f.value,
                    f.number,
                    f.shown,
                    f.element,
                )
                for f in self.facts
            ],
            "warnings": self.warnings,
            "inline": self.inline,
        }
        return json.dumps(content, default=str).encode()  # an exact number is a string

    @classmethod
    def from_bytes(cls, data: bytes) -> Facts:
        content = json.loads(data)
        contexts = [
            Context(entity, start, end, tuple((axis, member) for axis, member in dimensions))
            for entity, start, end, dimensions in content["contexts"]
        ]
        rows = enumerate(content["facts"], 1)
        facts = [
            Fact(
                name, contexts[index], unit, decimals, value, _exact(number), shown, element, order
            )
            for order, (name, index, unit, decimals, value, number, shown, element) in rows
        ]
        return cls(tuple(facts), tuple(content["warnings"]), content["inline"])


def _exact(number: str | None) -> Decimal | None:
    return None if number is None else Decimal(number)


def is_instance(data: bytes) -> bool:
    """Whether a document is an XBRL instance, by its first element.

    Raises UnsupportedType for a part of a taxonomy, which has no facts.
    """
    root = root_of(data)
    if root is None:
        return False
    space, name, declared = root
    if (space, name) == (_LINKBASE, "linkbase") or (
        (space, name) == (_SCHEMA, "schema") and INSTANCE in declared
    ):
        raise UnsupportedType(
            "this is a part of an XBRL taxonomy (schema, labels or relations) without any "
            "facts: upload the instance, or the inline XBRL page"
        )
    return (space, name) == (INSTANCE, "xbrl")


def is_inline(data: bytes) -> bool:
    """Whether a document is inline XBRL, by the declarations of its first element."""
    root = root_of(data)
    return root is not None and root[1] == "html" and any(space in INLINE for space in root[2])


def facts_of(data: bytes) -> Facts:
    """Return the facts of an instance or of inline XBRL; none for other XML.

    Raises UnreadableDocument if it is not well-formed XML.
    """
    prefixes: dict[str, str] = {}
    return _Document(parse(_chunks(data), prefixes), prefixes).facts()


def read_instance(data: bytes, limits: Limits) -> ParsedDocument:
    """Return an instance as one page: a line for each fact, a cell for each non-empty column."""
    parsed = facts_of(data)
    if not parsed.facts:
        raise EmptyDocument("there is no fact in this XBRL instance")
    draft = Draft()
    draft.add_row(1, 1, [(column, name, _NAN) for column, name in enumerate(COLUMNS, 1)])
    for fact in parsed.facts:
        draft.add("\n")
        draft.add_row(1, fact.order + 1, _fields(fact))
        if draft.length > limits.max_plain_text:
            raise DocumentTooLarge(
                f"the document has more than {limits.max_plain_text:,} characters"
            )
    return ParsedDocument(
        text=draft.text,
        pages=(Page(1, 0, draft.length, method="xbrl"),),
        warnings=parsed.warnings,
        media_type=XBRL,
        metadata=_metadata(parsed.facts),
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
    """Return the value as a page shows it: with thousands separators, negative in parentheses."""
    if fact.number is None:
        return fact.value or ""
    is_integer = fact.number == fact.number.to_integral_value() and abs(fact.number) < 10**30
    text = f"{abs(fact.number):,.0f}" if is_integer else f"{abs(fact.number):,f}"
    if len(text) > 60:
        text = f"{abs(fact.number):E}"
    return f"({text})" if fact.number < 0 else text


def _metadata(facts: tuple[Fact, ...]) -> dict[str, str]:
    """Return the filer, the form and the period that the filing states."""
    metadata: dict[str, str] = {}
    for fact in facts:
        key = _METADATA.get(fact.name.rpartition(":")[2])
        if key and fact.value and not fact.context.dimensions:
            metadata.setdefault(key, fact.value[:500])
    return metadata


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
        for element in self._root.iter():
            space, name = _split(element)
            if space == INSTANCE and name == "context":
                self._contexts[element.get("id", "")] = _context(element)
            elif space == INSTANCE and name == "unit":
                self._units[element.get("id", "")] = _unit(element)
            elif space in INLINE:
                self._note_inline(element, name)
        facts = tuple(self._inline_facts() if self._inline else self._instance_facts())
        more = len(self._warnings) - _MOST_WARNINGS
        omitted = [f"{more:,} more facts that are not understood"] if more > 0 else []
        warnings = (*self._warnings[:_MOST_WARNINGS], *omitted)
        return Facts(facts, warnings, inline=bool(self._inline))

    def _note_inline(self, element: Element, name: str) -> None:
        if name in ("nonFraction", "nonNumeric", "fraction"):
            self._inline.append(element)
        elif name == "continuation" and (key := element.get("id")):
            self._continued[key] = element

    def _instance_facts(self) -> Iterator[Fact]:
        elements = (e for e in self._root.iter() if e.get("contextRef") is not None)
        for order, element in enumerate(elements, 1):
            space, name = _split(element)
            text = _without_markup(element.text or "")
            number = None
            if element.get("unitRef") is not None and text:
                try:
                    number = _plain_number(text)
                except UnknownForm as error:
                    self._warnings.append(f"{name}: {error}")
            value = None if _is_nil(element) else text if number is None else _plain(number)
            qualified = f"{self._prefixes.get(space, space)}:{name}"
            yield self._fact(element, qualified, value, number, text, order)

    def _inline_facts(self) -> Iterator[Fact]:
        for order, element in enumerate(self._inline, 1):
            name = element.get("name", "")
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
                    self._warnings.append(f"{name}: {error}")
            yield self._fact(element, name, value, number, shown, order)

    def _fact(
        self,
        element: Element,
        name: str,
        value: str | None,
        number: Decimal | None,
        shown: str,
        order: int,
    ) -> Fact:
        context, unit = element.get("contextRef", ""), element.get("unitRef")
        if context not in self._contexts:
            named = element.get("name") or local(element)
            self._warnings.append(f"{named}: its context {context!r} is missing")
        return Fact(
            name=name,
            context=self._contexts.get(context, _NO_CONTEXT),
            unit=None if unit is None else self._units.get(unit, unit),
            decimals=element.get("decimals"),
            value=value,
            number=number,
            shown=shown,
            element=element.get("id", ""),
            order=order,
        )

    def _text_of(self, element: Element) -> str:
        """Return the text of a fact with its continuations, each once."""
        pieces = [_shown(element)]
        seen: set[str] = set()
        key = element.get("continuedAt")
        while key and key not in seen and key in self._continued:
            seen.add(key)
            pieces.append(_shown(self._continued[key]))
            key = self._continued[key].get("continuedAt")
        return " ".join(piece for piece in pieces if piece)


_NO_CONTEXT = Context()


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
    """Return the day of a date or time; midnight ends the previous day (XBRL 2.1, 4.7.2)."""
    day, separator, clock = text.partition("T")
    if ends and separator and clock.startswith("00:00:00"):
        try:
            return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        except (ValueError, OverflowError):
            return text
    return day


def _unit(element: Element) -> str:
    """Return `USD`, `shares` or `USD/shares`; factors are joined by a star."""
    sides: dict[str, list[str]] = {"": [], "unitNumerator": [], "unitDenominator": []}
    for child in element:
        side = local(child)
        if side == "measure":
            sides[""].append(_measure(child))
        for part in child if side == "divide" else ():
            if local(part) in sides:
                sides[local(part)] += [_measure(measure) for measure in part]
    above, below = sides[""] or sides["unitNumerator"], sides["unitDenominator"]
    return "*".join(above) + (f"/{'*'.join(below)}" if below else "")


def _measure(element: Element) -> str:
    return (element.text or "").strip().rpartition(":")[2]


def _without_markup(text: str) -> str:
    """Return the words of a text; text blocks have escaped HTML."""
    if "<" in text:
        text = unescape(_MARKUP.sub(" ", text))
    return " ".join(text.split())


def _plain_number(text: str) -> Decimal:
    if not _LEXICAL.fullmatch(text) or len(text) > 60:
        raise UnknownForm(f"{text[:40]!r} is not a number")
    return Decimal(text)


def _scaled(element: Element, shown: str) -> Decimal | None:
    """Return the number of an inline fact, with format, scale and sign applied."""
    if local(element) == "fraction":
        raise UnknownForm("fractions of two facts are not read")
    number = number_of(element.get("format"), shown)
    if number is None:
        return None
    scale = element.get("scale", "0").strip()
    if not _SCALE.fullmatch(scale):
        raise UnknownForm(f"{scale[:20]!r} is not a power of ten")
    number = number.scaleb(int(scale))
    return -number if element.get("sign") == "-" else number


def _plain(number: Decimal) -> str:
    """Format a decimal without exponent and trailing zeros."""
    if number == number.to_integral_value():
        return f"{number.to_integral_value():f}" if number else "0"
    return f"{number.normalize():f}"


def _shown(element: Element) -> str:
    """Return the visible text of an element on one line, without `exclude`."""
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
