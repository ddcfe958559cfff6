"""Measure the warnings: how often contracts are warned of, and how often what should be.

    python -m models.doubts models/contract-clauses --data FOLDER [--files FILE…]

Read are the contracts of the corpus as they are, the same with a share of their letters replaced
at random (as damaged text and bad OCR have it); by the shipped specialist itself, the documents of
other corpora that the config names, which are of kinds it has not seen; and the text files given,
in whatever language they are. Writes `doubts.json` without the files given, which are printed.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path

import numpy as np

from models.corpus import read_records
from services.extraction.doubts import SHARE, unread_share
from services.extraction.pipeline import search
from shared.inference import Specialists
from shared.inference.adapters import TOKENISER_FILE, base_folder
from shared.inference.tokeniser import Tokeniser

DAMAGE = (0.02, 0.05, 0.1, 0.2)
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
SEED = 3


def damaged(text: str, share: float, draw: np.random.Generator) -> str:
    """Return a text with about so large a share of its letters replaced."""
    letters = np.array(list(text))
    hit = np.char.isalpha(letters) & (draw.random(len(letters)) < share)
    letters[hit] = draw.choice(LETTERS, int(hit.sum()))
    return "".join(letters.tolist())


def main() -> None:
    """Read the command line, count the warned, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument(
        "--files", type=Path, nargs="*", default=[], help="UTF-8 text in another language"
    )
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    tokenise = Tokeniser(base_folder(arguments.artefacts) / TOKENISER_FILE)

    def unread(text: str) -> bool:
        return unread_share(text, tokenise(text).offsets) >= SHARE

    specialist = Specialists(arguments.artefacts).get(folder.name)
    texts = [record["text"] for record in read_records(arguments.data, config["data"])]
    draw = np.random.default_rng(SEED)
    groups = {"as they are": texts}
    for share in DAMAGE:
        groups[f"{share:.0%} of the letters replaced"] = [damaged(t, share, draw) for t in texts]
    counts = {
        name: {"documents": len(group), "warned": sum(map(unread, group))}
        for name, group in groups.items()
    }
    for other in config.get("doubts", {}).get("others", ()):
        known = tomllib.loads((folder.parent / other / "config.toml").read_text(encoding="utf-8"))
        documents = [r["text"] for r in read_records(arguments.data, known["data"])]
        counts[f"documents of {other}"] = {
            "documents": len(documents),
            "warned": sum(bool(search(text, specialist).warnings) for text in documents),
        }
    (folder / "doubts.json").write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
    for name, count in counts.items():
        print(f"{name}: {count['warned']} of {count['documents']} warned of")
    for path in arguments.files:
        text = path.read_text(encoding="utf-8")
        print(f"{path}: {'; '.join(search(text, specialist).warnings) or 'no warning'}")


if __name__ == "__main__":
    main()
