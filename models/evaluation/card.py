"""Write the card of each specialist from its figures.

    python -m models.evaluation.card [FOLDER...]

The template beside a card, `CARD.in.md`, is the card without figures.
`{scores[pooled][aupr]:.3f}` takes a figure from `scores.json`. A line with
`{each scores[labels]}` is repeated for each entry, `{key}` is its name and `{it}` the entry.
Besides the JSON files of the folder, a template may name `config`, `manifest` (of the newest
artefact), `files` (its sizes in MB) and the figures of `derived`.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.evaluation.reliability import write_drawings
from models.files import MODELS, command, name_of, read_json
from shared.artefacts.loader import TRAINING_FILE, newest
from shared.policy.intervals import interval

Figures = Mapping[str, Any]

ARTEFACTS = MODELS / "artefacts"
TEMPLATES = "*.in.md"
EACH = re.compile(r"\{each ([^}]+)\}")
CORES = {1: "one processor core", 2: "two processor cores"}
RARELY_SEEN = 0.5
"""Recall of a category's presence below which its absence says little."""
WORST = 6
"""Categories that a card explains: those with the lowest area."""


class FigureFormatter(string.Formatter):
    """Formats figures; one that could not be measured (null) is shown as "none"."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        return "none" if value is None else super().format_field(value, format_spec)


def render(template: str, figures: Figures) -> str:
    """Return a template with its figures. Raises KeyError for a figure that does not exist."""
    formatter = FigureFormatter()
    lines = []
    for line in template.splitlines():
        each = EACH.search(line)
        if each is None:
            lines.append(formatter.vformat(line, (), figures))
            continue
        entries, _ = formatter.get_field(each[1], (), figures)
        pattern = line.replace(each[0], "")
        for key, it in entries.items() if isinstance(entries, Mapping) else enumerate(entries):
            lines.append(formatter.vformat(pattern, (), {**figures, "key": key, "it": it}))
    return "\n".join(lines) + "\n"


def cards_of(folder: Path, artefacts: Path = ARTEFACTS) -> dict[str, str]:
    """Return the text of each card in a specialist's folder by its file name."""
    figures = figures_of(folder, artefacts)
    return {
        path.name.replace(".in.md", ".md"): render(path.read_text(encoding="utf-8"), figures)
        for path in sorted(folder.glob(TEMPLATES))
    }


def write_cards(folder: Path, artefacts: Path = ARTEFACTS) -> None:
    """Write the cards of a specialist and their drawings."""
    for name, text in cards_of(folder, artefacts).items():
        (folder / name).write_text(text, encoding="utf-8")
    write_drawings(folder)


def figures_of(folder: Path, artefacts: Path) -> dict[str, Any]:
    """Read all figures that the templates in a folder may name."""
    figures = {path.stem: read_json(path) for path in folder.glob("*.json")}
    config = folder / "config.toml"
    if config.exists():
        figures["config"] = tomllib.loads(config.read_text(encoding="utf-8"))
    shipped = newest(artefacts, name_of(folder), "*.json")
    (manifest,) = (path for path in shipped.glob("*.json") if path.name != TRAINING_FILE)
    figures["manifest"] = read_json(manifest)
    figures["files"] = {
        path.name: path.stat().st_size / 1e6 for path in shipped.rglob("*") if path.is_file()
    }
    return figures | derived(folder, figures)


def derived(folder: Path, figures: Figures) -> dict[str, Any]:
    """Return figures that are computed from the files of a specialist."""
    if "judged" in figures:
        return {"flags": flags_in_filings(figures["filings"], figures["judged"])}
    if "corrected" in figures:
        scores = figures["scores"]
        return {
            "corrections": corrections(scores["corrected"]),
            "flagged": scores["flagged"] / scores["injected"],
            "methods": {
                name: flag_rates(figures["baselines"][name])
                for name in ("identities alone", "a search for sums")
            },
        }
    if folder.parent.name == "clauses":
        return clause_figures(folder, figures)
    return {}


def clause_figures(folder: Path, figures: Figures) -> dict[str, Any]:
    """Return the lists and sums in the card of a clause specialist."""
    scores, training = figures["scores"], figures["training"]
    presence = figures.get("presence", {}).get("labels", {})
    reasons = folder / "worst.toml"
    explained = tomllib.loads(reasons.read_text(encoding="utf-8")) if reasons.exists() else {}
    areas = {name: label["aupr"] for name, label in scores["labels"].items() if label["answers"]}
    seen = {name: entry["recall"] for name, entry in presence.items() if "recall" in entry}
    return {
        "categories": {
            name: {**label, "presence": presence.get(name)}
            for name, label in scores["labels"].items()
        },
        "worst": {
            name: {**scores["labels"][name], "reason": explained.get(name, "not examined yet.")}
            for name in sorted(areas, key=areas.__getitem__)[:WORST]
        },
        "rarely_seen": ", ".join(
            f"{name} ({seen[name]:.0%})"
            for name in sorted(seen, key=seen.__getitem__)
            if seen[name] < RARELY_SEEN
        ),
        "guaranteed": [
            entry for entry in figures["guarantee"]["proof"] if entry["way"] == "with the guarantee"
        ],
        "attainable": ", ".join(
            f"{entry['max_wrong']:.0%}"
            for entry in figures["guarantee"]["promises"]
            if not entry["no_guarantee_reason"]
        ),
        "wrong": quotations(scores["failures"]["surest_wrong"]),
        "missing": quotations(scores["failures"]["longest_missed"]),
        "minutes": round(training["seconds"] / 60),
        "machine": machine_of(training["threads"]),
    }


def flag_rates(method: Figures) -> dict[str, Any]:
    """Return the share of filings that a method flags, with its interval."""
    return {
        part: {key: [hits / of, low, high] for key, (hits, of, low, high) in sides.items()}
        for part, sides in method.items()
    }


def corrections(result: Figures) -> dict[str, Any]:
    """Return how many later corrected errors there are, and how many filings are flagged."""
    filings = result["filings"]
    return {
        "facts": sum(result["facts"].values()),
        "filings": len(filings),
        "companies": len({entry["company"] for entry in filings}),
        "flagged": sum(bool(entry["shipped"]) for entry in filings),
    }


def quotations(examples: Iterable[Figures]) -> str:
    """Return examples, each with a few words and its source."""
    return "\n".join(
        f'* {entry["category"]}: "{entry["words"]} …" '
        f"({entry['contract'].split('_')[0]}, `{entry['id']}`)"
        for entry in examples
    )


def machine_of(threads: int) -> str:
    """Name the machine of a training in words; `models.lora.train` uses no GPU."""
    return CORES.get(threads, f"{threads} processor cores")


def flags_in_filings(filings: Figures, reviewed: Iterable[Figures]) -> dict[str, Any]:
    """Count flags in real filings, by family, and how many of them a reader found right.

    Raises ValueError if no reader has looked at some of the flags.
    """
    right = {(entry["file"], entry["family"], entry["start"]): entry["right"] for entry in reviewed}
    flags = [
        (entry["file"], entry["family"], entry["strong"], right.get(_key(entry)))
        for entry in filings["surest"]
    ]
    if missing := [_key(entry) for entry in filings["surest"] if _key(entry) not in right]:
        raise ValueError(f"look at these flags and add them to judged.json: {missing}")
    asked = {file for file, _, strong, _ in flags if strong}
    wrong = {file for file, _, strong, good in flags if strong and not good}
    return {
        "families": {
            name: {
                "keyword": gated,
                "shown": sum(family == name for _, family, _, _ in flags),
                "right": sum(bool(good) for _, family, _, good in flags if family == name),
                "asked": sum(strong for _, family, strong, _ in flags if family == name),
                "asked_right": sum(
                    bool(strong and good) for _, family, strong, good in flags if family == name
                ),
            }
            for name, gated in filings["gated"].items()
        },
        "asked": len(asked),
        "wrong": len(wrong),
        # the upper end of a two-sided interval of 90% is a one-sided bound of 95%
        "most_wrong": interval(len(wrong), filings["filings"], 0.9)[1],
    }


def _key(flag: Figures) -> tuple[str, str, int]:
    return flag["file"], flag["family"], flag["start"]


def main() -> None:
    """Read the command line and write the cards."""
    parser = command(__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="default: every specialist")
    parser.add_argument("--artefacts", type=Path, default=ARTEFACTS)
    arguments = parser.parse_args()
    every = sorted({path.parent for path in MODELS.rglob(TEMPLATES)})
    for folder in arguments.folders or every:
        write_cards(folder, arguments.artefacts)


if __name__ == "__main__":
    main()
