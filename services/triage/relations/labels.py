"""Recognise the lines that identities need by their labels.

Companies choose their words freely. So a rule is a pattern that fits and one that must not.
Unrecognised lines still take part in sums.
"""

from __future__ import annotations

import re

from services.triage.statements.model import LONGEST_LABEL, Statement, cached_by_text

_NOTE = re.compile(r"\(?(see )?notes? [\d, and&]+\)?")
_SPACE = re.compile(r"\s+")


_TYPOGRAPHIC = str.maketrans({"\u2018": "'", "\u2019": "'", "\u2013": "-", "\u2014": "-", '"': ""})


@cached_by_text
def normalise(label: str) -> str:
    """Lower case, straight quotes, no note references, single spaces."""
    text = label[:LONGEST_LABEL].lower().translate(_TYPOGRAPHIC)
    return _SPACE.sub(" ", _NOTE.sub(" ", text)).strip(" :.-*")


Rule = tuple[re.Pattern[str], re.Pattern[str]]


def _rule(*fits: str, never: str = r"$^") -> Rule:
    return re.compile("|".join(fits)), re.compile(never)


def _activity(what: str, never: str = "continuing|discontinued") -> Rule:
    words = r"^(?>.*?(cash|net)\b)(?>.*?\b(flows?|provided|used|from|for|by|in)\b).*\b"
    return _rule(rf"{words}{what}\b", never=never)


_NET_INCOME = _rule(
    r"^(consolidated )?(net )?\(?(income|earnings|loss|losses|profit)\b",
    r"^net \(",
    never=r"\bper |before (income |provision|tax)|pre-?tax|\btax|interest (income|expense)|"
    r"continuing|discontinued|\bsales?\b|dispos|equity|invest|repay|issuance|realized|"
    r"attributable to (the )?(non-?contr|minor)|increase|decrease|impairment|securities|"
    r"operations|derivative|from |other than|interests?, net",
)

ROLES: dict[str, dict[str, Rule]] = {
    "balance_sheet": {
        "total_assets": _rule(
            r"^total assets$", r"^assets, total", r"^total consolidated assets$", r"^assets$"
        ),
        "total_current_assets": _rule(
            r"^total current assets$", r"^total assets, current", r"^current assets$"
        ),
        "total_current_liabilities": _rule(
            r"^total current liabilities$", r"^total liabilities, current", r"^current liabilities$"
        ),
        "total_liabilities_and_equity": _rule(
            r"^(total )?liabilities\b.*\b(equity|deficit|investment|capital|deficiency)\b",
            r"^total liabilities\b.*\bnet (assets|worth)$",
            r"^(total )?liabilities\b.*\bcapitalization\b",
            r"^total ([\w' ]+ )?(capitalization|capital|equity) and (other )?liabilities",
            r"^total$",
            never=r"excluding|before",
        ),
        "total_liabilities": _rule(
            r"^total liabilities$", r"^liabilities, total", r"^liabilities$"
        ),
        "total_equity": _rule(
            r"^total (\w+['\u2019]?s?['\u2019]? )?(equity|deficit|capital)\b",
            r"^(\w+['\u2019]?s?['\u2019]? )?equity$",
            r"^(total )?net assets$",
            r"^((share|stock)holders|owners|partners|members)'s? (funds|capital)$",
            r"^equity attributable to (the )?(owners|\w+holders) of the (parent|company)$",
            never=r"liabilities|securities",
        ),
        "cash": _rule(r"^(total )?cash\b", never=r"restricted|collateral|surrender|value"),
    },
    "income": {
        "revenue": _rule(
            r"^(total |net )*(operating )?(revenues?|sales)( |$)", never=r"cost|other"
        ),
        "cost_of_sales": _rule(r"^(total )?costs? of (goods|sales|revenues?|products?|services)\b"),
        "gross_profit": _rule(r"^gross (profit|margin|income)"),
        "operating_expenses": _rule(r"^(total )?operating expenses?$"),
        "operating_income": _rule(
            r"^(total )?(operating|\(?loss\)?) ?(income|profit|earnings|loss)\b",
            r"^(income|profit|earnings|loss) from operations",
            never=r"before|non-?operating",
        ),
        "pretax": _rule(r"^(income|earnings|profit|loss)\b.*\bbefore\b.*\btax", r"^pre-?tax"),
        "tax": _rule(
            r"^(provision|benefit|\(benefit\)|income tax|tax)\b.*\b(tax|expense|benefit|provision)",
            r"^(income )?taxes$",
            never=r"before|deferred|payable|current",
        ),
        "net_income": _NET_INCOME,
    },
    "cash_flow": {
        "operating": _activity("operat(ing|ions)", "adjust|continuing|discontinued"),
        "investing": _activity("invest(ing|ments)"),
        "financing": _activity("financing", "continuing|discontinued|non-?cash"),
        "exchange": _rule(r"\b(exchange|currency|translation)\b.*\bcash\b", r"^effect.*exchange"),
        "change": _rule(
            r"^(total |net )?\(?(increase|decrease|change)\b.*\bcash\b",
            r"^net (change|\(?(in|de)crease)[^a-z]*(\(?(in|de)crease\)?)?"
            r"( (in|for|of|during).*)?$",
            r"^cash.*(increase|decrease)",
            never=r"restricted cash$|escrow|collateral|exchange|operating|overdraft|"
            r"discontinued|held",
        ),
        "beginning": _rule(
            r"\bcash\b.*\b(beginning|start|opening)\b",
            r"^(beginning|opening)\b",
            r"^balance.*beginning",
            r"^at beginning",
            r"january 1",
            never=r"discontinued|held for sale",
        ),
        "ending": _rule(
            r"\bcash\b.*\b(end|ending|close|closing)\b",
            r"^(end|ending|closing)\b",
            r"^balance.*end",
            r"^at end",
            never=r"discontinued|held for sale|beginning|pending",
        ),
        "net_income": _NET_INCOME,
    },
}

ANCHOR = re.compile(
    r"\btotal\b|^net cash\b|^cash (flows? )?(provided|used|\(used|from)|"
    r"^gross (profit|margin)|^(operating|pre-?tax) (income|profit|earnings|\(loss|loss)|"
    r"\b(income|earnings|loss|profit)\)?( \(?(loss|income)\)?)? (from|before)\b|"
    r"^net (income|earnings|loss|\()|\bequity$|\bnet$|"
    r"^net (sales|revenues?|change|increase|decrease|property|other-than-temporary|otti)\b|"
    r"^comprehensive|^sub-?total\b|"
    r"\bend of (the )?(period|year|quarter)|^at end|^ending|"
    r"^(current )?(assets|liabilities)$|^liabilities and .*equity|\bequity \(defici\w+\)$|"
    r"^\(?(in|de)crease\)?( \(?(in|de)crease\)?)? in cash"
)
"""Labels that announce a sum."""

PER_SHARE = re.compile(r"\bper\b.*\b(share|unit|ads)\b|\beps\b|^basic\b|^dilut|dilution")
SHARES = re.compile(r"weighted|average.*shares|shares outstanding|number of (\w+ )?shares")
_CAPITAL = re.compile(
    r"\bat average cost\b|^(?!.*\b(weighted|average)\b).*\b(par value|stated value|at cost)\b"
)


def role_rows(statement: Statement, role: str) -> list[int]:
    """The rows with values whose label fits a role, in order."""
    return [
        index
        for index, row in enumerate(statement.rows)
        if _fits(statement.statement, role, row.label) and any(v is not None for v in row.values)
    ]


@cached_by_text
def _fits(kind: str, role: str, label: str) -> bool:
    rule = ROLES.get(kind, {}).get(role)
    if rule is None:
        return False
    fits, never = rule
    text = normalise(label)
    return bool(fits.search(text)) and not never.search(text)


@cached_by_text
def counts_shares(label: str) -> bool:
    """Whether a line counts shares. Labels of stock classes only mention a share count."""
    text = normalise(label)
    return bool(SHARES.search(text)) and not _CAPITAL.search(text)


@cached_by_text
def is_per_share(label: str) -> bool:
    """Whether a line is an amount per share."""
    return bool(PER_SHARE.search(normalise(label)))


@cached_by_text
def totals_activity(label: str) -> bool:
    """Whether a line may be the cash of an activity, in any words."""
    text = normalise(label)
    return "cash" in text and "activities" in text


@cached_by_text
def announces_sum(label: str) -> bool:
    """Whether a label announces a sum of the lines above."""
    return bool(ANCHOR.search(normalise(label)))


_MINUS = (
    "expense", "cost", "provision", "tax", "charges", "depreciation", "amortization", "less",
    "noncontrolling", "minority", "dividends", "loss on", "losses on", "impairment", "research",
    "general", "administrative", "benefits",
)  # fmt: skip
_PLUS = (
    "income from", "income before", "income (loss) from", "income (loss) before",
    "earnings before", "gain", "interest income", "equity in", "net income", "profit", "revenue",
    "sales", "other income", "income tax benefit", "benefit (", "(expense)", "(provision)",
    "earnings (loss)",
)  # fmt: skip


@cached_by_text
def sign_of(label: str) -> int:
    """The sign with which an income statement takes a line, by its label."""
    label = normalise(label)
    if any(word in label for word in _PLUS):
        return 1
    return -1 if any(word in label for word in _MINUS) else 1
