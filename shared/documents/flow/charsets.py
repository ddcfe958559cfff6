"""Decode documents that may declare their encoding (HTML, RTF).

Only encodings of the WHATWG's Encoding Standard are accepted, by its labels; some other codecs of
Python are not text encodings.
"""

from __future__ import annotations

import codecs

_LABELS = {
    **dict.fromkeys(("utf-8", "utf8", "unicode-1-1-utf-8", "utf-16", "utf-16le", "ucs-2"), "utf-8"),
    **dict.fromkeys(
        ("ascii", "us-ascii", "ansi_x3.4-1968", "iso-8859-1", "iso8859-1", "latin1", "latin-1"),
        "cp1252",
    ),
    **{f"windows-{page}": f"cp{page}" for page in range(1250, 1259)},
    **{f"cp{page}": f"cp{page}" for page in range(1250, 1259)},
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (*range(2, 9), 10, 13, 14, 15, 16)},
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "windows-874": "cp874",
    "macintosh": "mac_roman",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "ibm866": "cp866",
    "x-mac-cyrillic": "mac_cyrillic",
    **dict.fromkeys(("gbk", "gb2312", "gb18030", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("big5", "big5-hkscs"), "big5hkscs"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "windows-31j"), "cp932"),
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp",
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "windows-949"), "cp949"),
}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def codec_of(label: str) -> str | None:
    """Return Python's codec for an encoding label; None if it is not a text encoding."""
    return _LABELS.get(label.strip().strip("\"'").lower())


def codec_of_mark(data: bytes) -> tuple[str, int] | None:
    """Return the codec of a byte order mark at the start, and the length of the mark."""
    return next(((codec, len(mark)) for mark, codec in _MARKS if data.startswith(mark)), None)


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Decode a byte that the encoding lacks as Windows-1252."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(_WINDOWS_1252[byte] for byte in bad), error.end


_WINDOWS_1252 = [bytes([byte]).decode("cp1252", "ignore") or "\ufffd" for byte in range(256)]
codecs.register_error("as-windows-1252", _as_windows_1252)


def decoded(data: bytes, codec: str) -> tuple[str, bool]:
    """Return the text, and whether all bytes were valid; invalid bytes are read as Windows-1252."""
    try:
        return data.decode(codec), True
    except UnicodeDecodeError:
        return data.decode(codec, "as-windows-1252"), False
