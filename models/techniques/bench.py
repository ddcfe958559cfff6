"""Train and score without fold 0: what all experiments share.

A finished training or score is never repeated. An interrupted training resumes from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.corpus import FOLDS, counts_of, read_labels, read_records
from models.evaluation.judging import judge
from models.evaluation.outcomes import outcomes
from models.files import read_config, say
from models.lora.encoder import Tagger
from models.lora.teach import probabilities, tagger_of_run, taught
from models.lora.train import (
    TOKENISER_FILE,
    Contract,
    EpochSampler,
    Loss,
    base_weights,
    contracts_of,
    finished,
    fit,
    state_of,
    steps_of,
    teacher_recipe,
    usual_loss,
)
from services.extraction.evaluation.metric import Counts
from services.extraction.pipeline.decoding import Candidate, Decoding, decode
from shared.inference import TokenScores
from shared.inference.tokeniser import Tokeniser, Tokens
from shared.inference.windows import window_starts

Record = dict[str, Any]
FOLD = 0  # never trained on
SEEDS = (20, 21, 22)
SHORT = 1.5  # epochs of a short training
START = 0.25  # share of the contracts that an adapter knows before an update
UPDATE = 300  # steps of an update
RARE = 100  # a category with fewer answers in the training contracts is rare
READINGS = "soft-labels"  # folder of the probabilities of adapters that others learn from
NUMBER_TYPE = "bfloat16"
READING = 1 / 3
"""Cost of reading a batch without learning, in steps: one pass forward instead of three."""
UPDATE_RATE = 5e-4
"""Peak learning rate when a trained adapter learns more."""


@dataclass(frozen=True)
class Lesson:
    """The contracts, the loss (default: the usual one) and the first parameters of a training."""

    contracts: list[Contract]
    loss: Loss | None = None
    start: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """One variant of an experiment.

    `steps` is its whole cost, in training steps of one seed. `counts` has an entry for each seed:
    the counts of the legal metric [contracts, labels, thresholds, 2].
    """

    name: str
    steps: float
    counts: Sequence[Counts]


@dataclass(frozen=True)
class Bench:
    """The inputs and the folder of the trainings."""

    specialist: Path
    config: dict[str, Any]  # of one training
    labels: list[str]
    data: Path
    base: Path
    work: Path
    seeds: Sequence[int]

    @classmethod
    def of(cls, specialist: Path, data: Path, base: Path, work: Path) -> Bench:
        """Read the recipe of a specialist; if it has a teacher, that of the teacher.

        All trainings have the same number type, also on another machine.
        """
        config = read_config(specialist)
        if "teacher" in config:
            config = teacher_recipe(config)
        config["training"] = config["training"] | {"number_type": NUMBER_TYPE}
        labels = read_labels(specialist, config["data"])
        return cls(specialist, config, labels, data, base, work, SEEDS)

    # --- the contracts -------------------------------------------------------------------------

    @cached_property
    def tokenise(self) -> Callable[[str], Tokens]:
        """The tokeniser of the base, which remembers every text."""
        return cache(Tokeniser(self.base / TOKENISER_FILE))

    @cached_property
    def tests(self) -> list[Record]:
        """The contracts that no training sees."""
        return list(read_records(self.data, self.config["data"], [FOLD]))

    @cached_property
    def _others(self) -> list[Record]:
        return list(read_records(self.data, self.config["data"], [k for k in FOLDS if k != FOLD]))

    def records(self, low: float = 0.0, high: float = 1.0) -> list[Record]:
        """Return training contracts; a hash of the family, from 0 to 1, is in [low, high)."""
        return [r for r in self._others if low <= crc32(r["family"].encode()) / 2**32 < high]

    def contracts(self, records: Iterable[Record]) -> list[Contract]:
        """Tokenise records."""
        return contracts_of(records, self.tokenise, self.labels)

    def rare(self) -> list[str]:
        """Return the categories with few answers in the training contracts."""
        number = counts_of(self.records())
        return [label for label in self.labels if 0 < number[label] < RARE]

    def answers(self, records: Sequence[Record]) -> Counts:
        """Return the number of answers [contracts, labels]."""
        number = [counts_of([record]) for record in records]
        return np.array([[here[label] for label in self.labels] for here in number])

    # --- the trainings -------------------------------------------------------------------------

    @property
    def content(self) -> int:
        """Tokens of a window, without [CLS] and [SEP]."""
        return int(self.config["windows"]["length"]) - 2

    def steps(self, epochs: float | None = None, share: float = 1.0) -> int:
        """Return the steps of some epochs (default: the config's) over a share of the contracts."""
        contracts = self.contracts(self.records(0, share))
        sampler = EpochSampler(contracts, self.content, self.config["windows"]["empty"], 0)
        epochs = epochs or self.config["training"]["epochs"]
        return steps_of(epochs, sampler, self.config["training"]["batch"])

    def train(
        self,
        name: str,
        seed: int,
        steps: int,
        lesson: Callable[[], Lesson],
        rate: float | None = None,
        base: Path | None = None,
    ) -> Path:
        """Train if it is not done, and return the folder of the run.

        Args:
            lesson: called only if something is left to train.
            rate: peak learning rate, if it differs from the config's.
            base: folder of the weights, if it is another one.

        Raises:
            SystemExit: the folder has a training with another recipe.
        """
        out = self.work / name / f"seed{seed}"
        changes = {"seed": seed, "steps": steps} | ({"learning_rate": rate} if rate else {})
        config = self.config | {"training": self.config["training"] | changes}
        if finished(config, out):
            return out
        say(f"{name}, seed {seed}")
        learned = lesson()
        loss = learned.loss or usual_loss(config)
        given = self.labels, base or self.base, str(FOLD), learned.contracts
        fit(config, *given, out, loss, learned.start)
        return out

    def by_labels(self, steps: int, share: float = 1.0) -> list[Path]:
        """Train on the labels of a share of the contracts, one run a seed."""

        def lesson() -> Lesson:
            return Lesson(self.contracts(self.records(0, share)))

        name = f"labels-{round(100 * share)}-{steps}-steps"
        return [self.train(name, seed, steps, lesson) for seed in self.seeds]

    def starts(self) -> tuple[int, list[Path]]:
        """Return the steps of a start, and the starts of updates, one run a seed."""
        steps = self.steps(share=START)
        return steps, self.by_labels(steps, START)

    def updated(self, name: str, lesson: Callable[[Path, int], Lesson]) -> list[Path]:
        """Update each start by its lesson, a function of its folder and seed."""
        pairs = zip(self.starts()[1], self.seeds, strict=True)
        return [
            self.train(name, seed, UPDATE, partial(lesson, start, seed), UPDATE_RATE)
            for start, seed in pairs
        ]

    def repeated(self) -> list[Path]:
        """Let each start learn its own contracts again, without anything new."""

        def lesson(start: Path, _: int) -> Lesson:
            return Lesson(self.contracts(self.records(0, START)), start=state_of(start))

        return self.updated("repeated", lesson)

    # --- reading and scoring -------------------------------------------------------------------

    def tagger(self, run: Path, base: Path | None = None) -> Tagger:
        """Return the tagger of a run, on its base or another one."""
        weights = base_weights(base or self.base, getattr(torch, NUMBER_TYPE))
        return tagger_of_run(run, weights, str(FOLD))

    def soft_labels(
        self, run: Path, contracts: list[Contract], experiment: str
    ) -> NDArray[np.float16]:
        """Return the probabilities of a run for contracts [tokens, outputs], from a file."""
        path = self.work / READINGS / experiment / f"{run.parent.name}-{run.name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        return taught(self.tagger(run), contracts, self.content, self.content // 2, path)

    def cost_of_reading(self, contracts: Iterable[Contract]) -> float:
        """Return the cost of `soft_labels`, in training steps."""
        length = self.content
        windows = sum(len(window_starts(len(c.ids), length, length // 2)) for c in contracts)
        return READING * windows / self.config["training"]["batch"]

    def candidates(self, record: Record, soft_labels: NDArray[np.floating[Any]]) -> list[Candidate]:
        """Decode the probabilities [tokens, outputs] of a contract."""
        inside = np.ascontiguousarray(soft_labels[:, : len(self.labels)], np.float32)
        scores = TokenScores(self.tokenise(record["text"]).offsets, inside)
        return decode(record["text"], scores, self.labels, Decoding.of(self.config["decoding"]))

    def counts(
        self,
        run: Path,
        file: str = "counts",
        records: Sequence[Record] | None = None,
        base: Path | None = None,
    ) -> Counts:
        """Return the counts of contracts by plain decoding [contracts, labels, thresholds, 2].

        Args:
            run: the folder of a training; it stores the counts.
            file: name of the stored counts, different for other records or bases.
            records: other contracts than those of the left-out fold.
            base: another base than the one of the trainings.
        """
        path = run / f"{file}.npz"
        if not path.exists():
            records = self.tests if records is None else records
            say(f"{run.parent.name}, {run.name}: predicting {len(records)} contracts")
            tagger = self.tagger(run, base)
            windows = self.content, self.config["windows"]["stride"]
            judged = []
            for record in records:
                ids = self.tokenise(record["text"]).ids
                found = self.candidates(record, probabilities(tagger, ids, *windows))
                judged.append(judge(record, found, self.labels))
            made = outcomes(judged, [contract.matched for contract in judged], self.labels, {})
            unfinished = path.with_suffix(".partial.npz")
            np.savez_compressed(unfinished, counts=made.counts().astype(np.int32))
            unfinished.replace(path)
        with np.load(path) as stored:
            return np.asarray(stored["counts"], np.int64)

    def arm(self, name: str, steps: float, runs: Sequence[Path], **options: Any) -> Arm:
        """Return an arm with one run a seed; `options` are those of `counts`."""
        return Arm(name, steps, [self.counts(run, **options) for run in runs])
