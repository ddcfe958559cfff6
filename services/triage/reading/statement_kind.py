"""Recognise the tables of a document that are statements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from services.triage.reading.columns import Layout

_LONGEST_TITLE = 300  # characters of a title over two lines
_TITLES = {
    "balance_sheet": re.compile(
        r"balance\s+sheets?"
        r"|statements?\s+of\s+(consolidated\s+)?(financial\s+(position|condition)|condition)",
        re.I,
    ),
    "income": re.compile(
        r"statements?\s+of\s+(consolidated\s+)?(net\s+)?(operations|income|earnings|loss)"
        r"|statements?\s+of\s+(consolidated\s+)?comprehensive\s+(income|loss)"
        r"|income\s+statements?|results\s+of\s+operations|profit\s+and\s+loss",
        re.I,
    ),
    "cash_flow": re.compile(r"cash\s*flows?", re.I),
    "equity": re.compile(
        r"statements?\s+of\s+(?!(financial|operations|income|earnings|cash)\b)[^.;]{0,90}"
        r"\b(equity|deficit|deficiency|capital|investment|net\s+assets)\b"
        r"|\bchanges\s+in\s+[^.;]{0,60}\b(equity|deficit|deficiency|(partners|members)\W+capital)\b"
        r"|\b((stock|share)\W?(holders|owners)\W{0,3}s?\W*+)?equity\s+statements?\b",
        re.I,
    ),
}


def _compiled(kinds: Mapping[str, Sequence[str]]) -> dict[str, list[re.Pattern[str]]]:
    return {kind: [re.compile(pattern) for pattern in patterns] for kind, patterns in kinds.items()}


_ANCHORS = _compiled(
    {
        "balance_sheet": (
            r"total\s+(current\s+)?assets",
            r"total\s+(current\s+)?liabilities",
            r"(stockholders|shareholders|shareowners|members)\W*+(?:s\W*+)?(equity|deficit)"
            r"|total\s+(equity|deficit)",
            r"accounts\s+payable|deposits",
            r"retained\s+earnings|accumulated\s+deficit|reinvested",
        ),
        "income": (
            r"\bnet\s+(income|earnings|loss|\(loss|sales|revenue)|profit\s+for",
            r"revenues?|sales|interest\s+income|premiums",
            r"income\s+tax|taxes",
            r"per\s+(common\s+)?share|\bbasic\b|dilut",
            r"expenses?|costs?",
        ),
        "cash_flow": (
            r"operating\s+activities|operations",
            r"investing",
            r"financing",
            r"depreciation|amortization",
            r"(end|beginning)\s+of\s+(the\s+)?(period|year|quarter)"
            r"|net\s+(increase|decrease|change)",
        ),
    }
)
_NEEDED = _compiled(
    {
        "balance_sheet": (r"total\s+(liabilities|assets)|liabilities\s+and",),
        "income": (r"\bnet\s+\(?(income|earnings|loss)|profit|earnings|loss",),
        "cash_flow": (r"investing|investment", r"financing"),
    }
)
_NOT_IT = re.compile(
    r"parenthetical|consolidating|parent\s+company|pro\s+forma|selected|quarterly"
    r"|supplement(?!ary\s+data)|segment|condensed\s+financial\s+information|reconciliation|discontinued\s+operations?$",
    re.I,
)
_FEWEST = {"balance_sheet": 8, "income": 6, "cash_flow": 8}  # lines that a statement needs
_FEWEST_POINTS = 3  # kinds of lines of `_ANCHORS` that a statement needs
FEW = 4  # lines with figures that a balance sheet needs if it is all that a document has
_NEEDED_LINE = {
    "balance_sheet": "a total of assets or liabilities",
    "income": "net income, earnings, profit or loss",
    "cash_flow": "investing and financing",
}


def labels_of(layout: Layout) -> list[str]:
    """The first words of each line."""
    lines = [line for line in layout.body if line.words]
    last = max((n for n, line in enumerate(lines) if line.figures), default=-1)
    return [line.words[0].text.lower() for line in lines[: last + 1]]


def score(kind: str, labels: Sequence[str], title: str) -> float:
    """How well a table with these labels fits a statement; 0 if it cannot be one."""
    text = "\n".join(labels)
    if len(labels) < _FEWEST[kind] or not all(p.search(text) for p in _NEEDED[kind]):
        return 0.0
    points = sum(bool(pattern.search(text)) for pattern in _ANCHORS[kind])
    if points < _FEWEST_POINTS:
        return 0.0
    near = last_lines(title, 8)
    named = bool(_TITLES[kind].search(near))
    wrong = bool(_NOT_IT.search(last_lines(title, 4)))
    other_kind = kind != "cash_flow" and bool(re.search(r"investing\s+activities", text))
    other_kind |= kind == "income" and bool(re.search(r"total\s+assets", text))
    length = min(len(labels), 40) / 20
    return max(0.0, points + 3.0 * named - 3.0 * wrong - 4.0 * other_kind + length)


def is_short_balance_sheet(layout: Layout, title: str) -> bool:
    """Whether a short table is a full balance sheet: by its title and every line of figures."""
    labels = [line.words[0].text.lower() for line in layout.body if line.words and line.figures]
    points = sum(_has(pattern, labels) for pattern in _ANCHORS["balance_sheet"])
    near = last_lines(title, 4)
    return (
        len(labels) >= FEW
        and points >= _FEWEST_POINTS
        and all(_is_known("balance_sheet", label) for label in labels)
        and is_title("balance_sheet", near)
        and not _NOT_IT.search(near)
    )


def explain_missing(kind: str, layout: Layout) -> str:
    """Why a table with a statement's title is not read as one."""
    labels = labels_of(layout)
    recognised = sum(_is_known(kind, label) for label in labels)
    points = sum(_has(pattern, labels) for pattern in _ANCHORS[kind])
    if len(labels) < _FEWEST[kind]:
        lines = f"{len(labels)} lines ({recognised} recognised)"
        return f"it has {lines}, and {_FEWEST[kind]} are needed"
    if points < _FEWEST_POINTS:
        return (
            f"it has {points} of the {len(_ANCHORS[kind])} usual kinds of lines, and "
            f"{_FEWEST_POINTS} are needed"
        )
    if not all(_has(pattern, labels) for pattern in _NEEDED[kind]):
        return f"it has no line for {_NEEDED_LINE[kind]}"
    return "it looks like a part of a statement, or like another statement"


def _is_known(kind: str, label: str) -> bool:
    return any(pattern.search(label) for pattern in (*_ANCHORS[kind], *_NEEDED[kind]))


def _has(pattern: re.Pattern[str], labels: Sequence[str]) -> bool:
    return any(pattern.search(label) for label in labels)


def is_title(kind: str, line: str) -> bool:
    """Whether a line is a title of that statement.

    Long lines are no titles of equity: its pattern takes quadratic time.
    """
    if kind == "equity" and len(line) > _LONGEST_TITLE:
        return False
    return bool(_TITLES[kind].search(line))


def is_partial_title(title: str) -> bool:
    """Whether a title is about a part of the company, or beside a statement."""
    return bool(_NOT_IT.search(last_lines(title, 4)))


def last_lines(text: str, count: int) -> str:
    """The last lines of a text that are not empty."""
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:])
