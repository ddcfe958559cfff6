"""Measure what INT4 costs: the served graph against torch in fp32, with the same adapter.

    python -m models.compare models/contract-clauses --run var/fold0 --model FOLDER_OF_THE_MODEL \\
        --base var/base --data FOLDER --artefacts FOLDER --contracts 20

Three forms of the base run over the same contracts of the left-out fold: the served INT4 graph;
torch with the de-quantised weights (the graph must equal it); torch with the original fp32
weights under the same adapter (what quantisation changed). Writes `comparison.json`.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from models.corpus import read_records
from models.encoder import Tagger
from models.evaluate import counts_of, judge
from models.export import trained_state
from models.metric import Curve
from models.predict import Candidate
from models.quantise import encoder_weights
from services.extraction.decoding import Decoding, decode
from shared.inference import Specialists, TokenScores
from shared.inference.tokeniser import CLS, SEP, Tokens
from shared.inference.windows import WindowAverage, window_starts

Floats = NDArray[np.float32]


def torch_probabilities(tagger: Tagger, tokens: Tokens, length: int, stride: int) -> Floats:
    """Return what torch thinks of every token [T, labels], windowed as when serving."""
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


def compare(
    records: list[dict[str, Any]],
    specialists: Specialists,
    name: str,
    taggers: dict[str, Tagger],
) -> dict[str, Any]:
    """Run every form of the base over the contracts; return differences and areas."""
    specialist = specialists.get(name)
    manifest = specialist.manifest
    labels, settings = manifest.labels, Decoding.of(manifest.decoding)
    counts = {form: [] for form in ("served", *taggers)}  # type: dict[str, list[Any]]
    largest, total, values = dict.fromkeys(taggers, 0.0), dict.fromkeys(taggers, 0.0), 0
    answers = 0
    for record in records:
        text = record["text"]
        tokens = specialists.base.tokeniser(text)
        served = specialist.token_probabilities(text).probabilities
        forms = {"served": served}
        for form, tagger in taggers.items():
            forms[form] = torch_probabilities(
                tagger, tokens, manifest.window_length, manifest.window_stride
            )
            gap = np.abs(forms[form] - served)
            largest[form] = max(largest[form], float(gap.max()))
            total[form] += float(gap.sum())
        values += served.size
        for form, probabilities in forms.items():
            found = decode(text, TokenScores(tokens.offsets, probabilities), labels, settings)
            candidates = [Candidate(c.label, c.start, c.end, c.score) for c in found]
            counted, number = counts_of(judge(record, candidates, labels), labels, {})
            counts[form].append(counted.sum(0))
        answers += int(number.sum())
    return {
        "contracts": len(records),
        "answers": answers,
        "aupr": {
            form: Curve.of(np.stack(rows).sum(0), answers).aupr for form, rows in counts.items()
        },
        "largest_difference": largest,
        "mean_difference": {form: value / values for form, value in total.items()},
    }


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description="Measure what INT4 costs.")
    parser.add_argument("specialist", type=Path, help="folder with config.toml")
    parser.add_argument("--run", type=Path, required=True, help="folder written by models.train")
    parser.add_argument("--model", type=Path, required=True, help="folder of the original model")
    parser.add_argument("--base", type=Path, required=True, help="training weights of the base")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--artefacts", type=Path, required=True, help="with the adapter of the run")
    parser.add_argument("--contracts", type=int, default=20)
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    fold = int(json.loads((arguments.run / "run.json").read_text(encoding="utf-8"))["fold"])
    records = list(read_records(arguments.data, config["data"], [fold]))
    records = records[:: max(1, len(records) // arguments.contracts)][: arguments.contracts]
    state, rank = trained_state(arguments.run), config["adapter"]["rank"]
    original = {
        name: torch.from_numpy(value) for name, value in encoder_weights(arguments.model).items()
    }
    taggers = {
        "torch, de-quantised": tagger_of(
            load_file(arguments.base / "dequantised.safetensors"), state, rank
        ),
        "torch, original fp32": tagger_of(original, state, rank),
    }
    specialists = Specialists(arguments.artefacts)
    result = compare(records, specialists, arguments.specialist.name, taggers)
    target = arguments.specialist / "comparison.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
