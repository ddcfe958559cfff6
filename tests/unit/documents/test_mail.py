"""Mails: text, attachments, and the many kinds of broken mails."""

from __future__ import annotations

import pytest

from shared.documents import Attachment, Limits, read, sandbox, sniff, unpack
from shared.documents.mail.eml import unflowed
from shared.documents.sandbox import Reader
from shared.errors import DocumentTooLarge, NestedTooDeep, UnsupportedType
from tests.unit.documents import samples
from tests.unit.documents.ends import codes, parts, refused
from tests.unit.documents.hostile import start
from tests.unit.documents.mails import (
    HEAD,
    attached,
    deep,
    mail,
    multipart,
    nested,
    part,
    text,
    whole,
)

PDF = samples.plain()
SHOWN = (
    "From: Ann <ann@example.com>\nTo: Bob <bob@example.com>\n"
    "Date: Mon, 3 Mar 2025 10:00:00 +0100\nSubject: The lease\n"
)


def accepted(data: bytes) -> list[Attachment]:
    results = parts(data)
    assert all(isinstance(item, Attachment) for item in results), results
    return [item for item in results if isinstance(item, Attachment)]


def body(data: bytes) -> str:
    """A mail's text below its headers."""
    reading = read(data)
    assert reading.text.startswith(SHOWN)
    assert (reading.page_count, reading.pages[0].end) == (1, len(reading.text))
    return reading.text.removeprefix(SHOWN).removeprefix("\n")


LETTER = b"From: Ann\nTo: Bob\nDate: today\nSubject: the lease\n\nThis Agreement\n"


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (mail("x"), "", "message/rfc822"),
        (mail("x").replace(b"\n", b"\r\n"), "a.txt", "message/rfc822"),
        (b"From ann Mon Mar  3 10:00:00 2025\n" + mail("x"), "", "message/rfc822"),
        (LETTER, "memo.txt", "text/plain"),
        (LETTER, "memo.EML", "message/rfc822"),
        (b"Received: the goods\n\nThis Agreement\n", "", "text/plain"),
        (b"From: Ann\nThis Agreement\nMessage-ID: x\n\n", "", "text/plain"),
        (b"From: Ann\nnot a header\n", "a.eml", "text/plain"),
        (mail(PDF), "", "message/rfc822"),
        (b"Content-Type: x\nMIME-Version: 1.0\n\n" + PDF, "", "application/pdf"),
    ],
)
def test_a_mail_is_recognised_by_its_headers(data: bytes, name: str, kind: str) -> None:
    assert sniff(data, name) == kind


def test_a_mailbox_is_not_one_mail() -> None:
    item = b"From ann@example.com Mon Mar  3 10:00:00 2025\n" + mail("x\n") + b"\n"
    with pytest.raises(UnsupportedType, match="save each mail"):
        sniff(item + item)
    assert sniff(item) == "message/rfc822"


def test_the_text_of_a_mail_are_its_headers_and_its_words() -> None:
    data = mail("Dear Bob,\r\n\r\nsee below.\r\n\r\n", "X-Spam: no", "Cc: Cy\n <cy@example.com>")
    reading = read(data, name="a.eml")
    assert reading.text == SHOWN.replace("Date", "Cc: Cy <cy@example.com>\nDate") + (
        "\nDear Bob,\n\nsee below.\n"
    )
    assert reading.media_type == "message/rfc822"
    assert reading.warnings == ()
    assert read(mail("")).text == SHOWN


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=?utf-8?q?=C3=9Cbergabe?=", "Übergabe"),
        ("=?iso-8859-1?Q?a=E9?= =?utf-8?B?w6k=?= plain", "aéé plain"),
        ("=?utf-8?B?4oKs?=\n =?utf-8?B?IHg=?=", "€ x"),
        ("=?nonsense?B?w6k=?=", "é"),
        ("=?utf-8?Q?broken", "=?utf-8?Q?broken"),
        ("Übergabe", "Übergabe"),
        (b"\xdcbergabe".decode("ascii", "surrogateescape"), "Übergabe"),
        ("=?utf-8?q?a=00b=0D=0Ac?=", "ab c"),
    ],
)
def test_headers_are_words_again(value: str, shown: str) -> None:
    data = mail("x", head=HEAD.replace("The lease", value))
    assert f"Subject: {shown}\n" in read(data).text


@pytest.mark.parametrize(
    ("charset", "data", "shown"),
    [
        ("utf-8", "Größe €".encode(), "Größe €"),
        ("iso-8859-1", "Größe".encode("latin-1"), "Größe"),
        ("iso-8859-1", b"\x93quoted\x94 \x80", "“quoted” €"),
        ("koi8-r", "Договор".encode("koi8-r"), "Договор"),
        ("shift_jis", "契約書".encode("cp932"), "契約書"),
        ("gb2312", "合同".encode("gbk"), "合同"),
        ("us-ascii", "Größe".encode(), "Größe"),
    ],
)
def test_a_text_in_any_character_set(charset: str, data: bytes, shown: str) -> None:
    data = mail(data, f"Content-Type: text/plain; charset={charset}")
    assert body(data) == f"{shown}\n"
    assert read(data).warnings == ()


@pytest.mark.parametrize("charset", ["utf-8", "nonsense", "us-ascii", "a\0b"])
def test_a_wrong_character_set_is_a_warning(charset: str) -> None:
    data = mail("Größe".encode("latin-1"), f'Content-Type: text/plain; charset="{charset}"')
    assert body(data) == "Größe\n"
    [warning] = read(data).warnings
    assert charset in warning
    assert parts(data) == []


def test_what_a_printer_took_for_a_line_end_is_one() -> None:
    assert body(mail("One.\fTwo.\vThree.\r\nFour.\0")) == "One.\nTwo.\nThree.\nFour.\n"


def test_transfer_encodings_are_undone() -> None:
    for coding, coded in (
        ("quoted-printable", "Gr=C3=B6=\n=C3=9Fe"),
        ("base64", "R3LDtsOfZQ=="),
        ("base64", "R3LDtsOf\nZQ"),
        ("8bit", "Größe"),
        ("x-uuencode", "begin 644 x\n'1W+#ML.?90``\n`\nend\n"),
    ):
        data = mail(
            coded, "Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {coding}"
        )
        assert body(data).startswith("Größe"), coding


def test_flowed_text_has_its_paragraphs_again() -> None:
    """RFC 3676: soft line ends, quotes, stuffed spaces, signatures, deleted spaces."""
    flowed = "A line that \ngoes on.\nNext.\n> quoted \n> on\n>> deeper \n> back\n From here\n"
    assert unflowed(flowed + "-- \nAnn\n") == (
        "A line that goes on.\nNext.\n> quoted on\n>> deeper \n> back\nFrom here\n-- \nAnn\n"
    )
    assert unflowed("長い \n行\n", delete_spaces=True) == "長い行\n"
    data = mail("one \ntwo\n", "Content-Type: text/plain; format=flowed; charset=utf-8")
    assert body(data) == "one two\n"
    assert body(mail("one \ntwo\n", "Content-Type: text/plain")) == "one \ntwo\n"


def test_of_several_forms_the_plain_one_is_read() -> None:
    html = part("<p>Rich</p>", "Content-Type: text/html")
    calendar = part("BEGIN:VCALENDAR", "Content-Type: text/calendar")
    for forms in ([text("Plain.\n"), html, calendar], [html, text("Plain.\n")]):
        data = whole(forms, "alternative")
        assert (body(data), parts(data), read(data).warnings) == ("Plain.\n", [], ())


def test_html_is_read_where_there_is_nothing_else() -> None:
    html = "<p>Größe</p><script>run()</script><p>See <b>below</b>.<img src='http://x/y.png'></p>"
    latin = html.encode("latin-1")
    for data in (
        mail(latin, "Content-Type: text/html; charset=iso-8859-1"),
        whole([text(" \n"), part(html, "Content-Type: text/html; charset=utf-8")], "alternative"),
    ):
        assert body(data) == "Größe\n\nSee below.\n"
    assert body(mail("<img src='cid:x'>", "Content-Type: text/html")) == ""
    both = whole([part("<p>One</p>", "Content-Type: text/html"), text("-- \nthe list\n")])
    assert body(both) == "One\n\n-- \nthe list\n"


def test_texts_that_follow_each_other_are_one() -> None:
    assert body(whole([text("Hello.\n"), text("-- \nthe list\n")])) == "Hello.\n\n-- \nthe list\n"


def test_attachments_are_documents_by_content() -> None:
    data = whole([text(), attached(PDF), attached(b"a,b,c\n1,2,3\n4,5,6\n", "t.bin", "x/y")])
    assert accepted(data) == [
        Attachment("lease.pdf", "application/pdf", PDF),
        Attachment("t.bin", "text/csv", b"a,b,c\n1,2,3\n4,5,6\n"),
    ]
    assert body(data) == "See what is attached.\n"


def test_a_mail_that_is_nothing_but_an_attachment() -> None:
    data = HEAD.encode() + attached(PDF)
    assert (body(data), [item.name for item in accepted(data)]) == ("", ["lease.pdf"])


def test_what_is_refused_has_a_reason() -> None:
    sealed = part("AAAA", "Content-Type: application/pkcs7-mime; name=smime.p7m")
    image = attached(b"GIF89a\r\n", "p.gif", "image/gif")
    data = whole([attached(b"", "e.pdf"), image, sealed, attached(PDF), text()])
    assert codes(data, max_bytes=len(PDF)) == [
        ("e.pdf", "empty_document"),
        ("p.gif", "unsupported_type"),
        ("smime.p7m", "encrypted_document"),
        ("lease.pdf", ""),
    ]
    assert refused(whole([attached(PDF)]), "document_too_large", max_bytes=len(PDF) - 1)


def test_an_encrypted_mail_is_one_refused_part() -> None:
    sealed = [part("Version: 1", "Content-Type: application/pgp-encrypted"), text("-----BEGIN")]
    data = whole(sealed, "encrypted")
    assert "upload" in refused(data, "encrypted_document")
    assert body(data) == ""


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("filename*=utf-8''Vertr%C3%A4ge.pdf", "Verträge.pdf"),
        ("filename*0*=utf-8''Vertr%C3%A4;\n filename*1=ge.pdf", "Verträge.pdf"),
        ('filename="=?utf-8?q?Vertr=C3=A4ge.pdf?="', "Verträge.pdf"),
        ('filename="Verträge.pdf"', "Verträge.pdf"),
        ('filename="Vertr\udce4ge.pdf"', "Verträge.pdf"),  # the byte of Latin-1
        ("filename=../../etc/passwd", "passwd"),
        ('filename="C:\\\\x\\\\a.pdf"', "a.pdf"),
        ('filename="a\u202efdp.exe"', "afdp.exe"),
        (f"filename={'n' * 10_000}.pdf", "n" * 196 + ".pdf"),
        ("filename*=nonsense''%C3%A4.pdf", "ä.pdf"),
        ("", "part 1.bin"),
    ],
)
def test_names_are_labels(given: str, name: str) -> None:
    headers = [
        f"Content-Disposition: attachment;\n {given}"
        if given
        else "Content-Disposition: attachment",
        "Content-Type: application/octet-stream",
    ]
    [item] = accepted(whole([part(PDF, *headers)]))
    assert item.name == name


@pytest.mark.parametrize(
    ("kind", "name"),
    [('application/pdf; name="a b.pdf"', "a b.pdf"), ("application/pdf", "part 1.pdf")],
)
def test_without_a_name_it_is_that_of_the_type(kind: str, name: str) -> None:
    [item] = accepted(whole([part(PDF, f"Content-Type: {kind}")]))
    assert item.name == name


def test_the_same_name_twice_is_two_parts() -> None:
    data = whole([attached(b"one\n", "a.txt"), attached(b"two\n", "a.txt")])
    assert [(item.name, item.data) for item in accepted(data)] == [
        ("a.txt", b"one\n"),
        ("a.txt", b"two\n"),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_mail_in_a_mail_comes_out_as_it_was_sent(end: bytes) -> None:
    inner = whole([text("Größe \nFrom me\n"), attached(PDF)], boundary="in").replace(b"\n", end)
    outer = whole([text(), nested(b"")]).replace(b"\n", end)
    outer = outer.replace(b"message/rfc822" + end + end, b"message/rfc822" + end + end + inner)
    assert accepted(outer) == [Attachment("The lease.eml", "message/rfc822", inner)]


def test_an_attached_mail_in_base64_is_read() -> None:
    inner = mail("Deep.\n", "Content-Type: text/plain")
    data = attached(inner, "fw.eml", "message/rfc822")
    assert accepted(whole([text(), data])) == [Attachment("fw.eml", "message/rfc822", inner)]


def test_a_digest_is_its_mails() -> None:
    digest = multipart([b"\n" + mail("One.\n"), b"\n" + mail("Two.\n")], "digest")
    assert [item.media_type for item in accepted(HEAD.encode() + digest)] == ["message/rfc822"] * 2


def test_attachments_within_other_forms_are_not_lost() -> None:
    rich = multipart([part("<p>x", "Content-Type: text/html"), attached(PDF)], boundary="inner")
    data = whole([text("Plain.\n"), rich], "alternative")
    assert ([item.name for item in accepted(data)], body(data)) == (["lease.pdf"], "Plain.\n")


def test_small_pictures_of_the_text_are_no_documents() -> None:
    html = part('<img src="cid:l"><img src="cid:s">', "Content-Type: text/html")
    head = ["Content-Type: image/png", "Content-Disposition: inline; filename={}.png"]
    logo = part(b"\x89PNG", *[h.format("logo") for h in head], "Content-ID: <l>")
    scan = part(b"\x89PNG" + b"x" * 60_000, *[h.format("scan") for h in head], "Content-ID: <s>")
    rich = multipart([html, logo, scan], "related", "inner")
    for first in (rich, multipart([text(), rich], "alternative", "forms")):
        data = whole([first, attached(PDF)])
        assert [item.name for item in parts(data)] == ["scan.png", "lease.pdf"]
        assert any("logo.png" in warning for warning in read(data).warnings)


def test_signatures_are_no_documents() -> None:
    signature = part("AAAA", "Content-Type: application/pkcs7-signature; name=smime.p7s")
    data = whole([text("Signed.\n"), signature], "signed")
    assert (body(data), parts(data)) == ("Signed.\n", [])


def test_a_report_of_delivery_is_text() -> None:
    status = part(
        "Reporting-MTA: dns; x\n\nAction: failed\n", "Content-Type: message/delivery-status"
    )
    data = whole([text("It failed.\n"), status, nested(mail("Lost.\n"))], "report")
    assert "Action: failed" in body(data)
    assert [item.media_type for item in accepted(data)] == ["message/rfc822"]


def test_mails_a_hundred_deep_are_refused_in_a_line() -> None:
    reason = refused(deep(100), "nested_too_deep")
    assert "100 deep" in reason
    assert "SMALLPRINT_INGEST_MAX_DEPTH" in reason
    assert [item.data for item in accepted(deep(9))] == [deep(8)]
    assert refused(deep(1), "nested_too_deep", depth=9)


@pytest.mark.parametrize("data", [deep(5_000), b""])
def test_mails_without_end_are_refused(data: bytes) -> None:
    if not data:
        data = HEAD.encode()
        for number in range(3_000):
            data += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (number, number)
    with pytest.raises(NestedTooDeep):
        unpack(data, name="a.eml")


def test_parts_are_counted_and_weighed() -> None:
    data = whole([attached(b"x" * 100, f"{n}.txt") for n in range(5)])
    with pytest.raises(DocumentTooLarge, match="5 attachments: the limit is 4"):
        parts(data, max_parts=4)
    ends = [code for _, code in codes(data, max_unpacked=350)]
    assert ends == ["", "", "", "document_too_large", "document_too_large"]


@pytest.mark.parametrize(
    "data",
    [
        HEAD.encode() + b"Content-Type: multipart/mixed\n\nNo boundary.\n",
        HEAD.encode() + b"Content-Type: multipart/mixed; boundary=x\n\nNever begun.\n",
        HEAD.encode() + b"Content-Type: nonsense\n\nNever begun.\n",
        HEAD.encode() + b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nNever ended.\n",
    ],
)
def test_a_broken_mail_keeps_its_words(data: bytes) -> None:
    assert body(data).rstrip().endswith(("boundary.", "begun.", "ended."))


def test_a_mail_that_breaks_off_says_so() -> None:
    inner = whole([text(), attached(PDF)], boundary="in")
    data = whole([text(), attached(PDF), nested(inner), attached(PDF, "last.pdf")])
    assert read(data).warnings == ()
    last = data.index(b"last.pdf") + 60
    for at in (last, data.index(b"message/rfc822"), data.rindex(b"--=_b--")):
        (warning,) = read(data[:at]).warnings
        assert "truncated" in warning


def test_the_child_unpacks_as_this_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    few = "from shared.documents import child\nchild.UNPACKED_AT_ONCE = 1\n"
    monkeypatch.setattr(sandbox, "_START", start(few))
    data = whole(
        [text(), attached(PDF), attached(b"", "e"), attached(b"x\n", "x.txt"), nested(PDF)]
    )
    with Reader() as reader:
        assert list(reader.unpack(data, name="a.eml")) == parts(data)
        assert list(reader.unpack(mail("Nothing attached."))) == []
        with pytest.raises(DocumentTooLarge) as caught:
            list(Reader(Limits(max_parts=1)).unpack(data, name="many.eml"))
    assert caught.value.document == "many.eml"


_CRASHING = """
import signal
from shared.documents import unpacking
whole = unpacking.Contents._part
def part(self, index, name, left):
    if name == "crash.txt":
        signal.raise_signal(signal.SIGSEGV)
    return whole(self, index, name, left)
unpacking.Contents._part = part
"""


def test_a_part_that_ends_the_child_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_START", start(_CRASHING))
    names = ["a.txt", "crash.txt", "b.txt"]
    with Reader() as reader:
        results = list(reader.unpack(whole([attached(b"x\n", name) for name in names])))
    assert [(item.name, getattr(item, "code", "")) for item in results] == [
        ("a.txt", ""),
        ("crash.txt", "crashed"),
        ("b.txt", ""),
    ]
