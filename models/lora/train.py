r"""Train a specialist: a LoRA adapter and a head on the quantised base.

    python -m models.lora.train models/clauses/contract-clauses --base var/base --data FOLDER \
        --fold 0 --out var/fold0

`--fold K` leaves fold K out for evaluation; `--fold none` trains on everything. The base is the
folder written by `models.base.quantise`. The adapter learns on the served numbers, so it absorbs
the quantisation error (as in QLoRA, Dettmers et al., 2023). After a stop the same command resumes
from the last checkpoint and ends with the same weights.

With a section `teacher` in the config, a teacher of that recipe is trained first, in `OUT/teacher`,
and the adapter also learns what it says (see `models.lora.teach`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from models.corpus import FOLDS, read_labels, read_records
from models.files import RUN_FILE, WEIGHTS_FILE, command, read_config, read_json, say, write_json
from models.lora.encoder import Dropout, Tagger
from models.lora.export import trained_state
from models.lora.teach import tagger_of_run, taught
from shared.inference.adapters import VIEWS
from shared.inference.tokeniser import CLS, SEP, Tokeniser, Tokens

TOKENISER_FILE = "tokenizer.json"
"""Tokeniser of a base for training."""
CHECKPOINT_FILE = "checkpoint.pt"
SECTIONS = ("data", "windows", "adapter", "training", "teacher")
"""Sections of a config that decide an adapter; `teacher` only if there is one."""
SOFT_LABELS_FILE = "soft-labels.npy"
"""What the teacher says of all training contracts, while a student learns."""
EASY = 0.03
"""Added to the probability of empty windows, so that each is shown now and then."""

# --- the data: windows over contracts, with spans as token ranges -----------------------------


@dataclass(frozen=True)
class Contract:
    """One contract as tokens, with the labels as token ranges (label, first, end)."""

    ids: NDArray[np.int64]
    spans: list[tuple[int, int, int]]
    place: int = 0  # of its first token, counted over all contracts


@dataclass(frozen=True)
class Window:
    """A part of one contract; `start` is its first token."""

    contract: Contract
    start: int

    def is_empty(self, content: int) -> bool:
        """Return whether no label touches the window's `content` tokens."""
        end = self.start + content
        return not any(first < end and last > self.start for _, first, last in self.contract.spans)


def read_contracts(
    data: Path, settings: Mapping[str, Any], tokenise: Tokeniser, labels: list[str], fold: str
) -> list[Contract]:
    """Read and tokenise the contracts that are not in the left-out fold."""
    others = read_records(data, settings, [k for k in FOLDS if str(k) != fold])
    return contracts_of(others, tokenise, labels)


def contracts_of(
    records: Iterable[Mapping[str, Any]], tokenise: Callable[[str], Tokens], labels: list[str]
) -> list[Contract]:
    """Tokenise records with `text` and `annotations`."""
    number = {label: i for i, label in enumerate(labels)}
    contracts: list[Contract] = []
    offset = 0
    for record in records:
        tokens = tokenise(record["text"])
        spans = []
        for note in record["annotations"]:
            first, last = token_range(tokens, note["start"], note["end"])
            if first < last and note["category"] in number:
                spans.append((number[note["category"]], first, last))
        contracts.append(Contract(tokens.ids, spans, offset))
        offset += len(tokens.ids)
    return contracts


def token_range(tokens: Tokens, start: int, end: int) -> tuple[int, int]:
    """Return the first token that touches [start, end) of the text, and the end of the last one."""
    starts, ends = tokens.offsets.T
    first = np.searchsorted(ends, start, side="right")
    return int(first), int(np.searchsorted(starts, end, side="left"))


class EpochSampler:
    """Order of training windows, new in each epoch.

    Every epoch cuts the contracts at other places. It shows every window with a label and a share
    of the empty ones. Windows with a high probability of a label when last seen are preferred.
    """

    def __init__(self, contracts: list[Contract], content: int, share: float, seed: int) -> None:
        self._contracts = [c for c in contracts if len(c.ids) >= content]
        self._content, self._share, self._seed = content, share, seed
        self.alarm = torch.ones(sum(len(c.ids) for c in contracts), dtype=torch.float16)
        """Highest probability of any label at each token when last seen; 1 before."""
        self._begin(0)

    def __len__(self) -> int:
        return len(self._windows)

    def batch(self, size: int) -> list[Window]:
        """Return the next windows; an incomplete batch at the end of an epoch is dropped."""
        if self._place + size > len(self._windows):
            self._begin(self._epoch + 1)
        self._place += size
        return self._windows[self._place - size : self._place]

    def note(self, batch: list[Window], logits: Tensor) -> None:
        """Store the probabilities of a batch: logits [windows, content, labels]."""
        highest = logits.detach().amax(-1).sigmoid().half()
        for window, alarm in zip(batch, highest, strict=True):
            offset = window.contract.place + window.start
            self.alarm[offset : offset + self._content] = alarm

    def state(self) -> dict[str, Any]:
        """Return the state for `restore`."""
        return {
            "epoch": self._epoch,
            "place": self._place,
            "begun": self._begun,
            "alarm": self.alarm,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where another sampler stopped."""
        self.alarm = state["begun"]
        self._begin(state["epoch"])
        self._place, self.alarm = state["place"], state["alarm"]

    def _begin(self, epoch: int) -> None:
        self._epoch, self._place, self._begun = epoch, 0, self.alarm.clone()
        draw = np.random.default_rng((self._seed, epoch))
        windows = [
            Window(contract, start)
            for contract in self._contracts
            for start in self._starts(len(contract.ids), int(draw.integers(self._content)))
        ]
        empty = [window for window in windows if window.is_empty(self._content)]
        chosen = [window for window in windows if not window.is_empty(self._content)]
        if empty:
            hardness = np.array([self._hardness(window) for window in empty])
            count = round(self._share * len(empty))
            some = draw.choice(len(empty), count, replace=False, p=hardness / hardness.sum())
            chosen += [empty[i] for i in some]
        self._windows = [chosen[i] for i in draw.permutation(len(chosen))]

    def _starts(self, tokens: int, offset: int) -> list[int]:
        """Return starts without overlap from an offset; both ends are always included."""
        last = tokens - self._content
        return sorted({0, *range(offset, last, self._content), last})

    def _hardness(self, window: Window) -> float:
        offset = window.contract.place + window.start
        return float(self.alarm[offset : offset + self._content].max()) + EASY


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


def soft_targets(batch: Sequence[Window], content: int, soft_labels: NDArray[np.float16]) -> Tensor:
    """Return what the teacher says of windows [windows, content, outputs]."""
    places = [window.contract.place + window.start for window in batch]
    return torch.from_numpy(
        np.stack([soft_labels[place : place + content] for place in places])
    ).float()


# --- small decisions --------------------------------------------------------------------------


def faster_number_type() -> torch.dtype:
    """Return the number type that multiplies faster here; bf16 is fast on some processors only."""

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.ones(2048, 384, dtype=dtype), torch.ones(384, 1536, dtype=dtype)
        a @ b
        begin = time.perf_counter()
        for _ in range(30):
            a @ b
        return time.perf_counter() - begin

    # bf16 has to win clearly, since everything but the multiplications is slower in it.
    return (
        torch.bfloat16 if seconds(torch.bfloat16) * 1.4 < seconds(torch.float32) else torch.float32
    )


def learning_rate(step: int, steps: int, warmup: float, peak: float) -> float:
    """Rise linearly to the peak during the warm-up, then fall linearly to zero."""
    rise = max(1, round(warmup * steps))
    return peak * min((step + 1) / rise, (steps - step) / max(1, steps - rise))


def base_rates(contracts: list[Contract], labels: int) -> Tensor:
    """Return the share of the tokens that each view and label has [views * labels], never zero."""
    tokens, spans = torch.zeros(labels), torch.zeros(labels)
    for contract in contracts:
        for label, first, last in contract.spans:
            tokens[label] += last - first
            spans[label] += 1
    total = sum(len(contract.ids) for contract in contracts)
    return ((torch.cat([tokens, spans, spans]) + 1) / (total + 1)).clamp(max=0.5)


def start_head(head: torch.nn.Linear, rates: Tensor) -> None:
    """Make the first predictions of a head nearly the base rates."""
    with torch.no_grad():
        head.weight.mul_(0.1)
        head.bias.copy_(torch.log(rates / (1 - rates)))


def soft_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy between a teacher and a student, on the scale of `loss_of`.

    Args:
        logits: of the student [windows, content, views * labels].
        targets: probabilities of the teacher, of the same shape.
    """
    return logits.shape[-1] * binary_cross_entropy_with_logits(logits, targets)


def loss_of(logits: Tensor, targets: Tensor, settings: dict[str, Any]) -> Tensor:
    """Return the loss of a batch: binary cross-entropy with a weight for positives.

    The openings and closings of passages are learned, too. They add little information, but
    learning them improves the inside.

    Args:
        logits: [windows, content, views * labels].
        targets: [views, windows, content, labels].
        settings: `positive_weight`, `edge_positive_weight`, and `edges`, the weight of the edges.
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


Loss = Callable[[Sequence[Window], Tensor, Tensor], Tensor]
"""Maps windows, their logits [windows, content, views * labels] and their targets [views, windows,
content, labels] to the loss."""


def usual_loss(config: dict[str, Any], soft_labels: NDArray[np.float16] | None = None) -> Loss:
    """Return the loss against the labels and, if it has read the contracts, a teacher."""

    def loss_of_batch(batch: Sequence[Window], logits: Tensor, targets: Tensor) -> Tensor:
        loss = loss_of(logits, targets, config["training"])
        if soft_labels is None:
            return loss
        taught_loss = soft_loss(logits, soft_targets(batch, logits.shape[1], soft_labels))
        return loss + config["teacher"]["weight"] * (taught_loss - loss)

    return loss_of_batch


# --- the training -----------------------------------------------------------------------------


def train(
    config: dict[str, Any],
    labels: list[str],
    base: Path,
    data: Path,
    fold: str,
    out: Path,
    start: Path | None = None,
    teacher: Path | None = None,
) -> None:
    """Train, and write `adapter.safetensors` and `run.json` to the folder `out`.

    Args:
        start: folder of another adapter (see `models.lora.export.trained_state`) that initialises
            everything but the head.
        teacher: folder of the run to learn from; it must have left out the same fold.

    Raises:
        SystemExit: a checkpoint in `out` has another recipe, or the teacher has seen the fold.
    """
    tokenise = Tokeniser(base / TOKENISER_FILE)
    contracts = read_contracts(data, config["data"], tokenise, labels, fold)
    initial = state_of(start) if start else {}
    initial = {name: value for name, value in initial.items() if not name.startswith("head.")}
    soft_labels = None
    if teacher:
        tagger = tagger_of_run(teacher, base_weights(base, number_type(config, out)), fold)
        windows = config["windows"]["length"] - 2, config["teacher"]["stride"]
        out.mkdir(parents=True, exist_ok=True)
        soft_labels = taught(tagger, contracts, *windows, out / SOFT_LABELS_FILE)
    else:
        config = {name: value for name, value in config.items() if name != "teacher"}
    fit(config, labels, base, fold, contracts, out, usual_loss(config, soft_labels), initial)
    (out / SOFT_LABELS_FILE).unlink(missing_ok=True)


def state_of(run: Path) -> dict[str, Tensor]:
    """Read the parameters of an adapter (see `models.lora.export.trained_state`)."""
    return {name: torch.from_numpy(value) for name, value in trained_state(run).items()}


def base_weights(base: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    """Read the weights of a base."""
    return {name: value.to(dtype) for name, value in load_file(base / WEIGHTS_FILE).items()}


def number_type(config: Mapping[str, Any], out: Path) -> torch.dtype:
    """Return the number type of a training: that of its checkpoint, or else by the config."""
    checkpoint = out / CHECKPOINT_FILE
    chosen: str = config["training"]["number_type"]
    if checkpoint.exists():
        chosen = torch.load(checkpoint, weights_only=True)["number_type"]
    return faster_number_type() if chosen == "auto" else getattr(torch, chosen)


def fit(
    config: dict[str, Any],
    labels: list[str],
    base: Path,
    fold: str,
    contracts: list[Contract],
    out: Path,
    loss_of_batch: Loss,
    start: Mapping[str, Tensor],
) -> None:
    """Train on contracts, and write `adapter.safetensors` and `run.json` to the folder `out`.

    Args:
        config: its `training` has `epochs`, or the number of `steps`.
        fold: the one that the contracts leave out.
        start: parameters to begin with; without those of the head it begins at the base rates.

    Raises:
        SystemExit: a checkpoint in `out` has another recipe.
    """
    settings, cutting = config["training"], config["windows"]
    recipe = recipe_of(config)
    content = cutting["length"] - 2
    out.mkdir(parents=True, exist_ok=True)

    sampler = EpochSampler(contracts, content, cutting["empty"], settings["seed"])
    steps = settings.get("steps") or steps_of(settings["epochs"], sampler, settings["batch"])
    name = out.name
    say(f"{name}: {len(contracts)} contracts, {len(sampler)} windows an epoch; {steps} steps")

    checkpoint = out / CHECKPOINT_FILE
    state = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else None
    if state and state["recipe"] != recipe:
        raise SystemExit(f"{checkpoint} has another recipe; remove it, or use another folder")
    dtype = number_type(config, out)
    torch.manual_seed(settings["seed"])
    model = Tagger(base_weights(base, dtype), config["adapter"]["rank"], len(VIEWS) * len(labels))
    model.load_state_dict(model.state_dict() | dict(start))
    if "head.bias" not in start:
        start_head(model.head, base_rates(contracts, len(labels)))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, fused=True)
    drop = None
    if settings["dropout"]:
        tokens = settings["batch"] * cutting["length"]
        drop = Dropout(settings["dropout"], tokens * model.shape.width, dtype)
    first = 0
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        sampler.restore(state["course"])
        first = state["step"]
        say(f"{name}: resuming at step {first}")

    begin = saved = reported = time.monotonic()
    spent = state["seconds"] if state else 0.0
    running = 0.0
    for step in range(first, steps):
        batch = sampler.batch(settings["batch"])
        ids, targets = tensors_of(batch, content, len(labels))
        logits = model(ids, drop)[:, 1:-1]
        sampler.note(batch, logits[..., : len(labels)])
        loss = loss_of_batch(batch, logits, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, settings["warmup"], settings["learning_rate"])
        optimizer.step()
        optimizer.zero_grad()

        running += 0.02 * (loss.item() - running) if step > first else loss.item()
        now = time.monotonic()
        if now - reported > 20 or step == steps - 1:
            minutes = (steps - step - 1) * (now - begin) / (step + 1 - first) / 60
            say(f"{name}: step {step + 1}/{steps} loss {running:.4f}, {minutes:.1f} min left")
            reported = now
        if now - saved > settings["checkpoint_every"]:
            facts = {"step": step + 1, "seconds": spent + now - begin, "recipe": recipe}
            facts["number_type"] = str(dtype).removeprefix("torch.")
            keep(checkpoint, model, optimizer, sampler, facts)
            saved = now

    save_file(model.state_dict(), out / "adapter.safetensors")
    run = {
        "labels": labels,
        "views": VIEWS,
        "fold": fold,
        "steps": steps,
        "contracts": len(contracts),
        "windows": len(sampler),
        "number_type": str(dtype).removeprefix("torch."),
        "config": config,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "seconds": round(spent + time.monotonic() - begin),
    }
    write_json(out / RUN_FILE, run, indent=2)


def recipe_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a config that decides the adapter."""
    return {name: config[name] for name in SECTIONS if name in config}


def steps_of(epochs: float, sampler: EpochSampler, batch: int) -> int:
    """Return the steps of some epochs."""
    return max(1, round(epochs * len(sampler) / batch))


def teacher_recipe(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a teacher: that of its student, except for the section `teacher`."""
    own = config["teacher"]
    rest = {name: value for name, value in config.items() if name != "teacher"}
    return rest | {
        "adapter": config["adapter"] | {"rank": own["rank"]},
        "training": config["training"] | {"epochs": own["epochs"], "seed": own["seed"]},
    }


def keep(
    path: Path,
    model: Tagger,
    optimizer: torch.optim.Optimizer,
    sampler: EpochSampler,
    facts: Mapping[str, Any],
) -> None:
    """Write a checkpoint; a kill at any moment leaves the old or the new one complete."""
    partial = path.with_suffix(".partial")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    state |= {"course": sampler.state(), "rng": torch.get_rng_state(), **facts}
    torch.save(state, partial)
    partial.replace(path)


def train_teacher(
    config: dict[str, Any],
    labels: list[str],
    base: Path,
    data: Path,
    fold: str,
    out: Path,
    start: Path | None = None,
) -> None:
    """Train the teacher of a config unless it is finished.

    Raises:
        SystemExit: the finished one has another recipe.
    """
    recipe = teacher_recipe(config)
    if not finished(recipe, out):
        (out.parent / SOFT_LABELS_FILE).unlink(missing_ok=True)
        train(recipe, labels, base, data, fold, out, start)


def finished(config: Mapping[str, Any], out: Path) -> bool:
    """Return whether the folder of a training has its result.

    Raises:
        SystemExit: the result has another recipe.
    """
    if not (out / RUN_FILE).exists():
        return False
    if recipe_of(read_json(out / RUN_FILE)["config"]) != recipe_of(config):
        raise SystemExit(f"{out} has another recipe: remove it, or use another folder")
    return True


def main() -> None:
    """Read the command line and train."""
    parser = command(__doc__, "specialist", "--data", "--base")

    parser.add_argument("--fold", default="none", help="fold to leave out, or none")
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--start", type=Path, help="folder of an adapter to start from")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = read_config(arguments.specialist)
    labels = read_labels(arguments.specialist, config["data"])
    given = arguments.base, arguments.data, arguments.fold
    teacher = arguments.out / "teacher" if "teacher" in config else None
    if teacher:
        train_teacher(config, labels, *given, teacher, arguments.start)
    train(config, labels, *given, arguments.out, arguments.start, teacher)


if __name__ == "__main__":
    main()
