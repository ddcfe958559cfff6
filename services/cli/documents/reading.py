"""Read documents the same way for every command: within limits, in a child process, by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.cli.documents.files import sha256

if TYPE_CHECKING:
    from services.cli.documents.parts import ReadPart
    from shared.documents import ParsedDocument
    from shared.documents.sandbox import Reader


def open_reader() -> Reader:
    """A reader in a child process, with the limits of ingest. Raises SettingsError."""
    from services.ingest.settings import Settings
    from shared.documents.sandbox import Reader
    from shared.settings import load

    settings = load(Settings)
    return Reader(settings.limits, required=settings.require_confinement)


def most_characters() -> int:
    """Most characters of a contract, as in extraction."""
    from services.extraction.settings import Settings
    from shared.settings import load

    return load(Settings).extraction_max_characters


def with_parts(reader: Reader, source: str, data: bytes, own: ReadPart) -> dict[str, Any]:
    """The line of a file; that of a mail or archive has `parts`."""
    from services.cli.documents.parts import WithParts

    return WithParts(reader, own).line(source, data)


def document_json(reading: ParsedDocument, data: bytes) -> dict[str, Any]:
    """Hash, type and pages of a document."""

    return {
        "sha256": sha256(data),
        "media_type": reading.media_type,
        "pages": reading.page_count,
        "failed_pages": [
            {"page": page.number, "code": page.code, "reason": page.reason}
            for page in reading.failed
        ],
        "read": [
            {"page": page.number, "method": page.method, "confidence": page.confidence}
            for page in reading.pages
        ],
    }
