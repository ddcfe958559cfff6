"""XML of office documents, block by block, with short names for its elements and attributes.

`w:p` stands for `{http://schemas.openxmlformats.org/wordprocessingml/2006/main}p`, the same for the
transitional and the strict form of the standard. What is hostile in XML is refused by `xml.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from shared.documents.xml import Element, events
from shared.errors import UnreadableDocument

DEEPEST = 400
"""Elements in one another; Word itself stops at tables 63 deep, which is less."""

_ECMA = "http://schemas.openxmlformats.org/"
_ISO = "http://purl.oclc.org/ooxml/"
_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_PREFIXES = {
    _ECMA + "wordprocessingml/2006/main": "w",
    _ISO + "wordprocessingml/main": "w",
    _ECMA + "officeDocument/2006/relationships": "r",
    _ISO + "officeDocument/relationships": "r",
    _ECMA + "officeDocument/2006/math": "m",
    _ISO + "officeDocument/math": "m",
    _ECMA + "drawingml/2006/main": "a",
    _ISO + "drawingml/main": "a",
    _ECMA + "drawingml/2006/wordprocessingDrawing": "wp",
    _ISO + "drawingml/wordprocessingDrawing": "wp",
    _ECMA + "drawingml/2006/picture": "pic",
    _ISO + "drawingml/picture": "pic",
    _ECMA + "drawingml/2006/chart": "c",
    _ISO + "drawingml/chart": "c",
    _ECMA + "drawingml/2006/diagram": "dgm",
    _ISO + "drawingml/diagram": "dgm",
    _ECMA + "markup-compatibility/2006": "mc",
    _ECMA + "package/2006/relationships": "rel",
    _ECMA + "package/2006/metadata/core-properties": "cp",
    _ECMA + "officeDocument/2006/extended-properties": "ep",
    _ISO + "officeDocument/extendedProperties": "ep",
    "http://purl.org/dc/elements/1.1/": "dc",
    "urn:schemas-microsoft-com:vml": "v",
    "urn:schemas-microsoft-com:office:office": "o",
    "http://schemas.microsoft.com/office/word/2010/wordml": "w14",
    _OASIS + "office:1.0": "office",
    _OASIS + "text:1.0": "text",
    _OASIS + "table:1.0": "table",
    _OASIS + "style:1.0": "style",
    _OASIS + "drawing:1.0": "draw",
    _OASIS + "meta:1.0": "meta",
    _OASIS + "manifest:1.0": "manifest",
    _OASIS + "xsl-fo-compatible:1.0": "fo",
    _OASIS + "svg-compatible:1.0": "svg",
    _OASIS + "form:1.0": "form",
    "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0": "loext",
    "http://www.w3.org/XML/1998/namespace": "xml",
    "http://www.w3.org/1999/xlink": "xlink",
}


_MOST_NAMES = 10_000  # of those that documents make up
_names: dict[str, str] = {}


def tree(chunks: Iterable[bytes]) -> Element:
    """The whole of a part. Raises UnreadableDocument with the place of the damage."""
    root: Element | None = None
    for event, element in events(chunks, DEEPEST):
        if event == "start":
            _shorten(element)
            root = element if root is None else root
    if root is None:
        raise UnreadableDocument("its XML is damaged or cut off: it has no element")
    return root


def blocks(chunks: Iterable[bytes], parents: Collection[str]) -> Iterator[tuple[str, Element]]:
    """The children of elements named in `parents`, each with its parent's name.

    A block is let go once the next is asked for, so that a long document takes the memory of its
    largest block. Raises like `tree`, after the blocks that came before the damage.
    """
    above: list[Element] = []
    for event, element in events(chunks, DEEPEST):
        if event == "start":
            _shorten(element)
            above.append(element)
            continue
        above.pop()
        if above and above[-1].tag in parents:
            yield above[-1].tag, element
            above[-1].remove(element)


def below(element: Element | None, path: str) -> Element | None:
    """The first element at a path of names such as `w:pPr/w:numPr`, or None.

    ElementTree's own paths would take the `w:` for a prefix that it has to look up.
    """
    for name in path.split("/"):
        if element is None:
            return None
        element = element.find(name)
    return element


def _shorten(element: Element) -> None:
    element.tag = _short(element.tag)
    if element.attrib:
        element.attrib = {_short(name): value for name, value in element.attrib.items()}


def _short(name: str) -> str:
    short = _names.get(name)
    if short is None:
        namespace, brace, local = name[1:].rpartition("}")
        prefix = _PREFIXES.get(namespace) if brace else ""
        short = name if prefix is None else f"{prefix}:{local}" if prefix else name
        if len(_names) < _MOST_NAMES:
            _names[name] = short
    return short
