"""A baseline by hand: keywords and the look of a text."""

from __future__ import annotations

import re

_CONTRACT = re.compile(
    r"\b(agreement|contract|hereby|hereto|herein|hereunder|parties|party|shall|whereas"
    r"|governing law|terminat\w+|witness whereof|terms of (?:service|use)|terms and conditions"
    r"|confidential\w*|licen[cs]e|lessee|tenant|borrower|indemnif\w+|liabilit\w+)\b"
)
_REPORT = re.compile(
    r"\b(total assets|total liabilities|net income|net sales|revenues?|balance sheets?|cash flows?"
    r"|stockholders|shareholders|fiscal|10-[kq]|earnings per share|income taxes|operating income"
    r"|in millions|in thousands|depreciation|consolidated|financial statements|equity)\b"
)
_TITLE = re.compile(r"\b(agreement|contract|lease|terms of (?:service|use)|conditions of use)\b")
_WORD = re.compile(r"[^\W\d_]+")
_FIGURE = re.compile(r"\d[\d.,]*")
_LEAST = 8.0  # hits for each thousand words and figures


def judge(text: str) -> dict[str, float]:
    """Return a share for each kind by the hits of its keywords; the sum is 1."""
    text = text.lower()
    words, figures = len(_WORD.findall(text)), len(_FIGURE.findall(text))
    of = 1_000 / max(words + figures, 1)
    contract = of * len(_CONTRACT.findall(text)) + 10 * bool(_TITLE.search(text[:300]))
    report = of * len(_REPORT.findall(text)) + 10 * (figures > words)
    total = contract + report + _LEAST
    return {"contract": contract / total, "report": report / total, "other": _LEAST / total}
