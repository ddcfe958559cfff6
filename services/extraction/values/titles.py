"""Find the title of a document, in one line and without marks around it."""

from __future__ import annotations

import re

from services.extraction.values.value import Plain, Value, gaps

_CLINGS = " \"'.,;:()[]*_-#\t"
_LEAD = re.compile(r"(?:this|the|that|certain)\b[ \"']*", re.IGNORECASE)
_TAIL = re.compile(
    r" ?(?:\((?:(?:the|this|hereinafter|collectively)\b|[\"\'])[^)]{0,80}\)?)$", re.IGNORECASE
)


def find_title(plain: Plain) -> list[Value]:
    """The title in a clause, as it is written there except for spaces."""
    text = plain.text
    end = len(text.rstrip(_CLINGS))
    start = len(text) - len(text.lstrip(_CLINGS))
    while lead := _LEAD.match(text, start, end):
        start = lead.end()
    if tail := _TAIL.search(text, start, end):
        end = tail.start()
    if text.count("(", start, end) > text.count(")", start, end) and text[end : end + 1] == ")":
        end += 1
    name = _once(text[start:end].strip())
    if not any(c.isalpha() for c in name):
        return [plain.value("title", "redacted", None, *gap) for gap in list(gaps(plain))[:1]]
    return [plain.value("title", "stated", name, start, start + len(name))]


def _once(name: str) -> str:
    """A title without its repetition: `SUPPLY AGREEMENT This Supply Agreement`."""
    words = name.lower().split()
    for count in range(1, len(words)):
        again = words[count + (words[count] == "this") :]
        if again and words[:count][-len(again) :] == again:
            return " ".join(name.split()[:count])
    return name
