"""Styles and list numbers of DOCX: what Word shows before a paragraph, which no file contains.

The rules are those of ECMA-376 part 1, 17.9, and where it is silent those that others found out on
thousands of real files (Open XML SDK PowerTools; the parser of The National Archives for court
judgments): counters belong to the abstract list, not to its instances; a level that was jumped over
counts as begun; a start override works once for an instance and level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.documents.markup import below
from shared.documents.numerals import numeral
from shared.documents.symbols import from_symbols
from shared.documents.xml import Element

LEVELS = 9
_PLACE = re.compile(r"%([1-9])")
_OFF = ("0", "false", "off")


def on(element: Element | None) -> bool | None:
    """A toggle such as `w:vanish`: whether it is on; None if it is not there."""
    return None if element is None else element.get("w:val", "1").lower() not in _OFF


def value(element: Element | None, path: str) -> str | None:
    """The `w:val` of what lies below at that path."""
    found = below(element, path)
    return None if found is None else found.get("w:val")


def whole(text: str | None) -> int | None:
    """A whole number of a length that counts, or None."""
    return int(text) if text and re.fullmatch(r"-?\d{1,9}", text.strip()) else None


@dataclass(frozen=True)
class Style:
    """What of a style matters to the text; None where its parent decides."""

    based_on: str | None = None
    list_id: str | None = None
    level: int | None = None
    hidden: bool | None = None
    new_page: bool | None = None


@dataclass
class Styles:
    """The styles of one document by id. A circle of parents ends where it closes."""

    by_id: dict[str, Style] = field(default_factory=dict)
    default: str = ""
    hidden_by_default: bool = False
    _resolved: dict[str, Style] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Element) -> Styles:
        """From the part styles.xml."""
        styles = cls(
            hidden_by_default=bool(on(below(root, "w:docDefaults/w:rPrDefault/w:rPr/w:vanish")))
        )
        for element in root.iter("w:style"):
            name = element.get("w:styleId", "")
            styles.by_id[name] = Style(
                value(element, "w:basedOn"),
                value(element, "w:pPr/w:numPr/w:numId"),
                whole(value(element, "w:pPr/w:numPr/w:ilvl")),
                on(below(element, "w:rPr/w:vanish")),
                on(below(element, "w:pPr/w:pageBreakBefore")),
            )
            if element.get("w:type") == "paragraph" and element.get("w:default", "0") not in _OFF:
                styles.default = name
        return styles

    def of_paragraph(self, name: str | None) -> Style:
        """A paragraph's style, with what its parents decide filled in; without one the default."""
        return self.of_runs(name if name in self.by_id else self.default)

    def of_runs(self, name: str) -> Style:
        """A style by its id, with what its parents decide; nothing for none."""
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
            next((style.hidden for style in chain if style.hidden is not None), None),
            next((style.new_page for style in chain if style.new_page is not None), None),
        )


@dataclass(frozen=True)
class Level:
    """One level of a list: how its numbers are counted and shown."""

    start: int = 1
    format: str = "decimal"
    text: str = ""
    suffix: str = " "
    restart: int | None = None  # the number of levels whose items begin it anew; None: all above
    legal: bool = False
    style: str | None = None
    font: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class _List:
    """One instance of a list: the counters it shares, its levels, its overridden starts."""

    counters: str
    levels: Mapping[int, Level]
    starts: Mapping[int, int]
    name: str = ""

    def level(self, index: int) -> Level:
        """The level, or the next above that is defined."""
        for known in range(index, -1, -1):
            if known in self.levels:
                return self.levels[known]
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
    """The lists of one document, and how far one of its stories has counted."""

    def __init__(self, lists: Mapping[str, _List] | None = None) -> None:
        self._lists = {found.counters: found for found in _FIELD_LISTS} | dict(lists or {})
        self._counts: dict[str, dict[int, int]] = {}
        self._owners: dict[tuple[str, int], str] = {}  # the instance that counted a level last
        self._last: dict[str, int] = {}
        self._used: set[tuple[str, int]] = set()  # overrides: by instance and level …
        self._restarted: set[tuple[str, int]] = set()  # … and by counters and level
        self._seen: set[str] = set()

    @classmethod
    def of(cls, root: Element, styles: Styles) -> Numbering:
        """From the part numbering.xml."""
        abstract = {e.get("w:abstractNumId", ""): e for e in root.iter("w:abstractNum")}
        instances = {e.get("w:numId", ""): e for e in root.iter("w:num")}
        return cls(
            {
                name: _list(name, instances, abstract, styles)
                for name, element in instances.items()
                if value(element, "w:abstractNumId") in abstract
            }
        )

    def anew(self) -> Numbering:
        """The same lists for another story: notes and text boxes count for themselves."""
        return Numbering(self._lists)

    def level_of_style(self, list_id: str, style: str) -> int | None:
        """The level that is linked to a paragraph style."""
        found = self._lists.get(list_id)
        if found is None:
            return None
        return next((i for i, level in found.levels.items() if level.style == style), None)

    def field(self, name: str, level: int, start: int | None) -> str:
        """The number that a field LISTNUM shows: of a list by name, at a level from 1 on."""
        named = (i for i, found in self._lists.items() if found.name.lower() == name.lower())
        list_id = next(named, _FIELD_LISTS[0].counters)
        if start is not None:
            counts = self._counts.setdefault(self._lists[list_id].counters, {})
            counts[min(max(1, level), LEVELS) - 1] = start - 1
        return self.label(list_id, level - 1).rstrip()

    def label(self, list_id: str, index: int, *, by_style: bool = False) -> str:
        """Count one paragraph; what is shown before it, with the gap behind. Nothing for no list.

        Args:
            by_style: whether the paragraph has its number from its style alone.
        """
        found = self._lists.get(list_id)
        if found is None:
            return ""
        index = min(max(0, index), LEVELS - 1) if len(found.levels) > 1 else 0
        counts = self._count(list_id, found, index, by_style)
        level = found.level(index)
        if level.hidden:
            return ""
        shown = _PLACE.sub(lambda place: _part(found, level, counts, place[1]), level.text)
        shown = from_symbols(shown, level.font)
        return f"{shown}{level.suffix}" if shown.strip() else ""

    def _count(self, list_id: str, found: _List, index: int, by_style: bool) -> dict[int, int]:
        key = found.counters
        counts = self._counts.setdefault(key, {})
        for deeper in [i for i in counts if i > index]:
            restart = found.level(deeper).restart
            if restart is None or index < restart:
                del counts[deeper]
        for above in range(index):
            counts.setdefault(above, found.level(above).start)
        if self._starts_anew(list_id, found, index, by_style, index in counts):
            counts[index] = found.starts[index]
            self._used.add((list_id, index))
            self._restarted.add((key, index))
        elif index in counts:
            counts[index] += 1
        else:
            counts[index] = found.level(index).start
        self._seen.add(list_id)
        self._owners[key, index] = list_id
        self._last[key] = index
        return counts

    def _starts_anew(
        self, list_id: str, found: _List, index: int, by_style: bool, begun: bool
    ) -> bool:
        """Whether the instance's own start holds now: once, and not while it goes on counting."""
        key = found.counters
        if index not in found.starts or (list_id, index) in self._used:
            return False
        if begun and self._owners.get((key, index)) == list_id:
            return False
        if by_style and index and self._owners.get((key, index - 1), list_id) != list_id:
            return False
        last = self._last.get(key, -1)
        came_up = last > index and (key, last) in self._restarted
        return not (came_up and list_id in self._seen)


def _part(found: _List, level: Level, counts: Mapping[int, int], place: str) -> str:
    index = int(place) - 1
    number_format = found.level(index).format
    if level.legal and number_format not in ("none", "decimalZero"):
        number_format = "decimal"
    return numeral(counts[index], number_format) if index in counts else ""


def _list(
    name: str, instances: Mapping[str, Element], abstract: Mapping[str, Element], styles: Styles
) -> _List:
    """An instance with the levels of its abstract list, which a list style may define elsewhere."""
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
            index = whole(override.get("w:ilvl"))
            start = whole(value(override, "w:startOverride"))
            if index is not None and start is not None:
                starts[index] = start
    own = abstract.get(counters)
    return _List(counters, levels, starts, value(own, "w:name") or "")


def _levels(parent: Element | None) -> dict[int, Level]:
    found: dict[int, Level] = {}
    for element in parent.findall("w:lvl") if parent is not None else ():
        index = whole(element.get("w:ilvl"))
        if index is not None and 0 <= index < LEVELS:
            found[index] = _level(element)
    return found


def _level(element: Element) -> Level:
    suffix = value(element, "w:suff") or "tab"
    legal = on(element.find("w:isLgl"))
    restart = whole(value(element, "w:lvlRestart"))
    text = element.find("w:lvlText")
    start = whole(value(element, "w:start"))
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
    """A custom format is written as its first numbers, beside a choice for older programs."""
    for found in element.iter("w:numFmt"):
        name = found.get("w:val", "decimal")
        return found.get("w:format", "decimal") if name == "custom" else name
    return "decimal"
