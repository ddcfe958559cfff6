"""Train a specialist: a LoRA adapter and a head on the quantised base. Read it top to bottom.

    python -m models.train models/contract-clauses --base var/base --data FOLDER \\
        --fold 0 --out var/fold0

`--fold K` leaves fold K out (it is what the result is scored on); `--fold none` trains on
everything. The base is the folder written by `models.quantise`: the adapter learns on exactly the
numbers that are served, so it absorbs the error of quantisation (as in QLoRA, Dettmers et al.,
2023). Interrupted, the same command goes on from the last checkpoint and ends with the same
weights.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from models.encoder import Tagger
from shared.inference.adapters import VIEWS
from shared.inference.tokeniser import CLS, SEP, Tokeniser
from shared.inference.windows import window_starts

# --- the data: windows over contracts, with spans as token ranges -----------------------------


@dataclass(frozen=True)
class Contract:
    """One contract as tokens, with the labels as token ranges (label, first, end)."""

    ids: NDArray[np.int64]
    spans: list[tuple[int, int, int]]


@dataclass(frozen=True)
class Window:
    """A stretch of one contract: `start` is its first token."""

    contract: Contract
    start: int

    def is_empty(self, content: int) -> bool:
        """Whether no label touches the window's `content` tokens."""
        end = self.start + content
        return not any(first < end and last > self.start for _, first, last in self.contract.spans)


def read_contracts(path: Path, tokenise: Tokeniser, labels: list[str], fold: str) -> list[Contract]:
    """Read and tokenise the contracts that are not in the left-out fold."""
    number = {label: i for i, label in enumerate(labels)}
    contracts = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if str(record["fold"]) == fold:
                continue
            tokens = tokenise(record["text"])
            starts, ends = tokens.offsets.T
            spans = []
            for note in record["annotations"]:
                first = int(np.searchsorted(ends, note["start"], side="right"))
                last = int(np.searchsorted(starts, note["end"], side="left"))
                if first < last:
                    spans.append((number[note["category"]], first, last))
            contracts.append(Contract(tokens.ids, spans))
    return contracts


def epoch_of(
    windows: list[Window], content: int, share: float, seed: int
) -> Iterator[list[Window]]:
    """Yield epoch after epoch: every labelled window and a fresh share of the empty ones."""
    empty = [window for window in windows if window.is_empty(content)]
    labelled = [window for window in windows if not window.is_empty(content)]
    for epoch in range(10**6):
        draw = np.random.default_rng((seed, epoch))
        some = draw.choice(len(empty), size=round(share * len(empty)), replace=False)
        chosen = labelled + [empty[i] for i in some]
        yield [chosen[i] for i in draw.permutation(len(chosen))]


def batches_of(
    windows: list[Window], content: int, share: float, size: int, seed: int
) -> Iterator[list[Window]]:
    """Yield full batches without end; what is left of an epoch opens the next batch."""
    waiting: list[Window] = []
    for epoch in epoch_of(windows, content, share, seed):
        waiting += epoch
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]


def tensors_of(batch: list[Window], content: int, labels: int) -> tuple[Tensor, Tensor]:
    """Return ids [windows, content + 2] and targets [views, windows, content, labels]."""
    ids = torch.empty(len(batch), content + 2, dtype=torch.long)
    ids[:, 0], ids[:, -1] = CLS, SEP
    targets = torch.zeros(len(VIEWS), len(batch), content, labels)
    for i, window in enumerate(batch):
        end = window.start + content
        ids[i, 1:-1] = torch.from_numpy(window.contract.ids[window.start : end])
        for label, first, last in window.contract.spans:
            if first < end and last > window.start:
                targets[0, i, max(first - window.start, 0) : last - window.start, label] = 1.0
            if window.start <= first < end:
                targets[1, i, first - window.start, label] = 1.0
            if window.start < last <= end:
                targets[2, i, last - 1 - window.start, label] = 1.0
    return ids, targets


# --- small decisions --------------------------------------------------------------------------


def faster_number_type() -> torch.dtype:
    """Return the number type that multiplies faster here: bf16 is quick on some processors only."""

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.ones(2048, 384, dtype=dtype), torch.ones(384, 1536, dtype=dtype)
        a @ b
        begin = time.perf_counter()
        for _ in range(30):
            a @ b
        return time.perf_counter() - begin

    # bf16 has to win clearly: what surrounds the multiplications is slower in it.
    return (
        torch.bfloat16 if seconds(torch.bfloat16) * 1.4 < seconds(torch.float32) else torch.float32
    )


def learning_rate(step: int, steps: int, warmup: float, peak: float) -> float:
    """Rise linearly to the peak during the warm-up, then fall linearly to zero."""
    rise = max(1, round(warmup * steps))
    return peak * min((step + 1) / rise, (steps - step) / max(1, steps - rise))


def base_rates(windows: list[Window], labels: int) -> Tensor:
    """Return the share of the tokens that each view and label has [views * labels], never zero."""
    tokens, spans = torch.zeros(labels), torch.zeros(labels)
    contracts = {id(window.contract): window.contract for window in windows}
    for contract in contracts.values():
        for label, first, last in contract.spans:
            tokens[label] += last - first
            spans[label] += 1
    total = sum(len(contract.ids) for contract in contracts.values())
    return ((torch.cat([tokens, spans, spans]) + 1) / (total + 1)).clamp(max=0.5)


def loss_of(logits: Tensor, targets: Tensor, settings: dict[str, Any]) -> Tensor:
    """Return the loss of a batch: binary cross-entropy, positives weighing more.

    Where a passage opens and closes is learned beside what lies inside. The two say little that
    the first doesn't, but learning them makes the first better.

    Args:
        logits: [windows, content, views * labels].
        targets: [views, windows, content, labels].
        settings: `positive_weight`, `edge_positive_weight`, and `edges`, the weight of the two.
    """
    inside, *edges = logits.chunk(len(VIEWS), -1)
    labels = inside.shape[-1]
    weight = torch.tensor(settings["positive_weight"])
    loss = binary_cross_entropy_with_logits(inside, targets[0], pos_weight=weight)
    weight = torch.tensor(settings["edge_positive_weight"])
    for view, target in zip(edges, targets[1:], strict=True):
        edge = binary_cross_entropy_with_logits(view, target, pos_weight=weight)
        loss = loss + settings["edges"] * edge
    return loss * labels


# --- the training -----------------------------------------------------------------------------


def train(config: dict[str, Any], base: Path, data: Path, fold: str, out: Path) -> None:
    """Train and write `adapter.safetensors` and `run.json` to the folder `out`."""
    settings, cutting = config["training"], config["windows"]
    labels = [
        item["category"] for item in json.loads((data / config["data"]["categories"]).read_text())
    ]
    content = cutting["length"] - 2
    out.mkdir(parents=True, exist_ok=True)

    tokenise = Tokeniser(base / "tokenizer.json")
    contracts = read_contracts(data / config["data"]["training"], tokenise, labels, fold)
    windows = [
        Window(contract, start)
        for contract in contracts
        for start in window_starts(len(contract.ids), content, cutting["stride"])
        if len(contract.ids) >= content
    ]
    empty = sum(window.is_empty(content) for window in windows)
    in_epoch = len(windows) - empty + round(cutting["empty"] * empty)
    steps = max(1, round(settings["epochs"] * in_epoch / settings["batch"]))
    say(f"{len(contracts)} contracts, {len(windows)} windows, {empty} of them empty; {steps} steps")

    checkpoint = out / "checkpoint.pt"
    state = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else None
    chosen = state["number_type"] if state else settings["number_type"]
    dtype = faster_number_type() if chosen == "auto" else getattr(torch, chosen)
    torch.manual_seed(settings["seed"])
    weights = {
        name: value.to(dtype) for name, value in load_file(base / "dequantised.safetensors").items()
    }
    model = Tagger(weights, config["adapter"]["rank"], len(VIEWS) * len(labels))
    rates = base_rates(windows, len(labels))
    with torch.no_grad():
        model.head.weight.mul_(0.1)
        model.head.bias.copy_(torch.log(rates / (1 - rates)))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, fused=True)
    first = 0
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        first = state["step"]
        say(f"going on from step {first}")

    batches = batches_of(windows, content, cutting["empty"], settings["batch"], settings["seed"])
    begin = saved = told = time.monotonic()
    running = 0.0
    for step, batch in zip(range(steps), batches, strict=False):
        if step < first:
            continue
        ids, targets = tensors_of(batch, content, len(labels))
        loss = loss_of(model(ids)[:, 1:-1], targets, settings)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, settings["warmup"], settings["learning_rate"])
        optimizer.step()
        optimizer.zero_grad()

        running += 0.02 * (loss.item() - running) if step > first else loss.item()
        now = time.monotonic()
        if now - told > 20 or step == steps - 1:
            rate = (step + 1 - first) / (now - begin)
            tokens = rate * settings["batch"] * cutting["length"]
            left = (steps - step - 1) / rate / 60
            say(
                f"step {step + 1}/{steps} loss {running:.4f} "
                f"{tokens:.0f} tokens/s {left:.1f} min left"
            )
            told = now
        if now - saved > settings["checkpoint_every"]:
            keep(checkpoint, model, optimizer, step + 1, dtype)
            saved = now

    save_file(model.state_dict(), out / "adapter.safetensors")
    run = {
        "labels": labels,
        "views": VIEWS,
        "fold": fold,
        "steps": steps,
        "contracts": len(contracts),
        "windows": len(windows),
        "number_type": str(dtype).removeprefix("torch."),
        "config": config,
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - begin),
    }
    (out / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")


def keep(
    path: Path, model: Tagger, optimizer: torch.optim.Optimizer, step: int, dtype: torch.dtype
) -> None:
    """Write a checkpoint so that a kill at any moment leaves the old or the new one whole."""
    partial = path.with_suffix(".partial")
    torch.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "step": step,
            "number_type": str(dtype).removeprefix("torch."),
        },
        partial,
    )
    partial.replace(path)


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml")
    parser.add_argument(
        "--base", type=Path, required=True, help="folder written by models.quantise"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--fold", default="none", help="fold to leave out, or none")
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    train(config, arguments.base, arguments.data, arguments.fold, arguments.out)


if __name__ == "__main__":
    main()
