"""Make the specialist `line-concepts`: judge it on unseen companies, learn on all, write its card.

    python -m models.lines --data FOLDER

FOLDER holds finance/. For each of five folds by company a model is learned without it and judges
its lines (and is kept: models/lines/unseen.py); the one that ships is learned on all companies with
the same recipe. Where there are predictions of an adapter (models.lines.adapter) the card compares
them, and if both together are surely better the adapter that was trained on all companies ships
with the model. `--folds` without a number counts what is kept and learns what ships; `--recount`
learns nothing: it counts what is kept, and puts the maps to confidences into the artefact.
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

from models.card import machine_of
from models.export import write_training
from models.lines.adapter import EVERY, RUN, WORK, done, ship_reader
from models.lines.card import write_card
from models.lines.corpus import Sheet, common, read_sheets
from models.lines.guesses import Lookup
from models.lines.predict import FOLDER, by_fold, keep, kept, learned, predicted
from models.lines.scores import SCORES, scores, surely_better
from models.lines.unseen import FOLDER as UNSEEN
from models.lines.unseen import keep_model
from models.train import say
from models.triage.filings import FOLDS
from services.triage.naming import MANIFEST_FILE, NAME, write


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
    run: Path | None,
) -> Path:
    """Learn on all companies, and write the artefact, with the adapter of a run if there is one."""
    begin = time.process_time()
    linear = learned(sheets, labels, config["linear"])
    trainings = [{"fold": EVERY, "seconds": round(time.process_time() - begin)}]
    folder = artefacts / NAME / config["version"]
    more: dict[str, Any] = {}
    if run:
        folder.mkdir(parents=True, exist_ok=True)
        both = figures["adapter"]["calibration"]
        more = {"reader": ship_reader(run, config, artefacts, folder),
                "both_offset": both["offset"], "both_slope": both["slope"]}  # fmt: skip
        runs = json.loads((FOLDER / RUN).read_text(encoding="utf-8"))
        trainings += [{"fold": one["fold"], "seconds": one["seconds"]} for one in runs.values()]
    bag, head, bias = linear.numbers()
    write(
        folder,
        bag,
        head,
        bias,
        version=config["version"],
        labels=tuple(labels),
        **figures["calibration"],
        companies=len({sheet.company for sheet in sheets}),
        licence=config["data"]["licence"],
        **more,
    )
    write_training(folder, machine_of(torch.get_num_threads()), trainings)
    return folder


def recount(config: Mapping[str, Any], artefacts: Path) -> None:
    """Count what is kept, and put the maps to confidences into the artefact; nothing is learned.

    Raises:
        SystemExit: an adapter ships, and both are not surely better on what is kept.
    """
    figures = count()
    path = artefacts / NAME / config["version"] / MANIFEST_FILE
    manifest = json.loads(path.read_text(encoding="utf-8")) | figures["calibration"]
    if manifest["reader"]:
        if not surely_better(figures):
            raise SystemExit("both are not surely better any more: what ships has to be made anew")
        both = figures["adapter"]["calibration"]
        manifest |= {"both_offset": both["offset"], "both_slope": both["slope"]}
    path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def trained(figures: Mapping[str, Any], config: Mapping[str, Any], work: Path) -> Path | None:
    """The run of the adapter that ships; None where both aren't surely better than the linear
    model, or no training on all companies was done with this config.
    """
    run = work / f"fold{EVERY}"
    return run if surely_better(figures) and done(config, run) else None


def main(given: Sequence[str] | None = None) -> None:
    """Read the command line and make it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--unseen", type=Path, default=UNSEEN, help="for the models of the folds")
    parser.add_argument("--work", type=Path, default=WORK, help="of the trainings of the adapter")
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    parser.add_argument("--recount", action="store_true", help="only count what is kept")
    arguments = parser.parse_args(given)
    torch.set_num_threads(1)
    torch.sparse.check_sparse_tensor_invariants.disable()
    config = tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))
    if arguments.recount:
        recount(config, arguments.artefacts)
        write_card(arguments.artefacts)
        return
    sheets = list(read_sheets(arguments.data / "finance" / "statements.jsonl"))
    labels = common(sheets, config["data"]["least_companies"])
    for fold in arguments.folds:
        seen = [sheet for sheet in sheets if sheet.fold != fold]
        unseen = [sheet for sheet in sheets if sheet.fold == fold]
        linear = learned(seen, labels, config["linear"])
        companies = len({sheet.company for sheet in seen})
        keep_model(arguments.unseen, fold, linear, companies, labels, config["data"]["licence"])
        path = FOLDER / f"predictions-fold{fold}.jsonl.gz"
        keep(path, predicted(linear, Lookup.learn(seen, labels), unseen, labels))
        say(f"{path.name} is written")
    figures = count()
    run = trained(figures, config, arguments.work)
    ship(sheets, labels, config, figures, arguments.artefacts, run)
    write_card(arguments.artefacts)


if __name__ == "__main__":
    main()
