"""Train the adapter that names lines: LoRA on the quantised base, and one head.

models.line_concepts.adapter runs it. A line is the mean of its tokens, since the base was trained
for sentences (Reimers and Gurevych, 2019). The head is initialised from the base's states of the
concept names, which helps with rare concepts.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.files import RUN_FILE, WEIGHTS_FILE, say, write_json
from models.line_concepts.corpus import Sheet, common, read_sheets
from models.lora.encoder import Tagger
from models.lora.train import faster_number_type, learning_rate
from services.triage.concepts.linear import OWN
from services.triage.concepts.segments import Segments, segment_windows, tokenise_lines
from shared.inference.tokeniser import CLS, SEP, Tokeniser

PARTS = ("data", "windows", "adapter", "training")
"""Sections of the config that decide the result."""
CHECKPOINT = 100
"""Steps between checkpoints."""
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
"""The words in a concept's name."""


@dataclass(frozen=True)
class Page:
    """A training statement: the tokens of its lines, and the label of each, -1 for a heading."""

    company: int
    kind: str
    lines: Segments
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Stretch:
    """Some lines of a page, from `first` to `last` - 1."""

    page: Page
    first: int
    last: int

    @property
    def tokens(self) -> int:
        return int(self.page.lines.ends[self.last - 1]) - self.page.lines.start(self.first)


def pages_of(sheets: Sequence[Sheet], labels: Sequence[str], tokenise: Tokeniser) -> list[Page]:
    """Tokenise statements."""
    number = {label: i for i, label in enumerate(labels)}
    tokenised: dict[str, Any] = {}

    def cut(text: str) -> Any:
        if text not in tokenised:
            tokenised[text] = tokenise(text).ids
        return tokenised[text]

    return [
        Page(
            sheet.company,
            sheet.kind,
            tokenise_lines(sheet.kind, sheet.labels, cut),
            tuple(-1 if c is None else number.get(c, number[OWN]) for c in sheet.concepts),
        )
        for sheet in sheets
    ]


class EpochSampler:
    """Order of training lines: each epoch has one page of every statement type of each company."""

    def __init__(self, pages: Sequence[Page], content: int, batch: int, seed: int) -> None:
        self._of: dict[tuple[int, str], list[Page]] = {}
        for page in pages:
            self._of.setdefault((page.company, page.kind), []).append(page)
        self._content, self._batch, self._seed = content, batch, seed

    def epoch(self, number: int) -> Iterator[list[Stretch]]:
        """Yield batches of stretches of similar length, in random order."""
        draw = np.random.default_rng((self._seed, number))
        some = [pages[int(draw.integers(len(pages)))] for pages in self._of.values()]
        cut = [s for page in some for s in self._cut(page, int(draw.integers(self._content)))]
        cut.sort(key=lambda s: s.tokens)
        batches = [cut[i : i + self._batch] for i in range(0, len(cut), self._batch)]
        yield from (batches[i] for i in draw.permutation(len(batches)))

    def _cut(self, page: Page, offset: int) -> Iterator[Stretch]:
        """Cut a page into consecutive stretches; the first one is shorter."""
        first = 0
        if page.lines.ends[-1] > self._content:
            first = int(np.searchsorted(page.lines.ends, offset, side="right"))
            if first:
                yield Stretch(page, 0, first)
        remaining = page.lines.part(first, len(page.lines))
        for a, b in segment_windows(remaining, self._content, self._content):
            yield Stretch(page, first + a, first + b)


def tensors_of(batch: Sequence[Stretch]) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids [windows, length], the line of every token or -1 [windows * length], and the label
    of each line [lines]. Longer windows are cut to the length of the shortest.
    """
    length = min(stretch.tokens for stretch in batch) + 2
    ids = torch.full((len(batch), length), SEP)
    of = torch.full((len(batch), length), -1)
    ids[:, 0] = CLS
    targets: list[int] = []
    for i, stretch in enumerate(batch):
        lines, begin = stretch.page.lines, stretch.page.lines.start(stretch.first)
        ids[i, 1:-1] = torch.from_numpy(lines.ids[begin : begin + length - 2])
        for line in range(stretch.first, stretch.last):
            start, end = lines.start(line) - begin, int(lines.ends[line]) - begin
            if end <= length - 2 and stretch.page.labels[line] >= 0:
                of[i, 1 + start : 1 + end] = len(targets)
                targets.append(stretch.page.labels[line])
    return ids, of.view(-1), torch.tensor(targets, dtype=torch.long)


def line_means(hidden: Tensor, of: Tensor, lines: int) -> Tensor:
    """Return the mean [lines, width] of the hidden states [tokens, width] of each line."""
    selected = of >= 0
    of, hidden = of[selected], hidden[selected].float()
    sums = torch.zeros(lines, hidden.shape[1]).index_add(0, of, hidden)
    return sums / torch.bincount(of, minlength=lines)[:, None]


def begin_head(model: Tagger, labels: Sequence[str], tokenise: Tokeniser, rates: Tensor,
               sharpness: float) -> None:  # fmt: skip
    """Initialise the head from the base's states of the label names."""
    ids = [tokenise(in_words(label)).ids for label in labels]
    with torch.no_grad():
        names = torch.empty(len(labels), model.shape.width)
        for length in {len(name) for name in ids}:
            some = [i for i, name in enumerate(ids) if len(name) == length]
            tokens = torch.tensor([[CLS, *ids[i], SEP] for i in some])
            hidden = model.hidden(tokens).float().view(len(some), length + 2, -1)
            names[some] = hidden[:, 1:-1].mean(1)
        size = names.norm(dim=1).mean()
        names = torch.nn.functional.normalize(names - names.mean(0), dim=1)
        model.head.weight.copy_(names * sharpness / size)
        model.head.bias.copy_(0.5 * torch.log(rates))


def in_words(concept: str) -> str:
    """Return a concept's name in words."""
    return " ".join(WORDS.findall(concept)).lower()


def train(config: Mapping[str, Any], base: Path, data: Path, fold: str, out: Path) -> None:
    """Train, and write `adapter.safetensors` and `run.json` to the folder `out`.

    Fold K leaves the companies of fold K out, `none` trains on all. After a stop the same command
    resumes from the last checkpoint and ends with the same weights.
    """
    settings, content = config["training"], config["windows"]["length"] - 2
    out.mkdir(parents=True, exist_ok=True)
    begin = time.process_time()
    sheets = list(read_sheets(data / "statements.jsonl"))
    labels = common(sheets, config["data"]["least_companies"])
    tokenise = Tokeniser(base / "tokenizer.json")
    pages = pages_of([s for s in sheets if str(s.fold) != fold], labels, tokenise)
    sampler = EpochSampler(pages, content, settings["batch"], settings["seed"])
    steps = sum(1 for e in range(settings["epochs"]) for _ in sampler.epoch(e))

    checkpoint = out / "checkpoint.pt"
    stored = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else None
    recipe = {part: config[part] for part in PARTS}
    if stored and stored["recipe"] != recipe:
        raise SystemExit(f"{checkpoint} has another recipe; remove it, or use another folder")
    chosen = stored["number_type"] if stored else settings.get("number_type", "auto")
    dtype = faster_number_type() if chosen == "auto" else getattr(torch, chosen)
    number_type = str(dtype).removeprefix("torch.")
    torch.manual_seed(settings["seed"])
    weights = {k: v.to(dtype) for k, v in load_file(base / WEIGHTS_FILE).items()}
    model = Tagger(weights, config["adapter"]["rank"], len(labels))
    met = Counter(label for page in pages for label in page.labels if label >= 0)
    rates = torch.tensor([met[i] + 1.0 for i in range(len(labels))])
    begin_head(model, labels, tokenise, rates / rates.sum(), settings["sharpness"])
    head = [model.head.weight, model.head.bias]
    own = [p for name, p in model.named_parameters() if not name.startswith("head.")]
    groups = [{"params": own, "peak": settings["learning_rate"]},
              {"params": head, "peak": settings["learning_rate_of_head"]}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, weight_decay=settings["decay"], fused=True)
    say(f"{out.name}: {len(pages)} pages, {len(labels)} labels, {steps} steps, {number_type}")

    done, spent = 0, 0.0
    if stored:
        model.load_state_dict(stored["model"])
        optimizer.load_state_dict(stored["optimizer"])
        done, spent = stored["step"], stored["seconds"]
        say(f"{out.name}: resuming at step {done}")
    running, reported = 0.0, time.monotonic()
    every = (batch for e in range(settings["epochs"]) for batch in sampler.epoch(e))
    for step, batch in enumerate(every):
        ids, of, targets = tensors_of(batch)
        if step < done or not len(targets):  # very short stretches may have no whole line
            continue
        logits = model.head(line_means(model.hidden(ids), of, len(targets)))
        loss = cross_entropy(logits, targets, label_smoothing=settings["smoothing"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, settings["warmup"], group["peak"])
        optimizer.step()
        optimizer.zero_grad()
        running += (0.03 if running else 1.0) * (loss.item() - running)
        seconds = spent + time.process_time() - begin
        if time.monotonic() - reported > 20 or step == steps - 1:
            reported = time.monotonic()
            say(f"{out.name}: step {step + 1}/{steps} loss {running:.3f}, {seconds:.0f} s")
        if step % CHECKPOINT == CHECKPOINT - 1:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            facts = {"step": step + 1, "seconds": seconds, "number_type": number_type}
            torch.save({**state, **facts, "recipe": recipe}, out / "partial")
            (out / "partial").replace(checkpoint)

    save_file(model.state_dict(), out / "adapter.safetensors")
    run = {
        "labels": labels,
        "fold": fold,
        "steps": steps,
        "pages": len(pages),
        "companies": len({page.company for page in pages}),
        "number_type": number_type,
        "torch": torch.__version__,
        "config": dict(config),
        "seconds": round(spent + time.process_time() - begin),
    }
    write_json(out / RUN_FILE, run)
