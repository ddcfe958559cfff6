"""Mails of Outlook: the same as other mails, by way of a compound file."""

from __future__ import annotations

import pytest

from shared.documents import Attachment, Limits, read, sniff, unpack
from shared.documents.mail.msg import OutlookMail
from shared.errors import (
    NestedTooDeep,
    UnreadableDocument,
    UnsupportedType,
)
from tests.unit.documents import samples
from tests.unit.documents.ends import parts, refused
from tests.unit.documents.mails import HEAD, attached, text, whole
from tests.unit.documents.outlook_files import Attached, Outlook, compound

PDF = samples.plain()
SHOWN = (
    "From: Ann <ann@example.com>\nTo: Bob <bob@example.com>\n"
    "Date: Mon, 03 Mar 2025 09:00:00 +0000\nSubject: The lease\n\n"
)


def test_a_mail_of_outlook_is_its_headers_and_its_words() -> None:
    data = Outlook(body="Dear Bob,\r\n\r\nsee below.\r\n").file()
    assert sniff(data, "a.doc") == "application/vnd.ms-outlook"
    reading = read(data, name="a.msg")
    assert reading.text == f"{SHOWN}Dear Bob,\n\nsee below.\n"
    assert (reading.media_type, reading.warnings) == ("application/vnd.ms-outlook", ())
    assert OutlookMail(data, Limits()).text == reading.text


def test_headers_of_its_way_come_first() -> None:
    headers = HEAD.replace("The lease", "=?utf-8?q?=C3=9Cbergabe?=").replace("\n", "\r\n")
    shown = read(Outlook(headers=headers, subject="Other").file()).text
    assert "Subject: Übergabe\n" in shown
    assert "Date: Mon, 3 Mar 2025 10:00:00 +0100\n" in shown


def test_receivers_are_listed_by_kind() -> None:
    recipients = [
        (1, "Bob", "bob@example.com"),
        (1, "Cy", "/O=EXAMPLE/CN=CY"),
        (2, "dee@example.com", "dee@example.com"),
        (3, "Eve", "eve@example.com"),
    ]
    shown = read(Outlook(recipients=recipients).file()).text
    assert "To: Bob <bob@example.com>, Cy\nCc: dee@example.com\n" in shown
    assert "Eve" not in shown
    shown = read(Outlook(recipients=(), texts={0x0E04: "Bob; Cy", 0x0E03: "Dee"}).file()).text
    assert "To: Bob; Cy\nCc: Dee\n" in shown


@pytest.mark.parametrize(
    ("codepage", "words"),
    [
        (1252, "Größe – 5 €"),
        (1251, "Договор"),
        (932, "契約書"),
        (950, "中文測試"),
        (65001, "Größe"),
    ],
)
def test_strings_of_old_versions_are_in_their_code_page(codepage: int, words: str) -> None:
    shown = read(Outlook(subject=words, body=f"{words}\r\n", codepage=codepage).file()).text
    assert f"Subject: {words}\n" in shown
    assert shown.endswith(f"\n\n{words}\n")


def test_attachments_are_documents() -> None:
    long = PDF + b"%" + b"x" * 10_000
    data = Outlook(
        attached=[
            Attached("Verträge.pdf", long),
            Attached("../../x.txt", b"short\n"),
            Attached("", b"none\n", texts={0x3704: "SHORT~1.TXT"}),
            Attached("", b"none\n"),
        ]
    ).file()
    assert parts(data) == [
        Attachment("Verträge.pdf", "application/pdf", long),
        Attachment("x.txt", "text/plain", b"short\n"),
        Attachment("SHORT~1.TXT", "text/plain", b"none\n"),
        Attachment("part 4", "text/plain", b"none\n"),
    ]


def test_what_is_not_in_the_mail_is_refused_by_name() -> None:
    link = Attached("plan.pdf", method=4, texts={0x370D: "\\\\server\\plans\\plan.pdf"})
    data = Outlook(
        attached=[
            link,
            Attached("Sheet", method=6),
            Attached("e.txt", b""),
            Attached("p.gif", b"GIF89a"),
            Attached("lease.pdf", PDF),
        ]
    ).file()
    found = {
        part.name: (getattr(part, "code", ""), getattr(part, "reason", "")) for part in parts(data)
    }
    assert found["plan.pdf"][0] == "unsupported_type"
    assert "\\\\server\\plans\\plan.pdf" in found["plan.pdf"][1]
    assert "object of another program" in found["Sheet"][1]
    assert found["e.txt"][0] == "empty_document"
    assert found["p.gif"][0] == "unsupported_type"
    assert found["lease.pdf"] == ("", "")


def test_a_message_in_a_message_comes_out_as_a_mail() -> None:
    inner = Outlook("Inner: the lease", "Deep.\r\n", attached=[Attached("l.pdf", PDF)])
    data = Outlook(attached=[Attached("", message=inner)]).file()
    [part] = parts(data)
    assert isinstance(part, Attachment)
    assert (part.name, part.media_type) == ("Inner_ the lease.eml", "message/rfc822")
    assert parts(Outlook("Another", attached=[Attached("", message=inner)]).file())[0] == part
    shown = read(part.data, name=part.name).text
    assert "Subject: Inner: the lease\n" in shown
    assert shown.endswith("\n\nDeep.\n")
    assert list(unpack(part.data).parts()) == [Attachment("l.pdf", "application/pdf", PDF)]


def test_messages_a_hundred_deep_are_refused_in_a_line() -> None:
    def deep(depth: int) -> bytes:
        message = Outlook("At last.")
        for _ in range(depth):
            message = Outlook("Deeper", attached=[Attached("", message=message)])
        return message.file()

    reason = refused(deep(100), "nested_too_deep")
    assert "100 deep" in reason
    assert "SMALLPRINT_INGEST_MAX_DEPTH" in reason
    with pytest.raises(NestedTooDeep):
        parts(deep(400))


def test_html_is_read_where_there_is_nothing_else() -> None:
    html = b"<p>Gr\xf6\xdfe</p>"
    assert read(Outlook(body="", html=html).file()).text == f"{SHOWN}Größe\n"
    assert read(Outlook(html=html).file()).text == f"{SHOWN}See what is attached.\n"


def test_rich_text_alone_is_not_read() -> None:
    [warning] = read(Outlook(body="", binaries={0x1009: b"LZFu"}).file()).warnings
    assert "RTF" in warning


def test_small_pictures_of_the_text_are_no_documents() -> None:
    logo = Attached("logo.png", b"\x89PNG", texts={0x3712: "logo@x", 0x370E: "image/png"})
    data = Outlook(html=b'<img src="cid:logo@x">', attached=[logo, Attached(data=PDF)]).file()
    assert [part.name for part in parts(data)] == ["lease.pdf"]
    assert "logo.png" in read(data).warnings[0]


def test_a_signed_mail_is_what_was_signed() -> None:
    signed = whole([text("Signed.\n"), attached(PDF)]).removeprefix(HEAD.encode())
    signed = signed.replace(b"multipart/mixed", b"multipart/signed")
    part = Attached("smime.p7m", signed, texts={0x370E: "multipart/signed"})
    data = Outlook(body="", attached=[part]).file()
    assert read(data).text == f"{SHOWN}Signed.\n"
    assert parts(data) == [Attachment("lease.pdf", "application/pdf", PDF)]


def test_other_compound_files_are_none() -> None:
    with pytest.raises(UnsupportedType, match="old Office document"):
        sniff(compound({"PowerPoint Document": b"x" * 5_000}))


def test_a_sector_of_an_impossible_size_is_refused() -> None:
    data = bytearray(Outlook().file())
    data[32] = 63
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(bytes(data), name="a.msg")
