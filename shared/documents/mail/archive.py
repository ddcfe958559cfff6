"""ZIP archives of documents. No file is ever written under a name from the archive.

The format is PKWARE's APPNOTE 6.3. Harmful archives are refused: members that share their bytes (D.
Fifield, "A better zip bomb", WOOT 2019), members that grow without measure, links. A member's size
is bounded by its entry, and the entry by the limits.
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from zipfile import ZipInfo

from shared.documents.sniffing import safe_path
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    UnreadableDocument,
    UnsupportedType,
)

GROWTH = 200
"""Maximum ratio of unpacked to packed size; real documents stay below 50."""
SMALL = 10_000_000
"""Bytes of a member up to which the ratio does not matter."""

_ENCRYPTED, _UTF_8 = 0x1, 0x800
_UNICODE_PATH = 0x7075
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_SYSTEM_FILES = ("__macosx/", ".ds_store", "thumbs.db", "desktop.ini")
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, LookupError, OSError, RuntimeError, ValueError),
)


class Archive:
    """An open ZIP archive: a `Container`.

    Raises UnreadableDocument if it is damaged or harmful, EmptyDocument if it has no file,
    DocumentTooLarge for more than `most_parts` members.
    """

    text: str | None = None

    def __init__(self, data: bytes, most_parts: int) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (*_DAMAGED, NotImplementedError) as error:
            raise UnreadableDocument(f"the archive is damaged: {error}") from None
        members = [member for member in self._zip.infolist() if not member.filename.endswith("/")]
        _refuse_overlaps(data, members, self._zip.start_dir)
        names = {member: _name(member) for member in members}
        self._members = [member for member in members if not _is_of_the_system(names[member])]
        self.names = [
            safe_path(names[member], f"part {n}") for n, member in enumerate(self._members, 1)
        ]
        self.warnings: list[str] = []
        if ignored := len(members) - len(self._members):
            self.warnings.append(f"{ignored} system files are left out")
        if not self._members:
            raise EmptyDocument("there is no file in the archive")
        if len(self._members) > most_parts:
            raise DocumentTooLarge(
                f"the archive has {len(self._members):,} files: the limit is {most_parts:,} "
                "(setting SMALLPRINT_INGEST_MAX_PARTS)"
            )

    def part(self, index: int, most: int) -> bytes:
        member = self._members[index]
        _refuse(member, most)
        try:
            with self._zip.open(member) as file:
                data = file.read(most + 1)
        except NotImplementedError:
            raise UnsupportedType(
                f"its compression method {member.compress_type} is not supported: pack it again "
                "with an ordinary ZIP program"
            ) from None
        except MemoryError:
            raise UnreadableDocument("unpacking it needs too much memory") from None
        except _DAMAGED as error:
            raise UnreadableDocument(f"it is damaged: {error or type(error).__name__}") from None
        if not data.strip():
            raise EmptyDocument("it has no bytes")
        return data


def _refuse(member: ZipInfo, most: int) -> None:
    """Raise the error that the member's entry already shows."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a symbolic link" if kind == stat.S_IFLNK else "a device or the like"
        raise UnsupportedType(f"it is {what}, not a file")
    if member.flag_bits & _ENCRYPTED:
        raise EncryptedDocument(
            "it is encrypted: unpack the archive with its password, and send its files"
        )
    if member.file_size > most:
        raise DocumentTooLarge(f"it has {member.file_size:,} bytes: the limit is {most:,}")
    if member.file_size > max(SMALL, GROWTH * member.compress_size):
        raise DocumentTooLarge(
            f"it grows from {member.compress_size:,} to {member.file_size:,} bytes: "
            f"more than {GROWTH} times its size is not unpacked"
        )


def _refuse_overlaps(data: bytes, members: Sequence[ZipInfo], directory: int) -> None:
    """Raises UnreadableDocument if two members share bytes."""
    in_order = sorted(members, key=lambda member: member.header_offset)
    starts = [member.header_offset for member in in_order]
    for member, most in zip(in_order, [*starts[1:], directory], strict=bool(starts)):
        start = member.header_offset
        header = data[start : start + _LOCAL_HEADER.size]
        if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            continue  # opening it will say what is wrong
        _, name, extra = _LOCAL_HEADER.unpack(header)
        if start + len(header) + name + extra + member.compress_size > most:
            raise UnreadableDocument("members of the archive share their bytes: it is a ZIP bomb")


def _is_of_the_system(name: str) -> bool:
    lower = name.lower()
    return lower.startswith(_SYSTEM_FILES[0]) or lower.split("/")[-1] in _SYSTEM_FILES[1:]


def _name(member: ZipInfo) -> str:
    """Decode a name: as declared, as UTF-8, or in the format's old code page."""
    if member.flag_bits & _UTF_8:
        return member.orig_filename
    raw = member.orig_filename.encode("cp437", "replace")
    try:
        return _unicode_path(member, raw) or raw.decode()
    except UnicodeDecodeError:
        return member.orig_filename


def _unicode_path(member: ZipInfo, raw: bytes) -> str:
    """Return the name in Info-ZIP's extra field if it belongs to this entry (APPNOTE 4.6.9)."""
    for kind, content in _extra_fields(member.extra):
        if kind == _UNICODE_PATH and int.from_bytes(content[1:5], "little") == zlib.crc32(raw):
            return content[5:].decode("utf-8", "replace")
    return ""


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        yield kind, extra[4 : 4 + length]
        extra = extra[4 + length :]
