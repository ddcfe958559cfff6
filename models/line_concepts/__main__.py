"""Make the specialist `line-concepts`: score it on unseen companies, train on all, write its card.

    python -m models.line_concepts --data FOLDER

FOLDER has finance/. For each of five folds by company, a model is trained without the fold and
scores its lines. The shipped model is trained on all companies with the same recipe. If predictions
of an adapter exist (models.line_concepts.adapter), they are combined with the model. If that is
significantly better, the adapter trained on all companies ships, too. `--folds` without a number
scores the stored predictions and trains only the shipped model. `--recount` trains no model; it
updates the figures and the calibration of the artefact.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from models.evaluation.card import machine_of, write_cards
from models.files import command, read_config, read_json, say, write_json, write_lines
from models.line_concepts.adapter import EVERY, RUN, WORK, done, ship_reader
from models.line_concepts.corpus import Sheet, common, read_sheets
from models.line_concepts.lookup import Lookup
from models.line_concepts.predict import FOLDER, learned, predicted, read_predictions
from models.line_concepts.scores import SCORES, scores, surely_better
from models.lora.export import write_training
from models.triage_breaks.filings import FOLDS
from services.triage.concepts.linear import NAME, ConceptsManifest, write


def counted() -> dict[str, Any]:
    """Compute the figures of the stored predictions."""
    linear, adapter = (read_predictions(FOLDER, name) for name in ("predictions", "adapter"))
    return scores(list(chain(*linear.values())), list(chain(*adapter.values())), sorted(linear))


def count() -> dict[str, Any]:
    """Compute the figures of the stored predictions, and write them."""
    figures = counted()
    write_json(FOLDER / SCORES, figures)
    return figures


def ship(
    sheets: Sequence[Sheet],
    labels: Sequence[str],
    config: Mapping[str, Any],
    figures: Mapping[str, Any],
    artefacts: Path,
    run: Path | None,
) -> Path:
    """Train on all companies and write the artefact, with the adapter of a run if there is one."""
    begin = time.process_time()
    linear = learned(sheets, labels, config["linear"])
    trainings: list[dict[str, Any]] = [
        {"fold": EVERY, "seconds": round(time.process_time() - begin)}
    ]
    folder = artefacts / NAME / config["version"]
    more: dict[str, Any] = {}
    if run:
        folder.mkdir(parents=True, exist_ok=True)
        both = figures["adapter"]["calibration"]
        more = {"reader": ship_reader(run, config, artefacts, folder),
                "both_offset": both["offset"], "both_slope": both["slope"]}  # fmt: skip
        trainings += read_json(FOLDER / RUN).values()
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
    """Compute the figures again, and put the confidence maps into the artefact.

    Raises SystemExit if an adapter ships without being significantly better any more.
    """
    figures = count()
    path = artefacts / NAME / config["version"] / ConceptsManifest.FILE
    manifest = read_json(path) | figures["calibration"]
    if manifest["reader"]:
        if not surely_better(figures):
            raise SystemExit("both together are not significantly better any more: train again")
        both = figures["adapter"]["calibration"]
        manifest |= {"both_offset": both["offset"], "both_slope": both["slope"]}
    write_json(path, manifest)


def trained(figures: Mapping[str, Any], config: Mapping[str, Any], work: Path) -> Path | None:
    """Return the run of the adapter that ships.

    None if it is not significantly better, or was not trained on all companies with this config.
    """
    run = work / f"fold{EVERY}"
    return run if surely_better(figures) and done(config, run) else None


def main() -> None:
    """Read the command line and make the specialist."""
    parser = command(__doc__, "--data", "--artefacts")

    parser.add_argument("--work", type=Path, default=WORK, help="of the trainings of the adapter")
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    parser.add_argument("--recount", action="store_true", help="only count stored predictions")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.sparse.check_sparse_tensor_invariants.disable()
    config = read_config(FOLDER)
    if arguments.recount:
        recount(config, arguments.artefacts)
        write_cards(FOLDER, arguments.artefacts)
        return
    sheets = list(read_sheets(arguments.data / "finance" / "statements.jsonl"))
    labels = common(sheets, config["data"]["least_companies"])
    for fold in arguments.folds:
        seen = [sheet for sheet in sheets if sheet.fold != fold]
        unseen = [sheet for sheet in sheets if sheet.fold == fold]
        linear = learned(seen, labels, config["linear"])
        path = FOLDER / f"predictions-fold{fold}.jsonl.gz"
        write_lines(path, predicted(linear, Lookup.learn(seen, labels), unseen, labels))
        say(f"{path.name} is written")
    figures = count()
    run = trained(figures, config, arguments.work)
    ship(sheets, labels, config, figures, arguments.artefacts, run)
    write_cards(FOLDER, arguments.artefacts)


if __name__ == "__main__":
    main()
