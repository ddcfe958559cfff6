"""Measure whether a page's text is sound: python -m models.document_kind.pages.

Sound pages are from original PDFs of contracts and filings, and texts in ten other languages.
Spoiled pages are the same, damaged as fonts, encodings and bad OCR damage text. Compared are
unknown characters alone, the rules that ship, and a linear model on letter trigrams of folds 0
to 3. Everything is scored on fold 4.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from models.corpus import fold_of
from models.document_kind.corpus import UNSEEN, drawn, foreign, original_pages
from models.document_kind.scores import FOLDER
from models.files import command, write_json
from shared.documents.pages.text_quality import UNSOUND, soundness

Flags = NDArray[np.bool_]

OF_EACH = 6
"""Pages of one document."""
SHORTEST, LONGEST = 600, 4_000
"""Characters of a page."""
LANGUAGES = 12
FALSE_ALARMS = 0.005
"""Share of the sound pages of folds 0 to 3 that the linear model may report."""


@dataclass(frozen=True)
class Page:
    """The text of one page, and the type of its damage."""

    source: str
    document: str
    fold: int
    text: str
    spoiled: str = ""


def counted_from_space(text: str) -> str:
    """Damage a text like a font that numbers its glyphs from the space."""
    return "".join(chr(ord(c) - 29) if "A" <= c <= "z" else c for c in text)


def other_letters(text: str, draw: random.Random) -> str:
    """Damage a text like a font with random letters."""
    letters = [chr(code) for code in range(97, 123)]
    mixed = draw.sample(letters, len(letters))
    table = dict(zip(letters, mixed, strict=True))
    table |= {a.upper(): b.upper() for a, b in table.items()}
    return "".join(table.get(c, c) for c in text)


def without_names(text: str) -> str:
    """Damage a text like a font with private codes."""
    return "".join(chr(0xF000 + ord(c)) if c.isalpha() and ord(c) < 256 else c for c in text)


def misread(text: str) -> str:
    """Make quotation marks curly, then read the UTF-8 bytes as Windows-1252."""
    curly = text.replace("'", "\u2019").replace('"', "\u201c").replace(" - ", " \u2013 ")
    return curly.encode().decode("cp1252", "replace")


def noise(share: float) -> Callable[[str, random.Random], str]:
    """Return a function that replaces this share of letters."""

    def spoil(text: str, draw: random.Random) -> str:
        def letter(c: str) -> str:
            return chr(draw.randrange(97, 123)) if c.isalpha() and draw.random() < share else c

        return "".join(map(letter, text))

    return spoil


WAYS: Mapping[str, Callable[[str, random.Random], str]] = {
    "glyphs counted from the space": lambda text, _: counted_from_space(text),
    "letters named at random": other_letters,
    "private codes": lambda text, _: without_names(text),
    "UTF-8 as Windows-1252": lambda text, _: misread(text),
    "a tenth of the letters wrong": noise(0.1),
    "a quarter of the letters wrong": noise(0.25),
    "half of the letters wrong": noise(0.5),
}


def sound_pages(work: Path) -> list[Page]:
    """Return a few pages of each PDF, and texts in other languages."""
    result = []
    for record in original_pages(work):
        if record["type"] == "application/pdf":
            name = record["file"].rpartition("/")[2]
            source = "contracts" if record["file"].startswith("legal") else "filings"
            long_enough = [text for text in record["pages"] if len(text) >= SHORTEST]
            draw = random.Random(name)
            chosen = draw.sample(long_enough, min(OF_EACH, len(long_enough)))
            fold = fold_of(name)
            result += [Page(source, name, fold, text[:LONGEST]) for text in chosen]
    foreign_texts = drawn(list(foreign(work / "others.jsonl")), LANGUAGES)
    result += [Page("other languages", o.source, o.fold, o.text[:LONGEST]) for o in foreign_texts]
    return result


def spoiled_pages(pages: Sequence[Page]) -> list[Page]:
    """Return every page of contracts and filings with each type of damage that changes it."""
    result = []
    for damage, spoil in WAYS.items():
        for number, page in enumerate(pages):
            if page.source != "other languages":
                text = spoil(page.text, random.Random(f"{damage} {number}"))
                if text != page.text:
                    result.append(Page(page.source, page.document, page.fold, text, damage))
    return result


def codes(text: str) -> NDArray[np.uint32]:
    """Return the code points of a text."""
    return np.array([ord(c) for c in text], np.uint32)


def unknown(text: str) -> bool:
    """Return whether too many characters have no meaning."""
    result = codes(text)
    private = (result >= 0xE000) & (result < 0xF900)
    return float(((result == 0xFFFD) | private).mean()) > UNSOUND


def unsound(text: str) -> bool:
    """Return whether the rules that ship report a page."""
    return soundness(codes(text)) < 1 - UNSOUND


def linear(some: Sequence[Page]) -> Callable[[Sequence[str]], Flags]:
    """Train on pages; return a function that reports spoiled texts, but few sound pages."""
    pieces = HashingVectorizer(analyzer="char", ngram_range=(3, 3), n_features=1 << 14)
    rows = pieces.transform([page.text for page in some])
    spoiled = np.array([bool(page.spoiled) for page in some])
    folds = np.array([page.fold for page in some])
    chances = np.zeros(len(some))
    for fold in np.unique(folds):
        model = _fitted(rows[folds != fold], spoiled[folds != fold])
        chances[folds == fold] = model.predict_proba(rows[folds == fold])[:, 1]
    line = float(np.quantile(chances[~spoiled], 1 - FALSE_ALARMS))
    model = _fitted(rows, spoiled)
    return lambda texts: model.predict_proba(pieces.transform(list(texts)))[:, 1] > line


def _fitted(rows: Any, spoiled: Flags) -> LogisticRegression:
    model = LogisticRegression(C=30.0, max_iter=200, class_weight="balanced")
    return model.fit(rows, spoiled)


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = command(__doc__)
    parser.add_argument("--work", type=Path, default=Path("var/kinds"))

    arguments = parser.parse_args()
    pages = sound_pages(arguments.work)
    every = [*pages, *spoiled_pages(pages)]
    learned = linear([page for page in every if page.fold != UNSEEN])
    result: dict[str, Counter[str]] = {}
    for side in ("development", "unseen"):
        some = [page for page in every if (page.fold == UNSEEN) == (side == "unseen")]
        reported = learned([page.text for page in some])
        for page, by_letters in zip(some, reported, strict=True):
            name = page.spoiled or f"sound: {page.source}"
            row = result.setdefault(f"{side}: {name}", Counter())
            row["pages"] += 1
            row["unknown characters"] += unknown(page.text)
            row["rule"] += unsound(page.text)
            row["linear"] += int(by_letters)
    write_json(FOLDER / "pages.json", result)
    for name, row in result.items():
        print(name, row)


if __name__ == "__main__":
    main()
