r"""Train variants of the recipe without fold 0: more data, more time, other settings.

    python -m models.clauses.trials models/clauses/contract-clauses --data FOLDER \
        --base var/base --work var/trials

Each trial changes one thing in the recipe, trains without fold 0, and predicts that fold by plain
decoding. The table compares all of them. `runs/fold0` of the specialist is the unchanged recipe. A
finished trial is not repeated, and refused if `config.toml` has changed since. An interrupted one
resumes from its checkpoint.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.base.compare_bases import Model, predictions
from models.base.quantise import encoder_weights
from models.clauses.arithmetic import tagger_of
from models.clauses.pipeline import model_folder
from models.clauses.trials_table import table
from models.corpus import read_labels, read_records
from models.evaluation.predict import read_predictions, write_predictions
from models.files import command, read_config, read_json, say
from models.lora.export import trained_state
from models.lora.train import faster_number_type, train
from shared.inference.tokeniser import CLS, SEP, Tokeniser

FOLD = 0
WEIGHTS_FILE, TOKENISER_FILE = "dequantised.safetensors", "tokenizer.json"


@dataclass(frozen=True)
class Trial:
    """A recipe with one change."""

    share: float = 1.0  # of the families to learn from
    epochs: float | None = None  # None: as the config says
    seeds: int = 0  # more trainings with other seeds, whose probabilities are averaged
    quantised_after: bool = False  # learn on the encoder's own numbers, serve on the INT4 ones

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
}


@dataclass(frozen=True)
class Bench:
    """The inputs and the folder of trainings."""

    specialist: Path
    config: Mapping[str, Any]
    labels: list[str]
    data: Path
    base: Path
    work: Path

    def runs(self, trial: Trial) -> list[Path]:
        """Train missing adapters of a trial and return the folders of all.

        Raises SystemExit if one was trained with another recipe.
        """
        self.check(trial)
        return [self._run(trial, config) for config in trial.changes(self.config)]

    def check(self, trial: Trial) -> None:
        """Raise SystemExit if an adapter of a trial was trained with another recipe."""
        for config in trial.changes(self.config):
            folder = self._folder(trial, config)
            path = folder / "run.json"
            if not path.exists():
                continue
            run = read_json(path)
            if _recipe(run["config"]) != _recipe(config):
                raise SystemExit(
                    f"{folder} has another recipe than config.toml; remove it "
                    "and its predictions, or use another folder"
                )

    def _folder(self, trial: Trial, config: Mapping[str, Any]) -> Path:
        stored = self.specialist / "runs" / f"fold{FOLD}"
        usual = Trial().changes(self.config)[0]
        if config == usual and not trial.quantised_after and (stored / "run.json").exists():
            return stored
        settings = config["training"]
        parts = [f"{config['data']['share']:.0%}".rstrip("%"), f"{settings['epochs']:g}-epochs"]
        parts += [f"seed{settings['seed']}"]
        parts += ["original"] * trial.quantised_after
        return self.work / "-".join(parts)

    def _run(self, trial: Trial, config: Mapping[str, Any]) -> Path:
        out = self._folder(trial, config)
        if not (out / "run.json").exists():
            base = self._original() if trial.quantised_after else self.base
            train(dict(config), self.labels, base, self.data, str(FOLD), out)
        return out

    def _original(self) -> Path:
        """Return a base with the encoder's original numbers."""
        folder = self.work / "original"
        folder.mkdir(parents=True, exist_ok=True)
        weights = encoder_weights(model_folder())
        own = {name: torch.from_numpy(value).contiguous() for name, value in weights.items()}
        save_file(own, folder / WEIGHTS_FILE)
        shutil.copyfile(self.base / TOKENISER_FILE, folder / TOKENISER_FILE)
        return folder


def _recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a config that decides the adapter, as in models.lora.train."""
    recipe = {name: config[name] for name in ("windows", "adapter", "training")}
    return recipe | {"data": {"share": 1.0, **config["data"]}}


def averaged(runs: Sequence[Path], base: Path, rank: int) -> Model:
    """Combine taggers: the logits of their mean probabilities, in the faster number type."""
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
    """Read the command line, run missing trials, and print the table."""
    parser = command(__doc__, "specialist", "--data", "--base")

    parser.add_argument("--work", type=Path, required=True, help="folder of trainings, predictions")
    parser.add_argument("--only", choices=TRIALS, nargs="+", default=list(TRIALS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = read_config(arguments.specialist)
    labels = read_labels(arguments.specialist, config["data"])
    tokenise = Tokeniser(arguments.base / TOKENISER_FILE)
    records = list(read_records(arguments.data, config["data"], [FOLD]))
    places = arguments.data, arguments.base, arguments.work
    bench = Bench(arguments.specialist, config, labels, *places)
    result = {}
    for name in arguments.only:
        path = arguments.work / f"{name.replace(' ', '-').replace(',', '')}.jsonl.gz"
        bench.check(TRIALS[name])
        if not path.exists():
            runs = bench.runs(TRIALS[name])
            model = averaged(runs, arguments.base, config["adapter"]["rank"])
            say(f"{name}: predicting {len(records)} contracts")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_predictions(path, predictions(model, records, tokenise, labels, config))
        result[name] = read_predictions(path)
    print("\n".join(table(records, result, labels)))


if __name__ == "__main__":
    main()
