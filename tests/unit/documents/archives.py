"""ZIP archives for the tests, and those that no program would write."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Iterable, Mapping

Body = str | bytes | Iterable[bytes]
Members = Iterable[tuple[str | zipfile.ZipInfo, Body]]


def archive(members: Members | Mapping[str, Body], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive of these files, some in pieces perhaps; names may repeat."""
    out = io.BytesIO()
    listed = members.items() if isinstance(members, Mapping) else members
    with zipfile.ZipFile(out, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that come twice
        for name, body in listed:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            in_sight = info.filename == "mimetype"  # of an OpenDocument
            info.compress_type = zipfile.ZIP_STORED if in_sight else method
            with file.open(info, "w") as member:
                for piece in [body] if isinstance(body, str | bytes) else body:
                    member.write(piece.encode() if isinstance(piece, str) else piece)
    return out.getvalue()


def changed(data: bytes, name: str, body: Body | None) -> bytes:
    """Return an archive with this file replaced or added, or without it."""
    with zipfile.ZipFile(io.BytesIO(data)) as given:
        files: dict[str, Body] = {found: given.read(found) for found in given.namelist()}
    if body is None:
        del files[name]
    else:
        files[name] = body
    return archive(files)


def special(name: str, mode: int) -> zipfile.ZipInfo:
    """Return an entry that is a link or a device."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def patched(data: bytes, offset_local: int, offset_central: int, value: int) -> bytes:
    """Change two bytes in both headers of the first entry."""
    changed = bytearray(data)
    central = data.index(b"PK\x01\x02")
    struct.pack_into("<H", changed, data.index(b"PK\x03\x04") + offset_local, value)
    struct.pack_into("<H", changed, central + offset_central, value)
    return bytes(changed)


def encrypted(data: bytes) -> bytes:
    return patched(data, 6, 8, 1)


def with_method(data: bytes, method: int) -> bytes:
    return patched(data, 8, 10, method)


def named(raw: bytes, data: bytes = b"text\n", flags: int = 0, extra: bytes = b"") -> bytes:
    """Return an archive of one stored file with these bytes as its name."""
    import zlib

    crc, size = zlib.crc32(data), len(data)
    fixed = struct.pack("<HHHHHLLLHH", 20, flags, 0, 0, 33, crc, size, size, len(raw), len(extra))
    local = b"PK\x03\x04" + fixed + raw + extra + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + fixed
    central += struct.pack("<HHHLL", 0, 0, 0, 0, 0) + raw + extra
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def sharing(copies: int = 250) -> bytes:
    """Return many entries that share the bytes of one: D. Fifield's bomb in its simplest form."""
    data = archive({"a.txt": b"0" * 1_000_000})
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[start:end]
    entries = b"".join(entry.replace(b"a.txt", b"%05d" % n) for n in range(copies))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, copies, copies, len(entries), start, 0)
    return data[:start] + entries + tail


def quoting() -> bytes:
    """Return a stored member that contains the next member: an overlap of the second kind."""
    inner = archive({"b.txt": b"hello\n"}, zipfile.ZIP_STORED)
    second = inner[: inner.index(b"PK\x01\x02")]
    outer = archive({"a.bin": second}, zipfile.ZIP_STORED)
    start = outer.index(b"PK\x01\x02")
    at = outer.index(second)
    entry = bytearray(inner[inner.index(b"PK\x01\x02") : inner.index(b"PK\x05\x06")])
    struct.pack_into("<L", entry, 42, at)
    entries = outer[start : outer.index(b"PK\x05\x06")] + bytes(entry)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(entries), start, 0)
    return outer[:start] + entries + tail


def layers(depth: int, wide: int, innermost: bytes) -> bytes:
    """Return nested archives like 42.zip, all with different bytes."""

    def layer(left: int, path: str) -> bytes:
        if not left:
            return innermost + path.encode() + b"\n"
        return archive(
            {
                f"{n}.{'zip' if left > 1 else 'txt'}": layer(left - 1, f"{path}{n}.")
                for n in range(wide)
            }
        )

    return layer(depth, "")
