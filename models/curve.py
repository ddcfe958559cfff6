"""A learning curve: what would more contracts, or more time, give?

    python -m models.curve models/contract-clauses --data FOLDER --base var/base --work var/curve

Trains on a share of the contracts, and for some epochs, always without fold 0; predicts that fold
by plain decoding and prints a table. The point with all contracts and all epochs is the adapter
that the specialist keeps in `runs/fold0`. A point that was trained before is not trained again;
what was cut off goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.bases import Model, predictions
from models.compare import tagger_of
from models.corpus import read_labels, read_records
from models.export import trained_state
from models.predict import read_predictions, write_predictions
from models.train import faster_number_type, say, train
from models.tries import table
from shared.inference.tokeniser import CLS, SEP, Tokeniser

FOLD = 0
SHARES = (0.25, 0.5, 1.0)  # of the families to learn from, for as many epochs as the config says
EPOCHS = (1.0, 2.0)  # fewer, on all of them


def points(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the config of every point of the curve by its name."""
    made = {}
    usual = config["training"]["epochs"]
    for share, epochs in [(s, usual) for s in SHARES] + [(1.0, e) for e in EPOCHS]:
        changed = deepcopy(config)
        changed["data"]["share"], changed["training"]["epochs"] = share, epochs
        made[named(share, epochs)] = changed
    return made


def named(share: float, epochs: float) -> str:
    """Say what a point is."""
    return f"{share:.0%} of the families, {epochs:g} epochs"


def model_of(out: Path, base: Path, rank: int) -> Model:
    """Return the trained tagger of a point, in the number type that is faster here."""
    weights = load_file(base / "dequantised.safetensors")
    dtype = faster_number_type()
    cast = {name: value.to(dtype) for name, value in weights.items()}
    tagger = tagger_of(cast, trained_state(out), rank)

    def model(ids: Tensor) -> Tensor:
        ids[:, 0], ids[:, -1] = CLS, SEP
        logits: Tensor = tagger(ids)[:, 1:-1]
        return logits

    return model


def main() -> None:
    """Read the command line, train and predict what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--base", type=Path, required=True, help="training weights of the base")
    parser.add_argument("--work", type=Path, required=True, help="folder of trainings, predictions")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(arguments.specialist, config["data"])
    tokenise = Tokeniser(arguments.base / "tokenizer.json")
    records = list(read_records(arguments.data, config["data"], [FOLD]))
    kept = arguments.specialist / "runs" / f"fold{FOLD}"
    found = {}
    for name, changed in points(config).items():
        out = arguments.work / name.replace(" ", "-").replace("%", "").replace(",", "")
        path = out / "predictions.jsonl.gz"
        if not path.exists():
            run = out
            if name == named(1.0, config["training"]["epochs"]) and kept.exists():
                run = kept
            else:
                train(changed, labels, arguments.base, arguments.data, str(FOLD), out)
            out.mkdir(parents=True, exist_ok=True)
            model = model_of(run, arguments.base, config["adapter"]["rank"])
            say(f"{name}: predicting {len(records)} contracts")
            write_predictions(path, predictions(model, records, tokenise, labels, changed))
        found[name] = read_predictions(path)
    print("\n".join(table(records, found, labels)))


if __name__ == "__main__":
    main()
