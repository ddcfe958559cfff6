"""Make the specialist `line-concepts`: judge it on unseen companies, learn on all, write its card.

    python -m models.lines --data FOLDER

FOLDER holds finance/. For each of five folds by company a model is learned without it and judges
its lines; the one that ships is learned on all companies with the same recipe. Where there are
predictions of an adapter (models.lines.adapter) the card compares them.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.lines.adapter import RUN
from models.lines.card import card
from models.lines.corpus import Sheet, common, read_sheets
from models.lines.predict import FOLDER, by_fold, keep, kept, learned, predicted
from models.lines.scores import scores
from models.train import say
from models.triage.filings import FOLDS
from services.triage.naming import DATA_FILE, NAME, write
from shared.artefacts import TRAINING_FILE

SCORES = "scores.json"


def count() -> dict[str, Any]:
    """Count what was predicted, and keep the figures."""
    files = by_fold(FOLDER, "predictions")
    records = [record for path in files.values() for record in kept(path)]
    adapter = [one for path in by_fold(FOLDER, "adapter").values() for one in kept(path)]
    figures = scores(records, adapter, sorted(files))
    text = json.dumps(figures, indent=1) + "\n"
    (FOLDER / SCORES).write_text(text, encoding="utf-8")
    return figures


def ship(
    sheets: Sequence[Sheet],
    labels: Sequence[str],
    config: Mapping[str, Any],
    figures: Mapping[str, Any],
    artefacts: Path,
) -> Path:
    """Learn on all companies, and write the artefact."""
    begin = time.process_time()
    linear = learned(sheets, labels, config["linear"])
    seconds = round(time.process_time() - begin)
    folder = artefacts / NAME / config["version"]
    write(
        folder,
        *linear.numbers(),
        version=config["version"],
        labels=tuple(labels),
        **figures["calibration"],
        companies=len({sheet.company for sheet in sheets}),
        licence=config["data"]["licence"],
    )
    trainings = {"trainings": [{"fold": "none", "seconds": seconds}]}
    (folder / TRAINING_FILE).write_text(json.dumps(trainings, indent=1) + "\n", encoding="utf-8")
    return folder


def main(given: Sequence[str] | None = None) -> None:
    """Read the command line and make it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    arguments = parser.parse_args(given)
    torch.set_num_threads(1)
    torch.sparse.check_sparse_tensor_invariants.disable()
    config = tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))
    sheets = list(read_sheets(arguments.data / "finance" / "statements.jsonl"))
    labels = common(sheets, config["data"]["least_companies"])
    for fold in arguments.folds:
        seen = [sheet for sheet in sheets if sheet.fold != fold]
        unseen = [sheet for sheet in sheets if sheet.fold == fold]
        path = FOLDER / f"predictions-fold{fold}.jsonl.gz"
        keep(path, predicted(seen, unseen, labels, config["linear"]))
        say(f"{path.name} is written")
    figures = count()
    folder = ship(sheets, labels, config, figures, arguments.artefacts)
    run = json.loads((FOLDER / RUN).read_text(encoding="utf-8")) if figures["adapter"] else None
    text = card(figures, config, run, len(labels), (folder / DATA_FILE).stat().st_size)
    (FOLDER / "CARD.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
