"""Patterns of dates, names and titles, which propose the ends of the short categories.

The specialist finds roughly where a name or a date is. The patterns are generous, since a wrong
candidate gets a low score. Each takes time linear in the text, also for hostile texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum

MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
BLANK = r"_{1,30}"  # left open in the document, to be filled in by hand
DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{BLANK}|\[[^\]\n]{{0,20}}\])"
YEAR = rf"(?:\d{{4}}|\d\d{BLANK}|{BLANK})"
DATE = re.compile(
    rf"""(?ix)
    (?<!\w)(?=[\d_\[jfmasond])(?:  # where any of these can begin: looked at once, not for each
      \b{MONTH}\s++{DAY}\s*+(?:,\s*+)?{YEAR}                           # March 5, 2020
    | (?<!\w){DAY}\s*+(?:day\s++)?(?:of\s++)?(?:{MONTH}|{BLANK})\s*+(?:,\s*+)?{YEAR}  # 5th of March
    | \b\d{{1,2}}[/.-]\d{{1,2}}[/.-]\d{{2,4}}\b                      # 3/5/2020
    | \b\d{{4}}-\d\d-\d\d\b                                          # 2020-03-05
    | \b{MONTH}(?:\s*+,)?\s++\d{{4}}                                 # March 2020
    )
    """
)
MARK = r"[\"\u201c\u201d]"
QUOTED = re.compile(  # between marks with nothing but blanks, the last of these
    rf"{MARK}(?:\s*+(?!{MARK})|\s*(?=[^\S\n]\n*{MARK}))([^\"\u201c\u201d\n]{{1,60}}?)\s*+{MARK}"
)
BRACKETED = re.compile(r"\(([^()]{2,120})\)")
WORD = r"[A-Z0-9][\w&.'\u2019/!-]*"
LINK = r"(?:of|and|&|the|de|for|to)"
FORM = (
    r"(?:Inc|INC|Incorporated|Corp|CORP|Corporation|CORPORATION|Company|COMPANY|Co|CO|LLC|L\.L\.C"
    r"|Ltd|LTD|Limited|LIMITED|L\.P|LP|LLP|PLC|plc|GmbH|GMBH|AG|S\.A|SA|N\.V|B\.V|S\.p\.A|AB|A/S"
    r"|Pty|Trust|TRUST|Bank|BANK|University|Association|Partnership|PARTNERSHIP|Partners"
    r"|Foundation|Institute)\b\.?"
)
NAME_WORD = r"[A-Z0-9][\w&.'\u2019/!-]{0,60}+"  # a run such as `1.1.1.` is read once, not n times
COMPANY = re.compile(
    rf"\b(?:(?:{NAME_WORD}|{LINK}),?\s{{1,3}}){{0,7}}?{NAME_WORD},?\s{{1,3}}{FORM}(?:,?\s?{FORM})?"
)
CAPITALISED = re.compile(rf"{WORD}(?:[ \t]+(?:{WORD}|{LINK}))*[ \t]+{WORD}|{WORD}")
LINE = re.compile(r"\S(?:[^\n]*\S)?")
LONGEST_LINE, LONGEST_PAIR = 160, 200  # characters of a title on one line, on two


class Kind(IntEnum):
    """The kind of a match."""

    QUOTED = 0  # "Supplier", with and without its quotes
    BRACKETED = 1
    COMPANY = 2  # words that end in Inc., GmbH, University ...
    CAPITALISED = 3
    DATE = 4
    LINE = 5  # one line, or two


def patterns(text: str) -> Iterator[tuple[Kind, int, int]]:
    """Yield (kind, start, end) of every match."""
    for pattern, kind in ((DATE, Kind.DATE), (COMPANY, Kind.COMPANY)):
        for match in pattern.finditer(text):
            yield kind, *match.span()
    for match in CAPITALISED.finditer(text):
        yield Kind.CAPITALISED, *match.span()
    for match in QUOTED.finditer(text):
        yield Kind.QUOTED, *match.span(1)
        yield Kind.QUOTED, *match.span()
    for match in BRACKETED.finditer(text):
        yield Kind.BRACKETED, *match.span(1)
    before = len(text)
    for match in LINE.finditer(text):
        start, end = match.span()
        if end - start < LONGEST_LINE:
            yield Kind.LINE, start, end
        if 0 < end - before < LONGEST_PAIR:
            yield Kind.LINE, before, end
        before = start
