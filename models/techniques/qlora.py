"""QLoRA: does an adapter learn better on the quantised numbers with which it is served?

Source: Dettmers et al., 2023: QLoRA: Efficient finetuning of quantized LLMs.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from models.base.quantise import encoder_weights
from models.clauses.pipeline import model_folder
from models.files import WEIGHTS_FILE
from models.lora.train import TOKENISER_FILE
from models.techniques.bench import Arm, Bench, Lesson

TITLE = "QLoRA"


def arms(bench: Bench) -> list[Arm]:
    """Train whole epochs on the quantised numbers, and on the original ones."""
    steps = bench.steps()
    original = original_base(bench)

    def lesson() -> Lesson:
        return Lesson(bench.contracts(bench.records()))

    runs = [bench.train("original", seed, steps, lesson, base=original) for seed in bench.seeds]
    return [
        bench.arm("trained and served on quantised numbers", steps, bench.by_labels(steps)),
        bench.arm("trained on original numbers, then quantised", steps, runs),
        bench.arm(
            "trained and served on original numbers",
            steps,
            runs,
            file="counts-original",
            base=original,
        ),
    ]


def original_base(bench: Bench) -> Path:
    """Return a base with the encoder's original numbers."""
    folder = bench.work / "original-base"
    if not (folder / WEIGHTS_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bench.base / TOKENISER_FILE, folder / TOKENISER_FILE)
        weights = encoder_weights(model_folder())
        own = {name: torch.from_numpy(value).contiguous() for name, value in weights.items()}
        save_file(own, folder / WEIGHTS_FILE)
    return folder
