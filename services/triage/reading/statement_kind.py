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
FEW = 4  # lines with figures that a statement of usual lines needs
_MAIN = _compiled(
    {
        "cash_flow": (
            r"operating|operations",
            r"(increase|decrease|change)\W+in\s+(total\s+)?cash|net\s+(increase|decrease|change)"
            r"|end\s+of",
        )
    }
)
"""Lines of a short statement, if other ones than `_NEEDED`: a small company may not invest."""
_BARE_TITLES = {
    "balance_sheet": re.compile(
        r"\bbalance\s+sheets?\b|\bstatements?\s+of\s+(consolidated\s+)?financial\s+"
        r"(position|condition)\b",
        re.I,
    ),
    "income": re.compile(
        r"\bstatements?\s+of\s+(consolidated\s+)?(net\s+)?(operations|income|earnings|loss)\b"
        r"|\bincome\s+statements?\b|\bprofit\s+and\s+loss\s+(statements?|accounts?)\b",
        re.I,
    ),
    "cash_flow": re.compile(
        r"\bstatements?\s+of\s+(consolidated\s+)?cash\s+flows?\b|\bcash\s+flows?\s+statements?\b",
        re.I,
    ),
}
_PARENT = re.compile(r"\bparent\s+company(\s+only)?\b", re.I)
_WORDS = re.compile(r"[A-Za-z]+")
_SHARE_DATA = re.compile(r"\bshare\s+data\b", re.I)
_BESIDE_TITLE = re.compile(
    r"(un)?audited|consolidated|condensed|interim|comparative|comprehensive|continued|restated"
    r"|statements?|operations|income|earnings|loss|deficit|of|the|and|for|as|at|in|end(ed|ing)"
    r"|fiscal|years?|quarters?|months?|weeks?|periods?|first|second|third|fourth|one|two|three|six"
    r"|nine|twelve|thirteen|twenty|thirty|thousands?|millions?|billions?|us|u|s|usd|dollars?"
    r"|amounts|expressed|stated|except|per|shares?"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
    r"|january|february|march|april|may|june|july|august|september|october|november|december",
    re.I,
)
"""A word that may be beside the name of a statement in its title."""
_NO_COMPANY = re.compile(
    r"in|on|to|from|by|with|see|note|table|components|effects?|impact|amounts|recogni[sz]ed|included"
    r"|classification|location|details|data|information|related|other|free|summari[sz]ed"
    r"|joint|venture|affiliates?|investees?|guarantors?",
    re.I,
)
"""A word that no company's name has. Titles of tables in notes have it."""
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


def is_short_statement(kind: str, layout: Layout, above: str) -> bool:
    """Whether a table of at least `FEW` lines is under a statement's title, and has its main lines.

    Args:
        above: the text above the table.
    """
    labels = [line.words[0].text.lower() for line in layout.body if line.words and line.figures]
    head = [" ".join(cell.text for cell in line.words) for line in layout.head]
    near = [*last_lines(above, 4).splitlines(), *head]
    return (
        len(labels) >= FEW
        and all(_has(pattern, labels) for pattern in _MAIN.get(kind, _NEEDED[kind]))
        and any(_is_bare_title(kind, line) for line in near)
        and not any(_NOT_IT.search(line) for line in near)
    )


def without_parent(title: str) -> str:
    """A title without the words that it is about the parent company alone."""
    return _PARENT.sub("", title)


def _is_bare_title(kind: str, line: str) -> bool:
    """Whether a line has nothing but a statement's title, a company, days and units.

    "Balance sheet components" and "Amounts recognised in the balance sheet" are titles of notes.
    """
    line = _SHARE_DATA.sub("", line)
    title = _BARE_TITLES[kind].search(line)
    if not title or len(line) > _LONGEST_TITLE:
        return False
    before, after = _WORDS.findall(line[: title.start()]), _WORDS.findall(line[title.end() :])
    return all(map(_BESIDE_TITLE.fullmatch, after)) and all(
        (word[0].isupper() and not _NO_COMPANY.fullmatch(word)) or _BESIDE_TITLE.fullmatch(word)
        for word in before
    )


def is_known(kind: str, label: str) -> bool:
    """Whether a label is one of the usual kinds of lines of a statement."""
    return any(pattern.search(label.lower()) for pattern in (*_ANCHORS[kind], *_NEEDED[kind]))


def explain_missing(kind: str, layout: Layout) -> str:
    """Why a table with a statement's title is not read as one."""
    labels = labels_of(layout)
    points = sum(_has(pattern, labels) for pattern in _ANCHORS[kind])
    if len(labels) < _FEWEST[kind]:
        usual = f", or {FEW} if all are usual" if len(labels) >= FEW else ""
        return f"it has {len(labels)} lines, and {_FEWEST[kind]} are needed{usual}"
    if points < _FEWEST_POINTS:
        return (
            f"it has {points} of the {len(_ANCHORS[kind])} usual kinds of lines, and "
            f"{_FEWEST_POINTS} are needed"
        )
    if not all(_has(pattern, labels) for pattern in _NEEDED[kind]):
        return f"it has no line for {_NEEDED_LINE[kind]}"
    return "it looks like a part of a statement, or like another statement"


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
