"""What the card says of stated risks, from the figures of `models.guarantee`."""

from __future__ import annotations

from typing import Any

from models.reliability import SHOWN
from services.extraction.guarantee import MOST_ANSWERS

UNMEASURED = "Not measured for this version."


def table(header: list[str], rows: list[list[str]]) -> str:
    """Lay out a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a person reads it; nothing for none."""
    return "" if share is None else f"{share:.{digits}%}"


def risk_text(report: dict[str, Any] | None, unshown: dict[str, Any] | None = None) -> str:
    """The proof, why what can't be promised can't, the maps, how reliable beliefs are, and how
    much is missed.

    Args:
        report: of `models.guarantee`.
        unshown: of `models.missed`.
    """
    if not report:
        return UNMEASURED
    refused = [one for one in report["promises"] if one["why_not"]]
    parts = [
        f"{report['shown']} shown clauses of {report['families']} families that were not seen, "
        f"{report['wrong']} of them wrong by the legal metric. {report['draws']} draws at "
        f"{report['level']:.0%} confidence. *Drawn*: as many families as there are, with "
        "replacement; the risk that came out is that over all families, which is then the true "
        "one, so it may be exceeded in "
        f"{1 - report['level']:.0%} of the draws. *Halves*: the threshold is chosen on one half, "
        "the risk is what the other half has, with the chance of that half in it. *Covered* is the "
        "share of shown clauses that no person is asked about, none in a draw in which nothing "
        "can be promised.",
        proof_table(report["proof"]),
        *(f"At {one['max_wrong']:.0%}: {one['why_not']}." for one in refused),
        "Clauses accepted of all shown, by the test that is used. Betting is the one that ships:",
        pivot(report["bounds"], "bound", lambda one: str(one["accepted"]), report),
        "Maps from confidence to the share that is right, each fitted on other folds: expected "
        "calibration error over shown clauses, ten bins, and clauses accepted at each risk. The "
        "map that ships is Platt's by category; those of smaller error accept less at small risks, "
        "because they rank the categories' clauses less well against each other:",
        maps_table(report),
        "Reliability of the map that ships, on folds that it was not fitted on:",
        SHOWN,
        table(
            ["shown clauses", "mean belief", "right"],
            [[str(n), f"{b:.3f}", f"{r:.3f}"] for n, b, r in report["reliability"]],
        ),
        f"By category there is hardly enough data for a threshold of its own: {alone(report)}. So "
        "one threshold of belief serves all, and the share that it promises is that over all "
        "categories; single ones are better or worse. What it accepts of each, on these contracts "
        "(from which confidence, how many, wrong ones among them):",
        categories_table(report),
        "To miss at most a share of a new company's true clauses (in expectation, by conformal "
        "risk control), show those above: " + missed(report) + ".",
        *([missed_text(unshown)] if unshown else []),
    ]
    return "\n\n".join(parts)


def missed_text(unshown: dict[str, Any]) -> str:
    """How much is shown for a stated share of missed clauses, and whether that is kept."""
    return "\n\n".join(
        [
            f"With {unshown['level']:.0%} confidence, as `smallprint extract --max-missed R` "
            "promises it, by the same test with true clauses in the place of accepted ones and "
            f"missed ones in that of wrong ones; a company counts with at most {MOST_ANSWERS:.0f} "
            "true clauses, which was chosen among four on these contracts. Usually "
            f"{unshown['usually_missed'] / unshown['answers']:.1%} of "
            f"{unshown['answers']} are missed, above {unshown['usual']:.3f} "
            f"({unshown['usually_shown']:.1f} clauses shown in a contract). {unshown['draws']} "
            "draws as above; `python -m models.missed` prints it:",
            missed_table(unshown),
        ]
    )


def missed_table(unshown: dict[str, Any]) -> str:
    """One row a share."""
    header = ["missed at most", "shown above", "missed", "shown in a contract"]
    header += ["attained", "drawn", "exceeded", "halves", "exceeded"]
    rows = []
    for one in unshown["shares"]:
        drawn, halves = one["drawn"], one["halves"]
        made = one["above"] is not None
        line = [f"{one['share']:.0%}"]
        line += [f"{one['above']:g}" if made else "not attainable"]
        line += [percent(one["missed"] / unshown["answers"]) if made else ""]
        line += [f"{one['shown']:.1f}" if made else "", percent(drawn["attained"], 0)]
        line += [percent(drawn["risk"]), percent(drawn["exceeded"])]
        rows.append([*line, percent(halves["risk"]), percent(halves["exceeded"])])
    return table(header, rows)


def proof_table(rows: list[dict[str, Any]]) -> str:
    """One row a risk and way to accept."""
    header = [
        "risk",
        "accepted is",
        "attained",
        "drawn",
        "exceeded",
        "halves",
        "exceeded",
        "covered",
    ]
    lines = []
    for one in rows:
        drawn, halves = one["drawn"], one["halves"]
        line = [f"{one['risk']:.0%}", one["way"], percent(drawn["attained"], 0)]
        line += [percent(drawn["risk"]), percent(drawn["exceeded"])]
        line += [percent(halves["risk"]), percent(halves["exceeded"])]
        lines.append([*line, percent(drawn["covered"], 0)])
    return table(header, lines)


def pivot(rows: list[dict[str, Any]], key: str, cell: Any, report: dict[str, Any]) -> str:
    """One row a name, one column a risk."""
    risks = [one["max_wrong"] for one in report["promises"]]
    names = list(dict.fromkeys(one[key] for one in rows))
    cells = {(one[key], one["risk"]): cell(one) for one in rows}
    lines = [[name, *(cells[name, risk] for risk in risks)] for name in names]
    return table(["", *(f"{risk:.0%}" for risk in risks)], lines)


def maps_table(report: dict[str, Any]) -> str:
    """One row a map."""
    risks = [str(one["max_wrong"]) for one in report["promises"]]
    header = ["map", "error", *(f"{float(risk):.0%}" for risk in risks)]
    rows = [
        [one["map"], f"{one['ece']:.3f}", *(str(one["accepted"][risk]) for risk in risks)]
        for one in report["maps"]
    ]
    return table(header, rows)


def attained(report: dict[str, Any]) -> list[str]:
    """The risks that can be promised."""
    return [str(one["max_wrong"]) for one in report["promises"] if not one["why_not"]]


def alone(report: dict[str, Any]) -> str:
    """Which categories could have a threshold of their own."""
    said = []
    for one in report["promises"]:
        risk = str(one["max_wrong"])
        able = [name for name, line in report["categories"].items() if line[risk]["alone"]]
        names = ", ".join(able) if 0 < len(able) <= 4 else f"{len(able) or 'none'}"
        said.append(f"at {one['max_wrong']:.0%} {names}")
    return "; ".join(said)


def categories_table(report: dict[str, Any]) -> str:
    """One row a category, for the risks that can be promised."""
    risks = attained(report)
    if not risks:
        return "Nothing is accepted."
    header = ["category", "shown", *(f"{float(risk):.0%}" for risk in risks)]
    rows = []
    for name, line in report["categories"].items():
        cells = [
            f"{line[risk]['from']:.2f}: {line[risk]['accepted']}, {line[risk]['wrong']} wrong"
            if line[risk]["accepted"]
            else "none"
            for risk in risks
        ]
        rows.append([name, str(line["shown"]), *cells])
    return table(header, rows)


def missed(report: dict[str, Any]) -> str:
    """From which confidence clauses must be shown for each share missed."""
    return ", ".join(
        f"{one['missed']:.0%} "
        + ("not attainable" if one["shown_above"] is None else f"above {one['shown_above']:g}")
        for one in report["missed"]
    )
