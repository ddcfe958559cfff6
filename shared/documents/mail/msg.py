"""Mails saved by Outlook (MSG), converted to the internet mail (EML) that they contain.

The format is MS-OXMSG in a compound file (MS-CFB). Message, recipients and attachments have a
storage each, with a stream for each long property and a table of the short ones. An attached
message has no file; it is written as EML, with the same bytes every time.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.encoders import encode_base64
from email.header import Header
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.parser import HeaderParser
from email.utils import format_datetime
from functools import cached_property
from typing import Any, TypeAlias

import olefile

from shared.documents.mail.eml import SHOWN, Mail, decoded, depth_of, storable, to_text
from shared.documents.model.parsed_document import Limits
from shared.documents.sniffing import safe_name
from shared.errors import NestedTooDeep, UnreadableDocument, UnsupportedType

_Message: TypeAlias = "Message[str, Any]"

_CLASS, _SUBJECT, _BODY, _HTML, _RTF = 0x001A, 0x0037, 0x1000, 0x1013, 0x1009
_HEADERS, _SENT, _DELIVERED = 0x007D, 0x0039, 0x0E06
_SENDER, _SENDER_ADDRESS, _SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
_DISPLAYED = {"To": 0x0E04, "Cc": 0x0E03}
_NAME, _ADDRESS, _SMTP, _RECIPIENT_TYPE = 0x3001, 0x3003, 0x39FE, 0x0C15
_METHOD, _LONG_NAME, _SHORT_NAME = 0x3705, 0x3707, 0x3704
_MIME_TYPE, _CONTENT_ID, _LONG_PATH, _PATH = 0x370E, 0x3712, 0x370D, 0x3708
_DATA = "__substg1.0_37010102"
_EMBEDDED = "__substg1.0_3701000d"
_BODY_CODEPAGE, _STRING_CODEPAGE = 0x3FDE, 0x3FFD
_BY_VALUE, _EMBEDDED_MESSAGE, _OBJECT = 1, 5, 6
_RECIPIENTS = {1: "To", 2: "Cc"}
_OF_MESSAGE, _OF_EMBEDDED, _OF_PART = 32, 24, 8
"""Bytes before the table of short properties in each kind of storage."""
_CODEPAGES = {
    65001: "utf-8", 20127: "ascii", 28591: "cp1252", 28605: "iso-8859-15", 20932: "euc-jp",
}  # fmt: skip
_RTF_NOT_READ = (
    "the mail's text is rich text (RTF), which is not supported: only the headers are read"
)


class OutlookMail:
    """An open Outlook mail, nested in `depth` mails and archives: a `Container`.

    Raises UnreadableDocument if it is damaged, or not a mail, and the errors of `Mail`.
    """

    def __init__(self, data: bytes, limits: Limits, depth: int = 0) -> None:
        self._missing: list[tuple[str, str]] = []
        try:
            item = _Item(olefile.OleFileIO(io.BytesIO(data)), (), _OF_MESSAGE)
            eml = _as_mail(item, self._missing).as_bytes()
            has_only_rtf = not item.text(_BODY) and not item.html() and bool(item.binary(_RTF))
        except RecursionError:
            raise NestedTooDeep(
                "the mails are nested too deeply: save the mails you need separately"
            ) from None
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a broken compound file makes olefile raise anything
            raise UnreadableDocument(f"the mail is damaged: {error}") from None
        self._mail = Mail(eml, limits, depth)
        self.text = self._mail.text
        self.names = self._mail.names + [name for name, _ in self._missing]
        self.warnings = list(self._mail.warnings)
        if has_only_rtf:
            self.warnings.append(_RTF_NOT_READ)

    def part(self, index: int, most: int) -> bytes:
        count = len(self._mail.names)
        if index < count:
            return self._mail.part(index, most)
        raise UnsupportedType(self._missing[index - count][1])


class _Item:
    """A message, recipient or attachment: one storage with its properties."""

    def __init__(self, file: olefile.OleFileIO, path: tuple[str, ...], header: int) -> None:
        self._file = file
        self._path = path
        self._header = header

    @cached_property
    def _short(self) -> Mapping[int, bytes]:
        """Properties of at most eight bytes, by id."""
        table = self.stream("__properties_version1.0")[self._header :]
        rows = (table[at : at + 16] for at in range(0, len(table) - 15, 16))
        return {int.from_bytes(row[2:4], "little"): row[8:16] for row in rows}

    def stream(self, name: str) -> bytes:
        """Return the bytes of a stream; empty if it is missing."""
        path = [*self._path, name]
        if not self._file.exists(path) or self._file.get_type(path) != olefile.STGTY_STREAM:
            return b""
        with self._file.openstream(path) as stream:
            return bytes(stream.read())

    def number(self, prop: int) -> int | None:
        """Return a property of four bytes."""
        value = self._short.get(prop)
        return None if value is None else int.from_bytes(value[:4], "little", signed=True)

    def moment(self, prop: int) -> datetime | None:
        ticks = int.from_bytes(self._short.get(prop, b""), "little")
        try:
            start = datetime(1601, 1, 1, tzinfo=UTC)
            return start + timedelta(microseconds=ticks // 10) if ticks else None
        except OverflowError:
            return None

    def text(self, prop: int) -> str:
        """Return a string, stored as UTF-16 or in a code page."""
        wide = self.stream(f"__substg1.0_{prop:04X}001F")
        if wide:
            return storable(wide.decode("utf-16-le", "replace"))
        narrow = self.stream(f"__substg1.0_{prop:04X}001E")
        code = _BODY_CODEPAGE if prop == _BODY else _STRING_CODEPAGE
        return to_text(narrow, self._charset(code))[0] if narrow else ""

    def html(self) -> str:
        data = self.binary(_HTML)
        return to_text(data, self._charset(_BODY_CODEPAGE))[0] if data else self.text(_HTML)

    def binary(self, prop: int) -> bytes:
        return self.stream(f"__substg1.0_{prop:04X}0102")

    def below(self, prefix: str, header: int = _OF_PART) -> Iterator[_Item]:
        """Yield the child storages whose names have this prefix, in order."""
        deep = len(self._path)
        entries = self._file.listdir(streams=False, storages=True)
        paths = {
            tuple(entry)
            for entry in entries
            if len(entry) == deep + 1
            and tuple(entry[:deep]) == self._path
            and entry[deep].lower().startswith(prefix)
        }
        for path in sorted(paths):
            yield _Item(self._file, path, header)

    def _charset(self, prop: int) -> str:
        pages = (self.number(name) for name in (prop, _STRING_CODEPAGE, _BODY_CODEPAGE))
        code = next((number for number in pages if number), 1252)
        return _CODEPAGES.get(code, f"cp{code}")


def _as_mail(item: _Item, missing: list[tuple[str, str]]) -> _Message:
    """Convert a message to EML; `missing` receives parts that can't be extracted, and why."""
    parts = list(_parts(item, missing))
    signed = [part for part in parts if part.get_content_type() == "multipart/signed"]
    if len(parts) == 1 and signed:  # the attachment is the mail as it was sent
        message = signed[0]
    else:
        height = max(map(depth_of, parts), default=0)
        boundary = _boundary(item, height)
        message = MIMEMultipart(boundary=boundary, _subparts=[*_body(item, boundary), *parts])
    headers = _headers(item)
    for name in SHOWN:
        if headers.get(name):
            message[name] = Header(headers[name], "utf-8", maxlinelen=10_000)
    return message


def _boundary(item: _Item, height: int) -> str:
    """Return a boundary that is stable, unlikely in texts, and different in nested messages."""
    words = repr((height, item.text(_SUBJECT), item.text(_BODY)))
    return f"=_{hashlib.sha256(words.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _headers(item: _Item) -> dict[str, str]:
    """Return the transport headers; where missing, Outlook's properties."""
    sent = HeaderParser().parsestr(item.text(_HEADERS))
    headers = {name: ", ".join(decoded(v) for v in sent.get_all(name, [])) for name in SHOWN}
    address = item.text(_SENDER_SMTP) or item.text(_SENDER_ADDRESS)
    recipients = list(_recipients(item))
    stored = {
        "From": _person(item.text(_SENDER), address),
        "Subject": item.text(_SUBJECT),
        **{
            name: ", ".join(person for kind, person in recipients if kind == name)
            or item.text(prop)
            for name, prop in _DISPLAYED.items()
        },
    }
    if moment := item.moment(_SENT) or item.moment(_DELIVERED):
        stored["Date"] = format_datetime(moment)
    return {name: headers.get(name) or " ".join(stored.get(name, "").split()) for name in SHOWN}


def _recipients(item: _Item) -> Iterator[tuple[str, str]]:
    for recipient in item.below("__recip_version1.0_"):
        kind = _RECIPIENTS.get(recipient.number(_RECIPIENT_TYPE) or 0)
        person = _person(recipient.text(_NAME), recipient.text(_SMTP) or recipient.text(_ADDRESS))
        if kind and person:
            yield kind, person


def _person(name: str, address: str) -> str:
    """Return name and address, without Exchange's internal addresses."""
    name, address = name.strip(" '\""), address.strip()
    if "@" not in address:
        return name
    return address if name in ("", address) else f"{name} <{address}>"


def _body(item: _Item, boundary: str) -> list[_Message]:
    plain, html = item.text(_BODY), item.html()
    forms: list[_Message] = []
    if plain:
        forms.append(MIMEText(plain.replace("\r\n", "\n"), "plain", "utf-8"))
    if html:
        forms.append(MIMEText(html, "html", "utf-8"))
    return [MIMEMultipart("alternative", f"{boundary}a", forms)] if len(forms) > 1 else forms


def _parts(item: _Item, missing: list[tuple[str, str]]) -> Iterator[_Message]:
    for number, attachment in enumerate(item.below("__attach_version1.0_"), 1):
        name = attachment.text(_LONG_NAME) or attachment.text(_SHORT_NAME) or attachment.text(_NAME)
        label = safe_name(name, default=f"part {number}")
        method = attachment.number(_METHOD)
        if method == _EMBEDDED_MESSAGE:
            for embedded in attachment.below(_EMBEDDED, _OF_EMBEDDED):
                yield _named(MIMEMessage(_as_mail(embedded, missing)), _of_mail(name, embedded))
        elif method == _OBJECT:
            missing.append((label, "it is an embedded object of another program, not a file"))
        elif method not in (_BY_VALUE, None, 0):
            where = attachment.text(_LONG_PATH) or attachment.text(_PATH)
            missing.append((label, f"the mail has only a link to this file: {where[:200]}"))
        else:
            yield _file(attachment, label)


def _file(item: _Item, name: str) -> _Message:
    data = item.stream(_DATA)
    kind = item.text(_MIME_TYPE).strip().lower()
    if kind == "multipart/signed":
        return message_from_bytes(data)
    main, slash, sub = kind.partition("/")
    is_plain = (
        main.isalpha() and slash and sub.isprintable() and main not in ("multipart", "message")
    )
    part = MIMEBase(*((main, sub) if is_plain else ("application", "octet-stream")))
    part.set_payload(data)
    encode_base64(part)
    if content_id := item.text(_CONTENT_ID):
        part["Content-ID"] = f"<{' '.join(content_id.split())}>"
    return _named(part, name)


def _named(part: _Message, name: str) -> _Message:
    part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name))
    return part


def _of_mail(name: str, item: _Item) -> str:
    """Return a file name for an attached message, from its subject."""
    stem = safe_name(name or item.text(_SUBJECT), default="mail")[:150]
    return stem if stem.lower().endswith(".eml") else f"{stem.removesuffix('.msg')}.eml"
