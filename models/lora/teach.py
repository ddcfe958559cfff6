"""Distil: a student learns what a trained adapter, its teacher, says of every token.

The student learns these probabilities beside the labels (Hinton et al., 2015). They are the
teacher's mean over overlapping windows. So they know more of the context of a token than the one
window in which the student sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.files import RUN_FILE, read_json, say
from models.lora.encoder import Tagger
from models.lora.export import trained_state
from shared.inference.tokeniser import CLS, SEP
from shared.inference.windows import WindowAverage, window_starts

if TYPE_CHECKING:
    from models.lora.train import Contract

AT_ONCE = 16  # windows


def tagger_of_run(run: Path, weights: dict[str, Tensor], fold: str) -> Tagger:
    """Return the tagger of a finished training.

    Raises:
        SystemExit: the training left out another fold, so its student would learn its answers.
    """
    facts = read_json(run / RUN_FILE)
    if facts["fold"] != fold:
        raise SystemExit(f"{run} left out fold {facts['fold']}: it can't teach without fold {fold}")
    state = trained_state(run)
    tagger = Tagger(weights, facts["config"]["adapter"]["rank"], len(state["head.bias"]))
    tagger.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return tagger


def taught(
    teacher: Tagger, contracts: Sequence[Contract], content: int, stride: int, path: Path
) -> NDArray[np.float16]:
    """Return the probabilities of a teacher [tokens of all contracts, outputs], mapped from a file.

    Args:
        content: tokens of a window, without [CLS] and [SEP].
        stride: tokens from one window to the next.
        path: the file; it is made only if it is missing.
    """
    if not path.exists():
        tokens = sum(len(contract.ids) for contract in contracts)
        partial = path.with_suffix(".partial.npy")
        shape = (tokens, teacher.head.out_features)
        made = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
        for number, contract in enumerate(contracts, 1):
            end = contract.place + len(contract.ids)
            made[contract.place : end] = probabilities(teacher, contract.ids, content, stride)
            if number % 50 == 0 or number == len(contracts):
                say(f"{path.parent.name}: the teacher read {number} of {len(contracts)} contracts")
        made.flush()
        partial.replace(path)
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


def probabilities(
    teacher: Tagger, ids: NDArray[np.int64], content: int, stride: int
) -> NDArray[np.float32]:
    """Return the mean probabilities of every token over the windows that show it."""
    average = WindowAverage(len(ids), teacher.head.out_features)
    starts = window_starts(len(ids), content, stride)
    for first in range(0, len(starts), AT_ONCE):
        some = starts[first : first + AT_ONCE]
        rows = [np.concatenate([[CLS], ids[start : start + content], [SEP]]) for start in some]
        with torch.no_grad():
            shown = teacher(torch.from_numpy(np.stack(rows)))[:, 1:-1].sigmoid().numpy()
        for start, window in zip(some, shown, strict=True):
            average.add(start, window)
    return average.mean()
