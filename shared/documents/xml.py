"""XML of workbooks and XBRL as a stream, by the standard library's expat; names without namespaces.

Hostile documents bring entities that multiply or name files and addresses. All of them need a
document type declaration, which no spreadsheet program and no XBRL filer writes: it is refused
before the first element. Elements are let go once they have been looked at. Building them is left
to C, which for half a million rows is the difference between ten seconds and half a minute (see
infra/decisions).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import cast
from xml.etree import ElementTree
from xml.parsers import expat

from shared.errors import UnreadableDocument

Element = ElementTree.Element

DEEPEST = 256
"""Elements in one another; what a workbook or an XBRL instance needs is a tenth of it."""

_LONGEST_PROLOG = 1 << 20
_STEP = 1 << 14


def parse(chunks: Iterable[bytes], prefixes: dict[str, str] | None = None) -> Element:
    """The root of a whole document; raises UnreadableDocument with the place of the damage.

    `prefixes` gets the first prefix that the document declares for each namespace.
    """
    root: Element | None = None
    for element in _ended(chunks, None, prefixes):
        root = element  # the last to end is the one that holds all others
    if root is None:
        raise UnreadableDocument("its XML is damaged or cut off: it has no element")
    return root


def elements(chunks: Iterable[bytes], names: Collection[str]) -> Iterator[Element]:
    """Each element of one of these local names once it is whole, and then forgets it.

    Memory is bounded by the largest of them. Raises UnreadableDocument with the place.
    """
    return _ended(chunks, frozenset(names))


def local(element: Element) -> str:
    """The name of an element without its namespace."""
    return _local(element.tag)


@lru_cache(maxsize=10_000)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _ended(
    chunks: Iterable[bytes], names: frozenset[str] | None, prefixes: dict[str, str] | None = None
) -> Iterator[Element]:
    """Elements as they end: those of these names, each let go after; without names all."""
    above: list[Element] = []
    for event, element in events(chunks, prefixes=prefixes):
        if event == "start":
            above.append(element)
            continue
        above.pop()
        if names is None:
            yield element
        elif _local(element.tag) in names:
            yield element
            if above:
                above[-1].remove(element)


def events(
    chunks: Iterable[bytes], deepest: int = DEEPEST, prefixes: dict[str, str] | None = None
) -> Iterator[tuple[str, Element]]:
    """Each element when it begins (`start`, without what is in it) and when it is whole (`end`).

    `prefixes` gets the first prefix that the document declares for each namespace.

    Raises UnreadableDocument with the place, after the events that came before the damage.
    """
    parser: ElementTree.XMLPullParser[Element] = ElementTree.XMLPullParser(
        ("start", "end") if prefixes is None else ("start", "end", "start-ns")
    )
    prolog, depth = _Prolog(), 0
    with _clear_errors():
        for chunk in chunks:
            prolog.check(chunk)
            parser.feed(chunk)
            for event, element in cast(Iterator[tuple[str, Element]], parser.read_events()):
                if event == "start-ns":
                    _note_prefix(element, prefixes)
                    continue
                depth += 1 if event == "start" else -1
                if depth > deepest:
                    raise UnreadableDocument(f"its XML is more than {deepest} levels deep")
                yield event, element
        parser.close()


def _note_prefix(declared: object, prefixes: dict[str, str] | None) -> None:
    prefix, space = cast(tuple[str, str], declared)
    if prefixes is not None:
        prefixes.setdefault(space, prefix)


def root_of(data: bytes) -> tuple[str, str, tuple[str, ...]] | None:
    """Namespace and name of the first element, and the namespaces that it declares.

    None for what does not begin like XML; looks at the first megabyte at the most.
    """
    found: list[tuple[str, str]] = []
    declared: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, _: object) -> None:
        space, _, own = name.rpartition(" ")
        found.append((space, own))
        parser.StartElementHandler = parser.StartNamespaceDeclHandler = None

    parser.StartElementHandler = start
    parser.StartNamespaceDeclHandler = lambda _, space: declared.append(space)
    for at in range(0, min(len(data), _LONGEST_PROLOG), _STEP):
        try:
            parser.Parse(data[at : at + _STEP])
        except (expat.ExpatError, LookupError, ValueError):
            break
        if found:
            break
    return (*found[0], tuple(declared)) if found else None


class _FirstElement(Exception):
    """The prolog is over: whatever comes now is not looked at here."""


class _Prolog:
    """Looks at what stands before the first element, for the parser that builds can't."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._end
        self._over = False

    def check(self, chunk: bytes) -> None:
        """The next piece. Raises UnreadableDocument for a document type declaration."""
        if not self._over:
            with suppress(_FirstElement):
                self._parser.Parse(chunk)

    def _end(self, *_: object) -> None:
        self._over = True
        raise _FirstElement

    def _refuse(self, *_: object) -> None:
        raise UnreadableDocument(
            "its XML declares a document type or entities, as no program that writes such files "
            "does: it is not read"
        )


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except (ElementTree.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise UnreadableDocument(f"its XML is damaged or cut off: {error}") from error
