"""Right answers by labels, and wrong ones."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.fakes.provider import finding_answers
from tests.fakes.provider.words import standing

Answer = dict[str, Any]
MISTAKEN = {
    "contract": "report",
    "report": "other",
    "other": "contract",
    "sound": "unsound",
    "unsound": "sound",
}


class Labels:
    """Passages that are clauses of a category, from anywhere.

    Args:
        known: (category, text) of each.
        kinds: (kind, text) of documents that have that text.
        pages: (`sound` or `unsound`, text) of pages that have that text.
        errors: amounts of reports that are wrong, with the right one, as tables print them.
    """

    def __init__(
        self,
        known: Iterable[tuple[str, str]] = (),
        *,
        kinds: Sequence[tuple[str, str]] = (),
        pages: Sequence[tuple[str, str]] = (),
        errors: Mapping[str, str] | None = None,
    ) -> None:
        self._kinds, self._pages, self._errors = list(kinds), list(pages), dict(errors or {})
        self._texts: dict[str, list[str]] = defaultdict(list)
        for category, text in known:
            if text.strip():
                self._texts[category].append(text)

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Labels of JSON lines, with gzip or not: `{"category", "text"}` each, or whole contracts
        with `annotations`, as for `smallprint compare`; `{"kind", "text"}`, `{"page", "text"}` and
        `{"wrong", "right"}`.

        Raises ValueError for another line; the message has its number and what is missing.
        """
        data = path.read_bytes()
        lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
        labels = [one for number, line in enumerate(lines, 1) for one in _read(path, number, line)]
        return cls(
            [(one["category"], one["text"]) for one in labels if "category" in one],
            kinds=[(one["kind"], one["text"]) for one in labels if "kind" in one],
            pages=[(one["page"], one["text"]) for one in labels if "page" in one],
            errors={one["wrong"]: one["right"] for one in labels if "wrong" in one},
        )

    def right(self, question: Mapping[str, Any]) -> Answer:
        """The right answer by the labels."""
        if "tables" in question:
            return finding_answers.right(question, self._errors)
        passage = question["passage"]
        if "category" not in question:
            known = self._kinds if "taken_for" in question else self._pages
            return finding_answers.sorted_(
                passage, known, "other" if known is self._kinds else "sound"
            )
        texts = self._texts[question["category"]]
        quotes = [own for text in texts if (own := standing(text, passage))]
        if not quotes:
            return _answer("absent", [], "no words of the passage say it")
        return _answer("present", list(dict.fromkeys(quotes)), "these words say it")

    def wrong(self, question: Mapping[str, Any], chance: random.Random) -> Answer:
        """An honest mistake: a clause is missed, or another passage is quoted."""
        if "tables" in question:
            return finding_answers.wrong(question, self._errors)
        if "category" not in question:
            right_answer = self.right(question)
            return {**right_answer, "verdict": MISTAKEN[right_answer["verdict"]]}
        if self.right(question)["quotes"]:
            return _answer("absent", [], "overlooked")
        words = question["passage"].split(" ")
        at = chance.randrange(max(1, len(words) - 8))
        return _answer("present", [" ".join(words[at : at + 8])], "mistaken")

    def invented(self, question: Mapping[str, Any], chance: random.Random) -> Answer:
        """Invented words, or an invented cell."""
        if "tables" in question:
            return finding_answers.invented(question, chance)
        if "category" not in question:
            return {**self.right(question), "quotes": ["words that stand nowhere in it"]}
        number = chance.randrange(10**6)
        quote = f"This {question['category']} clause number {number} shall survive in perpetuity."
        return _answer("present", [quote], "invented")

    def altered(self, question: Mapping[str, Any], chance: random.Random) -> Answer:
        """An answer with one changed word of the passage, or a changed amount."""
        if "tables" in question:
            return finding_answers.altered(question, chance)
        if "category" not in question:
            return {**self.right(question), "quotes": [f"{question['passage'][:40]}x altered"]}
        words = question["passage"].split()[:40] or ["nothing"]
        at = chance.randrange(len(words))
        words[at] = "not" if words[at] != "not" else "always"
        return _answer("present", [" ".join(words)], "altered")

    def foreign(self, question: Mapping[str, Any], chance: random.Random) -> Answer:
        """An answer with a clause of another document, or with a wrong sum."""
        if "tables" in question:
            return finding_answers.miscounted(question, chance)
        if "category" not in question:
            return self.invented(question, chance)
        known, passage = self._texts[question["category"]], question["passage"]
        others = [text for text in known if not standing(text, passage)]
        if not others:
            return self.invented(question, chance)
        return _answer("present", [chance.choice(others)], "foreign")


def _answer(verdict: str, quotes: list[str], why: str) -> Answer:
    return {"verdict": verdict, "quotes": quotes, "why": f"stand-in: {why}"}


def _read(path: Path, number: int, line: bytes) -> Sequence[Mapping[str, Any]]:
    try:
        return _labels(json.loads(line)) if line.strip() else []
    except KeyError as error:
        raise ValueError(f"{path}, line {number}: {error.args[0]} is missing") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}, line {number} is no label: {error}") from None


def _labels(line: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The labels of a line, each with its text. Raises KeyError if something is missing."""
    notes = line.get("annotations")
    if notes is not None:
        return [
            {**note, "category": note["category"], "text": _words(line, note)} for note in notes
        ]
    if "wrong" in line:
        return [{"wrong": line["wrong"], "right": line["right"]}]
    if not line.keys() & {"category", "kind", "page"}:
        raise KeyError("category, kind, page, wrong or annotations")
    return [{**line, "text": line["text"]}]


def _words(contract: Mapping[str, Any], note: Mapping[str, Any]) -> str:
    """The text of an annotation: its own, or that between its offsets in code points."""
    if "text" in note:
        return str(note["text"])
    if "start" not in note or "end" not in note:
        raise KeyError("text, or start and end, of an annotation")
    return str(contract["text"])[note["start"] : note["end"]]
