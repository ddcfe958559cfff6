"""Glyphs of the symbol fonts of office programs, as the Unicode characters they look like.

Their glyphs have codes 0x20 to 0xFF, or U+F020 onwards in Unicode's private area. The meaning
depends on the font (Adobe's Symbol; Microsoft's Wingdings and Wingdings 2).
"""

from __future__ import annotations

import re

_GREEK: dict[int, str] = dict(
    zip(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "\u0391\u0392\u03a7\u0394\u0395\u03a6\u0393\u0397\u0399\u03d1\u039a\u039b\u039c\u039d\u039f"
        "\u03a0\u0398\u03a1\u03a3\u03a4\u03a5\u03c2\u03a9\u039e\u03a8\u0396"
        "\u03b1\u03b2\u03c7\u03b4\u03b5\u03c6\u03b3\u03b7\u03b9\u03d5\u03ba\u03bb\u03bc\u03bd\u03bf"
        "\u03c0\u03b8\u03c1\u03c3\u03c4\u03c5\u03d6\u03c9\u03be\u03c8\u03b6",
        strict=True,
    )
)
_SYMBOL = (
    _GREEK
    | {code: chr(code) for code in (*range(0x20, 0x40), 0x5B, 0x5D, 0x5F, 0x7B, 0x7C, 0x7D)}
    | {0x2D: "\u2212", 0x2A: "*", 0xA2: "\u2032", 0xA3: "≤", 0xA5: "∞", 0xAC: "←", 0xAE: "→"}
    | {0xB0: "°", 0xB1: "±", 0xB2: "\u2033", 0xB3: "≥", 0xB4: "\u00d7", 0xB7: "•", 0xB8: "÷"}
    | {0xB9: "≠", 0xBA: "≡", 0xBB: "≈", 0xBC: "…", 0xBD: "|", 0xBE: "\u2014", 0xD2: "®"}
    | {0xD3: "©", 0xD4: "™", 0xD6: "√", 0xD7: "·", 0xDE: "⇒", 0xE2: "®", 0xE3: "©", 0xE4: "™"}
    | {0xE5: "\u2211", 0xF2: "∫", 0xA0: "€"}
)
_WINGDINGS = (
    {0x20: " ", 0x22: "✂", 0x28: "☎", 0x29: "✆", 0x2A: "✉", 0x6C: "●", 0x6D: "❍", 0x6E: "■"}
    | {0x6F: "□", 0x71: "❑", 0x72: "❒", 0x73: "⬧", 0x74: "⧫", 0x75: "◆", 0x76: "❖", 0x77: "⬥"}
    | {0x9E: "·", 0x9F: "•", 0xA1: "○", 0xA7: "▪", 0xA8: "☐", 0xD8: "➢", 0xDF: "←", 0xE0: "→"}
    | {0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑"}
)
_WINGDINGS_2 = {
    0x20: " ", 0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0x97: "●",
    0x98: "●", 0xA2: "■", 0xA3: "☐",
}  # fmt: skip
_FONTS: dict[str, dict[int, str]] = {
    "symbol": _SYMBOL,
    "wingdings": _WINGDINGS,
    "wingdings 2": _WINGDINGS_2,
}
_ANY = _WINGDINGS_2 | _WINGDINGS | {code: _SYMBOL[code] for code in (0xB7, 0xDE, 0x2D)}
_PRIVATE = re.compile("[\uf020-\uf0ff]")


def is_symbol_font(font: str) -> bool:
    """Whether a font shows other characters than its codes."""
    return font.strip().lower() in _FONTS


def symbol(code: int, font: str = "") -> str:
    """Return the character that a glyph looks like, by its code; U+FFFD if unknown."""
    return _FONTS.get(font.strip().lower(), _ANY).get(code & 0xFF, "\ufffd")


def in_font(text: str, font: str) -> str:
    """Return a text as a font shows it; letters of a symbol font are glyphs."""
    if not is_symbol_font(font):
        return from_symbols(text, font)
    return "".join(_glyph(character, font) for character in text)


def _glyph(character: str, font: str) -> str:
    if character.isspace() or "\uf020" <= character <= "\uf0ff":
        return from_symbols(character, font)
    byte = character.encode("cp1252", "ignore")  # as old programs typed it
    return symbol(byte[0], font) if byte else character


def from_symbols(text: str, font: str = "") -> str:
    """Replace private characters by the ones that their glyphs look like."""
    return _PRIVATE.sub(lambda match: symbol(ord(match[0]), font), text)
