"""The documents that `smallprint demo` loads. `make demo-documents` writes them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "documents"
NAMES = (
    "Halden Tools annual report.pdf",
    "Distribution agreement.pdf",
    "Software licence agreement.docx",
    "Amendment (scan).pdf",
    "Mail with an attachment.eml",
)


def documents() -> list[Path]:
    """Return the paths of the documents; the report, with an error in its figures, is the first."""
    return [FOLDER / name for name in NAMES]
