"""DOCX written as Word writes it, part by part, for what LibreOffice can't be made to write."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support import ROOT
from tests.unit.documents.archives import archive

FOLDER = ROOT / "tests" / "data" / "documents" / "office"

_NAMES = {
    "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
    "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
    "pic": "http://schemas.openxmlformats.org/drawingml/2006/picture",
    "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
    "v": "urn:schemas-microsoft-com:vml",
    "o": "urn:schemas-microsoft-com:office:office",
}
SPACES = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in _NAMES.items())
_STRICT = SPACES.replace(_NAMES["w"], "http://purl.oclc.org/ooxml/wordprocessingml/main")
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def p(text: str = "", properties: str = "") -> str:
    runs = text if text.startswith("<") or not text else r(text)
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{runs}</w:p>"


def r(text: str, properties: str = "") -> str:
    head = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    return f'<w:r>{head}<w:t xml:space="preserve">{text}</w:t></w:r>'


def numbered(text: str, level: int = 0, name: int = 1) -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{name}"/></w:numPr>')


def level(index: int, text: str, shown: str = "decimal", more: str = "", start: int = 1) -> str:
    return (
        f'<w:lvl w:ilvl="{index}"><w:start w:val="{start}"/><w:numFmt w:val="{shown}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def lists(*levels: str, more: str = "") -> str:
    return (
        f'<w:abstractNum w:abstractNumId="0">{"".join(levels)}</w:abstractNum>'
        f'<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>{more}'
    )


def cell(*paragraphs: str, properties: str = "") -> str:
    inner = "".join(text if text.startswith("<w:") else p(text) for text in paragraphs)
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inner}</w:tc>"


def row(*cells: str, properties: str = "") -> str:
    inner = "".join(text if text.startswith("<w:tc>") else cell(text) for text in cells)
    return f"<w:tr>{f'<w:trPr>{properties}</w:trPr>' if properties else ''}{inner}</w:tr>"


def table(*rows: str) -> str:
    return f"<w:tbl><w:tblPr/><w:tblGrid/>{''.join(rows)}</w:tbl>"


def field(code: str, shown: str | None = None) -> str:
    result = "" if shown is None else f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{r(shown)}'
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r><w:instrText xml:space="preserve"> {code} </w:instrText></w:r>{result}'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def docx(body: str, parts: Mapping[str, str] | None = None, *, strict: bool = False) -> bytes:
    """A DOCX of a body and of parts by kind: `numbering`, `styles`, `footnotes`, `header`, …

    Headers and footers have the relationship id of their kind: `<w:headerReference r:id="header">`.
    """
    spaces = _STRICT if strict else SPACES
    roots = {"header": "hdr", "footer": "ftr"}
    files = {"word/document.xml": f"<w:document {spaces}><w:body>{body}</w:body></w:document>"}
    related = ""
    for kind, inner in (parts or {}).items():
        root = roots.get(kind, kind)
        files[f"word/{kind}.xml"] = f"<w:{root} {spaces}>{inner}</w:{root}>"
        related += f'<Relationship Id="{kind}" Type="{_OFFICE}/{kind}" Target="{kind}.xml"/>'
    files["_rels/.rels"] = _relationships(
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'
    )
    files["word/_rels/document.xml.rels"] = _relationships(related)
    return archive({name: _DECLARATION + text for name, text in files.items()})


def _relationships(inner: str) -> str:
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{space}">{inner}</Relationships>'
