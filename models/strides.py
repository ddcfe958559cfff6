"""How far may windows lie apart? What a longer stride costs, on contracts not seen in training.

    python -m models.strides models/contract-clauses --data FOLDER --artefacts FOLDER --fold 0 \\
        [--contracts 20]

The served path runs over the left-out fold, or so many contracts spread over it, once for every
stride, with plain decoding; printed is a table as of models.tries, whose first row is the config's
own stride.
"""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.corpus import read_records
from models.predict import Candidate
from models.tries import table
from services.extraction.decoding import Decoding, decode
from shared.inference import Specialist, Specialists
from shared.inference.windows import window_starts

STRIDES = (96, 128, 160, 224, 254)  # tokens; those beside the config's own


def name_of(stride: int, content: int, tokens: list[int]) -> str:
    """Say the stride, and how often each token is read on average."""
    windows = sum(len(window_starts(count, content, stride)) for count in tokens)
    return f"stride {stride}, {windows * content / sum(tokens):.2f} passes"


def tried(
    specialist: Specialist, records: list[dict[str, Any]], strides: list[int]
) -> dict[str, dict[str, list[Candidate]]]:
    """Return what plain decoding finds in each contract, by stride."""
    manifest, settings = specialist.manifest, Decoding.of(specialist.manifest.decoding)
    found = {}
    for stride in strides:
        specialist.manifest = replace(manifest, window_stride=stride)
        tokens, predictions = [], {}
        for record in records:
            scores = specialist.token_probabilities(record["text"])
            tokens.append(len(scores.offsets))
            spans = decode(record["text"], scores, manifest.labels, settings)
            predictions[record["id"]] = [Candidate(c.label, c.start, c.end, c.score) for c in spans]
        found[name_of(stride, manifest.window_length - 2, tokens)] = predictions
    specialist.manifest = manifest
    return found


def main() -> None:
    """Read the command line, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--artefacts", type=Path, required=True, help="base and adapter")
    parser.add_argument("--fold", type=int, required=True, help="that the adapter has not seen")
    parser.add_argument("--contracts", type=int, help="all of the fold where not given")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    specialist = Specialists(arguments.artefacts, arguments.threads).get(arguments.specialist.name)
    records = list(read_records(arguments.data, config["data"], [arguments.fold]))
    if arguments.contracts:
        records = records[:: max(1, len(records) // arguments.contracts)][: arguments.contracts]
    own = config["windows"]["stride"]
    found = tried(specialist, records, [own, *(stride for stride in STRIDES if stride != own)])
    print("\n".join(table(records, found, specialist.labels)))


if __name__ == "__main__":
    main()
