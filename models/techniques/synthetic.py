"""Synthetic data: sentences with rare labels, spliced into passages of other contracts.

The sentences are real. Names and amounts in them are exchanged for those of the other contract.
Roles, such as Licensor, stay.
Each rare category gets as many examples as it lacks to be frequent. Two arms show the same number
of additional windows: synthetic ones, or the real windows of these categories again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from models.corpus import counts_of
from models.techniques.bench import RARE, SHORT, Arm, Bench, Lesson, Record
from services.extraction.pipeline.decoding import sentences

TITLE = "Synthetic data for rare categories"
SEED = 20
AROUND = 2000  # characters of a passage without labels, or around a real one
TRIES = 1000  # random passages, until one has no label
ROLE = 3  # a name of parties in so many contracts is a role
NAMES = range(4, 61)  # characters of a name that is exchanged
AMOUNT = re.compile(r"\$ ?\d[\d,]*(?:\.\d+)?|\b\d+(?:\.\d+)? ?%")


def arms(bench: Bench) -> list[Arm]:
    """Compare short trainings of the same length."""
    steps = bench.steps(SHORT)
    made = [bench.arm("labels", steps, bench.by_labels(steps))]
    kinds = {"repeated": "real windows, repeated", "synthetic": "synthetic windows"}
    for name, title in kinds.items():
        given = partial(lesson, bench, name == "synthetic")
        runs = [bench.train(f"rare-{name}", seed, steps, given) for seed in bench.seeds]
        made.append(bench.arm(title, steps, runs))
    return made


def lesson(bench: Bench, synthetic: bool) -> Lesson:
    """Return the lesson of all contracts and additional windows of rare categories."""
    records, draw = bench.records(), np.random.default_rng(SEED)
    roles = roles_in(records)
    more = [
        spliced(source, note, records, roles, draw) if synthetic else repeated(source, note)
        for source, note in needed(bench)
    ]
    return Lesson(bench.contracts([*records, *more]))


def needed(bench: Bench) -> Iterator[tuple[Record, dict[str, Any]]]:
    """Yield contract and annotation of each additional example, in turn within a category."""
    records = bench.records()
    number = counts_of(records)
    for label in bench.rare():
        pairs = [
            (record, note)
            for record in records
            for note in record["annotations"]
            if note["category"] == label
        ]
        for i in range(RARE - number[label]):
            yield pairs[i % len(pairs)]


def repeated(source: Record, note: dict[str, Any]) -> Record:
    """Return the surroundings of a real annotation."""
    return part(source, max(0, note["start"] - AROUND // 2), note["end"] + AROUND // 2)


def spliced(
    source: Record,
    note: dict[str, Any],
    records: Sequence[Record],
    roles: Collection[str],
    draw: np.random.Generator,
) -> Record:
    """Return a passage of another contract with the sentences of an annotation in the middle."""
    target, passage = empty_passage(source, records, draw)
    own, names = ([n for n in names_of(r) if n not in roles] for r in (source, target))
    middle = part(source, *sentences_of(source, note))
    middle = exchanged(middle, own, names, target["text"], draw)
    text = passage["text"]
    ends = [end for _, end in sentences(text)]
    before, after = text[: ends[len(ends) // 2]] + "\n\n", "\n\n" + text[ends[len(ends) // 2] :]
    notes = [
        own | {"start": own["start"] + len(before), "end": own["end"] + len(before)}
        for own in middle["annotations"]
    ]
    return {"text": before + middle["text"] + after, "annotations": notes}


def empty_passage(
    source: Record, records: Sequence[Record], draw: np.random.Generator
) -> tuple[Record, Record]:
    """Return a contract of another family and a passage of it without labels.

    Raises SystemExit if there is none.
    """
    for _ in range(TRIES):
        target = records[int(draw.integers(len(records)))]
        if target["family"] != source["family"] and len(target["text"]) > AROUND:
            start = int(draw.integers(len(target["text"]) - AROUND))
            passage = part(target, start, start + AROUND)
            if not passage["annotations"]:
                return target, passage
    raise SystemExit("no passage without a label was found: a synthetic window needs one")


def part(record: Record, start: int, end: int) -> Record:
    """Return a part of a contract with the annotations in it, cut at its ends."""
    notes = [
        note | {"start": max(note["start"], start) - start, "end": min(note["end"], end) - start}
        for note in record["annotations"]
        if note["start"] < end and note["end"] > start
    ]
    return {"text": record["text"][start:end], "annotations": notes}


def sentences_of(record: Record, note: dict[str, Any]) -> tuple[int, int]:
    """Return where the sentences of an annotation begin and end."""
    low, high = max(0, note["start"] - AROUND), note["end"] + AROUND
    spans = [(low + first, low + end) for first, end in sentences(record["text"][low:high])]
    touched = [span for span in spans if span[0] < note["end"] and span[1] > note["start"]]
    first, last = touched[0][0], touched[-1][1]
    return min(first, note["start"]), max(last, note["end"])


def exchanged(
    passage: Record,
    own: Sequence[str],
    names: Sequence[str],
    target: str,
    draw: np.random.Generator,
) -> Record:
    """Return a passage with other names, and with the amounts of the text `target`.

    Each part between two ends of annotations is changed alone, so the annotations stay in place.

    Args:
        own: the names in the passage.
        names: the names that replace them; without any, they stay.
    """
    amounts = AMOUNT.findall(target)
    own = own if names else []
    other = {name: names[i % len(names)] for i, name in enumerate(own)}
    longest = sorted(own, key=len, reverse=True)
    changed = re.compile("|".join([*map(re.escape, longest), AMOUNT.pattern]))

    def replacement(match: re.Match[str]) -> str:
        found = match.group()
        alike = [amount for amount in amounts if ("%" in amount) == ("%" in found)]
        if found in other or not alike:
            return other.get(found, found)
        return alike[int(draw.integers(len(alike)))]

    text, notes = passage["text"], passage["annotations"]
    ends = {0, len(text)} | {note[end] for note in notes for end in ("start", "end")}
    made, place = "", {0: 0}
    for first, end in pairwise(sorted(ends)):
        made += changed.sub(replacement, text[first:end])
        place[end] = len(made)
    kept = [note | {end: place[note[end]] for end in ("start", "end")} for note in notes]
    return {"text": made, "annotations": kept}


def roles_in(records: Sequence[Record]) -> set[str]:
    """Return the names of parties that several contracts have, such as Company."""
    number = Counter(name for record in records for name in names_of(record))
    return {name for name, contracts in number.items() if contracts >= ROLE}


def names_of(record: Record) -> list[str]:
    """Return the names of the parties and their first words, in the order of the contract."""
    names: list[str] = []
    for note in record["annotations"]:
        if note["category"] == "Parties":
            text = record["text"][note["start"] : note["end"]]
            names += [text, text.split()[0].strip(",.()\"'")]
    return list(dict.fromkeys(name for name in names if len(name) in NAMES))
