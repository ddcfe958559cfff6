"""Archives: their files, harmful ones, and names in old encodings."""

from __future__ import annotations

import stat
import struct
import time
import zipfile
import zlib

import pytest

from shared.documents import Attachment, Limits, RefusedPart, read, sniff, unpack
from shared.documents.sandbox import Reader
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    UnreadableDocument,
    UnsupportedType,
)
from tests.unit.documents import archives, samples
from tests.unit.documents.archives import archive, named, special
from tests.unit.documents.ends import codes, parts, refused
from tests.unit.documents.mails import attached, text, whole

PDF = samples.plain()


def test_an_archive_is_its_files() -> None:
    mail = whole([text(), attached(PDF)])
    data = archive(
        {"2024/leases/a.pdf": PDF, "2024/": b"", "b.csv": b"a,b,c\n1,2,3\n4,5,6\n", "m": mail}
    )
    assert sniff(data, "a.pdf") == "application/zip"
    assert parts(data) == [
        Attachment("2024/leases/a.pdf", "application/pdf", PDF),
        Attachment("b.csv", "text/csv", b"a,b,c\n1,2,3\n4,5,6\n"),
        Attachment("m", "message/rfc822", mail),
    ]


def test_an_archive_has_no_text() -> None:
    reading = read(archive({"a.txt": b"text"}), name="a.zip")
    assert (reading.text, reading.page_count, reading.media_type) == ("", 0, "application/zip")


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_way_of_packing_that_the_library_has(method: int) -> None:
    data = archive({"a.pdf": PDF, "b.txt": b"text\n" * 1000}, method)
    assert [part.data for part in parts(data) if isinstance(part, Attachment)] == [
        PDF,
        b"text\n" * 1000,
    ]


def test_a_way_of_packing_that_is_not_read_is_named() -> None:
    """Deflate64, as Windows packs what is large, and others."""
    data = archive([("a.txt", b"text\n"), ("b.txt", b"text\n")])
    part, two = parts(archives.with_method(data, 9))
    assert isinstance(part, RefusedPart)
    assert (part.code, isinstance(two, Attachment)) == ("unsupported_type", True)
    assert "method 9" in part.reason


def test_an_encrypted_member_fails_alone_and_says_what_to_do() -> None:
    data = archive([("secret.txt", b"text\n"), ("open.txt", b"text\n")])
    part, two = parts(archives.encrypted(data))
    assert isinstance(part, RefusedPart)
    assert (part.code, isinstance(two, Attachment)) == ("encrypted_document", True)
    assert "unpack the archive with its password" in part.reason


def test_other_documents_that_are_archives_are_none() -> None:
    for names, says in (
        (["[Content_Types].xml", "ppt/presentation.xml"], "Office"),
        (["mimetype", "META-INF/container.xml"], "e-book"),
        (["META-INF/MANIFEST.MF", "A.class"], "program"),
        (["Index/Document.iwa"], "Pages"),
    ):
        with pytest.raises(UnsupportedType, match=says):
            sniff(archive(dict.fromkeys(names, b"x")))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Windows\\x.txt", "Windows/x.txt"),
        ("c:/x.txt", "x.txt"),
        ("a/../../b.txt", "a/b.txt"),
        ("a/./b.txt", "a/b.txt"),
        ("\\\\server\\share\\x.txt", "server/share/x.txt"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("con/aux.txt", "_con/_aux.txt"),
        ("a\nb\x1b[31m.txt", "ab[31m.txt"),
        ("...", "part 1"),
        ("   ", "part 1"),
        ("", "part 1"),
        ("n" * 10_000 + ".pdf", "n" * 196 + ".pdf"),
        ("d/" * 5_000 + "x.txt", "d/" * 49 + "x.txt"),
    ],
)
def test_names_are_labels(name: str, label: str) -> None:
    [part] = parts(named(name.encode(), flags=0x800))
    assert (part.name, getattr(part, "data", b"")) == (label, b"text\n")


def test_a_way_of_long_names_stays_short() -> None:
    [part] = parts(named("/".join(["f" * 190] * 40 + ["x.txt"]).encode(), flags=0x800))
    assert len(part.name) <= 1_000
    assert part.name.endswith("/x.txt")


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Übergabe.txt", "cp437"),
        ("Verträge/Größe.txt", "cp850"),
        ("Verträge/Größe.txt", "utf-8"),
    ],
)
def test_names_of_old_programs_are_readable(name: str, encoding: str) -> None:
    [part] = parts(named(name.encode(encoding)))
    assert part.name == name


def test_the_unicode_name_is_used_if_its_checksum_matches() -> None:
    raw, real = b"Vertr_ge.txt", "Verträge.txt"
    for crc, label in ((zlib.crc32(raw), real), (1, "Vertr_ge.txt")):
        content = b"\1" + struct.pack("<L", crc) + real.encode()
        extra = struct.pack("<HH", 0x7075, len(content)) + content
        assert [part.name for part in parts(named(raw, extra=extra))] == [label]


def test_the_same_name_twice_is_two_files() -> None:
    data = archive([("a.txt", b"one\n"), ("a.txt", b"two\n"), ("A.TXT", b"three\n")])
    assert [getattr(part, "data", b"") for part in parts(data)] == [b"one\n", b"two\n", b"three\n"]


def test_links_and_devices_are_no_files() -> None:
    link = special("link.txt", stat.S_IFLNK | 0o777)
    device = special("dev.txt", stat.S_IFCHR | 0o666)
    file = special("a.txt", stat.S_IFREG | 0o644)
    data = archive([(link, b"/etc/passwd"), (device, b"x"), (file, b"text\n")])
    assert codes(data) == [
        *(("link.txt", "unsupported_type"), ("dev.txt", "unsupported_type"), ("a.txt", ""))
    ]
    assert "symbolic link" in getattr(parts(data)[0], "reason", "")


def test_files_of_a_system_are_left_out_and_counted() -> None:
    names = ["__MACOSX/._a.txt", ".DS_Store", "x/.DS_Store", "x/Thumbs.db", "desktop.ini", "a.txt"]
    data = archive(dict.fromkeys(names, b"text\n"))
    assert codes(data) == [("a.txt", "")]
    assert read(data).warnings == ("5 system files are left out",)


@pytest.mark.parametrize("data", [archive({}), archive({"x/": b""}), archive({".DS_Store": b"x"})])
def test_an_archive_without_a_file_is_empty(data: bytes) -> None:
    with pytest.raises(EmptyDocument, match="no file in the archive"):
        read(data, name="a.zip")


# Hostile archives


@pytest.mark.parametrize("data", [archives.sharing(), archives.quoting()])
def test_members_that_share_their_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="share their bytes"):
        unpack(data, name="a.zip")


def test_a_member_that_grows_without_measure_is_refused() -> None:
    bomb = archive({"bomb.txt": b"0" * 20_000_000})
    assert "grows from" in refused(bomb, "document_too_large")
    assert codes(archive({"zeros.txt": b"0" * 5_000_000})) == [("zeros.txt", "")]


def test_sizes_are_bounded_by_one_and_by_all() -> None:
    data = archive({f"{n}.txt": b"%d" % n * 1000 for n in range(1, 5)})
    assert {code for _, code in codes(data, max_bytes=999)} == {"document_too_large"}
    assert [code for _, code in codes(data, max_unpacked=3_500)] == [
        *[""] * 3,
        "document_too_large",
    ]
    with pytest.raises(DocumentTooLarge, match="4 files: the limit is 3"):
        unpack(data, limits=Limits(max_parts=3))


@pytest.mark.parametrize("claimed", [10, 4_000_000_000])
def test_a_size_that_is_a_lie_is_found_out(claimed: int) -> None:
    data = bytearray(archive([("a.txt", b"text\n" * 1000), ("b.txt", b"text\n")]))
    struct.pack_into("<L", data, bytes(data).index(b"PK\x01\x02") + 24, claimed)
    part, two = parts(bytes(data), max_bytes=5_000_000_000)
    assert isinstance(part, RefusedPart)
    assert part.code in ("unreadable_document", "document_too_large")
    assert isinstance(two, Attachment)


def test_a_damaged_member_fails_alone() -> None:
    data = bytearray(archive([("a.txt", b"some text\n"), ("b.txt", b"text\n")], zipfile.ZIP_STORED))
    data[bytes(data).index(b"some text")] ^= 0xFF
    assert codes(bytes(data)) == [("a.txt", "unreadable_document"), ("b.txt", "")]


def test_layers_end_at_the_depth() -> None:
    data = archives.layers(2, 2, b"text\n")
    assert codes(data) == [("0.zip", ""), ("1.zip", "")]
    for part in parts(data, depth=9):
        assert isinstance(part, RefusedPart)
        assert part.code == "nested_too_deep"
        assert "SMALLPRINT_INGEST_MAX_DEPTH" in part.reason


def test_seventy_thousand_entries_are_counted_not_unpacked() -> None:
    data = archive((f"{n}.txt", b"x") for n in range(70_000))
    began = time.monotonic()
    with pytest.raises(DocumentTooLarge, match="70,000 files"):
        unpack(data)
    assert time.monotonic() - began < 60


def test_an_archive_cut_off_anywhere_is_refused() -> None:
    data = archive({"a.txt": b"text\n" * 10, "b.txt": b"more\n" * 10}, zipfile.ZIP_STORED)
    for length in range(4, len(data), 3):
        with pytest.raises(UnreadableDocument):
            unpack(data[:length], name="cut.zip")


def test_an_archive_refused_in_the_child_is_named() -> None:
    with (
        Reader() as reader,
        pytest.raises(UnreadableDocument, match="share their bytes") as caught,
    ):
        list(reader.unpack(archives.sharing(), name="bomb.zip"))
    assert caught.value.document == "bomb.zip"
