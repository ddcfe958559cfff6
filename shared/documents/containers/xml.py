"""XML of office documents and XBRL as a stream, from the standard library's expat.

Entities that multiply or name files and addresses need a document type declaration. No office
program and no XBRL filer writes one, so it is refused before the first element. Elements are freed
after use.

Office documents are read with short names: `w:p` means
`{http://schemas.openxmlformats.org/wordprocessingml/2006/main}p`, in the transitional and the
strict form of the standard.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import cast
from xml.etree import ElementTree
from xml.parsers import expat

from shared.errors import UnreadableDocument

Element = ElementTree.Element

DEEPEST = 256
"""Deepest nesting of elements; workbooks and XBRL instances need a tenth of it."""
DEEPEST_OFFICE = 400
"""Deepest nesting with short names. Word allows tables 63 deep, which is less."""

_LONGEST_PROLOG = 1 << 20
_STEP = 1 << 14

_PARTS_OF_OFFICE = {
    "wordprocessingml/2006/main": "w",
    "officeDocument/2006/relationships": "r",
    "officeDocument/2006/math": "m",
    "drawingml/2006/main": "a",
    "drawingml/2006/wordprocessingDrawing": "wp",
    "drawingml/2006/picture": "pic",
    "drawingml/2006/chart": "c",
    "drawingml/2006/diagram": "dgm",
    "markup-compatibility/2006": "mc",
    "package/2006/relationships": "rel",
    "package/2006/metadata/core-properties": "cp",
    "officeDocument/2006/extended-properties": "ep",
}
_PARTS_OF_OPEN_DOCUMENT = {
    "drawing": "draw",
    "xsl-fo-compatible": "fo",
    "svg-compatible": "svg",
    **{name: name for name in ("office", "text", "table", "style", "meta", "manifest", "form")},
}
_PREFIXES = {
    **{f"http://schemas.openxmlformats.org/{k}": v for k, v in _PARTS_OF_OFFICE.items()},
    **{
        f"http://purl.oclc.org/ooxml/{part.replace('2006/', '')}": prefix
        for part, prefix in _PARTS_OF_OFFICE.items()
    },
    "http://purl.oclc.org/ooxml/officeDocument/extendedProperties": "ep",
    **{
        f"urn:oasis:names:tc:opendocument:xmlns:{part}:1.0": prefix
        for part, prefix in _PARTS_OF_OPEN_DOCUMENT.items()
    },
    "http://purl.org/dc/elements/1.1/": "dc",
    "urn:schemas-microsoft-com:vml": "v",
    "urn:schemas-microsoft-com:office:office": "o",
    "http://schemas.microsoft.com/office/word/2010/wordml": "w14",
    "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0": "loext",
    "http://www.w3.org/XML/1998/namespace": "xml",
    "http://www.w3.org/1999/xlink": "xlink",
}


def parse(chunks: Iterable[bytes], prefixes: dict[str, str] | None = None) -> Element:
    """Return the root of a document. Raises UnreadableDocument with the position of the damage.

    `prefixes` receives the first prefix that the document declares for each namespace.
    """
    return _root(_events(chunks, prefixes=prefixes))


def tree(chunks: Iterable[bytes]) -> Element:
    """Return the root of a part of an office document, with short names. Raises like `parse`."""
    return _root(_events(chunks, short=True))


def elements(chunks: Iterable[bytes], names: Collection[str]) -> Iterator[Element]:
    """Yield each complete element with one of these local names, then free it.

    Memory is bounded by the largest of them. Raises like `parse`, after the elements before the
    damage.
    """
    found = _completed(_events(chunks), lambda _, element: _local(element.tag) in names)
    return (element for _, element in found)


def blocks(chunks: Iterable[bytes], parents: Collection[str]) -> Iterator[tuple[str, Element]]:
    """Yield the children of elements with these short names, each with its parent's name.

    Memory and errors are as for `elements`.
    """
    return _completed(_events(chunks, short=True), lambda parent, _: parent in parents)


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return _local(element.tag)


def below(element: Element | None, path: str) -> Element | None:
    """Return the first element at a path such as `w:pPr/w:numPr`, or None.

    ElementTree's own paths would take the `w:` for a prefix.
    """
    for name in path.split("/"):
        if element is None:
            return None
        element = element.find(name)
    return element


@lru_cache(maxsize=10_000)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


@lru_cache(maxsize=10_000)
def _short(name: str) -> str:
    """Return `w:p` for a known namespace; other names unchanged."""
    prefix = _PREFIXES.get(name[1:].rpartition("}")[0])
    return f"{prefix}:{_local(name)}" if prefix else name


def _root(events: Iterable[tuple[str, Element]]) -> Element:
    root: Element | None = None
    for _, element in events:
        root = element if root is None else root
    if root is None:
        raise UnreadableDocument("its XML is damaged or truncated: it has no element")
    return root


def _completed(
    events: Iterable[tuple[str, Element]], wanted: Callable[[str, Element], bool]
) -> Iterator[tuple[str, Element]]:
    """Yield the name of the parent and the element if both are wanted; free it afterwards."""
    above: list[Element] = []
    for event, element in events:
        if event == "start":
            above.append(element)
            continue
        above.pop()
        parent = above[-1].tag if above else ""
        if wanted(parent, element):
            yield parent, element
            if above:
                above[-1].remove(element)


def _events(
    chunks: Iterable[bytes], *, prefixes: dict[str, str] | None = None, short: bool = False
) -> Iterator[tuple[str, Element]]:
    """Yield `start` and `end` of each element; at `start` it is still empty.

    `prefixes` receives the first prefix that the document declares for each namespace. Raises
    UnreadableDocument with the position, after the events before the damage.
    """
    parser: ElementTree.XMLPullParser[Element] = ElementTree.XMLPullParser(
        ("start", "end") if prefixes is None else ("start", "end", "start-ns")
    )
    prolog, depth, deepest = _Prolog(), 0, DEEPEST_OFFICE if short else DEEPEST
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
                if short and event == "start":
                    element.tag = _short(element.tag)
                    element.attrib = {_short(name): v for name, v in element.attrib.items()}
                yield event, element
        parser.close()


def _note_prefix(declared: object, prefixes: dict[str, str] | None) -> None:
    prefix, space = cast(tuple[str, str], declared)
    if prefixes is not None:
        prefixes.setdefault(space, prefix)


def root_of(data: bytes) -> tuple[str, str, tuple[str, ...]] | None:
    """Return namespace and name of the first element, and the namespaces it declares.

    None if the first megabyte does not begin like XML.
    """
    roots: list[tuple[str, str]] = []
    declared: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, _: object) -> None:
        space, _, own = name.rpartition(" ")
        roots.append((space, own))
        parser.StartElementHandler = parser.StartNamespaceDeclHandler = None

    parser.StartElementHandler = start
    parser.StartNamespaceDeclHandler = lambda _, space: declared.append(space)
    for at in range(0, min(len(data), _LONGEST_PROLOG), _STEP):
        try:
            parser.Parse(data[at : at + _STEP])
        except (expat.ExpatError, LookupError, ValueError):
            break
        if roots:
            break
    return (*roots[0], tuple(declared)) if roots else None


class _FirstElement(Exception):
    """The first element ends the prolog."""


class _Prolog:
    """Checks the prolog, which the parser that builds the tree can't."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._end
        self._over = False

    def check(self, chunk: bytes) -> None:
        """Check the next piece. Raises UnreadableDocument for a document type declaration."""
        if not self._over:
            with suppress(_FirstElement):
                self._parser.Parse(chunk)

    def _end(self, *_: object) -> None:
        self._over = True
        raise _FirstElement

    def _refuse(self, *_: object) -> None:
        raise UnreadableDocument(
            "its XML declares a document type or entities, which no office or XBRL program writes: "
            "it is refused"
        )


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except (ElementTree.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise UnreadableDocument(f"its XML is damaged or truncated: {error}") from error
