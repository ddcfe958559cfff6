"""The adapter that the linear model is measured against: train it, and judge the fold it left out.

    python -m models.lines.adapter --data FOLDER --base var/specialists/base --fold 0

FOLDER holds finance/. Cut off, the same command goes on from the last checkpoint; a training that
is done with the same config is not done again. It is judged as it would be served, in INT8.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.export import export, trained_state
from models.lines.corpus import Sheet, read_sheets
from models.lines.guesses import TOP
from models.lines.pieces import PieceReader, softmax, written
from models.lines.predict import FOLDER, keep, pairs, place
from models.lines.train import PARTS, train
from shared.inference import Specialists
from shared.inference.adapters import base_folder, load_adapter

NAME, VERSION = "line-concepts", "0.0.1"
RUN = "adapter.json"


def done(config: Mapping[str, Any], run: Path) -> bool:
    """Whether a training was done with the same config."""
    known = run / "run.json"
    if not known.exists():
        return False
    before = json.loads(known.read_text(encoding="utf-8"))["config"]
    return all(before[part] == config[part] for part in PARTS)


def reader_of(run: Path, config: Mapping[str, Any], artefacts: Path) -> PieceReader:
    """The adapter of a run as it would be served, exported beside a link to the base."""
    work = run / "artefacts"
    work.mkdir(parents=True, exist_ok=True)
    link = work / base_folder(artefacts).name
    if not link.exists():
        link.symlink_to(base_folder(artefacts).resolve())
    labels = json.loads((run / "run.json").read_text(encoding="utf-8"))["labels"]
    folder = export(NAME, trained_state(run), labels, dict(config), {}, VERSION, work)
    base = Specialists(work, threads=1).base
    manifest, adapter = load_adapter(folder, base.sha256, base.engine.doors)
    run_ = base.engine.specialise(adapter)
    return PieceReader(manifest, lambda text: base.tokeniser(text).ids, run_)


def said_by(reader: PieceReader, unseen: Sequence[Sheet]) -> Iterator[dict[str, Any]]:
    """Yield what an adapter says of each pair of companies that it has not seen."""
    read: dict[Sheet, Any] = {}
    for (*_, concept), (sheet, row) in pairs(unseen, reader.labels).items():
        if sheet not in read:
            read[sheet] = softmax(reader.logits(written(sheet.kind, sheet.labels, reader.cut)))
        chances = read[sheet][row]
        best = (-chances).argsort(kind="stable")[:TOP]
        said = [[reader.labels[i], round(float(chances[i]), 4)] for i in best]
        yield {**place((sheet, row), concept), "said": said}


def main() -> None:
    """Read the command line, train, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    parser.add_argument("--base", type=Path, required=True, help="training form of the base")
    parser.add_argument("--fold", type=int, default=0, help="fold to leave out and to judge")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--work", type=Path, default=Path("var/lines"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))
    data, run = arguments.data / "finance", arguments.work / f"fold{arguments.fold}"
    if not done(config, run):
        train(config, arguments.base, data, str(arguments.fold), run)
    sheets = [s for s in read_sheets(data / "statements.jsonl") if s.fold == arguments.fold]
    reader = reader_of(run, config, arguments.artefacts)
    keep(FOLDER / f"adapter-fold{arguments.fold}.jsonl.gz", said_by(reader, sheets))
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    facts = {key: value for key, value in facts.items() if key != "labels"}
    (FOLDER / RUN).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
