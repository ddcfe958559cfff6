"""Distillation: does a teacher help more than the same time with the labels, and unlabelled pages?

Source: Hinton et al., 2015: Distilling the knowledge in a neural network. Teachers are trained on
the labels of the same contracts. A student learns from the teacher of another seed. Its steps do
not contain those of the teacher, which exists already.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.corpus import corpus_in, read_records
from models.files import read_lines
from models.lora.train import Loss, Window, loss_of, soft_loss, soft_targets
from models.techniques.bench import SHORT, Arm, Bench, Lesson

TITLE = "Distillation"
WEIGHT = 0.7  # of the teacher in the loss
PAGES = (300, 850)
PAGE = 3000  # least characters of an unlabelled page: about those of a page of a contract's PDF
SOURCES = ("acord_clauses", "contractnli_dev", "unfair_tos_en_train")
WORDS = 8  # in a sequence that two texts may share
COMMON = 0.1  # texts that share more of their sequences with the contracts are not used
SEED = 20


def arms(bench: Bench) -> list[Arm]:
    """Compare short students with short and longer trainings on labels."""
    short, long = bench.steps(SHORT), bench.steps()
    texts = unlabelled(bench)[: max(PAGES)]
    teachers = bench.by_labels(long)
    taught = short + bench.cost_of_reading(bench.contracts(bench.records()))
    made = [
        bench.arm("labels", short, bench.by_labels(short)),
        bench.arm("labels, as long as a student", taught, bench.by_labels(round(taught))),
        bench.arm("labels, the teachers", long, teachers),
    ]
    for pages in (0, *PAGES):
        runs = []
        for i, seed in enumerate(bench.seeds):
            given = partial(lesson, bench, teachers[i - 1], texts, pages)
            runs.append(bench.train(f"taught-{pages}-pages", seed, short, given))
        cost = taught + bench.cost_of_reading(bench.contracts(as_records(texts[:pages])))
        made.append(bench.arm(f"a teacher, {pages} unlabelled pages", cost, runs))
    return made


def lesson(bench: Bench, teacher: Path, texts: Sequence[str], pages: int) -> Lesson:
    """Return the lesson of a student: all contracts, and some unlabelled pages."""
    records = bench.records()
    contracts = bench.contracts([*records, *as_records(texts)])
    soft_labels = bench.soft_labels(teacher, contracts, "distillation")
    labelled = sum(len(contract.ids) for contract in contracts[: len(records)])
    return Lesson(contracts[: len(records) + pages], taught_loss(bench, soft_labels, labelled))


def taught_loss(bench: Bench, soft_labels: NDArray[np.float16], labelled: int) -> Loss:
    """Return the loss against the teacher and, in the first tokens, the labels.

    Args:
        soft_labels: probabilities of the teacher [tokens, outputs].
        labelled: the number of tokens with labels.
    """

    def loss(batch: Sequence[Window], logits: Tensor, targets: Tensor) -> Tensor:
        soft = soft_loss(logits, soft_targets(batch, logits.shape[1], soft_labels))
        known = [i for i, window in enumerate(batch) if window.contract.place < labelled]
        if not known:
            return WEIGHT * soft
        hard = loss_of(logits[known], targets[:, known], bench.config["training"])
        return WEIGHT * soft + (1 - WEIGHT) * len(known) / len(batch) * hard

    return loss


# --- pages without labels -----------------------------------------------------------------------


def as_records(texts: Iterable[str]) -> list[dict[str, object]]:
    """Return texts in the form of contracts without labels."""
    return [{"text": text, "annotations": []} for text in texts]


def unlabelled(bench: Bench) -> list[str]:
    """Return pages of texts that are neither in the contracts nor similar to a part of them."""
    known: set[int] = set()
    for record in read_records(bench.data, bench.config["data"]):
        known.update(sequences(record["text"]))
    made: list[str] = []
    for source in SOURCES:
        texts = [r["text"] for r in read_lines(corpus_in(bench.data, f"{source}.jsonl.gz"))]
        made += pages_of(text for text in texts if common(text, known) <= COMMON)
    order = np.random.default_rng(SEED).permutation(len(made))
    return [made[i] for i in order]


def sequences(text: str) -> list[int]:
    """Return a hash of every sequence of words."""
    words = re.findall(r"\w+", text.lower())
    return [hash(tuple(words[i : i + WORDS])) for i in range(len(words) - WORDS + 1)]


def common(text: str, known: set[int]) -> float:
    """Return the share of a text's sequences that are known; 1 for a text without any."""
    own = sequences(text)
    return sum(entry in known for entry in own) / len(own) if own else 1.0


def pages_of(texts: Iterable[str]) -> Iterator[str]:
    """Join texts and cut them at line ends into pages; the last, incomplete one is dropped."""
    page = ""
    for text in texts:
        for line in f"{text}\n".splitlines(keepends=True):
            page += line
            if len(page) >= PAGE:
                yield page
                page = ""
