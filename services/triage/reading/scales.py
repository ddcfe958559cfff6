"""The unit of a page, and the lines that are printed in full."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from services.triage.statements.model import MOST_MONEY, MOST_SHARES

_WORDS = {"thousand": Decimal(1000), "million": Decimal(10) ** 6, "billion": Decimal(10) ** 9}
_SCALE = re.compile(
    r"\b(?:in|of|stated\s+in|expressed\s+in|amounts?|dollars?|[A-Z]{3})?\s*+(?:[(\[]\s*+)?"
    r"(?:US\s*+|U\.S\.\s*+)?(?:[$€£¥]\s*+)?(?:dollars?\s+)?\b(thousand|million|billion)s\b",
    re.I,
)
_ZEROS = re.compile(r"[$€£]\s*(000)['\u2019]?s?\b|\b000['\u2019]?s\b|\(\s*000\s*\)", re.I)
_PROSE = re.compile(r"\d[\d.,]*\s*(thousand|million|billion)", re.I)
_PER_SHARE = re.compile(
    r"\bper\b.{0,60}\b(share|unit|ads|common)\b|\beps\b|\bdividends?\s+(declared\s+)?per\b", re.I
)
_COUNTS_SHARES = re.compile(
    r"weighted|shares\s+outstanding|number\s+of\s+shares|shares\s+used|average\b.*\bshares", re.I
)
_PAR = re.compile(
    r"(par|stated)\s+value[^,;]*?per\s+share"
    r"|(?:\$|(?<!\s))\s*+(?:\d*+\.)?\d++\s+(per\s+share|par(\s+value)?(\s+per\s+share)?)",
    re.I,
)
_BASIC = re.compile(r"\bbasic\b|\bdilut|assuming\s+dilution", re.I)
_AVERAGE = re.compile(r"weighted|average|\bbasic\b|\bdilut", re.I)
_SHARES_APART = re.compile(
    r"except\s+(for\s+)?(number\s+of\s+)?(share\b|shares\b|per\s+share\s+(data\s+)?and\s+share)",
    re.I,
)
_SHARES_ALSO = re.compile(
    r"shares?\s+(data\s+|amounts\s+)?(are\s+)?in\s+(thousand|million)s"
    r"|(thousand|million)s\s+of\s+shares",
    re.I,
)


def scale_in(text: str) -> Decimal | None:
    """The factor that a text names for all figures; of several the first."""
    text = _PROSE.sub(" ", text)
    if match := _SCALE.search(text):
        return _WORDS[match[1].lower()]
    return Decimal(1000) if _ZEROS.search(text) else None


def scale_of_shares(text: str) -> tuple[Decimal | None, str]:
    """The factor that a text names for shares, and the text without those words."""
    match = _SHARES_ALSO.search(text)
    if not match:
        return None, text
    return _WORDS[(match[3] or match[4]).lower()], _SHARES_ALSO.sub(" ", text)


def scale_of_money(text: str) -> Decimal | None:
    """The factor that a text names for amounts of money; of several the first."""
    return scale_in(scale_of_shares(text)[1]) or scale_in(text)


def averages_shares(label: str, path: Sequence[str]) -> bool:
    """Whether a line is an average number of shares, by its label or the heading above it."""
    own = _own(_PAR.sub(" ", label), path)
    return bool(_COUNTS_SHARES.search(own) and _AVERAGE.search(f"{own} {label}"))


def is_per_share(label: str, path: Sequence[str]) -> bool:
    """Whether a line has amounts per share, by its label or the heading above it."""
    return bool(_PER_SHARE.search(_own(_PAR.sub(" ", label), path)))


def _own(label: str, path: Sequence[str]) -> str:
    """The label, or the heading above it if the label says nothing about shares."""
    of_shares = _PER_SHARE.search(label) or _COUNTS_SHARES.search(label)
    return label if of_shares or not path else path[-1]


def excepts_shares(text: str) -> bool:
    """Whether a text excludes share counts from its unit."""
    return bool(_SHARES_APART.search(text))


def factor(
    label: str, path: Sequence[str], values: Sequence[Decimal], scale: Decimal, notes: str
) -> Decimal:
    """The factor for the figures of a line.

    Amounts per share are printed in full. Shares are, too, where the page excludes them, or where
    they would be more than any company has.
    """
    label, heading = _PAR.sub(" ", label), path[-1] if path else ""
    present = [abs(value) for value in values if value]
    if not present:
        return Decimal(1)
    own = _own(label, path)
    stated = None
    counts = bool(_COUNTS_SHARES.search(own))
    if counts or _BASIC.search(label):
        stated = scale_in(label) or scale_in(heading) or scale_of_shares(notes)[0]
        scale = stated or scale
    if max(present) * scale > (MOST_SHARES if counts or _BASIC.search(label) else MOST_MONEY):
        return Decimal(1)
    if counts:
        apart = not stated and _SHARES_APART.search(notes) and not _SHARES_ALSO.search(notes)
        return Decimal(1) if apart and max(present) >= 100_000 else scale
    if _divided(present):
        return scale
    if _PER_SHARE.search(own):
        return Decimal(1) if max(present) < 10_000 and _fraction(present) else scale
    basic = _BASIC.search(label) or _BASIC.search(heading)
    return Decimal(1) if basic and max(present) < 1_000 and _fraction(present) else scale


def _divided(values: Sequence[Decimal]) -> bool:
    """Whether amounts per share were divided by the unit, as programs do: under a cent, with
    many digits."""
    return min(values) < Decimal("0.01") and any(value != round(value, 3) for value in values)


def _fraction(values: Sequence[Decimal]) -> bool:
    return any(value % 1 for value in values)
