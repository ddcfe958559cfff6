"""Mails as Outlook saves them, written out for the tests: MS-OXMSG in a compound file (MS-CFB)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
Tree = Mapping[str, "bytes | Tree"]
"""Streams and storages by their names."""


@dataclass
class Attached:
    """A file or a message attached to another; `text` and `number` are further properties."""

    name: str = "lease.pdf"
    data: bytes | None = None
    message: Outlook | None = None
    method: int = 1
    texts: Mapping[int, str] = field(default_factory=dict)

    def tree(self) -> Tree:
        """Its storage."""
        method = 5 if self.message else self.method
        texts = {0x3707: self.name, **self.texts}
        parts: dict[str, bytes | Tree] = {}
        if self.message:
            parts["__substg1.0_3701000D"] = self.message.tree(header=24)
        elif self.data is not None:
            parts["__substg1.0_37010102"] = self.data
        return {**_properties(8, texts, {0x3705: method}), **parts}


@dataclass
class Outlook:
    """A message; with a `codepage` its strings are in that and not in Unicode."""

    subject: str = "The lease"
    body: str = "See what is attached.\r\n"
    html: bytes = b""
    headers: str = ""
    recipients: Sequence[tuple[int, str, str]] = ((1, "Bob", "bob@example.com"),)
    attached: Sequence[Attached] = ()
    codepage: int = 0
    texts: Mapping[int, str] = field(default_factory=dict)
    binaries: Mapping[int, bytes] = field(default_factory=dict)

    def tree(self, header: int = 32) -> Tree:
        """Its storage, that of the file itself or of an attached message."""
        texts = {
            0x0037: self.subject,
            0x1000: self.body,
            0x007D: self.headers,
            0x0C1A: "Ann",
            0x0C1F: "/O=EXAMPLE/OU=X/CN=ANN",
            0x5D01: "ann@example.com",
            **self.texts,
        }
        numbers = {0x3FFD: self.codepage, 0x3FDE: self.codepage} if self.codepage else {}
        moments = {0x0039: datetime(2025, 3, 3, 9, 0, tzinfo=UTC)}
        tree = dict(_properties(header, texts, numbers, moments, codepage=self.codepage))
        binaries = {**({0x1013: self.html} if self.html else {}), **self.binaries}
        tree |= {f"__substg1.0_{prop:04X}0102": data for prop, data in binaries.items()}
        for number, (kind, name, address) in enumerate(self.recipients):
            texts = {0x3001: name, 0x39FE: address}
            tree[f"__recip_version1.0_#{number:08X}"] = _properties(8, texts, {0x0C15: kind})
        for number, one in enumerate(self.attached):
            tree[f"__attach_version1.0_#{number:08X}"] = one.tree()
        return tree

    def file(self) -> bytes:
        return compound(self.tree())


def _properties(
    header: int,
    texts: Mapping[int, str],
    numbers: Mapping[int, int],
    moments: Mapping[int, datetime] | None = None,
    codepage: int = 0,
) -> dict[str, bytes | Tree]:
    """Return the table of a storage, and a stream for each non-empty string."""
    kind, encoding = (0x001E, f"cp{codepage}") if codepage else (0x001F, "utf-16-le")
    kept = {prop: text.encode(encoding) for prop, text in texts.items() if text}
    rows = [struct.pack("<HHLLL", kind, prop, 6, len(data), 0) for prop, data in kept.items()]
    rows += [struct.pack("<HHLlL", 3, prop, 6, value, 0) for prop, value in numbers.items()]
    for prop, moment in (moments or {}).items():
        ticks = int((moment - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
        rows.append(struct.pack("<HHLQ", 0x40, prop, 6, ticks))
    streams: dict[str, bytes | Tree] = {
        f"__substg1.0_{prop:04X}{kind:04X}": data for prop, data in kept.items()
    }
    return {"__properties_version1.0": bytes(header) + b"".join(rows), **streams}


def compound(tree: Tree) -> bytes:
    """Return a compound file of version 3: 512-byte sectors, with a separate mini stream."""
    entries: list[list[object]] = []
    contents: list[bytes] = []
    _list(tree, "Root Entry", 5, entries, contents)
    short = bytearray()
    short_fat: list[int] = []
    sectors: list[bytes] = []
    fat: list[int] = []
    for entry, data in zip(entries, contents, strict=True):
        if entry[1] == 2 and data:
            if len(data) < 4096:
                entry[5] = _chain(short_fat, -(-len(data) // 64))
                short += data.ljust(-(-len(data) // 64) * 64, b"\0")
            else:
                entry[5] = _store(sectors, fat, data)
            entry[6] = len(data)
    if short:
        entries[0][5], entries[0][6] = _store(sectors, fat, bytes(short)), len(short)
    packed = b"".join(struct.pack("<L", one) for one in short_fat)
    first_short_fat = _store(sectors, fat, packed) if packed else _END
    directory = _store(sectors, fat, b"".join(_entry(entry) for entry in entries))
    count = next(n for n in range(1, 1000) if n * 128 >= len(fat) + n)
    start = len(sectors)
    fat += [_FAT] * count
    table = b"".join(struct.pack("<L", one) for one in fat).ljust(count * 512, b"\xff")
    header = struct.pack(
        "<8s16xHHHHH6xLLLLLLLLL",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6,
        0, count, directory, 0, 4096, first_short_fat, -(-len(packed) // 512), _END, 0,
    )  # fmt: skip
    difat = struct.pack(f"<{count}L", *range(start, start + count)).ljust(436, b"\xff")
    return header + difat + b"".join(sectors) + table


def _list(
    tree: bytes | Tree, name: str, kind: int, entries: list[list[object]], contents: list[bytes]
) -> int:
    """Add an entry and its children as a balanced tree; return its number."""
    number = len(entries)
    entries.append([name, kind, _FREE, _FREE, _FREE, _END, 0])
    contents.append(tree if isinstance(tree, bytes) else b"")
    if not isinstance(tree, bytes):
        added = []
        for child in sorted(tree, key=lambda one: (len(one), one.upper())):
            below = tree[child]
            kind = 2 if isinstance(below, bytes) else 1
            added.append(_list(below, child, kind, entries, contents))
        entries[number][4] = _balance(added, entries)
    return number


def _balance(numbers: Sequence[int], entries: list[list[object]]) -> int:
    """Build a tree of siblings; return its root."""
    if not numbers:
        return _FREE
    middle = len(numbers) // 2
    root = numbers[middle]
    entries[root][2] = _balance(numbers[:middle], entries)
    entries[root][3] = _balance(numbers[middle + 1 :], entries)
    return root


def _entry(entry: Sequence[object]) -> bytes:
    name, kind, left, right, child, start, size = entry
    raw = f"{name}\0".encode("utf-16-le")
    return struct.pack(
        "<64sHBBLLL16xL8x8xLQ", raw, len(raw), kind, 1, left, right, child, 0, start, size
    )


def _chain(fat: list[int], length: int) -> int:
    start = len(fat)
    fat += [*range(start + 1, start + length), _END]
    return start


def _store(sectors: list[bytes], fat: list[int], data: bytes) -> int:
    pieces = list(_pieces(data))
    sectors += pieces
    return _chain(fat, len(pieces))


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 512):
        yield data[start : start + 512].ljust(512, b"\0")
