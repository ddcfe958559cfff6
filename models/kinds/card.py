"""Writes `CARD.md` of `document-kind` from its scores: python -m models.kinds.card."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.kinds.corpus import KINDS, MOST, SOME
from models.reliability import SHOWN, tenths_rows, write_drawing
from shared.artefacts import newest
from shared.linear import DATA_FILE, MANIFEST_FILE, LinearManifest, read_manifest

Rows = Sequence[Sequence[str]]


def table(header: Sequence[str], rows: Rows) -> str:
    """Return a Markdown table, figures to the right."""
    line = "| " + " | ".join(header) + " |"
    below = "| --- |" + " ---: |" * (len(header) - 1)
    return "\n".join([line, below, *("| " + " | ".join(row) + " |" for row in rows)])


def figures_table(parts: Mapping[str, Any], ways: Sequence[str]) -> str:
    """One row a way and form: the mean of recalls, and by how much the linear one is better."""
    rows = []
    for side, forms in parts.items():
        for form, found in forms.items():
            for way in ways:
                one, more = found[way], found["difference"].get(way)
                row = [f"{side}, {form}, {way}", str(one["documents"]), _share(one["mean_recall"])]
                row.append(_between(one["interval"]))
                row.append(f"{more['value']:+.3f} ({_between(more['interval'])})" if more else "")
                rows.append(row)
    header = ["", "documents", "mean recall", "95% interval", "linear is better by"]
    return table(header, rows)


def kinds_table(found: Mapping[str, Any]) -> str:
    """One row a kind and form: precision and recall of the linear model on fold 4."""
    rows = []
    for form, ways in found.items():
        for kind in KINDS:
            one = ways["linear"]
            row = [f"{form}, {kind}", _share(one["precision"][kind]), _share(one["recall"][kind])]
            rows.append(row)
    return table(["", "precision", "recall"], rows)


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _between(interval: Sequence[float]) -> str:
    low, high = interval
    return f"{low:.3f} to {high:.3f}"


def counts_table(rows: Mapping[str, Mapping[str, int]]) -> str:
    """One row a group of documents: how many are right, asked about, and taken wrongly."""
    shown = [[name, *(str(n) for n in found.values())] for name, found in rows.items()]
    header = ["", "documents", "right", "asked", "taken wrongly", "of these put aside", "else"]
    return table(header, shown)


def asked_table(scores: Mapping[str, Any]) -> str:
    """One row a side and form."""
    sides = scores["asked"].items()
    return counts_table({f"{side}, {form}": n for side, f in sides for form, n in f.items()})


def sources_table(scores: Mapping[str, Any]) -> str:
    """One row a corpus: how many documents each side has."""
    parts = list(scores["corpora"].values())
    rows = []
    for name in sorted({name for part in parts for name in part}):
        counts = (part[name]["documents"] if name in part else 0 for part in parts)
        rows.append([name, *map(str, counts)])
    return table(["kind: corpus", *scores["corpora"]], rows)


def errors_text(calibration: Mapping[str, Any]) -> str:
    """The calibration errors of the sides, in words."""
    return ", ".join(f"{one['error']:.3f} ({side})" for side, one in calibration["sides"].items())


def reliability_table(calibration: Mapping[str, Any]) -> str:
    """One row a side and tenth: what was said, and what came out."""
    rows = [
        [side, *row]
        for side, one in calibration["sides"].items()
        for row in tenths_rows(one["tenths"])
    ]
    return table(["", "texts", "said", "right"], rows)


def calibrations_table(calibration: Mapping[str, Any]) -> str:
    """One row a map: its calibration error and Brier score on every side."""
    sides = calibration["maps"]
    rows = [
        [name, *(f"{sides[side][name][key]:.{digits}f}"
                 for side in sides for key, digits in (("error", 3), ("brier", 4)))]
        for name in next(iter(sides.values()))
    ]  # fmt: skip
    return table(
        ["map", *(f"{side}{key}" for side in sides for key in (": error", ": Brier"))], rows
    )


def met_table(known: Mapping[str, Mapping[str, float]]) -> str:
    """One row a group of texts: the least and the most of their shares."""
    names = ("least", "hundredth", "median", "most")
    rows = [
        [name, str(found["documents"]), *(f"{found[k]:.2f}" for k in names)]
        for name, found in known.items()
    ]
    return table(["", "texts", "least", "1 in 100", "median", "most"], rows)


def pages_table(pages: Mapping[str, Mapping[str, int]]) -> str:
    """One row a way to spoil a page: how many there are, and how many each way calls spoiled."""
    rows = [[name, *(str(n) for n in found.values())] for name, found in pages.items()]
    return table(["", "pages", "unknown characters", "the rule", "linear"], rows)


def card(
    template: str,
    config: Mapping[str, Any],
    manifest: LinearManifest,
    size: int,
    scores: Mapping[str, Any],
    pages: Mapping[str, Mapping[str, int]],
) -> str:
    """Return the text of the card.

    Args:
        template: what a person wrote, with the names of figures in braces.
        config: of the specialist.
        manifest: of the shipped model.
        size: of the shipped model, in bytes.
        scores: as `models.kinds.scores` wrote them.
        pages: as `models.kinds.pages` wrote them.
    """
    sure = manifest.thresholds
    return template.format(
        version=manifest.version,
        places=manifest.places,
        reads=manifest.reads,
        size=size / 1e6,
        thresholds=", ".join(f"{kind} {sure[kind]:.3f}" for kind in manifest.labels),
        known=sure["known"],
        words=sure["words"],
        most=MOST,
        some=SOME,
        licence=config["data"]["licence"],
        sources=sources_table(scores),
        figures=figures_table(scores["figures"], ("type", "rules", "linear")),
        head=figures_table(scores["head"], ("linear", "head")),
        kinds=kinds_table(scores["figures"]["fold 4"]),
        asked=asked_table(scores),
        corpora=counts_table(
            {
                f"{side}, {name}": n
                for side, found in scores["corpora"].items()
                if side != "development"
                for name, n in found.items()
            }
        ),
        telling=sure["telling"],
        errors=errors_text(scores["calibration"]),
        reliability=reliability_table(scores["calibration"]),
        drawing=SHOWN,
        maps=calibrations_table(scores["calibration"]),
        pages=pages_table(pages),
        met=met_table(scores["met"]),
    )


def main() -> None:
    """Read the command line and write the card."""
    parser = argparse.ArgumentParser(description="Write CARD.md from the scores.")
    parser.add_argument("--specialist", type=Path, default=Path("models/document-kind"))
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    folder = arguments.specialist
    shipped = newest(arguments.artefacts, folder.name, MANIFEST_FILE)
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    template = (folder / "CARD.in.md").read_text(encoding="utf-8")
    manifest, size = read_manifest(shipped / MANIFEST_FILE), (shipped / DATA_FILE).stat().st_size
    pages = json.loads((folder / "pages.json").read_text(encoding="utf-8"))
    text = card(template, config, manifest, size, scores, pages)
    (folder / "CARD.md").write_text(text, encoding="utf-8")
    write_drawing(folder, "document-kind")


if __name__ == "__main__":
    main()
