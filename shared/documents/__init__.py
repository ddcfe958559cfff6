"""Documents: bytes in, text with a box for every character and a page ledger out."""

from shared.documents.containers.zip_package import unpacked_size
from shared.documents.model.cells import Cell
from shared.documents.model.formats import ARCHIVES, CONTAINERS
from shared.documents.model.parsed_document import (
    Box,
    FailedPage,
    Limits,
    Page,
    PageCallback,
    PageRead,
    ParsedDocument,
)
from shared.documents.reader import decrypt, read, render, unpack
from shared.documents.sniffing import safe_name, sniff
from shared.documents.unpacking import Attachment, Contents, RefusedPart

__all__ = [
    "ARCHIVES",
    "CONTAINERS",
    "Attachment",
    "Box",
    "Cell",
    "Contents",
    "FailedPage",
    "Limits",
    "Page",
    "PageCallback",
    "PageRead",
    "ParsedDocument",
    "RefusedPart",
    "decrypt",
    "read",
    "render",
    "safe_name",
    "sniff",
    "unpack",
    "unpacked_size",
]
