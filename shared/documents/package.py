"""Documents that are a ZIP archive of parts (DOCX, ODT, XLSX): their parts, unpacked within bounds.

What the archive says about itself is not believed: parts are unpacked piece by piece, and what
all of them come to is limited, whatever their headers claim.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import (
    DocumentTooLarge,
    EncryptedDocument,
    UnreadableDocument,
    UnsupportedType,
)

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS = "application/vnd.ms-excel"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODT = "application/vnd.oasis.opendocument.text"

MOST_UNPACKED = 200_000_000
"""Bytes that the parts of one document may come to: a contract of 1,000 pages has a tenth."""

_CHUNK = 1 << 18
_TYPES = (
    (re.compile(r"xl/workbook\.xml"), XLSX),
    (re.compile(r"word/document\d*\.xml"), DOCX),
)
"""The part that a type has and no other; Word numbers it in some files."""
_FIRST_PARTS = (b"[Content_", b"_rels/", b"docProps/", b"xl/", b"word/")
_NAMES_LOOKED_AT = 5_000
_MOST_DIRECTORY = 1_000_000  # bytes of a directory that is read before it is known what it is of
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 65_535


class Package:
    """The parts of one archive; names are matched as Office does, without regard to case.

    `most` bytes are unpacked of it altogether. Raises UnreadableDocument for an archive that is
    damaged or cut off.
    """

    def __init__(self, data: bytes, most: int = MOST_UNPACKED) -> None:
        with _clear_errors("open the document"):
            self._archive = zipfile.ZipFile(io.BytesIO(data))
            self._parts = {_key(name): name for name in self._archive.namelist()}
        self._most = self._left = most

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._parts

    def names(self) -> list[str]:
        """Every part, in the order of the archive."""
        return list(self._parts.values())

    def chunks(self, name: str) -> Iterator[bytes]:
        """A part in pieces, its checksum checked at its end.

        Raises UnreadableDocument if it is missing or damaged, DocumentTooLarge if all parts
        together come to more than is allowed.
        """
        if name not in self:
            raise UnreadableDocument(f"the document is damaged: its part {name} is missing")
        with _clear_errors(f"read the part {name}"):
            part = self._archive.open(self._parts[_key(name)])
        with part:
            while True:
                with _clear_errors(f"read the part {name}"):
                    chunk = part.read(_CHUNK)
                if not chunk:
                    return
                self._left -= len(chunk)
                if self._left < 0:
                    raise DocumentTooLarge(
                        f"the document unpacks to more than {self._most:,} bytes"
                    )
                yield chunk

    def read(self, name: str) -> bytes:
        """A part as a whole; raises like `chunks`."""
        return b"".join(self.chunks(name))

    def picture(self, name: str) -> bytes:
        """A part that is a picture. Raises UnreadableDocument, for one that is only linked too."""
        if name not in self:
            raise UnreadableDocument("it is not in the file: lost, or a link to somewhere else")
        return self.read(name)


def package_type(data: bytes) -> str | None:
    """The media type of an office document by its parts; None for any other archive.

    One of OpenDocument says itself what it is, in its first part. Raises UnreadableDocument for one
    that broke off: its end, where the names are, is missing.
    """
    if b"xl/workbook.bin" in data[-_LONGEST_COMMENT:] and "xl/workbook.bin" in names_in(data):
        raise UnsupportedType(
            "this is a binary Excel workbook (XLSB): open it in a spreadsheet program and "
            "save it as XLSX"
        )
    if data[30 : 38 + len(ODS)] == b"mimetype" + ODS.encode():
        return ODS
    if data[30 : 38 + len(ODT)] == b"mimetype" + ODT.encode():
        return ODT
    try:
        names = list(map(_key, names_in(data)))
    except UnreadableDocument:
        if data[30:60].startswith(_FIRST_PARTS):
            raise
        return None
    kinds = (kind for name in names for part, kind in _TYPES if part.fullmatch(name))
    return next(kinds, _said_type(data) if {"mimetype", "content.xml"} <= set(names) else None)


def _said_type(data: bytes) -> str | None:
    """What an OpenDocument says it is that somebody has packed anew, so that it is not in sight."""
    if len(data) - _directory(data)[0] > _MOST_DIRECTORY:
        return None
    try:
        said = Package(data, _CHUNK).read("mimetype")
    except UnreadableDocument:
        return None
    return next((kind for kind in (ODS, ODT) if said.startswith(kind.encode())), None)


def names_in(data: bytes) -> Iterator[str]:
    """The names in an archive's directory, the first few thousand, without unpacking anything.

    Takes no memory to speak of, whatever the archive claims. Raises UnreadableDocument where there
    is no directory, as in an upload that broke off.
    """
    position, count = _directory(data)
    for _ in range(min(count, _NAMES_LOOKED_AT)):
        if data[position : position + 4] != b"PK\1\2" or position + _ENTRY.size > len(data):
            return
        lengths = _ENTRY.unpack_from(data, position)[10:13]
        start = position + _ENTRY.size
        yield data[start : start + lengths[0]].decode("utf-8", "replace")
        position = start + sum(lengths)


def _directory(data: bytes) -> tuple[int, int]:
    """Where the directory begins, and how many entries it is said to have."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - _END.size - _LONGEST_COMMENT))
    if end < 0 or end + _END.size > len(data):
        raise UnreadableDocument(
            "the document is damaged or cut off: it is a ZIP archive without its end"
        )
    _, _, _, _, count, size, _, _ = _END.unpack_from(data, end)
    start = end - size
    if 0xFFFF in (count, size >> 16):
        wide = data.rfind(b"PK\6\6", 0, end)
        if wide >= 0 and wide + _END_64.size <= end:
            count, size = _END_64.unpack_from(data, wide)[7:9]
            start = wide - size
    return max(0, start), count


def _key(name: str) -> str:
    return re.sub(r"[/\\]+", "/", name).lstrip("/").lower()


@contextmanager
def _clear_errors(doing: str) -> Iterator[None]:
    """Whatever a broken archive makes zipfile raise, as one clear error of the suite."""
    try:
        yield
    except (UnreadableDocument, MemoryError):
        raise
    except Exception as error:  # a broken archive makes zipfile raise anything
        what = str(error) or type(error).__name__
        if "encrypted" in what:
            raise EncryptedDocument(
                "the document is a ZIP archive with a password: save it without one"
            ) from error
        raise UnreadableDocument(
            f"can't {doing}: the document is damaged or cut off ({what})"
        ) from error
