"""Figures of the errors that companies corrected later."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

CORRECTED, IMPLIED = "corrected.json", "implied_shares.json"
"""Files beside the predictions."""
CONTRADICTED = "contradicted.toml"
"""File with the errors that a reader found."""
Figures = Mapping[str, Any]
SEEN = ("page", "tag", "nowhere", "restated")
"""Places where an error is visible: see `models.triage_breaks.corrected.Revised`."""
WAYS = ("learned", "shipped", "beside")
"""Methods: a forest that has not seen the company, the shipped one, and earlier filings."""
UNITS = ("implied_shares", "earlier_filing_scale")
"""Checks that were written after these errors were examined."""


def of_corrections(corrected: Figures, predicted: Sequence[Figures], at: float) -> dict[str, Any]:
    """Return the figures of later corrected errors; empty if they were not measured.

    Args:
        predicted: all predictions; those of the set `corrected` are the wrong filings.
    """
    if not corrected:
        return {}
    risks = {p["id"]: p["risk"] for p in predicted if p["set"] == "corrected"}
    filings = [_filing(entry, risks, at) for entry in corrected["filings"]]
    companies: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in corrected["pairs"]:
        companies[pair["company"]][pair["seen"]] += pair["rows"]
    for entry in filings:
        for way in WAYS:
            companies[entry["company"]][way] += bool(entry[way])
        companies[entry["company"]]["filings"] += 1
    return {
        "facts": {seen: sum(c[seen] for c in companies.values()) for seen in SEEN},
        "because": _because(corrected["pairs"]),
        "companies": {name: dict(counts) for name, counts in sorted(companies.items())},
        "filings": filings,
        "apart": len(risks),
    }


def _filing(entry: Figures, risks: Mapping[str, float], at: float) -> dict[str, Any]:
    risk = risks[entry["filing"]]
    alone, with_earlier = entry["alone"], entry["with_earlier"] or entry["alone"]
    learned = [check for check in alone["named_by"] if check not in UNITS]
    return {
        "company": entry["company"],
        "filing": entry["filing"],
        "form": entry["form"],
        "facts": entry["facts"],
        "risk": risk,
        "learned": learned if risk > at else [],
        "shipped": alone["named_by"] if alone["flagged"] else [],
        "earlier_filings": entry["earlier_filings"],
        "beside": with_earlier["named_by"] if with_earlier["flagged"] else [],
        "surest_doubt": entry["surest_doubt"],
        "differs": entry["differs"],
    }


def _because(pairs: Sequence[Figures]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for pair in pairs:
        counts[pair["because"]] += pair["rows"]
    return dict(counts.most_common())
