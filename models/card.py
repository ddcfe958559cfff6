"""Write the card of a specialist from what its training and its evaluation left behind.

    python -m models.card models/contract-clauses --artefacts models/artefacts

Reads `CARD.in.md` (what a person wrote, and in `worst.toml` why its worst categories are found so
badly), the `config.toml` and the figures of the specialist (PARTS), and its newest shipped
manifest; writes `CARD.md`. No figure of ours is typed by hand; those published by others name their
source.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from models.reliability import (
    FILE,
    PRESENCE_FILE,
    drawn,
    of_clauses,
    of_presence,
    tenths_rows,
)
from models.risk_card import UNMEASURED, risk_text, table
from shared.inference.adapters import (
    ADAPTER_FILE,
    MANIFEST_FILE,
    Manifest,
    newest_version,
    read_manifest,
)

PARTS = (
    "scores",
    "comparison",
    "baseline",
    "training",
    "presence",
    "presence-calibration",
    "values",
    "doubts",
    "guarantee",
    "missed",
)
"""The files of figures, each written by the program of that name (scores by models.evaluate,
training by models.export, comparison by models.compare, presence by models.ranking, its calibration
by models.presence)."""

NOT_LOOKED_AT = "nobody has looked at its failures yet."

CORES = {1: "one processor core", 2: "two processor cores"}

HARDLY_SEEN = 0.5
"""Share of the contracts with a category below which its absence is no answer."""

WORST = 6
"""Categories with the lowest area that are told apart."""

SAME = """The shipped adapter is this very
model, trained on {trained} contracts; calibration and thresholds were learned on that fold."""

RETRAINED = """The shipped adapter is
trained on {trained} contracts with the same recipe, and carries the calibration and thresholds
learned there: what is said here is exact for the models of the folds and assumed for the shipped
one."""

NAMES = {
    "aupr": "AUPR",
    "precision_at_recall_0.8": "precision at recall 0.8",
    "best_f1": "best F1",
    "precision_at_recall_0.603": "precision at recall 0.603",
    "highest_recall": "highest recall",
}


def machine_of(threads: int) -> str:
    """What a training ran on, in words: `models.train` uses no GPU."""
    return CORES.get(threads, f"{threads} processor cores")


def pooled_table(scores: dict[str, Any], baseline: dict[str, Any] | None) -> str:
    """The pooled figures with intervals, beside the baseline."""
    header = ["", "specialist", "95% interval"]
    if baseline:
        header.append("baseline")
    rows = []
    for key, name in NAMES.items():
        low, high = scores["intervals"][key]
        row = [name, f"{scores['pooled'][key]:.3f}", f"{low:.3f} to {high:.3f}"]
        rows.append(row + ([f"{baseline['pooled'][key]:.3f}"] if baseline else []))
    return table(header, rows)


def category_table(scores: dict[str, Any]) -> str:
    """One row a category: how much there was, how well it is ranked, and what is shown of it."""
    header = [
        "category",
        "answers",
        "contracts",
        "AUPR",
        "95% interval",
        "right",
        "found",
    ]
    rows = []
    for name, values in scores["labels"].items():
        row = [name, str(values["answers"]), str(values["contracts"])]
        if values["answers"]:
            low, high = values["aupr_interval"]
            row += [f"{values['aupr']:.2f}", f"{low:.2f} to {high:.2f}"]
            row += [f"{values['shown'][key]:.2f}" for key in ("precision", "recall")]
        else:
            row += ["none"] * 4
        rows.append(row)
    return table(header, rows)


def worst_text(scores: dict[str, Any], reasons: dict[str, str]) -> str:
    """The categories with the lowest area, and what was seen there.

    Args:
        scores: as models.evaluate writes them.
        reasons: by category, what a person saw who looked at its failures.
    """
    areas = {name: v["aupr"] for name, v in scores["labels"].items() if v["answers"]}
    worst = sorted(areas, key=areas.__getitem__)[:WORST]
    return "\n".join(
        f"* **{name}** (AUPR {areas[name]:.2f}, {scores['labels'][name]['answers']} answers in "
        f"{scores['labels'][name]['contracts']} contracts): {reasons.get(name, NOT_LOOKED_AT)}"
        for name in worst
    )


def comparison_text(comparison: dict[str, Any] | None) -> str:
    """How the forms of the base differ, and what that changes."""
    if not comparison:
        return UNMEASURED
    rows = [
        [
            form,
            f"{figures['aupr']:.4f}",
            f"{figures['best_f1']:.4f}",
            f"{figures['largest_difference']:.2g}",
            f"{figures['mean_difference']:.2g}",
        ]
        for form, figures in comparison["forms"].items()
    ]
    intro = (
        f"The same adapter on four forms of the base, over {comparison['contracts']} contracts of "
        f"the fold ({comparison['answers']} answers), by plain decoding without the ranking. The "
        "adapter was trained on the INT4 numbers, not on the original ones.\n\n"
    )
    header = ["", "AUPR", "best F1", "largest difference of a probability", "mean difference"]
    return intro + table(header, rows)


def presence_table(presence: dict[str, Any] | None) -> str:
    """One row a category: in how many contracts it is, and how often that was seen."""
    if not presence:
        return UNMEASURED
    header = ["category", "there", "said", "area under ROC", "precision", "recall"]
    rows = [
        [name, str(figures["present"]), str(figures["said"])]
        + [
            f"{figures[key]:.2f}" if key in figures else "none"
            for key in ("auc", "precision", "recall")
        ]
        for name, figures in [("all", presence["pooled"]), *presence["labels"].items()]
    ]
    intro = (
        f"{presence['contracts']} contracts; expected calibration error "
        f"{presence['calibration_error']:.3f}, ten bins.\n\n"
    )
    unseen = sorted(
        (figures["recall"], name)
        for name, figures in presence["labels"].items()
        if figures.get("recall", 1.0) < HARDLY_SEEN
    )
    caution = (
        "\n\nThat one of these is said to be absent tells hardly anything, for most contracts that "
        "have it are told that they have not: "
        + ", ".join(f"{name} (seen in {recall:.0%})" for recall, name in unseen)
        + "."
    )
    return intro + table(header, rows) + (caution if unseen else "")


def chances_text(calibration: dict[str, Any] | None) -> str:
    """How reliable the chances of presence are, and which map would make them more so; nothing
    where they were not kept.
    """
    if not calibration:
        return ""
    maps = calibration["maps"]
    rows = [
        [name, f"{one['error']:.4f}", f"{one['brier']:.4f}", f"{one['log_loss']:.4f}"]
        for name, one in maps.items()
    ]
    least = {key: min(maps, key=lambda name: maps[name][key]) for key in maps["none"]}
    return "\n\n".join(
        [
            "\n\n### What these chances are worth",
            f"{calibration['judged']:,} chances, of {calibration['contracts']} contracts (area "
            f"under the ROC curve {calibration['auc']:.4f}, expected calibration error "
            f"{calibration['error']:.4f} in ten bins):",
            f"![Reliability of presence]({PRESENCE_FILE})",
            table(["chances", "said", "there"], tenths_rows(calibration["tenths"])),
            "Maps of them, each fitted on other folds than it is judged on:",
            table(["map", "error", "Brier score", "log loss"], rows),
            f"Least error has: {least['error']}; least Brier score: {least['brier']}; least log "
            f"loss: {least['log_loss']}.",
        ]
    )


def values_table(values: dict[str, Any] | None) -> str:
    """One row a category and group of contracts: how often the value is exactly right."""
    if not values:
        return UNMEASURED
    header = ["contracts", "category", "answered", "exact", "full dates", "exact"]
    rows = []
    for group, figures in values.items():
        for category, counts in figures["categories"].items():
            if "exact" in counts:
                row = [group, category, str(counts["answered"]), f"{counts['exact']:.3f}"]
                dates = counts.get("iso"), counts.get("iso_exact")
                rows.append(row + ([f"{dates[0]}", f"{dates[1]:.3f}"] if dates[0] else ["", ""]))
    return table(header, rows) + _names(values)


def _names(values: dict[str, Any]) -> str:
    """Say how often a name of a party is right, one by one."""
    said = []
    for group, figures in values.items():
        counts = figures["categories"].get("Parties", {})
        if counts.get("names_given"):
            said.append(
                f"{counts['names_right']} of {counts['names_given']} given are right, of "
                f"{counts['names_answered']} in the answers ({group})"
            )
    return f"\n\nNames of parties one by one: {'; '.join(said)}." if said else ""


def doubts_table(doubts: dict[str, Any] | None) -> str:
    """One row a kind of text: how many of them are warned of."""
    if not doubts:
        return UNMEASURED
    rows = [[name, str(n["documents"]), str(n["warned"])] for name, n in doubts.items()]
    return table(["text", "documents", "warned of"], rows)


def models_of(folds: list[int]) -> str:
    """Say which models the figures are of."""
    if len(folds) == 1:
        return f"a model that had not seen fold {folds[0]}"
    return f"{len(folds)} models, each of which had not seen the fold it is scored on"


def examples(found: list[dict[str, Any]]) -> str:
    """A list of examples, each with a few words and its source."""
    return "\n".join(
        f'* {e["category"]}: "{e["words"]} …" ({e["contract"].split("_")[0]}, `{e["id"]}`)'
        for e in found
    )


def card(
    template: str,
    config: dict[str, Any],
    manifest: Manifest,
    size: int,
    found: dict[str, dict[str, Any] | None],
    reasons: dict[str, str],
) -> str:
    """Return the text of the card.

    Args:
        template: what a person wrote, with the names of figures in braces.
        config: of the specialist.
        manifest: of the shipped adapter.
        size: of the shipped adapter, in bytes.
        found: the figures by PARTS.
        reasons: why a category is found badly, where somebody looked.
    """
    scores, training = found["scores"], found["training"]
    if not scores or not training:
        raise SystemExit("scores.json and training.json are needed: run evaluate and export first")
    remark = training.get("remark", "")
    shipped = RETRAINED if training["fold"] == "none" else SAME
    return template.format(
        version=manifest.version,
        base=manifest.base_sha256,
        rank=manifest.rank,
        size=size / 1e6,
        labels=len(manifest.labels),
        length=config["windows"]["length"],
        licence=manifest.licence,
        models=models_of(scores["folds"]),
        files=", ".join(f"`predictions-fold{fold}.jsonl.gz`" for fold in scores["folds"]),
        contracts=scores["contracts"],
        families=scores["families"],
        shipped=shipped.format(trained=training["contracts"]),
        pooled=pooled_table(scores, found["baseline"]),
        categories=category_table(scores),
        worst=worst_text(scores, reasons),
        right=f"{100 * scores['shown']['precision']:.0f}",
        found=f"{100 * scores['shown']['recall']:.0f}",
        ece_before=scores["calibration_error"]["before"],
        ece_after=scores["calibration_error"]["after"],
        threshold=scores["thresholds"]["best_f1"],
        presence=presence_table(found["presence"]) + chances_text(found["presence-calibration"]),
        values=values_table(found["values"]),
        risk=risk_text(found["guarantee"], found["missed"]),
        doubts=doubts_table(found["doubts"]),
        comparison=comparison_text(found["comparison"]),
        wrong=examples(scores["failures"]["surest_wrong"]),
        missed=examples(scores["failures"]["longest_missed"]),
        minutes=round(training["seconds"] / 60),
        machine=machine_of(training["threads"]),
        number_type=training["number_type"],
        steps=training["steps"],
        remark=f" {remark}" if remark else "",
    )


def reasons_of(folder: Path) -> dict[str, str]:
    """Read why categories of a specialist are found badly."""
    path = folder / "worst.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main() -> None:
    """Read the command line and write the card."""
    parser = argparse.ArgumentParser(description="Write CARD.md from the run.")
    parser.add_argument("specialist", type=Path)
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    folder = arguments.specialist
    shipped = newest_version(arguments.artefacts, folder.name)
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    found = {}
    for name in PARTS:
        path = folder / f"{name}.json"
        found[name] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    template = (folder / "CARD.in.md").read_text(encoding="utf-8")
    manifest = read_manifest(shipped / MANIFEST_FILE)
    size = (shipped / ADAPTER_FILE).stat().st_size
    text = card(template, config, manifest, size, found, reasons_of(folder))
    (folder / "CARD.md").write_text(text, encoding="utf-8")
    if found["guarantee"]:
        (folder / FILE).write_text(drawn(of_clauses(found["guarantee"])), encoding="utf-8")
    if found["presence-calibration"]:
        drawing = drawn(of_presence(found["presence-calibration"]))
        (folder / PRESENCE_FILE).write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    main()
