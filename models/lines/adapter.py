"""The adapter that names lines beside the linear model: train it, and judge the fold it left out.

    python -m models.lines.adapter --data FOLDER --base var/specialists/base --fold 0 none

FOLDER holds finance/. Fold `none` leaves nobody out: `models.lines` ships it. Cut off, the same
command goes on from the last checkpoint; a training that is done with the same config is not done
again. It is judged as it would be served, in INT8.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.export import export, trained_state
from models.lines.corpus import Sheet, read_sheets
from models.lines.predict import FOLDER, keep, pairs, place
from models.lines.train import PARTS, train
from models.triage.filings import FOLDS
from services.triage.naming import READER, likeliest
from services.triage.pieces import PieceReader, softmax, written
from shared.artefacts import sha256
from shared.inference import Specialists
from shared.inference.adapters import ADAPTER_FILE, MANIFEST_FILE, base_folder

RUN = "adapter.json"
"""What is kept of each training, by the fold that it left out."""
WORK = Path("var/lines")
EVERY = "none"
"""The fold of the training on all companies."""


def done(config: Mapping[str, Any], run: Path) -> bool:
    """Whether a training was done with the same config."""
    known = run / "run.json"
    if not known.exists():
        return False
    before = json.loads(known.read_text(encoding="utf-8"))["config"]
    return all(before[part] == config[part] for part in PARTS)


def exported(run: Path, config: Mapping[str, Any], artefacts: Path, version: str) -> Path:
    """Export the adapter of a run beside a link to the base, into `<run>/artefacts`."""
    work = run / "artefacts"
    work.mkdir(parents=True, exist_ok=True)
    link = work / base_folder(artefacts).name
    if not link.exists():
        link.symlink_to(base_folder(artefacts).resolve())
    labels = json.loads((run / "run.json").read_text(encoding="utf-8"))["labels"]
    return export(READER, trained_state(run), labels, dict(config), {}, version, work)


def reader_of(run: Path, config: Mapping[str, Any], artefacts: Path) -> PieceReader:
    """The adapter of a run as it would be served."""
    folder = exported(run, config, artefacts, "0.0.1")
    return PieceReader.load(folder, Specialists(run / "artefacts", threads=1).base)


def ship_reader(
    run: Path, config: Mapping[str, Any], artefacts: Path, folder: Path
) -> dict[str, str]:
    """Put the adapter of a run into the artefact in a folder; return its files with hashes."""
    version = config["version"]
    made = exported(run, config, artefacts, version)
    place = Path(READER) / version
    (folder / place).mkdir(parents=True, exist_ok=True)
    files = {}
    for name in (ADAPTER_FILE, MANIFEST_FILE):
        shutil.copyfile(made / name, folder / place / name)
        files[(place / name).as_posix()] = sha256(made / name)
    return files


def said_by(reader: PieceReader, unseen: Sequence[Sheet]) -> Iterator[dict[str, Any]]:
    """Yield what an adapter says of each pair of companies that it has not seen."""
    read: dict[Sheet, Any] = {}
    for (*_, concept), (sheet, row) in pairs(unseen, reader.labels).items():
        if sheet not in read:
            read[sheet] = softmax(reader.logits(written(sheet.kind, sheet.labels, reader.cut)))
        said = likeliest(reader.labels, read[sheet][row])
        kept = [[label, round(chance, 4)] for label, chance in said]
        yield {**place((sheet, row), concept), "said": kept}


def note_run(run: Path) -> None:
    """Keep what is to be known of a training, for the card."""
    path = FOLDER / RUN
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    known[facts["fold"]] = {key: value for key, value in facts.items() if key != "labels"}
    text = json.dumps(dict(sorted(known.items())), indent=1) + "\n"
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Read the command line, train, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    parser.add_argument("--base", type=Path, required=True, help="training form of the base")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--work", type=Path, default=WORK)
    folds = [*map(str, range(FOLDS)), EVERY]
    parser.add_argument("--fold", nargs="+", choices=folds, default=folds)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))
    data = arguments.data / "finance"
    for fold in arguments.fold:
        run = arguments.work / f"fold{fold}"
        if not done(config, run):
            train(config, arguments.base, data, fold, run)
        note_run(run)
        if fold != EVERY:
            sheets = [s for s in read_sheets(data / "statements.jsonl") if str(s.fold) == fold]
            reader = reader_of(run, config, arguments.artefacts)
            keep(FOLDER / f"adapter-fold{fold}.jsonl.gz", said_by(reader, sheets))


if __name__ == "__main__":
    main()
