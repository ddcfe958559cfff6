"""Detect the type of a document from its content, and make file names safe."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import PurePath

from shared.documents.containers.zip_package import names_in, package_type
from shared.documents.model.formats import (
    CSV,
    DOCX,
    FORMAT_NAMES,
    FORMATS,
    HTML,
    JPEG,
    JSON,
    MAIL,
    MARKDOWN,
    NDJSON,
    ODS,
    ODT,
    OUTLOOK,
    PDF,
    PICTURES,
    PNG,
    RTF,
    TEXT,
    TIFF,
    XBRL,
    XLS,
    XLSX,
    ZIP,
)
from shared.documents.model.text import decode
from shared.documents.spreadsheets.delimited import delimiter_of, is_named
from shared.documents.xbrl.xbrl import is_inline, is_instance
from shared.errors import EmptyDocument, EncryptedDocument, UnsupportedType

READ = f"smallprint reads {FORMAT_NAMES}"
"""The end of every error about an unsupported type."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0"
_PICTURES = (
    (b"\x89PNG", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
)
_HEIF = re.compile(rb".{4}ftyp(heic|heix|heim|heis|mif1|msf1|avif)", re.DOTALL)
_UNSUPPORTED = (
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a RIFF file (WebP, WAV)"),
    (b"%!PS", "PostScript"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"PK\x07\x08", "a piece of a ZIP archive in several pieces"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)
_OF_OUTLOOK = "__properties_version1.0".encode("utf-16-le")
_UNSUPPORTED_IN_ZIP = (
    (re.compile(r"\[Content_Types\]\.xml"), "an Office document other than DOCX and XLSX"),
    (re.compile(r"mimetype"), "an OpenDocument file other than ODT and ODS, or an e-book (EPUB)"),
    (re.compile(r"META-INF/MANIFEST\.MF|AndroidManifest\.xml"), "a program (JAR, APK)"),
    (re.compile(r"Index/Document\.iwa"), "a document of Pages, Numbers or Keynote"),
)
_TEXTUAL = frozenset({TEXT, MARKDOWN, HTML, CSV, JSON, NDJSON, XBRL, MAIL})
"""Types of text files. Their names often have the ending of another one."""
_EXCEL = frozenset({XLS, XLSX})
_NAMED = {
    ".pdf": {PDF},
    ".docx": {DOCX},
    ".odt": {ODT},
    ".rtf": {RTF},
    ".ods": {ODS},
    ".zip": {ZIP},
    ".msg": {OUTLOOK, MAIL},
    ".xls": _EXCEL,
    ".xlsx": _EXCEL,
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff"), PICTURES),
    **dict.fromkeys((".txt", ".md", ".markdown", ".htm", ".html", ".xhtml"), _TEXTUAL),
    **dict.fromkeys((".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".eml"), _TEXTUAL),
}
"""The types that a file may have, by the ending of its name."""
_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:|[ \t]|>?From ")
_ONLY_IN_MAILS = frozenset(
    {b"message-id", b"mime-version", b"received", b"return-path", b"delivered-to", b"x-mailer"}
)
_IN_LETTERS_TOO = frozenset({b"from", b"to", b"subject", b"date", b"sender"})
_NEXT_MAIL = re.compile(rb"\n\r?\nFrom \S+ +(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ")
_HEADERS_END = 262_144
_BEFORE_HTML = re.compile(rb"\s+|\xef\xbb\xbf|<\?xml[^>]{0,500}>", re.IGNORECASE)
_HTML = re.compile(rb"<(!doctype\s+html|html|head|body|title)[\s>]", re.IGNORECASE)
_HTML_PART = re.compile(rb"</?[a-z][a-z0-9]*[\s/>]", re.IGNORECASE)
_FILED = re.compile(rb"<(?:SEC-)?DOCUMENT>", re.IGNORECASE)
_PATH_CHARACTERS = 1_000
_MOST_PARSED, _MOST_LINES = 250_000, 1_000
"""Characters and lines of a text that are parsed to recognise JSON."""
_SAMPLE, _END = 4 * _MOST_PARSED, 64
"""Bytes at the start and at the end of a long text that are looked at: decoding may be slow."""
_PROLOG = 65_536  # bytes in which the first element of HTML is searched
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def sniff(data: bytes, name: str = "") -> str:
    """Return the media type. Raises EmptyDocument, UnsupportedType or UnreadableDocument.

    The name decides only between text, Markdown, CSV and lines of JSON. A file named as JSON lines
    keeps that type even if a line is broken, so only that line fails.
    """
    if not data.strip():
        raise EmptyDocument(
            "the document has no bytes" if not data else "the document has only white space"
        )
    if data.startswith(_ZIP):
        return _zip_type(data)
    if data[:100].lstrip().startswith(b"{\\rtf"):
        return RTF
    if data.startswith(_OLE):
        return _ole_type(data)
    if is_mail(data, name):
        return MAIL
    if b"%PDF-" in data[:1024]:
        return PDF
    for magic, media_type in _PICTURES:
        if data.startswith(magic):
            return media_type
    if _HEIF.match(data):
        raise UnsupportedType(f"this is a HEIF or AVIF picture: save it as JPEG; {READ}")
    for magic, what in _UNSUPPORTED:
        if data.startswith(magic):
            raise UnsupportedType(f"this is {what}: {READ}")
    if is_instance(data):
        return XBRL
    if _is_html(data, name) or is_inline(data):
        return HTML
    return _text_type(decode(_sample(data))[0], name)


def name_warning(media_type: str, name: str) -> str | None:
    """Return a warning if the ending of the name belongs to another format; usually None."""
    ending = PurePath(name.lower()).suffix
    if media_type in _NAMED.get(ending, (media_type,)):
        return None
    (shown,) = (one.name for one in FORMATS if one.media_type == media_type)
    return f"the name ends with {ending}, but the content is {shown}"


def _is_html(data: bytes, name: str) -> bool:
    """Whether its first element begins an HTML document.

    Comments and the header of the Securities and Exchange Commission may come first. With a name
    that ends with `.htm` or `.html`, any element will do.
    """
    head = data[:_PROLOG]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    position = 0
    if _FILED.match(head.lstrip()):
        position = head.upper().find(b"<TEXT>") + len(b"<TEXT>")
    while position < len(head):
        if head.startswith(b"<!--", position):
            end = head.find(b"-->", position)
            position = end + 3 if end >= 0 else len(head)
        elif skipped := _BEFORE_HTML.match(head, position):
            position = skipped.end()
        else:
            break
    named = name.lower().endswith((".htm", ".html", ".xhtml"))
    return bool(_HTML.match(head, position) or (named and _HTML_PART.match(head, position)))


def _ole_type(data: bytes) -> str:
    """Return the type of an old Office container, from the names of its streams."""
    if _OF_OUTLOOK in data:
        return OUTLOOK
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise EncryptedDocument(
            "the document is an encrypted Office file: open it with its password and save it "
            "without one"
        )
    if "WordDocument".encode("utf-16-le") in data:
        raise UnsupportedType(
            "this is a document of Word 97 to 2003 (DOC): open it in a word processor and save it "
            "as DOCX"
        )
    if any(f"{name}\0".encode("utf-16-le") in data for name in ("Workbook", "Book")):
        return XLS
    raise UnsupportedType(f"this is an old Office document (PPT): {READ}")


def _zip_type(data: bytes) -> str:
    """Return the type of a ZIP file: an office document by its members, else an archive."""
    if office := package_type(data):
        return office
    for name in names_in(data):
        for pattern, what in _UNSUPPORTED_IN_ZIP:
            if pattern.fullmatch(name):
                raise UnsupportedType(f"this is {what}: {READ}")
    return ZIP


def is_mail(data: bytes, name: str = "") -> bool:
    """Whether it begins with the headers of a mail.

    Some headers occur in letters too, so one that occurs only in mails is required, or a name that
    ends with `.eml`. Raises UnsupportedType for a mailbox with several mails.
    """
    headers: set[bytes] = set()
    for line in data[:_HEADERS_END].split(b"\n"):
        header = _HEADER.match(line)
        if header is None:
            if line.strip():
                return False
            break
        headers.add((header[1] or b"").lower())
    letter_headers = headers & _IN_LETTERS_TOO
    if not (letter_headers and headers & _ONLY_IN_MAILS) and not (
        len(letter_headers) > 1 and name.lower().endswith(".eml")
    ):
        return False
    if data.startswith(b"From ") and _NEXT_MAIL.search(data):
        raise UnsupportedType(f"this is a mailbox of several mails: save each mail; {READ}")
    return True


def _sample(data: bytes) -> bytes:
    """Return the start and the end of a long text; UTF-16 can't be cut, so all of it."""
    if len(data) <= _SAMPLE + _END or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data
    return data[:_SAMPLE] + data[-_END:]


def _text_type(text: str, name: str) -> str:
    body = text.lstrip("\ufeff \t\r\n")
    if body[:1] in ("{", "[") and _is_json(body):
        long = len(body) > _MOST_PARSED
        return NDJSON if long and _is_json_lines(body) else JSON
    if name.lower().endswith((".jsonl", ".ndjson")) or _is_json_lines(body):
        return NDJSON
    if name.lower().endswith((".md", ".markdown", ".mdown", ".mkd")):
        return MARKDOWN
    return CSV if delimiter_of(text, named=is_named(name)) else TEXT


def _is_json_lines(body: str) -> bool:
    """Whether the first line is a JSON object, or all lines are JSON."""
    first, newline, _ = body.partition("\n")
    if newline and first.startswith("{") and _is_json(first):
        return True
    head = body[:_MOST_PARSED].splitlines()
    if len(body) > _MOST_PARSED:
        head.pop()  # it may be cut
    lines = [line for line in head[:_MOST_LINES] if line.strip()]
    return body.startswith("[") and len(lines) > 1 and all(_is_json(line) for line in lines)


def _is_json(text: str) -> bool:
    """Whether a text is JSON. Of a long one only the ends count: parsing takes much memory."""
    if len(text) > _MOST_PARSED:
        return text[:1] + text.rstrip()[-1:] in ("{}", "[]")
    try:
        # Python refuses integers of more than 4,300 digits. Readers decide about them.
        return isinstance(json.loads(text, parse_int=str), dict | list)
    except (ValueError, RecursionError):
        return False


def safe_path(name: str, default: str) -> str:
    """Return a name within an archive as a label: safe folder names joined by `/`.

    Roots, drives and `..` are removed. Long paths keep their last 1,000 characters.
    """
    steps = [step for step in re.split(r"[/\\]", name) if step.strip(" .")]
    if steps and re.fullmatch(r"\s*[A-Za-z]:\s*", steps[0]):
        steps = steps[1:]
    path = "/".join(safe_name(step) for step in steps[-50:])
    while len(path) > _PATH_CHARACTERS and "/" in path:
        path = path.partition("/")[2]
    return path or default


def safe_name(name: str, *, default: str = "document") -> str:
    """Return a file name as a safe label, without folders or control characters.

    It is the last path component, NFC-normalised, without characters that file systems refuse. It
    has at most 200 characters and keeps its suffix.
    """
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    name = re.split(r"[/\\]", name)[-1]
    name = "".join("_" if c in '<>:"|?*' else c for c in name if unicodedata.category(c)[0] != "C")
    name = re.sub(r"\s+", " ", name).strip(" .")
    if _RESERVED.match(name):
        name = f"_{name}"
    if len(name) > 200:
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem[: 199 - len(suffix)]}.{suffix}" if dot and len(suffix) <= 10 else name[:200]
    return name or default
