"""The card's part about errors that companies corrected later, and about wholly wrong units.

Figures are made of what `models.triage.corrected` and `models.triage.implied_shares` wrote beside
the predictions, and of the predictions themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from models.risk_card import table

CORRECTED, IMPLIED = "corrected.json", "implied_shares.json"
"""Files beside the predictions."""
Figures = Mapping[str, Any]
SEEN = ("page", "tag", "nowhere", "restated")
"""Where an error can be seen, as `models.triage.corrected.Revised` has it."""
WAYS = ("learned", "shipped", "beside")
"""Judged unseen by what was learned; by what ships; by what ships, beside earlier filings."""
UNITS = ("implied_shares", "earlier_filing_scale")
"""Checks that came after the errors below were looked at."""


def of_corrections(known: Figures, predicted: Sequence[Figures], at: float) -> dict[str, Any]:
    """What is found of what companies corrected; empty where that was not measured.

    Args:
        known: corrected.json.
        predicted: all predictions, of which each filing has one as it is.
        at: risk above which a filing is flagged.
    """
    if not known:
        return {}
    risks = {p["id"]: (p["risk"], p["set"]) for p in predicted if p["set"] in ("own", "corrected")
             and p["type"] is None}  # fmt: skip
    filings = [_filing(one, risks, at) for one in known["filings"]]
    on_page = {one["filing"] for one in filings}
    apart = {name: value for name, (value, part) in risks.items() if part == "corrected"}
    others = {name: value for name, value in apart.items() if name not in on_page}
    companies: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in known["pairs"]:
        companies[pair["company"]][pair["seen"]] += pair["rows"]
    for one in filings:
        for way in WAYS:
            companies[one["company"]][way] += bool(one[way])
        companies[one["company"]]["filings"] += 1
    return {
        "facts": {seen: sum(c[seen] for c in companies.values()) for seen in SEEN},
        "because": _because(known["pairs"]),
        "companies": {name: dict(counts) for name, counts in sorted(companies.items())},
        "filings": filings,
        "apart": len(apart),
        "others": len(others),
        "others_flagged": [name for name, value in others.items() if value > at],
    }


def _filing(one: Figures, risks: Mapping[str, tuple[float, str]], at: float) -> dict[str, Any]:
    risk, part = risks[one["filing"]]
    alone, beside = one["alone"], one["with_earlier"] or one["alone"]
    learned = [check for check in alone["named_by"] if check not in UNITS]
    return {
        "company": one["company"],
        "filing": one["filing"],
        "form": one["form"],
        "facts": one["facts"],
        "part": part,
        "risk": risk,
        "learned": learned if risk > at else [],
        "shipped": alone["named_by"] if alone["flagged"] else [],
        "earlier_filings": one["earlier_filings"],
        "beside": beside["named_by"] if beside["flagged"] else [],
        "surest_doubt": one["surest_doubt"],
        "differs": one["differs"],
    }


def _because(pairs: Sequence[Figures]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for pair in pairs:
        counts[pair["because"]] += pair["rows"]
    return dict(counts.most_common())


def section(f: Figures) -> str:
    """The part of the card; nothing of what was not measured."""
    return _units(f["implied_shares"]) + _corrected(f["corrected"])


def _units(measured: Figures) -> str:
    if not measured:
        return ""
    counts = [
        [name, f"{found}/{count}", f"{found / max(count, 1):.1%}"]
        for name, (found, count) in (measured["untouched"] | measured["spoiled"]).items()
    ]
    shown = measured["shares_shown"]
    return f"""## Units that earnings per share refute

Beside the forest one rule flags by itself (`implied_shares`; measured by
`python -m models.triage.implied_shares`): net income divided by earnings a share is a number of
shares that no company has. No figure above counts it. It was written, and its bounds were chosen,
after a look at these filings. Of untouched ones it doubts {_listed(measured["doubted"])}; see what
companies corrected later, below. The numbers of shares that statements show beside are no help:
in {shown[0]} of {shown[1]} filings that have them they are far off, in a unit of their own.

The first {len(measured["untouched"])} rows are of untouched filings; then come copies with all
amounts in another unit (smaller only where they stay whole), and errors of unit that the forest is
measured on:

{table(["filings", "doubted", ""], counts)}

"""


def _corrected(c: Figures) -> str:
    if not c:
        return ""
    facts, filings = c["facts"], c["filings"]
    many, companies = len(filings), sum("filings" in n for n in c["companies"].values())
    found = {way: sum(bool(one[way]) for one in filings) for way in WAYS}
    return f"""## Errors that companies corrected later

{sum(facts.values())} facts of {len(c["companies"])} companies have the other sign in a later
filing, or are a thousand or a million times as large there (`scale_1000x`, `sign_flip` of
revisions.jsonl; decided and judged by `python -m models.triage.corrected`). That says neither which
of the two filings was wrong nor that a page was. Which was wrong is told by:

{table(["because", "facts"], [[why, str(count)] for why, count in c["because"].items()])}

Triage is given what a page shows. {facts["page"]} facts are wrong on a page; {facts["tag"]} in the
tag alone, for both pages show the same; {facts["nowhere"]} are of lines that the statements here
lack, such as numbers of shares; {facts["restated"]} are restated, and no errors. **Filings that
show an error: {many}, of {companies} companies.** One is found if it is flagged and a finding names
the line or a sum with it, its statement and its column, or says that the filing is off as a whole:

* by what was learned, judged without its company: {found["learned"]} of {many};
* by what ships, which has learned from other filings of these companies: {found["shipped"]} of
  {many};
* by what ships, beside earlier filings of the company: {found["beside"]} of {many}.

`{"` and `".join(UNITS)}` were written after a look at these very errors: that they
find one says nothing of others.

{table(_OF_FILINGS, [_line_of(one) for one in filings])}

Those that are missed are signs of one line. `surest doubt of it` is what the shipped forest thinks
of the line or a sum with it: a doubt that is too lawful, for many companies show it so; or nothing
that is compared has to do with it.

By company, facts by where they are wrong, and filings found of those that show an error:

{table(_OF_COMPANIES, [_line_of_company(name, n) for name, n in c["companies"].items()])}

{_what_was_learned(c)}

"""


def _what_was_learned(c: Figures) -> str:
    """What training made of these filings, as it is now."""
    own = [one["filing"] for one in c["filings"] if one["part"] == "own"]
    if not own and not c["others"]:
        return """What shows such an error was left out of all that was learned, and of the
untouched filings above."""
    return f"""The {c["apart"]} filings that stand first in such a pair are no examples of the
training and no untouched ones above, though {c["others"]} of them show no such error. Those that
stand later are both, as if sound, and that is wrong of {_listed(own)}. What lines mean elsewhere
(experience) was learned from all filings, these included. The next training leaves out what shows
such an error, and only that. Of the {c["others"]} that show none, flagged for something else and
not counted as found: {_listed(c["others_flagged"])}."""


_OF_FILINGS = ["company", "filing", "facts", "above", "risk, unseen", "surest doubt of it", "named",
               "named beside earlier ones"]  # fmt: skip
_OF_COMPANIES = ["company", "page", "tag", "no line", "restated", *WAYS]


def _line_of(one: Figures) -> list[str]:
    part = "untouched" if one["part"] == "own" else "apart"
    kind, chance = one["surest_doubt"] or ("nothing", 0.0)
    missed = "in a warning" if one["differs"] else "no"
    beside = _by(one["beside"], missed) if one["earlier_filings"] else "there are none"
    return [one["company"], f"{one['form']} {one['filing']}", str(one["facts"]), part,
            f"{one['risk']:.2f}", f"{kind} {chance:.2f}" if one["surest_doubt"] else kind,
            _by(one["shipped"]), beside]  # fmt: skip


def _line_of_company(name: str, counts: Figures) -> list[str]:
    count = counts.get("filings", 0)
    found = [f"{counts[way]}/{count}" if count else "" for way in WAYS]
    return [name, *(str(counts.get(seen, 0)) for seen in SEEN), *found]


def _by(checks: Sequence[str], otherwise: str = "no") -> str:
    return ", ".join(f"`{check}`" for check in checks) or otherwise


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
