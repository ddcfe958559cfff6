"""Mails as files (EML): the headers that people read and the text, and what is attached.

RFC 5322 and MIME (RFC 2045 to 2049, 2231, 3676) as mails really are: what breaks the rules is read
as far as it goes. A mail in a mail comes out byte for byte as it was sent, so that it is the same
document as the mail itself.
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

from shared.documents.reading import Limits
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
"""Bytes up to which a picture that the mail's HTML shows in place is no document: a logo."""

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
    "iso-8859-1": "cp1252",  # as browsers do: what says Latin-1 is often Windows' larger set
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
_SHOWN_IN_PLACE = re.compile(r"cid:([^\s\"'>)]+)", re.IGNORECASE)
_QUOTED = re.compile(r">*")

_Message: TypeAlias = "Message[str, Any]"


@dataclass(frozen=True)
class Piece:
    """A piece of a mail's own text."""

    text: str
    html: bool = False


@dataclass(frozen=True)
class _Attached:
    name: str
    message: _Message


class Mail:
    """One mail, opened: a `Container`.

    Args:
        data: the file.
        limits: how many parts it may have, how deep mails may lie in one another, how long its
            text may be.
        depth: how many mails and archives it lies in itself.

    Raises:
        NestedTooDeep: its parts lie in one another without end.
        DocumentTooLarge: it has more parts than that.
    """

    def __init__(self, data: bytes, limits: Limits, depth: int = 0) -> None:
        self.warnings: list[str] = []
        self._limits = limits
        self._line_end = "\r\n" if b"\r\n" in data[:10_000] else "\n"
        self._deepest = limits.max_depth - depth - 1
        self._attached: list[_Attached] = []
        self._shown_in_place: set[str] = set()
        try:
            message = BytesParser(policy=email.policy.compat32).parsebytes(data)
            pieces = self._pieces(message)
        except RecursionError:
            raise NestedTooDeep(
                "the mail has parts in parts without end: save what you need of it by itself"
            ) from None
        self._leave_decoration()
        if _breaks_off(message):
            self.warnings.append(
                "the mail breaks off, or has lost the mark of its end: what is attached may be cut"
                " or missing"
            )
        if len(self._attached) > limits.max_parts:
            raise DocumentTooLarge(
                f"the mail has {len(self._attached):,} attachments: at most {limits.max_parts:,} "
                "are taken (setting SMALLPRINT_INGEST_MAX_PARTS)"
            )
        self.names = [attached.name for attached in self._attached]
        self.text: str | None = head({name: _values(message, name) for name in SHOWN}) + self._body(
            pieces
        )

    def part(self, index: int, most: int) -> bytes:
        """See `Container.part`."""
        message = self._attached[index].message
        if message.get_content_type() in _SEALED:
            raise EncryptedDocument(
                "it is encrypted or sealed for its receiver (PGP, S/MIME): save what is in it with "
                "your mail program, and upload that"
            )
        is_mail = message.get_content_type() == "message/rfc822"
        data = self._mail_within(message) if is_mail else _payload(message)
        if not data.strip():
            raise EmptyDocument("the attachment has no bytes")
        if len(data) > most:
            raise DocumentTooLarge(
                f"the attachment has {len(data):,} bytes: at most {most:,} are read"
            )
        return data

    def _mail_within(self, message: _Message) -> bytes:
        """A mail in this mail, as it was sent."""
        depth = depth_of(message)
        if depth > self._deepest:
            raise NestedTooDeep(
                f"mails lie {depth:,} deep in one another here: at most {self._deepest:,} deep are "
                "opened (setting SMALLPRINT_INGEST_MAX_DEPTH)"
            )
        if not message.is_multipart():
            return _payload(message)
        inner = _flat(_children(message)[0], self._line_end)
        coding = str(message.get("content-transfer-encoding", "")).strip().lower()
        return _of_base64(inner) if coding == "base64" else inner

    def _body(self, pieces: list[Piece]) -> str:
        texts = [self._of_html(one.text) if one.html else one.text for one in pieces]
        body = "\n\n".join(text.strip("\n") for text in texts if text.strip())
        return f"\n{body}\n" if body else ""

    def _of_html(self, html: str) -> str:
        """What a mail program shows of it; nothing where it shows pictures alone."""
        from shared.documents.html import read_html  # loaded with the first of them

        try:
            reading = read_html(codecs.BOM_UTF8 + html.encode(), self._limits)
        except (EmptyDocument, NoTextLayer):
            return ""
        self.warnings += reading.warnings
        return reading.text

    def _pieces(self, part: _Message, *, is_alternative: bool = False) -> list[Piece]:
        """The texts that are shown one after the other; what is attached is noted on the way."""
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            return _plainest([self._pieces(one, is_alternative=True) for one in _children(part)])
        if kind not in (*_SEALED, "message/rfc822") and part.is_multipart():
            if kind.startswith("message/"):  # a report of delivery: blocks of headers
                blocks = [_flat(one, "\n").decode("utf-8", "replace") for one in _children(part)]
                return [Piece("\n".join(blocks))]
            return [piece for one in _children(part) for piece in self._pieces(one)]
        is_text = kind in _READ_AS_TEXT or kind.startswith("multipart/")  # one without its parts
        if is_text and kind not in _SEALED and not _is_file(part):
            text = self._own_text(part)
            if kind == "text/html":
                self._shown_in_place.update(_SHOWN_IN_PLACE.findall(text))
            return [Piece(text, html=kind == "text/html")]
        is_other_form = is_alternative and kind.startswith("text/")  # of the same text: a calendar
        if kind not in _SIGNATURES and not is_other_form:
            self._attached.append(_Attached(self._name(part), part))
        return []

    def _own_text(self, part: _Message) -> str:
        charset = str(part.get_content_charset() or "")
        text, is_sure = to_text(_payload(part), charset)
        if not is_sure:
            named = charset or "UTF-8"
            self.warnings.append(
                f"the mail's text is not in {named}, as it says: some characters may be wrong"
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
            subject = " ".join(v for one in _children(part) for v in _values(one, "Subject"))
            return safe_name(f"{safe_name(subject, default=default)[:150]}.eml")
        return default + (mimetypes.guess_extension(kind) or "")

    def _leave_decoration(self) -> None:
        """Take logos and the like from the parts: small pictures that the HTML shows in place."""
        decoration = [
            one for one in self._attached if _is_decoration(one.message, self._shown_in_place)
        ]
        if decoration:
            self._attached = [one for one in self._attached if one not in decoration]
            names = ", ".join(one.name for one in decoration[:5])
            self.warnings.append(
                f"{len(decoration)} small pictures that the mail shows within its text are no "
                f"documents: {names}"
            )


def _breaks_off(message: _Message) -> bool:
    """Whether the end of its parts is missing, or of the parts of one of them."""
    left = [message]
    while left:
        part = left.pop()
        if any(isinstance(defect, _BROKEN_OFF) for defect in part.defects):
            return True
        if part.is_multipart():
            left += _children(part)
    return False


def head(headers: dict[str, list[str]]) -> str:
    """The headers of a mail as lines of its text, without those that are empty."""
    lines = [(name, ", ".join(v for v in values if v)) for name, values in headers.items()]
    return "".join(f"{name}: {value}\n" for name, value in lines if value)


def to_text(data: bytes, charset: str) -> tuple[str, bool]:
    """Bytes as text with plain line ends, and whether they were what they were said to be.

    An unknown or wrong character set is replaced by UTF-8 if that fits, else by Windows' Latin.
    """
    wanted = _CHARSETS.get(charset.lower(), charset) or "utf-8"
    for name in (wanted, "utf-8"):
        try:
            text = codecs.lookup(name) and data.decode(name)
        except (LookupError, ValueError, TypeError):
            continue
        return storable(text), name == wanted
    return storable(data.decode("cp1252", "replace")), wanted == "cp1252"


def decoded(value: str) -> str:
    """A header's value on one line: encoded words (RFC 2047) and bare bytes become characters."""
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
    """The paragraphs of a text in `format=flowed` (RFC 3676), each on one line again."""
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
    """Of several forms of one text the first that is plain, else the last that is anything."""
    for pieces in choices:
        if any(piece.text.strip() and not piece.html for piece in pieces):
            return pieces
    filled = [pieces for pieces in choices if any(piece.text.strip() for piece in pieces)]
    return filled[-1] if filled else []


def _children(part: _Message) -> list[_Message]:
    payload: Any = part.get_payload() if part.is_multipart() else []
    return list(payload)


def depth_of(part: _Message) -> int:
    """How deep mails lie in one another here: 1 for a mail without another in it."""
    deepest, waiting = 0, [(part, 0)]
    while waiting:
        one, depth = waiting.pop()
        depth += one.get_content_type() == "message/rfc822"
        deepest = max(deepest, depth)
        waiting += [(child, depth) for child in _children(one)]
    return deepest


def _is_file(part: _Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_file_name(part))


def _is_decoration(part: _Message, shown: set[str]) -> bool:
    own = str(part.get("content-id", "")).strip().strip("<>")
    is_picture = part.get_content_maintype() == "image"
    return is_picture and own in shown and len(_payload(part)) <= DECORATION


def _file_name(part: _Message) -> str:
    """As `Content-Disposition` or `Content-Type` has it, in whichever way it is encoded."""
    for name in ("content-disposition", "content-type"):
        for value in _raw(part, name):
            if _has_bytes(value):
                part.replace_header(name, _from_bytes(value))
    found = part.get_param("filename", "", "content-disposition") or part.get_param("name", "")
    if isinstance(found, tuple):  # RFC 2231: character set, language, and bytes as characters
        return decoded(to_text(found[2].encode("raw-unicode-escape"), found[0] or "")[0])
    return decoded(found or "")


def _payload(part: _Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _flat(message: _Message, line_end: str) -> bytes:
    """A part with its headers, as it stood in the mail."""
    out = io.BytesIO()
    policy = email.policy.compat32.clone(linesep=line_end, max_line_length=None)
    try:
        BytesGenerator(out, mangle_from_=False, policy=policy).flatten(message)
    except (LookupError, ValueError, TypeError) as error:
        raise UnreadableDocument(f"it can't be taken out of the mail: {error}") from None
    return out.getvalue()


def _of_base64(data: bytes) -> bytes:
    """A mail that was encoded although it may not be; as it is if it was not."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        return data


def _values(message: _Message, name: str) -> list[str]:
    return [decoded(value) for value in _raw(message, name)]


def _raw(message: _Message, name: str) -> list[str]:
    """A header's values as they stand in the file, bytes that are no ASCII as lone surrogates."""
    return [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]


def _has_bytes(value: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in value)


def _from_bytes(value: str) -> str:
    """Bare bytes of a header as the characters that they most likely are."""
    if not _has_bytes(value):
        return value
    return to_text(value.encode("utf-8", "surrogateescape"), "utf-8")[0]


_LINE_ENDS = str.maketrans("\r\f\v", "\n\n\n", "\0")


def storable(text: str) -> str:
    """Line ends as `\\n`, and so what a printer took for one (form feed, vertical tab); without
    NUL and halves of characters, which nobody can store.
    """
    text = text.replace("\r\n", "\n").translate(_LINE_ENDS)
    return text.encode("utf-8", "replace").decode()
