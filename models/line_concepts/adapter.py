"""Train the adapter that names lines, and score it on the fold that it left out.

    python -m models.line_concepts.adapter --data FOLDER --base var/specialists/base --fold 0 none

FOLDER has finance/. Fold `none` trains on all companies; `models.line_concepts` ships it. The
same command resumes after a stop, and skips trainings that are done with the same config. Scores
use INT8, as served.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.files import RUN_FILE, command, read_config, read_json, write_json, write_lines
from models.line_concepts.corpus import Sheet, read_sheets
from models.line_concepts.predict import FOLDER, pairs, position_of
from models.line_concepts.train import PARTS, train
from models.lora.export import export, trained_state
from models.triage_breaks.filings import FOLDS
from services.triage.concepts.linear import READER, top_labels
from services.triage.concepts.segments import SegmentModel, softmax, tokenise_lines
from shared.artefacts.loader import sha256
from shared.inference import Specialists
from shared.inference.adapters import ADAPTER_FILE, AdapterManifest, base_folder

RUN = "adapter.json"
"""Summary of each training, by the fold that it left out."""
WORK = Path("var/lines")
EVERY = "none"
"""The fold of the training on all companies."""


def done(config: Mapping[str, Any], run: Path) -> bool:
    """Return whether a training was done with the same config."""
    record = run / RUN_FILE
    before = read_json(record)["config"] if record.exists() else {}
    return all(before.get(part) == config[part] for part in PARTS)


def exported(run: Path, config: Mapping[str, Any], artefacts: Path, version: str) -> Path:
    """Export the adapter of a run beside a link to the base, into `<run>/artefacts`."""
    work = run / "artefacts"
    work.mkdir(parents=True, exist_ok=True)
    link = work / base_folder(artefacts).name
    if not link.exists():
        link.symlink_to(base_folder(artefacts).resolve())
    labels = read_json(run / RUN_FILE)["labels"]
    return export(READER, trained_state(run), labels, dict(config), {}, version, work)


def reader_of(run: Path, config: Mapping[str, Any], artefacts: Path) -> SegmentModel:
    """Return the adapter of a run as it would be served."""
    folder = exported(run, config, artefacts, "0.0.1")
    return SegmentModel.load(folder, Specialists(run / "artefacts", threads=1).base)


def ship_reader(
    run: Path, config: Mapping[str, Any], artefacts: Path, folder: Path
) -> dict[str, str]:
    """Copy the adapter of a run into an artefact; return its files with hashes."""
    version = config["version"]
    made = exported(run, config, artefacts, version)
    target = Path(READER) / version
    (folder / target).mkdir(parents=True, exist_ok=True)
    files = {}
    for name in (ADAPTER_FILE, AdapterManifest.FILE):
        shutil.copyfile(made / name, folder / target / name)
        files[(target / name).as_posix()] = sha256(made / name)
    return files


def predictions_by(reader: SegmentModel, unseen: Sequence[Sheet]) -> Iterator[dict[str, Any]]:
    """Yield the predictions of an adapter for each pair of unseen companies."""
    read: dict[Sheet, Any] = {}
    for (*_, concept), (sheet, row) in pairs(unseen, reader.labels).items():
        if sheet not in read:
            lines = tokenise_lines(sheet.kind, sheet.labels, reader.cut)
            read[sheet] = softmax(reader.logits(lines))
        labels = top_labels(reader.labels, read[sheet][row])
        rounded = [[label, round(chance, 4)] for label, chance in labels]
        yield {**position_of((sheet, row), concept), "said": rounded}


def note_run(run: Path) -> None:
    """Write the summary of a training, for the card."""
    path = FOLDER / RUN
    runs = read_json(path) if path.exists() else {}
    facts = read_json(run / RUN_FILE)
    runs[facts["fold"]] = {key: value for key, value in facts.items() if key != "labels"}
    write_json(path, dict(sorted(runs.items())))


def main() -> None:
    """Read the command line, train, and score."""
    parser = command(__doc__, "--data", "--artefacts", "--base")
    parser.add_argument("--work", type=Path, default=WORK)
    folds = [*map(str, range(FOLDS)), EVERY]
    parser.add_argument("--fold", nargs="+", choices=folds, default=folds)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(FOLDER)
    data = arguments.data / "finance"
    for fold in arguments.fold:
        run = arguments.work / f"fold{fold}"
        if not done(config, run):
            train(config, arguments.base, data, fold, run)
        note_run(run)
        if fold != EVERY:
            sheets = [s for s in read_sheets(data / "statements.jsonl") if str(s.fold) == fold]
            reader = reader_of(run, config, arguments.artefacts)
            write_lines(FOLDER / f"adapter-fold{fold}.jsonl.gz", predictions_by(reader, sheets))


if __name__ == "__main__":
    main()
