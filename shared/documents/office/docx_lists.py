"""Styles and list numbers of DOCX: Word computes them, no file contains them.

The rules are those of ECMA-376 part 1, 17.9, and behaviour found in thousands of real files (Open
XML SDK PowerTools; the parser of The National Archives for court judgments). Counters belong to the
abstract list, not its instances. A skipped level counts as started. A start override works once for
an instance and level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.documents.containers.xml import Element, below
from shared.documents.flow.numerals import numeral
from shared.documents.flow.symbol_fonts import from_symbols
from shared.documents.office.package_reader import first_given

LEVELS = 9
_LEVEL = re.compile(r"%([1-9])")
_OFF = ("0", "false", "off")


def on(element: Element | None) -> bool | None:
    """Return whether a toggle such as `w:vanish` is on; None if it is missing."""
    return None if element is None else element.get("w:val", "1").lower() not in _OFF


def value(element: Element | None, path: str) -> str | None:
    """Return the `w:val` of the element at a path."""
    element_found = below(element, path)
    return None if element_found is None else element_found.get("w:val")


def integer(text: str | None) -> int | None:
    """Return an integer of at most nine digits, or None."""
    return int(text) if text and re.fullmatch(r"-?\d{1,9}", text.strip()) else None


@dataclass(frozen=True)
class Style:
    """The properties of a style that affect the text; None if its parent decides."""

    based_on: str | None = None
    list_id: str | None = None
    level: int | None = None
    hidden: bool | None = None
    new_page: bool | None = None


@dataclass
class Styles:
    """The styles of one document by id."""

    by_id: dict[str, Style] = field(default_factory=dict)
    default: str = ""
    hidden_by_default: bool = False
    _resolved: dict[str, Style] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Element) -> Styles:
        """Read styles.xml."""
        styles = cls(
            hidden_by_default=bool(on(below(root, "w:docDefaults/w:rPrDefault/w:rPr/w:vanish")))
        )
        for element in root.iter("w:style"):
            name = element.get("w:styleId", "")
            styles.by_id[name] = Style(
                value(element, "w:basedOn"),
                value(element, "w:pPr/w:numPr/w:numId"),
                integer(value(element, "w:pPr/w:numPr/w:ilvl")),
                on(below(element, "w:rPr/w:vanish")),
                on(below(element, "w:pPr/w:pageBreakBefore")),
            )
            if element.get("w:type") == "paragraph" and element.get("w:default", "0") not in _OFF:
                styles.default = name
        return styles

    def of_paragraph(self, name: str | None) -> Style:
        """Return a paragraph's style with inherited properties; the default style without a
        name.
        """
        return self.of_runs(name if name in self.by_id else self.default)

    def of_runs(self, name: str) -> Style:
        """Return a style by its id with inherited properties; empty for no id."""
        if name not in self._resolved:
            self._resolved[name] = self._with_parents(name)
        return self._resolved[name]

    def _with_parents(self, name: str) -> Style:
        chain: list[Style] = []
        seen: set[str] = set()
        following: str | None = name
        while following in self.by_id and following not in seen:
            seen.add(following)
            chain.append(self.by_id[following])
            following = chain[-1].based_on
        listed = next((style for style in chain if style.list_id is not None), Style())
        return Style(
            None,
            listed.list_id,
            listed.level,
            first_given(style.hidden for style in chain),
            first_given(style.new_page for style in chain),
        )


@dataclass(frozen=True)
class Level:
    """One level of a list: how its numbers are counted and shown."""

    start: int = 1
    format: str = "decimal"
    text: str = ""
    suffix: str = " "
    restart: int | None = None  # levels whose items restart it; None: all above
    legal: bool = False
    style: str | None = None
    font: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class _List:
    """One instance of a list: its counters, levels and overridden starts."""

    counters: str
    levels: Mapping[int, Level]
    starts: Mapping[int, int]
    name: str = ""

    def level(self, index: int) -> Level:
        """Return the level, or the next higher one that is defined."""
        for level in range(index, -1, -1):
            if level in self.levels:
                return self.levels[level]
        return Level()


def _field_list(name: str, texts: str, formats: str) -> _List:
    shown = {"1": "decimal", "a": "lowerLetter", "i": "lowerRoman", "A": "upperLetter"}
    shown["I"] = "upperRoman"
    pairs = zip(texts.split(), formats, strict=True)
    levels = {i: Level(1, shown[form], text, "") for i, (text, form) in enumerate(pairs)}
    return _List(f"LISTNUM {name}", levels, {}, name)


_LEGAL = " ".join("".join(f"%{i}." for i in range(1, n + 1)) for n in range(1, LEVELS + 1))
_FIELD_LISTS = (
    _field_list("NumberDefault", "%1) %2) %3) (%4) (%5) (%6) %7. %8. %9.", "1ai1ai1ai"),
    _field_list("OutlineDefault", "%1. %2. %3. %4) (%5) (%6) (%7) (%8) (%9)", "IA1a1aiai"),
    _field_list("LegalDefault", _LEGAL, "1" * LEVELS),
)
"""The lists that the field LISTNUM knows without a definition."""


class Numbering:
    """The lists of one document, and the counters of one body."""

    def __init__(self, lists: Mapping[str, _List] | None = None) -> None:
        self._lists = {listed.counters: listed for listed in _FIELD_LISTS} | dict(lists or {})
        self._counts: dict[str, dict[int, int]] = {}
        self._owners: dict[tuple[str, int], str] = {}  # the instance that counted a level last
        self._last: dict[str, int] = {}
        self._used: set[tuple[str, int]] = set()  # overrides: by instance and level …
        self._restarted: set[tuple[str, int]] = set()  # … and by counters and level
        self._seen: set[str] = set()

    @classmethod
    def of(cls, root: Element, styles: Styles) -> Numbering:
        """Read numbering.xml."""
        abstract = {e.get("w:abstractNumId", ""): e for e in root.iter("w:abstractNum")}
        instances = {e.get("w:numId", ""): e for e in root.iter("w:num")}
        return cls(
            {
                name: _list(name, instances, abstract, styles)
                for name, element in instances.items()
                if value(element, "w:abstractNumId") in abstract
            }
        )

    def restarted(self) -> Numbering:
        """Return the same lists for another body: notes and text boxes count separately."""
        return Numbering(self._lists)

    def level_of_style(self, list_id: str, style: str) -> int | None:
        """Return the level that is linked to a paragraph style."""
        listed = self._lists.get(list_id)
        if listed is None:
            return None
        return next((i for i, level in listed.levels.items() if level.style == style), None)

    def field(self, name: str, level: int, start: int | None) -> str:
        """Return the number of a LISTNUM field: of a list by name, at a level from 1."""
        named = (i for i, listed in self._lists.items() if listed.name.lower() == name.lower())
        list_id = next(named, _FIELD_LISTS[0].counters)
        if start is not None:
            counts = self._counts.setdefault(self._lists[list_id].counters, {})
            counts[min(max(1, level), LEVELS) - 1] = start - 1
        return self.label(list_id, level - 1).rstrip()

    def label(self, list_id: str, index: int, *, by_style: bool = False) -> str:
        """Count one paragraph; return its number with the gap behind, empty if it has no list.

        Args:
            list_id: of the instance.
            index: of the level, from 0.
            by_style: whether the number comes from the paragraph's style only.
        """
        listed = self._lists.get(list_id)
        if listed is None:
            return ""
        index = min(max(0, index), LEVELS - 1) if len(listed.levels) > 1 else 0
        counts = self._count(list_id, listed, index, by_style)
        level = listed.level(index)
        if level.hidden:
            return ""
        shown = _LEVEL.sub(lambda match: _part(listed, level, counts, match[1]), level.text)
        shown = from_symbols(shown, level.font)
        return f"{shown}{level.suffix}" if shown.strip() else ""

    def _count(self, list_id: str, listed: _List, index: int, by_style: bool) -> dict[int, int]:
        key = listed.counters
        counts = self._counts.setdefault(key, {})
        for deeper in [i for i in counts if i > index]:
            restart = listed.level(deeper).restart
            if restart is None or index < restart:
                del counts[deeper]
        for above in range(index):
            counts.setdefault(above, listed.level(above).start)
        if self._restarts(list_id, listed, index, by_style, index in counts):
            counts[index] = listed.starts[index]
            self._used.add((list_id, index))
            self._restarted.add((key, index))
        elif index in counts:
            counts[index] += 1
        else:
            counts[index] = listed.level(index).start
        self._seen.add(list_id)
        self._owners[key, index] = list_id
        self._last[key] = index
        return counts

    def _restarts(
        self, list_id: str, listed: _List, index: int, by_style: bool, counted: bool
    ) -> bool:
        """Whether the instance's start override applies now: once, and not while it continues."""
        key = listed.counters
        if index not in listed.starts or (list_id, index) in self._used:
            return False
        if counted and self._owners.get((key, index)) == list_id:
            return False
        if by_style and index and self._owners.get((key, index - 1), list_id) != list_id:
            return False
        last = self._last.get(key, -1)
        came_up = last > index and (key, last) in self._restarted
        return not (came_up and list_id in self._seen)


def _part(listed: _List, level: Level, counts: Mapping[int, int], digit: str) -> str:
    index = int(digit) - 1
    number_format = listed.level(index).format
    if level.legal and number_format not in ("none", "decimalZero"):
        number_format = "decimal"
    return numeral(counts[index], number_format) if index in counts else ""


def _list(
    name: str, instances: Mapping[str, Element], abstract: Mapping[str, Element], styles: Styles
) -> _List:
    """Return an instance with the levels of its abstract list, which a list style may define."""
    counters = value(instances[name], "w:abstractNumId") or ""
    levels: dict[int, Level] = {}
    starts: dict[int, int] = {}
    chain, following = list[str](), name
    while following in instances and following not in chain:
        chain.append(following)
        definition = abstract.get(value(instances[following], "w:abstractNumId") or "")
        link = value(definition, "w:numStyleLink")
        following = styles.of_runs(link).list_id or "" if link in styles.by_id else ""
    for instance in reversed(chain):
        definition = abstract.get(value(instances[instance], "w:abstractNumId") or "")
        levels |= _levels(definition)
        for override in instances[instance].iter("w:lvlOverride"):
            levels |= _levels(override)
            index = integer(override.get("w:ilvl"))
            start = integer(value(override, "w:startOverride"))
            if index is not None and start is not None:
                starts[index] = start
    own = abstract.get(counters)
    return _List(counters, levels, starts, value(own, "w:name") or "")


def _levels(parent: Element | None) -> dict[int, Level]:
    levels: dict[int, Level] = {}
    for element in parent.findall("w:lvl") if parent is not None else ():
        index = integer(element.get("w:ilvl"))
        if index is not None and 0 <= index < LEVELS:
            levels[index] = _level(element)
    return levels


def _level(element: Element) -> Level:
    suffix = value(element, "w:suff") or "tab"
    legal = on(element.find("w:isLgl"))
    restart = integer(value(element, "w:lvlRestart"))
    text = element.find("w:lvlText")
    start = integer(value(element, "w:start"))
    fonts = below(element, "w:rPr/w:rFonts")
    return Level(
        start=0 if start is None else start,
        format=_format(element),
        text="" if text is None else text.get("w:val", ""),
        suffix="" if suffix == "nothing" else " ",
        restart=restart,
        legal=bool(legal),
        style=value(element, "w:pStyle"),
        font="" if fonts is None else fonts.get("w:ascii", ""),
        hidden=bool(on(below(element, "w:rPr/w:vanish"))),
    )


def _format(element: Element) -> str:
    """Return the number format; a custom format is written as its first numbers."""
    for number_format in element.iter("w:numFmt"):
        name = number_format.get("w:val", "decimal")
        return number_format.get("w:format", "decimal") if name == "custom" else name
    return "decimal"
