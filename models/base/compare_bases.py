r"""Train another encoder as the base for the same processor time, to compare what it learns.

    python -m models.base.compare_bases models/clauses/contract-clauses --data FOLDER \
        --model FOLDER_OF_AN_ENCODER --minutes 40 --learning-rate 1e-3 --out first.jsonl.gz

The folder has an encoder in the format of transformers, with `tokenizer.json`. Training is that of
`models.lora.train`, on the original numbers instead of INT4 ones. It stops after the given
processor time and predicts the left-out fold by plain decoding. `models.clauses.trials_table`
compares the predictions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from models.corpus import read_labels, read_records
from models.evaluation.predict import Candidate, write_predictions
from models.files import command, read_config, say
from models.lora.encoder import LoraLinear
from models.lora.train import (
    EpochSampler,
    base_rates,
    faster_number_type,
    learning_rate,
    loss_of,
    read_contracts,
    start_head,
    tensors_of,
)
from services.extraction.pipeline.decoding import Decoding, decode
from shared.inference import TokenScores
from shared.inference.adapters import VIEWS
from shared.inference.tokeniser import Tokeniser
from shared.inference.windows import WindowAverage, window_starts

EVERY = 20  # seconds between two lines of progress


class Adapted(nn.Module):
    """A linear map of the encoder with LoRA, for any number of dimensions."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.map = LoraLinear(linear.weight.detach(), linear.bias.detach(), rank)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., k] to [..., n]."""
        y: Tensor = self.map(x.flatten(0, -2)).unflatten(0, x.shape[:-1])
        return y


class Candidacy(nn.Module):
    """Another encoder with LoRA on every linear map of its layers, and a head."""

    def __init__(self, folder: Path, rank: int, outputs: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(folder, dtype=dtype).requires_grad_(False).eval()
        tokeniser = AutoTokenizer.from_pretrained(folder)
        self.first, self.last = tokeniser.cls_token_id, tokeniser.sep_token_id
        for block in self.encoder.encoder.layer:
            for name, linear in list(block.named_modules()):
                if isinstance(linear, nn.Linear):
                    parent, _, own = name.rpartition(".")
                    setattr(block.get_submodule(parent), own, Adapted(linear, rank))
        self.head = nn.Linear(self.encoder.config.hidden_size, outputs)

    def forward(self, ids: Tensor) -> Tensor:
        """Map windows of token ids [windows, length] to logits [windows, length - 2, outputs]."""
        ids[:, 0], ids[:, -1] = self.first, self.last
        logits: Tensor = self.head(self.encoder(ids).last_hidden_state[:, 1:-1].float())
        return logits


def train(
    model: Candidacy,
    sampler: EpochSampler,
    labels: int,
    config: Mapping[str, Any],
    peak: float,
    most: int,
) -> int:
    """Train for `most` seconds of processor time; return the number of steps."""
    settings, length = config["training"], config["windows"]["length"]
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, weight_decay=0.01, fused=True)
    begin, reported, step, running = time.process_time(), time.monotonic(), 0, 0.0
    while (spent := time.process_time() - begin) < most:
        batch = sampler.batch(settings["batch"])
        ids, targets = tensors_of(batch, length - 2, labels)
        logits = model(ids)
        sampler.note(batch, logits[..., :labels])
        loss = loss_of(logits, targets, settings)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, settings["clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(int(spent), most, settings["warmup"], peak)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        running = loss.item() if step == 1 else running + 0.02 * (loss.item() - running)
        if time.monotonic() - reported > EVERY:
            tokens = step * settings["batch"] * length / max(spent, 1)
            say(f"step {step} loss {running:.4f} {tokens:.0f} tokens/s {spent / 60:.1f} min spent")
            reported = time.monotonic()
    return step


Model = Callable[[Tensor], Tensor]
"""Maps token ids [windows, length] to logits [windows, length - 2, outputs]; sets the first and
last id itself. The first outputs say whether a token is inside a passage.
"""


def predictions(
    model: Model,
    records: list[dict[str, Any]],
    tokenise: Tokeniser,
    labels: list[str],
    config: Mapping[str, Any],
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id of each contract and its candidates by plain decoding."""
    content, batch = config["windows"]["length"] - 2, config["training"]["batch"]
    settings = Decoding.of(config["decoding"])
    for number, record in enumerate(records, 1):
        tokens = tokenise(record["text"])
        average = WindowAverage(len(tokens.ids), len(labels))
        starts = list(window_starts(len(tokens.ids), content, config["windows"]["stride"]))
        for i in range(0, len(starts), batch):
            windows = [tokens.ids[start : start + content] for start in starts[i : i + batch]]
            ids = torch.from_numpy(np.stack([np.pad(window, 1) for window in windows]))
            with torch.no_grad():
                shares = model(ids)[..., : len(labels)].sigmoid().numpy()
            for start, share in zip(starts[i : i + batch], shares, strict=True):
                average.add(start, share)
        scores = TokenScores(tokens.offsets, average.mean())
        say(f"{number} of {len(records)} contracts")
        yield record["id"], decode(record["text"], scores, labels, settings)


def main() -> None:
    """Read the command line, train, and predict the left-out fold."""
    parser = command(__doc__, "specialist", "--data")
    parser.add_argument("--model", type=Path, required=True, help="folder of an encoder")
    parser.add_argument("--minutes", type=float, required=True, help="of processor time")
    parser.add_argument("--learning-rate", type=float, help="at its peak (default: the config's)")
    parser.add_argument("--fold", type=int, default=0, help="fold to leave out, and to predict")
    parser.add_argument("--contracts", type=int, help="of that fold to predict (default: all)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="file of the predictions")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = read_config(arguments.specialist)
    settings, data = config["training"], arguments.data
    labels = read_labels(arguments.specialist, config["data"])
    tokenise = Tokeniser(arguments.model / "tokenizer.json")
    contracts = read_contracts(data, config["data"], tokenise, labels, str(arguments.fold))
    windows = config["windows"]
    sampler = EpochSampler(contracts, windows["length"] - 2, windows["empty"], settings["seed"])
    torch.manual_seed(settings["seed"])
    outputs = len(VIEWS) * len(labels)
    model = Candidacy(arguments.model, config["adapter"]["rank"], outputs, faster_number_type())
    rates = base_rates(contracts, len(labels))
    start_head(model.head, rates)
    peak = arguments.learning_rate or settings["learning_rate"]
    steps = train(model, sampler, len(labels), config, peak, round(60 * arguments.minutes))
    say(f"{steps} steps: {steps * settings['batch'] / len(sampler):.2f} epochs")
    records = list(read_records(data, config["data"], [arguments.fold]))[: arguments.contracts]
    write_predictions(arguments.out, predictions(model, records, tokenise, labels, config))


if __name__ == "__main__":
    main()
