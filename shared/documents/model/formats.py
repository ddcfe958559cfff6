"""The formats that smallprint reads, one row each. CONTRIBUTING.md says how to add one."""

from __future__ import annotations

from typing import Literal, NamedTuple

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"
RTF = "application/rtf"
HTML = "text/html"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
PNG = "image/png"
JPEG = "image/jpeg"
TIFF = "image/tiff"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS = "application/vnd.ms-excel"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
CSV = "text/csv"
XBRL = "application/xbrl-instance+xml"
JSON = "application/json"
NDJSON = "application/x-ndjson"
MAIL = "message/rfc822"
OUTLOOK = "application/vnd.ms-outlook"
ZIP = "application/zip"


class Format(NamedTuple):
    """A format of documents.

    Without a classifier a document has the `kind` of its format. `by_text`: the classifier decides
    from the text of the document instead.
    """

    name: str
    media_type: str
    kind: Literal["contract", "report", "other"]
    by_text: bool = True


FORMATS = (
    Format("PDF", PDF, "contract"),
    Format("DOCX", DOCX, "contract"),
    Format("ODT", ODT, "contract"),
    Format("RTF", RTF, "contract"),
    Format("HTML", HTML, "contract"),
    Format("Markdown", MARKDOWN, "contract"),
    Format("UTF-8 text", TEXT, "contract"),
    Format("PNG", PNG, "contract"),
    Format("JPEG", JPEG, "contract"),
    Format("TIFF", TIFF, "contract"),
    Format("XLSX", XLSX, "report"),
    Format("XLS", XLS, "report"),
    Format("ODS", ODS, "report"),
    Format("CSV", CSV, "report"),
    Format("XBRL", XBRL, "report", by_text=False),
    Format("JSON", JSON, "report", by_text=False),
    Format("JSON lines", NDJSON, "report", by_text=False),
    Format("EML", MAIL, "contract", by_text=False),
    Format("MSG", OUTLOOK, "contract", by_text=False),
    Format("ZIP", ZIP, "other", by_text=False),
)
FORMAT_NAMES = ", ".join(f.name for f in FORMATS)
PICTURES = frozenset({PNG, JPEG, TIFF})
"""Types whose pages are pictures: their text is recognised."""
ARCHIVES = frozenset({ZIP})
"""Types of containers that have no text themselves."""
MAILS = frozenset({MAIL, OUTLOOK})
CONTAINERS = ARCHIVES | MAILS
"""Types of documents that contain others."""
