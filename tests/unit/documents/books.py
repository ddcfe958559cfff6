"""Build workbooks part by part, so that a test can damage any part."""

from __future__ import annotations

from collections.abc import Mapping

from tests.unit.documents.archives import Body, archive

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


def book(*sheets: str, others: Mapping[str, Body] | None = None, ns: str = MAIN) -> bytes:
    """Return a workbook with this XML of its sheets (`S1`, `S2` …); `others` replace or add
    parts.
    """
    numbers = range(1, len(sheets) + 1)
    listed = "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
    related = "".join(relation(f"r{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in numbers)
    related += relation("rs", "sharedStrings", "sharedStrings.xml")
    related += relation("rf", "styles", "styles.xml")
    parts: dict[str, Body] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations(relation("r", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": (
            f'<workbook xmlns="{ns}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": relations(related),
        **{f"xl/worksheets/sheet{n}.xml": sheets[n - 1] for n in numbers},
        **(others or {}),
    }
    return archive(parts)


def relations(inner: str) -> str:
    return f'<Relationships xmlns="{_RELATIONS}">{inner}</Relationships>'


def relation(key: str, kind: str, target: str, mode: str = "Internal") -> str:
    return (
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{target}" TargetMode="{mode}"/>'
    )


def sheet(rows: str, after: str = "", before: str = "", ns: str = MAIN) -> str:
    return f'<worksheet xmlns="{ns}">{before}<sheetData>{rows}</sheetData>{after}</worksheet>'


def row(number: int, *cells: str, attributes: str = "") -> str:
    return f'<row r="{number}" {attributes}>{"".join(cells)}</row>'


def text(address: str, words: str) -> str:
    return f'<c r="{address}" t="inlineStr"><is><t>{words}</t></is></c>'


def number(address: str, value: float | str, style: int | str = 0) -> str:
    return f'<c r="{address}" s="{style}"><v>{value}</v></c>'


def shared(address: str, index: int | str) -> str:
    return f'<c r="{address}" t="s"><v>{index}</v></c>'
