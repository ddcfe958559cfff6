"""ZIP archives: the files in them, none of which is ever written anywhere by its name.

The format is that of PKWARE's APPNOTE 6.3. What archives do to harm a reader is refused: members
that share their bytes (D. Fifield, "A better zip bomb", WOOT 2019), members that grow without
measure, links. A member's size is bounded by what its entry says, and that by the limits.
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from zipfile import ZipInfo

from shared.documents.parts import safe_path
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    UnreadableDocument,
    UnsupportedType,
)

GROWTH = 200
"""Times its packed size that a member may have; real text and tables stay below 50."""
SMALL = 10_000_000
"""Bytes of a member that may grow more than that."""

_ENCRYPTED, _UTF_8 = 0x1, 0x800
_UNICODE_PATH = 0x7075
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_SYSTEM_FILES = ("__macosx/", ".ds_store", "thumbs.db", "desktop.ini")
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
)
_ENCODINGS = ("cp437", "cp850", "cp1252", "cp866", "cp1251", "cp932", "gb18030", "cp949", "big5")
"""What names are in where nothing says so, the likeliest first among those that fit as well."""


class Archive:
    """One ZIP archive, opened: a `Container`.

    Args:
        data: the file.
        most_parts: how many members it may have.

    Raises:
        UnreadableDocument: it is damaged, or made to harm.
        EmptyDocument: there is no file in it.
        DocumentTooLarge: there are more than that.
    """

    text: str | None = None

    def __init__(self, data: bytes, most_parts: int) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (*_DAMAGED, NotImplementedError) as error:
            raise UnreadableDocument(f"the archive is damaged: {error}") from None
        members = [one for one in self._zip.infolist() if not one.filename.endswith("/")]
        _refuse_overlaps(data, members, self._zip.start_dir)
        names = dict(zip(members, _names(members), strict=True))
        self._members = [one for one in members if not _is_of_the_system(names[one])]
        self.names = [safe_path(names[one], f"part {n}") for n, one in enumerate(self._members, 1)]
        self.warnings: list[str] = []
        if left_out := len(members) - len(self._members):
            self.warnings.append(f"{left_out} files that only a system has for itself are left out")
        if not self._members:
            raise EmptyDocument("there is no file in the archive")
        if len(self._members) > most_parts:
            raise DocumentTooLarge(
                f"the archive has {len(self._members):,} files: at most {most_parts:,} are taken "
                "(setting SMALLPRINT_INGEST_MAX_PARTS)"
            )

    def part(self, index: int, most: int) -> bytes:
        """See `Container.part`."""
        member = self._members[index]
        _refuse(member, most)
        try:
            with self._zip.open(member) as file:
                data = file.read(most + 1)
        except NotImplementedError:
            raise UnsupportedType(
                f"it is packed in a way that is not read (method {member.compress_type}): pack it "
                "anew with an ordinary ZIP program"
            ) from None
        except MemoryError:
            raise UnreadableDocument("unpacking it needs too much memory") from None
        except _DAMAGED as error:
            raise UnreadableDocument(f"it is damaged: {error or type(error).__name__}") from None
        if not data.strip():
            raise EmptyDocument("it has no bytes")
        return data


def _refuse(member: ZipInfo, most: int) -> None:
    """Raise what its entry alone tells."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a symbolic link" if kind == stat.S_IFLNK else "a device or the like"
        raise UnsupportedType(f"it is {what}, and no file")
    if member.flag_bits & _ENCRYPTED:
        raise EncryptedDocument(
            "it is encrypted: unpack the archive with its password, and send what is in it"
        )
    if member.file_size > most:
        raise DocumentTooLarge(f"it has {member.file_size:,} bytes: at most {most:,} are read")
    if member.file_size > max(SMALL, GROWTH * member.compress_size):
        raise DocumentTooLarge(
            f"it grows from {member.compress_size:,} to {member.file_size:,} bytes, as no document "
            f"does: more than {GROWTH} times its size is not unpacked"
        )


def _refuse_overlaps(data: bytes, members: Sequence[ZipInfo], directory: int) -> None:
    """Raise UnreadableDocument if two members have bytes in common."""
    in_order = sorted(members, key=lambda member: member.header_offset)
    starts = [member.header_offset for member in in_order]
    for member, most in zip(in_order, [*starts[1:], directory], strict=bool(starts)):
        start = member.header_offset
        header = data[start : start + _LOCAL_HEADER.size]
        if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            continue  # opening it will say what is wrong
        _, name, extra = _LOCAL_HEADER.unpack(header)
        if start + len(header) + name + extra + member.compress_size > most:
            raise UnreadableDocument("members of the archive share their bytes: it is a bomb")


def _is_of_the_system(name: str) -> bool:
    lower = name.lower()
    return lower.startswith(_SYSTEM_FILES[0]) or lower.split("/")[-1] in _SYSTEM_FILES[1:]


# Names


def _names(members: Sequence[ZipInfo]) -> list[str]:
    """Names as they were meant: as they say, or as UTF-8, or as the encoding that fits them all."""
    raw = [member.orig_filename.encode("cp437", "replace") for member in members]
    untold = [not member.flag_bits & _UTF_8 for member in members]
    encoding = _encoding([name for name, is_untold in zip(raw, untold, strict=True) if is_untold])
    return [
        _unicode_path(member, name)
        or (name.decode(encoding, "replace") if is_untold else member.orig_filename)
        for member, name, is_untold in zip(members, raw, untold, strict=True)
    ]


def _unicode_path(member: ZipInfo, raw: bytes) -> str:
    """The name in Info-ZIP's extra field, if it is of this very name (APPNOTE 4.6.9)."""
    for kind, content in _extra_fields(member.extra):
        if kind == _UNICODE_PATH and int.from_bytes(content[1:5], "little") == zlib.crc32(raw):
            return content[5:].decode("utf-8", "replace")
    return ""


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        yield kind, extra[4 : 4 + length]
        extra = extra[4 + length :]


def _encoding(names: Sequence[bytes]) -> str:
    """The encoding in which names look least odd. A guess: a name is only a label."""
    together = b"\n".join(names)
    if together.isascii():
        return "ascii"
    if _fits(together, "utf-8") is not None:
        return "utf-8"
    fitting = {name: text for name in _ENCODINGS if (text := _fits(together, name)) is not None}
    return min(fitting, key=lambda name: _oddness(fitting[name]), default="cp437")


def _fits(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _oddness(text: str) -> int:
    """How much in a text is not as people write: signs within words, scripts and cases mixed."""
    odd, run, before = 0, 0, " "
    for c in text:
        if not c.isascii():
            odd += not c.isalpha() or "\uff61" <= c <= "\uff9f"
            mixed = before.isalpha() and _script(before) != _script(c)
            odd += mixed or (before.islower() and c.isupper())
            run = run + 1 if _script(c) == "LATIN" else 0
            odd += run >= 3
        else:
            odd += c.isalpha() and not before.isascii() and _script(before) != "LATIN"
            run = 0
        before = c
    return odd


def _script(c: str) -> str:
    """The first word of a character's name, one for all that Japanese mixes."""
    script = unicodedata.name(c, "").partition(" ")[0]
    return "CJK" if script.startswith(("KATAKANA", "HIRAGANA")) else script
