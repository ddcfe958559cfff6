"""Writes `CARD.md` of `narrative-flags` from its scores: python -m models.flags.card."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import beta

from models.flags.folds import DRAWS
from models.reliability import SHOWN, maps_rows, write_drawing
from services.triage.narrative.gate import BY_NAME
from services.triage.narrative.model import DATA_FILE, MANIFEST_FILE, NAME, Narrative
from shared.artefacts import newest

Rows = Sequence[Sequence[str]]
SAID = {"tfidf": "TF-IDF", "words": "as shipped", "states": "head on states", "both": "both"}


def table(header: Sequence[str], rows: Rows) -> str:
    """Return a Markdown table, figures to the right."""
    line = "| " + " | ".join(header) + " |"
    below = "| --- |" + " ---: |" * (len(header) - 1)
    return "\n".join([line, below, *("| " + " | ".join(row) + " |" for row in rows)])


def shown(figure: Sequence[float]) -> str:
    """A figure with its interval."""
    value, low, high = figure
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def counts_table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """One row a family of the data: what was labelled, and whether it ships."""
    rows = [
        [name, *(str(n) for n in found.values()), "yes" if name in BY_NAME else "no: too few"]
        for name, found in counts.items()
    ]
    header = ["", "positive", "negative", "ambiguous", "companies with a positive", "learned"]
    return table(header, rows)


def areas_table(families: Mapping[str, Any]) -> str:
    """One row a family: the area of each way."""
    ways = list(next(iter(families.values()))["auc"])
    rows = [
        [name, str(one["sentences"]), str(one["companies"]), *(shown(one["auc"][w]) for w in ways)]
        for name, one in families.items()
    ]
    return table(["", "sentences", "companies", *(SAID[way] for way in ways)], rows)


def differences_table(families: Mapping[str, Any]) -> str:
    """One row a family: by how much the shipped way is better, and what states would add."""
    rows = [
        [name, signed(one["over_tfidf"]), signed(one["states_add"]) if "states_add" in one else ""]
        for name, one in families.items()
    ]
    return table(["", "shipped over TF-IDF", "states beside it would add"], rows)


def surely(families: Mapping[str, Any]) -> str:
    """Of which families what ships is surely better than our own TF-IDF, in a sentence."""
    better = [name for name, one in families.items() if one["over_tfidf"][1] > 0]
    if better:
        return f"What ships is surely better than our own TF-IDF for {', '.join(better)} alone."
    return (
        "For no family is what ships surely better than our own TF-IDF: each interval of that "
        "difference reaches below zero."
    )


def folds_table(folds: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """One row a family: the area of TF-IDF by what a fold is made of."""
    ways = list(next(iter(folds.values())))
    rows = [[name, *(shown(found[way]) for way in ways)] for name, found in folds.items()]
    return table(["", *(f"folds of {way}" for way in ways)], rows)


def signed(figure: Sequence[float]) -> str:
    """A difference with its interval."""
    value, low, high = figure
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def flags_table(families: Mapping[str, Any]) -> str:
    """One row a family: precision and recall, of the keyword and as shipped."""
    rows = [
        [name, *(shown(one[kind][way]) for way in ("keyword", "words")
                 for kind in ("precision", "recall"))]
        for name, one in families.items()
    ]  # fmt: skip
    header = ["", "keyword: precision", "recall", "as shipped: precision", "recall"]
    return table(header, rows)


def bins_table(families: Mapping[str, Any]) -> str:
    """One row a family and bin: what is said, and how often it is right."""
    rows = [
        [f"{name}, from {one['from']:.1f}", str(one["sentences"]), f"{one['said']:.2f}",
         f"{one['right']:.2f}"]
        for name, found in families.items()
        for one in found["bins"]
    ]  # fmt: skip
    return table(["", "sentences", "said", "right"], rows)


def filings_table(filings: Mapping[str, Any], judged: Sequence[Mapping[str, Any]]) -> str:
    """One row a family: in how many real filings something is flagged, and how often rightly.

    Raises:
        ValueError: something was flagged that nobody has judged.
    """
    right = {(one["file"], one["family"], one["start"]): one["right"] for one in judged}
    rows = []
    for name, gated in filings["gated"].items():
        found = [one for one in filings["surest"] if one["family"] == name]
        keys = [(one["file"], name, one["start"]) for one in found]
        if unknown := [key for key in keys if key not in right]:
            raise ValueError(f"nobody has judged {unknown}: look at them, and add to judged.json")
        good = [right[key] for key in keys]
        strong = [good[i] for i, one in enumerate(found) if one["strong"]]
        rows.append([name, str(gated), str(len(found)), str(sum(good)), str(len(strong)),
                     str(sum(strong))])  # fmt: skip
    header = ["filings", "with a keyword", "with a flag", "of these right", "a person is asked",
              "of these right"]  # fmt: skip
    return table(header, rows)


def asked_wrongly(filings: Mapping[str, Any], judged: Sequence[Mapping[str, Any]]) -> str:
    """In how many filings a person would be asked, in how many wrongly, and at most in how many
    of others (Clopper and Pearson, 1934; one-sided 95%).
    """
    right = {(one["file"], one["family"], one["start"]): one["right"] for one in judged}
    strong = [one for one in filings["surest"] if one["strong"]]
    wrong = {one["file"] for one in strong if not right[one["file"], one["family"], one["start"]]}
    size, count = filings["filings"], len(wrong)
    most = float(beta.ppf(0.95, count + 1, size - count))
    asked = len({one["file"] for one in strong})
    return (
        f"asked about {asked} of {size} filings, wrongly about {count} (at most {most:.1%} at 95%)"
    )


def wrong_list(judged: Sequence[Mapping[str, Any]]) -> str:
    """What was wrong, and why."""
    rows = [one for one in judged if not one["right"]]
    return "\n".join(f"* `{one['file']}`, {one['family']}: {one['why']}" for one in rows)


def card(folder: Path, artefacts: Path) -> str:
    """Return the text of the card.

    Args:
        folder: of the specialist, with what the other programs wrote.
        artefacts: with what ships.
    """
    scores, filings, judged, folds = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("scores", "filings", "judged", "folds")
    )
    sizes = [one["sentences"] for one in scores["families"].values()]
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    narrative = Narrative.load(artefacts)
    place = newest(artefacts, NAME, MANIFEST_FILE)
    reads = narrative.families
    return (
        (folder / "CARD.in.md")
        .read_text(encoding="utf-8")
        .format(
            version=narrative.version,
            size=(place / DATA_FILE).stat().st_size / 1e3,
            licence=config["data"]["licence"],
            counts=counts_table(scores["counts"]),
            areas=areas_table(scores["families"]),
            differences=differences_table(scores["families"]),
            surely=surely(scores["families"]),
            fewest=min(sizes),
            most=max(sizes),
            draws=DRAWS,
            folds=folds_table(folds),
            flags=flags_table(scores["families"]),
            bins=bins_table(scores["families"]),
            drawing=SHOWN,
            errors=", ".join(
                f"{name} {one['calibration_error']:.3f}" for name, one in scores["families"].items()
            ),
            sentences=scores["calibration"]["sentences"],
            maps=table(["map", "error", "Brier"], maps_rows(scores["calibration"]["maps"])),
            whole=filings["filings"],
            filings=filings_table(filings, judged),
            asked=asked_wrongly(filings, judged),
            wrong=wrong_list(judged),
            shown=", ".join(f"{name} {one.shown:g}" for name, one in reads.items()),
            strong=", ".join(f"{name} {one.strong:g}" for name, one in reads.items() if one.strong),
        )
    )


def main() -> None:
    """Read the command line and write the card."""
    parser = argparse.ArgumentParser(description="Write CARD.md from the scores.")
    parser.add_argument("--specialist", type=Path, default=Path("models/narrative-flags"))
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    text = card(arguments.specialist, arguments.artefacts)
    (arguments.specialist / "CARD.md").write_text(text, encoding="utf-8")
    write_drawing(arguments.specialist, "narrative-flags")


if __name__ == "__main__":
    main()
