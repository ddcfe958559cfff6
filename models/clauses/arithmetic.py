r"""Compare the served arithmetic with torch in fp32, with the same adapter.

    python -m models.clauses.arithmetic models/clauses/contract-clauses --run var/fold0 \
        --model FOLDER_OF_THE_MODEL --base var/base --data FOLDER --artefacts FOLDER --contracts 20

Runs four forms of the base over contracts of the left-out fold: INT8 arithmetic (served), the INT4
graph, torch with the de-quantised weights (must equal INT4), and torch with the original weights.
Writes `comparison.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from models.base.quantise import encoder_weights
from models.corpus import read_records
from models.evaluation.judging import counts_of, judge
from models.files import RUN_FILE, WEIGHTS_FILE, command, read_config, read_json, write_json
from models.lora.encoder import Tagger
from models.lora.export import trained_state
from services.extraction.evaluation.metric import Curve
from services.extraction.pipeline.decoding import Decoding, decode
from shared.inference import AdapterManifest, Specialist, Specialists, TokenScores
from shared.inference.engines import Arithmetic
from shared.inference.tokeniser import CLS, SEP, Tokeniser, Tokens
from shared.inference.windows import WindowAverage, window_starts

Floats = NDArray[np.float32]


def torch_probabilities(tagger: Tagger, tokens: Tokens, length: int, stride: int) -> Floats:
    """Return torch's probabilities of every token [T, outputs], with the served windows."""
    content = length - 2
    average = WindowAverage(len(tokens.ids), tagger.head.out_features)
    for start in window_starts(len(tokens.ids), content, stride):
        ids = np.concatenate([[CLS], tokens.ids[start : start + content], [SEP]])
        with torch.no_grad():
            logits = tagger(torch.from_numpy(ids)[None])[0, 1:-1]
        average.add(start, logits.sigmoid().numpy())
    return average.mean()


def tagger_of(weights: dict[str, torch.Tensor], state: dict[str, Floats], rank: int) -> Tagger:
    """Put a trained adapter on a base in torch."""
    tagger = Tagger(weights, rank, len(state["head.bias"]))
    tagger.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return tagger


Form = Callable[[str], Floats]
"""Maps a text to the probabilities of its tokens [T, labels]."""


def served_form(specialist: Specialist) -> Form:
    """Return the served specialist as a form."""
    return lambda text: specialist.token_probabilities(text).probabilities


def torch_form(manifest: AdapterManifest, tokenise: Tokeniser, tagger: Tagger) -> Form:
    """Return the same adapter in torch, with the served windows."""
    length, stride = manifest.window_length, manifest.window_stride
    inside = slice(len(manifest.labels))  # without openings and closings
    return lambda text: torch_probabilities(tagger, tokenise(text), length, stride)[:, inside]


def compare(
    records: Sequence[dict[str, Any]],
    manifest: AdapterManifest,
    tokenise: Tokeniser,
    forms: Mapping[str, Form],
) -> dict[str, Any]:
    """Run every form, the served one first; return scores, and differences to the first form."""
    labels, settings = manifest.labels, Decoding.of(manifest.decoding)
    counts = {form: [] for form in forms}  # type: dict[str, list[Any]]
    gaps = {form: [] for form in forms}  # type: dict[str, list[tuple[float, float]]]
    answers = 0
    for record in records:
        text = record["text"]
        offsets = tokenise(text).offsets
        first: Floats | None = None
        for name, form in forms.items():
            probabilities = form(text)
            first = probabilities if first is None else first
            gap = np.abs(probabilities - first)
            gaps[name].append((float(gap.max()), float(gap.mean())))
            candidates = decode(text, TokenScores(offsets, probabilities), labels, settings)
            counted, number = counts_of(judge(record, candidates, labels), labels, {})
            counts[name].append(counted.sum(0))
        answers += int(number.sum())
    curves = {name: Curve.of(np.stack(rows).sum(0), answers) for name, rows in counts.items()}
    return {
        "contracts": len(records),
        "answers": answers,
        "forms": {
            name: {
                "aupr": curve.aupr,
                "best_f1": curve.best_f1,
                "largest_difference": max(largest for largest, _ in gaps[name]),
                "mean_difference": float(np.mean([mean for _, mean in gaps[name]])),
            }
            for name, curve in curves.items()
        },
    }


def main() -> None:
    """Read the command line and compare."""
    parser = command(__doc__, "specialist", "--data", "--base")
    parser.add_argument("--run", type=Path, required=True, help="folder of a training")
    parser.add_argument("--model", type=Path, required=True, help="folder of the original model")

    parser.add_argument("--artefacts", type=Path, required=True, help="with the adapter of the run")
    parser.add_argument("--contracts", type=int, default=20)
    arguments = parser.parse_args()
    config = read_config(arguments.specialist)
    fold = int(read_json(arguments.run / RUN_FILE)["fold"])
    records = list(read_records(arguments.data, config["data"], [fold]))
    records = records[:: max(1, len(records) // arguments.contracts)][: arguments.contracts]
    state, rank = trained_state(arguments.run), config["adapter"]["rank"]
    original = {
        name: torch.from_numpy(value) for name, value in encoder_weights(arguments.model).items()
    }
    dequantised = load_file(arguments.base / WEIGHTS_FILE)
    name = arguments.specialist.name
    int8, int4 = (Specialists(arguments.artefacts, arithmetic=a) for a in get_args(Arithmetic))
    given = int8.get(name).manifest, int8.base.tokeniser
    forms = {
        "INT8 arithmetic, as served": served_form(int8.get(name)),
        "INT4 in memory": served_form(int4.get(name)),
        "fp32, the same INT4 numbers": torch_form(*given, tagger_of(dequantised, state, rank)),
        "fp32, the original numbers": torch_form(*given, tagger_of(original, state, rank)),
    }
    result = compare(records, *given, forms)
    print(write_json(arguments.specialist / "comparison.json", result), end="")


if __name__ == "__main__":
    main()
