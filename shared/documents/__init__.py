"""Documents: bytes in, text with a box for every character and a page ledger out."""

from shared.documents.cells import Cell
from shared.documents.reader import decrypt, read, render
from shared.documents.reading import Box, FailedPage, Limits, Page, Reading
from shared.documents.sniffing import safe_name, sniff

__all__ = [
    "Box",
    "Cell",
    "FailedPage",
    "Limits",
    "Page",
    "Reading",
    "decrypt",
    "read",
    "render",
    "safe_name",
    "sniff",
]
