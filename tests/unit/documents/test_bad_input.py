"""Bad documents: each ends in a reading whose ledger adds up or in the error that says why."""

from __future__ import annotations

import io
import re

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from shared.documents import Limits, decrypt, read, render
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    UnreadableDocument,
    UnsupportedType,
)
from tests.data.documents.make import Pdf, show
from tests.unit.documents import samples
from tests.unit.documents.ends import outcome
from tests.unit.documents.samples import PASSWORD, sample

CUT_EVERY = 64
ENCRYPTED = ["encrypted_rc4_128", "encrypted_aes_256"]


@pytest.mark.parametrize("name", ["headers_and_footers", "some_images", "encrypted_aes_256"])
def test_a_document_cut_off_anywhere_is_read_or_refused(name: str) -> None:
    whole = sample(name)
    outcomes = [
        outcome(whole[:length], "cut.pdf", password=PASSWORD)
        for length in range(0, len(whole), CUT_EVERY)
    ]
    assert set(outcomes) <= {"read", "partial", "refused"}
    assert "refused" in outcomes


@pytest.mark.parametrize("name", ENCRYPTED)
def test_an_encrypted_document_asks_for_its_password(name: str) -> None:
    data = sample(name)
    for password, says in ((None, "encrypted: give its password"), ("open barley", "wrong")):
        with pytest.raises(EncryptedDocument, match=says) as caught:
            read(data, password=password)
        assert "-F password=" in caught.value.message
        assert "SMALLPRINT_PASSWORD" in caught.value.message
    assert read(data, password=PASSWORD).text == read(sample("hyphens")).text


@pytest.mark.parametrize("name", ENCRYPTED)
def test_an_encrypted_document_is_decrypted_and_shown(name: str) -> None:
    plain = decrypt(sample(name), password=PASSWORD)
    assert read(plain).text == read(sample("hyphens")).text
    assert render(sample(name), 1, password=PASSWORD).startswith(b"\x89PNG")
    with pytest.raises(EncryptedDocument):
        decrypt(sample(name))


def test_an_open_document_ignores_a_password() -> None:
    assert read(sample("hyphens"), password="anything").text == read(sample("hyphens")).text
    assert decrypt(sample("hyphens")) == sample("hyphens")


def test_a_document_without_pages_is_empty() -> None:
    with pytest.raises(EmptyDocument, match="no pages"):
        read(samples.no_pages())


def test_limits_are_kept() -> None:
    data = samples.plain(5)
    with pytest.raises(DocumentTooLarge, match="the limit is 100"):
        read(data, limits=Limits(max_bytes=100))
    with pytest.raises(DocumentTooLarge, match="5 pages: the limit is 4"):
        read(data, limits=Limits(max_pages=4))
    with pytest.raises(DocumentTooLarge, match="more than 50 characters"):
        read(data, limits=Limits(max_text=50))
    with pytest.raises(DocumentTooLarge, match="the limit is 3"):
        read(b"text", limits=Limits(max_plain_text=3))
    assert read(b"text", limits=Limits(max_text=3)).text == "text"


def test_a_page_count_that_is_a_lie_is_no_trouble() -> None:
    data = samples.plain(2).replace(b"/Count 2", b"/Count 999999999")
    reading = read(data)
    assert [page.number for page in reading.pages] == [1, 2]


def test_a_broken_table_of_objects_is_repaired() -> None:
    reading = read(samples.broken_xref())
    assert reading.page_count == 3
    assert "page 3." in reading.text


def test_pages_that_one_engine_does_not_see_are_read_by_the_other() -> None:
    reading = read(samples.plain(2).replace(b"\n2 0 obj", b"\n0 0 obj"))
    assert reading.text.split("\n\n") == [
        "The parties agree on page 1.",
        "",
        "The parties agree on page 2.",
        "",
    ]
    assert [page.method for page in reading.pages] == ["pypdf", "pypdf"]


def test_a_missing_page_is_in_the_ledger() -> None:
    data = samples.plain(3)
    broken = data.replace(b"/Type /Page /Parent", b"/Type /Pages/Parent", 1)
    assert broken != data
    reading = read(broken)
    assert reading.page_count == 3
    assert "page 3." in reading.text


@pytest.mark.parametrize("name", ["deeply_nested", "recursive_tree"])
def test_endless_structures_end(name: str) -> None:
    assert outcome(getattr(samples, name)(), "deep.pdf") in ("read", "refused")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"%PDF-1.7\n", UnreadableDocument),
        (b"%PDF-1.7\n" + b"\0" * 5000, UnreadableDocument),
        (b"%PDF-1.7\n" + b"obj << /Type" * 500, UnreadableDocument),
        (b"\0\1\2\3" * 100, UnreadableDocument),
        (b"PK\3\4" + b"%PDF-", UnreadableDocument),
    ],
)
def test_rubbish_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(data, name="rubbish.pdf")


def acting(*entries: bytes, page: str = "") -> bytes:
    """A PDF with a line of text, and these entries in its catalog and on its page."""
    pdf = Pdf()
    pdf.page(show("A line.", 72, 700), entries=page)
    pdf.objects[0] = pdf.objects[0].replace(b" >>", b" " + b" ".join(entries) + b" >>")
    return pdf.build()


SCRIPT = "<< /S /JavaScript /JS (app.alert(1)) >>"
LAUNCH = "<< /S /Launch /F (calc.exe) >>"


@pytest.mark.parametrize(
    ("data", "warnings"),
    [
        (acting(f"/OpenAction {SCRIPT}".encode()), ["JavaScript in it: not run"]),
        (acting(b"/Names << /JavaScript << /Names [] >> >>"), ["JavaScript in it: not run"]),
        (
            acting(page=f"/AA << /O << /S /GoTo /Next [{SCRIPT} {LAUNCH}] >> >>"),
            [
                "JavaScript in it: not run",
                "an action in it that starts a program or opens a file: not followed",
            ],
        ),
        (
            acting(page=f"/Annots [<< /Subtype /Link /A {LAUNCH} >> null 7]"),
            ["an action in it that starts a program or opens a file: not followed"],
        ),
        (acting(b"/OpenAction [6 0 R /Fit]", page="/Annots [<< /A << /S /URI >> >>]"), []),
        (acting(b"/OpenAction 1 0 R", b"/AA << /WC 1 0 R >>", page="/Annots 1 0 R /AA 9"), []),
    ],
)
def test_actions_are_named_and_never_done(data: bytes, warnings: list[str]) -> None:
    reading = read(data)
    assert (reading.text, list(reading.warnings)) == ("A line.", warnings)


def test_only_a_pdf_is_drawn() -> None:
    with pytest.raises(UnsupportedType):
        render(b"A text.", 1)


def test_what_must_not_be_in_a_text_is_not() -> None:
    reading = read(samples.odd_characters())
    assert "\0" not in reading.text
    reading.text.encode()
    assert reading.text.startswith("A")
    assert reading.text.endswith("B")


def test_time_is_limited() -> None:
    with pytest.raises(UnreadableDocument, match="time limit for this document was reached"):
        read(samples.plain(3), limits=Limits(seconds=0.0))


def test_a_page_to_be_skipped_is_in_the_ledger() -> None:
    reading = read(samples.plain(3), skip=[2])
    assert [page.code for page in reading.failed] == ["crashed"]
    assert "page 2" not in reading.text


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("engine", ["pypdfium2", "pypdf"])
def test_an_empty_page_is_read_by_either_engine(engine: str) -> None:
    reading = read(sample("some_images"), engines=(engine,))
    assert [page.number for page in reading.pages] == [1, 3, 4]
    assert [(page.number, page.code) for page in reading.failed] == [(2, "no_text_layer")]


@pytest.mark.parametrize(
    ("damaged", "failed", "warned"),
    [
        (None, [], False),
        (("page", 0.0), [1], False),
        (("page", 0.6), [], True),
        (("font", 0.5), [], True),
    ],
)
def test_damaged_data_of_a_page_is_reported(
    damaged: tuple[str, float] | None, failed: list[int], warned: bool
) -> None:
    document = read(two_pages(damaged), name="a.pdf")
    assert [page.number for page in document.failed] == failed
    assert any("damaged: text may be missing" in one for one in document.warnings) is warned
    assert "second page" in document.text


def two_pages(damaged: tuple[str, float] | None) -> bytes:
    """Two pages with compressed data; from a share on, that of the first or of the font is not."""
    out = io.BytesIO()
    canvas = Canvas(out, pageCompression=1)
    pdfmetrics.registerFont(TTFont("Vera", "Vera.ttf"))
    for page in ("first", "second"):
        canvas.setFont("Vera", 10)
        for line in range(40):
            canvas.drawString(72, 760 - 15 * line, f"Line {line * 7919} of the {page} page.")
        canvas.showPage()
    canvas.save()
    data = bytearray(out.getvalue())
    if damaged:
        what, share = damaged
        streams = [
            found.span(1) for found in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.S)
        ]
        longest = max(streams, key=lambda span: span[1] - span[0])
        start, end = longest if what == "font" else streams[-2]
        start += int((end - start) * share)
        data[start : start + 60] = b"0" * 60
    return bytes(data)
