"""Documents that are a ZIP archive of parts (DOCX, ODT, XLSX), unpacked within limits.

The sizes that an archive states are not trusted: parts are unpacked piece by piece against a total.
"""

from __future__ import annotations

import io
import posixpath
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from shared.documents.containers.xml import parse
from shared.documents.model.formats import DOCX, ODS, ODT, XLSX
from shared.errors import DocumentTooLarge, EncryptedDocument, UnreadableDocument, UnsupportedType

MOST_UNPACKED = 200_000_000
"""Total bytes of the parts of one document; a contract of 1,000 pages has a tenth of it."""

_CHUNK = 1 << 18
_TYPES = ((re.compile(r"xl/workbook\.xml"), XLSX), (re.compile(r"word/document\d*\.xml"), DOCX))
"""Parts that identify a type. Word numbers its part in some files."""
_FIRST_PARTS = (b"[Content_", b"_rels/", b"docProps/", b"xl/", b"word/")
_NAMES_LOOKED_AT = 5_000
_MOST_DIRECTORY = 1_000_000  # bytes of a directory that is read before the type is known
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 65_535


class Package:
    """The parts of one archive. Names are matched without regard to case, as Office does.

    At most `most` bytes are unpacked in total. Raises UnreadableDocument for a damaged archive.
    """

    def __init__(self, data: bytes, most: int = MOST_UNPACKED) -> None:
        with _clear_errors("open the document"):
            self._archive = zipfile.ZipFile(io.BytesIO(data))
            self._parts = {_key(name): name for name in self._archive.namelist()}
        self._most = self._remaining = most

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._parts

    def names(self) -> list[str]:
        return list(self._parts.values())

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a part in pieces; its checksum is checked at the end.

        Raises UnreadableDocument if it is missing or damaged, DocumentTooLarge beyond the total.
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
                self._remaining -= len(chunk)
                if self._remaining < 0:
                    raise DocumentTooLarge(
                        f"the document unpacks to more than {self._most:,} bytes"
                    )
                yield chunk

    def read(self, name: str) -> bytes:
        return b"".join(self.chunks(name))

    def picture(self, name: str) -> bytes:
        """Return a part that is a picture. Raises UnreadableDocument if it is missing or only
        linked.
        """
        if name not in self:
            raise UnreadableDocument("it is missing in the file, or a link to another place")
        return self.read(name)


class Relation(NamedTuple):
    """A reference from a part of a package, by its id."""

    id: str
    kind: str
    part: str
    outside: bool


def related(package: Package, part: str) -> Iterator[Relation]:
    """Yield the relations of a part, or of the package for "".

    Raises UnreadableDocument if their list is damaged.
    """
    folder, name = posixpath.split(part)
    listed = posixpath.join(folder, "_rels", f"{name}.rels")
    for element in parse(package.chunks(listed)) if listed in package else ():
        kind = element.get("Type", "").rpartition("/")[2]
        target = posixpath.normpath(posixpath.join("/", folder, element.get("Target", "")))
        outside = element.get("TargetMode") == "External"
        yield Relation(element.get("Id", ""), kind, target.lstrip("/"), outside)


def package_type(data: bytes) -> str | None:
    """Return the media type of an office document, from its parts; None for any other archive.

    OpenDocument declares its type in the first part. Raises UnreadableDocument for a truncated
    office document, which has no directory.
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
    return next(kinds, _declared_type(data) if {"mimetype", "content.xml"} <= set(names) else None)


def _declared_type(data: bytes) -> str | None:
    """Return the type that an OpenDocument declares, if it was packed in another order."""
    if len(data) - _directory(data)[0] > _MOST_DIRECTORY:
        return None
    try:
        declared = Package(data, _CHUNK).read("mimetype")
    except UnreadableDocument:
        return None
    return next((kind for kind in (ODS, ODT) if declared.startswith(kind.encode())), None)


def names_in(data: bytes) -> Iterator[str]:
    """Yield the first few thousand names of an archive's directory, without unpacking.

    Uses little memory, whatever the archive claims. Raises UnreadableDocument if there is no
    directory, as in a truncated upload.
    """
    for name, _ in _entries(data):
        yield name


def unpacked_size(data: bytes) -> int:
    """Return the bytes that an archive unpacks to by its own statement; other data as they are.

    Nothing is unpacked. Archives with a damaged directory count as they are.
    """
    if not data.startswith(b"PK"):
        return len(data)
    try:
        return sum(size for _, size in _entries(data))
    except UnreadableDocument:
        return len(data)


def _entries(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield the first few thousand names of an archive's directory, with their unpacked sizes."""
    position, count = _directory(data)
    for _ in range(min(count, _NAMES_LOOKED_AT)):
        if data[position : position + 4] != b"PK\1\2" or position + _ENTRY.size > len(data):
            return
        size, *lengths = _ENTRY.unpack_from(data, position)[9:13]
        start = position + _ENTRY.size
        yield data[start : start + lengths[0]].decode("utf-8", "replace"), size
        position = start + sum(lengths)


def _directory(data: bytes) -> tuple[int, int]:
    """Return the start of the directory and its stated number of entries."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - _END.size - _LONGEST_COMMENT))
    if end < 0 or end + _END.size > len(data):
        raise UnreadableDocument(
            "the document is damaged or truncated: it is a ZIP archive without its end"
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
            f"can't {doing}: the document is damaged or truncated ({what})"
        ) from error
