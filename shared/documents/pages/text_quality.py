"""Detect text that fonts or encodings spoiled.

A font without a character map leaves meaningless codes, or other letters than those shown: `7KLV
$JUHHPHQW` is "This Agreement" in a font whose glyphs are counted from the space. UTF-8 read as
Windows-1252 shows as `â€œ`. Such a page looks right but can't be searched; its picture can be
recognised.

`python -m models.document_kind.pages` measures this.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from shared.documents.model.glyphs import Codes

UNSOUND = 0.2
"""Least share of meaningless characters that makes a page's text unsound."""
FEWEST = 150
"""Letters that a page needs for this judgement."""
LEAST_VOWELS = 0.25
"""Share of vowels among Latin letters: 0.33 to 0.5 in European languages."""
MOST_MUTE = 0.35
"""Share of words of four letters or more without a vowel."""
MOST_BROKEN = 0.02
"""Share of words with signs of UTF-8 read as Windows-1252."""

_WORD = re.compile(r"[A-Za-z]{4,}")
_MUTE = re.compile(r"(?<![A-Za-z])[B-DF-HJ-NP-TV-XZb-df-hj-np-tv-xz]{4,}(?![A-Za-z])")
_BROKEN = re.compile(
    r"[ÂÃ][\x80-\xbf\u0152-\u2122]|â[\x80-\xbf\u0152-\u20ac][\x80-\xbf\u0152-\u2122]"
)
_VOWELS = np.zeros(128, bool)
_VOWELS[[ord(letter) for letter in "aeiouyAEIOUY"]] = True
_LETTERS = np.zeros(128, bool)
_LETTERS[[code for code in range(128) if chr(code).isalpha()]] = True


def soundness(codes: Codes) -> float:
    """Return the share of characters that mean something, 0 for no characters.

    It is halved if the letters fit no language, or the encoding was mistaken.

    Args:
        codes: Unicode code points [n].
    """
    if not len(codes):
        return 0.0
    share = 1.0 - float(_meaningless(codes).mean())
    return share / 2 if _is_scrambled(codes) or _is_misread(codes) else share


def _meaningless(codes: Codes) -> npt.NDArray[np.bool_]:
    """Return a mask of private codes, replacement characters and controls."""
    private = (codes >= 0xE000) & (codes < 0xF900)
    control = ((codes < 32) & (codes != 9) & (codes != 10) & (codes != 13)) | (
        (codes >= 0x7F) & (codes < 0xA0)
    )
    meaningless: npt.NDArray[np.bool_] = (codes == 0xFFFD) | private | control
    return meaningless


def _is_scrambled(codes: Codes) -> bool:
    """Whether the Latin letters represent others: too few vowels, or words without any."""
    plain = codes[codes < 128].astype(np.int64)
    letters = plain[_LETTERS[plain]]
    if len(letters) < FEWEST:
        return False
    if float(_VOWELS[letters].mean()) < LEAST_VOWELS:
        return True
    text = _text(codes)
    words, mute = len(_WORD.findall(text)), len(_MUTE.findall(text))
    return words * 4 >= FEWEST and mute > MOST_MUTE * words


def _is_misread(codes: Codes) -> bool:
    """Whether UTF-8 was read as Windows-1252."""
    text = _text(codes)
    return len(_BROKEN.findall(text)) > MOST_BROKEN * max(len(text.split()), 1)


def _text(codes: Codes) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "replace")
