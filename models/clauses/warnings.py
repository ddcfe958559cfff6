"""Measure how often the warnings appear, on sound and on damaged documents.

    python -m models.clauses.warnings models/clauses/contract-clauses --data FOLDER [--files FILE…]

Reads the contracts of the corpus unchanged and with some letters replaced at random, as in damaged
text or bad OCR. The shipped specialist also reads documents of other corpora named in the config.
Writes `doubts.json`. Results of the files given are printed only; they may be in any language.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.corpus import read_records
from models.files import command, read_config, write_json
from services.extraction.pipeline.search import search
from services.extraction.pipeline.warnings import WARNING_SHARE, unread_share
from shared.inference import Specialists
from shared.inference.adapters import TOKENISER_FILE, base_folder
from shared.inference.tokeniser import Tokeniser

DAMAGE = (0.02, 0.05, 0.1, 0.2)
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
SEED = 3


def damaged(text: str, share: float, draw: np.random.Generator) -> str:
    """Return a text with about this share of its letters replaced."""
    letters = np.array(list(text))
    hit = np.char.isalpha(letters) & (draw.random(len(letters)) < share)
    letters[hit] = draw.choice(LETTERS, int(hit.sum()))
    return "".join(letters.tolist())


def main() -> None:
    """Read the command line, count warnings, and write them."""
    parser = command(__doc__, "specialist", "--data", "--artefacts")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="UTF-8 texts")
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = read_config(folder)
    tokenise = Tokeniser(base_folder(arguments.artefacts) / TOKENISER_FILE)

    def unread(text: str) -> bool:
        return unread_share(text, tokenise(text).offsets) >= WARNING_SHARE

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
        other_config = read_config(folder.parent / other)
        documents = [r["text"] for r in read_records(arguments.data, other_config["data"])]
        warned = sum(bool(search(text, specialist).warnings) for text in documents)
        counts[f"documents of {other}"] = {"documents": len(documents), "warned": warned}
    write_json(folder / "doubts.json", counts)
    for name, count in counts.items():
        print(f"{name}: {count['warned']} of {count['documents']} warned of")
    for path in arguments.files:
        text = path.read_text(encoding="utf-8")
        print(f"{path}: {'; '.join(search(text, specialist).warnings) or 'no warning'}")


if __name__ == "__main__":
    main()
