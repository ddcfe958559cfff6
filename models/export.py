"""Export a trained adapter: the file that onnxruntime loads, and its manifest.

    python -m models.export models/contract-clauses --run var/full --version 1.0.0 \\
        --artefacts models/artefacts

What was learned on the left-out fold (calibration, thresholds) is read from
`models/<name>/scores.json`, which `models.evaluate` writes. Exporting to the shipped artefacts also
notes the run in `models/<name>/training.json`, for the card.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from models.card import machine_of
from models.corpus import read_labels
from services.extraction.pipeline import FAMILIAR
from services.extraction.wording import WORDS_FILE
from shared.artefacts import TRAINING_FILE, sha256
from shared.inference.adapters import (
    ADAPTER_FILE,
    FORMAT,
    GRAPH_FILE,
    MANIFEST_FILE,
    VIEWS,
    base_folder,
    load_adapter,
)
from shared.inference.engines import Int8
from shared.inference.session import write_adapter

Floats = NDArray[np.float32]

TRAINED_FILE = "adapter.safetensors"
"""What models.train leaves in the folder of a run."""


def graph_parameters(state: dict[str, Floats]) -> dict[str, Floats]:
    """Rename and transpose the trained parameters to the doors of the base graph.

    `layers.0.qkv.a` [3, rank, width] becomes `layers.0.query.A` [width, rank] and its two
    siblings, `layers.0.outer.b` [1, rows, rank] becomes `layers.0.outer.B` [rank, rows].
    """
    parameters = {
        "head.weight": np.ascontiguousarray(state["head.weight"].T),
        "head.bias": state["head.bias"],
    }
    for name, value in state.items():
        if name.startswith("head."):
            continue
        module, matrix = name.rsplit(".", 1)
        layer, part = module.rsplit(".", 1)
        parts = ("query", "key", "value") if part == "qkv" else (part,)
        for one, block in zip(parts, value, strict=True):
            parameters[f"{layer}.{one}.{matrix.upper()}"] = np.ascontiguousarray(block.T)
    return parameters


def trained_parameters(parameters: Mapping[str, Floats]) -> dict[str, Floats]:
    """Undo `graph_parameters`: from the doors of the base graph to the names in training."""
    state = {
        "head.weight": np.ascontiguousarray(parameters["head.weight"].T),
        "head.bias": parameters["head.bias"],
    }
    for name in parameters:
        module, matrix = name.rsplit(".", 1)
        layer, _, part = module.rpartition(".")
        if part in ("head", "key", "value"):
            continue
        parts = ("query", "key", "value") if part == "query" else (part,)
        blocks = [parameters[f"{layer}.{one}.{matrix}"].T for one in parts]
        ours = "qkv" if part == "query" else part
        state[f"{layer}.{ours}.{matrix.lower()}"] = np.stack(blocks)
    return state


def export(
    name: str,
    state: dict[str, Floats],
    labels: list[str],
    config: dict[str, Any],
    learned: dict[str, Any],
    version: str,
    artefacts: Path,
    forests: Path | None = None,
) -> Path:
    """Write one version of an adapter and return its folder; the manifest comes last.

    Args:
        name: of the specialist.
        state: its parameters, by their names in models.encoder.
        labels: in the order of the head.
        config: of the specialist.
        learned: calibration and thresholds, where there are any.
        version: three numbers.
        artefacts: holds the base.
        forests: folder of the trees and words that models.ranking and models.listing wrote, if the
            specialist has some.
    """
    parameters = graph_parameters(state)
    folder = artefacts / name / version
    folder.mkdir(parents=True, exist_ok=True)
    write_adapter(folder / ADAPTER_FILE, parameters, int(version.split(".")[0]))
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "base_sha256": sha256(base_folder(artefacts) / GRAPH_FILE),
        "adapter_sha256": sha256(folder / ADAPTER_FILE),
        "rank": config["adapter"]["rank"],
        "parameters": {key: list(value.shape) for key, value in sorted(parameters.items())},
        "labels": labels,
        "views": list(VIEWS[: len(state["head.bias"]) // len(labels)]),
        "window_length": config["windows"]["length"],
        "window_stride": config["windows"]["stride"],
        "licence": config["data"]["licence"],
        "decoding": config.get("decoding", {}),
        "calibration": learned.get("calibration", {}),
        "thresholds": learned.get("thresholds", {}),
    }
    if forests:
        paths = sorted(forests.glob("*.onnx"))
        for path in paths:
            shutil.copyfile(path, folder / path.name)
        manifest["forests"] = {path.stem: sha256(path) for path in paths}
        shutil.copyfile(forests / WORDS_FILE, folder / WORDS_FILE)
        manifest["files"] = {WORDS_FILE: sha256(folder / WORDS_FILE)}
        manifest["columns"] = json.loads((forests / "columns.json").read_text(encoding="utf-8"))
    partial = folder / f"{MANIFEST_FILE}.partial"
    partial.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST_FILE)
    return folder


def note_training(specialist: Path, folder: Path) -> None:
    """Write beside an adapter how long its training took and on what, and those of the folds where
    the repository keeps their runs: out of these came its ranking and its calibration, whose own
    learning was not timed and is not in it.
    """
    runs = [specialist / "training.json", *sorted(specialist.glob("runs/fold*/run.json"))]
    kept = [json.loads(run.read_text(encoding="utf-8")) for run in runs]
    trainings = [{"fold": one["fold"], "seconds": one["seconds"]} for one in kept]
    write_training(folder, machine_of(kept[0]["threads"]), trainings)


def write_training(folder: Path, machine: str, trainings: Sequence[Mapping[str, Any]]) -> None:
    """Write beside a model what its trainings ran on, and the seconds of each."""
    text = json.dumps({"machine": machine, "trainings": list(trainings)}, indent=1) + "\n"
    (folder / TRAINING_FILE).write_text(text, encoding="utf-8")


def trained_state(run: Path) -> dict[str, Floats]:
    """Read the adapter in a folder.

    Args:
        run: folder of a run (its adapter, or else its last checkpoint), of an adapter that peft
            saved, or of a shipped one (`<artefacts>/<name>/<version>`).

    Raises:
        AdapterError: the shipped one is damaged, or made for another base.
    """
    if (run / TRAINED_FILE).exists():
        kept = load_file(run / TRAINED_FILE)  # those in the repository in 16 bits
        return {name: value.astype(np.float32) for name, value in kept.items()}
    if (run / MANIFEST_FILE).exists():
        base = base_folder(run.parent.parent)
        doors = Int8(base, threads=1).doors
        _, adapter = load_adapter(run, sha256(base / GRAPH_FILE), doors)
        return trained_parameters(adapter.parameters())
    if (run / "adapter_config.json").exists():
        from models.peft_format import from_peft

        return from_peft(run)
    import torch

    state = torch.load(run / "checkpoint.pt", weights_only=True)["model"]
    return {name: value.float().numpy() for name, value in state.items()}


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description="Export a trained adapter with its manifest.")
    parser.add_argument("specialist", type=Path, help="folder with config.toml")
    parser.add_argument("--run", type=Path, required=True, help="folder written by models.train")
    parser.add_argument("--version", required=True)
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--forests", type=Path, help="folder written by models.ranking")
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(arguments.specialist, config["data"])
    scores = arguments.specialist / "scores.json"
    learned = json.loads(scores.read_text(encoding="utf-8")) if scores.exists() else {}
    presence = arguments.specialist / "presence.json"
    if arguments.forests and presence.exists():
        familiar = json.loads(presence.read_text(encoding="utf-8"))[FAMILIAR]
        learned["thresholds"] = learned.get("thresholds", {}) | {FAMILIAR: familiar}
    state = trained_state(arguments.run)
    name, version = arguments.specialist.name, arguments.version
    target, forests = arguments.artefacts, arguments.forests
    folder = export(name, state, labels, config, learned, version, target, forests)
    print(folder)
    run = arguments.run / "run.json"
    if run.exists() and arguments.artefacts == parser.get_default("artefacts"):
        facts = json.loads(run.read_text(encoding="utf-8"))
        facts = {key: value for key, value in facts.items() if key not in ("labels", "config")}
        text = json.dumps(facts, indent=1) + "\n"
        (arguments.specialist / "training.json").write_text(text, encoding="utf-8")
        note_training(arguments.specialist, folder)


if __name__ == "__main__":
    main()
