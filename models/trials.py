"""What would more data, more time or another recipe give? Trainings without fold 0, side by side.

    python -m models.trials models/contract-clauses --data FOLDER --base var/base --work var/trials

Each trial changes the recipe in one thing, trains without fold 0, and predicts that fold by plain
decoding; the table has them all. What the specialist keeps in `runs/fold0` is the recipe as it is.
A trial that was made before is not made again, and refused if that was by another recipe than
`config.toml` has now; what was cut off goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.bases import Model, predictions
from models.borrowed import borrowed
from models.compare import tagger_of
from models.corpus import corpus_in, read_labels, read_records
from models.export import trained_state
from models.predict import read_predictions, write_predictions
from models.quantise import encoder_weights
from models.specialists import model_folder
from models.train import faster_number_type, say, train
from models.tries import table
from shared.inference.tokeniser import CLS, SEP, Tokeniser

FOLD = 0
WEIGHTS_FILE, TOKENISER_FILE = "dequantised.safetensors", "tokenizer.json"


@dataclass(frozen=True)
class Trial:
    """A recipe that differs in one thing."""

    share: float = 1.0  # of the families to learn from
    epochs: float | None = None  # None: as the config says
    seeds: int = 0  # more trainings with other seeds, whose probabilities are averaged
    quantised_after: bool = False  # learn on the encoder's own numbers, serve on the INT4 ones
    borrows: bool = False  # learn from ACORD's clauses too

    def changes(self, config: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the config of each training."""
        made = []
        for number in range(self.seeds + 1):
            changed = deepcopy(dict(config))
            changed["data"]["share"] = self.share
            changed["training"]["epochs"] = self.epochs or config["training"]["epochs"]
            changed["training"]["seed"] += number
            made.append(changed)
        return made


TRIALS: dict[str, Trial] = {
    "as it is": Trial(),
    "25% of the families": Trial(share=0.25),
    "50% of the families": Trial(share=0.5),
    "1 epoch": Trial(epochs=1.0),
    "2 epochs": Trial(epochs=2.0),
    "two seeds, averaged": Trial(seeds=1),
    "quantised afterwards": Trial(quantised_after=True),
    "1 epoch, quantised afterwards": Trial(epochs=1.0, quantised_after=True),
    "1 epoch, with borrowed clauses": Trial(epochs=1.0, borrows=True),
}


@dataclass(frozen=True)
class Bench:
    """Where trainings happen, and what they need."""

    specialist: Path
    config: Mapping[str, Any]
    labels: list[str]
    data: Path
    base: Path
    work: Path

    def runs(self, trial: Trial) -> list[Path]:
        """Train what is missing of a trial, and return the folders of its adapters.

        Raises:
            SystemExit: one was trained by another recipe.
        """
        self.check(trial)
        return [self._run(trial, config) for config in trial.changes(self.config)]

    def check(self, trial: Trial) -> None:
        """Raise SystemExit if an adapter of a trial was trained by another recipe."""
        for config in trial.changes(self.config):
            folder = self._folder(trial, config)
            path = folder / "run.json"
            if not path.exists():
                continue
            run = json.loads(path.read_text(encoding="utf-8"))
            if _recipe(run["config"]) != _recipe(config):
                raise SystemExit(
                    f"{folder} was trained by another recipe than config.toml has now; remove it "
                    "and the predictions of it, or work in another folder"
                )

    def _folder(self, trial: Trial, config: Mapping[str, Any]) -> Path:
        kept = self.specialist / "runs" / f"fold{FOLD}"
        usual = Trial().changes(self.config)[0]
        plain = not trial.quantised_after and not trial.borrows
        if config == usual and plain and (kept / "run.json").exists():
            return kept
        settings = config["training"]
        parts = [f"{config['data']['share']:.0%}".rstrip("%"), f"{settings['epochs']:g}-epochs"]
        parts += [f"seed{settings['seed']}"]
        parts += ["original"] * trial.quantised_after + ["borrowed"] * trial.borrows
        return self.work / "-".join(parts)

    def _run(self, trial: Trial, config: Mapping[str, Any]) -> Path:
        out = self._folder(trial, config)
        if not (out / "run.json").exists():
            base = self._original() if trial.quantised_after else self.base
            data = self._with_borrowed() if trial.borrows else self.data
            train(dict(config), self.labels, base, data, str(FOLD), out)
        return out

    def _original(self) -> Path:
        """Return a base whose numbers are the encoder's own."""
        folder = self.work / "original"
        folder.mkdir(parents=True, exist_ok=True)
        weights = encoder_weights(model_folder())
        own = {name: torch.from_numpy(value).contiguous() for name, value in weights.items()}
        save_file(own, folder / WEIGHTS_FILE)
        shutil.copyfile(self.base / TOKENISER_FILE, folder / TOKENISER_FILE)
        return folder

    def _with_borrowed(self) -> Path:
        """Return a data folder whose contracts are followed by borrowed clauses."""
        folder, name = self.work / "borrowed", self.config["data"]["training"]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(corpus_in(self.data, name), folder / name)
        record, _ = borrowed(self.data, name)
        with gzip.open(folder / name, "at", encoding="utf-8") as out:
            out.write(json.dumps(record | {"fold": FOLD + 1}) + "\n")
        return folder


def _recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a config makes the adapter, as models.train has it."""
    recipe = {name: config[name] for name in ("windows", "adapter", "training")}
    return recipe | {"data": {"share": 1.0, **config["data"]}}


def averaged(runs: Sequence[Path], base: Path, rank: int) -> Model:
    """Return the trained taggers as one, in the number type that is faster here.

    The logits are of the mean probabilities.
    """
    weights = load_file(base / WEIGHTS_FILE)
    dtype = faster_number_type()
    cast = {name: value.to(dtype) for name, value in weights.items()}
    taggers: list[Callable[[Tensor], Tensor]] = [
        tagger_of(cast, trained_state(run), rank) for run in runs
    ]

    def model(ids: Tensor) -> Tensor:
        ids[:, 0], ids[:, -1] = CLS, SEP
        shares = [tagger(ids)[:, 1:-1].sigmoid() for tagger in taggers]
        return torch.stack(shares).mean(0).logit(1e-7)

    return model


def main() -> None:
    """Read the command line, train and predict what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--base", type=Path, required=True, help="training weights of the base")
    parser.add_argument("--work", type=Path, required=True, help="folder of trainings, predictions")
    parser.add_argument("--only", choices=TRIALS, nargs="+", default=list(TRIALS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(arguments.specialist, config["data"])
    tokenise = Tokeniser(arguments.base / TOKENISER_FILE)
    records = list(read_records(arguments.data, config["data"], [FOLD]))
    places = arguments.specialist, config, labels, arguments.data, arguments.base, arguments.work
    bench = Bench(*places)
    found = {}
    for name in arguments.only:
        path = arguments.work / f"{name.replace(' ', '-').replace(',', '')}.jsonl.gz"
        bench.check(TRIALS[name])
        if not path.exists():
            runs = bench.runs(TRIALS[name])
            model = averaged(runs, arguments.base, config["adapter"]["rank"])
            say(f"{name}: predicting {len(records)} contracts")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_predictions(path, predictions(model, records, tokenise, labels, config))
        found[name] = read_predictions(path)
    print("\n".join(table(records, found, labels)))


if __name__ == "__main__":
    main()
