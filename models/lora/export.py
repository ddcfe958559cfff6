r"""Export a trained adapter: the file for onnxruntime, and its manifest.

    python -m models.lora.export models/clauses/contract-clauses --run var/full --version 1.0.0 \
        --artefacts models/artefacts

Calibration and thresholds come from `scores.json` of the specialist, which
`models.evaluation.evaluate` writes. An export to the shipped artefacts also writes `training.json`
of the specialist, for the card.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from models.corpus import read_labels
from models.evaluation.card import machine_of
from models.files import RUN_FILE, command, read_config, read_json, write_json
from services.extraction.pipeline.reranking import WORDS_FILE
from services.extraction.pipeline.search import FAMILIAR
from shared.artefacts.loader import TRAINING_FILE, sha256
from shared.inference.adapters import (
    ADAPTER_FILE,
    GRAPH_FILE,
    VIEWS,
    AdapterManifest,
    base_folder,
    load_adapter,
)
from shared.inference.engines import Int8
from shared.inference.session import write_adapter

Floats = NDArray[np.float32]

TRAINED_FILE = "adapter.safetensors"
"""Result of models.lora.train in the folder of a run."""


def graph_parameters(state: dict[str, Floats]) -> dict[str, Floats]:
    """Rename and transpose the trained parameters to the inputs of the base graph.

    `layers.0.qkv.a` [3, rank, width] becomes `layers.0.query.A` [width, rank] and its two siblings,
    `layers.0.outer.b` [1, rows, rank] becomes `layers.0.outer.B` [rank, rows].
    """
    parameters = {
        "head.weight": np.ascontiguousarray(state["head.weight"].T),
        "head.bias": state["head.bias"],
    }
    for name, value in state.items():
        if name in parameters:
            continue
        module, matrix = name.rsplit(".", 1)
        layer, part = module.rsplit(".", 1)
        parts = ("query", "key", "value") if part == "qkv" else (part,)
        for entry, block in zip(parts, value, strict=True):
            parameters[f"{layer}.{entry}.{matrix.upper()}"] = np.ascontiguousarray(block.T)
    return parameters


def trained_parameters(parameters: Mapping[str, Floats]) -> dict[str, Floats]:
    """Reverse `graph_parameters`. The arrays are copies in C order, as safetensors needs."""
    state = {
        "head.weight": parameters["head.weight"].T.copy(),
        "head.bias": parameters["head.bias"].copy(),
    }
    for name in parameters:
        module, matrix = name.rsplit(".", 1)
        layer, _, part = module.rpartition(".")
        if part in ("head", "key", "value"):
            continue
        parts = ("query", "key", "value") if part == "query" else (part,)
        blocks = [parameters[f"{layer}.{entry}.{matrix}"].T for entry in parts]
        ours = "qkv" if part == "query" else part
        state[f"{layer}.{ours}.{matrix.lower()}"] = np.ascontiguousarray(np.stack(blocks))
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
        learned: calibration and thresholds, if there are any.
        forests: folder of the forests and the word model, if the specialist has a ranking.
    """
    parameters = graph_parameters(state)
    folder = artefacts / name / version
    folder.mkdir(parents=True, exist_ok=True)
    write_adapter(folder / ADAPTER_FILE, parameters, int(version.split(".")[0]))
    manifest = {
        "format": AdapterManifest.FORMAT,
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
        manifest["columns"] = read_json(forests / "columns.json")
    partial = folder / f"{AdapterManifest.FILE}.partial"
    write_json(partial, manifest)
    partial.replace(folder / AdapterManifest.FILE)
    return folder


def note_training(specialist: Path, folder: Path) -> None:
    """Write the time and machine of an adapter's trainings beside it, with those of stored folds.

    The training of ranking and calibration was not timed and is not included.
    """
    runs = [specialist / "training.json", *sorted(specialist.glob("runs/fold*/run.json"))]
    records = [read_json(run) for run in runs]
    write_training(folder, machine_of(records[0]["threads"]), records)


def write_training(folder: Path, machine: str, runs: Iterable[Mapping[str, Any]]) -> None:
    """Write the machine of a model's trainings beside it, and the fold and seconds of each."""
    trainings = [{key: run[key] for key in ("fold", "seconds")} for run in runs]
    write_json(folder / TRAINING_FILE, {"machine": machine, "trainings": trainings})


def trained_state(run: Path) -> dict[str, Floats]:
    """Read the adapter in a folder.

    Args:
        run: folder of a finished run, of an adapter saved by peft, or of a shipped one
            (`<artefacts>/<name>/<version>`).

    Raises:
        AdapterError: the shipped one is damaged, or made for another base.
        SystemExit: the folder has none of these.
    """
    if (run / TRAINED_FILE).exists():
        arrays = load_file(run / TRAINED_FILE)  # the repository has them in 16 bits
        return {name: value.astype(np.float32) for name, value in arrays.items()}
    if (run / AdapterManifest.FILE).exists():
        base = base_folder(run.parent.parent)
        adapter_inputs = Int8(base, threads=1).adapter_inputs
        _, adapter = load_adapter(run, sha256(base / GRAPH_FILE), adapter_inputs)
        return trained_parameters(adapter.parameters())
    if (run / "adapter_config.json").exists():
        from models.lora.peft_format import from_peft

        return from_peft(run)
    raise SystemExit(f"{run} has no finished training: run it again")


def main() -> None:
    """Read the command line and export."""
    parser = command(__doc__, "specialist", "--artefacts")
    parser.add_argument("--run", type=Path, required=True, help="folder of a training")
    parser.add_argument("--version", required=True)
    parser.add_argument("--forests", type=Path, help="folder written by models.clauses.ranking")
    arguments = parser.parse_args()
    specialist, config = arguments.specialist, read_config(arguments.specialist)
    labels = read_labels(specialist, config["data"])
    scores = specialist / "scores.json"
    learned = read_json(scores) if scores.exists() else {}
    presence = specialist / "presence.json"
    if arguments.forests and presence.exists():
        familiar = read_json(presence)[FAMILIAR]
        learned["thresholds"] = learned.get("thresholds", {}) | {FAMILIAR: familiar}
    made = specialist.name, trained_state(arguments.run), labels, config, learned
    folder = export(*made, arguments.version, arguments.artefacts, arguments.forests)
    print(folder)
    run = arguments.run / RUN_FILE
    if run.exists() and arguments.artefacts == parser.get_default("artefacts"):
        facts = read_json(run)
        facts = {key: value for key, value in facts.items() if key not in ("labels", "config")}
        write_json(specialist / "training.json", facts)
        note_training(specialist, folder)


if __name__ == "__main__":
    main()
