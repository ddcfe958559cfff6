"""Documents as every command reads them: within limits, in a child process, by their type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.cli.parts import WithParts
    from shared.documents import Reading
    from shared.documents.sandbox import Reader


def open_reader() -> Reader:
    """Reads documents in a child process, within the limits that ingest has."""
    from services.ingest.settings import Settings
    from shared.documents.sandbox import Reader
    from shared.settings import load

    return Reader(load(Settings).limits)


def most_characters() -> int:
    """Characters that the text of one contract may have, as extraction has it."""
    from services.extraction.settings import Settings
    from shared.settings import load

    return load(Settings).extraction_max_characters


def is_report(path: str, data: bytes) -> bool:
    """Whether a file is a report by its type, as uploads without a kind are.

    Raises UnreadableDocument for what is neither.
    """
    from services.ingest.domain import kind_of_type
    from shared.documents import sniff

    return can_be_checked(path, data) or kind_of_type(sniff(data, path)) == "report"


def can_be_checked(path: str, data: bytes) -> bool:
    """Whether triage makes statements of a file of that type. Raises UnreadableDocument."""
    from services.triage.statements import report_type
    from shared.documents import sniff

    return report_type(sniff(data, path), path) is not None


def holds_others(path: str, data: bytes) -> bool:
    """Whether a file is a mail or archive. Raises UnreadableDocument for what can't be read."""
    from shared.documents import CONTAINERS, sniff

    return sniff(data, path) in CONTAINERS


def with_parts(reader: Reader) -> WithParts:
    """Does with what lies in mails and archives what is done with files."""
    from shared.cli.parts import WithParts

    return WithParts(
        lambda data, name, depth: reader.unpack(data, name=name, depth=depth), reader.limits
    )


def document_json(reading: Reading, data: bytes) -> dict[str, Any]:
    """What is said of a document itself: its hash and type, and how its pages were read."""
    from shared.cli.files import sha256

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
