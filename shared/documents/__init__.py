"""Documents: bytes in, text with a box for every character and a page ledger out."""

from shared.documents.cells import Cell
from shared.documents.early import Early, EarlyPage
from shared.documents.parts import Part, RefusedPart
from shared.documents.reader import decrypt, read, render, unpack
from shared.documents.reading import Box, FailedPage, Limits, Page, Reading
from shared.documents.sniffing import safe_name, sniff
from shared.documents.unpacking import ARCHIVES, CONTAINERS, Contents

__all__ = [
    "ARCHIVES",
    "CONTAINERS",
    "Box",
    "Cell",
    "Contents",
    "Early",
    "EarlyPage",
    "FailedPage",
    "Limits",
    "Page",
    "Part",
    "Reading",
    "RefusedPart",
    "decrypt",
    "read",
    "render",
    "safe_name",
    "sniff",
    "unpack",
]
