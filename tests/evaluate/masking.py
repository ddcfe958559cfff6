"""Count names of parties and sums of money that are left after masking real contracts.

    python -m tests.evaluate.masking [FOLDER] [--amounts] [--fold 3]… [--show 10]

FOLDER holds legal/ (default: the setting SMALLPRINT_TEST_DATA). Each contract is cut into windows
of the size of a question about a clause. Each window is masked as in the gateway, with the parties
that the specialist finds in the unseen contract, by its committed predictions.

Names are the labelled parties in whole words with a capital or a digit: the label, and its first
word. A word is part of a name if few contracts have it, and hardly any in lower case. A label
without such a word (`Licensee`, `Party A`) is no name, unless it is rare and part of another label
(`Heritage` of `Heritage Foods, LLC`). Some rare roles (`Depositor`) are still counted. The rules
were written with folds 0 to 2, so folds 3 and 4 are the test.

`--amounts` counts sums of money by another, simpler rule than the masking's (`sums_in`), which
tends to count too many. Such a sum is a number in digits or words with a currency sign, or with the
name or code of a currency right before it or among the three words after it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.corpus import read_labels, read_records
from models.evaluation.evaluate import folds_predicted, predicted_folds
from models.evaluation.predict import Candidate
from models.files import folder_of, read_config
from services.escalation.estimates import WINDOW
from services.escalation.masking.masking import mask
from services.escalation.masking.party_names import Span, known_names
from services.extraction.pipeline.search import calibrated
from services.extraction.values import find_values
from shared.errors import SettingsError
from shared.inference.adapters import AdapterManifest, newest_version
from shared.settings import CommonSettings, load

SPECIALIST = folder_of("contract-clauses")
RARE = 0.05  # share of the contracts of other families that may have a word of a name
SMALL = 2  # families of contracts that may have a word of a name in small letters
LONGEST = 8  # words of a label that is a name; longer ones are sentences
_WORD = re.compile(r"\w[\w'\u2019&-]*")
_AROUND = " \n\t\"'\u201c\u201d\u2018\u2019(),.;:"
_NO_NAME = re.compile(
    r"\b(?:part(?:y|ies)|collectively|individually|individual|each|refers?|referred)\b",
    re.IGNORECASE,
)


_SIGNS = "$\u20ac\u00a3\u00a5"
_CURRENCIES = re.compile(
    r"(?:dollar|euro|pound|franc|yen|yuan|renminbi|rupee|cent|kron[aeo]r?|peso|rand|baht|ringgit"
    r"|shekel|usd|eur|gbp|chf|jpy|cny|rmb|cad|aud|inr|hkd|sgd|nzd|sek|nok|dkk)s?",
    re.IGNORECASE,
)
_NUMBERS = re.compile(
    r"(?:(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[a-z]{3,5}teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|million|billion)(?:-|$))+",
    re.IGNORECASE,
)
NEAR = 3  # words behind a number among which a currency makes it a sum of money


@dataclass(frozen=True)
class Leak:
    """The names of parties, or the sums of money, in one contract, and how many of them masking
    leaves.
    """

    contract: str
    named: int
    left: Counter[str]  # how often each name is left; a sum with the words after it


@dataclass(frozen=True)
class Corpus:
    """The number of contract families that have a word, in any case and in lower case."""

    families: Mapping[str, int]
    small: Mapping[str, int]
    most: float

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Corpus:
        """Count the words of contracts."""
        words: dict[str, set[str]] = {}
        for record in records:
            words.setdefault(record["family"], set()).update(_WORD.findall(record["text"]))
        families = Counter(word for one in words.values() for word in {w.casefold() for w in one})
        small = Counter(word for one in words.values() for word in one if word.islower())
        return cls(families, small, RARE * len(words))

    def is_rare(self, word: str) -> bool:
        """Whether few contracts have a word."""
        return len(word) > 2 and self.families.get(word.casefold(), 0) <= self.most

    def is_name(self, word: str) -> bool:
        """Whether a word is rare in contracts and hardly ever in lower case."""
        return self.is_rare(word) and self.small.get(word.casefold(), 0) <= SMALL


def names_in(labels: Sequence[str], corpus: Corpus) -> set[str]:
    """The names in the labels of a contract's parties."""
    names = set()
    cleaned = [" ".join(label.strip(_AROUND).split()) for label in labels]
    for label in cleaned:
        words = _WORD.findall(label)
        if not words or len(words) > LONGEST or _NO_NAME.search(label):
            continue
        part = any(label != other and label in other for other in cleaned)
        if any(corpus.is_name(word) or (part and corpus.is_rare(word)) for word in words):
            names.add(label)
        if corpus.is_name(words[0]):
            names.add(words[0])
    return {name for name in names if len(name) > 2}


def found(text: str, names: Iterable[str]) -> Counter[str]:
    """How often each name occurs in a text. Of two names in one place the longer one counts."""
    ordered = sorted(names, key=lambda name: -len(name))
    if not ordered:
        return Counter()
    any_of = "|".join(r"\s+".join(map(re.escape, name.split())) for name in ordered)
    places = re.finditer(rf"(?<!\w)(?:{any_of})(?!\w)", text, re.IGNORECASE)
    read = (" ".join(place[0].split()) for place in places)
    return Counter(name for name in read if any(c.isupper() or c.isdigit() for c in name))


def cut(text: str, size: int) -> Iterator[tuple[int, int]]:
    """Consecutive windows of at most `size` characters, in whole words."""
    start = 0
    while start < len(text):
        end = min(len(text), start + size)
        if end < len(text):
            space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
            end = space + 1 if space > start else end
        yield start, end
        start = end


def leak_of(record: Mapping[str, Any], names: set[str], parties: Sequence[str]) -> Leak:
    """Mask a contract like the gateway, and count the names left.

    Args:
        names: of its parties.
        parties: those that the specialist finds in it.
    """
    text = record["text"]
    named, left = 0, Counter[str]()
    known = known_names(text, parties)
    for start, end in cut(text, WINDOW):
        masked = mask(text[start:end], frozenset({"parties", "persons"}), known)
        named += found(text[start:end], names).total()
        left += found(masked.text, names)
    return Leak(record["title"], named, left)


def sums_in(text: str) -> list[Span]:
    """The spans of the numbers in sums of money."""
    words = list(re.finditer(r"\S+", text))
    bare = [word[0].strip(_AROUND + "[]/") for word in words]
    signs = [one != "" and one[-1] in _SIGNS for one in bare]
    names = [
        bool(_CURRENCIES.fullmatch(one)) and (place == 0 or bare[place - 1].casefold() != "per")
        for place, one in enumerate(bare)
    ]
    sums = []
    for place, word in enumerate(words):
        last = words[place - 1][0] if place else ""
        before = bool(last) and last[-1] not in ".,;:" and (names[place - 1] or signs[place - 1])
        behind = any(names[place + 1 : place + 1 + NEAR])
        number = re.search(r"\d(?:.*\d)?", word[0])
        if number and (before or behind or any(sign in word[0] for sign in _SIGNS)):
            sums.append((word.start() + number.start(), word.start() + number.end()))
        elif behind and _NUMBERS.fullmatch(bare[place]):
            start = word.start() + word[0].index(bare[place])
            sums.append((start, start + len(bare[place])))
    return sums


def sums_left(record: Mapping[str, Any]) -> Leak:
    """Mask the amounts of a contract like the gateway, and count the sums left."""
    text = record["text"]
    named, left = 0, Counter[str]()
    for start, end in cut(text, WINDOW):
        window = text[start:end]
        hidden = [p.source for p in mask(window, frozenset({"amounts"})).pieces if p.hidden]
        sums = sums_in(window)
        named += len(sums)
        left.update(
            " ".join(window[low : high + 30].split()[: NEAR + 1])
            for low, high in sums
            if not any(first <= low and high <= last for first, last in hidden)
        )
    return Leak(record["title"], named, left)


def shown_parties(
    text: str, candidates: Iterable[Candidate], labels: Sequence[str], manifest: AdapterManifest
) -> list[str]:
    """The parties that a specialist shows."""
    parties: dict[str, None] = {}
    for one in candidates:
        sure = calibrated(one.score, manifest.calibration) > manifest.thresholds["best_f1"]
        if sure and labels[one.label] == "Parties":
            main, *_ = find_values("Parties", text[one.start : one.end])
            if main.value is not None:
                parties[main.value] = None
    return list(parties)


def evaluate(data: Path, folds: Sequence[int], *, amounts: bool = False) -> list[Leak]:
    """Measure the contracts of some folds that name a party, or have a sum of money."""
    settings = read_config(SPECIALIST)["data"]
    if amounts:
        leaks = [sums_left(record) for record in read_records(data, settings, folds)]
        return [leak for leak in leaks if leak.named]
    labels = read_labels(SPECIALIST, settings)
    version = newest_version(load(CommonSettings).artefacts_folder, SPECIALIST.name)
    manifest = AdapterManifest.read(version)
    records = list(read_records(data, settings))
    corpus = Corpus.of(records)
    _, predictions = folds_predicted(SPECIALIST)
    leaks = []
    for record in records:
        if record["fold"] not in folds:
            continue
        marked = [one["text"] for one in record["annotations"] if one["category"] == "Parties"]
        if names := names_in(marked, corpus):
            parties = shown_parties(record["text"], predictions[record["id"]], labels, manifest)
            leaks.append(leak_of(record, names, parties))
    return leaks


def report_of(leaks: Sequence[Leak]) -> dict[str, int]:
    """The figures of all contracts together."""
    left = [leak.left.total() for leak in leaks]
    return {
        "contracts": len(leaks),
        "contracts_with_a_name": sum(1 for count in left if count),
        "contracts_with_over_five": sum(1 for count in left if count > 5),
        "named": sum(leak.named for leak in leaks),
        "left": sum(left),
    }


def table(leaks: Sequence[Leak], show: int) -> str:
    """The figures as a table in Markdown, and the contracts with the most names left."""
    report = report_of(leaks)
    lines = ["| contracts | with names left | with more than five | names | left | share |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    share = report["left"] / max(1, report["named"])
    lines.append(f"| {' | '.join(f'{count:,}' for count in report.values())} | {share:.1%} |")
    for leak in sorted(leaks, key=lambda leak: -leak.left.total())[:show]:
        most = ", ".join(f"{name} {count}" for name, count in leak.left.most_common(5))
        lines.append(f"{leak.left.total():6} of {leak.named:5}  {leak.contract[:40]}: {most}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate.masking")
    parser.add_argument("folder", nargs="?", default=os.environ.get("SMALLPRINT_TEST_DATA"))
    parser.add_argument("--fold", type=int, action="append", help="0 to 4; may be repeated")
    parser.add_argument("--amounts", action="store_true", help="sums of money instead of parties")
    parser.add_argument(
        "--show", type=int, default=0, help="contracts to print, most names left first"
    )
    asked = parser.parse_args(arguments)
    if not asked.folder:
        raise SettingsError("name the folder with legal/, or set SMALLPRINT_TEST_DATA")
    folds = asked.fold or predicted_folds(SPECIALIST)
    leaks = evaluate(Path(asked.folder), folds, amounts=asked.amounts)
    print(table(leaks, asked.show))
    return 0


if __name__ == "__main__":
    sys.exit(main())
