"""Mails as files (EML): headers, text and attachments.

RFC 5322 and MIME (RFC 2045 to 2049, 2231, 3676), tolerant of broken mails. A mail within a mail is
extracted byte for byte, so it is the same document as the mail itself.
"""

from __future__ import annotations

import binascii
import codecs
import email.policy
import io
import mimetypes
import re
from dataclasses import dataclass
from email.errors import CloseBoundaryNotFoundDefect, HeaderParseError, StartBoundaryNotFoundDefect
from email.generator import BytesGenerator
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from typing import Any, TypeAlias

from shared.documents.model.parsed_document import Limits
from shared.documents.office.html import read_html
from shared.documents.sniffing import safe_name
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    NestedTooDeep,
    NoTextLayer,
    UnreadableDocument,
)

SHOWN = ("From", "To", "Cc", "Date", "Subject")
"""The headers that are part of a mail's text, in this order."""
DECORATION = 50_000
"""Bytes up to which a picture that the HTML shows inline is a logo, not a document."""

_READ_AS_TEXT = ("text/plain", "text/html", "text/rfc822-headers")
_SIGNATURES = (
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
)
_SEALED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_CHARSETS = {
    "ascii": "utf-8",
    "us-ascii": "utf-8",
    "iso-8859-1": "cp1252",  # as browsers do: text declared as Latin-1 is often Windows-1252
    "latin-1": "cp1252",
    "iso-8859-8-i": "iso-8859-8",
    "unicode-1-1-utf-7": "utf-7",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
}
_BROKEN_OFF = (CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect)
_INLINE_ID = re.compile(r"cid:([^\s\"'>)]+)", re.IGNORECASE)
_QUOTED = re.compile(r">*")

_Message: TypeAlias = "Message[str, Any]"


@dataclass(frozen=True)
class Piece:
    """A piece of the text of a mail."""

    text: str
    html: bool = False


@dataclass(frozen=True)
class _Attached:
    name: str
    message: _Message


class Mail:
    """An open mail, nested in `depth` mails and archives: a `Container`.

    Raises NestedTooDeep, or DocumentTooLarge for too many parts.
    """

    def __init__(self, data: bytes, limits: Limits, depth: int = 0) -> None:
        self.warnings: list[str] = []
        self._limits = limits
        self._line_end = "\r\n" if b"\r\n" in data[:10_000] else "\n"
        self._deepest = limits.max_depth - depth - 1
        self._attached: list[_Attached] = []
        self._inline_ids: set[str] = set()
        try:
            message = BytesParser(policy=email.policy.compat32).parsebytes(data)
            pieces = self._pieces(message)
        except RecursionError:
            raise NestedTooDeep(
                "the parts of the mail are nested too deeply: save the parts you need separately"
            ) from None
        self._leave_decoration()
        if _breaks_off(message):
            self.warnings.append(
                "the mail is truncated, or lacks its end mark: attachments may be incomplete"
                " or missing"
            )
        if len(self._attached) > limits.max_parts:
            raise DocumentTooLarge(
                f"the mail has {len(self._attached):,} attachments: the limit is "
                f"{limits.max_parts:,} (setting SMALLPRINT_INGEST_MAX_PARTS)"
            )
        self.names = [attached.name for attached in self._attached]
        self.text: str | None = head({name: _values(message, name) for name in SHOWN}) + self._body(
            pieces
        )

    def part(self, index: int, most: int) -> bytes:
        message = self._attached[index].message
        if message.get_content_type() in _SEALED:
            raise EncryptedDocument(
                "it is encrypted or sealed for its receiver (PGP, S/MIME): save its content with "
                "your mail program, and upload that"
            )
        is_mail = message.get_content_type() == "message/rfc822"
        data = self._mail_within(message) if is_mail else _payload(message)
        if not data.strip():
            raise EmptyDocument("the attachment has no bytes")
        if len(data) > most:
            raise DocumentTooLarge(f"the attachment has {len(data):,} bytes: the limit is {most:,}")
        return data

    def _mail_within(self, message: _Message) -> bytes:
        """Return a mail in this mail, as it was sent."""
        depth = depth_of(message)
        if depth > self._deepest:
            raise NestedTooDeep(
                f"mails are nested {depth:,} deep here: at most {self._deepest:,} levels are "
                "opened (setting SMALLPRINT_INGEST_MAX_DEPTH)"
            )
        if not message.is_multipart():
            return _payload(message)
        inner = _flat(_children(message)[0], self._line_end)
        coding = str(message.get("content-transfer-encoding", "")).strip().lower()
        return _of_base64(inner) if coding == "base64" else inner

    def _body(self, pieces: list[Piece]) -> str:
        texts = [self._of_html(piece.text) if piece.html else piece.text for piece in pieces]
        body = "\n\n".join(text.strip("\n") for text in texts if text.strip())
        return f"\n{body}\n" if body else ""

    def _of_html(self, html: str) -> str:
        """Return HTML as a mail program shows it; empty if it has only pictures."""
        try:
            reading = read_html(codecs.BOM_UTF8 + html.encode(), self._limits)
        except (EmptyDocument, NoTextLayer):
            return ""
        self.warnings += reading.warnings
        return reading.text

    def _pieces(self, part: _Message, *, is_alternative: bool = False) -> list[Piece]:
        """Return the texts that are shown in sequence; record attachments on the way."""
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            return _plainest(
                [self._pieces(child, is_alternative=True) for child in _children(part)]
            )
        if kind not in (*_SEALED, "message/rfc822") and part.is_multipart():
            if kind.startswith("message/"):  # a report of delivery: blocks of headers
                blocks = [
                    _flat(child, "\n").decode("utf-8", "replace") for child in _children(part)
                ]
                return [Piece("\n".join(blocks))]
            return [piece for child in _children(part) for piece in self._pieces(child)]
        is_text = kind in _READ_AS_TEXT or kind.startswith("multipart/")  # without parts
        if is_text and kind not in _SEALED and not _is_file(part):
            text = self._own_text(part)
            if kind == "text/html":
                self._inline_ids.update(_INLINE_ID.findall(text))
            return [Piece(text, html=kind == "text/html")]
        is_other_form = is_alternative and kind.startswith("text/")  # such as a calendar
        if kind not in _SIGNATURES and not is_other_form:
            self._attached.append(_Attached(self._name(part), part))
        return []

    def _own_text(self, part: _Message) -> str:
        charset = str(part.get_content_charset() or "")
        text, is_sure = to_text(_payload(part), charset)
        if not is_sure:
            named = charset or "UTF-8"
            self.warnings.append(
                f"the mail's text is not in {named} as declared: some characters may be wrong"
            )
        if str(part.get_param("format", "")).lower() == "flowed":
            return unflowed(text, delete_spaces=str(part.get_param("delsp", "")).lower() == "yes")
        return text

    def _name(self, part: _Message) -> str:
        default = f"part {len(self._attached) + 1}"
        if name := _file_name(part):
            return safe_name(name, default=default)
        kind = part.get_content_type()
        if kind == "message/rfc822":
            subject = " ".join(v for child in _children(part) for v in _values(child, "Subject"))
            return safe_name(f"{safe_name(subject, default=default)[:150]}.eml")
        return default + (mimetypes.guess_extension(kind) or "")

    def _leave_decoration(self) -> None:
        """Remove small inline pictures, such as logos, from the attachments."""
        decoration = [
            attached
            for attached in self._attached
            if _is_decoration(attached.message, self._inline_ids)
        ]
        if decoration:
            self._attached = [attached for attached in self._attached if attached not in decoration]
            names = ", ".join(attached.name for attached in decoration[:5])
            self.warnings.append(
                f"{len(decoration)} small pictures within the text of the mail are not "
                f"documents: {names}"
            )


def _breaks_off(message: _Message) -> bool:
    """Whether the end of a multipart is missing."""
    parts = [message]
    while parts:
        part = parts.pop()
        if any(isinstance(defect, _BROKEN_OFF) for defect in part.defects):
            return True
        if part.is_multipart():
            parts += _children(part)
    return False


def head(headers: dict[str, list[str]]) -> str:
    """Return the headers as lines of text, without empty ones."""
    lines = [(name, ", ".join(v for v in values if v)) for name, values in headers.items()]
    return "".join(f"{name}: {value}\n" for name, value in lines if value)


def to_text(data: bytes, charset: str) -> tuple[str, bool]:
    """Decode bytes with plain line ends; also return whether the declared charset was right.

    An unknown or wrong charset is replaced by UTF-8 if that fits, else by Windows-1252.
    """
    declared = _CHARSETS.get(charset.lower(), charset) or "utf-8"
    for name in (declared, "utf-8"):
        try:
            text = codecs.lookup(name) and data.decode(name)
        except (LookupError, ValueError, TypeError):
            continue
        return storable(text), name == declared
    return storable(data.decode("cp1252", "replace")), declared == "cp1252"


def decoded(value: str) -> str:
    """Return a header's value on one line, with encoded words (RFC 2047) and raw bytes decoded."""
    value = _from_bytes(value)
    try:
        pieces = decode_header(value)
    except (HeaderParseError, binascii.Error, ValueError):
        pieces = [(value, None)]
    words = []
    for text, charset in pieces:
        if isinstance(text, bytes):
            text = to_text(text, charset or "")[0] if charset else text.decode("raw-unicode-escape")
        words.append(text)
    return " ".join(storable("".join(words)).split())


def unflowed(text: str, *, delete_spaces: bool = False) -> str:
    """Return the paragraphs of `format=flowed` text (RFC 3676), each on one line."""
    lines: list[str] = []
    open_depth: int | None = None
    for line in text.split("\n"):
        depth = len(_QUOTED.match(line)[0])  # type: ignore[index]  # it matches always
        content = line[depth:].removeprefix(" ")
        if open_depth == depth and content != "-- ":
            lines[-1] += content
        else:
            lines.append(f"{'>' * depth}{' ' if depth and content else ''}{content}")
        flows = content.endswith(" ") and content != "-- "
        open_depth = depth if flows else None
        if flows and delete_spaces:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


def _plainest(choices: list[list[Piece]]) -> list[Piece]:
    """Return the first alternative that is plain text, else the last that has any."""
    for pieces in choices:
        if any(piece.text.strip() and not piece.html for piece in pieces):
            return pieces
    filled = [pieces for pieces in choices if any(piece.text.strip() for piece in pieces)]
    return filled[-1] if filled else []


def _children(part: _Message) -> list[_Message]:
    payload: Any = part.get_payload() if part.is_multipart() else []
    return list(payload)


def depth_of(part: _Message) -> int:
    """Return how deep mails are nested: 1 for a mail without another."""
    deepest, waiting = 0, [(part, 0)]
    while waiting:
        message_part, depth = waiting.pop()
        depth += message_part.get_content_type() == "message/rfc822"
        deepest = max(deepest, depth)
        waiting += [(child, depth) for child in _children(message_part)]
    return deepest


def _is_file(part: _Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_file_name(part))


def _is_decoration(part: _Message, shown: set[str]) -> bool:
    own = str(part.get("content-id", "")).strip().strip("<>")
    is_picture = part.get_content_maintype() == "image"
    return is_picture and own in shown and len(_payload(part)) <= DECORATION


def _file_name(part: _Message) -> str:
    """Return the name of `Content-Disposition` or `Content-Type`, in any encoding."""
    for name in ("content-disposition", "content-type"):
        for raw in _raw(part, name):
            if _has_bytes(raw):
                part.replace_header(name, _from_bytes(raw))
    value = part.get_param("filename", "", "content-disposition") or part.get_param("name", "")
    if isinstance(value, tuple):  # RFC 2231: character set, language, and bytes as characters
        return decoded(to_text(value[2].encode("raw-unicode-escape"), value[0] or "")[0])
    return decoded(value or "")


def _payload(part: _Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _flat(message: _Message, line_end: str) -> bytes:
    """Return a part with its headers, as it is in the mail."""
    out = io.BytesIO()
    policy = email.policy.compat32.clone(linesep=line_end, max_line_length=None)
    try:
        BytesGenerator(out, mangle_from_=False, policy=policy).flatten(message)
    except (LookupError, ValueError, TypeError) as error:
        raise UnreadableDocument(f"it can't be taken out of the mail: {error}") from None
    return out.getvalue()


def _of_base64(data: bytes) -> bytes:
    """Decode a mail that was encoded against the rules."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        return data


def _values(message: _Message, name: str) -> list[str]:
    return [decoded(value) for value in _raw(message, name)]


def _raw(message: _Message, name: str) -> list[str]:
    """Return a header's raw values; non-ASCII bytes are lone surrogates."""
    return [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]


def _has_bytes(value: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in value)


def _from_bytes(value: str) -> str:
    """Decode raw bytes of a header with the likeliest encoding."""
    if not _has_bytes(value):
        return value
    return to_text(value.encode("utf-8", "surrogateescape"), "utf-8")[0]


_LINE_ENDS = str.maketrans("\r\f\v", "\n\n\n", "\0")


def storable(text: str) -> str:
    r"""Normalise line ends to `\n`, and remove NUL and lone surrogates.

    Form feeds and vertical tabs are line ends too.
    """
    text = text.replace("\r\n", "\n").translate(_LINE_ENDS)
    return text.encode("utf-8", "replace").decode()
