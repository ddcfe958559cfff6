"""What is right about a passage, by labels, and ways of being wrong."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

Answer = dict[str, Any]


class Labels:
    """Passages that are clauses of a category, from anywhere.

    Args:
        known: (category, text) of each.
    """

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        self._texts: dict[str, list[str]] = defaultdict(list)
        for category, text in known:
            if text.strip():
                self._texts[category].append(text)

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Labels of JSON lines, packed or not: `{"category", "text"}` each, or whole contracts with
        such `annotations`.
        """
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        lines = map(json.loads, text.splitlines())
        return cls((one["category"], one["text"]) for line in lines for one in _labels(line))

    def right(self, question: Mapping[str, Any]) -> Answer:
        """What the labels say."""
        passage = question["passage"]
        quotes = [text for text in self._texts[question["category"]] if text in passage]
        if not quotes:
            return _answer("absent", [], "no words of the passage say it")
        return _answer("present", list(dict.fromkeys(quotes)), "these words say it")

    def wrong(self, question: Mapping[str, Any], chance: random.Random) -> Answer:
        """A mistake in good faith: what is there is missed, or something else is quoted."""
        if self.right(question)["quotes"]:
            return _answer("absent", [], "overlooked")
        words = question["passage"].split(" ")
        at = chance.randrange(max(1, len(words) - 8))
        return _answer("present", [" ".join(words[at : at + 8])], "mistaken")

    def invented(self, question: Mapping[str, Any], chance: random.Random) -> Answer:
        """Words that stand nowhere."""
        number = chance.randrange(10**6)
        quote = f"This {question['category']} clause number {number} shall survive in perpetuity."
        return _answer("present", [quote], "invented")

    def altered(self, question: Mapping[str, Any], chance: random.Random) -> Answer:
        """Words of the passage, one of which is changed."""
        words = question["passage"].split()[:40] or ["nothing"]
        at = chance.randrange(len(words))
        words[at] = "not" if words[at] != "not" else "always"
        return _answer("present", [" ".join(words)], "altered")

    def foreign(self, question: Mapping[str, Any], chance: random.Random) -> Answer:
        """A clause of that category, but of another document."""
        others = [t for t in self._texts[question["category"]] if t not in question["passage"]]
        if not others:
            return self.invented(question, chance)
        return _answer("present", [chance.choice(others)], "foreign")


def _answer(verdict: str, quotes: list[str], why: str) -> Answer:
    return {"verdict": verdict, "quotes": quotes, "why": f"stand-in: {why}"}


def _labels(line: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = line.get("annotations", [line])
    return found
