"""The filings of one file, with what lies beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from services.triage.reading.document import Reported
    from services.triage.reading.report import Linkbases
    from services.triage.statements import BadFiling
    from shared.documents.sandbox import Reader


def reported(
    reader: Reader, source: str, data: bytes | BinaryIO, password: str | None = None
) -> Iterator[Reported | BadFiling]:
    """The filings of one file. Raises UnreadableDocument if there is nothing to check in it."""
    from services.triage.reading.document import read_document
    from services.triage.statements import report_type
    from shared.documents import sniff

    name = Path(source).name
    whole = data if isinstance(data, bytes) else b""
    yield from read_document(
        data,
        report_type("", source) or sniff(whole, source),
        name,
        reading=lambda: reader.read(whole, name=name, password=password),
        facts=reader.facts,
        beside=_linkbases(source, reader.limits.max_bytes),
    )


def bad_filing_line(source: str, filing: BadFiling) -> Mapping[str, Any]:
    """The error line of a filing that cannot be read."""
    error = {"type": "unreadable_document", "detail": filing.message}
    return {"source": source, "id": filing.id, "error": error}


def _linkbases(path: str, most: int) -> Linkbases | None:
    """The presentation and labels that lie beside an instance, by the names that filers use."""
    from services.triage.reading.report import Linkbases
    from shared.cli.files import read_file

    stem = Path(path).with_suffix("")
    stems = [stem, stem.with_name(stem.name.removesuffix("_htm"))]
    found = {
        part: next((p for s in stems if (p := s.with_name(f"{s.name}_{part}.xml")).is_file()), None)
        for part in ("pre", "lab")
    }
    if Path(path).suffix.lower() not in (".xml", ".xbrl") or not found["pre"]:
        return None
    labels = read_file(str(found["lab"]), most) if found["lab"] else None
    return Linkbases(read_file(str(found["pre"]), most), labels)
